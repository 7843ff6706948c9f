using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class GeluCases
{
    static readonly long[] Sizes = [1, 3, 5, 127, 1009, 1023, 1025, 40_009];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(n => Case(n, DType.F32)), Case(4096 * 3072, DType.F32, true),
        .. Sizes.Select(n => Case(n, DType.BF16)), Case(4096 * 3072, DType.BF16, true),
        .. from type in new[] { DType.F32, DType.BF16 } from n in Sizes.Append(4096 * 3072) select Backward(n, type),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
        [new(Case(1023, DType.F32), [0], (x, dy) => [[.. x[0].Zip(dy, (v, d) => d * Slope(v))]])];

    static OpCase Case(long n, DType type, bool realistic = false) => new()
    {
        Name = $"gelu {type.Name()} {n}",
        Inputs = [new("x", type, new(n), Values.Normal(3))],
        Outputs = [new("y", type, new(n))],
        Run = (gpu, x, y) => Gelu.Forward(gpu, x[0], y[0]),
        Reference = x => [Reference(x[0], type)],
        Flops = 25 * n, Bytes = 2 * n * type.Size(), Realistic = realistic,
    };

    static OpCase Backward(long n, DType type) => new()
    {
        Name = $"gelu bwd {type.Name()} {n}",
        Inputs = [new("x", type, new(n), Values.Normal(3)), new("dy", type, new(n), Values.Normal())],
        Outputs = [new("dx", type, new(n))],
        Run = (gpu, x, y) => Gelu.Backward(gpu, x[0], x[1], y[0]),
        Reference = x =>
            [Tolerance.Fused([.. x[0].Zip(x[1], (v, d) => d * Slope(v))], WorstPlainSlope(type), type)],
        Flops = 30 * n, Bytes = 3 * n * type.Size(), Realistic = n > 1_000_000,
    };

    /// <summary>The derivative, Φ(x) + x·φ(x).</summary>
    internal static double Slope(double x) =>
        0.5 * Erf.Complement(-x / Math.Sqrt(2)) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);

    /// <summary>The same as a float implementation rounds it, before it is stored.</summary>
    internal static double PlainSlope(double x)
    {
        float v = (float)x, erf = (float)(1 - Erf.Complement(v * 0.70710678f));
        float density = (float)Math.Exp(v * v * -0.5f) * 0.39894228f;
        return 0.5f * (1 + erf) + v * density;
    }

    internal static double WorstPlainSlope(DType type)
    {
        Random random = new(1);
        (double X, double D)[] many = [.. Enumerable.Range(0, 4096).Select(_ =>
            (Values.Round(Values.Normal(3)(random), type), Values.Round(Values.Normal()(random), type)))];
        return Tolerance.Worst([.. many.Select(v => v.D * Slope(v.X))],
            [.. many.Select(v => Values.Round((float)(v.D * PlainSlope(v.X)), type))]);
    }

    // The plain computation's error is taken from 4096 inputs of the same kind: of one it would be a matter of luck.
    static Expected Reference(double[] x, DType type) => Tolerance.Fused([.. x.Select(Exact)], WorstPlain(type), type);

    internal static double WorstPlain(DType type)
    {
        Random random = new(1);
        double[] many = [.. Enumerable.Range(0, 4096).Select(_ => Values.Round(Values.Normal(3)(random), type))];
        return Tolerance.Worst([.. many.Select(Exact)], [.. many.Select(v => Plain(v, type))]);
    }

    internal static double Exact(double x) => x * 0.5 * Erf.Complement(-x / Math.Sqrt(2));

    internal static double Plain(double x, DType type)
    {
        float erf = (float)(1 - Erf.Complement((float)x * 0.70710678f)); // as a good erff rounds it
        return Values.Round((float)x * 0.5f * (1 + erf), type);
    }
}

/// <summary>The complementary error function in double, by its Taylor series and its continued fraction.</summary>
public static class Erf
{
    public static double Complement(double x)
    {
        if (x < 0) return 2 - Complement(-x);
        if (x < 2.5)
        {
            double term = x, sum = x;
            for (int n = 1; Math.Abs(term) > 1e-20; n++)
            {
                term *= -x * x / n;
                sum += term / (2 * n + 1);
            }
            return 1 - 2 / Math.Sqrt(Math.PI) * sum;
        }
        double fraction = 0; // erfc(x) = exp(-x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))))
        for (int n = 60; n >= 1; n--) fraction = n / 2.0 / (x + fraction);
        return Math.Exp(-x * x) / Math.Sqrt(Math.PI) / (x + fraction);
    }
}
