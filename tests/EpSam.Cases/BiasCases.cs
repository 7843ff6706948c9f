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
        .. from type in new[] { DType.F32, DType.BF16 } from under in new[] { Under.Relu, Under.Gelu }
           from s in Sizes.Append((R: 4096, C: 3072)) select Backward(s.R, s.C, type, under),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from under in Enum.GetValues<Under>()
           select new GradientCase(Case(7, 508, DType.F32, under), [0, 1], (x, dy) =>
           {
               double[] dx = [.. dy.Select((d, i) => d * Slope(under, x[0][i] + x[1][i % 508]))];
               double[] bias = new double[508];
               for (int i = 0; i < dx.Length; i++) bias[i % 508] += dx[i];
               return [dx, bias];
           }),
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

    static double Slope(Under under, double v) =>
        under switch { Under.Gelu => GeluCases.Slope(v), Under.Relu => v > 0 ? 1 : 0, _ => 1 };

    // Of ReLU x is what the forward made, zeros among it.
    static OpCase Backward(long r, long c, DType type, Under under) => new()
    {
        Name = $"bias_{under.ToString().ToLowerInvariant()} bwd {type.Name()} {r}x{c}",
        Inputs =
        [
            new("x", type, new(r, c), under == Under.Relu ? random => Math.Max(0, Values.Normal(2)(random))
                : Values.Normal(2)),
            new("bias", DType.F32, new(c), Values.Normal()), new("dy", type, new(r, c), Values.Normal()),
        ],
        Outputs = [new("dx", type, new(r, c))],
        Run = (gpu, x, y) =>
        {
            if (under == Under.Gelu) Bias.GeluBackward(gpu, x[0], x[1], x[2], y[0]);
            else Bias.ReluBackward(gpu, x[0], x[2], y[0]);
        },
        Reference = x =>
        {
            if (under == Under.Relu) return [Tolerance.Exact([.. x[0].Zip(x[2], (v, d) => v > 0 ? d : 0)])];
            double[] exact = [.. x[2].Select((d, i) => d * GeluCases.Slope(x[0][i] + x[1][i % c]))];
            double[] plain = [.. Sums(x, c).Zip(x[2],
                (v, d) => Values.Round((float)(d * GeluCases.PlainSlope(Values.Round(v, type))), type))];
            return [Tolerance.Fused(exact,
                Math.Max(GeluCases.WorstPlainSlope(type), Tolerance.Worst(exact, plain)), type)];
        },
        Flops = (under == Under.Gelu ? 31 : 1) * r * c, Bytes = 3 * r * c * type.Size(), Realistic = r * c > 10_000_000,
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
