using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Some rows of each batch, copied: kernels/slice.cu.</summary>
public static class Slice
{
    const int Threads = 128;

    /// <summary>
    /// y[b, to + i, :] = x[b, from + i, :] for all i below count. x (B, N, C) or, the same for every b, (1, N, C); y
    /// (B, M, C) of its type, rows a multiple of four bytes; other rows of y stay as they are. May not overlap. Does
    /// not synchronise.
    /// </summary>
    public static void Copy(Gpu gpu, Tensor x, long from, long count, Tensor y, long to)
    {
        Expect.Rank("Slice", "x", x, "B, N, C");
        Expect.Rank("Slice", "y", y, "B, M, C");
        (long batch, long rows, long columns) = (y.Shape[0], y.Shape[1], y.Shape[2]);
        Expect.Shape("Slice", "x", x, y.DType, x.Shape[0] == 1 ? 1 : batch, x.Shape[1], columns);
        if (from < 0 || to < 0 || count < 0 || from + count > x.Shape[1] || to + count > rows)
            throw new ArgumentException($"Slice: {count} rows from {from} of x {x} to {to} of y {y} are not all there");
        Expect.Multiple("Slice", "bytes of a row", columns * x.DType.Size(), 4);
        int words = Expect.Int("Slice", "bytes of a row", columns * x.DType.Size()) / 4;
        int stride = x.Shape[0] == 1 ? 0 : Expect.Int("Slice", "rows of x", x.Shape[1]);
        Launch.Run(gpu, "slice_fwd_b32", new LaunchGrid(batch * count), Threads,
            x, y, stride, Expect.Int("Slice", "rows of y", rows), (int)from, (int)to, (int)count, words);
    }

    /// <summary>Each row that is copied once in and once out.</summary>
    public static long Bytes(Tensor y, long count) => 2 * y.Shape[0] * count * y.Shape[2] * y.DType.Size();
}
