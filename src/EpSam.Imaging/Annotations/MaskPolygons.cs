// Masks to polygons along the pixels' edges: painting them gives the mask again, to the pixel. Pixels that only touch
// at a corner are not joined there. Rings do not touch themselves, as GeoJSON's readers want it: one that comes back to
// a corner is split there, into the outside and a hole that touches it.
namespace EpSam.Imaging.Annotations;

/// <summary>Outlines of a mask.</summary>
public static class MaskPolygons
{
    /// <summary>
    /// A polygon, with holes, for each region of pixels that are not 0 and share edges; from top to bottom by their
    /// first pixel. Points are corners only, in pixels of the mask.
    /// </summary>
    public static IReadOnlyList<SlidePolygon> Trace(ReadOnlySpan<byte> mask, int height, int width)
    {
        if (mask.Length != (long)height * width)
        {
            throw new ArgumentException(
                $"a mask of {height} x {width} has {(long)height * width} bytes, got {mask.Length}");
        }
        OutlineTracer tracer = new(width, height);
        for (int row = 0; row < height; row++) tracer.Row(mask.Slice(row * width, width));
        return tracer.Finish();
    }
}
