namespace EpSam.Native.Preprocess;

/// <summary>
/// Otsu's threshold (IEEE Trans. SMC 9, 1979) as OpenCV computes it: the first level with the largest variance between
/// what is at most the level and what is above. Exact.
/// </summary>
public static class Otsu
{
    /// <summary>The threshold of 8-bit samples; 0 when all are equal.</summary>
    public static int Threshold(ReadOnlySpan<byte> samples)
    {
        int[] counts = new int[256];
        foreach (byte sample in samples) counts[sample]++;
        double share = 1.0 / samples.Length, mean = 0;
        for (int i = 0; i < 256; i++) mean += i * (double)counts[i];
        mean *= share;
        double lower = 0, lowerMean = 0, best = 0;
        int threshold = 0;
        for (int i = 0; i < 256; i++)
        {
            double here = counts[i] * share;
            lowerMean *= lower;
            lower += here;
            double upper = 1 - lower;
            // A class of less than a float's epsilon is rounding, not pixels.
            const double Least = 1.1920928955078125e-07;
            if (Math.Min(lower, upper) < Least || Math.Max(lower, upper) > 1 - Least) continue;
            lowerMean = (lowerMean + i * here) / lower;
            double upperMean = (mean - lower * lowerMean) / upper;
            double variance = lower * upper * (lowerMean - upperMean) * (lowerMean - upperMean);
            if (variance > best) (best, threshold) = (variance, i);
        }
        return threshold;
    }

    /// <summary>255 where a sample is above the threshold (THRESH_BINARY | THRESH_OTSU), else 0.</summary>
    /// <returns>The threshold.</returns>
    public static int Binarize(ReadOnlySpan<byte> samples, Span<byte> destination)
    {
        if (destination.Length != samples.Length)
        {
            throw new ArgumentException(
                $"Otsu: destination must hold {samples.Length} values, got {destination.Length}", nameof(destination));
        }
        int threshold = Threshold(samples);
        for (int i = 0; i < samples.Length; i++) destination[i] = (byte)(samples[i] > threshold ? 255 : 0);
        return threshold;
    }
}
