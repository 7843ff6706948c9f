namespace EpSam.Imaging;

/// <summary>
/// The largest image that is decoded. Checked on the header, so that a small hostile file costs nothing.
/// </summary>
/// <param name="MaxPixels">Width times height; at most 700 million whatever is asked for.</param>
/// <param name="MaxSide">The longer side.</param>
public sealed record ImageLimits(long MaxPixels = 1L << 27, int MaxSide = 65_535)
{
    // Three bytes a pixel must fit into one array.
    internal const long Ceiling = 700_000_000;
}

/// <summary>What becomes of an alpha channel.</summary>
public enum Alpha
{
    /// <summary>
    /// Dropped: the colours below it are used as they are stored. What OpenCV and Pillow's convert("RGB") do, so what
    /// SAM's own tools feed to the model.
    /// </summary>
    Drop,

    /// <summary>Composed over white, as a viewer shows it.</summary>
    OverWhite,
}

/// <summary>How an image is read.</summary>
public sealed record ImageReadOptions
{
    /// <summary>The limits in force.</summary>
    public ImageLimits Limits { get; init; } = new();

    /// <summary>What becomes of an alpha channel.</summary>
    public Alpha Alpha { get; init; } = Alpha.Drop;

    /// <summary>Turn and mirror the image as its EXIF or TIFF orientation says.</summary>
    public bool ApplyOrientation { get; init; } = true;
}

/// <summary>What an image's header tells.</summary>
/// <param name="Format">PNG, JPEG, TIFF or WebP.</param>
/// <param name="Width">As stored, before orientation.</param>
/// <param name="Height">As stored, before orientation.</param>
/// <param name="Bands">Channels as stored, alpha included.</param>
/// <param name="BitsPerSample">8 or 16; 0 for kinds of samples that are not read.</param>
/// <param name="Orientation">1 to 8 as in EXIF; 1 is upright.</param>
public sealed record ImageInfo(string Format, int Width, int Height, int Bands, int BitsPerSample, int Orientation);
