using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Upscaled embeddings and hyper-networks to masks, in one step: kernels/mask_decode.cu.</summary>
public static class MaskDecode
{
    const int Threads = 128, Warps = 4, TasksPerWarp = 4;

    /// <summary>
    /// masks (P, M, 4H, 4W) f32 = hyper (P, M, O) · gelu(transposed convolution of u (P, H, W, 2, 2, C), 2 x 2 with
    /// stride 2, + bias (O) f32), weight (C, O, 2, 2); u and weight both f32 or both bf16, hyper f32; u as
    /// Upscaling.NormGelu makes it. (C, O) is (64, 32) or (16, 8). Any M: pass the rows of hyper that are wanted. Does
    /// not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor u, Tensor weight, Tensor bias, Tensor hyper, Tensor masks)
    {
        Expect.Type("MaskDecode", "u", u, DType.F32, DType.BF16);
        Expect.Rank("MaskDecode", "u", u, "P, H, W, 2, 2, C");
        Expect.Rank("MaskDecode", "hyper", hyper, "P, M, O");
        (long prompts, long height, long width, long channels) = (u.Shape[0], u.Shape[1], u.Shape[2], u.Shape[5]);
        (long count, long outputs) = (hyper.Shape[1], hyper.Shape[2]);
        if ((channels, outputs) is not ((64, 32) or (16, 8)))
            throw new ArgumentException(
                $"MaskDecode: channels (C, O) must be (64, 32) or (16, 8), got ({channels}, {outputs})");
        Expect.Shape("MaskDecode", "u", u, u.DType, prompts, height, width, 2, 2, channels);
        Expect.Shape("MaskDecode", "weight", weight, u.DType, channels, outputs, 2, 2);
        Expect.Shape("MaskDecode", "bias", bias, DType.F32, outputs);
        Expect.Shape("MaskDecode", "hyper", hyper, DType.F32, prompts, count, outputs);
        Expect.Shape("MaskDecode", "masks", masks, DType.F32, prompts, count, 4 * height, 4 * width);
        Expect.Int("MaskDecode", "8·H·W", checked(8 * height * width));
        foreach (Tensor tensor in (ReadOnlySpan<Tensor>)[u, weight, masks])
            Expect.Aligned("MaskDecode", "a tensor", tensor, 16);
        bool cores = u.DType == DType.BF16;
        long tasks = cores ? height * ((width + 7) / 8) : 2 * height * ((width + 15) / 16);
        long perBlock = cores ? Warps * TasksPerWarp : Warps, together = cores ? 8 : 4; // tasks, masks
        Launch.Run(gpu, $"mask_decode_fwd_{u.DType.Name()}_c{channels}_{outputs}",
            new LaunchGrid((tasks + perBlock - 1) / perBlock, prompts, (count + together - 1) / together), Threads,
            u, weight, bias, hyper, masks, (int)height, (int)width, (int)count);
    }

    /// <summary>Convolution, GELU, product with hyper.</summary>
    public static long Flops(Tensor u, Tensor hyper) =>
        u.Shape.Count * hyper.Shape[2] * 8 + u.Shape.Rows * 4 * hyper.Shape[2] * (25 + 2 * hyper.Shape[1]);
}
