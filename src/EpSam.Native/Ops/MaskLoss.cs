// EP-SAM's loss of masks: kernels/mask_loss.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>
/// Dice and IoU loss of sigmoid(logits), each sample for itself, and Dice and IoU of the hard masks (logits above 0).
/// </summary>
public static class MaskLoss
{
    const int Threads = 256, PerThread = 16, MaxParts = 256, MaxBlocks = 4096, Sums = 5;

    /// <summary>What is added to numerator and denominator in EP-SAM.</summary>
    public const float Smooth = 1e-3f;

    /// <summary>Working space of <see cref="Forward"/> for logits (B, …): (B, G, 5).</summary>
    public static Shape PartsShape(Tensor logits)
    {
        long each = logits.Shape.Count / Math.Max(1, logits.Shape[0]);
        return new Shape(logits.Shape[0], Math.Clamp((each + Threads * PerThread - 1) / (Threads * PerThread), 1,
            MaxParts), Sums);
    }

    /// <summary>
    /// logits (B, …) f32 and target of the same shape, u8, where all but 0 is mask, to y (B, 4) f32: Dice loss, IoU
    /// loss, Dice and IoU of the hard mask; and sums (B, 5) f32, which backward needs. parts f32 of
    /// <see cref="PartsShape"/> is working space. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor logits, Tensor target, float smooth, Tensor parts, Tensor sums, Tensor y)
    {
        (int batch, long each) = Check(logits, target, sums);
        Shape needed = PartsShape(logits);
        Expect.Same("MaskLoss", "parts", parts, new Tensor(parts.Address, DType.F32, needed));
        Expect.Shape("MaskLoss", "y", y, DType.F32, batch, 4);
        Launch.Run(gpu, "mask_loss_fwd_f32_parts", new LaunchGrid(needed[1], batch), Threads,
            logits, target, parts, each);
        ColumnSum.Few(gpu, parts, sums, batched: true);
        Launch.Run(gpu, "mask_loss_fwd_f32", new LaunchGrid((batch + Threads - 1L) / Threads), Threads,
            sums, y, batch, smooth);
    }

    /// <summary>
    /// dLogits (B, …) f32 = gradient of dice · Dice loss + iou · IoU loss, summed over samples: for their mean both are
    /// 1 / B; and of cross · the mean binary cross entropy of a sample's pixels. sums of <see cref="Forward"/>. dLogits
    /// may be logits. Does not synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor logits, Tensor target, float smooth, Tensor sums, float dice, float iou,
        Tensor dLogits, float cross = 0)
    {
        (int batch, long each) = Check(logits, target, sums);
        Expect.Same("MaskLoss", "dLogits", dLogits, logits);
        LaunchGrid grid = new(Math.Clamp((each + Threads - 1) / Threads, 1, MaxBlocks), batch);
        Launch.Run(gpu, "mask_loss_bwd_f32", grid, Threads,
            logits, target, sums, dLogits, each, smooth, dice, iou, cross / each);
    }

    static (int Batch, long Each) Check(in Tensor logits, in Tensor target, in Tensor sums)
    {
        Expect.Type("MaskLoss", "logits", logits, DType.F32);
        Expect.Same("MaskLoss", "target", target, logits with { DType = DType.U8 });
        int batch = Expect.Int("MaskLoss", "samples", logits.Shape[0]);
        Expect.Shape("MaskLoss", "sums", sums, DType.F32, batch, Sums);
        return (batch, logits.Shape.Count / Math.Max(1, batch));
    }
}
