using EpSam.Native.Prompts;

namespace EpSam.Native.Models.ResNet;

/// <summary>Where in an image the classifier sees tumour: a map of a sixteenth of the image's sides.</summary>
/// <param name="Map">(Height, Width): 0 to 255, in each orientation of the image stretched to its own range.</param>
/// <param name="Height">Rows of the map.</param>
/// <param name="Width">Columns of the map.</param>
/// <param name="ImageHeight">Rows of the image.</param>
/// <param name="ImageWidth">Columns of the image.</param>
public sealed record ActivationMap(byte[] Map, int Height, int Width, int ImageHeight, int ImageWidth)
{
    /// <summary>
    /// (Height, Width): the classifier's own logit at each position, the mean of the orientations; null when the map
    /// was read from a file.
    /// </summary>
    public float[]? Logits { get; init; }

    /// <summary>Whether no position shows tumour at all.</summary>
    public bool IsEmpty => !Map.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>
    /// The same map with the classifier's probability at each position, 0 to 255: between images its values are
    /// comparable, and an image without tumour is dark.
    /// </summary>
    public ActivationMap OfProbabilities() => this with
    {
        Map = [.. (Logits ?? throw new InvalidOperationException("a map that was read from a file has no logits"))
            .Select(logit => (byte)(255 / (1 + Math.Exp(-logit))))],
    };

    /// <summary>A first mask of the image by a rule, 0 or 1.</summary>
    public byte[] Mask(CamMaskRule rule)
    {
        byte[] mask = new byte[ImageHeight * ImageWidth];
        if (rule.Logit is null) rule.Apply(Map, Height, Width, ImageHeight, ImageWidth, mask);
        else
        {
            float[] logits = Logits
                ?? throw new InvalidOperationException("a map that was read from a file has no logits for this rule");
            rule.ApplyToLogits(logits, Height, Width, ImageHeight, ImageWidth, mask);
        }
        return mask;
    }

    /// <summary>The map stretched to 0 to 1 at the image's resolution: what points are drawn by.</summary>
    public float[] Probabilities()
    {
        float[] normalized = new float[ImageHeight * ImageWidth];
        CamMap.Normalize(Map, Height, Width, ImageHeight, ImageWidth, normalized);
        return normalized;
    }

    /// <summary>Different pixels of a mask (0 outside), drawn by the map. The same seed gives the same.</summary>
    public (int X, int Y)[] Points(ReadOnlySpan<byte> mask, int count, ulong seed) =>
        PointPrompts.Weighted(Probabilities(), mask, ImageHeight, ImageWidth, count, seed);
}
