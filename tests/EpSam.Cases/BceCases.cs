// One logit, a batch, more than a block; logits far from zero on both sides, labels 0, 1 and between.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class BceCases
{
    const float Scale = 0.5f;

    static readonly (long N, double Deviation)[] Sizes = [(1, 1), (16, 3), (255, 20), (257, 1), (1000, 60)];

    public static IEnumerable<OpCase> All { get; } =
        [.. Sizes.Select(s => Forward(s.N, s.Deviation)), .. Sizes.Select(s => Backward(s.N, s.Deviation))];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. Sizes.Select(s => new GradientCase(Forward(s.N, s.Deviation), [0],
            (x, dy) => [[.. Derive(x, s.N, v => v).Select(g => g * dy[0] / Scale)]])),
    ];

    static CaseTensor[] Inputs(long n, double deviation) =>
    [
        new("logits", DType.F32, new(n), Values.Normal(deviation)),
        new("labels", DType.F32, new(n), random => random.Next(4) switch { 0 => 0.3, 1 => 0, _ => 1 }),
    ];

    static OpCase Forward(long n, double deviation) => new()
    {
        Name = $"bce fwd f32 {n} deviation {deviation}",
        Inputs = Inputs(n, deviation), Outputs = [new("loss", DType.F32, new(1))],
        Run = (gpu, x, y) => Bce.Forward(gpu, x[0], x[1], y[0]),
        Reference = x =>
        {
            double[] losses = [.. Losses(x[0], x[1])];
            double magnitude = x[0].Zip(x[1], (v, t) => Math.Max(v, 0) + Math.Abs(v * t)).Sum() + losses.Sum();
            return [Tolerance.Sum([losses.Average()], [magnitude / n], n, DType.F32)];
        },
        Flops = 25 * n, Bytes = 8 * n,
    };

    static IEnumerable<double> Losses(double[] logits, double[] labels) =>
        logits.Zip(labels, (v, t) => Math.Max(v, 0) - v * t + Math.Log(1 + Math.Exp(-Math.Abs(v))));

    static OpCase Backward(long n, double deviation) => new()
    {
        Name = $"bce bwd f32 {n} deviation {deviation}",
        Inputs = Inputs(n, deviation), Outputs = [new("dx", DType.F32, new(n))],
        Run = (gpu, x, y) => Bce.Backward(gpu, x[0], x[1], Scale, y[0]),
        Reference = x =>
        {
            double[] exact = Derive(x, n, v => v), plain = Derive(x, n, v => (float)v);
            return [Tolerance.Fused(exact, plain, DType.F32)];
        },
        Flops = 8 * n, Bytes = 12 * n,
    };

    static double[] Derive(double[][] x, long n, Func<double, double> round) =>
    [
        .. x[0].Zip(x[1], (v, t) =>
            round(round(Scale * round(round(1 / round(1 + round(Math.Exp(-v)))) - t)) / n)),
    ];
}
