using EpSam.Native.Preprocess;

namespace EpSam.Native.Masks;

/// <summary>Paints a map of levels over RGB pixels.</summary>
public static class HeatMap
{
    // Between dark blue and yellow by way of green: lightness grows evenly (after matplotlib's viridis).
    static readonly (int R, int G, int B)[] Ramp =
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99),
        (170, 220, 50), (253, 231, 37),
    ];

    /// <summary>The colour of a level.</summary>
    public static (byte R, byte G, byte B) Colour(byte level)
    {
        int position = level * (Ramp.Length - 1), at = Math.Min(position / 255, Ramp.Length - 2);
        int part = position - at * 255;
        return (Mix(Ramp[at].R, Ramp[at + 1].R), Mix(Ramp[at].G, Ramp[at + 1].G), Mix(Ramp[at].B, Ramp[at + 1].B));

        byte Mix(int from, int to) => (byte)((from * (255 - part) + to * part) / 255);
    }

    /// <summary>
    /// Three fifths of a map's colours over <paramref name="rgb"/> (height, width, 3), in place. The map (rows,
    /// columns) is resized to the picture.
    /// </summary>
    public static void Paint(Span<byte> rgb, int height, int width, ReadOnlySpan<byte> map, int rows, int columns)
    {
        byte[] large = new byte[height * width];
        CvResize.Linear(map, rows, columns, 1, height, width, large);
        for (int i = 0; i < large.Length; i++)
        {
            (byte r, byte g, byte b) = Colour(large[i]);
            rgb[3 * i] = (byte)((rgb[3 * i] * 2 + r * 3) / 5);
            rgb[3 * i + 1] = (byte)((rgb[3 * i + 1] * 2 + g * 3) / 5);
            rgb[3 * i + 2] = (byte)((rgb[3 * i + 2] * 2 + b * 3) / 5);
        }
    }
}
