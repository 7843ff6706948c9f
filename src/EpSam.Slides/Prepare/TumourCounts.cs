// How many pixels of level 0 are tumour in each of many windows of a slide. Windows overlap and there are a hundred
// thousand of them, so none is painted: rows are gone through from the top, and what of a row is tumour, a handful of
// spans, is added to the windows that lie over it. The spans are those that PolygonMask paints over the whole slide at
// level 0, to the pixel.
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Prepare;

/// <summary>A part of a slide in whole pixels of level 0; it may reach over the slide's edge.</summary>
internal readonly record struct SlideWindow(long Left, long Top, long Right, long Bottom)
{
    public long Pixels => (Right - Left) * (Bottom - Top);
}

/// <summary>Counts tumour in windows.</summary>
internal sealed class TumourCounts
{
    readonly record struct Edge(int Area, long First, long End, double Ax, double Ay, double Bx, double By);

    readonly record struct Span(long First, long End);

    readonly long _width;
    readonly int _tumourAreas;
    readonly List<Edge> _edges;
    readonly List<(int Area, double X)> _crossings = [];
    readonly List<Span> _tumour = [], _excluded = [], _left = [];

    TumourCounts(TumourAreas areas, long width, long height)
    {
        (_width, _tumourAreas) = (width, areas.Tumour.Count);
        PixelsOfArea = new long[areas.Tumour.Count + areas.Excluded.Count];
        IEnumerable<SlidePolygon> all = areas.Tumour.Concat(areas.Excluded);
        _edges = new List<Edge>(all.Sum(p => p.Rings.Sum(r => r.Count)));
        int area = 0;
        foreach (SlidePolygon polygon in all)
        {
            foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
                for (int i = 0; i < ring.Count; i++)
                    Add(area, ring[i], ring[i + 1 == ring.Count ? 0 : i + 1], height);
            area++;
        }
        _edges.Sort((a, b) => a.First.CompareTo(b.First));
    }

    /// <summary>Tumour in each window, in their order.</summary>
    public long[] Windows { get; private set; } = [];

    /// <summary>Tumour in the slide.</summary>
    public long Total { get; private set; }

    /// <summary>Pixels of each area by itself in the slide, areas of tumour first.</summary>
    public long[] PixelsOfArea { get; }

    /// <summary>Goes through the slide.</summary>
    /// <param name="areas">In pixels of level 0.</param>
    /// <param name="width">Of the slide.</param>
    /// <param name="height">Of the slide.</param>
    /// <param name="windows">In any order, all of one width.</param>
    /// <param name="cancel">Looked at row by row.</param>
    public static TumourCounts Of(TumourAreas areas, long width, long height, IReadOnlyList<SlideWindow> windows,
        CancellationToken cancel = default)
    {
        TumourCounts counts = new(areas, width, height);
        counts.Sweep(windows, cancel);
        return counts;
    }

    void Add(int area, SlidePoint a, SlidePoint b, long height)
    {
        if (a.Y > b.Y) (a, b) = (b, a);
        (long first, long end) = (Centre(a.Y, height), Centre(b.Y, height));
        if (first < end) _edges.Add(new Edge(area, first, end, a.X, a.Y, b.X, b.Y));
    }

    void Sweep(IReadOnlyList<SlideWindow> windows, CancellationToken cancel)
    {
        Windows = new long[windows.Count];
        int[] order = [.. Enumerable.Range(0, windows.Count).OrderBy(i => windows[i].Top)];
        long widest = windows.Count == 0 ? 0 : windows.Max(w => w.Right - w.Left);
        List<Edge> active = [];
        List<int> over = []; // windows that the row goes through, from the left
        int nextEdge = 0, nextWindow = 0;
        long row = _edges.Count == 0 ? 0 : _edges[0].First;
        for (; nextEdge < _edges.Count || active.Count > 0; row++)
        {
            cancel.ThrowIfCancellationRequested();
            if (active.Count == 0) row = Math.Max(row, _edges[nextEdge].First);
            for (; nextEdge < _edges.Count && _edges[nextEdge].First <= row; nextEdge++) active.Add(_edges[nextEdge]);
            active.RemoveAll(e => e.End <= row);
            int gone = over.RemoveAll(w => windows[w].Bottom <= row), before = over.Count;
            for (; nextWindow < order.Length && windows[order[nextWindow]].Top <= row; nextWindow++)
                if (windows[order[nextWindow]].Bottom > row) over.Add(order[nextWindow]);
            if (over.Count > before) over.Sort((a, b) => windows[a].Left.CompareTo(windows[b].Left));
            if (active.Count > 0) AddRow(active, row, windows, over, widest);
        }
    }

    void AddRow(List<Edge> active, long row, IReadOnlyList<SlideWindow> windows, List<int> over, long widest)
    {
        Spans(active, row);
        Merge(_tumour);
        Merge(_excluded);
        TakeAway();
        foreach (Span span in _left)
        {
            Total += span.End - span.First;
            for (int i = FirstBehind(windows, over, span.First - widest); i < over.Count; i++)
            {
                SlideWindow window = windows[over[i]];
                if (window.Left >= span.End) break;
                long pixels = Math.Min(span.End, window.Right) - Math.Max(span.First, window.Left);
                if (pixels > 0) Windows[over[i]] += pixels;
            }
        }
    }

    // The row's crossings, two and two of each area: as PolygonMask has them.
    void Spans(List<Edge> active, long row)
    {
        _crossings.Clear();
        foreach (Edge e in active) _crossings.Add((e.Area, e.Ax + (row + 0.5 - e.Ay) * (e.Bx - e.Ax) / (e.By - e.Ay)));
        _crossings.Sort();
        _tumour.Clear();
        _excluded.Clear();
        for (int i = 0; i + 1 < _crossings.Count; i += 2)
        {
            Span span = new(Centre(_crossings[i].X, _width), Centre(_crossings[i + 1].X, _width));
            if (span.First >= span.End) continue;
            int area = _crossings[i].Area;
            PixelsOfArea[area] += span.End - span.First;
            (area < _tumourAreas ? _tumour : _excluded).Add(span);
        }
    }

    // Sorted, and those that overlap or touch as one.
    static void Merge(List<Span> spans)
    {
        if (spans.Count < 2) return;
        spans.Sort((a, b) => a.First.CompareTo(b.First));
        int last = 0;
        for (int i = 1; i < spans.Count; i++)
        {
            if (spans[i].First <= spans[last].End)
                spans[last] = new Span(spans[last].First, Math.Max(spans[last].End, spans[i].End));
            else spans[++last] = spans[i];
        }
        spans.RemoveRange(last + 1, spans.Count - last - 1);
    }

    void TakeAway()
    {
        _left.Clear();
        int at = 0;
        foreach (Span span in _tumour)
        {
            long first = span.First;
            while (at < _excluded.Count && _excluded[at].End <= first) at++;
            for (int i = at; i < _excluded.Count && _excluded[i].First < span.End; i++)
            {
                if (_excluded[i].First > first) _left.Add(new Span(first, _excluded[i].First));
                first = Math.Max(first, _excluded[i].End);
            }
            if (first < span.End) _left.Add(new Span(first, span.End));
        }
    }

    // The first window whose left edge is behind the value.
    static int FirstBehind(IReadOnlyList<SlideWindow> windows, List<int> over, long value)
    {
        int low = 0, high = over.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (windows[over[middle]].Left > value) high = middle;
            else low = middle + 1;
        }
        return low;
    }

    // The first of 0 to count whose middle is at or behind the value.
    static long Centre(double value, long count) => (long)Math.Clamp(Math.Ceiling(value - 0.5), 0, count);
}
