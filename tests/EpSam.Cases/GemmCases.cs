// Around the tile of 128, its smallest legal sizes, depths shorter than a chunk, not a multiple of it, and many chunks.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class GemmCases
{
    static readonly (long M, long N, long K)[] Sizes =
        [(1, 8, 8), (3, 16, 40), (127, 120, 64), (128, 128, 32), (129, 136, 96), (37, 264, 200), (257, 128, 776)];
    static readonly (long M, long N, long K)[] OddN = [(1, 1, 4), (5, 3, 12), (127, 129, 20), (131, 257, 68)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select((s, i) => Case(s, DType.BF16, true, i % 2 == 0)),
        .. Sizes.Select((s, i) => Case(s, DType.BF16, false, i % 2 == 1)),
        .. Sizes.Select((s, i) => Case(s, DType.F32, true, i % 2 == 0)),
        .. Sizes.Select((s, i) => Case(s, DType.F32, false, i % 2 == 1)),
        .. OddN.Select(s => Case(s, DType.F32, true, true)),
        Case((4096, 3072, 768), DType.BF16, true, true, true), Case((4096, 768, 3072), DType.BF16, false, true, true),
        Case((4096, 3072, 768), DType.F32, true, true, true), Case((4096, 768, 3072), DType.F32, false, true, true),
    ];

    static OpCase Case((long M, long N, long K) s, DType type, bool transposed, bool bias, bool realistic = false)
    {
        Shape shapeB = transposed ? new(s.N, s.K) : new(s.K, s.N);
        CaseTensor[] inputs = [new("a", type, new(s.M, s.K), Values.Normal()), new("b", type, shapeB, Values.Normal())];
        if (bias) inputs = [.. inputs, new("bias", DType.F32, new(s.N), Values.Normal())];
        return new OpCase
        {
            Name = $"gemm {(transposed ? "nt" : "nn")} {type.Name()} {s.M}x{s.N}x{s.K}{(bias ? " bias" : "")}",
            Inputs = inputs,
            Outputs = [new("c", type, new(s.M, s.N))],
            Run = (gpu, x, y) => Gemm.Forward(gpu, x[0], x[1], transposed, bias ? x[2] : null, y[0]),
            Reference = x => [Reference(x[0], x[1], bias ? x[2] : new double[s.N], s, transposed, type)],
            Flops = 2 * s.M * s.N * s.K, Bytes = (s.M * s.K + s.N * s.K + s.M * s.N) * type.Size(),
            Realistic = realistic,
        };
    }

    static Expected Reference(double[] a, double[] b, double[] bias, (long M, long N, long K) s, bool transposed,
        DType type)
    {
        double[] c = new double[s.M * s.N], magnitudes = new double[s.M * s.N];
        for (long i = 0; i < s.M; i++)
            for (long j = 0; j < s.N; j++)
            {
                double sum = bias[j], magnitude = Math.Abs(bias[j]);
                for (long k = 0; k < s.K; k++)
                {
                    double product = a[i * s.K + k] * (transposed ? b[j * s.K + k] : b[k * s.N + j]);
                    sum += product;
                    magnitude += Math.Abs(product);
                }
                (c[i * s.N + j], magnitudes[i * s.N + j]) = (sum, magnitude);
            }
        return Tolerance.Sum(c, magnitudes, s.K, type);
    }
}
