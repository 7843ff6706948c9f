using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class SliceCases
{
    // one row; rows past a block's 128 words; all of x; the decoder's tokens: its own before a prompt's, one taken out
    static readonly (long B, long N, long M, long From, long To, long Count, long C)[] Sizes =
    [
        (1, 1, 1, 0, 0, 1, 2), (2, 3, 5, 1, 2, 2, 258), (3, 4, 4, 0, 0, 4, 12), (5, 7, 1, 3, 0, 1, 64),
        (4, 2, 9, 0, 7, 2, 128),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from repeat in new[] { false, true } from s in Sizes
           select Case(s, type, repeat, false),
        Case((64, 9, 1, 1, 0, 1, 256), DType.F32, false, true),
    ];

    static OpCase Case(
        (long B, long N, long M, long From, long To, long Count, long C) s, DType type, bool repeat,
        bool realistic) => new()
    {
        Name =
            $"slice {type.Name()} {s.B}x{s.N}x{s.C} {s.Count} from {s.From} to {s.To} of "
            + $"{s.M}{(repeat ? " repeated" : "")}",
        Inputs = [new("x", type, new(repeat ? 1 : s.B, s.N, s.C), Values.Normal())],
        Outputs = [new("y", type, new(s.B, s.M, s.C))],
        Run = (gpu, x, y) =>
        {
            Clear(gpu, y[0]); // what is not copied over must stay
            Slice.Copy(gpu, x[0], s.From, s.Count, y[0], s.To);
        },
        Reference = x =>
        {
            double[] y = new double[s.B * s.M * s.C];
            for (long b = 0; b < s.B; b++)
                for (long i = 0; i < s.Count * s.C; i++)
                    y[(b * s.M + s.To) * s.C + i] = x[0][((repeat ? 0 : b * s.N) + s.From) * s.C + i];
            return [Tolerance.Exact(y)];
        },
        Flops = 0, Bytes = 2 * s.B * s.Count * s.C * type.Size(), Realistic = realistic,
    };

    static void Clear(Gpu gpu, Tensor y) => gpu.Upload(new byte[y.Bytes], y);
}
