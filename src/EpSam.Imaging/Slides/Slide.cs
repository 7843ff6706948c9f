// A whole-slide image: levels of decreasing resolution, of which rectangles are read as RGB. OpenSlide reads scanners'
// formats; what it does not take (plain and pyramidal TIFF, single images) libvips does. Positions are always level
// 0's.
using System.Buffers;
using System.Globalization;
using EpSam.Imaging.Annotations;

namespace EpSam.Imaging.Slides;

/// <summary>A level of a slide.</summary>
/// <param name="Width">Pixels in a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Downsample">How many pixels of level 0 one of its pixels is wide.</param>
public sealed record SlideLevel(long Width, long Height, double Downsample)
{
    /// <summary>
    /// The column or row over the middle of level 0's: one whose place was rounded to level 0's pixels is found again,
    /// also where the downsample is no whole number, since the level's sides were rounded.
    /// </summary>
    internal long PixelAt(long place)
    {
        const double Rounding = 1e-9;
        return (long)Math.Floor((place + 0.5) / Downsample + Rounding);
    }
}

/// <summary>An open slide. All methods may be called by several threads at once, but not beside Dispose.</summary>
public abstract class Slide : IDisposable
{
    internal const string MppXName = "openslide.mpp-x", MppYName = "openslide.mpp-y";
    private protected const double Finest = 0.02, Coarsest = 50; // micrometres a pixel that a microscope may have
    const string ObjectiveName = "openslide.objective-power", BackgroundName = "openslide.background-color";

    static readonly string[] BoundsNames = ["openslide.bounds-x", "openslide.bounds-y", "openslide.bounds-width",
        "openslide.bounds-height"];

    readonly Lazy<double?> _mppX, _mppY;
    readonly Lazy<SlidePoint> _origin;

