// Counting NaN and infinities: kernels/non_finite.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Counts values that are no numbers.</summary>
public static class NonFinite
{
    /// <summary>
    /// counts[slot] += how many values of x, f32 or bf16, are NaN or infinite; counts is (…) i32. Does not synchronise.
    /// </summary>
    public static void Count(Gpu gpu, Tensor x, Tensor counts, int slot)
    {
        Expect.Type("NonFinite", "x", x, DType.F32, DType.BF16);
        Expect.Aligned("NonFinite", "x", x, 4 * x.DType.Size());
        Expect.Type("NonFinite", "counts", counts, DType.I32);
        if (slot < 0 || slot >= counts.Shape.Count)
            throw new ArgumentException($"NonFinite: slot must be one of counts {counts}, got {slot}");
        Launch.Run(gpu, $"non_finite_fwd_{x.DType.Name()}", Elementwise.Grid(x.Shape.Count), 256, x, x.Shape.Count,
            counts, slot);
    }
}
