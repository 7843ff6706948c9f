// NaN and infinities among ordinary and very large values, at tails too; none at all; another counter stays as it is.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class NonFiniteCases
{
    static readonly long[] Sizes = [1, 3, 5, 255, 1026, 4099];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(n => Case(n, DType.F32, 3)), .. Sizes.Select(n => Case(n, DType.BF16, 3)),
        Case(1000, DType.F32, 0), Case(16_000_000, DType.F32, 0, true), Case(16_000_000, DType.BF16, 0, true),
    ];

    // one of so many values is wrong; 0 for none
    static OpCase Case(long n, DType type, int every, bool realistic = false) => new()
    {
        Name = $"non_finite {type.Name()} {n}{(every == 0 ? " none" : "")}",
        Inputs =
        [
            new("x", type, new(n), random => every > 0 && random.Next(every) == 0 ? Wrong(random) : Right(random)),
            new("counts", DType.I32, new(4), Values.Integer(0, 9)),
        ],
        Outputs = [new("counts", DType.I32, new(4))],
        Run = (gpu, x, y) =>
        {
            Elementwise.Copy(gpu, x[1], y[0]);
            NonFinite.Count(gpu, x[0], y[0], 2);
        },
        Reference = x =>
        {
            double[] counts = [.. x[1]];
            counts[2] += x[0].Count(v => !double.IsFinite(v));
            return [Tolerance.Exact(counts)];
        },
        Flops = n, Bytes = n * type.Size(), Realistic = realistic,
    };

    static double Wrong(Random random) => random.Next(3) switch
    {
        0 => double.NaN, 1 => double.PositiveInfinity, _ => double.NegativeInfinity,
    };

    static double Right(Random random) => random.Next(4) == 0 ? 3e38 * (2 * random.Next(2) - 1) : random.NextDouble();
}
