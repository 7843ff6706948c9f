namespace EpSam.Native.Preprocess;

/// <summary>
/// OpenCV's medianBlur of a (height, width) image: the median of a square, the border repeated outwards. Exact.
/// </summary>
public static class MedianBlur
{
    /// <param name="source">(height, width).</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="side">Of the square, odd.</param>
    /// <param name="destination">(height, width), not overlapping the source.</param>
    public static void Apply(ReadOnlySpan<byte> source, int height, int width, int side, Span<byte> destination)
    {
        Pixels.Check("MedianBlur", nameof(source), source.Length, height, width);
        Pixels.Check("MedianBlur", nameof(destination), destination.Length, height, width);
        if (side < 1 || side % 2 == 0) throw new ArgumentOutOfRangeException(nameof(side), side, "must be odd");
        // T. S. Huang's sliding histogram: a step to the right takes one column out and one in, and the median moves by
        // few levels.
        int radius = side / 2, half = side * side / 2;
        int[] counts = new int[256], rows = new int[side];
        for (int y = 0; y < height; y++)
        {
            for (int k = 0; k < side; k++) rows[k] = Math.Clamp(y + k - radius, 0, height - 1) * width;
            Array.Clear(counts);
            for (int k = -radius; k <= radius; k++)
                foreach (int row in rows) counts[source[row + Math.Clamp(k, 0, width - 1)]]++;
            int median = 0, below = 0; // below: how many are less than median
            for (int x = 0; ; x++)
            {
                while (below > half) below -= counts[--median];
                while (below + counts[median] <= half) below += counts[median++];
                destination[y * width + x] = (byte)median;
                if (x == width - 1) break;
                int left = Math.Max(x - radius, 0), right = Math.Min(x + radius + 1, width - 1);
                foreach (int row in rows)
                {
                    (byte gone, byte come) = (source[row + left], source[row + right]);
                    counts[gone]--;
                    counts[come]++;
                    below += (come < median ? 1 : 0) - (gone < median ? 1 : 0);
                }
            }
        }
    }
}
