// Sums and maxima: kernels/reduce.cu. All in a fixed order that depends on sizes only.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Reductions of f32 tensors.</summary>
public static class Reduce
{
    const int Threads = 256, RowsPerBlock = 8, PerThread = 16, MaxParts = 1024;

    /// <summary>y (rows) = sum over the last axis of x (…, C). Does not synchronise.</summary>
    public static void RowSum(Gpu gpu, Tensor x, Tensor y) => Rows(gpu, "reduce_fwd_f32_row_sum", x, y);

    /// <summary>
    /// y (rows) = largest over the last axis of x (…, C); NaN where there is one. Does not synchronise.
    /// </summary>
    public static void RowMax(Gpu gpu, Tensor x, Tensor y) => Rows(gpu, "reduce_fwd_f32_row_max", x, y);

    /// <summary>How many partial sums <see cref="Sum"/> makes of a tensor: a function of its size alone.</summary>
    public static long Parts(long count) =>
        Math.Clamp((count + Threads * PerThread - 1) / (Threads * PerThread), 1, MaxParts);

    /// <summary>
    /// y (1) = sum of all of x. parts (Parts(count of x)) f32 is working space. Does not synchronise.
    /// </summary>
    public static void Sum(Gpu gpu, Tensor x, Tensor parts, Tensor y)
    {
        Expect.Type("Sum", "x", x, DType.F32);
        long count = Parts(x.Shape.Count);
        Expect.Shape("Sum", "parts", parts, DType.F32, count);
        Expect.Shape("Sum", "y", y, DType.F32, 1);
        Launch.Run(gpu, "reduce_fwd_f32_sum_parts", new LaunchGrid(count), Threads, x, parts, x.Shape.Count);
        RowSum(gpu, parts, y);
    }

    /// <summary>Additions or comparisons.</summary>
    public static long Flops(Tensor x) => x.Shape.Count;

    static void Rows(Gpu gpu, string kernel, in Tensor x, in Tensor y)
    {
        Expect.Type("Reduce", "x", x, DType.F32);
        int columns = Expect.Int("Reduce", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("Reduce", "rows of x", x.Shape.Rows);
        Expect.Shape("Reduce", "y", y, DType.F32, rows);
        Launch.Run(gpu, kernel, new LaunchGrid((rows + RowsPerBlock - 1L) / RowsPerBlock), Threads, x, y, rows,
            columns);
    }
}
