using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>To a model's precision where a tensor has another.</summary>
internal static class Cast
{
    /// <summary>x itself when it is of the type, else a temporary.</summary>
    public static Tensor To(Arena arena, string name, Tensor x, DType type)
    {
        if (x.DType == type) return x;
        Tensor y = arena.Take(name, type, x.Shape);
        Elementwise.Cast(arena.Gpu, x, y);
        return y;
    }

    /// <summary>The same on a tape.</summary>
    public static Tensor To(Tape tape, string name, Tensor x, DType type)
    {
        if (x.DType == type) return x;
        Tensor y = tape.New(name, type, x.Shape);
        Elementwise.Cast(tape.Gpu, x, y);
        tape.Push("cast", y, () => tape.Accumulate(x, dx => Elementwise.Cast(tape.Gpu, tape.GradientOf(y), dx)), x);
        return y;
    }
}
