using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class RelPosCases
{
    // one token, one row, one column, SAM's window, around a warp of keys, more than two warps of keys
    static readonly (long B, long H, long W, long N)[] Sizes =
        [(1, 1, 1, 1), (2, 1, 5, 2), (1, 7, 1, 1), (2, 14, 14, 2), (1, 31, 3, 1), (1, 5, 33, 2), (1, 3, 65, 1)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes
            select Case(s, s.H % 2 == 0 ? 80 : s.H > 3 ? 64 : 32, type),
        .. from type in new[] { DType.F32, DType.BF16 } select Case((2, 7, 6, 3), 16, type),
        Case((1, 64, 64, 12), 64, DType.BF16, true), Case((1, 64, 64, 12), 64, DType.F32, true),
    ];

    static OpCase Case((long B, long H, long W, long N) s, long k, DType type, bool realistic = false)
    {
        long t = s.H * s.W;
        return new OpCase
        {
            Name = $"rel_pos {type.Name()} {s.B}x{s.H}x{s.W} heads {s.N} size {k}",
            Inputs =
            [
                new("qkv", type, new(s.B, s.H, s.W, 3, s.N, k), Values.Normal()),
                new("tableH", DType.F32, new(2 * s.H - 1, k), Values.Normal(0.3)),
                new("tableW", DType.F32, new(2 * s.W - 1, k), Values.Normal(0.3)),
            ],
            Outputs = [new("relH", type, new(s.B, s.N, t, s.H)), new("relW", type, new(s.B, s.N, t, s.W))],
            Run = (gpu, x, y) => RelPos.Forward(gpu, x[0], x[1], x[2], y[0], y[1]),
            Reference = x => [Table(x[0], x[1], s, k, type, false), Table(x[0], x[2], s, k, type, true)],
            Flops = 2 * k * s.B * s.N * t * (s.H + s.W),
            Bytes = type.Size() * s.B * s.N * t * (2 * k + s.H + s.W), Realistic = realistic,
        };
    }

    static Expected Table(double[] qkv, double[] table, (long B, long H, long W, long N) s, long k, DType type,
        bool columns)
    {
        long t = s.H * s.W, length = columns ? s.W : s.H;
        double[] values = new double[s.B * s.N * t * length], magnitudes = new double[values.Length];
        for (long i = 0; i < values.Length; i++)
        {
            long key = i % length, token = i / length % t, head = i / length / t % s.N, image = i / length / t / s.N;
            long row = (columns ? token % s.W : token / s.W) - key + length - 1;
            for (long c = 0; c < k; c++)
            {
                double product = qkv[((image * t + token) * 3 * s.N + head) * k + c] * table[row * k + c];
                values[i] += product;
                magnitudes[i] += Math.Abs(product);
            }
        }
        return Tolerance.Sum(values, magnitudes, k, type);
    }
}
