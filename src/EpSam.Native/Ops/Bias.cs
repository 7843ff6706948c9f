using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>A bias per column, alone, under GELU or under ReLU: kernels/bias.cu.</summary>
public static class Bias
{
    const int Threads = 128, RowsPerBlock = 4, MaxBlocks = 16384;

    /// <summary>
    /// y = x + bias for x (…, C) f32 or bf16, C a multiple of 4, bias (C) f32. y may be x. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor bias, Tensor y) => Run(gpu, "Bias", "bias_fwd", x, bias, y);

    /// <summary>y = gelu(x + bias), as <see cref="Forward"/>.</summary>
    public static void Gelu(Gpu gpu, Tensor x, Tensor bias, Tensor y) =>
        Run(gpu, "BiasGelu", "bias_gelu_fwd", x, bias, y);

    /// <summary>y = max(x + bias, 0), as <see cref="Forward"/>.</summary>
    public static void Relu(Gpu gpu, Tensor x, Tensor bias, Tensor y) =>
        Run(gpu, "BiasRelu", "bias_relu_fwd", x, bias, y);

    /// <summary>Additions.</summary>
    public static long Flops(Tensor x) => x.Shape.Count;

    /// <summary>x once, y once.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes;

    static void Run(Gpu gpu, string op, string kernel, in Tensor x, in Tensor bias, in Tensor y)
    {
        Expect.Type(op, "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int(op, "columns of x", x.Shape[^1]), rows = Expect.Int(op, "rows of x", x.Shape.Rows);
        Expect.Multiple(op, "the last axis of x", columns, 4);
        Expect.Shape(op, "bias", bias, DType.F32, columns);
        Expect.Same(op, "y", y, x);
        Expect.Aligned(op, "bias", bias, 16);
        Expect.Aligned(op, "x", x, 4 * x.DType.Size());
        Expect.Aligned(op, "y", y, 4 * y.DType.Size());
        long blocks = Math.Min((rows + RowsPerBlock - 1L) / RowsPerBlock, MaxBlocks);
        Launch.Run(gpu, $"{kernel}_{x.DType.Name()}", new LaunchGrid(blocks), Threads, x, bias, y, rows, columns);
    }
}
