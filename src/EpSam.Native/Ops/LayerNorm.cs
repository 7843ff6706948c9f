using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>LayerNorm over the last axis: kernels/layer_norm.cu.</summary>
public static class LayerNorm
{
    const int Threads = 256, RowsPerBlock = 8;

    /// <summary>
    /// y = (x - mean) · rstd · weight + bias for x (…, C) f32 or bf16, C a multiple of 4; weight, bias (C) and mean,
    /// rstd (rows) are f32. y may be x, or bf16 for an x in f32. Does not synchronise. Throws
    /// ArgumentException on wrong shapes.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor weight, Tensor bias, float eps, Tensor y, Tensor mean,
        Tensor rstd)
    {
        Expect.Type("LayerNorm", "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int("LayerNorm", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("LayerNorm", "rows of x", x.Shape.Rows);
        Expect.Multiple("LayerNorm", "the last axis of x", columns, 4);
        Expect.Shape("LayerNorm", "weight", weight, DType.F32, columns);
        Expect.Shape("LayerNorm", "bias", bias, DType.F32, columns);
        Expect.Same("LayerNorm", "y", y,
            x.DType == DType.F32 && y.DType == DType.BF16 ? x with { DType = DType.BF16 } : x);
        Expect.Shape("LayerNorm", "mean", mean, DType.F32, rows);
        Expect.Shape("LayerNorm", "rstd", rstd, DType.F32, rows);
        Expect.Aligned("LayerNorm", "x", x, 4 * x.DType.Size());
        Expect.Aligned("LayerNorm", "y", y, 4 * y.DType.Size());
        Expect.Aligned("LayerNorm", "weight", weight, 16);
        Expect.Aligned("LayerNorm", "bias", bias, 16);
        LaunchGrid grid = new((rows + RowsPerBlock - 1L) / RowsPerBlock);
        string types = x.DType == y.DType ? x.DType.Name() : "f32_bf16";
        Launch.Run(gpu, $"layer_norm_fwd_{types}", grid, Threads,
            x, weight, bias, y, mean, rstd, rows, columns, eps);
    }

    /// <summary>About: sum, difference, square, scale, shift.</summary>
    public static long Flops(Tensor x) => 8 * x.Shape.Count;

    /// <summary>x once, y once, mean and rstd; re-readings come from cache.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes + 8 * x.Shape.Rows;
}
