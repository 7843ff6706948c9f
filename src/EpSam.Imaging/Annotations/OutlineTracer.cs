// Outlines of a mask that comes row by row. Between two rows lies a line of corners; each is visited once, from the
// left. What is known of an outline so far is a chain of corners with a loose end at each of its two open edges: a
// vertical edge of the row above, or the horizontal edge that leads to the next corner of the line. At a corner chains
// begin, grow, meet, and close to a ring. So what is kept is the outlines, the runs of one row and a number for each
// place where a region began (regions that meet later are joined as numbers); never the mask.
//
// Edges have the set pixel on their right hand: a run's right end leads down, its left end up. A chain's tail is loose
// where its edge leads away from it, its head where the edge leads to it.
namespace EpSam.Imaging.Annotations;

/// <summary>
/// Outlines of a mask, given row by row from the top: <see cref="MaskPolygons.Trace"/> says what they are. Memory grows
/// with the outlines, not with the mask. Not thread-safe.
/// </summary>
/// <param name="width">Pixels of a row.</param>
/// <param name="height">Rows.</param>
/// <param name="least">
/// Pixels that matter: holes of fewer, counted with what lies in them, are filled, then regions of fewer left out.
/// </param>
public sealed class OutlineTracer(int width, int height, double least = 0)
{
    const int None = -1;

    // A corner. Partner: at a chain's head its tail, at its tail the head.
    record struct Node(int X, int Y, bool IsPinch, int Next, int Partner);

    // A ring, and where its tracing would begin: the first pixel, by rows, whose upper edge is part of it.
    sealed record Ring(SlidePoint[] Points, int Region, int Row, int Column, int Part);

    // Where runs begin and end, alternating, and the loose ends there; the row above and the one that comes.
    List<int> _above = [], _below = [], _looseAbove = [], _looseBelow = [];
    List<int> _regionAbove = [], _regionBelow = []; // of each run
    Node[] _nodes = new Node[64];
    readonly Stack<int> _free = new();
    readonly List<int> _parent = [];                // of regions: the one that it turned out to be part of
    readonly List<Ring> _outer = [], _holes = [];

    // While a ring is cut: what is left of it, and the points that it may come back to, in order and by place.
    readonly List<SlidePoint> _open = [];
    readonly Stack<SlidePoint> _order = new();
    readonly Dictionary<SlidePoint, int> _seen = [];

    int _used, _row;
    bool _isFinished;

    /// <summary>Pixels of a row.</summary>
    public int Width { get; } = width > 0 ? width : throw new ArgumentOutOfRangeException(nameof(width), width, null);

    /// <summary>Rows.</summary>
    public int Height { get; } =
        height > 0 ? height : throw new ArgumentOutOfRangeException(nameof(height), height, null);

    /// <summary>The next row; any value but 0 is inside.</summary>
    public void Row(ReadOnlySpan<byte> mask)
    {
        if (mask.Length != Width) throw new ArgumentException($"a row has {Width} pixels, got {mask.Length}");
        Take(1);
        for (int x = 0; x < Width;)
        {
            int gap = mask[x..].IndexOfAnyExcept((byte)0);
            if (gap < 0) break;
            _below.Add(x + gap);
            int run = mask[(x + gap)..].IndexOf((byte)0);
            x = run < 0 ? Width : x + gap + run;
            _below.Add(x);
        }
        Advance();
        _row++;
    }

    /// <summary>The next rows have nothing.</summary>
    public void EmptyRows(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        Take(count);
        if (count > 0) Advance();
        _row += count;
    }

    /// <summary>
    /// After the last row: a polygon, with holes, for each region of pixels that share edges, from top to bottom by
    /// their first pixel. Points are corners only, in pixels of the mask; the polygons' areas are counts of pixels.
    /// </summary>
    /// <exception cref="InvalidOperationException">Rows are missing.</exception>
    public IReadOnlyList<SlidePolygon> Finish()
    {
        if (_isFinished || _row != Height)
            throw new InvalidOperationException(_isFinished ? "the outlines are finished"
                : $"{_row} of {Height} rows were given");
        Advance();
        _isFinished = true;
        Dictionary<int, List<Ring>> holes = [];
        foreach (Ring hole in _holes)
        {
            int region = Root(hole.Region);
            if (!holes.TryGetValue(region, out List<Ring>? those)) holes[region] = those = [];
            those.Add(hole);
        }
        return [.. _outer.OrderBy(r => r.Row).ThenBy(r => r.Column).Select(r => new SlidePolygon(r.Points,
            holes.TryGetValue(Root(r.Region), out List<Ring>? those)
                ? [.. those.OrderBy(h => h.Row).ThenBy(h => h.Column).ThenBy(h => h.Part).Select(h => h.Points)]
                : [])).Where(p => p.Area >= least)];
    }

    void Take(int count)
    {
        if (_isFinished || count > Height - _row)
            throw new InvalidOperationException($"more than {Height} rows were given");
    }

    // The corners between the row above and the one below, which becomes the one above.
    void Advance()
    {
        if (!_below.SequenceEqual(_above)) // else all edges go straight on
        {
            Regions();
            Corners();
            (_above, _below) = (_below, _above);
            (_looseAbove, _looseBelow) = (_looseBelow, _looseAbove);
            (_regionAbove, _regionBelow) = (_regionBelow, _regionAbove);
            _looseBelow.Clear();
            _regionBelow.Clear();
        }
        _below.Clear();
    }

