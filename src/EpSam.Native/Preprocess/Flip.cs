namespace EpSam.Native.Preprocess;

/// <summary>Mirror images of (height, width, channels). Destinations must not overlap sources.</summary>
public static class Flip
{
    /// <summary>Left and right exchanged.</summary>
    public static void Horizontal<T>(ReadOnlySpan<T> source, int height, int width, int channels, Span<T> destination)
    {
        Check(source.Length, height, width, channels, destination.Length);
        for (int y = 0, o = 0; y < height; y++)
            for (int x = width - 1; x >= 0; x--, o += channels)
                source.Slice((y * width + x) * channels, channels).CopyTo(destination[o..]);
    }

    /// <summary>Top and bottom exchanged.</summary>
    public static void Vertical<T>(ReadOnlySpan<T> source, int height, int width, int channels, Span<T> destination)
    {
        Check(source.Length, height, width, channels, destination.Length);
        int stride = width * channels;
        for (int y = 0; y < height; y++)
            source.Slice((height - 1 - y) * stride, stride).CopyTo(destination[(y * stride)..]);
    }

    static void Check(int length, int height, int width, int channels, int newLength)
    {
        Pixels.Check("Flip", "source", length, height, width, channels);
        Pixels.Check("Flip", "destination", newLength, height, width, channels);
    }
}
