// Which patch classifier a checkpoint is: width and blocks follow from its shapes, then names and shapes are compared
// with what such a model declares, before anything is planned or allocated.
using System.Globalization;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

internal static class PatchClassifierKeys
{
    const string Stem = "conv1.weight", Head = "fc.weight";

    /// <summary>The sizes of the classifier that the source is; throws when it is none.</summary>
    /// <param name="source">The parameters.</param>
    /// <param name="what">What messages call the source.</param>
    public static ResNetAdlConfig Require(IParameterSource source, string what)
    {
        if (!source.TryGetShape(Stem, out Shape stem) || stem.Rank != 4)
        {
            string? other = source.Names.Any(n => n.StartsWith("image_encoder.", StringComparison.Ordinal))
                ? "; it is a SAM (--sam)"
                : source.Names.All(n => n.StartsWith("mask_decoder.", StringComparison.Ordinal))
                    ? "; it is a mask decoder (--decoder)" : "";
            throw Differ($"{what} is no patch classifier: it has no {Stem} of four axes{other}");
        }
        if (stem[1] == 3)
        {
            throw Differ($"{what} is no patch classifier but a ResNet of three channels: one that training can begin "
                + "with (classifier.init)");
        }
        ResNetAdlConfig config = new()
        {
            Width = (int)Math.Min(stem[0], int.MaxValue), Blocks = [.. CountBlocks(source)],
        };
        if (!source.TryGetShape(Head, out Shape head) || head.Rank != 2 || head[0] != 1)
        {
            throw Differ($"{what} is no patch classifier: {Head} must be (1, {32L * config.Width}), found "
                + (head.Rank == 0 ? "none" : head.ToString()));
        }
        try
        {
            config.Check();
        }
        catch (ArgumentException e)
        {
            throw Differ($"{what} is no patch classifier: {e.Message}");
        }
        Compare(source, config).Require($"{what} is no patch classifier of blocks {string.Join(", ", config.Blocks)} "
            + $"and width {config.Width}, as its shapes say");
        return config;
    }

    static CheckpointException Differ(string message) => new(CheckpointError.KeysDiffer, message);

    static KeyComparison Compare(IParameterSource source, ResNetAdlConfig config)
    {
        KeyComparison? keys = null;
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(config, parameters);
            keys = parameters.Compare(source, name => name.EndsWith(".num_batches_tracked", StringComparison.Ordinal));
        });
        return keys!;
    }

    // Of layer3.0, layer3.2, layer3.3: three. What is at 1 is an ADL layer, without tensors.
    static int[] CountBlocks(IParameterSource source)
    {
        HashSet<int>[] stages = [[], [], [], []];
        foreach (string name in source.Names)
        {
            string[] parts = name.Split('.');
            if (parts.Length < 3 || parts[0] is not ("layer1" or "layer2" or "layer3" or "layer4")) continue;
            if (int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int block))
                stages[parts[0][^1] - '1'].Add(block);
        }
        return [.. stages.Select(s => s.Count)];
    }
}
