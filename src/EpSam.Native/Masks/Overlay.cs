// Masks painted over a picture. Colours come from a fixed sequence: hues a golden ratio of the circle apart, so that
// neighbours in the sequence differ and the same masks give the same picture.
namespace EpSam.Native.Masks;

/// <summary>Paints masks over RGB pixels.</summary>
public static class Overlay
{
    /// <summary>The colour of mask <paramref name="index"/>.</summary>
    public static (byte R, byte G, byte B) Colour(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        double hue = (0.58 + index * 0.6180339887498949) % 1 * 6;
        // Every third a little darker, so that hues that come near each other again can be told apart.
        double value = 1 - 0.18 * (index / 3 % 3), low = value * 0.15;
        return (Channel(5), Channel(3), Channel(1));

        byte Channel(double n)
        {
            double k = (n + hue) % 6;
            return (byte)(255 * (value - (value - low) * Math.Clamp(Math.Min(k, 4 - k), 0, 1)) + 0.5);
        }
    }

    /// <summary>
    /// Blends a colour over <paramref name="rgb"/> (height, width, 3) where <paramref name="mask"/> (height, width)
    /// is set.
    /// </summary>
    /// <param name="rgb">Changed in place.</param>
    /// <param name="mask">Any value but 0 is set.</param>
    /// <param name="height">Rows of both.</param>
    /// <param name="width">Columns of both.</param>
    /// <param name="colour">The colour, of <see cref="Colour"/> or any other.</param>
    /// <param name="alpha">0 leaves the picture as it is, 1 covers it.</param>
    /// <param name="outline">Draw the mask's outermost pixels in the full colour.</param>
    public static void Paint(Span<byte> rgb, ReadOnlySpan<byte> mask, int height, int width,
        (byte R, byte G, byte B) colour, double alpha = 0.45, bool outline = true)
    {
        if (mask.Length != (long)height * width || rgb.Length != 3L * mask.Length)
        {
            throw new ArgumentException($"Overlay: {height} x {width} needs {3L * height * width} and "
                + $"{(long)height * width} values, got {rgb.Length} and {mask.Length}");
        }
        if (!(alpha is >= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "must be 0 to 1");
        int part = (int)(alpha * 256 + 0.5);
        for (int y = 0, i = 0; y < height; y++)
            for (int x = 0; x < width; x++, i++)
            {
                if (mask[i] == 0) continue;
                int share = outline && IsEdge(mask, height, width, y, x) ? 256 : part;
                rgb[3 * i] = Blend(rgb[3 * i], colour.R, share);
                rgb[3 * i + 1] = Blend(rgb[3 * i + 1], colour.G, share);
                rgb[3 * i + 2] = Blend(rgb[3 * i + 2], colour.B, share);
            }
    }

    static bool IsEdge(ReadOnlySpan<byte> mask, int height, int width, int y, int x)
    {
        int i = y * width + x;
        return (y > 0 && mask[i - width] == 0) || (y < height - 1 && mask[i + width] == 0)
            || (x > 0 && mask[i - 1] == 0) || (x < width - 1 && mask[i + 1] == 0);
    }

    static byte Blend(byte below, byte above, int share) => (byte)((below * (256 - share) + above * share + 128) >> 8);
}
