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

    /// <summary>
    /// dx = dy · gelu'(x + bias) of <see cref="Gelu"/>, x being what went in. dx may be x or dy. The bias's own
    /// gradient is ColumnSum.AddTo of dx; so it is of dy for <see cref="Forward"/>. Does not synchronise.
    /// </summary>
    public static void GeluBackward(Gpu gpu, Tensor x, Tensor bias, Tensor dy, Tensor dx)
    {
        (int rows, int columns, LaunchGrid grid) = CheckBackward("BiasGelu", x, dy, dx);
        Expect.Shape("BiasGelu", "bias", bias, DType.F32, columns);
        Expect.Aligned("BiasGelu", "bias", bias, 16);
        Launch.Run(gpu, $"bias_gelu_bwd_{x.DType.Name()}", grid, Threads, x, bias, dy, dx, rows, columns);
    }

    /// <summary>
    /// dx = dy where y, what <see cref="Relu"/> made, is above 0, else 0. dx may be y or dy. The bias's own gradient is
    /// ColumnSum.AddTo of dx. Does not synchronise.
    /// </summary>
    public static void ReluBackward(Gpu gpu, Tensor y, Tensor dy, Tensor dx)
    {
        (int rows, int columns, LaunchGrid grid) = CheckBackward("BiasRelu", y, dy, dx);
        Launch.Run(gpu, $"bias_relu_bwd_{y.DType.Name()}", grid, Threads, y, dy, dx, rows, columns);
    }

    /// <summary>Additions.</summary>
    public static long Flops(Tensor x) => x.Shape.Count;

    /// <summary>x once, y once.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes;

    static (int Rows, int Columns, LaunchGrid Grid) CheckBackward(string op, in Tensor x, in Tensor dy, in Tensor dx)
    {
        Expect.Type(op, "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int(op, "columns of x", x.Shape[^1]), rows = Expect.Int(op, "rows of x", x.Shape.Rows);
        Expect.Multiple(op, "the last axis of x", columns, 4);
        Expect.Same(op, "dy", dy, x);
        Expect.Same(op, "dx", dx, x);
        foreach (Tensor tensor in (ReadOnlySpan<Tensor>)[x, dy, dx])
            Expect.Aligned(op, "a tensor", tensor, 4 * x.DType.Size());
        return (rows, columns, new LaunchGrid(Math.Min((rows + RowsPerBlock - 1L) / RowsPerBlock, MaxBlocks)));
    }

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
