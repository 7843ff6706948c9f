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
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in Sizes.Append((R: 2100, C: 64)).Append((R: 4 * 4096, C: 64)) select Backward(s, type),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in Sizes[..5] select new GradientCase(Case(s, DType.F32, false), [0, 1, 2, 3],
            (x, dy) => [.. Backward([.. x, dy], s).Select(sums => sums.Values)]),
    ];

    static OpCase Backward((long R, long C) s, DType type)
    {
        CaseTensor[] forward = Case(s, type, false).Inputs;
        Shape y = new(s.R, 2, 2, s.C), parts = Upscaling.PartsShape(new Tensor(default, type, y));
        return new OpCase
        {
            Name = $"upscaling norm_gelu bwd {type.Name()} {s.R}x{s.C}",
            Inputs =
            [
                .. forward, new("dy", type, y, Values.Normal()), new("before", DType.F32, new(s.C), Values.Normal()),
            ],
            Outputs =
            [
                new("dProduct", type, new(s.R, s.C, 2, 2)), new("dBias", DType.F32, new(s.C)),
                new("dWeight", DType.F32, new(s.C)), new("dShift", DType.F32, new(s.C)),
            ],
            Scratch = [new("parts", DType.F32, parts)],
            Run = (gpu, x, y) =>
            {
                for (int i = 1; i < 4; i++) Elementwise.Copy(gpu, x[5], y[i]);
                Upscaling.NormGeluBackward(gpu, x[0], x[1], x[2], x[3], Eps, x[4], y[4], y[0], y[1], y[2], y[3]);
            },
            Reference = x =>
            {
                Sums[] sums = Backward(x, s);
                for (int k = 1; k < 4; k++) for (int c = 0; c < s.C; c++) sums[k].Add(c, x[5][c]);
                return [sums[0].Within(s.C, type), .. sums[1..].Select(sum => sum.Within(4 * s.R + s.C, DType.F32))];
            },
            Flops = 250 * s.R * s.C, Bytes = 12 * type.Size() * s.R * s.C, Realistic = s.R > 4096,
        };
    }

    // Gradients of product, bias, weight and shift. What a rounding of the norm is multiplied with stands in `sure`.
    static Sums[] Backward(double[][] x, (long R, long C) s)
    {
        Sums product = new(x[0].Length), bias = new(s.C), weight = new(s.C), shift = new(s.C);
        for (long r = 0; r < s.R; r++)
            for (long i = 0; i < 4; i++)
            {
                double[] v = [.. Enumerable.Range(0, (int)s.C).Select(c => x[0][(r * s.C + c) * 4 + i] + x[1][c])];
                double mean = v.Average(), rstd = 1 / Math.Sqrt(v.Average(a => (a - mean) * (a - mean)) + Eps);
                double[] h = [.. v.Select(a => (a - mean) * rstd)], g = new double[s.C], errors = new double[s.C];
                for (int c = 0; c < s.C; c++)
                {
                    double z = h[c] * x[2][c] + x[3][c], dy = x[4][(r * 4 + i) * s.C + c], dz = dy * GeluCases.Slope(z);
                    double size = (Math.Abs(v[c]) + Math.Abs(mean)) * rstd;
                    double sure = Math.Abs(dy) * (1 + size * Math.Abs(x[2][c]) + Math.Abs(x[3][c]));
                    weight.Add(c, dz * h[c], sure * (Math.Abs(h[c]) + size));
                    shift.Add(c, dz, sure);
                    (g[c], errors[c]) = (dz * x[2][c], sure * Math.Abs(x[2][c]));
                }
                double a = g.Average(), b = g.Zip(h, (d, e) => d * e).Average();
                double a0 = errors.Average(), b0 = errors.Zip(h, (d, e) => d * (1 + Math.Abs(e))).Average();
                for (int c = 0; c < s.C; c++)
                {
                    double dx = rstd * (g[c] - a - h[c] * b);
                    double size = 1 + (Math.Abs(v[c]) + Math.Abs(mean)) * rstd;
                    double error = rstd * (errors[c] + a0 + b0 * size) * (1 + Math.Abs(mean) * rstd);
                    product.Add((r * s.C + c) * 4 + i, dx, error);
                    bias.Add(c, dx, error);
                }
            }
        return [product, bias, weight, shift];
    }

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
