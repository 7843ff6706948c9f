// OpenCV's 8-bit HSV: hue in degrees / 2 (0 to 179), saturation and value 0 to 255, by 12-bit fixed-point quotients.
// Not Pillow's, which has hue in 256ths of a turn and truncates (PillowHsv).
namespace EpSam.Native.Preprocess;

/// <summary>OpenCV's cvtColor(COLOR_RGB2HSV) of 8-bit pixels. Exact.</summary>
public static class CvHsv
{
    const int Bits = 12, HalfUnit = 1 << (Bits - 1);
    static readonly int[] SaturationFactors = Factors(255 << Bits);
    static readonly int[] HueFactors = Factors((180 << Bits) / 6.0);

    /// <summary>Pixels (n, 3) of red, green, blue to hue, saturation, value. In place is allowed.</summary>
    public static void FromRgb(ReadOnlySpan<byte> rgb, Span<byte> hsv)
    {
        Pixels.Check("CvHsv", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        Pixels.Check("CvHsv", nameof(hsv), hsv.Length, rgb.Length / 3, 1, 3);
        for (int i = 0; i < rgb.Length; i += 3)
        {
            (int r, int g, int b) = (rgb[i], rgb[i + 1], rgb[i + 2]);
            int value = Math.Max(r, Math.Max(g, b)), range = value - Math.Min(r, Math.Min(g, b));
            int sector = value == r ? g - b : value == g ? b - r + 2 * range : r - g + 4 * range;
            int hue = (sector * HueFactors[range] + HalfUnit) >> Bits;
            (hsv[i], hsv[i + 1]) = ((byte)(hue < 0 ? hue + 180 : hue), Saturation(range, value));
            hsv[i + 2] = (byte)value;
        }
    }

    /// <summary>Only the saturation, which is the same for pixels with red and blue exchanged.</summary>
    public static void Saturation(ReadOnlySpan<byte> rgb, Span<byte> saturation)
    {
        Pixels.Check("CvHsv", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        Pixels.Check("CvHsv", nameof(saturation), saturation.Length, rgb.Length / 3, 1);
        for (int i = 0, o = 0; i < rgb.Length; i += 3, o++)
        {
            (byte r, byte g, byte b) = (rgb[i], rgb[i + 1], rgb[i + 2]);
            int value = Math.Max(r, Math.Max(g, b));
            saturation[o] = Saturation(value - Math.Min(r, Math.Min(g, b)), value);
        }
    }

    static byte Saturation(int range, int value) => (byte)((range * SaturationFactors[value] + HalfUnit) >> Bits);

    static int[] Factors(double one)
    {
        int[] factors = new int[256];
        for (int i = 1; i < 256; i++) factors[i] = (int)Math.Round(one / i);
        return factors;
    }
}
