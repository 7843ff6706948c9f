// A slide, small, with what was found on it: outlines and squares are painted over its pixels.
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Prepare;

/// <summary>A picture of a slide that can be drawn on in pixels of level 0.</summary>
internal sealed class SlidePicture(byte[] rgb, int width, int height, double downsample)
{
    const int LongestSide = 1600, BandRows = 128;

    // Okabe and Ito's, which everybody can tell apart, on the pinks of a stain.
    public static readonly (byte R, byte G, byte B) TissueColour = (0, 158, 115), TumourColour = (0, 0, 0);
    public static readonly (byte R, byte G, byte B) ExcludedColour = (240, 228, 66);
    public static readonly (byte R, byte G, byte B) PositiveColour = (213, 94, 0), NegativeColour = (0, 114, 178);

    public double Downsample => downsample;
    public int Width => width;
    public int Height => height;

    public static SlidePicture Of(Slide slide)
    {
        SlideLevel whole = slide.Levels[0];
        SlideView view = new(slide, Math.Max(1, Math.Max(whole.Width, whole.Height) / (double)LongestSide));
        (int width, int height) = ((int)view.Width, (int)view.Height);
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0; y < height; y += BandRows)
        {
            Raster read = view.Read(0, y, width, Math.Min(BandRows, height - y));
            read.Pixels.CopyTo(rgb, 3 * width * y);
        }
        return new SlidePicture(rgb, width, height, view.Downsample);
    }

    public static SlidePicture FromPng(string path, double downsample)
    {
        Raster read = ImageReader.ReadRgb(path);
        return new SlidePicture(read.Pixels, read.Width, read.Height, downsample);
    }

    public byte[] ToPng() => ImageWriter.EncodePng(rgb, width, height, 3);

    public void Outline(Tissue tissue)
    {
        bool IsSet(int x, int y)
        {
            int column = (int)((x + 0.5) * downsample / tissue.Downsample);
            int row = (int)((y + 0.5) * downsample / tissue.Downsample);
            return x >= 0 && y >= 0 && column < tissue.Width && row < tissue.Height
                && tissue.Mask[row * tissue.Width + column] != 0;
        }
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                if (IsSet(x, y) && !(IsSet(x - 2, y) && IsSet(x + 2, y) && IsSet(x, y - 2) && IsSet(x, y + 2)))
                    Dot(x, y, TissueColour);
    }

    public void Outline(SlidePolygon polygon, (byte R, byte G, byte B) colour)
    {
        foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
            for (int i = 0; i < ring.Count; i++) Line(ring[i], ring[i + 1 == ring.Count ? 0 : i + 1], colour);
    }

    /// <summary>A square's edges, and within them a little of the colour.</summary>
    public void Square(double x, double y, double side, (byte R, byte G, byte B) colour)
    {
        const double Shade = 0.14;
        int left = (int)(x / downsample), top = (int)(y / downsample);
        int right = Math.Max(left + 1, (int)((x + side) / downsample) - 1);
        int bottom = Math.Max(top + 1, (int)((y + side) / downsample) - 1);
        int edge = right - left < 12 ? 1 : 2;
        for (int row = Math.Max(0, top); row <= Math.Min(bottom, height - 1); row++)
            for (int column = Math.Max(0, left); column <= Math.Min(right, width - 1); column++)
            {
                bool isEdge = row < top + edge || row > bottom - edge || column < left + edge || column > right - edge;
                Blend(column, row, colour, isEdge ? 1 : Shade);
            }
    }

    void Line(SlidePoint a, SlidePoint b, (byte R, byte G, byte B) colour)
    {
        double ax = Math.Clamp(a.X / downsample, -1, width), ay = Math.Clamp(a.Y / downsample, -1, height);
        double bx = Math.Clamp(b.X / downsample, -1, width), by = Math.Clamp(b.Y / downsample, -1, height);
        int steps = (int)Math.Ceiling(Math.Max(Math.Abs(bx - ax), Math.Abs(by - ay))) + 1;
        for (int i = 0; i <= steps; i++)
        {
            int x = (int)Math.Floor(ax + (bx - ax) * i / steps), y = (int)Math.Floor(ay + (by - ay) * i / steps);
            Dot(x, y, colour);
            Dot(x + 1, y, colour);
            Dot(x, y + 1, colour);
        }
    }

    void Dot(int x, int y, (byte R, byte G, byte B) colour) => Blend(x, y, colour, 1);

    void Blend(int x, int y, (byte R, byte G, byte B) colour, double share)
    {
        if (x < 0 || y < 0 || x >= width || y >= height) return;
        int at = 3 * (y * width + x);
        rgb[at] = Mix(rgb[at], colour.R, share);
        rgb[at + 1] = Mix(rgb[at + 1], colour.G, share);
        rgb[at + 2] = Mix(rgb[at + 2], colour.B, share);
    }

    static byte Mix(byte from, byte to, double share) => (byte)(from + (to - from) * share + 0.5);
}
