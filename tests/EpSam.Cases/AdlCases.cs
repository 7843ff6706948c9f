// One position, rows that do not fill a block of eight, channels around what a warp takes at once; both branches, a
// maximum below zero, above which the threshold then lies, and a threshold above 1, with which nothing is dropped.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class AdlCases
{
    const float Threshold = 0.8f;

    static readonly (long B, long P, long C)[] Sizes =
        [(1, 1, 4), (2, 7, 12), (3, 63, 124), (1, 300, 128), (2, 9, 132), (1, 5, 2048)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from drop in new[] { false, true } from s in Sizes
           select Forward(s.B, s.P, s.C, type, drop),
        Forward(2, 25, 8, DType.F32, true, -3), Forward(2, 25, 8, DType.F32, true, threshold: 2),
        .. from type in new[] { DType.F32, DType.BF16 } from drop in new[] { false, true } from s in Sizes
           select Backward(s.B, s.P, s.C, type, drop),
        Forward(16, 1024, 2048, DType.F32, false, realistic: true),
        Forward(16, 1024, 2048, DType.F32, true, realistic: true),
        Backward(16, 1024, 2048, DType.F32, false, true),
    ];

    /// <summary>Both branches; the map is the forward's.</summary>
    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from drop in new[] { false, true } from s in Sizes[..4]
           select new GradientCase(Forward(s.B, s.P, s.C, DType.F32, drop), [0],
               (x, dy) => [Derive([x[0], Map(x[0], s.B, s.C, drop, v => v), dy], s.C, v => v)]),
    ];

    static OpCase Forward(
        long b, long p, long c, DType type, bool drop, double mean = 0.2, bool realistic = false,
        float threshold = Threshold) => new()
    {
        Name = $"adl fwd {type.Name()} {b}x{p}x{c} {(drop ? "drop" : "importance")}{(mean < 0 ? " below zero" : "")}"
            + (threshold > 1 ? " nothing" : ""),
        Inputs = [new("x", type, new(b, p, c), Values.Normal(1, mean))],
        Outputs = [new("y", type, new(b, p, c)), new("map", DType.F32, new(b, p))],
        Scratch = [new("largest", DType.F32, new(b))],
        Run = (gpu, x, y) => Adl.Forward(gpu, x[0], drop, threshold, y[2], y[1], y[0]),
        Reference = x =>
        {
            double[] map = Map(x[0], b, c, drop, v => v, threshold);
            double[] plain = Map(x[0], b, c, drop, v => (float)v, threshold);
            double[] y = [.. x[0].Select((v, i) => v * map[i / c])];
            double[] rounded = [.. x[0].Select((v, i) => Values.Round((float)(v * plain[i / c]), type))];
            Expected numbers = drop ? Tolerance.Exact(map) : Tolerance.Fused(map, plain, DType.F32);
            return [Tolerance.Fused(y, rounded, type), numbers];
        },
        Flops = 2 * b * p * c, Bytes = 3 * b * p * c * type.Size(), Realistic = realistic,
    };

    // the number of each position
    static double[] Map(double[] x, long images, long channels, bool drop, Func<double, double> round,
        float threshold = Threshold)
    {
        double[] means =
        [
            .. x.Chunk((int)channels).Select(row => round(row.Aggregate(0.0, (sum, v) => round(sum + v)) / channels)),
        ];
        if (!drop) return [.. means.Select(m => round(1 / round(1 + round(Math.Exp(-m)))))];
        return
        [
            .. means.Chunk(means.Length / (int)images)
                .SelectMany(image => image.Select(m => m < image.Max() * threshold ? 1.0 : 0.0)),
        ];
    }

    static OpCase Backward(long b, long p, long c, DType type, bool drop, bool realistic = false) => new()
    {
        Name = $"adl bwd {type.Name()} {b}x{p}x{c} {(drop ? "drop" : "importance")}",
        Inputs =
        [
            new("x", type, new(b, p, c), Values.Normal(1, 0.2)),
            new("map", DType.F32, new(b, p), drop ? Values.Integer(0, 1) : Values.Uniform(0.1, 0.9)),
            new("dy", type, new(b, p, c), Values.Normal()),
        ],
        Outputs = [new("dx", type, new(b, p, c))],
        Run = (gpu, x, y) => Adl.Backward(gpu, x[0], x[1], x[2], y[0]),
        Reference = x =>
        {
            double[] exact = Derive(x, c, v => v), plain = Derive(x, c, v => (float)v);
            return [Tolerance.Fused(exact, [.. plain.Select(v => Values.Round(v, type))], type)];
        },
        Flops = 4 * b * p * c, Bytes = (drop ? 2 : 3) * b * p * c * type.Size(), Realistic = realistic,
    };

    static double[] Derive(double[][] x, long c, Func<double, double> round)
    {
        double[] shared = new double[x[1].Length];
        for (int i = 0; i < x[0].Length; i++) shared[i / c] = round(shared[i / c] + round(x[0][i] * x[2][i]));
        for (int r = 0; r < shared.Length; r++)
            shared[r] = round(round(shared[r] * round(x[1][r] * round(1 - x[1][r]))) / c);
        return [.. x[2].Select((g, i) => round(round(g * x[1][i / c]) + shared[i / c]))];
    }
}
