// OpenCV's morphology with a rectangle of ones, any 8-bit values. Outside the image nothing counts (OpenCV's default
// border), so a mask of ones stays one. The anchor is side / 2, for erosion and dilation alike: with an even side, and
// as OpenCV does, opening and closing move the picture by a pixel. n iterations are one pass with a larger rectangle.
using System.Numerics;

namespace EpSam.Native.Preprocess;

/// <summary>
/// Erosion, dilation, opening and closing of (height, width) images with a square of ones, as OpenCV's erode, dilate
/// and morphologyEx give them. Bit-exact. Destinations must not overlap sources.
/// </summary>
public static class Morphology
{
    /// <summary>The smallest value under the square.</summary>
    public static void Erode(ReadOnlySpan<byte> source, int height, int width, int side, Span<byte> destination,
        int iterations = 1) => Run<Smallest>(source, height, width, side, iterations, destination);

    /// <summary>The largest value under the square.</summary>
    public static void Dilate(ReadOnlySpan<byte> source, int height, int width, int side, Span<byte> destination,
        int iterations = 1) => Run<Largest>(source, height, width, side, iterations, destination);

    /// <summary>All erosions, then all dilations (MORPH_OPEN): what is smaller than the square goes.</summary>
    public static void Open(ReadOnlySpan<byte> source, int height, int width, int side, Span<byte> destination,
        int iterations = 1)
    {
        byte[] eroded = new byte[source.Length];
        Erode(source, height, width, side, eroded, iterations);
        Dilate(eroded, height, width, side, destination, iterations);
    }

    /// <summary>All dilations, then all erosions (MORPH_CLOSE): gaps smaller than the square are filled.</summary>
    public static void Close(ReadOnlySpan<byte> source, int height, int width, int side, Span<byte> destination,
        int iterations = 1)
    {
        byte[] dilated = new byte[source.Length];
        Dilate(source, height, width, side, dilated, iterations);
        Erode(dilated, height, width, side, destination, iterations);
    }

    interface IExtreme
    {
        static abstract byte Neutral { get; }
        static abstract byte Of(byte a, byte b);
        static abstract Vector<byte> Of(Vector<byte> a, Vector<byte> b);
    }

    readonly struct Smallest : IExtreme
    {
        public static byte Neutral => 255;
        public static byte Of(byte a, byte b) => Math.Min(a, b);
        public static Vector<byte> Of(Vector<byte> a, Vector<byte> b) => Vector.Min(a, b);
    }

    readonly struct Largest : IExtreme
    {
        public static byte Neutral => 0;
        public static byte Of(byte a, byte b) => Math.Max(a, b);
        public static Vector<byte> Of(Vector<byte> a, Vector<byte> b) => Vector.Max(a, b);
    }

    static void Run<T>(ReadOnlySpan<byte> source, int height, int width, int side, int iterations,
        Span<byte> destination) where T : IExtreme
    {
        Pixels.Check("Morphology", nameof(source), source.Length, height, width);
        Pixels.Check("Morphology", nameof(destination), destination.Length, height, width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(side);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(iterations);
        int before = checked(side / 2 * iterations), after = checked((side - 1) * iterations) - before;
        for (int y = 0; y < height; y++)
        {
            Span<byte> to = destination.Slice(y * width, width);
            int first = Math.Max(y - before, 0), last = (int)Math.Min((long)y + after, height - 1);
            to.Fill(T.Neutral);
            for (int row = first; row <= last; row++) Combine<T>(to, source.Slice(row * width, width));
        }
        byte[] padded = new byte[checked(before + width + after)];
        for (int y = 0; y < height; y++) AlongRow<T>(destination.Slice(y * width, width), padded, before, after);
    }

    // Doubles the stretch that a value stands for until two of them cover the window.
    static void AlongRow<T>(Span<byte> row, Span<byte> padded, int before, int after) where T : IExtreme
    {
        int window = before + after + 1, stretch = 1;
        padded.Fill(T.Neutral);
        row.CopyTo(padded[before..]);
        for (; 2 * stretch <= window; stretch *= 2) Combine<T>(padded[..^stretch], padded[stretch..]);
        padded[..row.Length].CopyTo(row);
        Combine<T>(row, padded.Slice(window - stretch, row.Length));
    }

    // a may start before b in the same memory: what is read has not been written yet.
    static void Combine<T>(Span<byte> a, ReadOnlySpan<byte> b) where T : IExtreme
    {
        int i = 0;
        for (; i <= a.Length - Vector<byte>.Count; i += Vector<byte>.Count)
            T.Of(new Vector<byte>(a[i..]), new Vector<byte>(b[i..])).CopyTo(a[i..]);
        for (; i < a.Length; i++) a[i] = T.Of(a[i], b[i]);
    }
}
