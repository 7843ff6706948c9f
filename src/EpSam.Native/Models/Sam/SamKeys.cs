// Which SAM a checkpoint is. Names and shapes are compared with what the model declares before anything is planned or
// allocated; when they differ, the message names them and looks for the type that does fit.
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

internal static class SamKeys
{
    /// <summary>
    /// The sizes of the model that the source is; throws when it is none, or not the one that is asked for.
    /// </summary>
    /// <param name="source">The parameters.</param>
    /// <param name="config">What is asked for; null: what the shapes tell.</param>
    /// <param name="what">What messages call the source.</param>
    public static SamConfig Require(IParameterSource source, SamConfig? config, string what)
    {
        if (source.Names.Any() && source.Names.All(n => n.StartsWith("mask_decoder.", StringComparison.Ordinal)))
        {
            throw new CheckpointException(CheckpointError.KeysDiffer,
                $"{what} is a mask decoder alone; load a whole model and give this as overlay");
        }
        if (!source.Names.Any(n => n.StartsWith("image_encoder.", StringComparison.Ordinal)))
            Compare(source, config ?? SamConfig.VitB).Require($"{what} is no SAM, it has no image encoder");
        SamConfig sizes = config ?? Infer(source, what);
        sizes.CheckDecoder();
        KeyComparison keys = Compare(source, sizes);
        if (!keys.IsMatch) keys.Require($"{what} is not {Name(sizes)}", Advice(source, config is not null));
        return sizes;
    }

    static SamConfig Infer(IParameterSource source, string what)
    {
        try
        {
            SamConfig sizes = SamConfig.Infer(source);
            sizes.CheckDecoder();
            return sizes;
        }
        catch (SamConfigException e)
        {
            throw new SamConfigException($"{what}: {e.Message}; shapes do not tell decoder_heads, 8 was taken: if it "
                + "has others, give its sizes");
        }
    }

    /// <summary>Against the names and shapes that a model of these sizes declares.</summary>
    static KeyComparison Compare(IParameterSource source, SamConfig config)
    {
        KeyComparison? keys = null;
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            SamNetwork.Declare(config, parameters);
            // Constants that some tools save with the model; the reference itself does not.
            keys = parameters.Compare(source, name => name is "pixel_mean" or "pixel_std");
        });
        return keys!;
    }

    static string Advice(IParameterSource source, bool asked)
    {
        (string Name, int Differences) nearest = ("", int.MaxValue);
        foreach ((string name, SamConfig config) in SamConfig.Published)
        {
            int differences = Compare(source, config).Differences;
            if (differences == 0) return $"it is {name}";
            if (differences < nearest.Differences) nearest = (name, differences);
        }
        if (asked && FitsItself(source)) return "it fits the sizes that its own shapes tell: give none";
        return $"of the published models {nearest.Name} is nearest, with {nearest.Differences} differences";
    }

    static bool FitsItself(IParameterSource source)
    {
        try
        {
            return Compare(source, SamConfig.Infer(source)).IsMatch;
        }
        catch (SamConfigException)
        {
            return false;
        }
    }

    static string Name(SamConfig config) =>
        SamConfig.Published.FirstOrDefault(p => p.Value == config).Key ?? "of the sizes that were given";
}
