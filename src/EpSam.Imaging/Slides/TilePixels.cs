// What is done to the pixels of a pyramid's tile: filled beyond the slide's edges, halved, encoded.
using System.IO.Compression;

namespace EpSam.Imaging.Slides;

/// <summary>Tiles are (tile, tile, channels).</summary>
internal static class TilePixels
{
    /// <summary>Colours of JPEG tiles have half the resolution in both directions.</summary>
    public static bool IsSubsampled(PyramidOptions options) => options.Quality < 90;

    /// <summary>Samples are stored as differences to their left neighbours (TIFF 6.0, section 14).</summary>
    public static bool IsDifferenced(PyramidOptions options) =>
        options.Compression == PyramidCompression.Deflate && !options.IsClasses;

    /// <summary>Repeats the last inner column and row to the tile's edges: no edge that JPEG would smear.</summary>
    public static void Pad(Span<byte> pixels, int tile, int channels, int width, int height)
    {
        int stride = tile * channels;
        for (int y = 0; y < height && width < tile; y++)
        {
            Span<byte> row = pixels.Slice(y * stride, stride);
            for (int i = width * channels; i < stride; i++) row[i] = row[i - channels];
        }
        for (int y = height; y < tile; y++)
            pixels.Slice((height - 1) * stride, stride).CopyTo(pixels[(y * stride)..]);
    }

    /// <summary>To (tile / 2, tile / 2, channels).</summary>
    public static void Halve(ReadOnlySpan<byte> pixels, Span<byte> half, int tile, int channels, bool isClasses)
    {
        int stride = tile * channels;
        for (int y = 0; y < tile / 2; y++)
        {
            ReadOnlySpan<byte> upper = pixels.Slice(2 * y * stride, stride);
            ReadOnlySpan<byte> lower = pixels.Slice((2 * y + 1) * stride, stride);
            Span<byte> to = half.Slice(y * stride / 2, stride / 2);
            for (int x = 0, at = 0; x < stride; x += 2 * channels)
                for (int i = x; i < x + channels; i++, at++)
                {
                    byte a = upper[i], b = upper[i + channels], c = lower[i], d = lower[i + channels];
                    to[at] = isClasses ? Third(a, b, c, d) : (byte)((a + b + c + d + 2) >> 2);
                }
        }
    }

    // The middle two are the greater of both pairs' lesser and the lesser of both pairs' greater.
    static byte Third(byte a, byte b, byte c, byte d) => Math.Max(
        Math.Max(Math.Min(a, b), Math.Min(c, d)), Math.Min(Math.Max(a, b), Math.Max(c, d)));

    public static byte[] Encode(ReadOnlySpan<byte> pixels, PyramidOptions options, int channels)
    {
        int tile = options.Tile;
        if (options.Compression == PyramidCompression.Jpeg)
            return ImageWriter.EncodeJpeg(pixels, tile, tile, channels, options.Quality, IsSubsampled(options));
        using MemoryStream encoded = new();
        using (ZLibStream zlib = new(encoded, CompressionLevel.Optimal))
        {
            if (IsDifferenced(options)) zlib.Write(Differences(pixels, tile, channels));
            else zlib.Write(pixels);
        }
        return encoded.ToArray();
    }

    static byte[] Differences(ReadOnlySpan<byte> pixels, int tile, int channels)
    {
        byte[] differences = pixels.ToArray();
        int stride = tile * channels;
        for (int start = 0; start < differences.Length; start += stride)
            for (int i = start + channels; i < start + stride; i++)
                differences[i] = (byte)(pixels[i] - pixels[i - channels]);
        return differences;
    }
}
