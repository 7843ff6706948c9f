namespace EpSam.Native.Preprocess;

/// <summary>Pillow's convert("L"): ITU-R 601 luma in 16-bit fixed point. Bit-exact.</summary>
public static class Grayscale
{
    /// <summary>The luma of a pixel.</summary>
    public static byte Of(byte r, byte g, byte b) => (byte)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);

    /// <summary>
    /// Every pixel of (n, 3) becomes its luma three times, in place: torchvision's RandomGrayscale when it strikes.
    /// </summary>
    public static void Apply(Span<byte> rgb)
    {
        Pixels.Check("Grayscale", nameof(rgb), rgb.Length, rgb.Length / 3, 1, 3);
        for (int i = 0; i < rgb.Length; i += 3) rgb.Slice(i, 3).Fill(Of(rgb[i], rgb[i + 1], rgb[i + 2]));
    }
}
