// Rows below and above a group of eight, a thread's share, a part; channels that do not fill a strip; with and
// without residual and ReLU. Parameters' gradients are added to what is there. Backward takes any mean and rstd (its
// formula holds what depends on them); that the formula is the derivative is the gradient test's part.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class BatchNormCases
{
    const float Eps = 1e-5f, Momentum = 0.1f;

    static readonly (long R, long C)[] Sizes =
        [(2, 4), (5, 12), (31, 36), (66, 32), (255, 64), (257, 100), (531, 8), (1030, 40), (3001, 4), (530, 136)];

    enum Around { Nothing, Relu, Residual, Both }

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes select Statistics(s.R, s.C, type),
        .. from type in new[] { DType.F32, DType.BF16 } from around in Enum.GetValues<Around>() from s in Sizes[..6]
           select Forward(s.R, s.C, type, around),
        .. from type in new[] { DType.F32, DType.BF16 } from around in Enum.GetValues<Around>() from s in Sizes
           select Backward(s.R, s.C, type, around, true),
        .. from around in Enum.GetValues<Around>() from s in Sizes[..4]
           select Backward(s.R, s.C, DType.F32, around, false),
        new()
        {
            Name = "batch_norm rstd f32 300",
            Inputs = [new("variance", DType.F32, new(300), Values.Uniform(0, 2))],
            Outputs = [new("rstd", DType.F32, new(300))],
            Run = (gpu, x, y) => BatchNorm.Rstd(gpu, x[0], Eps, y[0]),
            Reference = x => [Tolerance.Fused([.. x[0].Select(v => 1 / Math.Sqrt(v + Eps))], 0, DType.F32)],
            Flops = 900, Bytes = 2400,
        },
        Statistics(16384, 256, DType.F32, true), Forward(16384, 256, DType.F32, Around.Both, true),
        Backward(16384, 256, DType.F32, Around.Both, true, true),
        Statistics(16384, 256, DType.BF16, true), Forward(16384, 256, DType.BF16, Around.Both, true),
        Backward(16384, 256, DType.BF16, Around.Both, true, true),
    ];

    /// <summary>
    /// Backward cases with the forward in double, of the same inputs but for a residual in y's place; Batch: mean and
    /// rstd are x's own.
    /// </summary>
    public static IEnumerable<(OpCase Backward, bool Batch, Func<double[][], double[]> Forward)> Gradients { get; } =
    [
        .. from around in Enum.GetValues<Around>() from batch in new[] { true, false } from s in Sizes[..4]
           select (Backward(s.R, s.C, DType.F32, around, batch), batch, Result(around, batch)),
    ];

    /// <summary>Mean and rstd of each channel, put where a backward case has them.</summary>
    public static void Normalise(double[][] inputs)
    {
        int columns = inputs[1].Length;
        double[][] own = Moments(inputs[0], columns, v => v);
        (inputs[1], inputs[2]) = (own[0], [.. own[1].Select(v => 1 / Math.Sqrt(v + Eps))]);
    }

    static string Name(string what, DType type, long r, long c, Around around) =>
        $"batch_norm {what} {type.Name()} {r}x{c}"
        + (around == Around.Nothing ? "" : " " + around.ToString().ToLowerInvariant());

    static OpCase Statistics(long r, long c, DType type, bool realistic = false)
    {
        Tensor like = new(default, type, new(r, c));
        return new()
        {
            Name = Name("statistics", type, r, c, Around.Nothing),
            Inputs =
            [
                new("x", type, new(r, c), Values.Normal(1, 3)), // a mean well off zero shows cancellation
                new("mean0", DType.F32, new(c), Values.Normal()),
                new("var0", DType.F32, new(c), Values.Uniform(0.5, 2)),
            ],
            Outputs =
            [
                new("mean", DType.F32, new(c)), new("rstd", DType.F32, new(c)), new("running_mean", DType.F32, new(c)),
                new("running_var", DType.F32, new(c)),
            ],
            Scratch = [new("parts", DType.F32, BatchNorm.Parts(like))],
            Run = (gpu, x, y) =>
            {
                Elementwise.Copy(gpu, x[1], y[2]);
                Elementwise.Copy(gpu, x[2], y[3]);
                BatchNorm.Statistics(gpu, x[0], Eps, Momentum, y[4], y[0], y[1], y[2], y[3]);
            },
            Reference = x =>
            {
                double[][] exact = Finish(x, r, v => v), plain = Finish(x, r, v => (float)v);
                return [.. exact.Select((e, i) => Tolerance.Fused(e, plain[i], DType.F32))];
            },
            Flops = 5 * r * c, Bytes = r * c * type.Size(), Realistic = realistic,
        };
    }

    static double[][] Finish(double[][] x, long rows, Func<double, double> round)
    {
        double[][] own = Moments(x[0], x[1].Length, round);
        double keep = round(1 - Momentum);
        return
        [
            own[0], [.. own[1].Select(v => round(1 / round(Math.Sqrt(round(v + Eps)))))],
            [.. own[0].Select((m, c) => round(round(keep * x[1][c]) + round(Momentum * m)))],
            [
                .. own[1].Select((v, c) =>
                    round(round(keep * x[2][c]) + round(Momentum * round(v * rows / (rows - 1))))),
            ],
        ];
    }

    // Mean and biased variance of each channel, in two passes.
    static double[][] Moments(double[] x, int columns, Func<double, double> round)
    {
        double[] mean = new double[columns], variance = new double[columns];
        int rows = x.Length / columns;
        for (int i = 0; i < x.Length; i++) mean[i % columns] = round(mean[i % columns] + x[i]);
        for (int c = 0; c < columns; c++) mean[c] = round(mean[c] / rows);
        for (int i = 0; i < x.Length; i++)
        {
            double d = round(x[i] - mean[i % columns]);
            variance[i % columns] = round(variance[i % columns] + round(d * d));
        }
        for (int c = 0; c < columns; c++) variance[c] = round(variance[c] / rows);
        return [mean, variance];
    }

    static CaseTensor[] Affine(long c) =>
    [
        new("mean", DType.F32, new(c), Values.Normal(0.3, 0.5)), new("rstd", DType.F32, new(c), Values.Uniform(0.5, 2)),
        new("weight", DType.F32, new(c), Values.Normal(0.2, 1)), new("bias", DType.F32, new(c), Values.Normal(0.3)),
    ];

    static OpCase Forward(long r, long c, DType type, Around around, bool realistic = false) => new()
    {
        Name = Name("fwd", type, r, c, around),
        Inputs =
        [
            new("x", type, new(r, c), Values.Normal(1, 0.5)), .. Affine(c),
            new("residual", type, new(r, c), Values.Normal()),
        ],
        Outputs = [new("y", type, new(r, c))],
        Run = (gpu, x, y) => BatchNorm.Forward(gpu, x[0], new(x[1], x[2], x[3], x[4]),
            around >= Around.Residual ? x[5] : null, around is Around.Relu or Around.Both, y[0]),
        Reference = x =>
        {
            double[] exact = Results(x, around, v => v), plain = Results(x, around, v => (float)v);
            return [Tolerance.Fused(exact, [.. plain.Select(v => Values.Round(v, type))], type)];
        },
        Flops = 4 * r * c, Bytes = (around >= Around.Residual ? 3 : 2) * r * c * type.Size(), Realistic = realistic,
    };

    static double[] Results(double[][] x, Around around, Func<double, double> round)
    {
        int columns = x[1].Length;
        double[] y = new double[x[0].Length];
        for (int i = 0; i < y.Length; i++)
        {
            int c = i % columns;
            y[i] = round(round(round(round(x[0][i] - x[1][c]) * x[2][c]) * x[3][c]) + x[4][c]);
            if (around >= Around.Residual) y[i] = round(y[i] + x[5][i]);
            if (around is Around.Relu or Around.Both) y[i] = Math.Max(0, y[i]);
        }
        return y;
    }

    static OpCase Backward(long r, long c, DType type, Around around, bool batch, bool realistic = false)
    {
        bool relu = around is Around.Relu or Around.Both, residual = around >= Around.Residual;
        return new()
        {
            Name = Name(batch ? "bwd" : "bwd constant", type, r, c, around),
            Inputs =
            [
                new("x", type, new(r, c), Values.Normal(1, 0.5)), .. Affine(c),
                new("y", type, new(r, c), Values.Normal()),
                new("dy", type, new(r, c), Values.Normal()), new("dw0", DType.F32, new(c), Values.Normal()),
                new("db0", DType.F32, new(c), Values.Normal()),
            ],
            Outputs =
            [
                new("dx", type, new(r, c)), new("dw", DType.F32, new(c)), new("db", DType.F32, new(c)),
                .. residual ? [new CaseTensor("dr", type, new(r, c))] : Array.Empty<CaseTensor>(),
            ],
            Scratch = [new("parts", DType.F32, BatchNorm.Parts(new(default, type, new(r, c))))],
            Run = (gpu, x, y) =>
            {
                Elementwise.Copy(gpu, x[7], y[1]);
                Elementwise.Copy(gpu, x[8], y[2]);
                BatchNorm.Backward(gpu, x[0], new(x[1], x[2], x[3], x[4]), relu && residual ? x[5] : null, relu, batch,
                    x[6], y[^1], y[0], residual ? y[3] : null, y[1], y[2]);
            },
            Reference = x =>
            {
                double[][] exact = Derive(x, around, batch, v => v, out double[][] magnitudes);
                double[] plain = Derive(x, around, batch, v => (float)v, out _)[0];
                Expected dx = Tolerance.Fused(exact[0], [.. plain.Select(v => Values.Round(v, type))], type);
                Expected dw = Tolerance.Sum(exact[1], magnitudes[0], r + 1, DType.F32);
                Expected db = Tolerance.Sum(exact[2], magnitudes[1], r + 1, DType.F32);
                return residual ? [dx, dw, db, Tolerance.Exact(exact[3])] : [dx, dw, db];
            },
            Flops = 14 * r * c, Bytes = (residual ? 8 : 5) * r * c * type.Size(), Realistic = realistic,
        };
    }

    // dx, dw, db, dr; magnitudes: of the terms of dw and db.
    static double[][] Derive(double[][] x, Around around, bool batch, Func<double, double> round,
        out double[][] magnitudes)
    {
        (double[] mean, double[] rstd, double[] weight) = (x[1], x[2], x[3]);
        int columns = mean.Length, rows = x[0].Length / columns;
        double[] y = around == Around.Relu ? Results(x, around, v => v) : x[5];
        double[] dx = new double[x[0].Length], dr = new double[dx.Length], hat = new double[dx.Length];
        double[] product = new double[columns], sum = new double[columns];
        magnitudes = [new double[columns], new double[columns]];
        for (int i = 0; i < dx.Length; i++)
        {
            int c = i % columns;
            dr[i] = around is Around.Relu or Around.Both && y[i] <= 0 ? 0 : x[6][i];
            hat[i] = round(round(x[0][i] - mean[c]) * rstd[c]);
            sum[c] = round(sum[c] + dr[i]);
            product[c] = round(product[c] + round(dr[i] * hat[i]));
            magnitudes[0][c] += Math.Abs(dr[i] * hat[i]);
            magnitudes[1][c] += Math.Abs(dr[i]);
        }
        for (int i = 0; i < dx.Length; i++)
        {
            int c = i % columns;
            double g = dr[i];
            if (batch) g = round(round(g - round(sum[c] / rows)) - round(hat[i] * round(product[c] / rows)));
            dx[i] = round(round(weight[c] * rstd[c]) * g);
        }
        for (int c = 0; c < columns; c++)
        {
            product[c] += x[7][c];
            sum[c] += x[8][c];
            magnitudes[0][c] += Math.Abs(x[7][c]);
            magnitudes[1][c] += Math.Abs(x[8][c]);
        }
        return [dx, product, sum, dr];
    }

    static Func<double[][], double[]> Result(Around around, bool batch) => inputs =>
    {
        double[][] own = [.. inputs];
        if (batch) Normalise(own);
        return Results(own, around, v => v);
    };
}
