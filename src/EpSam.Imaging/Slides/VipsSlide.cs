// What OpenSlide does not take for a slide but libvips reads: plain images, and TIFF whose levels are its pages or the
// sub-directories of its first page (as libvips and OME write them). Every level is opened for reading in any order and
// turned upright; conversion to RGB is lazy, so a region costs its own tiles.
using System.Globalization;
using static EpSam.Imaging.Vips;

namespace EpSam.Imaging.Slides;

internal sealed unsafe class VipsSlide : Slide
{
    const int MostLevels = 32;
    const double ShapeTolerance = 0.02; // sides are rounded at each halving

    readonly VipsScope _scope;
    readonly List<nint> _images = [];
    readonly Lock _lock = new(); // an image that is decoded row by row may only be read by one thread

    public VipsSlide(string path, ImageFormat format) : base(path)
    {
        Require();
        _scope = new VipsScope(path);
        try
        {
            List<SlideLevel> levels = [];
            AddLevel(levels, Open(format, path));
            if (format.Loader == "tiffload") AddPyramid(levels, path, format);
            Levels = levels;
            Properties = Resolution();
        }
        catch
        {
            _scope.Dispose();
            throw;
        }
    }

    public override string Vendor => "libvips";
    public override IReadOnlyList<SlideLevel> Levels { get; }
    public override IReadOnlyDictionary<string, string> Properties { get; }
    public override IReadOnlyList<string> AssociatedImages => [];

    public override Raster ReadAssociated(string name) =>
        throw new ImagingException(ImagingError.NotAnImage, $"{FilePath} has no image '{name}'; it has none");

    public override void Dispose()
    {
        lock (_lock) _scope.Dispose();
    }

    internal override void ReadRgba(int level, long x, long y, int width, int height, Span<byte> rgba)
    {
        SlideLevel size = Levels[level];
        (long left, long top) = (size.PixelAt(x), size.PixelAt(y));
        (long x0, long x1) = (Math.Max(0, left), Math.Min(size.Width, left + width));
        (long y0, long y1) = (Math.Max(0, top), Math.Min(size.Height, top + height));
        if (x0 >= x1 || y0 >= y1) return;
        int rows = (int)(y1 - y0), columns = (int)(x1 - x0);
        byte[] part;
        lock (_lock) part = _scope.Region(_images[level], (int)x0, (int)y0, columns, rows);
        int bands = part.Length / (rows * columns);
        for (int row = 0; row < rows; row++)
        {
            Span<byte> to = rgba.Slice((int)(4 * ((y0 - top + row) * width + x0 - left)), 4 * columns);
            ReadOnlySpan<byte> from = part.AsSpan(row * columns * bands, columns * bands);
            for (int i = 0; i < columns; i++)
            {
                Span<byte> pixel = to.Slice(4 * i, 4);
                if (bands == 3) from.Slice(3 * i, 3).CopyTo(pixel);
                else pixel.Fill(from[i]);
                pixel[3] = 255;
            }
        }
    }

    void AddPyramid(List<SlideLevel> levels, string path, ImageFormat format)
    {
        foreach (string kind in new[] { "page", "subifd" })
        {
            for (int i = kind == "page" ? 1 : 0; i < MostLevels; i++)
            {
                nint image;
                try
                {
                    image = Open(format, path, (kind, i.ToString(CultureInfo.InvariantCulture)));
                }
                catch (ImagingException)
                {
                    break; // there is no such page
                }
                if (!AddLevel(levels, image)) break; // a page of its own and no smaller view of the first
            }
            if (levels.Count > 1) return;
        }
    }

    bool AddLevel(List<SlideLevel> levels, nint image)
    {
        long width = vips_image_get_width(image), height = vips_image_get_height(image);
        double downsample = 1;
        if (levels.Count > 0)
        {
            double across = (double)levels[0].Width / width, down = (double)levels[0].Height / height;
            downsample = (across + down) / 2;
            double slack = ShapeTolerance + 1.0 / Math.Min(width, height);
            if (downsample <= levels[^1].Downsample || Math.Abs(across / down - 1) > slack) return false;
        }
        _images.Add(image);
        levels.Add(new SlideLevel(width, height, downsample));
        return true;
    }

    nint Open(ImageFormat format, string path, params ReadOnlySpan<(string Name, string Value)> page)
    {
        nint image = _scope.OpenRandom(format.Loader!, System.IO.Path.GetFullPath(path), page);
        image = ImageReader.Viewable(_scope, path, format, image);
        return vips_image_get_orientation(image) > 1
            ? _scope.Run(ImagingError.Damaged, "autorot", image) : image;
    }

    // Of what the file tells, the resolution: libvips has it in pixels a millimetre, whatever the file's unit.
    Dictionary<string, string> Resolution()
    {
        Dictionary<string, string> properties = new(StringComparer.Ordinal) { ["openslide.vendor"] = Vendor };
        (double x, double y) = (vips_image_get_xres(_images[0]), vips_image_get_yres(_images[0]));
        const double MicrometresAMillimetre = 1000;
        if (x * Finest > MicrometresAMillimetre || y * Finest > MicrometresAMillimetre) return properties;
        if (x <= MicrometresAMillimetre / Coarsest || y <= MicrometresAMillimetre / Coarsest) return properties;
        properties[MppXName] = (MicrometresAMillimetre / x).ToString("R", CultureInfo.InvariantCulture);
        properties[MppYName] = (MicrometresAMillimetre / y).ToString("R", CultureInfo.InvariantCulture);
        return properties;
    }
}
