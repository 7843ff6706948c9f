// How far a result may be off, by class; nothing here is tuned to a kernel.
//   Exact     copies, comparisons, one correctly rounded operation: not at all.
//   Sum       sums and products of length K: 4·√K·eps·Σ|a·b|, eps of f32 as all sums are made in f32, plus the rounding
//             of the result to its own type. √K because rounding errors of random sign add up like a random walk.
//   Fused     several operations in one kernel: twice the largest error of the plain same-type computation, done step
//             by step with every intermediate rounded to the type (FlashAttention's criterion), and at least one
//             rounding of the result, so that a case so small that the plain way happens to be
//             exact does not ask for luck.
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class Tolerance
{
    public static Expected Exact(double[] values) => new(values, new double[values.Length]);

    /// <summary>magnitudes: Σ|a·b| of each element.</summary>
    public static Expected Sum(double[] values, double[] magnitudes, long length, DType type)
    {
        double factor = 4 * Math.Sqrt(length) * Values.Eps(DType.F32);
        double[] bounds = new double[values.Length];
        for (int i = 0; i < bounds.Length; i++)
            bounds[i] =
                factor * magnitudes[i] + (type == DType.F32 ? 0 : Values.Eps(type) * Math.Abs(values[i]) * 1.01);
        return new Expected(values, bounds);
    }

    /// <summary>plain: the same computation in the type's own arithmetic.</summary>
    public static Expected Fused(double[] values, double[] plain, DType type) =>
        Fused(values, Worst(values, plain), type);

    /// <summary>The largest difference.</summary>
    public static double Worst(double[] values, double[] plain)
    {
        double worst = 0;
        for (int i = 0; i < values.Length; i++) worst = Math.Max(worst, Math.Abs(plain[i] - values[i]));
        return worst;
    }

    /// <summary>
    /// worst: the plain computation's largest error, where it is known from more inputs than the case has.
    /// </summary>
    public static Expected Fused(double[] values, double worst, DType type)
    {
        double[] bounds = new double[values.Length];
        for (int i = 0; i < bounds.Length; i++)
            bounds[i] = Math.Max(2 * worst, 2 * Values.Eps(type) * Math.Abs(values[i]));
        return new Expected(values, bounds);
    }

    /// <summary>Null when all is within bounds, else the worst element in words.</summary>
    public static string? Judge(string name, Shape shape, Expected expected, double[] actual)
    {
        int worst = -1;
        double most = 1;
        for (int i = 0; i < actual.Length; i++)
        {
            double want = expected.Values[i], error = Math.Abs(actual[i] - want), bound = expected.Bounds[i];
            if (actual[i].Equals(want)) continue; // infinities and NaN where they belong
            double used = !double.IsNaN(error) && bound > 0 ? error / bound : double.PositiveInfinity;
            if (error == 0 || used <= most) continue;
            (worst, most) = (i, used);
        }
        return worst < 0 ? null
            : $"{name}{Index(worst, shape)}: expected {expected.Values[worst]:R}, got {actual[worst]:R}, "
              + $"off by {Math.Abs(actual[worst] - expected.Values[worst]):G3}, {100 * most:F0} % of the tolerance";
    }

    static string Index(long flat, Shape shape)
    {
        long[] index = new long[shape.Rank];
        for (int axis = shape.Rank - 1; axis >= 0; axis--)
        {
            index[axis] = flat % shape[axis];
            flat /= shape[axis];
        }
        return "[" + string.Join(", ", index) + "]";
    }
}
