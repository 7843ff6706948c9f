// OpenCV's warpAffine with BORDER_REFLECT_101 (the border mirrored without repeating the outermost pixel), as
// albumentations calls it: linear for images, nearest for masks. Positions are fixed point with 10 bits; linear
// interpolation keeps 5 of them, so its weights are exact in 10 bits.
namespace EpSam.Native.Preprocess;

/// <summary>
/// Affine transformation of (height, width, channels) into an image of the same size. Bit-exact to OpenCV's
/// warpAffine. Destinations must not overlap sources.
/// </summary>
public static class AffineWarp
{
    const int PositionBits = 10, WeightBits = 5, One = 1 << WeightBits;

    /// <summary>INTER_LINEAR.</summary>
    /// <param name="source">(height, width, channels).</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="channels">Values of a pixel.</param>
    /// <param name="matrix">Where a pixel of the source goes.</param>
    /// <param name="destination">(height, width, channels).</param>
    public static void Linear(ReadOnlySpan<byte> source, int height, int width, int channels, AffineMatrix matrix,
        Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length);
        Positions positions = new(matrix.Inverse(), width);
        for (int y = 0, o = 0; y < height; y++)
        {
            (int rowX, int rowY) = positions.Row(y, 1 << (PositionBits - WeightBits - 1));
            for (int x = 0; x < width; x++, o += channels)
            {
                int atX = (rowX + positions.X[x]) >> (PositionBits - WeightBits);
                int atY = (rowY + positions.Y[x]) >> (PositionBits - WeightBits);
                (int right, int below) = (atX & (One - 1), atY & (One - 1));
                int left = Reflect(atX >> WeightBits, width), next = Reflect((atX >> WeightBits) + 1, width);
                int top = Reflect(atY >> WeightBits, height), bottom = Reflect((atY >> WeightBits) + 1, height);
                for (int c = 0; c < channels; c++)
                {
                    int upper = source[(top * width + left) * channels + c] * (One - right)
                        + source[(top * width + next) * channels + c] * right;
                    int lower = source[(bottom * width + left) * channels + c] * (One - right)
                        + source[(bottom * width + next) * channels + c] * right;
                    destination[o + c] =
                        (byte)((upper * (One - below) + lower * below + One * One / 2) >> (2 * WeightBits));
                }
            }
        }
    }

    /// <summary>INTER_NEAREST; parameters as of <see cref="Linear"/>.</summary>
    public static void Nearest(ReadOnlySpan<byte> source, int height, int width, int channels, AffineMatrix matrix,
        Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length);
        Positions positions = new(matrix.Inverse(), width);
        for (int y = 0, o = 0; y < height; y++)
        {
            (int rowX, int rowY) = positions.Row(y, 1 << (PositionBits - 1));
            for (int x = 0; x < width; x++, o += channels)
            {
                int fromX = Reflect((rowX + positions.X[x]) >> PositionBits, width);
                int fromY = Reflect((rowY + positions.Y[x]) >> PositionBits, height);
                source.Slice((fromY * width + fromX) * channels, channels).CopyTo(destination[o..]);
            }
        }
    }

    // Where a pixel of the destination comes from: what its column gives and what its row gives are rounded separately.
    readonly struct Positions
    {
        readonly AffineMatrix _back;

        public int[] X { get; }

        public int[] Y { get; }

        public Positions(AffineMatrix back, int width)
        {
            (_back, X, Y) = (back, new int[width], new int[width]);
            for (int x = 0; x < width; x++) (X[x], Y[x]) = (Rounded(back.XX * x), Rounded(back.YX * x));
        }

        public (int X, int Y) Row(int y, int offset) =>
            (Rounded(_back.XY * y + _back.X0) + offset, Rounded(_back.YY * y + _back.Y0) + offset);

        // Converting saturates, so that a matrix that throws everything far away stays defined.
        static int Rounded(double position) =>
            (int)Math.Clamp(Math.Round(position * (1 << PositionBits)), -(1 << 29), 1 << 29);
    }

    static int Reflect(int at, int size)
    {
        if ((uint)at < (uint)size) return at;
        if (size == 1) return 0;
        int period = 2 * size - 2;
        at = Math.Abs(at) % period;
        return at < size ? at : period - at;
    }

    static void Check(int length, int height, int width, int channels, int newLength)
    {
        Pixels.Check("AffineWarp", "source", length, height, width, channels);
        Pixels.Check("AffineWarp", "destination", newLength, height, width, channels);
        if (Math.Max(height, width) >= 1 << 15)
            throw new ArgumentException($"AffineWarp: sides must be below 32768, got {height} x {width}");
    }
}
