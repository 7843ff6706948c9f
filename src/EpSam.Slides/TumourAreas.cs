// What of a slide's annotations is tumour. CAMELYON16 has the groups _0 and _1 (tumour) and _2 (exclusion), some files
// Tumor, Exclusion and None; CAMELYON17 metastases and normal. Tumour is painted first and what is excluded over it, as
// the data sets' own masks are made; EP-SAM's code mixes the two sets' names up.
using EpSam.Imaging.Annotations;

namespace EpSam.Slides;

/// <summary>The tumour areas of a slide and what is taken out of them, in pixels of level 0.</summary>
public sealed class TumourAreas(IReadOnlyList<SlidePolygon> tumour, IReadOnlyList<SlidePolygon> excluded)
{
    static readonly string[] TumourGroups = ["_0", "_1", "tumor", "tumour", "metastases", "metastasis"];
    static readonly string[] ExcludedGroups = ["_2", "exclusion", "normal"];
    static readonly string[] Unnamed = ["none", ""];

    readonly Bounds[] _tumourBounds = BoundsOf(tumour), _excludedBounds = BoundsOf(excluded);

    /// <summary>Areas of tumour.</summary>
    public IReadOnlyList<SlidePolygon> Tumour => tumour;

    /// <summary>Areas that are not, though they lie in others.</summary>
    public IReadOnlyList<SlidePolygon> Excluded => excluded;

    /// <summary>Reads ASAP's XML or QuPath's GeoJSON, told by the file's name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="groups">
    /// Which groups (classes) are tumour; null: the names that CAMELYON uses, and annotations without a group where no
    /// other is tumour.
    /// </param>
    /// <param name="quPathOrigin">Of the slide; ASAP counts from level 0's corner.</param>
    /// <exception cref="AnnotationException">
    /// The file cannot be read, or no group of it is known to be tumour: the message lists them; or what is tumour has
    /// no area.
    /// </exception>
    public static TumourAreas Read(string path, IReadOnlyCollection<string>? groups = null,
        SlidePoint quPathOrigin = default)
    {
        if (Path.GetExtension(path).Equals(".xml", StringComparison.OrdinalIgnoreCase))
            return Of(AsapXml.Read(path), path, groups);
        TumourAreas areas = Of(GeoJson.Read(path), path, groups);
        (double x, double y) = (quPathOrigin.X, quPathOrigin.Y);
        return quPathOrigin == default ? areas : new TumourAreas([.. areas.Tumour.Select(p => p.Moved(x, y))],
            [.. areas.Excluded.Select(p => p.Moved(x, y))]);
    }

    /// <summary>The same of annotations that have been read; <paramref name="name"/> is for messages.</summary>
    public static TumourAreas Of(IReadOnlyList<Annotation> annotations, string name,
        IReadOnlyCollection<string>? groups = null)
    {
        Annotation[] areas = [.. annotations.Where(a => a.Polygons.Count > 0)];
        bool IsTumour(Annotation a) => groups is not null
            ? groups.Contains(a.Group, StringComparer.OrdinalIgnoreCase) : Is(a, TumourGroups);
        Annotation[] tumour = [.. areas.Where(IsTumour)];
        if (tumour.Length == 0 && groups is null) tumour = [.. areas.Where(a => Is(a, Unnamed))];
        Annotation[] excluded = groups is null ? [.. areas.Where(a => Is(a, ExcludedGroups))] : [];
        if (tumour.Length == 0 && areas.Length > excluded.Length)
        {
            string known = string.Join(", ", areas.Select(a => $"'{a.Group}'").Distinct().Order());
            throw new AnnotationException($"{name}: none of its groups is known to be tumour; it has {known} "
                + "(--tumour-groups)");
        }
        // Else a slide with tumour would be taken for one without.
        int marks = annotations.Count(a => a.Polygons.Count == 0 && a.Points.Count > 0 && IsTumour(a));
        if (tumour.Length == 0 && marks > 0)
        {
            throw new AnnotationException($"{name}: tumour is marked by points or lines alone ({marks}); draw its "
                + "areas, or leave the slide out");
        }
        return new TumourAreas([.. tumour.SelectMany(a => a.Polygons)], [.. excluded.SelectMany(a => a.Polygons)]);
    }

    /// <summary>
    /// The mask of a part of the slide, 1 for tumour: (height, width), its corner at x, y of level 0, a pixel
    /// <paramref name="downsample"/> pixels of level 0 wide.
    /// </summary>
    public byte[] Mask(double x, double y, double downsample, int height, int width)
    {
        byte[] mask = new byte[height * width];
        Mask(x, y, downsample, height, width, mask);
        return mask;
    }

    /// <summary>The same into memory of the caller's, (height, width).</summary>
    public void Mask(double x, double y, double downsample, int height, int width, Span<byte> mask)
    {
        mask.Clear();
        Paint(tumour, _tumourBounds, 1, mask);
        Paint(excluded, _excludedBounds, 0, mask);

        void Paint(IReadOnlyList<SlidePolygon> polygons, Bounds[] bounds, byte value, Span<byte> mask)
        {
            for (int i = 0; i < polygons.Count; i++)
            {
                bool isHere = bounds[i].Left < x + width * downsample && bounds[i].Right > x
                    && bounds[i].Top < y + height * downsample && bounds[i].Bottom > y;
                if (isHere) PolygonMask.Paint(polygons[i], x, y, downsample, value, mask, height, width);
            }
        }
    }

    /// <summary>How many of the areas of tumour reach beyond a slide, and how many lie outside of it as a whole.
    /// </summary>
    public (int Beyond, int Outside) Outside(long width, long height)
    {
        int beyond = _tumourBounds.Count(b => b.Left < 0 || b.Top < 0 || b.Right > width || b.Bottom > height);
        return (beyond,
            _tumourBounds.Count(b => b.Right <= 0 || b.Bottom <= 0 || b.Left >= width || b.Top >= height));
    }

    readonly record struct Bounds(double Left, double Top, double Right, double Bottom);

    static Bounds[] BoundsOf(IReadOnlyList<SlidePolygon> polygons) => [.. polygons.Select(p =>
    {
        Bounds all = new(double.MaxValue, double.MaxValue, double.MinValue, double.MinValue);
        foreach (SlidePoint q in p.Rings.SelectMany(r => r))
        {
            all = new(Math.Min(all.Left, q.X), Math.Min(all.Top, q.Y), Math.Max(all.Right, q.X),
                Math.Max(all.Bottom, q.Y));
        }
        return all;
    })];

    static bool Is(Annotation annotation, string[] groups) =>
        groups.Contains(annotation.Group, StringComparer.OrdinalIgnoreCase);
}
