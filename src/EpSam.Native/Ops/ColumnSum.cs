// Sums down columns: kernels/column_sum.cu. In a fixed order that depends on sizes only.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Sums down columns, as the gradients of biases are.</summary>
public static class ColumnSum
{
    const int Threads = 128, Together = 128, LeastRows = 64, MostParts = 256;

    /// <summary>Rows of one part: a function of their number alone.</summary>
    internal static int RowsEach(long rows) =>
        (int)Math.Max(LeastRows, (rows + MostParts - 1) / MostParts);

    /// <summary>How many parts are made of so many rows.</summary>
    public static long Parts(long rows) => (rows + RowsEach(rows) - 1) / RowsEach(rows);

    /// <summary>Working space of <see cref="AddTo"/>: (G, C).</summary>
    public static Shape PartsShape(Tensor x) => new(Parts(x.Shape.Rows), x.Shape[^1]);

    /// <summary>
    /// y (C) f32 += sum of all rows of x (…, C), f32 or bf16, C a multiple of 4. parts f32 of <see cref="PartsShape"/>
    /// is working space. Does not synchronise.
    /// </summary>
    public static void AddTo(Gpu gpu, Tensor x, Tensor parts, Tensor y)
    {
        Expect.Type("ColumnSum", "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int("ColumnSum", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("ColumnSum", "rows of x", x.Shape.Rows);
        Expect.Multiple("ColumnSum", "the last axis of x", columns, 4);
        Expect.Same("ColumnSum", "parts", parts, new Tensor(parts.Address, DType.F32, PartsShape(x)));
        Expect.Aligned("ColumnSum", "x", x, 4 * x.DType.Size());
        LaunchGrid grid = new((columns + Together - 1L) / Together, parts.Shape[0]);
        Launch.Run(gpu, $"column_sum_fwd_{x.DType.Name()}_parts", grid, Threads,
            x, parts, rows, columns, RowsEach(rows));
        Few(gpu, parts, y, add: true);
    }

    /// <summary>
    /// y (…) = sum over the first axis of x (R, …), for few R, or y += that; or, when <paramref name="batched"/>, y
    /// (B, …) over the second of x (B, R, …). f32 or bf16, each of its own; y may have other axes of as many
    /// elements. y may not overlap x. Does not synchronise.
    /// </summary>
    public static void Few(Gpu gpu, Tensor x, Tensor y, bool add = false, bool batched = false)
    {
        Expect.Type("ColumnSum", "x", x, DType.F32, DType.BF16);
        Expect.Type("ColumnSum", "y", y, DType.F32, DType.BF16);
        long batch = batched ? x.Shape[0] : 1, rows = x.Shape[batched ? 1 : 0];
        long columns = x.Shape.Count / Math.Max(1, batch * rows);
        if (y.Shape.Count != batch * columns || x.Shape.Count != batch * rows * columns)
            throw new ArgumentException(
                $"ColumnSum: y must be x {x} without its axis {(batched ? 1 : 0)}, got {y}");
        string types = x.DType == y.DType ? x.DType.Name() : $"{x.DType.Name()}_{y.DType.Name()}";
        Launch.Run(gpu, $"column_sum_fwd_{types}", new LaunchGrid((columns + Threads - 1) / Threads, batch), Threads,
            x, y, Expect.Int("ColumnSum", "rows", rows), columns, add ? 1 : 0);
    }

    /// <summary>Additions.</summary>
    public static long Flops(Tensor x) => x.Shape.Count;
}