    // A run is part of the regions whose runs above share columns with it.
    void Regions()
    {
        for (int run = 0, upper = 0; run < _below.Count / 2; run++)
        {
            (int start, int end) = (_below[2 * run], _below[2 * run + 1]);
            while (upper < _above.Count / 2 && _above[2 * upper + 1] <= start) upper++;
            int region = None;
            for (int u = upper; u < _above.Count / 2 && _above[2 * u] < end; u++)
            {
                int other = Root(_regionAbove[u]);
                if (region == None) region = other;
                else if (other != region) _parent[other] = region;
            }
            if (region == None)
            {
                region = _parent.Count;
                _parent.Add(region);
            }
            _regionBelow.Add(region);
        }
    }

    int Root(int region)
    {
        while (_parent[region] != region) region = _parent[region] = _parent[_parent[region]];
        return region;
    }

    // Round a corner lie four pixels: a b above, c d below. Where b and c, or a and d, touch there alone, the ring
    // turns towards its own pixel.
    void Corners()
    {
        int carried = None; // the loose end of the horizontal edge from the last corner
        for (int i = 0, k = 0; i < _above.Count || k < _below.Count;)
        {
            int x = Math.Min(i < _above.Count ? _above[i] : Width, k < _below.Count ? _below[k] : Width);
            bool isAbove = i < _above.Count && _above[i] == x, isBelow = k < _below.Count && _below[k] == x;
            bool a = i % 2 == 1, c = k % 2 == 1;
            int up = isAbove ? _looseAbove[i] : None;
            if (isAbove && isBelow && a != c) carried = Pinch(x, a, up, carried, i);
            else if (isAbove && isBelow) _looseBelow.Add(up);
            else if (isAbove && a != c) // from the left edge to the upper one, or back
            {
                Join(x, a ? up : carried, a ? carried : up, false, i);
                carried = None;
            }
            else if (isAbove) carried = Extend(x, up, isTail: a, false);
            else if (a != c) // between the left edge and the lower one
            {
                _looseBelow.Add(Extend(x, carried, isTail: c, false));
                carried = None;
            }
            else
            {
                carried = Begin(x, false);
                _looseBelow.Add(carried);
            }
            if (isAbove) i++;
            if (isBelow) k++;
        }
    }

    int Pinch(int x, bool isFalling, int up, int carried, int edge)
    {
        if (isFalling) // a and d: down along a and back left; up along d and right
        {
            Join(x, up, carried, true, edge);
            int begun = Begin(x, true);
            _looseBelow.Add(begun);
            return begun;
        }
        _looseBelow.Add(Extend(x, carried, isTail: true, true)); // b and c: right along c and down; left along b and up
        return Extend(x, up, isTail: false, true);
    }

    int Begin(int x, bool isPinch)
    {
        if (!_free.TryPop(out int node))
        {
            if (_used == _nodes.Length) Array.Resize(ref _nodes, checked(2 * _used));
            node = _used++;
        }
        _nodes[node] = new Node(x, _row, isPinch, None, node);
        return node;
    }

    // A chain gets a corner at an end, which is the loose one from now on.
    int Extend(int x, int end, bool isTail, bool isPinch)
    {
        int node = Begin(x, isPinch), other = _nodes[end].Partner;
        if (isTail) _nodes[end].Next = node;
        else _nodes[node].Next = end;
        (_nodes[node].Partner, _nodes[other].Partner) = (other, node);
        return node;
    }

    // Two ends meet; when they are of one chain it is a ring.
    void Join(int x, int tail, int head, bool isPinch, int edge)
    {
        int node = Extend(x, tail, isTail: true, isPinch), first = _nodes[node].Partner, last = _nodes[head].Partner;
        _nodes[node].Next = head;
        if (first == head) Close(node, _regionAbove[edge / 2]);
        else (_nodes[first].Partner, _nodes[last].Partner) = (last, first);
    }

    void Close(int node, int region)
    {
        int start = None, count = 0, at = node;
        do
        {
            Node here = _nodes[at], next = _nodes[here.Next];
            bool isUpperEdge = next.Y == here.Y && next.X > here.X;
            if (isUpperEdge && (start == None || (here.Y, here.X).CompareTo((_nodes[start].Y, _nodes[start].X)) < 0))
                start = at;
            count++;
            at = here.Next;
        }
        while (at != node);
        (int row, int column) = (_nodes[start].Y, _nodes[start].X);
        foreach ((int part, SlidePoint[] points) in Simple(start, count).Index())
        {
            double area = SlidePolygon.SignedArea(points);
            if (Math.Abs(area) < least) continue; // what lies in it is smaller still
            (area > 0 ? _outer : _holes).Add(new Ring(points, region, row, column, part));
        }
    }

    // A ring's points, its nodes given back; cut where it comes back to a point, so that parts touch but do not cross.
    List<SlidePoint[]> Simple(int start, int count)
    {
        List<SlidePoint[]> rings = new(1);
        for (int at = start, left = count; left > 0; left--)
        {
            Node node = _nodes[at];
            SlidePoint point = new(node.X, node.Y);
            if (node.IsPinch && _seen.TryGetValue(point, out int from))
            {
                rings.Add([.. _open[from..]]);
                _open.RemoveRange(from, _open.Count - from);
                while (_order.Peek() != point) _seen.Remove(_order.Pop());
            }
            else if (node.IsPinch)
            {
                _seen[point] = _open.Count;
                _order.Push(point);
            }
            _open.Add(point);
            _free.Push(at);
            at = node.Next;
        }
        rings.Add([.. _open]);
        _open.Clear();
        while (_order.TryPop(out SlidePoint point)) _seen.Remove(point); // one by one: clearing costs its capacity
        return rings;
    }
}
