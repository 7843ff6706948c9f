// A slide through OpenSlide. Its pixels are premultiplied ARGB: transparent where a level has no tile. An error that it
// meets is kept by the handle, and every later call fails with the same.
using System.Buffers;
using System.Text;
using static EpSam.Imaging.Slides.OpenSlideLibrary;

namespace EpSam.Imaging.Slides;

internal sealed unsafe class OpenSlideSlide : Slide
{
    readonly Entries _library;
    nint _handle;

    OpenSlideSlide(string path, string vendor, Entries library, nint handle) : base(path)
    {
        (Vendor, _library, _handle) = (vendor, library, handle);
        try
        {
            Check("opening");
            Properties = ReadProperties();
            AssociatedImages = Texts(library.GetAssociatedNames(handle));
            Levels = ReadLevels();
            Check("opening");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Vendor { get; }
    public override IReadOnlyList<SlideLevel> Levels { get; }
    public override IReadOnlyDictionary<string, string> Properties { get; }
    public override IReadOnlyList<string> AssociatedImages { get; }

    /// <summary>Null when OpenSlide does not know the format.</summary>
    public static OpenSlideSlide? TryOpen(string path)
    {
        Entries library = Require();
        byte[] name = Bytes(Path.GetFullPath(path));
        fixed (byte* p = name)
        {
            if (Text(library.DetectVendor(p)) is not string vendor) return null;
            nint handle = library.Open(p);
            if (handle == 0)
                throw new ImagingException(ImagingError.Damaged, $"{path}: OpenSlide ({vendor}) cannot open it");
            return new OpenSlideSlide(path, vendor, library, handle);
        }
    }

    public override Raster ReadAssociated(string name)
    {
        if (!AssociatedImages.Contains(name))
        {
            throw new ImagingException(ImagingError.NotAnImage, $"{FilePath} has no image '{name}'; it has "
                + (AssociatedImages.Count == 0 ? "none" : string.Join(", ", AssociatedImages)));
        }
        long width, height;
        fixed (byte* p = Bytes(name))
        {
            _library.GetAssociatedDimensions(Handle, p, &width, &height);
            Check(name);
            if (width <= 0 || height <= 0 || width > ImageLimits.Ceiling / height)
            {
                throw new ImagingException(ImagingError.TooLarge,
                    $"{FilePath}: {name} has {width} x {height} pixels, at most {ImageLimits.Ceiling} are read");
            }
            uint[] argb = new uint[width * height];
            fixed (uint* to = argb) _library.ReadAssociated(Handle, p, to);
            Check(name);
            byte[] rgba = new byte[4 * argb.Length], rgb = new byte[3 * argb.Length];
            Straight(argb, rgba);
            OverBackground(rgba, rgb);
            return new Raster((int)width, (int)height, 3, rgb);
        }
    }

    public override void Dispose()
    {
        nint handle = Interlocked.Exchange(ref _handle, 0);
        if (handle != 0) _library.Close(handle);
    }

    internal override void ReadRgba(int level, long x, long y, int width, int height, Span<byte> rgba)
    {
        // What lies before the slide is left out here: OpenSlide rounds how much that is towards the slide.
        (int left, int top) = (Before(x, width), Before(y, height));
        (int columns, int rows) = (width - left, height - top);
        if (columns == 0 || rows == 0) return;
        uint[] rented = ArrayPool<uint>.Shared.Rent(columns * rows);
        try
        {
            Span<uint> argb = rented.AsSpan(0, columns * rows);
            fixed (uint* to = argb)
                _library.ReadRegion(Handle, to, Math.Max(0, x), Math.Max(0, y), level, columns, rows);
            Check($"level {level} at {x}, {y}");
            for (int row = 0; row < rows; row++)
                Straight(argb.Slice(row * columns, columns), rgba[(4 * ((top + row) * width + left))..]);
        }
        finally
        {
            ArrayPool<uint>.Shared.Return(rented);
        }

        int Before(long at, int count) => (int)Math.Clamp(-Levels[level].PixelAt(at), 0, count);
    }

    nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(FilePath);

    static void Straight(ReadOnlySpan<uint> argb, Span<byte> rgba)
    {
        for (int i = 0, o = 0; i < argb.Length; i++, o += 4)
        {
            uint pixel = argb[i], alpha = pixel >> 24;
            if (alpha == 0) continue;
            for (int c = 0; c < 3; c++)
            {
                uint premultiplied = (pixel >> (16 - 8 * c)) & 255;
                rgba[o + c] = (byte)(alpha == 255 ? premultiplied : Math.Min(255, premultiplied * 255 / alpha));
            }
            rgba[o + 3] = (byte)alpha;
        }
    }

    Dictionary<string, string> ReadProperties()
    {
        Dictionary<string, string> properties = new(StringComparer.Ordinal);
        foreach (string name in Texts(_library.GetPropertyNames(_handle)))
        {
            fixed (byte* p = Bytes(name))
                if (Text(_library.GetPropertyValue(_handle, p)) is string value) properties[name] = value;
        }
        return properties;
    }

    SlideLevel[] ReadLevels()
    {
        SlideLevel[] levels = new SlideLevel[Math.Max(0, _library.GetLevelCount(_handle))];
        for (int level = 0; level < levels.Length; level++)
        {
            long width, height;
            _library.GetLevelDimensions(_handle, level, &width, &height);
            levels[level] = new SlideLevel(width, height, _library.GetLevelDownsample(_handle, level));
        }
        Check("levels");
        if (levels.Length == 0 || levels.Any(l => l.Width <= 0 || l.Height <= 0 || !(l.Downsample > 0)))
            throw new ImagingException(ImagingError.Damaged, $"{FilePath}: no level with pixels");
        return levels;
    }

    void Check(string what)
    {
        if (Text(_library.GetError(Handle)) is not string error) return;
        string gone = File.Exists(FilePath) ? "" : " (the file is no longer there)";
        bool isUnsupported = error.StartsWith("Unsupported", StringComparison.Ordinal);
        throw new ImagingException(isUnsupported ? ImagingError.Unsupported : ImagingError.Damaged,
            $"{FilePath}: {what}: {error}{gone}");
    }

    static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text + '\0');
}
