// Reading: signature, header, limits, then pixels as 8-bit RGB or grey.
// 16-bit samples keep their upper byte (as Pillow does for RGB). CMYK goes through its embedded or libvips's own
// profile; profiles of RGB and grey images are not applied, as neither OpenCV nor Pillow does. Of several pages the
// first is read. Not read: samples of other than 8 or 16 bits without sign, more than four bands, Lab and other colour
// spaces.
using System.Runtime.InteropServices;
using static EpSam.Imaging.Vips;

namespace EpSam.Imaging;

/// <summary>
/// Images from files or memory. Thread-safe; of errors that happen at the same time the texts may mix.
/// </summary>
public static unsafe class ImageReader
{
    /// <summary>The version of libvips that reads and writes images.</summary>
    /// <exception cref="ImagingException">libvips is missing or too old; the message says how
    /// to install it.</exception>
    public static string LibraryVersion
    {
        get
        {
            Require();
            return $"{vips_version(0)}.{vips_version(1)}.{vips_version(2)}";
        }
    }

    /// <summary>Reads (Height, Width, 3).</summary>
    /// <exception cref="ImagingException">It is no image that can be read, or libvips is missing.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static Raster ReadRgb(string path, ImageReadOptions? options = null) => Read(path, 3, options);

    /// <summary>
    /// Reads (Height, Width, 3) from an encoded image in memory; <paramref name="name"/> is for messages.
    /// </summary>
    /// <exception cref="ImagingException">It is no image that can be read, or libvips is missing.</exception>
    public static Raster ReadRgb(
        ReadOnlySpan<byte> encoded, ImageReadOptions? options = null, string name = "image") =>
        Read(encoded, 3, options, name);

    /// <summary>Reads (Height, Width) grey levels: for masks. Colours become their luminance.</summary>
    /// <exception cref="ImagingException">It is no image that can be read, or libvips is missing.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static Raster ReadGrey(string path, ImageReadOptions? options = null) => Read(path, 1, options);

    /// <summary>Reads (Height, Width) grey levels from an encoded image in memory.</summary>
    /// <exception cref="ImagingException">It is no image that can be read, or libvips is missing.</exception>
    public static Raster ReadGrey(
        ReadOnlySpan<byte> encoded, ImageReadOptions? options = null, string name = "image") =>
        Read(encoded, 1, options, name);

    /// <summary>Reads the header alone. Sizes are not limited here.</summary>
    /// <exception cref="ImagingException">It is no image that can be read, or libvips is missing.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static ImageInfo ReadInfo(string path)
    {
        (ImageFormat format, string full) = Identify(path);
        Require();
        using VipsScope scope = new(path);
        return Info(format, scope.Open(format.Loader!, full));
    }

    static Raster Read(string path, int channels, ImageReadOptions? options)
    {
        (ImageFormat format, string full) = Identify(path);
        Require();
        using VipsScope scope = new(path);
        return Decode(scope, path, format, scope.Open(format.Loader!, full), channels, options ?? new());
    }

    static Raster Read(ReadOnlySpan<byte> encoded, int channels, ImageReadOptions? options, string name)
    {
        ImageFormat format = Readable(ImageFormat.Of(encoded), encoded.IsEmpty, name);
        Require();
        fixed (byte* data = encoded)
        {
            using VipsScope scope = new(name);
            nint image = scope.Open(format.Loader!, data, encoded.Length);
            return Decode(scope, name, format, image, channels, options ?? new());
        }
    }

