using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Softmax over the last axis: kernels/softmax.cu.</summary>
public static class Softmax
{
    const int Threads = 256, RowsPerBlock = 8;

    /// <summary>y = exp(x - max) / sum for x (…, C) f32 or bf16. y may be x. Does not synchronise.</summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor y)
    {
        Expect.Type("Softmax", "x", x, DType.F32, DType.BF16);
        Expect.Same("Softmax", "y", y, x);
        int columns = Expect.Int("Softmax", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("Softmax", "rows of x", x.Shape.Rows);
        LaunchGrid grid = new((rows + RowsPerBlock - 1L) / RowsPerBlock);
        Launch.Run(gpu, $"softmax_fwd_{x.DType.Name()}", grid, Threads, x, y, rows, columns);
    }

    /// <summary>About: maximum, difference, two exponentials, sum, scale.</summary>
    public static long Flops(Tensor x) => 8 * x.Shape.Count;

    /// <summary>x once, y once; re-readings come from cache.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes;
}
