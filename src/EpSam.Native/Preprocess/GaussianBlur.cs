namespace EpSam.Native.Preprocess;

/// <summary>
/// Smoothing by a Gaussian, rows then columns, as scipy.ndimage.gaussian_filter does it: cut off at four deviations,
/// mirrored at the edges (the last pixel comes twice). Sums are in double, in a fixed order.
/// </summary>
public static class GaussianBlur
{
    const double CutOff = 4;

    /// <summary>
    /// Smooths (height, width) with a deviation in pixels, 0 or more; the destination may be the source.
    /// </summary>
    public static void Apply(ReadOnlySpan<float> source, int height, int width, double deviation,
        Span<float> destination)
    {
        Pixels.Check("GaussianBlur", nameof(source), source.Length, height, width);
        Pixels.Check("GaussianBlur", nameof(destination), destination.Length, height, width);
        if (!(deviation >= 0) || deviation > 1e4)
            throw new ArgumentException($"GaussianBlur: the deviation must be 0 to 10000, got {deviation}");
        source.CopyTo(destination);
        double[] weights = Weights(deviation);
        if (weights.Length == 1) return;
        float[] line = new float[Math.Max(height, width)];
        for (int y = 0; y < height; y++) Smooth(destination, y * width, 1, width, weights, line);
        for (int x = 0; x < width; x++) Smooth(destination, x, width, height, weights, line);
    }

    // Of the middle and of one side.
    static double[] Weights(double deviation)
    {
        int radius = (int)(CutOff * deviation + 0.5);
        double[] weights = new double[radius + 1];
        double sum = 0;
        for (int i = 0; i <= radius; i++)
        {
            weights[i] = i == 0 ? 1 : Math.Exp(-0.5 * i * i / (deviation * deviation));
            sum += i == 0 ? weights[i] : 2 * weights[i];
        }
        for (int i = 0; i <= radius; i++) weights[i] /= sum;
        return weights;
    }

    static void Smooth(Span<float> values, int start, int stride, int count, double[] weights, float[] line)
    {
        for (int i = 0; i < count; i++) line[i] = values[start + i * stride];
        int radius = weights.Length - 1;
        for (int i = 0; i < count; i++)
        {
            double sum = weights[0] * line[i];
            bool isInside = i >= radius && i + radius < count;
            for (int k = 1; k <= radius; k++)
            {
                (int before, int after) = isInside ? (i - k, i + k) : (Mirror(i - k, count), Mirror(i + k, count));
                sum += weights[k] * ((double)line[before] + line[after]);
            }
            values[start + i * stride] = (float)sum;
        }
    }

    // … 1 0 | 0 1 … n-1 | n-1 n-2 …
    static int Mirror(int i, int count)
    {
        int period = 2 * count;
        i %= period;
        if (i < 0) i += period;
        return i < count ? i : period - 1 - i;
    }
}
