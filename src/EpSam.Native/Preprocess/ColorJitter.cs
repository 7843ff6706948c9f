// torchvision's colour jitter of Pillow images, as EP-SAM trains with it. Factors and their order are drawn by the
// caller: torchvision draws each of brightness, contrast and saturation from [1 - j, 1 + j], hue from [-j, j], and
// applies the four in random order.
namespace EpSam.Native.Preprocess;

/// <summary>
/// torchvision's adjust_brightness, adjust_contrast, adjust_saturation and adjust_hue of (n, 3) pixels, in place.
/// Bit-exact to Pillow images.
/// </summary>
public static class ColorJitter
{
    /// <summary>From black (0) over the image (1) to brighter.</summary>
    public static void Brightness(Span<byte> rgb, double factor) => Levels(rgb, 0, Checked(factor));

    /// <summary>From the mean grey of the image (0) over the image (1) to more contrast.</summary>
    public static void Contrast(Span<byte> rgb, double factor)
    {
        Pixels.Check("ColorJitter", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        long sum = 0;
        for (int i = 0; i < rgb.Length; i += 3) sum += Grayscale.Of(rgb[i], rgb[i + 1], rgb[i + 2]);
        Levels(rgb, (byte)((double)sum / (rgb.Length / 3) + 0.5), Checked(factor));
    }

    /// <summary>From grey (0) over the image (1) to stronger colours.</summary>
    public static void Saturation(Span<byte> rgb, double factor)
    {
        Pixels.Check("ColorJitter", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        float share = Checked(factor);
        float[] steps = new float[511]; // what is added to the grey, by the distance from it
        for (int i = 0; i < steps.Length; i++) steps[i] = share * (i - 255);
        for (int i = 0; i < rgb.Length; i += 3)
        {
            byte grey = Grayscale.Of(rgb[i], rgb[i + 1], rgb[i + 2]);
            for (int c = i; c < i + 3; c++)
            {
                float value = grey + steps[rgb[c] - grey + 255];
                rgb[c] = value <= 0 ? (byte)0 : value >= 255 ? (byte)255 : (byte)value;
            }
        }
    }

    /// <summary>Turns the hue by a share of the circle, through Pillow's 8-bit HSV even when it is 0.</summary>
    /// <param name="rgb">(n, 3).</param>
    /// <param name="factor">-0.5 to 0.5.</param>
    public static void Hue(Span<byte> rgb, double factor)
    {
        Pixels.Check("ColorJitter", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        if (!(factor is >= -0.5 and <= 0.5))
            throw new ArgumentOutOfRangeException(nameof(factor), factor, "must be -0.5 to 0.5");
        int shift = (int)(factor * 255);
        for (int i = 0; i < rgb.Length; i += 3)
        {
            (byte h, byte s, byte v) = PillowHsv.FromRgb(rgb[i], rgb[i + 1], rgb[i + 2]);
            (rgb[i], rgb[i + 1], rgb[i + 2]) = PillowHsv.ToRgb(unchecked((byte)(h + shift)), s, v);
        }
    }

    static float Checked(double factor) => factor is >= 0 and < double.PositiveInfinity
        ? (float)factor : throw new ArgumentOutOfRangeException(nameof(factor), factor, "must not be negative");

    static void Levels(Span<byte> rgb, byte level, float factor)
    {
        byte[] table = new byte[256];
        for (int i = 0; i < 256; i++) table[i] = Blend(level, (byte)i, factor);
        for (int i = 0; i < rgb.Length; i++) rgb[i] = table[rgb[i]];
    }

    // Pillow's Image.blend: float arithmetic, truncated; beyond the two images clipped.
    static byte Blend(byte from, byte to, float share) => (byte)Math.Clamp(from + share * (to - from), 0f, 255f);
}
