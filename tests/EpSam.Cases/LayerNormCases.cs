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
