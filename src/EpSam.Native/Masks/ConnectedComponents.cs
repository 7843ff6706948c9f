// Regions of a mask, as OpenCV's connectedComponentsWithStats finds them with 8-connectivity. Its numbering matters
// (the reference keeps the first of the largest): labels follow the 2 x 2 block in which a region is first met, blocks
// row by row, as OpenCV's scan goes by blocks. All set pixels of a block touch each other.
namespace EpSam.Native.Masks;

/// <summary>
/// A region: its smallest box as left, top, width, height (in whole pixels, right end inside) and its area.
/// </summary>
public readonly record struct Region(int X, int Y, int Width, int Height, int Area);

/// <summary>Labels the regions of a mask.</summary>
public static class ConnectedComponents
{
    /// <summary>
    /// Writes a label for each pixel of <paramref name="mask"/> (height, width), 0 where it is 0; gives the regions by
    /// label, the background first. An absent background has area 0.
    /// </summary>
    public static Region[] Label(ReadOnlySpan<byte> mask, int height, int width, Span<int> labels)
    {
        if (mask.Length != (long)height * width || labels.Length != mask.Length)
        {
            throw new ArgumentException(
                $"ConnectedComponents: mask and labels must hold {height} x {width} values, "
                + $"got {mask.Length} and {labels.Length}");
        }
        List<int> parent = [0];
        ScanBlocks(mask, height, width, labels, parent);
        int count = Renumber(parent);
        return Measure(height, width, labels, parent, count);
    }

    static void ScanBlocks(ReadOnlySpan<byte> mask, int height, int width, Span<int> labels, List<int> parent)
    {
        labels.Clear();
        for (int y = 0; y < height; y += 2)
            for (int x = 0; x < width; x += 2)
            {
                int label = 0;
                for (int k = 0; k < 4; k++)
                {
                    int py = y + (k >> 1), px = x + (k & 1);
                    if (py < height && px < width && mask[py * width + px] != 0)
                        label = Join(labels, width, height, py, px, label, parent);
                }
                if (label == 0) continue;
                for (int k = 0; k < 4; k++)
                {
                    int py = y + (k >> 1), px = x + (k & 1);
                    if (py < height && px < width && mask[py * width + px] != 0) labels[py * width + px] = label;
                }
            }
    }

    // Joins a pixel to all neighbours that have a label (those of blocks still to come have none), or starts a label.
    static int Join(Span<int> labels, int width, int height, int y, int x, int label, List<int> parent)
    {
        for (int ny = Math.Max(y - 1, 0); ny <= Math.Min(y + 1, height - 1); ny++)
            for (int nx = Math.Max(x - 1, 0); nx <= Math.Min(x + 1, width - 1); nx++)
            {
                int other = labels[ny * width + nx];
                if (other == 0) continue;
                label = label == 0 ? Root(parent, other) : Union(parent, label, other);
            }
        if (label != 0) return label;
        parent.Add(parent.Count);
        return parent.Count - 1;
    }

    static int Union(List<int> parent, int a, int b)
    {
        (a, b) = (Root(parent, a), Root(parent, b));
        if (a == b) return a;
        (int low, int high) = a < b ? (a, b) : (b, a);
        parent[high] = low;
        return low;
    }

    static int Root(List<int> parent, int label)
    {
        while (parent[label] != label) label = parent[label] = parent[parent[label]];
        return label;
    }

    // Roots get consecutive numbers in their order; parent becomes the table from provisional to final label.
    static int Renumber(List<int> parent)
    {
        int count = 1;
        for (int i = 1; i < parent.Count; i++) parent[i] = parent[i] == i ? count++ : parent[parent[i]];
        return count;
    }

    static Region[] Measure(int height, int width, Span<int> labels, List<int> final, int count)
    {
        (int X0, int Y0, int X1, int Y1, int Area)[] sums = new (int, int, int, int, int)[count];
        sums.AsSpan().Fill((int.MaxValue, int.MaxValue, -1, -1, 0));
        for (int y = 0, i = 0; y < height; y++)
            for (int x = 0; x < width; x++, i++)
            {
                labels[i] = final[labels[i]];
                ref (int X0, int Y0, int X1, int Y1, int Area) s = ref sums[labels[i]];
                s = (Math.Min(s.X0, x), Math.Min(s.Y0, y), Math.Max(s.X1, x), Math.Max(s.Y1, y), s.Area + 1);
            }
        Region[] regions = new Region[count];
        for (int i = 0; i < count; i++)
        {
            (int x0, int y0, int x1, int y1, int area) = sums[i];
            if (area > 0) regions[i] = new(x0, y0, x1 - x0 + 1, y1 - y0 + 1, area);
        }
        return regions;
    }
}
