// The last step of the mask decoder. The plain computation is the reference model's: convolution, GELU and product,
// each stored in the type, sums in f32.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class MaskDecodeCases
{
    readonly record struct Sizes(long P, long H, long W, long M, long C, long O);

    // one token; widths around the 8 and 16 neighbours of a warp; more tasks than a block has; masks past one group
    static readonly Sizes[] Small =
    [
        new(1, 1, 1, 1, 16, 8), new(2, 3, 5, 4, 16, 8), new(1, 16, 16, 3, 16, 8), new(1, 2, 9, 9, 16, 8),
        new(1, 1, 1, 1, 64, 32), new(2, 3, 8, 3, 64, 32), new(1, 5, 17, 4, 64, 32), new(1, 2, 33, 10, 64, 32),
        new(3, 9, 15, 4, 64, 32),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Small select Case(s, type),
        .. from type in new[] { DType.F32, DType.BF16 } select Case(new(8, 64, 64, 3, 64, 32), type, true),
    ];

    static OpCase Case(Sizes s, DType type, bool realistic = false) => new()
    {
        Name = $"mask_decode {type.Name()} {s.P}x{s.H}x{s.W} masks {s.M} channels {s.C} {s.O}",
        Inputs =
        [
            new("u", type, new(s.P, s.H, s.W, 2, 2, s.C), Values.Normal(0.7, 0.3)),
            new("weight", type, new(s.C, s.O, 2, 2), Values.Normal(1 / Math.Sqrt(s.C))),
            new("bias", DType.F32, new(s.O), Values.Normal(0.3)),
            new("hyper", DType.F32, new(s.P, s.M, s.O), Values.Normal()),
        ],
        Outputs = [new("masks", DType.F32, new(s.P, s.M, 4 * s.H, 4 * s.W))],
        Run = (gpu, x, y) => MaskDecode.Forward(gpu, x[0], x[1], x[2], x[3], y[0]),
        Reference = x => [Tolerance.Fused(
            Compute(x, s, v => v, GeluCases.Exact, v => v),
            Compute(x, s, v => (float)v, v => GeluCases.Plain(v, type), v => Values.Round(v, type)), DType.F32)],
        Flops = s.P * s.H * s.W * (32 * s.C * s.O + 16 * s.O * (25 + 2 * s.M)),
        Bytes = s.P * s.H * s.W * (4 * s.C * type.Size() + 64 * s.M), Realistic = realistic,
    };

    static double[] Compute(
        double[][] x, Sizes s, Func<double, double> add, Func<double, double> gelu, Func<double, double> store)
    {
        double[] masks = new double[s.P * s.M * 16 * s.H * s.W];
        Parallel.For(0, s.P * s.H * s.W * 16, at => // one pixel of all masks
        {
            (long kx, long ky, long b, long a) = (at & 1, at >> 1 & 1, at >> 2 & 1, at >> 3 & 1);
            (long j, long i, long p) = (at / 16 % s.W, at / 16 / s.W % s.H, at / 16 / s.W / s.H);
            double[] z = new double[s.O];
            for (long o = 0; o < s.O; o++)
            {
                double sum = x[2][o];
                for (long c = 0; c < s.C; c++)
                    sum = add(sum + x[0][at / 4 * s.C + c] * x[1][(c * s.O + o) * 4 + 2 * ky + kx]);
                z[o] = gelu(store(sum));
            }
            for (long m = 0; m < s.M; m++)
            {
                double sum = 0;
                for (long o = 0; o < s.O; o++) sum = add(sum + z[o] * store(x[3][(p * s.M + m) * s.O + o]));
                masks[((p * s.M + m) * 4 * s.H + 4 * i + 2 * a + ky) * 4 * s.W + 4 * j + 2 * b + kx] = store(sum);
            }
        });
        return masks;
    }
}
