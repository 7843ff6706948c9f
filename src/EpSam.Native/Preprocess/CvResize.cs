// OpenCV's cv2.resize. EP-SAM's maps, masks and probabilities pass through it, so it has to give the same pixels.
//   8 bits: fixed point. A weight has 11 bits; the horizontal pass keeps all 22 bits, the vertical pass rounds to 8,
//     each interpolation in its own way (below). Bit-exact to the x86-64 code of OpenCV 4.6.
//   float and double: weights are floats in both cases. Bit-exact, but for exactly half the size (see Halve).
//   Weights of linear interpolation are zeroed beyond the left and right ends, but not at the top and bottom, where the
//     same row is mixed with itself; in fixed point, and in a float's last bit, that can be seen.
// Source and destination are channels last and must not overlap; an image that keeps its size is copied.
using System.Numerics;

namespace EpSam.Native.Preprocess;

/// <summary>
/// Image resizing exact to OpenCV's cv2.resize: (height, width, channels) to (newHeight, newWidth, channels).
/// Every method throws an <see cref="ArgumentException"/> when a size is not positive or a span does not fit.
/// </summary>
public static partial class CvResize
{
    const int WeightBits = 11, WeightOne = 1 << WeightBits;

    /// <summary>INTER_NEAREST: the source pixel at floor(i * scale).</summary>
    public static void Nearest(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        double scaleY = Scale(height, newHeight), scaleX = Scale(width, newWidth);
        for (int y = 0, o = 0; y < newHeight; y++)
        {
            int row = Math.Min((int)(y * scaleY), height - 1);
            for (int x = 0; x < newWidth; x++, o += channels)
            {
                int column = Math.Min((int)(x * scaleX), width - 1);
                source.Slice((row * width + column) * channels, channels).CopyTo(destination[o..]);
            }
        }
    }

    /// <summary>INTER_LINEAR of 8-bit samples; at exactly half the size the mean of 2 x 2, as OpenCV does.</summary>
    public static void Linear(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        if ((height, width) == (newHeight, newWidth)) source.CopyTo(destination);
        else if ((height, width) == (2 * newHeight, 2 * newWidth)) Blocks(source, width, channels, 2, 2, destination);
        else
        {
            Separable(source, height, width, channels, LinearAxis(width, newWidth, true),
                LinearAxis(height, newHeight, false), MixLinear, destination);
        }
    }

    /// <summary>INTER_LINEAR of floats.</summary>
    public static void Linear(ReadOnlySpan<float> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<float> destination) =>
        Interpolate(source, height, width, channels, newHeight, newWidth, destination);

    /// <summary>INTER_LINEAR of doubles, whose weights are rounded to floats.</summary>
    public static void Linear(ReadOnlySpan<double> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<double> destination) =>
        Interpolate(source, height, width, channels, newHeight, newWidth, destination);

    static void Interpolate<T>(ReadOnlySpan<T> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<T> destination) where T : unmanaged, INumber<T>
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        if ((height, width) == (newHeight, newWidth))
        {
            source.CopyTo(destination);
            return;
        }
        if ((height, width) == (2 * newHeight, 2 * newWidth))
        {
            Halve(source, width, channels, newHeight, destination);
            return;
        }
        Axis columns = LinearAxis(width, newWidth, true), rows = LinearAxis(height, newHeight, false);
        int stride = newWidth * channels;
        T[] upper = new T[stride], lower = new T[stride];
        (int upperRow, int lowerRow) = (-1, -1);
        for (int y = 0; y < newHeight; y++)
        {
            int above = Math.Clamp(rows.First[y], 0, height - 1), below = Math.Clamp(rows.First[y] + 1, 0, height - 1);
            if (above == lowerRow) (upper, lower, upperRow, lowerRow) = (lower, upper, lowerRow, upperRow);
            if (above != upperRow) Line(source.Slice(above * width * channels, width * channels), upper);
            if (below != lowerRow) Line(source.Slice(below * width * channels, width * channels), lower);
            (upperRow, lowerRow) = (above, below);
            T first = T.CreateChecked(rows.Weights[2 * y]), second = T.CreateChecked(rows.Weights[2 * y + 1]);
            Span<T> to = destination.Slice(y * stride, stride);
            for (int i = 0; i < stride; i++) to[i] = upper[i] * first + lower[i] * second;
        }

