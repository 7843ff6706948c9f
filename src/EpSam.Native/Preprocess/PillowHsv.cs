// Pillow's 8-bit HSV: hue, saturation and value 0 to 255, truncated, from floats. Not OpenCV's (CvHsv). Which steps are
// float and which double decides pixels at the borders of levels: all 2^24 colours are as in Pillow 9.4, there and
// back.
namespace EpSam.Native.Preprocess;

/// <summary>Pillow's convert("HSV") and back, of 8-bit pixels. Bit-exact.</summary>
public static class PillowHsv
{
    /// <summary>Red, green, blue to hue, saturation, value.</summary>
    public static (byte H, byte S, byte V) FromRgb(byte r, byte g, byte b)
    {
        byte most = Math.Max(r, Math.Max(g, b)), least = Math.Min(r, Math.Min(g, b));
        if (most == least) return (0, 0, most);
        float range = most - least, saturation = range / most;
        float red = (most - r) / range, green = (most - g) / range, blue = (most - b) / range;
        float sector = r == most ? blue - green
            : g == most ? (float)(2.0 + red - blue)
            : (float)(4.0 + green - red);
        double turns = sector / 6.0 + 1.0; // in [5/6, 11/6]: taking 1 off is exact, as the remainder of Pillow is
        float hue = (float)(turns >= 1 ? turns - 1 : turns);
        return ((byte)(hue * 255.0), (byte)(saturation * 255.0), most);
    }

    /// <summary>Hue, saturation, value to red, green, blue.</summary>
    public static (byte R, byte G, byte B) ToRgb(byte h, byte s, byte v)
    {
        if (s == 0) return (v, v, v);
        double turn = h * 6.0 / 255.0;
        int sector = (int)turn;
        float rest = (float)(turn - sector), saturation = (float)(s / 255.0);
        byte p = Rounded(v * (1.0 - saturation));
        byte q = Rounded(v * (1.0 - (double)saturation * rest));
        byte t = Rounded(v * (1.0 - saturation * (1.0 - rest)));
        return (sector % 6) switch
        {
            0 => (v, t, p),
            1 => (q, v, p),
            2 => (p, v, t),
            3 => (p, q, v),
            4 => (t, p, v),
            _ => (v, p, q),
        };
    }

    static byte Rounded(double value) => (byte)Math.Clamp((int)Math.Floor(value + 0.5), 0, 255);
}
