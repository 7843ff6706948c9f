// A grid of tokens in windows and back: kernels/window.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>SAM's windows. A window as large as the grid is the grid itself.</summary>
public static class Window
{
    const int Threads = 128, TokensPerBlock = 4;

    /// <summary>How many windows of P x Q cover B images of H x W.</summary>
    public static long Count(long b, long h, long w, long p, long q) => b * ((h + p - 1) / p) * ((w + q - 1) / q);

    /// <summary>
    /// windows (B·⌈H/P⌉·⌈W/Q⌉, P, Q, C) = x (B, H, W, C) + bias (C), padded tokens = bias, as if x had zeros there. f32
    /// or bf16, bias f32, C a multiple of 4. Does not synchronise.
    /// </summary>
    public static void Partition(Gpu gpu, Tensor x, Tensor bias, Tensor windows)
    {
        (int h, int w, int p, int q, int c) = Check("Window.Partition", x, windows);
        Expect.Shape("Window.Partition", "bias", bias, DType.F32, c);
        Expect.Aligned("Window.Partition", "bias", bias, 16);
        Launch.Run(gpu, $"window_fwd_{x.DType.Name()}_partition", Grid(windows), Threads,
            x, bias, windows, h, w, p, q, (int)windows.Shape.Rows, c);
    }

    /// <summary>
    /// y (B, H, W, C) = the grid that windows (B·⌈H/P⌉·⌈W/Q⌉, P, Q, C) make, without padding. Does not synchronise.
    /// </summary>
    public static void Reverse(Gpu gpu, Tensor windows, Tensor y)
    {
        (int h, int w, int p, int q, int c) = Check("Window.Reverse", y, windows);
        Launch.Run(gpu, $"window_fwd_{y.DType.Name()}_reverse", Grid(y), Threads,
            windows, y, h, w, p, q, (int)y.Shape.Rows, c);
    }

    static LaunchGrid Grid(in Tensor target) => new((target.Shape.Rows + TokensPerBlock - 1) / TokensPerBlock);

    /// <summary>Grid and windows once.</summary>
    public static long Bytes(Tensor grid, Tensor windows) => grid.Bytes + windows.Bytes;

    static (int H, int W, int P, int Q, int C) Check(string op, in Tensor grid, in Tensor windows)
    {
        Expect.Type(op, "the grid", grid, DType.F32, DType.BF16);
        Expect.Rank(op, "the grid", grid, "B, H, W, C");
        Expect.Rank(op, "windows", windows, "windows, P, Q, C");
        (long b, long h, long w, long c) = (grid.Shape[0], grid.Shape[1], grid.Shape[2], grid.Shape[3]);
        (long p, long q) = (Math.Max(1, windows.Shape[1]), Math.Max(1, windows.Shape[2]));
        Expect.Shape(op, "windows", windows, grid.DType, Count(b, h, w, p, q), p, q, c);
        Expect.Multiple(op, "C", c, 4);
        Expect.Int(op, "tokens", windows.Shape.Rows);
        Expect.Aligned(op, "the grid", grid, 4 * grid.DType.Size());
        Expect.Aligned(op, "windows", windows, 4 * grid.DType.Size());
        return ((int)h, (int)w, (int)p, (int)q, Expect.Int(op, "C", c));
    }
}
