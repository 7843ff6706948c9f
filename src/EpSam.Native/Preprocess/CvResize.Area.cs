// INTER_AREA of cv2.resize for 8-bit samples. Shrinking by whole factors is a mean of blocks, shrinking by others a
// mean weighted by how much of a pixel is covered; when either side grows it is a linear interpolation that keeps
// pixels whole where it can.
namespace EpSam.Native.Preprocess;

public static partial class CvResize
{
    /// <summary>INTER_AREA of 8-bit samples.</summary>
    public static void Area(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        double scaleY = Scale(height, newHeight), scaleX = Scale(width, newWidth);
        if ((height, width) == (newHeight, newWidth)) source.CopyTo(destination);
        else if (newHeight > height || newWidth > width)
        {
            Separable(source, height, width, channels, GrowingAxis(width, newWidth, true),
                GrowingAxis(height, newHeight, false), MixLinear, destination);
        }
        else if (IsWhole(scaleY) && IsWhole(scaleX))
            Blocks(source, width, channels, height / newHeight, width / newWidth, destination);
        else Covered(source, width, channels, Shares(height, newHeight), Shares(width, newWidth), destination);
    }

    static bool IsWhole(double scale) => Math.Abs(scale - Math.Round(scale)) < 2.220446049250313e-16; // as OpenCV

    static Axis GrowingAxis(int size, int newSize, bool zeroBeyondEnds)
    {
        Axis axis = new(2, new int[newSize], new float[2 * newSize]);
        double scale = Scale(size, newSize), inverse = (double)newSize / size;
        for (int i = 0; i < newSize; i++)
        {
            int first = (int)Math.Floor(i * scale);
            float second = (float)(i + 1 - (first + 1) * inverse);
            Set(axis, i, first, second <= 0 ? 0 : second - MathF.Floor(second), size, zeroBeyondEnds);
        }
        return axis;
    }

    // The mean of 2 x 2 rounds half up (in OpenCV's vector code, for 1, 3 and 4 channels), all others half to even.
    static void Blocks(ReadOnlySpan<byte> source, int width, int channels, int blockHeight, int blockWidth,
        Span<byte> destination)
    {
        int stride = width * channels, newStride = width / blockWidth * channels;
        bool halfUp = (blockHeight, blockWidth) == (2, 2) && channels is 1 or 3 or 4;
        float share = 1f / (blockHeight * blockWidth);
        for (int o = 0; o < destination.Length; o++)
        {
            (int y, int at) = Math.DivRem(o, newStride);
            (int x, int c) = Math.DivRem(at, channels);
            int sum = 0;
            for (int i = 0; i < blockHeight; i++)
                for (int j = 0; j < blockWidth; j++)
                    sum += source[(y * blockHeight + i) * stride + (x * blockWidth + j) * channels + c];
            destination[o] = (byte)(halfUp ? (sum + 2) >> 2 : (int)MathF.Round(sum * share));
        }
    }

    /// <summary>How much a source sample contributes to an output sample.</summary>
    readonly record struct Share(int Source, int Target, float Weight);

    // What is covered less than a thousandth counts as not covered, as in OpenCV.
    static List<Share> Shares(int size, int newSize)
    {
        List<Share> shares = [];
        double scale = Scale(size, newSize);
        for (int i = 0; i < newSize; i++)
        {
            double from = i * scale, to = from + scale, cell = Math.Min(scale, size - from);
            int last = Math.Min((int)Math.Floor(to), size - 1), first = Math.Min((int)Math.Ceiling(from), last);
            if (first - from > 1e-3) shares.Add(new(first - 1, i, (float)((first - from) / cell)));
            for (int k = first; k < last; k++) shares.Add(new(k, i, (float)(1.0 / cell)));
            double rest = to - last;
            if (rest > 1e-3) shares.Add(new(last, i, (float)(Math.Min(Math.Min(rest, 1), cell) / cell)));
        }
        return shares;
    }

    static void Covered(ReadOnlySpan<byte> source, int width, int channels, List<Share> rows, List<Share> columns,
        Span<byte> destination)
    {
        int stride = (columns[^1].Target + 1) * channels;
        float[] line = new float[stride], sums = new float[stride];
        for (int r = 0; r < rows.Count; r++)
        {
            Array.Clear(line);
            foreach (Share column in columns)
                for (int c = 0; c < channels; c++)
                {
                    byte sample = source[(rows[r].Source * width + column.Source) * channels + c];
                    line[column.Target * channels + c] += sample * column.Weight;
                }
            for (int i = 0; i < stride; i++) sums[i] += rows[r].Weight * line[i];
            if (r + 1 < rows.Count && rows[r + 1].Target == rows[r].Target) continue;
            Span<byte> to = destination.Slice(rows[r].Target * stride, stride);
            for (int i = 0; i < stride; i++) to[i] = (byte)Math.Clamp((int)MathF.Round(sums[i]), 0, 255);
            Array.Clear(sums);
        }
    }
}
