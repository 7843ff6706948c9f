using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>GELU, the exact form x·Φ(x): kernels/gelu.cu.</summary>
public static class Gelu
{
    const int Threads = 256;

    /// <summary>y = x · Φ(x), f32 or bf16. y may be x. Does not synchronise.</summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor y)
    {
        Expect.Type("Gelu", "x", x, DType.F32, DType.BF16);
        Expect.Same("Gelu", "y", y, x);
        Expect.Aligned("Gelu", "x", x, 4 * x.DType.Size());
        Expect.Aligned("Gelu", "y", y, 4 * y.DType.Size());
        Launch.Run(gpu, $"gelu_fwd_{x.DType.Name()}", Elementwise.Grid(x.Shape.Count), Threads, x, y, x.Shape.Count);
    }

    /// <summary>dx = dy · (Φ(x) + x·φ(x)), all of x's type. dx may be x or dy. Does not synchronise.</summary>
    public static void Backward(Gpu gpu, Tensor x, Tensor dy, Tensor dx)
    {
        Expect.Type("Gelu", "x", x, DType.F32, DType.BF16);
        Expect.Same("Gelu", "dy", dy, x);
        Expect.Same("Gelu", "dx", dx, x);
        foreach (Tensor tensor in (ReadOnlySpan<Tensor>)[x, dy, dx])
            Expect.Aligned("Gelu", "a tensor", tensor, 4 * x.DType.Size());
        Launch.Run(gpu, $"gelu_bwd_{x.DType.Name()}", Elementwise.Grid(x.Shape.Count), Threads,
            x, dy, dx, x.Shape.Count);
    }

    /// <summary>About: a polynomial of degree 9 and an exponential.</summary>
    public static long Flops(Tensor x) => 25 * x.Shape.Count;

    /// <summary>x once, y once.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes;
}
