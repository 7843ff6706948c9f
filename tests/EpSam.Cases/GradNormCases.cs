// Norms below and above the limit, one element, tails, several parts.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class GradNormCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        Case(1, 1), Case(255, 1000), Case(257, 1), Case(4097, 3), Case(100_003, 0.5f), Case(24_000_000, 1, true),
    ];

    static OpCase Case(long n, float maxNorm, bool realistic = false) => new()
    {
        Name = $"grad_norm f32 {n} {maxNorm}",
        Inputs = [new("g", DType.F32, new(n), Values.Normal())],
        Outputs = [new("y", DType.F32, new(2))],
        Scratch = [new("parts", DType.F32, new(Reduce.Parts(n)))],
        Run = (gpu, x, y) => GradNorm.Forward(gpu, x[0], maxNorm, y[1], y[0]),
        Reference = x =>
        {
            double norm = Math.Sqrt(x[0].Sum(g => g * g)), factor = Math.Min(1, maxNorm / (norm + 1e-6));
            double off = 4 * Math.Sqrt(n) * Values.Eps(DType.F32); // of the sum; the root halves it
            return [new([norm, factor], [norm * off, factor < 1 ? factor * off : 0])];
        },
        Flops = 2 * n, Bytes = 4 * n, Realistic = realistic,
    };
}