        void Line(ReadOnlySpan<T> from, T[] to)
        {
            for (int x = 0, o = 0; x < newWidth; x++)
            {
                T first = T.CreateChecked(columns.Weights[2 * x]), second = T.CreateChecked(columns.Weights[2 * x + 1]);
                int left = columns.First[x] * channels, right = Math.Min(columns.First[x] + 1, width - 1) * channels;
                for (int c = 0; c < channels; c++) to[o++] = from[left + c] * first + from[right + c] * second;
            }
        }
    }

    // OpenCV adds the four in an order that depends on the number of channels and on the processor: the last bit is
    // not defined here.
    static void Halve<T>(ReadOnlySpan<T> source, int width, int channels, int newHeight, Span<T> destination)
        where T : unmanaged, INumber<T>
    {
        T quarter = T.CreateChecked(0.25);
        int stride = width * channels;
        for (int y = 0, o = 0; y < newHeight; y++)
            for (int x = 0; x < width / 2; x++)
                for (int c = 0; c < channels; c++)
                {
                    int i = 2 * y * stride + 2 * x * channels + c;
                    T upper = source[i] + source[i + channels];
                    T lower = source[i + stride] + source[i + stride + channels];
                    destination[o++] = (upper + lower) * quarter;
                }
    }

    /// <summary>
    /// One axis: output i mixes the samples First[i] to First[i] + Taps - 1, those outside taken from the nearest end,
    /// with Weights[i*Taps + k].
    /// </summary>
    readonly record struct Axis(int Taps, int[] First, float[] Weights);

    static double Scale(int size, int newSize) => 1.0 / ((double)newSize / size);

    static Axis LinearAxis(int size, int newSize, bool zeroBeyondEnds)
    {
        Axis axis = new(2, new int[newSize], new float[2 * newSize]);
        double scale = Scale(size, newSize);
        for (int i = 0; i < newSize; i++)
        {
            float at = (float)((i + 0.5) * scale - 0.5);
            int first = (int)MathF.Floor(at);
            Set(axis, i, first, at - first, size, zeroBeyondEnds);
        }
        return axis;
    }

    static void Set(Axis axis, int i, int first, float second, int size, bool zeroBeyondEnds)
    {
        if (zeroBeyondEnds && first < 0) (first, second) = (0, 0);
        if (zeroBeyondEnds && first >= size - 1) (first, second) = (size - 1, 0);
        axis.First[i] = first;
        (axis.Weights[2 * i], axis.Weights[2 * i + 1]) = (1f - second, second);
    }

    /// <summary>Mixes as many lines as there are weights into 8 bits.</summary>
    delegate void Mix(int[][] lines, ReadOnlySpan<int> weights, Span<byte> to);

    // Lines that were resized horizontally are kept in a ring: as many as one output row needs.
    static void Separable(ReadOnlySpan<byte> source, int height, int width, int channels, Axis columns, Axis rows,
        Mix mix, Span<byte> destination)
    {
        int taps = rows.Taps, stride = columns.First.Length * channels;
        int[] columnWeights = FixedPoint(columns.Weights), rowWeights = FixedPoint(rows.Weights);
        int[][] ring = new int[taps][], lines = new int[taps][];
        int[] held = new int[taps];
        for (int k = 0; k < taps; k++) (ring[k], held[k]) = (new int[stride], -1);
        for (int y = 0; y < rows.First.Length; y++)
        {
            for (int k = 0; k < taps; k++)
            {
                int row = Math.Clamp(rows.First[y] + k, 0, height - 1), slot = row % taps;
                lines[k] = ring[slot];
                if (held[slot] == row) continue;
                held[slot] = row;
                ReadOnlySpan<byte> from = source.Slice(row * width * channels, width * channels);
                Line(from, width, channels, columns, columnWeights, ring[slot]);
            }
            mix(lines, rowWeights.AsSpan(y * taps, taps), destination.Slice(y * stride, stride));
        }
    }

    static int[] FixedPoint(float[] weights)
    {
        int[] rounded = new int[weights.Length];
        for (int i = 0; i < rounded.Length; i++) rounded[i] = (int)MathF.Round(weights[i] * WeightOne);
        return rounded;
    }

    static void Line(ReadOnlySpan<byte> from, int width, int channels, Axis columns, int[] weights, int[] to)
    {
        int taps = columns.Taps;
        for (int x = 0, o = 0; x < columns.First.Length; x++)
            for (int c = 0; c < channels; c++)
            {
                int sum = 0;
                for (int k = 0; k < taps; k++)
                {
                    int column = Math.Clamp(columns.First[x] + k, 0, width - 1);
                    sum += from[column * channels + c] * weights[x * taps + k];
                }
                to[o++] = sum;
            }
    }

    // OpenCV drops 4 bits before each product and 16 after it, for the sake of 16-bit multipliers.
    static void MixLinear(int[][] lines, ReadOnlySpan<int> weights, Span<byte> to)
    {
        (int first, int second) = (weights[0], weights[1]);
        ReadOnlySpan<int> upper = lines[0].AsSpan(0, to.Length), lower = lines[1].AsSpan(0, to.Length);
        for (int i = 0; i < to.Length; i++)
        {
            int sum = ((first * (upper[i] >> 4)) >> 16) + ((second * (lower[i] >> 4)) >> 16);
            to[i] = (byte)((sum + 2) >> 2);
        }
    }

    static void Check(int length, int height, int width, int channels, int newLength, int newHeight, int newWidth)
    {
        Pixels.Check("CvResize", "source", length, height, width, channels);
        Pixels.Check("CvResize", "destination", newLength, newHeight, newWidth, channels);
    }
}
