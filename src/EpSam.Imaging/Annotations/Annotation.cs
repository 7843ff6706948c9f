namespace EpSam.Imaging.Annotations;

/// <summary>A position in pixels of a slide's level 0; (0, 0) is the upper left corner of the first pixel.</summary>
public readonly record struct SlidePoint(double X, double Y)
{
    internal const double Farthest = 1e9; // pixels, either way: far more than any slide has
}

/// <summary>An area: a ring and the holes in it. Rings are closed from the last point to the first.</summary>
public sealed record SlidePolygon(IReadOnlyList<SlidePoint> Outer, IReadOnlyList<IReadOnlyList<SlidePoint>> Holes)
{
    /// <summary>A ring without holes.</summary>
    public SlidePolygon(IReadOnlyList<SlidePoint> outer) : this(outer, [])
    {
    }

    /// <summary>Square pixels: the ring's area less that of its holes.</summary>
    public double Area => Math.Abs(SignedArea(Outer)) - Holes.Sum(h => Math.Abs(SignedArea(h)));

    /// <summary>The same elsewhere.</summary>
    public SlidePolygon Moved(double x, double y)
    {
        return new SlidePolygon(Ring(Outer), [.. Holes.Select(Ring)]);

        IReadOnlyList<SlidePoint> Ring(IReadOnlyList<SlidePoint> ring) =>
            [.. ring.Select(p => new SlidePoint(p.X + x, p.Y + y))];
    }

    /// <summary>The rings, the outer one first.</summary>
    public IEnumerable<IReadOnlyList<SlidePoint>> Rings => Holes.Prepend(Outer);

    /// <summary>The shoelace formula; positive for a ring that goes clockwise on the screen (y points down).</summary>
    public static double SignedArea(IReadOnlyList<SlidePoint> ring)
    {
        double twice = 0;
        for (int i = 0; i < ring.Count; i++)
        {
            (SlidePoint a, SlidePoint b) = (ring[i], ring[(i + 1) % ring.Count]);
            twice += a.X * b.Y - b.X * a.Y;
        }
        return twice / 2;
    }
}

/// <summary>What was drawn.</summary>
public enum AnnotationKind
{
    /// <summary>A ring of straight lines.</summary>
    Polygon,
    /// <summary>Four corners.</summary>
    Rectangle,
    /// <summary>A closed curve through its points; taken for the polygon of these.</summary>
    Spline,
    /// <summary>One point.</summary>
    Dot,
    /// <summary>Several points.</summary>
    PointSet,
    /// <summary>A line: no area.</summary>
    Line,
}

/// <summary>Something drawn on a slide.</summary>
/// <param name="Name">As its author called it; may be empty.</param>
/// <param name="Kind">What was drawn.</param>
/// <param name="Group">Its class: ASAP's PartOfGroup, QuPath's classification. "None" and empty mean none.</param>
/// <param name="Polygons">Its areas; none for points and lines.</param>
/// <param name="Points">The points of a dot, a set or a line.</param>
public sealed record Annotation(string Name, AnnotationKind Kind, string Group, IReadOnlyList<SlidePolygon> Polygons,
    IReadOnlyList<SlidePoint> Points)
{
    /// <summary>What is measured about it, by name: goes to GeoJSON.</summary>
    public IReadOnlyDictionary<string, double> Measurements { get; init; } = new Dictionary<string, double>();
}

/// <summary>A file of annotations cannot be read; the message names the file and the place.</summary>
public sealed class AnnotationException(string message, Exception? inner = null) : Exception(message, inner);
