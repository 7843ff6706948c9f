// A ResNet by torchvision's names (trained on ImageNet) as the beginning of the patch classifier. EP-SAM's ADL layers
// take part in the numbering of a stage, so blocks behind the first are one further in the last two stages; the fourth
// input channel begins as a copy of the red one's filters, the last layer anew.
using System.Globalization;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

/// <summary>Parameters of the patch classifier from a ResNet's.</summary>
public sealed class ImageNetResNet : IParameterSource
{
    const string Stem = "conv1.weight", Head = "fc.";

    readonly IParameterSource _source;
    readonly UntrainedResNetAdl _untrained;

    /// <summary>Throws <see cref="CheckpointException"/> that says what differs when it is another network.</summary>
    /// <param name="source">By torchvision's names.</param>
    /// <param name="config">The classifier's sizes.</param>
    /// <param name="seed">Of the last layer.</param>
    /// <param name="what">Names the source in messages.</param>
    public ImageNetResNet(IParameterSource source, ResNetAdlConfig config, ulong seed, string what)
    {
        _source = source;
        _untrained = new(config, seed);
        CheckSizes(source, config, what);
        KeyComparison.Of(Wanted(), source, name => name.StartsWith(Head, StringComparison.Ordinal)
            || name.EndsWith(".num_batches_tracked", StringComparison.Ordinal))
            .Require($"{what} is not a ResNet of blocks {Text(config.Blocks)} and width {config.Width}");
    }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _untrained.Names;

    /// <summary>
    /// Parameters to begin with: those of a ResNet, or of a patch classifier, whose training goes on.
    /// </summary>
    public static IParameterSource Any(IParameterSource source, ResNetAdlConfig config, ulong seed, string what) =>
        source.TryGetShape(Stem, out Shape stem) && stem.Rank == 4 && stem[1] == 4
            ? source
            : new ImageNetResNet(source, config, seed, what);

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape) => _untrained.TryGetShape(name, out shape);

    /// <inheritdoc/>
    public void Read(string name, Span<float> values)
    {
        if (name.StartsWith(Head, StringComparison.Ordinal))
        {
            _untrained.Read(name, values);
            return;
        }
        if (name != Stem)
        {
            _source.Read(Renamed(name), values);
            return;
        }
        _untrained.TryGetShape(Stem, out Shape shape);
        int filters = (int)shape[0], each = (int)(shape[2] * shape[3]);
        float[] colours = new float[filters * 3 * each];
        _source.Read(Stem, colours);
        for (int i = 0; i < filters; i++)
        {
            Span<float> to = values.Slice(i * 4 * each, 4 * each);
            colours.AsSpan(i * 3 * each, 3 * each).CopyTo(to);
            to[..each].CopyTo(to[(3 * each)..]); // red comes first
        }
    }

    IEnumerable<KeyValuePair<string, Shape>> Wanted()
    {
        foreach (string name in _untrained.Names)
        {
            _untrained.TryGetShape(name, out Shape shape);
            if (name.StartsWith(Head, StringComparison.Ordinal)) continue;
            yield return name == Stem
                ? KeyValuePair.Create(name, new Shape(shape[0], 3, shape[2], shape[3]))
                : KeyValuePair.Create(Renamed(name), shape);
        }
    }

    // layer3.2.conv1.weight is torchvision's layer3.1.conv1.weight.
    static string Renamed(string name)
    {
        string[] parts = name.Split('.');
        if (parts[0] is not ("layer3" or "layer4") || parts[1] == "0") return name;
        parts[1] = (int.Parse(parts[1], CultureInfo.InvariantCulture) - 1).ToString(CultureInfo.InvariantCulture);
        return string.Join('.', parts);
    }

    static void CheckSizes(IParameterSource source, ResNetAdlConfig config, string what)
    {
        if (!source.TryGetShape(Stem, out Shape stem) || stem.Rank != 4)
        {
            throw new CheckpointException(CheckpointError.KeysDiffer,
                $"{what} is not a ResNet: it has no {Stem} of four axes; expected torchvision's names");
        }
        int[] blocks = [.. Enumerable.Range(1, 4).Select(stage => CountBlocks(source, stage))];
        string differs = !source.TryGetShape("layer1.0.conv3.weight", out _)
            ? "it is made of basic blocks (ResNet-18 or 34), the classifier of bottlenecks (ResNet-50 or deeper)"
            : !blocks.SequenceEqual(config.Blocks)
                ? $"its stages have {Text(blocks)} blocks, classifier.blocks is {Text(config.Blocks)}"
                : stem[0] != config.Width
                    ? $"its width is {stem[0]}, classifier.width is {config.Width}"
                    : stem[1] != 3 ? $"its input has {stem[1]} channels, not 3" : "";
        if (differs.Length > 0)
            throw new CheckpointException(CheckpointError.KeysDiffer, $"{what} does not fit: {differs}");
    }

    static int CountBlocks(IParameterSource source, int stage)
    {
        int count = 0;
        while (source.TryGetShape($"layer{stage}.{count}.conv1.weight", out _)) count++;
        return count;
    }

    static string Text(IEnumerable<int> blocks) => string.Join(", ", blocks);
}
