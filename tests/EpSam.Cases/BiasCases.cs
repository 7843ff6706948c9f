using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class BiasCases
{
    // one vector, an odd number of vectors, around the 512 columns of a block, several rounds; one row and many
    static readonly (long R, long C)[] Sizes = [(1, 4), (3, 12), (7, 508), (2, 512), (5, 516), (1009, 96), (3, 2304)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from under in Enum.GetValues<Under>() from s in Sizes
           select Case(s.R, s.C, type, under),
        .. from type in new[] { DType.F32, DType.BF16 } from under in new[] { Under.Nothing, Under.Gelu }
           select Case(4096, 3072, type, under, true),
    ];

    enum Under { Nothing, Gelu, Relu }

    static OpCase Case(long r, long c, DType type, Under under, bool realistic = false) => new()
    {
        Name = $"bias{(under == Under.Nothing ? "" : $"_{under.ToString().ToLowerInvariant()}")} {type.Name()} {r}x{c}",
        Inputs = [new("x", type, new(r, c), Values.Normal(2)), new("bias", DType.F32, new(c), Values.Normal())],
        Outputs = [new("y", type, new(r, c))],
        Run = (gpu, x, y) => Op(under)(gpu, x[0], x[1], y[0]),
        Reference = x => under == Under.Gelu ? [GeluReference(x, c, type)]
            : [Tolerance.Exact(
                [.. Sums(x, c).Select(v => Values.Round(under == Under.Relu ? Math.Max(v, 0) : v, type))])],
        Flops = under switch { Under.Nothing => 1, Under.Gelu => 26, _ => 2 } * r * c,
        Bytes = 2 * r * c * type.Size(), Realistic = realistic,
    };

    static Action<Gpu, Tensor, Tensor, Tensor> Op(Under under) =>
        under switch { Under.Nothing => Bias.Forward, Under.Gelu => Bias.Gelu, _ => Bias.Relu };

    // The sum of two f32 (a bf16 is one) rounded to f32: double holds enough of it for that to be the nearest.
    static IEnumerable<double> Sums(double[][] x, long c) => x[0].Select((v, i) => (double)(float)(v + x[1][i % c]));

    static Expected GeluReference(double[][] x, long c, DType type)
    {
        double[] exact = [.. x[0].Select((v, i) => GeluCases.Exact(v + x[1][i % c]))];
        double[] plain = [.. Sums(x, c).Select(v => GeluCases.Plain(Values.Round(v, type), type))];
        return Tolerance.Fused(exact, Math.Max(GeluCases.WorstPlain(type), Tolerance.Worst(exact, plain)), type);
    }
}