    static (ImageFormat Format, string FullPath) Identify(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] head = new byte[ImageFormat.SignatureBytes];
        using FileStream file = File.OpenRead(path);
        int got = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        return (Readable(ImageFormat.Of(head.AsSpan(0, got)), got == 0, path), Path.GetFullPath(path));
    }

    static ImageFormat Readable(ImageFormat? format, bool empty, string name)
    {
        const string Wanted = "expected PNG, JPEG, TIFF or WebP";
        if (empty) throw new ImagingException(ImagingError.NotAnImage, $"{name}: empty; {Wanted}");
        if (format is null)
            throw new ImagingException(ImagingError.NotAnImage, $"{name}: not an image; {Wanted}");
        return format.Loader is not null ? format
            : throw new ImagingException(ImagingError.Unsupported, $"{name}: {format.Name} is not read; {Wanted}");
    }

    static ImageInfo Info(ImageFormat format, nint image) => new(format.Name,
        vips_image_get_width(image), vips_image_get_height(image), vips_image_get_bands(image),
        (BandFormat)vips_image_get_format(image) switch { BandFormat.UChar => 8, BandFormat.UShort => 16, _ => 0 },
        Math.Clamp(vips_image_get_orientation(image), 1, 8));

    /// <summary>The image with 8-bit samples in one or three bands; nothing is decoded yet.</summary>
    internal static nint Viewable(VipsScope scope, string name, ImageFormat format, nint image)
    {
        ImageInfo info = Info(format, image);
        CheckSamples(info, image, name);
        return ToRgbOrGrey(scope, image, info, Alpha.OverWhite);
    }

    static Raster Decode(
        VipsScope scope, string name, ImageFormat format, nint image, int channels, ImageReadOptions options)
    {
        ImageInfo info = Info(format, image);
        CheckSize(info, name, options.Limits);
        CheckSamples(info, image, name);
        image = ToRgbOrGrey(scope, image, info, options.Alpha);
        if (channels == 1 && vips_image_get_bands(image) == 3)
            image = scope.Run(ImagingError.Damaged, "colourspace", image, ("space", "b-w"));
        Raster raster = Copy(scope, image, channels);
        return options.ApplyOrientation && info.Orientation != 1 ? Turned(raster, info.Orientation) : raster;
    }

    static void CheckSize(ImageInfo info, string name, ImageLimits limits)
    {
        long pixels = (long)info.Width * info.Height, most = Math.Min(limits.MaxPixels, ImageLimits.Ceiling);
        if (pixels > most || Math.Max(info.Width, info.Height) > limits.MaxSide)
        {
            throw new ImagingException(ImagingError.TooLarge,
                $"{name}: {info.Width} x {info.Height} pixels; "
                + $"the limits are {most} pixels and {limits.MaxSide} a side");
        }
    }

    static void CheckSamples(ImageInfo info, nint image, string name)
    {
        if (info.BitsPerSample == 0 || vips_image_get_coding(image) != 0)
        {
            throw new ImagingException(ImagingError.Unsupported,
                $"{name}: samples of type {(BandFormat)vips_image_get_format(image)}; "
                + "expected 8 or 16 bits without sign");
        }
        Interpretation meaning = (Interpretation)vips_image_get_interpretation(image);
        int most = meaning == Interpretation.Cmyk ? 5 : 4;
        string? wrong = !Enum.IsDefined(meaning)
            ? $"colour space {(int)meaning} of libvips; expected grey, RGB or CMYK"
            : info.Bands > most ? $"{info.Bands} bands; expected at most {most}"
            : null;
        if (wrong is not null) throw new ImagingException(ImagingError.Unsupported, $"{name}: {wrong}");
    }

    // Ends with 8-bit samples in one or three bands.
    static nint ToRgbOrGrey(VipsScope scope, nint image, ImageInfo info, Alpha alpha)
    {
        bool cmyk = (Interpretation)vips_image_get_interpretation(image) == Interpretation.Cmyk;
        int colours = cmyk ? 4 : info.Bands <= 2 ? 1 : 3;
        if (cmyk || (alpha == Alpha.Drop && info.Bands > colours))
        {
            if (info.Bands > colours)
                image = scope.Run(ImagingError.Damaged, "extract_band", image, ("band", "0"), ("n", $"{colours}"));
            if (cmyk) image = scope.Run(ImagingError.Damaged, "colourspace", image, ("space", "srgb"));
        }
        else if (info.Bands > colours)
        {
            string white = info.BitsPerSample == 16 ? "65535" : "255";
            image = scope.Run(ImagingError.Damaged, "flatten", image, ("background", white), ("max_alpha", white));
        }
        return (BandFormat)vips_image_get_format(image) == BandFormat.UChar
            ? image
            : scope.Run(ImagingError.Damaged, "cast", image, ("format", "uchar"), ("shift", "true"));
    }

    static Raster Copy(VipsScope scope, nint image, int channels)
    {
        int width = vips_image_get_width(image), height = vips_image_get_height(image);
        byte[] decoded = scope.Pixels(image);
        if (vips_image_get_bands(image) == channels) return new Raster(width, height, channels, decoded);
        byte[] pixels = new byte[checked(width * height * channels)];
        Spread(decoded, pixels);
        return new Raster(width, height, channels, pixels);
    }

    /// <summary>The picture as it is meant to be seen. Exif 2.3, tag 274: 5 to 8 lie on their side.</summary>
    static Raster Turned(Raster from, int orientation)
    {
        (int w, int h, int c) = (from.Width, from.Height, from.Channels);
        (int width, int height) = orientation >= 5 ? (h, w) : (w, h);
        byte[] pixels = new byte[from.Pixels.Length];
        for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
        {
            (int column, int row) = orientation switch
            {
                2 => (w - 1 - x, y), 3 => (w - 1 - x, h - 1 - y), 4 => (x, h - 1 - y), 5 => (y, x),
                6 => (y, h - 1 - x), 7 => (w - 1 - y, h - 1 - x), _ => (w - 1 - y, x),
            };
            for (int band = 0; band < c; band++)
                pixels[((y * width) + x) * c + band] = from.Pixels[((row * w) + column) * c + band];
        }
        return new Raster(width, height, c, pixels);
    }

    static void Spread(ReadOnlySpan<byte> grey, Span<byte> rgb)
    {
        for (int i = 0, o = 0; i < grey.Length; i++, o += 3) rgb[o] = rgb[o + 1] = rgb[o + 2] = grey[i];
    }
}
