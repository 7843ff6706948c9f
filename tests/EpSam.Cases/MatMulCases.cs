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
