// The norm of all gradients: kernels/grad_norm.cu. In a fixed order that depends on the size only.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Clipping by the global norm, as torch.nn.utils.clip_grad_norm_ does it.</summary>
public static class GradNorm
{
    /// <summary>
    /// y (2) f32 = the norm of g f32, and the factor to multiply g by so that it is at most
    /// <paramref name="maxNorm"/>. parts (Reduce.Parts(count of g)) f32 is working space. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor g, float maxNorm, Tensor parts, Tensor y)
    {
        Expect.Type("GradNorm", "g", g, DType.F32);
        if (!(maxNorm > 0)) throw new ArgumentException($"GradNorm: maxNorm must be above 0, got {maxNorm}");
        long count = Reduce.Parts(g.Shape.Count);
        Expect.Shape("GradNorm", "parts", parts, DType.F32, count);
        Expect.Shape("GradNorm", "y", y, DType.F32, 2);
        Launch.Run(gpu, "grad_norm_fwd_f32_parts", new LaunchGrid(count), 256, g, parts, g.Shape.Count);
        Launch.Run(gpu, "grad_norm_fwd_f32", new LaunchGrid(1), 256, parts, (int)count, maxNorm, y);
    }

    /// <summary>Operations.</summary>
    public static long Flops(Tensor g) => 2 * g.Shape.Count;
}
