using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class MatMulCases
{
    static readonly (long M, long N, long K)[] Sizes =
        [(1, 2, 1), (3, 6, 7), (17, 34, 12), (65, 96, 288), (131, 64, 576)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from add in new[] { false, true } from s in Sizes
            select Case(s, type, type, add),
        .. from add in new[] { false, true } from s in Sizes select Case(s, DType.BF16, DType.F32, add),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes
            select Case(s, type, type, false, transposed: false),
        .. from types in new[] { (DType.F32, DType.F32), (DType.BF16, DType.F32), (DType.BF16, DType.BF16) }
            from add in new[] { false, true } from s in Sizes select Weight(s, types.Item1, types.Item2, add),
        Weight((4096, 256, 128), DType.F32, DType.F32, true), Weight((4096, 256, 128), DType.BF16, DType.F32, true),
        Case((4096, 2304, 768), DType.F32, DType.F32, false, true),
        Case((4096, 768, 3072), DType.F32, DType.F32, true, true),
        Case((4096, 2304, 768), DType.BF16, DType.BF16, false, true),
        Case((4096, 768, 3072), DType.BF16, DType.BF16, true, true),
    ];

    static OpCase Case((long M, long N, long K) s, DType type, DType to, bool add, bool realistic = false,
        bool transposed = true) => new()
    {
        Name =
            $"matmul {type.Name()}{(to == type ? "" : " " + to.Name())} "
            + $"{s.M}x{s.N}x{s.K}{(add ? " add" : "")}{(transposed ? "" : " nn")}",
        Inputs =
        [
            new("x", type, new(s.M, s.K), Values.Normal()),
            new("w", type, transposed ? new(s.N, s.K) : new(s.K, s.N), Values.Normal()),
            new("y0", to, new(s.M, s.N), Values.Normal()),
        ],
        Outputs = [new("y", to, new(s.M, s.N))],
        Run = (gpu, x, y) =>
        {
            if (add) Elementwise.Copy(gpu, x[2], y[0]);
            MatMul.Forward(gpu, x[0], x[1], y[0], add, transposed);
        },
        Reference = x => [Reference(x, s, to, add, transposed)],
        Flops = 2 * s.M * s.N * s.K, Bytes = (s.M * s.K + s.N * s.K) * type.Size() + s.M * s.N * to.Size(),
        Realistic = realistic,
    };

    // dx = dy · w is the forward with w not transposed, which the cases above have.
    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in Sizes select new GradientCase(Case(s, DType.F32, DType.F32, false), [0, 1], (x, dy) =>
        [
            Reference([dy, x[1], []], (s.M, s.K, s.N), DType.F32, false, false).Values,
            WeightReference([x[0], dy, []], s, DType.F32, false).Values,
        ]),
    ];

    static OpCase Weight((long M, long N, long K) s, DType type, DType to, bool add) => new()
    {
        Name = $"matmul bwd weight {type.Name()} {to.Name()} {s.M}x{s.N}x{s.K}{(add ? " add" : "")}",
        Inputs =
        [
            new("x", type, new(s.M, s.K), Values.Normal()), new("dy", type, new(s.M, s.N), Values.Normal()),
            new("dw0", to, new(s.N, s.K), Values.Normal()),
        ],
        Outputs = [new("dw", to, new(s.N, s.K))],
        Run = (gpu, x, y) =>
        {
            if (add) Elementwise.Copy(gpu, x[2], y[0]);
            MatMul.BackwardWeight(gpu, x[0], x[1], y[0], add);
        },
        Reference = x => [WeightReference(x, s, to, add)],
        Flops = 2 * s.M * s.N * s.K, Bytes = (s.M * s.K + s.M * s.N) * type.Size() + s.N * s.K * to.Size(),
        Realistic = s.M * s.N * s.K > 100_000_000,
    };

    static Expected WeightReference(double[][] x, (long M, long N, long K) s, DType type, bool add)
    {
        Sums dw = new(s.N * s.K);
        if (add) for (int i = 0; i < x[2].Length; i++) dw.Add(i, x[2][i]);
        for (long m = 0; m < s.M; m++)
            for (long n = 0; n < s.N; n++)
                for (long k = 0; k < s.K; k++) dw.Add(n * s.K + k, x[0][m * s.K + k] * x[1][m * s.N + n]);
        return dw.Within(s.M + 1, type);
    }

    static Expected Reference(double[][] x, (long M, long N, long K) s, DType type, bool add, bool transposed)
    {
        double[] y = new double[s.M * s.N], magnitudes = new double[y.Length];
        for (long i = 0; i < y.Length; i++)
        {
            if (add) (y[i], magnitudes[i]) = (x[2][i], Math.Abs(x[2][i]));
            for (long k = 0; k < s.K; k++)
            {
                double product = x[0][i / s.N * s.K + k] * x[1][transposed ? i % s.N * s.K + k : k * s.N + i % s.N];
                y[i] += product;
                magnitudes[i] += Math.Abs(product);
            }
        }
        return Tolerance.Sum(y, magnitudes, s.K, type);
    }
}
