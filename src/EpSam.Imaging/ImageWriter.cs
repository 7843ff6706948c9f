// Writing: encoded in memory, written beside the target, flushed to disk, renamed. A reader sees the old file or the
// whole new one. Metadata is never written, so the same pixels give the same bytes.
using static EpSam.Imaging.Vips;

namespace EpSam.Imaging;

/// <summary>
/// Encodes 8-bit pixels, (Height, Width, Channels) with 1 or 3 channels, for PNG 4 too: the fourth is alpha, colours
/// are not premultiplied. Thread-safe.
/// </summary>
public static unsafe class ImageWriter
{
    const string Png = "pngsave_buffer";

    /// <summary>PNG in memory; <paramref name="effort"/> is zlib's, from 0 (not compressed) to 9.</summary>
    /// <exception cref="ImagingException">libvips is missing or refuses.</exception>
    public static byte[] EncodePng(ReadOnlySpan<byte> pixels, int width, int height, int channels, int effort = 6)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(effort);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(effort, 9);
        return Encode(Png, pixels, width, height, channels, ("compression", $"{effort}"), ("strip", "true"));
    }

    /// <summary>JPEG in memory, without chroma subsampling from quality 90 on.</summary>
    /// <exception cref="ImagingException">libvips is missing or refuses; JPEG ends at 65,535 a side.</exception>
    public static byte[] EncodeJpeg(ReadOnlySpan<byte> pixels, int width, int height, int channels, int quality = 90)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(quality, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(quality, 100);
        return EncodeJpeg(pixels, width, height, channels, quality, isSubsampled: quality < 90);
    }

    /// <summary>The same, told whether colours have half the resolution in both directions.</summary>
    internal static byte[] EncodeJpeg(
        ReadOnlySpan<byte> pixels, int width, int height, int channels, int quality, bool isSubsampled) =>
        Encode("jpegsave_buffer", pixels, width, height, channels, ("Q", $"{quality}"), ("strip", "true"),
            ("subsample_mode", isSubsampled ? "on" : "off"));

    /// <summary>Writes a PNG file.</summary>
    /// <exception cref="ImagingException">libvips is missing or refuses.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void WritePng(string path, ReadOnlySpan<byte> pixels, int width, int height, int channels) =>
        Replace(path, EncodePng(pixels, width, height, channels));

    /// <summary>Writes a PNG file.</summary>
    /// <exception cref="ImagingException">libvips is missing or refuses.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void WritePng(string path, Raster image)
    {
        ArgumentNullException.ThrowIfNull(image);
        WritePng(path, image.Pixels, image.Width, image.Height, image.Channels);
    }

    /// <summary>Writes a JPEG file.</summary>
    /// <exception cref="ImagingException">libvips is missing or refuses.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void WriteJpeg(
        string path, ReadOnlySpan<byte> pixels, int width, int height, int channels, int quality = 90) =>
        Replace(path, EncodeJpeg(pixels, width, height, channels, quality));

    static byte[] Encode(string saver, ReadOnlySpan<byte> pixels, int width, int height, int channels,
        params ReadOnlySpan<(string Name, string Value)> arguments)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        bool hasAlpha = channels == 4 && saver == Png;
        if (channels is not (1 or 3) && !hasAlpha)
        {
            string expected = saver == Png ? "1, 3 or 4" : "1 or 3";
            throw new ArgumentException($"channels must be {expected}, got {channels}", nameof(channels));
        }
        if (pixels.Length != (long)width * height * channels)
        {
            throw new ArgumentException(
                $"{width} x {height} x {channels} needs {(long)width * height * channels} bytes, got {pixels.Length}",
                nameof(pixels));
        }
        Require();
        fixed (byte* data = pixels)
        {
            using VipsScope scope = new($"{width} x {height} image");
            nint image = scope.View(data, width, height, channels);
            // Without a meaning the bands would be written as they come, and JPEG would take them for YCbCr.
            string meaning = channels >= 3 ? "srgb" : "b-w";
            image = scope.Run(ImagingError.CannotEncode, "copy", image, ("interpretation", meaning));
            return scope.Encode(saver, image, arguments);
        }
    }

    static void Replace(string path, byte[] content)
    {
        string full = Path.GetFullPath(path);
        string beside = Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetFileName(full)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (FileStream file = new(beside, FileMode.CreateNew, FileAccess.Write))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }
            File.Move(beside, full, overwrite: true);
        }
        catch
        {
            File.Delete(beside);
            throw;
        }
    }
}