    private protected Slide(string path)
    {
        FilePath = path;
        _mppX = new(() => Number(MppXName) ?? FromResolution("X"));
        _mppY = new(() => Number(MppYName) ?? FromResolution("Y"));
        _origin = new(() => BoundsNames.All(IsWhole) ? new SlidePoint(Whole(BoundsNames[0]), Whole(BoundsNames[1]))
            : default); // QuPath asks for all four

        bool IsWhole(string name) => int.TryParse(Properties.GetValueOrDefault(name), NumberStyles.AllowLeadingSign,
            CultureInfo.InvariantCulture, out _);
        int Whole(string name) => int.Parse(Properties[name], CultureInfo.InvariantCulture);
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    /// <summary>Who wrote the format: "aperio", "generic-tiff", …; "libvips" for what that reads.</summary>
    public abstract string Vendor { get; }

    /// <summary>From the finest on; there is one at least.</summary>
    public abstract IReadOnlyList<SlideLevel> Levels { get; }

    /// <summary>What the file says about itself, by OpenSlide's names.</summary>
    public abstract IReadOnlyDictionary<string, string> Properties { get; }

    /// <summary>Names of images beside the slide: "label", "macro", "thumbnail".</summary>
    public abstract IReadOnlyList<string> AssociatedImages { get; }

    /// <summary>Width of a level-0 pixel in micrometres; null when the file does not tell.</summary>
    public double? MppX => _mppX.Value;

    /// <summary>Height of a level-0 pixel in micrometres; null when the file does not tell.</summary>
    public double? MppY => _mppY.Value;

    /// <summary>The objective's magnification; null when the file does not tell.</summary>
    public double? Objective => Number(ObjectiveName);

    /// <summary>
    /// The corner, in pixels of level 0, that QuPath counts from: of a field that was scanned in part (MIRAX and
    /// others) it shows that part alone.
    /// </summary>
    public SlidePoint QuPathOrigin => _origin.Value;

    /// <summary>OpenSlide's version.</summary>
    /// <exception cref="ImagingException">It is missing; the message says how to install it.</exception>
    public static unsafe string OpenSlideVersion =>
        OpenSlideLibrary.Text(OpenSlideLibrary.Require().GetVersion()) ?? "";

    /// <summary>Opens a slide.</summary>
    /// <exception cref="ImagingException">It is no slide, or the library that reads it is missing.</exception>
    /// <exception cref="IOException">There is no such file.</exception>
    public static Slide Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] head = new byte[DicomPrefix + 4];
        int got;
        using (FileStream file = File.OpenRead(path)) got = file.ReadAtLeast(head, head.Length, false);
        bool isDicom = got == head.Length && head.AsSpan(DicomPrefix).SequenceEqual("DICM"u8);
        if (OpenSlideLibrary.IsThere && OpenSlideSlide.TryOpen(path) is Slide slide) return slide;
        if (ImageFormat.Of(head.AsSpan(0, got)) is { Loader: not null } format)
            return new VipsSlide(path, format);
        string why = got == 0 ? "empty"
            : isDicom ? "DICOM, which OpenSlide reads from version 4 on; convert it, or install a newer one"
            : "neither OpenSlide nor libvips takes it for a slide";
        if (!OpenSlideLibrary.IsThere && got > 0) why += $" (OpenSlide is missing. {OpenSlideLibrary.Advice})";
        throw new ImagingException(isDicom ? ImagingError.Unsupported : ImagingError.NotAnImage, $"{path}: {why}");
    }

    const int DicomPrefix = 128; // DICOM PS3.10, 7.1

    /// <summary>
    /// Reads (height, width, 3) at a level; x and y are the upper left corner in pixels of level 0. What lies outside
    /// of the slide, or is transparent, has the slide's background colour, white where it names none.
    /// </summary>
    /// <exception cref="ImagingException">It cannot be decoded, or the file is gone.</exception>
    public Raster ReadRegion(int level, long x, long y, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)width * height, ImageLimits.Ceiling);
        byte[] rgb = new byte[3 * width * height];
        ReadRegion(level, x, y, width, height, rgb);
        return new Raster(width, height, 3, rgb);
    }

    /// <summary>The same into memory of the caller's, (height, width, 3).</summary>
    /// <exception cref="ImagingException">It cannot be decoded, or the file is gone.</exception>
    public void ReadRegion(int level, long x, long y, int width, int height, Span<byte> rgb)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)width * height, ImageLimits.Ceiling);
        if (level < 0 || level >= Levels.Count)
            throw new ArgumentOutOfRangeException(nameof(level), $"level {level} of {Levels.Count}");
        int size = checked(4 * width * height);
        if (rgb.Length != size / 4 * 3)
            throw new ArgumentException($"{size / 4 * 3} bytes are needed for a region, got {rgb.Length}");
        byte[] rented = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            Span<byte> rgba = rented.AsSpan(0, size);
            rgba.Clear();
            ReadRgba(level, x, y, width, height, rgba);
            OverBackground(rgba, rgb);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Reads an image beside the slide.</summary>
    /// <exception cref="ImagingException">There is none of this name, or it cannot be decoded.</exception>
    public abstract Raster ReadAssociated(string name);

    /// <summary>The coarsest level that is at least as fine as asked for.</summary>
    public int LevelFor(double downsample)
    {
        int best = 0;
        for (int level = 1; level < Levels.Count; level++)
            if (Levels[level].Downsample <= downsample * (1 + 1e-3)) best = level; // 2.0005 passes for 2
        return best;
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>
    /// Into (height, width, 4), which has zeros: colours not premultiplied; alpha stays 0 where there is nothing.
    /// </summary>
    internal abstract void ReadRgba(int level, long x, long y, int width, int height, Span<byte> rgba);

    /// <summary>(…, 4) to (…, 3), over the slide's background colour.</summary>
    private protected void OverBackground(ReadOnlySpan<byte> rgba, Span<byte> rgb)
    {
        const int White = 0xFFFFFF;
        string text = Properties.GetValueOrDefault(BackgroundName, "");
        if (!int.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int colour))
            colour = White;
        ReadOnlySpan<byte> background = [(byte)(colour >> 16), (byte)(colour >> 8), (byte)colour];
        for (int i = 0, o = 0; i < rgba.Length; i += 4, o += 3)
        {
            int alpha = rgba[i + 3];
            for (int c = 0; c < 3; c++)
            {
                rgb[o + c] = alpha == 255 ? rgba[i + c]
                    : (byte)((rgba[i + c] * alpha + background[c] * (255 - alpha) + 127) / 255);
            }
        }
    }

    double? Number(string name)
    {
        bool isNumber = double.TryParse(Properties.GetValueOrDefault(name), NumberStyles.Float,
            CultureInfo.InvariantCulture, out double value) && value > 0 && double.IsFinite(value);
        return isNumber ? value : null;
    }

    // TIFF's own resolution, where it can be a microscope's: files without any say 72 or 10 per centimetre.
    double? FromResolution(string axis)
    {
        double unit = Properties.GetValueOrDefault("tiff.ResolutionUnit") switch
        {
            "centimeter" => 1e4,
            "inch" => 2.54e4,
            _ => double.NaN,
        };
        return Number($"tiff.{axis}Resolution") is double perUnit && unit / perUnit is >= Finest and <= Coarsest
            ? unit / perUnit : null;
    }
}
