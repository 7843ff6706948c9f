namespace EpSam.Native.Preprocess;

/// <summary>OpenCV's findNonZero.</summary>
public static class NonZero
{
    /// <summary>The set pixels of a (height, width) mask, row by row, as (x, y).</summary>
    public static (int X, int Y)[] Points(ReadOnlySpan<byte> mask, int height, int width)
    {
        Pixels.Check("NonZero", nameof(mask), mask.Length, height, width);
        (int X, int Y)[] points = new (int, int)[mask.Length - mask.Count((byte)0)];
        for (int i = 0, n = 0; n < points.Length; i++)
            if (mask[i] != 0) points[n++] = (i % width, i / width);
        return points;
    }
}
