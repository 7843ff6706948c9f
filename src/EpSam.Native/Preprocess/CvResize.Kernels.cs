// The longer kernels of cv2.resize for 8-bit samples. Samples outside the image are those of its nearest end.
namespace EpSam.Native.Preprocess;

public static partial class CvResize
{
    /// <summary>INTER_CUBIC of 8-bit samples: Keys' kernel with a = -0.75 over 4 x 4 pixels.</summary>
    public static void Cubic(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        if ((height, width) == (newHeight, newWidth)) source.CopyTo(destination);
        else
        {
            Separable(source, height, width, channels, KernelAxis(width, newWidth, 4, CubicWeights),
                KernelAxis(height, newHeight, 4, CubicWeights), MixCubic, destination);
        }
    }

    /// <summary>INTER_LANCZOS4 of 8-bit samples: the windowed sinc over 8 x 8 pixels.</summary>
    public static void Lanczos4(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Check(source.Length, height, width, channels, destination.Length, newHeight, newWidth);
        if ((height, width) == (newHeight, newWidth)) source.CopyTo(destination);
        else
        {
            Separable(source, height, width, channels, KernelAxis(width, newWidth, 8, LanczosWeights),
                KernelAxis(height, newHeight, 8, LanczosWeights), MixLanczos, destination);
        }
    }

    delegate void WeightsAt(float fraction, Span<float> weights);

    static Axis KernelAxis(int size, int newSize, int taps, WeightsAt kernel)
    {
        Axis axis = new(taps, new int[newSize], new float[taps * newSize]);
        double scale = Scale(size, newSize);
        for (int i = 0; i < newSize; i++)
        {
            float at = (float)((i + 0.5) * scale - 0.5);
            int whole = (int)MathF.Floor(at);
            axis.First[i] = whole - (taps / 2 - 1);
            kernel(at - whole, axis.Weights.AsSpan(i * taps, taps));
        }
        return axis;
    }

    // Float arithmetic in Horner's form, the last weight as what is missing from 1: rounding is OpenCV's.
    static void CubicWeights(float x, Span<float> weights)
    {
        const float A = -0.75f;
        weights[0] = ((A * (x + 1) - 5 * A) * (x + 1) + 8 * A) * (x + 1) - 4 * A;
        weights[1] = Near(x);
        weights[2] = Near(1 - x);
        weights[3] = 1f - weights[0] - weights[1] - weights[2];

        static float Near(float t) => ((A + 2) * t - (A + 3)) * t * t + 1;
    }

    // The kernel is sin(pi d) sin(pi d / 4) / d^2 up to a factor. From one tap to the next the argument of the second
    // sine goes on by pi/4 and the first changes its sign: together a turn by 5/4 pi. Sines in double, weights and
    // their sum in float, as in OpenCV.
    static void LanczosWeights(float x, Span<float> weights)
    {
        const double Half = 0.70710678118654752440;
        ReadOnlySpan<double> cosines = [1, -Half, 0, Half, -1, Half, 0, -Half];
        ReadOnlySpan<double> sines = [0, -Half, 1, -Half, 0, Half, -1, Half];
        double start = -(x + 3) * Math.PI * 0.25, sine = Math.Sin(start), cosine = Math.Cos(start);
        float sum = 0;
        for (int k = 0; k < 8; k++)
        {
            float distance = x + 3 - k;
            if (MathF.Abs(distance) < 1e-6f)
            {
                weights.Clear();
                weights[k] = 1;
                return;
            }
            double angle = -distance * Math.PI * 0.25;
            weights[k] = (float)((cosines[k] * sine + sines[k] * cosine) / (angle * angle));
            sum += weights[k];
        }
        float inverse = 1f / sum;
        for (int k = 0; k < 8; k++) weights[k] *= inverse;
    }

    // OpenCV mixes eight samples at a time in float arithmetic, and what is left of a row in whole numbers: a sample
    // that falls on a half can round differently in the two.
    static void MixCubic(int[][] lines, ReadOnlySpan<int> weights, Span<byte> to)
    {
        const float Unit = 1f / (WeightOne * WeightOne);
        (float w0, float w1) = (weights[0] * Unit, weights[1] * Unit);
        (float w2, float w3) = (weights[2] * Unit, weights[3] * Unit);
        int inVectors = to.Length & ~7;
        for (int i = 0; i < inVectors; i++)
        {
            float sum = lines[0][i] * w0 + (lines[1][i] * w1 + (lines[2][i] * w2 + lines[3][i] * w3));
            to[i] = (byte)Math.Clamp((int)MathF.Round(sum), 0, 255);
        }
        for (int i = inVectors; i < to.Length; i++) to[i] = Rounded(lines, weights, i);
    }

    static void MixLanczos(int[][] lines, ReadOnlySpan<int> weights, Span<byte> to)
    {
        for (int i = 0; i < to.Length; i++) to[i] = Rounded(lines, weights, i);
    }

    static byte Rounded(int[][] lines, ReadOnlySpan<int> weights, int i)
    {
        int sum = 1 << (2 * WeightBits - 1);
        for (int k = 0; k < weights.Length; k++) sum += lines[k][i] * weights[k];
        return (byte)Math.Clamp(sum >> (2 * WeightBits), 0, 255);
    }
}
