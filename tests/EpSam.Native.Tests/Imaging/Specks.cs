namespace EpSam.Native.Tests.Imaging;

/// <summary>
/// What is left of a mask without small regions and small holes, by filling pixel by pixel: a hole of a region is what
/// cannot be left, over edges, without crossing that region.
/// </summary>
internal static class Specks
{
    public static byte[] Without(byte[] mask, int height, int width, double least)
    {
        (int frameHeight, int frameWidth) = (height + 2, width + 2); // all that is outside meets around the mask
        bool[] framed = new bool[frameHeight * frameWidth];
        for (int i = 0; i < mask.Length; i++)
            framed[(i / width + 1) * frameWidth + i % width + 1] = mask[i] != 0;
        byte[] left = new byte[mask.Length];
        foreach (HashSet<int> region in Parts(framed, frameWidth))
        {
            bool[] others = [.. Enumerable.Range(0, framed.Length).Select(i => !region.Contains(i))];
            foreach (HashSet<int> hole in Parts(others, frameWidth))
                if (!hole.Contains(0) && hole.Count < least) region.UnionWith(hole);
            if (region.Count < least) continue;
            foreach (int i in region) left[(i / frameWidth - 1) * width + i % frameWidth - 1] = 1;
        }
        return left;
    }

    // Pixels that are connected over edges.
    static List<HashSet<int>> Parts(bool[] set, int width)
    {
        List<HashSet<int>> parts = [];
        bool[] isSeen = new bool[set.Length];
        for (int start = 0; start < set.Length; start++)
        {
            if (!set[start] || isSeen[start]) continue;
            HashSet<int> part = [];
            Stack<int> open = new([start]);
            isSeen[start] = true;
            while (open.TryPop(out int at))
            {
                part.Add(at);
                (int x, int y) = (at % width, at / width);
                if (x > 0) Visit(at - 1);
                if (x + 1 < width) Visit(at + 1);
                if (y > 0) Visit(at - width);
                if (at + width < set.Length) Visit(at + width);
            }
            parts.Add(part);

            void Visit(int at)
            {
                if (!set[at] || isSeen[at]) return;
                isSeen[at] = true;
                open.Push(at);
            }
        }
        return parts;
    }
}
