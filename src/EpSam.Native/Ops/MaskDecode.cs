using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Upscaled embeddings and hyper-networks to masks, in one step: kernels/mask_decode.cu.</summary>
public static class MaskDecode
{
    const int Threads = 128, Warps = 4, TasksPerWarp = 4, PixelsEach = 256, MaxMasksBack = 4;

    /// <summary>
    /// masks (P, M, 4H, 4W) f32 = hyper (P, M, O) · gelu(transposed convolution of u (P, H, W, 2, 2, C), 2 x 2 with
    /// stride 2, + bias (O) f32), weight (C, O, 2, 2); u and weight both f32 or both bf16, hyper f32; u as
    /// Upscaling.NormGelu makes it. (C, O) is (64, 32) or (16, 8). Any M: pass the rows of hyper that are wanted. Does
    /// not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor u, Tensor weight, Tensor bias, Tensor hyper, Tensor masks)
    {
        (long prompts, long height, long width, long channels, long count, long outputs) =
            Check(u, weight, bias, hyper, masks);
        bool cores = u.DType == DType.BF16;
        long tasks = cores ? height * ((width + 7) / 8) : 2 * height * ((width + 15) / 16);
        long perBlock = cores ? Warps * TasksPerWarp : Warps, together = cores ? 8 : 4; // tasks, masks
        Launch.Run(gpu, $"mask_decode_fwd_{u.DType.Name()}_c{channels}_{outputs}",
            new LaunchGrid((tasks + perBlock - 1) / perBlock, prompts, (count + together - 1) / together), Threads,
            u, weight, bias, hyper, masks, (int)height, (int)width, (int)count);
    }

    /// <summary>
    /// dU like u, dHyper like hyper, and dWeight, dBias f32 += what dMasks (P, M, 4H, 4W) f32 gives; M is at most 4.
    /// dWeight and dBias may be null, dU too. Working space: z of u's type and <see cref="ProductShape"/>, where the
    /// convolution is made again; parts f32 of <see cref="PartsShape"/>. Does not synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor u, Tensor weight, Tensor bias, Tensor hyper, Tensor dMasks, Tensor z,
        Tensor parts, Tensor? dU, Tensor? dWeight, Tensor? dBias, Tensor dHyper)
    {
        (long prompts, long height, long width, long channels, long count, long outputs) =
            Check(u, weight, bias, hyper, dMasks);
        if (count > MaxMasksBack)
            throw new ArgumentException($"MaskDecode: backward takes at most {MaxMasksBack} masks, got {count}");
        Expect.Same("MaskDecode", "z", z, u with { Address = z.Address, Shape = ProductShape(u, hyper) });
        Expect.Same("MaskDecode", "parts", parts, new Tensor(default, DType.F32, PartsShape(u, hyper)));
        Expect.Same("MaskDecode", "dHyper", dHyper, hyper);
        Expect.Int("MaskDecode", "16·H·W", checked(16 * height * width));
        Shape pixels = new(u.Shape.Rows, channels), matrix = new(channels, 4 * outputs);
        MatMul.Forward(gpu, u.Reshape(pixels), weight.Reshape(matrix), z, transposed: false);
        long blocks = Blocks(height, width);
        Tensor hypers = parts with { Shape = new Shape(prompts, blocks, count * outputs) };
        Tensor biases = new(new(parts.Address.Value + (ulong)hypers.Bytes), DType.F32,
            new Shape(prompts * blocks, outputs));
        Launch.Run(gpu, $"mask_decode_bwd_{u.DType.Name()}_o{outputs}", new LaunchGrid(blocks, prompts), Threads,
            z, bias, hyper, dMasks, hypers, biases, (int)height, (int)width, (int)count, PixelsEach);
        ColumnSum.Few(gpu, hypers, dHyper, batched: true);
        if (dBias is Tensor sum) ColumnSum.Few(gpu, biases, sum, add: true);
        if (dWeight is Tensor gradient)
            MatMul.BackwardWeight(gpu, z, u.Reshape(pixels), gradient.Reshape(matrix), add: true);
        if (dU is Tensor written) MatMul.Forward(gpu, z, weight.Reshape(matrix), written.Reshape(pixels));
    }

    /// <summary>The convolution's result: (P·H·W·4, 4·O).</summary>
    public static Shape ProductShape(Tensor u, Tensor hyper) => new(u.Shape.Rows, 4 * hyper.Shape[2]);

    /// <summary>Working space of <see cref="Backward"/>: (P, G, M + 1, O).</summary>
    public static Shape PartsShape(Tensor u, Tensor hyper) =>
        new(u.Shape[0], Blocks(u.Shape[1], u.Shape[2]), hyper.Shape[1] + 1, hyper.Shape[2]);

    static long Blocks(long height, long width) => (4 * height * width + PixelsEach - 1) / PixelsEach;

    static (long Prompts, long Height, long Width, long Channels, long Count, long Outputs) Check(in Tensor u,
        in Tensor weight, in Tensor bias, in Tensor hyper, in Tensor masks)
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
        return (prompts, height, width, channels, count, outputs);
    }

    /// <summary>Convolution, GELU, product with hyper.</summary>
    public static long Flops(Tensor u, Tensor hyper) =>
        u.Shape.Count * hyper.Shape[2] * 8 + u.Shape.Rows * 4 * hyper.Shape[2] * (25 + 2 * hyper.Shape[1]);
}
