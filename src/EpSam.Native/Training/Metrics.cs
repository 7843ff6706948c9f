// What predictions are judged by, on the host, in double. Dice and IoU are EP-SAM's (tools/losses.py): smoothed by
// 0.001, by image, then averaged.
namespace EpSam.Native.Training;

/// <summary>Measures of classification and segmentation.</summary>
public static class Metrics
{
    internal const double Smooth = 1e-3;

    /// <summary>The share of scores on their label's side: above <paramref name="threshold"/> for 1.</summary>
    public static double Accuracy(ReadOnlySpan<double> scores, ReadOnlySpan<int> labels, double threshold = 0)
    {
        Same(scores.Length, labels.Length);
        if (scores.Length == 0) return double.NaN;
        int right = 0;
        for (int i = 0; i < scores.Length; i++)
            if (scores[i] > threshold == (labels[i] != 0)) right++;
        return (double)right / scores.Length;
    }

    /// <summary>
    /// Area under the ROC curve: the share of pairs of a positive and a negative in which the positive has the higher
    /// score, equal scores counting half (Mann and Whitney). NaN when there is only one class or a score is NaN.
    /// </summary>
    public static double Auc(ReadOnlySpan<double> scores, ReadOnlySpan<int> labels)
    {
        Same(scores.Length, labels.Length);
        double[] sorted = scores.ToArray();
        bool[] positive = new bool[labels.Length];
        for (int i = 0; i < labels.Length; i++) positive[i] = labels[i] != 0;
        if (Array.Exists(sorted, double.IsNaN)) return double.NaN;
        Array.Sort(sorted, positive);
        double wins = 0;
        long negatives = 0, positives = 0;
        for (int i = 0; i < sorted.Length;)
        {
            long ones = 0, zeros = 0;
            for (double score = sorted[i]; i < sorted.Length && sorted[i] == score; i++)
            {
                if (positive[i]) ones++;
                else zeros++;
            }
            wins += ones * (negatives + 0.5 * zeros);
            positives += ones;
            negatives += zeros;
        }
        return wins / ((double)positives * negatives);
    }

    /// <summary>2·|A∩B| / (|A| + |B|), smoothed, of masks whose pixels are not 0.</summary>
    public static double Dice(ReadOnlySpan<byte> prediction, ReadOnlySpan<byte> truth)
    {
        (long both, long sum) = Count(prediction, truth);
        return (2.0 * both + Smooth) / (sum + Smooth);
    }

    /// <summary>|A∩B| / |A∪B|, smoothed, of masks whose pixels are not 0.</summary>
    public static double IoU(ReadOnlySpan<byte> prediction, ReadOnlySpan<byte> truth)
    {
        (long both, long sum) = Count(prediction, truth);
        return (both + Smooth) / (sum - both + Smooth);
    }

    static (long Both, long Sum) Count(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        Same(a.Length, b.Length);
        long both = 0, sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            int x = a[i] == 0 ? 0 : 1, y = b[i] == 0 ? 0 : 1;
            both += x & y;
            sum += x + y;
        }
        return (both, sum);
    }

    static void Same(int a, int b)
    {
        if (a != b) throw new ArgumentException($"{a} predictions for {b} truths");
    }
}

/// <summary>A mean of values as they come; NaN of none.</summary>
public sealed class Mean
{
    double _sum;

    /// <summary>How many values there were.</summary>
    public long Count { get; private set; }

    /// <summary>The mean.</summary>
    public double Value => _sum / Count;

    /// <summary>Takes a value, or one that stands for several.</summary>
    public void Add(double value, long count = 1)
    {
        _sum += value * count;
        Count += count;
    }
}
