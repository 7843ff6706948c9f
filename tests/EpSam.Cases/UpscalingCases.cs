// Bias, LayerNorm2d and GELU of a transposed convolution. The plain computation is the reference model's, step by step,
// each stored in the type.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class UpscalingCases
{
    const float Eps = 1e-6f;

    // one lane a row; rows that do not fill a warp or a block; the channels of the small model and of SAM; a whole warp
    static readonly (long R, long C)[] Sizes = [(1, 8), (37, 8), (3, 16), (70, 16), (17, 64), (33, 32), (5, 256)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes from inPlace in new[] { false, true }
            select Case(s, type, inPlace),
        .. from type in new[] { DType.F32, DType.BF16 } select Case((8 * 4096, 64), type, false, true),
    ];

    static OpCase Case((long R, long C) s, DType type, bool inPlace, bool realistic = false) => new()
    {
        Name = $"upscaling norm_gelu {type.Name()} {s.R}x{s.C}{(inPlace ? " in place" : "")}",
        Inputs =
        [
            new("product", type, new(s.R, s.C, 2, 2), Values.Normal(1, 1)),
            new("bias", DType.F32, new(s.C), Values.Normal()),
            new("weight", DType.F32, new(s.C), Values.Normal(0.2, 1)),
            new("shift", DType.F32, new(s.C), Values.Normal(0.2)),
        ],
        Outputs = [new("y", type, new(s.R, 2, 2, s.C))],
        Run = (gpu, x, y) =>
        {
            Tensor product = x[0];
            if (inPlace)
            {
                product = y[0].Reshape(x[0].Shape);
                Elementwise.Copy(gpu, x[0], product);
            }
            Upscaling.NormGelu(gpu, product, x[1], x[2], x[3], Eps, y[0]);
        },
        Reference = x =>
        {
            double[] exact = Compute(x, s, v => v, v => v, GeluCases.Exact);
            double[] plain = Compute(x, s, v => (float)v, v => Values.Round(v, type), v => GeluCases.Plain(v, type));
            return [Tolerance.Fused(exact, Math.Max(GeluCases.WorstPlain(type), Tolerance.Worst(exact, plain)), type)];
        },
        Flops = 130 * s.R * s.C, Bytes = 8 * type.Size() * s.R * s.C, Realistic = realistic,
    };

    // round: each operation; store: each step's result.
    static double[] Compute(
        double[][] x, (long R, long C) s, Func<double, double> round, Func<double, double> store,
        Func<double, double> gelu)
    {
        double[] y = new double[x[0].Length];
        for (long r = 0; r < s.R; r++)
            for (long i = 0; i < 4; i++)
            {
                double[] v =
                    [.. Enumerable.Range(0, (int)s.C).Select(c => store(x[0][(r * s.C + c) * 4 + i] + x[1][c]))];
                double mean = round(v.Aggregate(0.0, (a, b) => round(a + b)) / s.C);
                double variance = round(v.Aggregate(0.0, (a, b) => round(a + round((b - mean) * (b - mean)))) / s.C);
                double rstd = round(1 / round(Math.Sqrt(round(variance + Eps))));
                for (int c = 0; c < s.C; c++)
                    y[(r * 4 + i) * s.C + c] = gelu(store(round(round(round(v[c] - mean) * rstd) * x[2][c]) + x[3][c]));
            }
        return y;
    }
}
