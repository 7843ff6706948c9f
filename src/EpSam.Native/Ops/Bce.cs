using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Binary cross entropy of logits, the mean: kernels/bce.cu.</summary>
public static class Bce
{
    const int Threads = 256;

    /// <summary>loss (1) f32 of logits and labels in 0..1, of one shape, f32. Does not synchronise.</summary>
    public static void Forward(Gpu gpu, Tensor logits, Tensor labels, Tensor loss)
    {
        int count = Check(logits, labels);
        Expect.Shape("Bce", "loss", loss, DType.F32, 1);
        Launch.Run(gpu, "bce_fwd_f32", new LaunchGrid(1), Threads, logits, labels, loss, count);
    }

    /// <summary>
    /// dLogits = scale · the gradient of the mean; scale is the loss's own gradient, as 1 / number of batches whose
    /// gradients are added up. Does not synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor logits, Tensor labels, float scale, Tensor dLogits)
    {
        int count = Check(logits, labels);
        Expect.Same("Bce", "dLogits", dLogits, logits);
        Launch.Run(gpu, "bce_bwd_f32", new LaunchGrid((count + Threads - 1L) / Threads), Threads,
            logits, labels, scale, dLogits, count);
    }

    static int Check(in Tensor logits, in Tensor labels)
    {
        Expect.Type("Bce", "logits", logits, DType.F32);
        Expect.Same("Bce", "labels", labels, logits);
        int count = Expect.Int("Bce", "logits", logits.Shape.Count);
        return count > 0 ? count : throw new ArgumentException($"Bce: needs one logit or more, got {logits}");
    }
}
