// Polygons to pixels. A pixel is set when its centre is inside: an odd number of the polygon's lines lies to its left
// (even-odd, as OpenCV and scikit-image fill). Lines count from their upper end to just before their lower, and a
// centre on a line counts as right of it, so that polygons which share a border share out its pixels without gap or
// overlap.
namespace EpSam.Imaging.Annotations;

/// <summary>Paints polygons into masks of any part of a slide at any resolution.</summary>
public static class PolygonMask
{
    /// <summary>Sets the pixels of a polygon to a value; others keep theirs, so that later ones paint over.</summary>
    /// <param name="polygon">In pixels of level 0.</param>
    /// <param name="x">Left edge of the mask, in pixels of level 0.</param>
    /// <param name="y">Its upper edge.</param>
    /// <param name="downsample">Pixels of level 0 that a pixel of the mask is wide.</param>
    /// <param name="value">What is painted.</param>
    /// <param name="mask">(height, width).</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    public static void Paint(SlidePolygon polygon, double x, double y, double downsample, byte value, Span<byte> mask,
        int height, int width)
    {
        if (mask.Length != height * width)
            throw new ArgumentException($"a mask of {height} x {width} has {height * width} bytes, got {mask.Length}");
        if (!(downsample > 0)) throw new ArgumentException($"downsample must be above 0, got {downsample}");
        List<double>?[] crossings = new List<double>?[height];
        foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
        {
            for (int i = 0; i < ring.Count; i++)
            {
                SlidePoint a = ring[i], b = ring[i + 1 == ring.Count ? 0 : i + 1];
                Cross((a.X - x) / downsample, (a.Y - y) / downsample, (b.X - x) / downsample, (b.Y - y) / downsample,
                    crossings);
            }
        }
        for (int row = 0; row < height; row++)
        {
            if (crossings[row] is not List<double> at) continue;
            at.Sort();
            for (int i = 0; i + 1 < at.Count; i += 2)
            {
                (int first, int end) = (Centre(at[i], width), Centre(at[i + 1], width));
                if (first < end) mask.Slice(row * width + first, end - first).Fill(value);
            }
        }
    }

    // Where the line crosses the rows' middles.
    static void Cross(double ax, double ay, double bx, double by, List<double>?[] crossings)
    {
        if (ay > by) (ax, ay, bx, by) = (bx, by, ax, ay); // the same numbers for either direction
        int first = Centre(ay, crossings.Length), end = Centre(by, crossings.Length);
        for (int row = first; row < end; row++)
            (crossings[row] ??= []).Add(ax + (row + 0.5 - ay) * (bx - ax) / (by - ay));
    }

    // The first of 0 to count whose middle is at or behind the value.
    static int Centre(double value, int count) => (int)Math.Clamp(Math.Ceiling(value - 0.5), 0, count);
}
