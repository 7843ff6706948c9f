// Rows shorter and longer than a warp, one row, one column, rows that do not fill the last block of eight.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class ReduceCases
{
    static readonly (long R, long C)[] Sizes = [(1, 1), (1, 31), (3, 32), (7, 33), (8, 127), (9, 257), (37, 768)];
    static readonly long[] Whole = [1, 255, 256, 257, 4095, 4097, 100_003];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(s => RowSum(s.R, s.C)), RowSum(4096, 768, true),
        .. Sizes.Select(s => RowMax(s.R, s.C)), RowMax(4096, 768, true),
        .. Whole.Select(n => Sum(n)), Sum(4096 * 768, true),
    ];

    static OpCase RowSum(long r, long c, bool realistic = false) => new()
    {
        Name = $"row_sum f32 {r}x{c}",
        Inputs = [new("x", DType.F32, new(r, c), Values.Normal(1, 0.1))],
        Outputs = [new("y", DType.F32, new(r))],
        Run = (gpu, x, y) => Reduce.RowSum(gpu, x[0], y[0]),
        Reference = x => [SumOfRows(x[0], r, c)],
        Flops = r * c, Bytes = 4 * (r * c + r), Realistic = realistic,
    };

    static OpCase RowMax(long r, long c, bool realistic = false) => new()
    {
        Name = $"row_max f32 {r}x{c}",
        Inputs = [new("x", DType.F32, new(r, c), Values.Normal(1, -5))],
        Outputs = [new("y", DType.F32, new(r))],
        Run = (gpu, x, y) => Reduce.RowMax(gpu, x[0], y[0]),
        Reference = x => [Tolerance.Exact([.. x[0].Chunk((int)c).Select(row => row.Max())])],
        Flops = r * c, Bytes = 4 * (r * c + r), Realistic = realistic,
    };

    static OpCase Sum(long n, bool realistic = false) => new()
    {
        Name = $"sum f32 {n}",
        Inputs = [new("x", DType.F32, new(n), Values.Normal(1, 0.1))],
        Outputs = [new("y", DType.F32, new(1))],
        Scratch = [new("parts", DType.F32, new(Reduce.Parts(n)))],
        Run = (gpu, x, y) => Reduce.Sum(gpu, x[0], y[1], y[0]),
        Reference = x => [SumOfRows(x[0], 1, n)],
        Flops = n, Bytes = 4 * n, Realistic = realistic,
    };

    static Expected SumOfRows(double[] x, long rows, long columns)
    {
        double[] sums = new double[rows], magnitudes = new double[rows];
        for (long i = 0; i < x.Length; i++)
        {
            sums[i / columns] += x[i];
            magnitudes[i / columns] += Math.Abs(x[i]);
        }
        return Tolerance.Sum(sums, magnitudes, columns, DType.F32);
    }
}
