// Outlines found by filling regions and following their rims over the whole mask: slow and plain, to compare with.
using EpSam.Imaging.Annotations;

namespace EpSam.Native.Tests.Imaging;

internal static class WholeMaskOutlines
{
    // Directions along edges, with the set pixel on the right hand: right, down, left, up.
    static readonly (int X, int Y)[] Steps = [(1, 0), (0, 1), (-1, 0), (0, -1)];

    public static IReadOnlyList<SlidePolygon> Trace(ReadOnlySpan<byte> mask, int height, int width)
    {
        int[] region = Regions(mask, height, width, out int count);
        List<SlidePoint>?[] outer = new List<SlidePoint>?[count];
        List<IReadOnlyList<SlidePoint>>[] holes = [.. Enumerable.Range(0, count)
            .Select(_ => new List<IReadOnlyList<SlidePoint>>())];
        bool[] upperDone = new bool[mask.Length]; // the upper edge of a pixel is part of a ring that was traced
        for (int row = 0; row < height; row++)
        {
            for (int column = 0; column < width; column++)
            {
                int at = row * width + column;
                if (region[at] < 0 || upperDone[at] || (row > 0 && region[at - width] >= 0)) continue;
                foreach (List<SlidePoint> ring in Simple(Follow(region, height, width, column, row, upperDone)))
                {
                    if (SlidePolygon.SignedArea(ring) > 0) outer[region[at]] = ring;
                    else holes[region[at]].Add(ring);
                }
            }
        }
        return [.. outer.Select((ring, i) => new SlidePolygon(ring!, holes[i]))];
    }

    // From a pixel's upper left corner to the right, round and back. At a corner where two set pixels touch, the ring
    // turns towards its own.
    static List<SlidePoint> Follow(int[] region, int height, int width, int column, int row, bool[] upperDone)
    {
        List<SlidePoint> ring = [];
        (int x, int y, int direction) = (column, row, 0);
        int before = -1;
        do
        {
            if (direction == 0) upperDone[y * width + x] = true;
            if (direction != before) ring.Add(new SlidePoint(x, y));
            before = direction;
            x += Steps[direction].X;
            y += Steps[direction].Y;
            // Ahead of the corner: the pixel on the right hand, and the one on the left.
            bool right = IsSet(Ahead(x, y, direction, true)), left = IsSet(Ahead(x, y, direction, false));
            direction = !right ? (direction + 1) % 4 : left ? (direction + 3) % 4 : direction;
        }
        while (x != column || y != row || direction != 0);
        return ring;

        bool IsSet((int X, int Y) p) => p.X >= 0 && p.Y >= 0 && p.X < width && p.Y < height
            && region[p.Y * width + p.X] >= 0;
    }

    // Cut where it comes back to a point.
    static List<List<SlidePoint>> Simple(List<SlidePoint> ring)
    {
        List<List<SlidePoint>> rings = [];
        List<SlidePoint> open = [];
        Dictionary<SlidePoint, int> seen = [];
        foreach (SlidePoint point in ring)
        {
            if (seen.TryGetValue(point, out int from))
            {
                List<SlidePoint> loop = open[from..];
                rings.Add(loop);
                foreach (SlidePoint inner in loop) seen.Remove(inner);
                open.RemoveRange(from, loop.Count);
            }
            seen[point] = open.Count;
            open.Add(point);
        }
        rings.Add(open);
        return rings;
    }

    static (int X, int Y) Ahead(int x, int y, int direction, bool right) => (direction, right) switch
    {
        (0, true) => (x, y), (0, false) => (x, y - 1),
        (1, true) => (x - 1, y), (1, false) => (x, y),
        (2, true) => (x - 1, y - 1), (2, false) => (x - 1, y),
        (3, true) => (x, y - 1), _ => (x - 1, y - 1),
    };

    // Numbers regions of pixels that share edges, -1 for the rest.
    static int[] Regions(ReadOnlySpan<byte> mask, int height, int width, out int count)
    {
        int[] region = new int[mask.Length];
        Array.Fill(region, -1);
        Stack<int> left = new();
        count = 0;
        for (int start = 0; start < mask.Length; start++)
        {
            if (mask[start] == 0 || region[start] >= 0) continue;
            region[start] = count;
            left.Push(start);
            while (left.Count > 0)
            {
                int at = left.Pop(), column = at % width;
                if (column > 0) Visit(mask, at - 1, count);
                if (column + 1 < width) Visit(mask, at + 1, count);
                if (at >= width) Visit(mask, at - width, count);
                if (at + width < mask.Length) Visit(mask, at + width, count);
            }
            count++;
        }
        return region;

        void Visit(ReadOnlySpan<byte> mask, int at, int number)
        {
            if (mask[at] == 0 || region[at] >= 0) return;
            region[at] = number;
            left.Push(at);
        }
    }
}
