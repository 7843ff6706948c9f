using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class WindowCases
{
    // one token; windows that fit, that need padding on one axis, on both; one window larger than the grid; SAM's sizes
    static readonly (long B, long H, long W, long P, long Q, long C)[] Sizes =
    [
        (1, 1, 1, 1, 1, 4), (2, 4, 6, 2, 3, 12), (1, 5, 6, 2, 3, 8), (2, 5, 7, 3, 4, 20), (1, 3, 2, 7, 7, 516),
        (2, 16, 16, 7, 7, 96),
        (1, 9, 9, 9, 9, 36),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes.Append((1, 64, 64, 14, 14, 2304))
            select Partition(s, type),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes.Append((1, 64, 64, 14, 14, 768))
            select Reverse(s, type),
    ];

    static OpCase Partition((long B, long H, long W, long P, long Q, long C) s, DType type)
    {
        long count = Window.Count(s.B, s.H, s.W, s.P, s.Q) * s.P * s.Q;
        return new OpCase
        {
            Name = $"window partition {type.Name()} {s.B}x{s.H}x{s.W}x{s.C} {s.P}x{s.Q}",
            Inputs = [new("x", type, new(s.B, s.H, s.W, s.C), Values.Normal()),
                new("bias", DType.F32, new(s.C), Values.Normal())],
            Outputs = [new("windows", type, new(count / s.P / s.Q, s.P, s.Q, s.C))],
            Run = (gpu, x, y) => Window.Partition(gpu, x[0], x[1], y[0]),
            Reference = x =>
            {
                double[] y = new double[count * s.C];
                for (long i = 0; i < y.Length; i++) y[i] = Values.Round(x[1][i % s.C], type);
                Visit(s, (token, slot) =>
                {
                    for (long c = 0; c < s.C; c++)
                        y[slot * s.C + c] = Values.Round((float)(x[0][token * s.C + c] + x[1][c]), type);
                });
                return [Tolerance.Exact(y)];
            },
            Flops = s.B * s.H * s.W * s.C, Bytes = type.Size() * s.C * (s.B * s.H * s.W + count), Realistic = s.H == 64,
        };
    }

    static OpCase Reverse((long B, long H, long W, long P, long Q, long C) s, DType type)
    {
        long count = Window.Count(s.B, s.H, s.W, s.P, s.Q) * s.P * s.Q;
        return new OpCase
        {
            Name = $"window reverse {type.Name()} {s.B}x{s.H}x{s.W}x{s.C} {s.P}x{s.Q}",
            Inputs = [new("windows", type, new(count / s.P / s.Q, s.P, s.Q, s.C), Values.Normal())],
            Outputs = [new("y", type, new(s.B, s.H, s.W, s.C))],
            Run = (gpu, x, y) => Window.Reverse(gpu, x[0], y[0]),
            Reference = x =>
            {
                double[] y = new double[s.B * s.H * s.W * s.C];
                Visit(s, (token, slot) => Array.Copy(x[0], slot * s.C, y, token * s.C, s.C));
                return [Tolerance.Exact(y)];
            },
            Flops = 0, Bytes = 2 * type.Size() * s.C * s.B * s.H * s.W, Realistic = s.H == 64,
        };
    }

    // Walks the windows as the reference model does: images, rows of windows, windows, rows, tokens.
    static void Visit((long B, long H, long W, long P, long Q, long C) s, Action<long, long> visit)
    {
        long slot = 0;
        for (long b = 0; b < s.B; b++)
            for (long y0 = 0; y0 < s.H; y0 += s.P)
                for (long x0 = 0; x0 < s.W; x0 += s.Q)
                    for (long y = y0; y < y0 + s.P; y++)
                        for (long x = x0; x < x0 + s.Q; x++, slot++)
                            if (y < s.H && x < s.W) visit((b * s.H + y) * s.W + x, slot);
    }
}
