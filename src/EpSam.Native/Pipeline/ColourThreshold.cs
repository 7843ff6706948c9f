// What colour alone tells about pixels: one channel, smoothed, against one threshold. The best of all channels,
// amounts of smoothing, thresholds and directions is chosen with the truth of the very images that it is judged on, so
// that its figures are the most that such a rule can have: an unfair advantage that learned masks have to beat.
using System.Buffers;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Pipeline;

/// <summary>What is thresholded.</summary>
public enum ColourChannel
{
    /// <summary>Red.</summary>
    Red,
    /// <summary>Green.</summary>
    Green,
    /// <summary>Blue.</summary>
    Blue,
    /// <summary>Luminance.</summary>
    Grey,
    /// <summary>Saturation of HSV.</summary>
    Saturation,
    /// <summary>Half of red minus blue, and 128.</summary>
    RedMinusBlue,
}

/// <summary>A channel, smoothed, above or below a threshold.</summary>
/// <param name="Channel">The channel.</param>
/// <param name="Smoothing">Radius r in pixels: three means over squares of 2·r + 1, nearly a Gaussian.</param>
/// <param name="Threshold">In sixty-fourths of a grey level.</param>
/// <param name="IsAbove">Tumour is from the threshold on; else below it.</param>
public sealed record ColourThreshold(ColourChannel Channel, int Smoothing, int Threshold, bool IsAbove)
{
    const int Scale = 64;

    /// <summary>Levels that a smoothed channel may have.</summary>
    internal const int Levels = 255 * Scale + 1;

    /// <summary>The mask of an image, 0 and 1.</summary>
    public byte[] Mask(ReadOnlySpan<byte> rgb, int height, int width)
    {
        byte[] mask = new byte[height * width];
        Mask(rgb, height, width, mask);
        return mask;
    }

    /// <summary>The same into memory of the caller's.</summary>
    internal void Mask(ReadOnlySpan<byte> rgb, int height, int width, Span<byte> mask)
    {
        ushort[] rented = ArrayPool<ushort>.Shared.Rent(mask.Length);
        Span<ushort> levels = rented.AsSpan(0, mask.Length);
        Of(rgb, Channel, levels);
        ColourSmoothing.Apply(levels, height, width, Smoothing);
        for (int i = 0; i < mask.Length; i++) mask[i] = levels[i] >= Threshold == IsAbove ? (byte)1 : (byte)0;
        ArrayPool<ushort>.Shared.Return(rented);
    }

    /// <summary>For people.</summary>
    public override string ToString()
    {
        string name = Channel switch
        {
            ColourChannel.Grey => "luminance", ColourChannel.RedMinusBlue => "(red - blue) / 2 + 128",
            _ => Channel.ToString().ToLowerInvariant(),
        };
        double deviation = Math.Sqrt(Smoothing * (Smoothing + 1.0));   // of three means, each (side² - 1) / 12
        string smoothing = Smoothing == 0 ? "" : FormattableString.Invariant($" smoothed (σ {deviation:0.#} pixels),");
        double level = (double)Threshold / Scale;
        return FormattableString.Invariant($"{name},{smoothing} {(IsAbove ? "from" : "below")} {level:0.##} of 255");
    }

    /// <summary>A channel, 0 to 255 in sixty-fourths.</summary>
    internal static void Of(ReadOnlySpan<byte> rgb, ColourChannel channel, Span<ushort> levels)
    {
        if (channel == ColourChannel.Saturation)
        {
            Span<byte> saturation = stackalloc byte[256];
            for (int i = 0; i < levels.Length; i++)
            {
                int at = i % saturation.Length, count = Math.Min(saturation.Length, levels.Length - i);
                if (at == 0) CvHsv.Saturation(rgb.Slice(3 * i, 3 * count), saturation[..count]);
                levels[i] = (ushort)(saturation[at] * Scale);
            }
            return;
        }
        for (int i = 0, at = 0; i < levels.Length; i++, at += 3)
        {
            levels[i] = (ushort)(channel switch
            {
                ColourChannel.Grey => Grayscale.Of(rgb[at], rgb[at + 1], rgb[at + 2]) * Scale,
                ColourChannel.RedMinusBlue => (rgb[at] - rgb[at + 2]) * (Scale / 2) + 128 * Scale - Scale / 2,
                _ => rgb[at + (int)channel] * Scale,
            });
        }
    }
}
