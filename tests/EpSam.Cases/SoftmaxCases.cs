using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class SoftmaxCases
{
    static readonly (long R, long C)[] Sizes = [(1, 1), (2, 2), (3, 31), (8, 32), (9, 33), (5, 196), (17, 1009)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(s => Case(s.R, s.C, DType.F32)), Case(4096, 4096, DType.F32, true),
        .. Sizes.Select(s => Case(s.R, s.C, DType.BF16)), Case(4096, 4096, DType.BF16, true),
    ];

    static OpCase Case(long r, long c, DType type, bool realistic = false) => new()
    {
        Name = $"softmax {type.Name()} {r}x{c}",
        Inputs = [new("x", type, new(r, c), Values.Normal(3, 50))], // a large common part must cancel
        Outputs = [new("y", type, new(r, c))],
        Run = (gpu, x, y) => Softmax.Forward(gpu, x[0], y[0]),
        Reference = x => [Reference(x[0], (int)c, type)],
        Flops = 8 * r * c, Bytes = 2 * r * c * type.Size(), Realistic = realistic,
    };

    static Expected Reference(double[] x, int columns, DType type)
    {
        double[] exact = new double[x.Length], plain = new double[x.Length];
        for (int start = 0; start < x.Length; start += columns)
        {
            ReadOnlySpan<double> row = x.AsSpan(start, columns);
            double top = double.NegativeInfinity, sum = 0;
            float sumF32 = 0;
            foreach (double v in row) top = Math.Max(top, v);
            foreach (double v in row)
            {
                sum += Math.Exp(v - top);
                sumF32 += MathF.Exp((float)v - (float)top);
            }
            for (int c = 0; c < columns; c++)
            {
                exact[start + c] = Math.Exp(row[c] - top) / sum;
                plain[start + c] = Values.Round(MathF.Exp((float)row[c] - (float)top) / sumF32, type);
            }
        }
        return Tolerance.Fused(exact, plain, type);
    }
}
