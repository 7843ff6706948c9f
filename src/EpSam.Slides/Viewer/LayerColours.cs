// Values of 8 bits to colours with alpha. The page shows layers over an H&E slide, which is pink and violet: blue to
// yellow differs from it everywhere, also to eyes that do not tell red from green.
using EpSam.Imaging;

namespace EpSam.Slides.Viewer;

/// <summary>What a layer's values look like.</summary>
internal static class LayerColours
{
    const int Unsure = 10, Opaque = 110; // alpha rises between these values of 255
    const double MostAlpha = 235;
    static readonly (double At, int Rgb)[] HeatStops =
        [(0, 0x2C3E9E), (0.25, 0x1F78B4), (0.5, 0x1FA88F), (0.75, 0x9BD43A), (1, 0xFFF23D)];

    /// <summary>The tint of tumour, as in overlays of masks.</summary>
    public const int Tumour = 0x28BEFF;

    /// <summary>Blue to yellow; transparent where tumour is very unlikely.</summary>
    public static readonly uint[] Heat = [.. Enumerable.Range(0, 256).Select(v =>
        Rgba(HeatAt(v / 255.0), (int)(MostAlpha * Math.Clamp((v - Unsure) / (double)(Opaque - Unsure), 0, 1))))];

    /// <summary>One colour; what is half covered is half transparent.</summary>
    public static readonly uint[] Tint = [.. Enumerable.Range(0, 256).Select(v => Rgba(Tumour, v))];

    /// <summary>The heat map's colours from 0 to 1, for a legend.</summary>
    public static IEnumerable<string> Legend => HeatStops.Select(s => $"#{s.Rgb:x6}");

    /// <summary>A PNG of (height, width, 1); null when all of it is transparent.</summary>
    public static byte[]? Encode(ReadOnlySpan<byte> values, int width, int height, uint[] colours)
    {
        byte[] rgba = new byte[4 * values.Length];
        bool isVisible = false;
        for (int i = 0; i < values.Length; i++)
        {
            uint colour = colours[values[i]];
            if (colour >> 24 == 0) continue;
            isVisible = true;
            (rgba[4 * i], rgba[4 * i + 1]) = ((byte)colour, (byte)(colour >> 8));
            (rgba[4 * i + 2], rgba[4 * i + 3]) = ((byte)(colour >> 16), (byte)(colour >> 24));
        }
        return isVisible ? ImageWriter.EncodePng(rgba, width, height, channels: 4) : null;
    }

    // Red in the lowest byte, alpha in the highest; what is transparent has no colour, which PNG packs better.
    static uint Rgba(int rgb, int alpha) => alpha == 0 ? 0
        : (uint)alpha << 24 | (uint)(rgb & 255) << 16 | (uint)(rgb >> 8 & 255) << 8 | (uint)(rgb >> 16 & 255);

    static int HeatAt(double share)
    {
        int i = 1;
        while (i + 1 < HeatStops.Length && HeatStops[i].At < share) i++;
        ((double from, int low), (double to, int high)) = (HeatStops[i - 1], HeatStops[i]);
        double t = (share - from) / (to - from);
        int rgb = 0;
        for (int shift = 16; shift >= 0; shift -= 8)
        {
            (int a, int b) = (low >> shift & 255, high >> shift & 255);
            rgb = rgb << 8 | (int)Math.Round(a + t * (b - a));
        }
        return rgb;
    }
}
