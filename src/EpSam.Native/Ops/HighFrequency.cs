// The patch classifier's fourth channel (EP-SAM's extract_freq_components) in closed form: kernels/high_frequency.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>RGB images to the patch classifier's input: colours and what is left without low frequencies.</summary>
public static class HighFrequency
{
    const int Threads = 256, RowsPerBlock = 8, RowSums = 9, ImageSums = 21;

    /// <summary>
    /// cos and sin of 2π·i/height, then of 2π·i/width: what <see cref="Forward"/> takes as table (height + width, 2).
    /// </summary>
    public static float[] Table(int height, int width)
    {
        float[] table = new float[2 * (height + width)];
        for (int i = 0; i < height + width; i++)
        {
            double angle = 2 * Math.PI * (i < height ? (double)i / height : (double)(i - height) / width);
            (table[2 * i], table[2 * i + 1]) = ((float)Math.Cos(angle), (float)Math.Sin(angle));
        }
        return table;
    }

    /// <summary>Working space of <see cref="Forward"/>, f32.</summary>
    public static Shape Parts(Tensor images) =>
        new(images.Shape[0] * (images.Shape[1] * RowSums + ImageSums));

    /// <summary>
    /// y (B, H, W, 4) f32 of images (B, H, W, 3), u8 or f32 in 0..1: the colours, and the mean over them of |x - low|,
    /// low being frequencies 0 and -1 of both axes. table as <see cref="Table"/> makes it, f32. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor images, Tensor table, Tensor parts, Tensor y)
    {
        Expect.Type("HighFrequency", "images", images, DType.U8, DType.F32);
        Expect.Rank("HighFrequency", "images", images, "B, H, W, 3");
        long b = images.Shape[0];
        int h = Expect.Int("HighFrequency", "H", images.Shape[1]);
        int w = Expect.Int("HighFrequency", "W", images.Shape[2]);
        int rows = Expect.Int("HighFrequency", "rows of images", b * h);
        Expect.Shape("HighFrequency", "images", images, images.DType, b, h, w, 3);
        Expect.Shape("HighFrequency", "table", table, DType.F32, (long)h + w, 2);
        Expect.Same("HighFrequency", "parts", parts, new Tensor(default, DType.F32, Parts(images)));
        Expect.Shape("HighFrequency", "y", y, DType.F32, b, h, w, 4);
        Expect.Aligned("HighFrequency", "table", table, 8);
        Expect.Aligned("HighFrequency", "y", y, 16);
        string kernel = $"high_frequency_fwd_{images.DType.Name()}";
        Tensor sums = new(new(parts.Address.Value + sizeof(float) * RowSums * (ulong)rows), DType.F32,
            new(b, ImageSums));
        Launch.Run(gpu, $"{kernel}_rows", new LaunchGrid((rows + RowsPerBlock - 1L) / RowsPerBlock), Threads,
            images, table, parts, rows, h, w);
        Launch.Run(gpu, "high_frequency_fwd_f32_sums", new LaunchGrid(b, 3), Threads, parts, table, sums, h, w);
        Launch.Run(gpu, kernel, new LaunchGrid((w + Threads - 1L) / Threads, h, b), Threads,
            images, table, sums, y, h, w);
    }
}
