// Formats are told by their first bytes and never by the file's name. libvips's own search is not used: it would ask
// every loader it was built with, ImageMagick among them, about a file nobody vouches for.
namespace EpSam.Imaging;

/// <summary>A format by its signature; Loader is null for those that are known but not read.</summary>
internal sealed record ImageFormat(string Name, string? Loader)
{
    /// <summary>Enough bytes to tell any of them.</summary>
    public const int SignatureBytes = 16;

    static readonly ImageFormat Png = new("PNG", "pngload");
    static readonly ImageFormat Jpeg = new("JPEG", "jpegload");
    static readonly ImageFormat Tiff = new("TIFF", "tiffload");
    static readonly ImageFormat WebP = new("WebP", "webpload");

    /// <summary>The format of a file that begins with <paramref name="head"/>; null when none is recognised.</summary>
    public static ImageFormat? Of(ReadOnlySpan<byte> head) =>
        head.StartsWith((ReadOnlySpan<byte>)[0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) ? Png
        : head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]) ? Jpeg
        : IsTiff(head) ? Tiff
        : head.StartsWith("RIFF"u8) && At(head, 8, "WEBP"u8) ? WebP
        : Unread(head) is string name ? new ImageFormat(name, null)
        : null;

    // II or MM, then 42 (classic) or 43 (BigTIFF) in that byte order.
    static bool IsTiff(ReadOnlySpan<byte> head) => head.Length >= 4
        && ((head[0] == 'I' && head[1] == 'I' && head[2] is 42 or 43 && head[3] == 0)
            || (head[0] == 'M' && head[1] == 'M' && head[2] == 0 && head[3] is 42 or 43));

    static string? Unread(ReadOnlySpan<byte> head) =>
        head.StartsWith("GIF8"u8) ? "GIF"
        : head.StartsWith("BM"u8) ? "BMP"
        : head.StartsWith("%PDF"u8) ? "PDF"
        : head.StartsWith("8BPS"u8) ? "Photoshop"
        : At(head, 4, "ftyp"u8) ? "HEIF, AVIF or video"
        : At(head, 4, "jP  "u8) || head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0x4F, 0xFF, 0x51]) ? "JPEG 2000"
        : At(head, 4, "JXL "u8) || head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0x0A]) ? "JPEG XL"
        : head.StartsWith("#?RADIANCE"u8) ? "Radiance HDR"
        : IsPnm(head) ? "PNM"
        : null;

    static bool IsPnm(ReadOnlySpan<byte> head) => head.Length >= 3
        && head[0] == 'P' && head[1] is >= (byte)'1' and <= (byte)'6' && head[2] is 10 or 13 or 32;

    static bool At(ReadOnlySpan<byte> head, int offset, ReadOnlySpan<byte> text) =>
        head.Length >= offset && head[offset..].StartsWith(text);
}
