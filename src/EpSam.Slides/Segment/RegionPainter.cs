// The mask of a slide from the outlines of its regions, so that both say the same: what the outlines do not have is not
// in the mask. Row of squares by row of squares, the rings' vertical edges are sorted along each row of pixels; two and
// two of them, one follows on the other, hold a span of a region, since no two regions share an edge. Squares without a
// span are not written. Memory is the edges of a row of squares.
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Segment;

/// <summary>A region of tumour.</summary>
/// <param name="Pixels">Its size.</param>
/// <param name="Levels">Sum of its probabilities, 0 to 255.</param>
internal readonly record struct RegionFigures(long Pixels, long Levels)
{
    /// <summary>0 to 1.</summary>
    public double MeanProbability => Levels / (255.0 * Pixels);
}

/// <summary>Paints regions and measures them.</summary>
internal sealed class RegionPainter
{
    const int Side = Stitcher.FileTile;

    readonly IReadOnlyList<SlidePolygon> _regions;
    readonly (double Top, double Bottom)[] _rows; // of each region
    readonly PyramidWriter _mask;
    readonly Slide _probability;
    readonly RegionFigures[] _figures;
    readonly List<long>[] _edges = new List<long>[Side]; // of a row of pixels: column in the upper half, then region
    readonly int[] _next = new int[Side];                // of these edges, the first that is not painted
    readonly byte[] _square = new byte[Side * Side], _rgb = new byte[3 * Side * Side];

    RegionPainter(IReadOnlyList<SlidePolygon> regions, PyramidWriter mask, Slide probability)
    {
        (_regions, _mask, _probability) = (regions, mask, probability);
        _rows = [.. regions.Select(r => (r.Outer.Min(p => p.Y), r.Outer.Max(p => p.Y)))];
        _figures = new RegionFigures[regions.Count];
        for (int y = 0; y < Side; y++) _edges[y] = [];
    }

    /// <summary>Paints regions as <see cref="OutlineTracer"/> gives them, and measures each.</summary>
    /// <param name="regions">In pixels of the picture.</param>
    /// <param name="mask">Gets 255 for tumour, in squares of <see cref="Stitcher.FileTile"/>.</param>
    /// <param name="probability">A picture of the same size.</param>
    /// <param name="cancel">Looked at between rows of squares.</param>
    public static RegionFigures[] Paint(IReadOnlyList<SlidePolygon> regions, PyramidWriter mask, Slide probability,
        CancellationToken cancel)
    {
        RegionPainter painter = new(regions, mask, probability);
        for (int row = 0; row < mask.Rows; row++)
        {
            cancel.ThrowIfCancellationRequested();
            painter.Row(row);
        }
        return painter._figures;
    }

    void Row(int row)
    {
        foreach (List<long> edges in _edges) edges.Clear();
        int top = row * Side;
        for (int i = 0; i < _regions.Count; i++)
        {
            if (_rows[i].Top >= top + Side || _rows[i].Bottom <= top) continue;
            foreach (IReadOnlyList<SlidePoint> ring in _regions[i].Rings) AddEdges(ring, i, top);
        }
        foreach (List<long> edges in _edges) edges.Sort();
        Array.Clear(_next);
        for (int column = 0; column < _mask.Columns; column++)
            if (IsTouched((column + 1) * Side)) Square(column, row);
    }

    void AddEdges(IReadOnlyList<SlidePoint> ring, int region, int top)
    {
        for (int i = 0; i < ring.Count; i++)
        {
            (SlidePoint a, SlidePoint b) = (ring[i], ring[i + 1 == ring.Count ? 0 : i + 1]);
            int first = Math.Max(0, (int)Math.Min(a.Y, b.Y) - top);
            int end = Math.Min(Side, (int)Math.Max(a.Y, b.Y) - top); // horizontal ones have no rows
            for (int y = first; y < end; y++) _edges[y].Add((long)a.X << 32 | (uint)region);
        }
    }

    static int Column(long edge) => (int)(edge >> 32);

    bool IsTouched(int right)
    {
        for (int y = 0; y < Side; y++)
            if (_next[y] < _edges[y].Count && Column(_edges[y][_next[y]]) < right) return true;
        return false;
    }

    void Square(int column, int row)
    {
        int left = column * Side;
        _probability.ReadRegion(0, left, row * Side, Side, Side, _rgb);
        Array.Clear(_square);
        for (int y = 0; y < Side; y++)
        {
            for (List<long> edges = _edges[y]; _next[y] < edges.Count; _next[y] += 2)
            {
                (long start, int end) = (edges[_next[y]], Column(edges[_next[y] + 1]) - left);
                int from = Math.Max(0, Column(start) - left);
                if (from >= Side) break;
                Span((int)(uint)start, y * Side + from, Math.Min(Side, end) - from);
                if (end > Side) break; // it goes on in the next square
            }
        }
        _mask.WriteTile(column, row, _square);
    }

    void Span(int region, int at, int count)
    {
        _square.AsSpan(at, count).Fill(255);
        long levels = 0;
        for (int i = at; i < at + count; i++) levels += _rgb[3 * i];
        RegionFigures figures = _figures[region];
        _figures[region] = new RegionFigures(figures.Pixels + count, figures.Levels + levels);
    }
}
