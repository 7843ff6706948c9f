// Pooling over space, channels last: kernels/pool.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Square windows: their side, the step from one to the next, how far the first begins outside.</summary>
public readonly record struct PoolSteps(int Side, int Stride, int Padding)
{
    /// <summary>Windows along an axis.</summary>
    public long Length(long input) => (input + 2L * Padding - Side) / Stride + 1;
}

/// <summary>Maximum of windows and mean of all positions, f32 or bf16.</summary>
public static class Pool
{
    const int Threads = 256, MeanStrip = 32, SpreadStrip = 128, SpreadRows = 64;

    /// <summary>y (B, OH, OW, C) = the largest x (B, H, W, C) of each window. Does not synchronise.</summary>
    public static void Max(Gpu gpu, Tensor x, PoolSteps steps, Tensor y)
    {
        (int h, int w, int c, int oh, int ow) = Windows("x", x, steps, "y", y);
        Launch.Run(gpu, $"max_pool_fwd_{x.DType.Name()}", new(Tiles((long)ow * c / 4, Threads), oh, x.Shape[0]),
            Threads, x, y, h, w, c, oh, ow, steps.Side, steps.Stride, steps.Padding);
    }

    /// <summary>
    /// dx from x and dy: each dy goes to its window's first maximum in row-major order. Does not synchronise.
    /// </summary>
    public static void MaxBackward(Gpu gpu, Tensor x, PoolSteps steps, Tensor dy, Tensor dx)
    {
        (int h, int w, int c, int oh, int ow) = Windows("x", x, steps, "dy", dy);
        Expect.Same("Pool", "dx", dx, x);
        Expect.Aligned("Pool", "dx", dx, 4 * x.DType.Size());
        Launch.Run(gpu, $"max_pool_bwd_{x.DType.Name()}", new(Tiles((long)w * c / 4, Threads), h, x.Shape[0]),
            Threads, x, dy, dx, h, w, c, oh, ow, steps.Side, steps.Stride, steps.Padding);
    }

    /// <summary>y (B, C) = mean of x (B, …, C) over all positions. Does not synchronise.</summary>
    public static void Mean(Gpu gpu, Tensor x, Tensor y)
    {
        (int positions, int c) = Positions("x", x, "y", y);
        Launch.Run(gpu, $"mean_pool_fwd_{x.DType.Name()}", new(Tiles(c, MeanStrip), x.Shape[0]), Threads,
            x, y, positions, c);
    }

    /// <summary>dx (B, …, C) = dy (B, C) over the number of positions, at each. Does not synchronise.</summary>
    public static void MeanBackward(Gpu gpu, Tensor dy, Tensor dx)
    {
        (int positions, int c) = Positions("dx", dx, "dy", dy);
        Launch.Run(gpu, $"mean_pool_bwd_{dx.DType.Name()}",
            new(Tiles(c, SpreadStrip), Tiles(positions, SpreadRows), dx.Shape[0]), Threads, dy, dx, positions, c);
    }

    static long Tiles(long count, long of) => (count + of - 1) / of;

    static (int H, int W, int C, int OutH, int OutW) Windows(string input, Tensor x, PoolSteps steps, string output,
        Tensor y)
    {
        Expect.Type("Pool", input, x, DType.F32, DType.BF16);
        Expect.Rank("Pool", input, x, "B, H, W, C");
        Expect.Multiple("Pool", $"channels of {input}", x.Shape[3], 4);
        if (steps.Side < 1 || steps.Stride < 1 || steps.Padding < 0 || 2 * steps.Padding > steps.Side)
            throw new ArgumentException($"Pool: {steps} is impossible; the padding is at most half the side");
        if (Math.Min(x.Shape[1], x.Shape[2]) + 2 * steps.Padding < steps.Side)
            throw new ArgumentException($"Pool: {input} {x} is smaller than the windows of {steps}");
        (long oh, long ow) = (steps.Length(x.Shape[1]), steps.Length(x.Shape[2]));
        Expect.Shape("Pool", output, y, x.DType, x.Shape[0], oh, ow, x.Shape[3]);
        Expect.Int("Pool", $"positions of {input}", x.Shape[1] * x.Shape[2]);
        Expect.Aligned("Pool", input, x, 4 * x.DType.Size());
        Expect.Aligned("Pool", output, y, 4 * x.DType.Size());
        return ((int)x.Shape[1], (int)x.Shape[2], Expect.Int("Pool", "C", x.Shape[3]), (int)oh, (int)ow);
    }

    static (int Positions, int C) Positions(string input, Tensor x, string output, Tensor y)
    {
        Expect.Type("Pool", input, x, DType.F32, DType.BF16);
        long images = x.Shape[0], c = x.Shape[^1];
        Expect.Multiple("Pool", $"channels of {input}", c, 4);
        Expect.Shape("Pool", output, y, x.DType, images, c);
        Expect.Aligned("Pool", input, x, 4 * x.DType.Size());
        Expect.Aligned("Pool", output, y, 4 * x.DType.Size());
        return (Expect.Int("Pool", $"positions of {input}", x.Shape.Rows / Math.Max(1, images)),
            Expect.Int("Pool", "C", c));
    }
}
