using System.Numerics;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>
/// A transposed convolution, 2 x 2 with stride 2, with bias, LayerNorm2d and GELU: MatMul and kernels/upscaling.cu.
/// </summary>
public static class Upscaling
{
    const int Threads = 128, ChannelsPerLane = 8, MaxParts = 256;

    /// <summary>
    /// The convolution itself is MatMul.Forward(x, weight, product, transposed: false) with the weight (input, C, 2,
    /// 2) as it is in the state dict. This is what follows: product (…, C, 2, 2) or (…, 4·C), f32 or bf16, to y (…, 2,
    /// 2, C) of its type: for each pixel its four in the upscaled image. y may lie over product. bias, weight and
    /// shift (C) f32, the latter two of the norm; C a power of two from 8 to 256. Does not synchronise.
    /// </summary>
    public static void NormGelu(Gpu gpu, Tensor product, Tensor bias, Tensor weight, Tensor shift, float eps, Tensor y)
    {
        (int rows, long channels) = Check(product, bias, weight, shift, y);
        long lanes = rows * (channels / ChannelsPerLane);
        LaunchGrid grid = new((lanes + Threads - 1) / Threads);
        Launch.Run(gpu, $"upscaling_fwd_{product.DType.Name()}_norm_gelu", grid, Threads,
            product, bias, weight, shift, y, rows, (int)channels, eps);
    }

    /// <summary>
    /// dProduct from dy of <see cref="NormGelu"/>, and dBias, dWeight, dShift (C) f32 += what dy gives; product as it
    /// was before, so that y must not have been laid over it. The convolution's own gradients are MatMul.Forward with
    /// transposed: true, and MatMul.BackwardWeight with dProduct for x and the convolution's input for dy. parts f32 of
    /// <see cref="PartsShape"/> is working space. Does not synchronise.
    /// </summary>
    public static void NormGeluBackward(Gpu gpu, Tensor product, Tensor bias, Tensor weight, Tensor shift, float eps,
        Tensor dy, Tensor parts, Tensor dProduct, Tensor dBias, Tensor dWeight, Tensor dShift)
    {
        (int rows, long channels) = Check(product, bias, weight, shift, dy);
        Expect.Same("Upscaling", "dProduct", dProduct, product);
        Expect.Same("Upscaling", "parts", parts, new Tensor(default, DType.F32, PartsShape(dy)));
        Expect.Aligned("Upscaling", "dProduct", dProduct, 4 * product.DType.Size());
        Launch.Run(gpu, $"upscaling_bwd_{product.DType.Name()}_norm_gelu", new LaunchGrid(parts.Shape[1]), Threads,
            product, bias, weight, shift, dy, dProduct, parts, rows, (int)channels, eps);
        Tensor sums = parts with { Shape = new Shape(parts.Shape[1], channels) };
        foreach (Tensor gradient in (ReadOnlySpan<Tensor>)[dBias, dWeight, dShift])
        {
            Expect.Shape("Upscaling", "gradient of bias, weight or shift", gradient, DType.F32, channels);
            ColumnSum.Few(gpu, sums, gradient, add: true);
            sums = sums with { Address = new(sums.Address.Value + (ulong)sums.Bytes) };
        }
    }

    /// <summary>Working space of <see cref="NormGeluBackward"/>: (3, G, C).</summary>
    public static Shape PartsShape(Tensor dy)
    {
        long channels = dy.Shape[^1], lanes = dy.Shape.Count / (4 * ChannelsPerLane);
        return new Shape(3, Math.Clamp((lanes + Threads - 1) / Threads, 1, MaxParts), channels);
    }

    static (int Rows, long Channels) Check(in Tensor product, in Tensor bias, in Tensor weight, in Tensor shift,
        in Tensor y)
    {
        Expect.Type("Upscaling", "product", product, DType.F32, DType.BF16);
        long channels = y.Shape[^1], count = product.Shape.Count;
        if (channels is < ChannelsPerLane or > 256 || !BitOperations.IsPow2(channels))
            throw new ArgumentException(
                $"Upscaling: the last axis of y must be a power of two from 8 to 256, got {channels}");
        Expect.Multiple("Upscaling", "elements of product", count, 4 * channels);
        Expect.Shape("Upscaling", "y", y.Reshape(new Shape(y.Shape.Count)), product.DType, count);
        Expect.Shape("Upscaling", "bias", bias, DType.F32, channels);
        Expect.Shape("Upscaling", "weight", weight, DType.F32, channels);
        Expect.Shape("Upscaling", "shift", shift, DType.F32, channels);
        int rows = Expect.Int("Upscaling", "rows of product", count / (4 * channels));
        Expect.Int("Upscaling", "lanes", count / (4 * ChannelsPerLane) + Threads);
        Expect.Aligned("Upscaling", "product", product, 4 * product.DType.Size());
        Expect.Aligned("Upscaling", "y", y, 4 * y.DType.Size());
        Expect.Aligned("Upscaling", "weight", weight, 16);
        Expect.Aligned("Upscaling", "shift", shift, 16);
        return (rows, channels);
    }
}
