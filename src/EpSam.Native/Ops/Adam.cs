// Adam and AdamW: kernels/adam.cu. Everything that depends on the step is worked out here in double, as torch.optim
// does, and rounded once.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>What Adam is told once; the defaults are torch.optim's.</summary>
/// <param name="WeightDecay">L2 term in the gradient, or with <paramref name="Decoupled"/> AdamW's decay.</param>
/// <param name="Decoupled">AdamW.</param>
/// <param name="Beta1">Of the mean gradient.</param>
/// <param name="Beta2">Of the mean squared gradient.</param>
/// <param name="Eps">Added to the root.</param>
public sealed record AdamOptions(double WeightDecay = 0, bool Decoupled = false, double Beta1 = 0.9,
    double Beta2 = 0.999, double Eps = 1e-8);

/// <summary>One step of Adam or AdamW over a flat buffer.</summary>
public static class Adam
{
    /// <summary>
    /// Updates p and both moments m and v, all (n) f32, from g (n) f32, and leaves g zero. <paramref name="copy"/> (n)
    /// bf16, if there is one, gets p rounded. g is multiplied by <paramref name="scale"/> (1) f32 first, if there is
    /// one. <paramref name="step"/> says which step of these parameters it is, from 1: it corrects the bias of the
    /// moments. Does not synchronise.
    /// </summary>
    public static void Step(Gpu gpu, Tensor g, Tensor? scale, AdamOptions options, double rate, long step, Tensor p,
        Tensor m, Tensor v, Tensor? copy)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(step);
        long n = p.Shape.Count;
        Check("p", p, DType.F32, n);
        Check("g", g, DType.F32, n);
        Check("m", m, DType.F32, n);
        Check("v", v, DType.F32, n);
        if (copy is Tensor half) Check("copy", half, DType.BF16, n);
        if (scale is Tensor factor) Expect.Shape("Adam", "scale", factor, DType.F32, 1);
        double decay = options.Decoupled ? 1 - rate * options.WeightDecay : 1;
        double l2 = options.Decoupled ? 0 : options.WeightDecay;
        double size = rate / (1 - Math.Pow(options.Beta1, step));
        double inverseRoot = 1 / Math.Sqrt(1 - Math.Pow(options.Beta2, step));
        LaunchGrid grid = Elementwise.Grid(n);
        if (copy is Tensor rounded)
        {
            Launch.Run(gpu, "adam_step_bf16", grid, 256, p, g, m, v, rounded, scale, n, (float)decay, (float)l2,
                (float)options.Beta1, (float)(1 - options.Beta1), (float)options.Beta2, (float)(1 - options.Beta2),
                (float)size, (float)inverseRoot, (float)options.Eps);
            return;
        }
        Launch.Run(gpu, "adam_step_f32", grid, 256, p, g, m, v, scale, n, (float)decay, (float)l2,
            (float)options.Beta1, (float)(1 - options.Beta1), (float)options.Beta2, (float)(1 - options.Beta2),
            (float)size, (float)inverseRoot, (float)options.Eps);
    }

    /// <summary>Operations.</summary>
    public static long Flops(long n) => 14 * n;

    static void Check(string name, in Tensor tensor, DType type, long n)
    {
        Expect.Shape("Adam", name, tensor, type, n);
        Expect.Aligned("Adam", name, tensor, 4 * type.Size());
    }
}
