using System.Numerics;

namespace EpSam.Native.Preprocess;

/// <summary>NumPy's percentile with linear interpolation between the two nearest ranks.</summary>
public static class Percentile
{
    /// <summary>
    /// The value below which <paramref name="percent"/> per cent of <paramref name="values"/> lie; NaN of none, as
    /// there. Exact for whole numbers; for floats NumPy rounds the result to float.
    /// </summary>
    public static double Of<T>(ReadOnlySpan<T> values, double percent) where T : unmanaged, INumber<T>
    {
        if (!(percent is >= 0 and <= 100))
            throw new ArgumentOutOfRangeException(nameof(percent), percent, "must be 0 to 100");
        if (values.Length == 0) return double.NaN;
        T[] sorted = values.ToArray();
        Array.Sort(sorted);
        double at = (sorted.Length - 1) * (percent / 100);
        int rank = (int)at;
        if (rank >= sorted.Length - 1) return double.CreateChecked(sorted[^1]);
        double lower = double.CreateChecked(sorted[rank]), upper = double.CreateChecked(sorted[rank + 1]);
        double share = at - rank;
        // From the nearer end, so that both ends are hit exactly.
        return share >= 0.5 ? upper - (upper - lower) * (1 - share) : lower + (upper - lower) * share;
    }
}
