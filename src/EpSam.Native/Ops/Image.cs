using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>8-bit pixels to the input of a patch embedding: kernels/image.cu.</summary>
public static class Image
{
    const int Threads = 64, Side = 16;

    /// <summary>
    /// patches (H, W, 3·16·16) f32 or bf16 of image (h, w, 3) u8: (image - mean) / deviation channel by channel, zero
    /// where the image ends before the 16·H x 16·W frame does, each patch in the order of a convolution's weight. What
    /// is of Unfold's shape for one image. Does not synchronise.
    /// </summary>
    public static void Patches(
        Gpu gpu, Tensor image, ReadOnlySpan<float> mean, ReadOnlySpan<float> deviation, Tensor patches)
    {
        Expect.Type("Image", "patches", patches, DType.F32, DType.BF16);
        Expect.Rank("Image", "patches", patches, "H, W, 3·16·16");
        Expect.Rank("Image", "image", image, "h, w, 3");
        (long height, long width) = (image.Shape[0], image.Shape[1]);
        (long down, long across) = (patches.Shape[0], patches.Shape[1]);
        Expect.Shape("Image", "image", image, DType.U8, height, width, 3);
        Expect.Shape("Image", "patches", patches, patches.DType, down, across, 3 * Side * Side);
        Expect.Aligned("Image", "patches", patches, 4 * patches.DType.Size());
        if (height < 1 || width < 1 || height > Side * down || width > Side * across)
            throw new ArgumentException(
                $"Image: an image of 1 x 1 to {Side * down} x {Side * across} fits, got {height} x {width}");
        if (mean.Length != 3 || deviation.Length != 3)
            throw new ArgumentException(
                $"Image: needs three means and deviations, got {mean.Length} and {deviation.Length}");
        Launch.Run(gpu, $"image_fwd_{patches.DType.Name()}_patches{Side}", new LaunchGrid(checked(down * across)),
            Threads, image, patches, (int)height, (int)width, (int)across,
            mean[0], deviation[0], mean[1], deviation[1], mean[2], deviation[2]);
    }

    /// <summary>Pixels once, patches once.</summary>
    public static long Bytes(Tensor image, Tensor patches) => image.Bytes + patches.Bytes;
}
