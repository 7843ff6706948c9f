// The small pictures of the report, as data: an image with what was made of it at each step. Painted at the size that
// is shown; masks in light blue, the truth's border in orange over them, so that both can be told apart by everybody.
using EpSam.Native.Masks;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Pipeline;

/// <summary>One picture of a chain.</summary>
internal sealed record ReportPicture(string Caption, string Note, Markup Image);

/// <summary>Paints over one image.</summary>
internal sealed class ReportPictures
{
    const int Side = 168, Scale = 2, Quality = 78;   // shown at Side, painted at Scale times that

    static readonly (byte R, byte G, byte B) MaskColour = (40, 190, 255), TruthColour = (230, 159, 0);
    static readonly (byte R, byte G, byte B) DotColour = (240, 228, 66), RingColour = (0, 0, 0);

    readonly IImageFiles _files;
    readonly byte[] _small;   // (_rows, _columns, 3)
    readonly int _rows, _columns;

    public ReportPictures(IImageFiles files, Picture image)
    {
        _files = files;
        (Height, Width) = (image.Height, image.Width);
        double scale = Math.Min(1, (double)Side * Scale / Math.Max(Height, Width));
        (_rows, _columns) = (Math.Max(1, (int)(Height * scale + 0.5)), Math.Max(1, (int)(Width * scale + 0.5)));
        _small = new byte[3 * _rows * _columns];
        Resample.PillowBilinear(image.Pixels, Height, Width, 3, _rows, _columns, _small);
    }

    public int Height { get; }
    public int Width { get; }

    /// <summary>The image as it is.</summary>
    public Markup Plain(string name) => Encode([.. _small], name);

    /// <summary>An activation map over it.</summary>
    public Markup Warm(Picture map, string name)
    {
        byte[] rgb = [.. _small];
        Grayscale.Apply(rgb);   // so that all colours are the map's
        HeatMap.Paint(rgb, _rows, _columns, map.Pixels, map.Height, map.Width);
        return Encode(rgb, name);
    }

    /// <summary>A mask over it, and the border of the truth if there is one.</summary>
    public Markup Masked(ReadOnlySpan<byte> mask, byte[]? truth, string name)
    {
        byte[] rgb = [.. _small];
        Overlay.Paint(rgb, Small(mask), _rows, _columns, MaskColour, 0.42);
        Border(rgb, truth);
        return Encode(rgb, name);
    }

    /// <summary>The truth over it.</summary>
    public Markup True(byte[] truth, string name)
    {
        byte[] rgb = [.. _small];
        Overlay.Paint(rgb, Small(truth), _rows, _columns, TruthColour, 0.42);
        return Encode(rgb, name);
    }

    /// <summary>Points in the mask that they are drawn from.</summary>
    public Markup Dotted(IEnumerable<(int X, int Y)> points, string name)
    {
        byte[] rgb = [.. _small];
        foreach ((int px, int py) in points)
        {
            int cx = px * _columns / Width, cy = py * _rows / Height;
            const int Radius = 6, Ring = 40, Inner = 20;   // the latter squared
            for (int dy = -Radius; dy <= Radius; dy++)
                for (int dx = -Radius; dx <= Radius; dx++)
                {
                    int distance = dx * dx + dy * dy, x = cx + dx, y = cy + dy;
                    if (distance > Ring || x < 0 || y < 0 || x >= _columns || y >= _rows) continue;
                    (byte R, byte G, byte B) colour = distance > Inner ? RingColour : DotColour;
                    (rgb[3 * (y * _columns + x)], rgb[3 * (y * _columns + x) + 1], rgb[3 * (y * _columns + x) + 2]) =
                        colour;
                }
        }
        return Encode(rgb, name);
    }

    // Two pixels wide, so that it is seen at the size shown.
    void Border(byte[] rgb, byte[]? truth)
    {
        if (truth is null) return;
        byte[] small = Small(truth);
        byte[] inner = new byte[small.Length];
        Morphology.Erode(small, _rows, _columns, 5, inner);
        for (int i = 0; i < small.Length; i++)
            if (small[i] != 0 && inner[i] == 0)
                (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = TruthColour;
    }

    byte[] Small(ReadOnlySpan<byte> mask)
    {
        byte[] small = new byte[_rows * _columns];
        CvResize.Nearest(mask, Height, Width, 1, _rows, _columns, small);
        return small;
    }

    Markup Encode(byte[] rgb, string name)
    {
        string data = Convert.ToBase64String(_files.EncodeJpeg(new Picture(rgb, _rows, _columns, 3), Quality));
        int width = (_columns + Scale - 1) / Scale, height = (_rows + Scale - 1) / Scale;
        return Markup.Of($"<img src=\"data:image/jpeg;base64,{new Markup(data)}\" width=\"{width}\" "
            + $"height=\"{height}\" alt=\"{name}\"/>");
    }
}
