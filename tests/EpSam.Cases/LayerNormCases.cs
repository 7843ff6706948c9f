using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class LayerNormCases
{
    const float Eps = 1e-6f; // SAM's encoder

    // one vector, fewer columns than a warp takes, around 128, several rounds; rows that do not fill a block
    static readonly (long R, long C)[] Sizes = [(1, 4), (3, 12), (7, 124), (8, 128), (9, 132), (17, 768), (5, 1280)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(s => Case(s.R, s.C, DType.F32)), Case(4096, 768, DType.F32, DType.F32, true),
        .. Sizes.Select(s => Case(s.R, s.C, DType.BF16)), Case(4096, 768, DType.BF16, DType.BF16, true),
        .. Sizes.Select(s => Case(s.R, s.C, DType.F32, DType.BF16)), Case(4096, 768, DType.F32, DType.BF16, true),
        .. from types in new[] { (DType.F32, DType.F32), (DType.BF16, DType.BF16), (DType.F32, DType.BF16) }
           from s in Sizes.Append((R: 331, C: 64)).Append((R: 4096, C: 256))
           from make in new Func<long, long, DType, DType, OpCase>[] { Backward, BackwardWeight }
           select make(s.Item1, s.Item2, types.Item1, types.Item2),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. Sizes[..5].Select(s => new GradientCase(Case(s.R, s.C, DType.F32), [0, 1, 2], (x, dy) =>
        [
            BackwardX(x[0], x[1], dy, s.C, v => v), .. BackwardWeights(x[0], dy, s.C).Select(sums => sums.Values),
        ])),
    ];

    static OpCase Case(long r, long c, DType type) => Case(r, c, type, type);

    static OpCase Case(long r, long c, DType type, DType to, bool realistic = false) => new()
    {
        Name = $"layer_norm {type.Name()}{(to == type ? "" : " " + to.Name())} {r}x{c}",
        Inputs =
        [
            new("x", type, new(r, c), Values.Normal(1, 2)), // a mean well off zero shows cancellation
            new("weight", DType.F32, new(c), Values.Normal(0.2, 1)), new("bias", DType.F32, new(c), Values.Normal(0.2)),
        ],
        Outputs = [new("y", to, new(r, c)), new("mean", DType.F32, new(r)), new("rstd", DType.F32, new(r))],
        Run = (gpu, x, y) => LayerNorm.Forward(gpu, x[0], x[1], x[2], Eps, y[0], y[1], y[2]),
        Reference = x => Reference(x[0], x[1], x[2], c, to),
        Flops = 8 * r * c, Bytes = r * c * (type.Size() + to.Size()) + 8 * r, Realistic = realistic,
    };

    static CaseTensor[] Statistics(long r, long c, DType to) =>
        [new("y", to, new(r, c)), new("mean", DType.F32, new(r)), new("rstd", DType.F32, new(r))];

    static OpCase Backward(long r, long c, DType type, DType to) => new()
    {
        Name = $"layer_norm bwd {type.Name()}{(to == type ? "" : " " + to.Name())} {r}x{c}",
        Inputs =
        [
            new("x", type, new(r, c), Values.Normal(1, 2)), new("weight", DType.F32, new(c), Values.Normal(0.2, 1)),
            new("dy", to, new(r, c), Values.Normal()), new("bias", DType.F32, new(c), Values.Normal(0.2)),
        ],
        Outputs = [new("dx", type, new(r, c))], Scratch = Statistics(r, c, to),
        Run = (gpu, x, y) =>
        {
            LayerNorm.Forward(gpu, x[0], x[1], x[3], Eps, y[1], y[2], y[3]);
            LayerNorm.Backward(gpu, x[0], x[1], y[2], y[3], x[2], y[0]);
        },
        Reference = x =>
        {
            (double[] exact, double worst) = Compared(x[0], x[1], x[2], c, type);
            return [Tolerance.Fused(exact, Math.Max(worst, WorstPlain(c, type, to)), type)];
        },
        Flops = 16 * r * c, Bytes = r * c * (2 * type.Size() + to.Size()), Realistic = r * c > 1_000_000,
    };

    static (double[] Exact, double Worst) Compared(double[] x, double[] weight, double[] dy, long c, DType type)
    {
        double[] exact = BackwardX(x, weight, dy, c, v => v), plain = BackwardX(x, weight, dy, c, v => (float)v);
        return (exact, Tolerance.Worst(exact, [.. plain.Select(v => Values.Round(v, type))]));
    }

    // Of 64 rows: of one or three short ones it would be a matter of luck.
    static double WorstPlain(long c, DType type, DType to)
    {
        Random random = new(1);
        double[] Some(long n, DType kind, double deviation, double mean) =>
            [.. Enumerable.Range(0, (int)n).Select(_ => Values.Round(Values.Normal(deviation, mean)(random), kind))];
        return Compared(Some(64 * c, type, 1, 2), Some(c, DType.F32, 0.2, 1), Some(64 * c, to, 1, 0), c, type).Worst;
    }

    static OpCase BackwardWeight(long r, long c, DType type, DType to) => new()
    {
        Name = $"layer_norm bwd weight {type.Name()}{(to == type ? "" : " " + to.Name())} {r}x{c}",
        Inputs =
        [
            new("x", type, new(r, c), Values.Normal(1, 2)), new("weight", DType.F32, new(c), Values.Normal(0.2, 1)),
            new("dy", to, new(r, c), Values.Normal()), new("bias", DType.F32, new(c), Values.Normal(0.2)),
            new("before", DType.F32, new(c), Values.Normal()),
        ],
        Outputs = [new("dWeight", DType.F32, new(c)), new("dBias", DType.F32, new(c))],
        Scratch =
        [
            .. Statistics(r, c, to),
            new("parts", DType.F32, LayerNorm.PartsShape(new Tensor(default, type, new(r, c)))),
        ],
        Run = (gpu, x, y) =>
        {
            LayerNorm.Forward(gpu, x[0], x[1], x[3], Eps, y[2], y[3], y[4]);
            Elementwise.Copy(gpu, x[4], y[0]); // gradients are added to what is there
            Elementwise.Copy(gpu, x[4], y[1]);
            LayerNorm.BackwardWeight(gpu, x[0], y[3], y[4], x[2], y[5], y[0], y[1]);
        },
        Reference = x =>
        {
            Sums[] sums = BackwardWeights(x[0], x[2], c);
            foreach (Sums sum in sums) for (int i = 0; i < c; i++) sum.Add(i, x[4][i]);
            return [.. sums.Select(sum => sum.Within(r + 1, DType.F32))];
        },
        Flops = 6 * r * c, Bytes = r * c * (type.Size() + to.Size()), Realistic = r * c > 1_000_000,
    };

    static (double Mean, double Rstd) Statistics(ReadOnlySpan<double> row, Func<double, double> round)
    {
        double sum = 0, squares = 0;
        foreach (double v in row) sum = round(sum + v);
        double mean = round(sum / row.Length);
        foreach (double v in row) squares = round(squares + round(round(v - mean) * round(v - mean)));
        return (mean, round(1 / round(Math.Sqrt(round(round(squares / row.Length) + Eps)))));
    }

    static double[] BackwardX(double[] x, double[] weight, double[] dy, long columns, Func<double, double> round)
    {
        double[] dx = new double[x.Length];
        for (int first = 0; first < x.Length; first += (int)columns)
        {
            ReadOnlySpan<double> row = x.AsSpan(first, (int)columns);
            (double mean, double rstd) = Statistics(row, round);
            double[] h = new double[columns], g = new double[columns];
            double a = 0, b = 0;
            for (int c = 0; c < columns; c++)
            {
                (h[c], g[c]) = (round(round(row[c] - mean) * rstd), round(dy[first + c] * weight[c]));
                a = round(a + g[c]);
                b = round(b + round(g[c] * h[c]));
            }
            (a, b) = (round(a / columns), round(b / columns));
            for (int c = 0; c < columns; c++)
                dx[first + c] = round(rstd * round(round(g[c] - a) - round(h[c] * b)));
        }
        return dx;
    }

    // A term's error is that of x - mean, which is a share of both.
    static Sums[] BackwardWeights(double[] x, double[] dy, long columns)
    {
        Sums weight = new(columns), bias = new(columns);
        for (int first = 0; first < x.Length; first += (int)columns)
        {
            ReadOnlySpan<double> row = x.AsSpan(first, (int)columns);
            (double mean, double rstd) = Statistics(row, v => v);
            for (int c = 0; c < columns; c++)
            {
                double d = dy[first + c];
                weight.Add(c, d * (row[c] - mean) * rstd, Math.Abs(d) * (Math.Abs(row[c]) + Math.Abs(mean)) * rstd);
                bias.Add(c, d);
            }
        }
        return [weight, bias];
    }

    static Expected[] Reference(double[] x, double[] weight, double[] bias, long columns, DType type)
    {
        double[][] exact = Compute(x, weight, bias, columns, v => v);
        // the plain way: the same steps, every intermediate an f32 (statistics of bf16 rows are kept in f32 everywhere)
        double[][] plain = Compute(x, weight, bias, columns, v => (float)v);
        for (int i = 0; i < x.Length; i++) plain[0][i] = Values.Round(plain[0][i], type);
        return
        [
            Tolerance.Fused(exact[0], plain[0], type), Tolerance.Fused(exact[1], plain[1], DType.F32),
            Tolerance.Fused(exact[2], plain[2], DType.F32),
        ];
    }

    static double[][] Compute(double[] x, double[] weight, double[] bias, long columns, Func<double, double> round)
    {
        long rows = x.Length / columns;
        double[] y = new double[x.Length], means = new double[rows], rstds = new double[rows];
        for (long r = 0; r < rows; r++)
        {
            ReadOnlySpan<double> row = x.AsSpan((int)(r * columns), (int)columns);
            double sum = 0, squares = 0;
            foreach (double v in row) sum = round(sum + v);
            double mean = round(sum / columns);
            foreach (double v in row) squares = round(squares + round(round(v - mean) * round(v - mean)));
            double rstd = round(1 / round(Math.Sqrt(round(round(squares / columns) + Eps))));
            for (int c = 0; c < columns; c++)
                y[r * columns + c] = round(round(round(round(row[c] - mean) * rstd) * weight[c]) + bias[c]);
            (means[r], rstds[r]) = (mean, rstd);
        }
        return [y, means, rstds];
    }
}
