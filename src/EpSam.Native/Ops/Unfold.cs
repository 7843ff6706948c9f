using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>
/// Patches as rows, so that a convolution is a matrix product with its weight as it is: kernels/unfold.cu.
/// </summary>
public static class Unfold
{
    const int Threads = 128;

    /// <summary>Length of an output axis.</summary>
    public static long Length(long input, int side, int stride, int padding) =>
        (input + 2 * padding - side) / stride + 1;

    /// <summary>
    /// y (B, OH, OW, C·side·side) from x (B, H, W, C), f32 or bf16: y[b, oy, ox, c, ky, kx] = x[b, oy·stride + ky -
    /// padding, ox·stride + kx - padding, c], zero outside. side is 2, 3 or 16. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, int side, int stride, int padding, Tensor y)
    {
        Expect.Type("Unfold", "x", x, DType.F32, DType.BF16);
        Expect.Rank("Unfold", "x", x, "B, H, W, C");
        if (side is not (2 or 3 or 16)) throw new ArgumentException($"Unfold: side must be 2, 3 or 16, got {side}");
        if (stride < 1 || padding < 0)
            throw new ArgumentException($"Unfold: stride {stride}, padding {padding} are impossible");
        int h = Expect.Int("Unfold", "H", x.Shape[1]), w = Expect.Int("Unfold", "W", x.Shape[2]);
        int c = Expect.Int("Unfold", "C·side²", checked(x.Shape[3] * side * side)) / (side * side);
        if (Math.Min(h, w) + 2L * padding < side)
            throw new ArgumentException($"Unfold: x {x} is smaller than the side of {side}");
        int oh = (int)Length(h, side, stride, padding), ow = (int)Length(w, side, stride, padding);
        Expect.Shape("Unfold", "y", y, x.DType, x.Shape[0], oh, ow, (long)c * side * side);
        Launch.Run(gpu, $"unfold_fwd_{x.DType.Name()}_side{side}", new LaunchGrid(y.Shape.Rows), Threads,
            x, y, h, w, c, stride, padding, oh, ow);
    }

    /// <summary>x once, y once.</summary>
    public static long Bytes(Tensor x, Tensor y) => x.Bytes + y.Bytes;
}
