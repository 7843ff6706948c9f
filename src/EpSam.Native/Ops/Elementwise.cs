// Copy, add, scale, casts: kernels/elementwise.cu. Every op here may work in place where the kernel's header says so.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Element by element.</summary>
public static class Elementwise
{
    // more elements than that many threads take four at a time are looped over
    const int Threads = 256, MaxBlocks = 4096;

    internal static LaunchGrid Grid(long count) => new(Math.Clamp((count / 4 + Threads - 1) / Threads, 1, MaxBlocks));

    /// <summary>y = x. Same type and shape, whole 32-bit words; may not overlap. Does not synchronise.</summary>
    public static void Copy(Gpu gpu, Tensor x, Tensor y)
    {
        Expect.Same("Copy", "y", y, x);
        Expect.Multiple("Copy", "bytes of x", x.Bytes, 4);
        Expect.Aligned("Copy", "x", x, 16);
        Expect.Aligned("Copy", "y", y, 16);
        Launch.Run(gpu, "copy_fwd_b32", Grid(x.Bytes / 4), Threads, x, y, x.Bytes / 4);
    }

    /// <summary>All bytes of y become 0. Does not synchronise.</summary>
    public static unsafe void Zero(Gpu gpu, Tensor y)
    {
        if (y.Bytes == 0) return;
        gpu.Driver.Check(gpu.Driver.cuMemsetD8Async(y.Address, 0, (nuint)y.Bytes, gpu.Stream), $"{y}");
    }

    /// <summary>y = a + b, f32 or bf16; y may be a or b. Does not synchronise.</summary>
    public static void Add(Gpu gpu, Tensor a, Tensor b, Tensor y)
    {
        Expect.Type("Add", "a", a, DType.F32, DType.BF16);
        Expect.Same("Add", "b", b, a);
        Expect.Same("Add", "y", y, a);
        AlignedQuads("Add", a, b, y);
        Launch.Run(gpu, $"add_fwd_{a.DType.Name()}", Grid(a.Shape.Count), Threads, a, b, y, a.Shape.Count);
    }

    /// <summary>y = scale · x + offset, f32; y may be x. Does not synchronise.</summary>
    public static void Scale(Gpu gpu, Tensor x, float scale, float offset, Tensor y)
    {
        Expect.Type("Scale", "x", x, DType.F32);
        Expect.Same("Scale", "y", y, x);
        AlignedQuads("Scale", x, x, y);
        Launch.Run(gpu, "scale_fwd_f32", Grid(x.Shape.Count), Threads, x, scale, offset, y, x.Shape.Count);
    }

    /// <summary>y = x in the other type, f32 to bf16 (nearest even) or bf16 to f32. Does not synchronise.</summary>
    public static void Cast(Gpu gpu, Tensor x, Tensor y)
    {
        Expect.Type("Cast", "x", x, DType.F32, DType.BF16);
        Expect.Same("Cast", "y", y, x with { DType = x.DType == DType.F32 ? DType.BF16 : DType.F32 });
        AlignedQuads("Cast", x, x, y);
        string kernel = $"cast_fwd_{x.DType.Name()}_{y.DType.Name()}";
        Launch.Run(gpu, kernel, Grid(x.Shape.Count), Threads, x, y, x.Shape.Count);
    }

    /// <summary>Bytes that any of these reads and writes: each tensor once.</summary>
    public static long Bytes(params ReadOnlySpan<Tensor> tensors)
    {
        long bytes = 0;
        foreach (Tensor tensor in tensors) bytes += tensor.Bytes;
        return bytes;
    }

    static void AlignedQuads(string op, in Tensor a, in Tensor b, in Tensor y)
    {
        Expect.Aligned(op, "first input", a, 4 * a.DType.Size());
        Expect.Aligned(op, "second input", b, 4 * b.DType.Size());
        Expect.Aligned(op, "y", y, 4 * y.DType.Size());
    }
}
