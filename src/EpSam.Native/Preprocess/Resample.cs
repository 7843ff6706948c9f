// Resampling that a model depends on, exact to the libraries the model was made with.
//   Pillow's bilinear: the filter grows with the scale when shrinking (a triangle over all covered pixels), weights are
//     rounded to 22-bit fixed point, rows first and then columns, with rounding to 8 bits in between. Bit-exact.
//   torch's interpolate(bilinear, align_corners=False): two neighbours a side whatever the scale, in float.
// Separable; a side that keeps its size is not filtered, as in Pillow.
namespace EpSam.Native.Preprocess;

/// <summary>Image resizing on spans, channels last. Destinations must not overlap sources.</summary>
public static class Resample
{
    // Pillow, Resample.c: 32 bits hold an 8-bit sample, two bits of headroom and the rest as fraction.
    const int PrecisionBits = 32 - 8 - 2;

    /// <summary>
    /// Pillow's Image.resize(BILINEAR) of 8-bit samples: (height, width, channels) to (newHeight, newWidth,
    /// channels).
    /// </summary>
    /// <exception cref="ArgumentException">A size is not positive, or a span does not fit.</exception>
    public static void PillowBilinear(ReadOnlySpan<byte> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<byte> destination)
    {
        Pixels.Check("Resample", nameof(source), source.Length, height, width, channels);
        Pixels.Check("Resample", nameof(destination), destination.Length, newHeight, newWidth, channels);
        if (newWidth == width && newHeight == height) source.CopyTo(destination);
        else if (newHeight == height) Rows(source, height, width, channels, newWidth, destination);
        else if (newWidth == width) Columns(source, height, width * channels, newHeight, destination);
        else
        {
            byte[] between = new byte[checked(height * newWidth * channels)];
            Rows(source, height, width, channels, newWidth, between);
            Columns(between, height, newWidth * channels, newHeight, destination);
        }
    }

    /// <summary>
    /// torch's interpolate(mode bilinear, align_corners False): (height, width, channels) to (newHeight, newWidth,
    /// channels). With width = newWidth = 1 it is mode linear over the first axis, as SAM resizes its tables of
    /// relative positions.
    /// </summary>
    /// <exception cref="ArgumentException">A size is not positive, or a span does not fit.</exception>
    public static void TorchBilinear(ReadOnlySpan<float> source, int height, int width, int channels,
        int newHeight, int newWidth, Span<float> destination)
    {
        Pixels.Check("Resample", nameof(source), source.Length, height, width, channels);
        Pixels.Check("Resample", nameof(destination), destination.Length, newHeight, newWidth, channels);
        Neighbours[] columns = NeighboursOf(width, newWidth);
        Neighbours[] rows = NeighboursOf(height, newHeight);
        int stride = width * channels;
        for (int y = 0, o = 0; y < newHeight; y++)
        {
            Neighbours v = rows[y];
            ReadOnlySpan<float> top = source.Slice(v.First * stride, stride);
            ReadOnlySpan<float> bottom = source.Slice(v.Second * stride, stride);
            foreach (Neighbours h in columns)
            {
                int left = h.First * channels, right = h.Second * channels;
                for (int c = 0; c < channels; c++)
                {
                    float above = top[left + c] * h.Weight0 + top[right + c] * h.Weight1;
                    float below = bottom[left + c] * h.Weight0 + bottom[right + c] * h.Weight1;
                    destination[o++] = above * v.Weight0 + below * v.Weight1;
                }
            }
        }
    }

    /// <summary>The two samples that one output lies between.</summary>
    internal readonly record struct Neighbours(int First, int Second, float Weight0, float Weight1);

    // PyTorch on a CPU rounds the scale to float, then finds position and weight in double and rounds the weight. With
    // the position in float as well, weights at the far end of an image are off by 1e-5.
    internal static Neighbours[] NeighboursOf(int size, int newSize)
    {
        Neighbours[] all = new Neighbours[newSize];
        double scale = (float)size / newSize;
        for (int i = 0; i < newSize; i++)
        {
            double at = size == newSize ? i : Math.Max(scale * (i + 0.5) - 0.5, 0);
            int first = Math.Min((int)at, size - 1);
            float second = (float)Math.Clamp(at - first, 0, 1);
            all[i] = new(first, Math.Min(first + 1, size - 1), 1 - second, second);
        }
        return all;
    }

    /// <summary>
    /// Pillow's weights of one axis: output i is the sum of Weights[i*Taps + k] * input[First[i] + k], k below
    /// Count[i].
    /// </summary>
    readonly record struct Filter(int Taps, int[] First, int[] Count, int[] Weights);

    static Filter FilterOf(int size, int newSize)
    {
        double scale = (double)size / newSize;
        double support = Math.Max(scale, 1.0), inverse = 1.0 / support;
        int taps = (int)Math.Ceiling(support) * 2 + 1;
        Filter filter = new(taps, new int[newSize], new int[newSize], new int[checked(newSize * taps)]);
        double[] weights = new double[taps];
        for (int i = 0; i < newSize; i++)
        {
            double centre = (i + 0.5) * scale, sum = 0;
            int first = Math.Max((int)(centre - support + 0.5), 0);
            int count = Math.Min((int)(centre + support + 0.5), size) - first;
            for (int k = 0; k < count; k++)
            {
                weights[k] = Math.Max(0, 1 - Math.Abs((k + first - centre + 0.5) * inverse));
                sum += weights[k];
            }
            for (int k = 0; k < count; k++)
            {
                double weight = sum != 0 ? weights[k] / sum : weights[k];
                filter.Weights[i * taps + k] = (int)(0.5 + weight * (1 << PrecisionBits));
            }
            (filter.First[i], filter.Count[i]) = (first, count);
        }
        return filter;
    }

    static void Rows(
        ReadOnlySpan<byte> source, int height, int width, int channels, int newWidth, Span<byte> destination)
    {
        Filter filter = FilterOf(width, newWidth);
        for (int y = 0; y < height; y++)
        {
            ReadOnlySpan<byte> row = source.Slice(y * width * channels, width * channels);
            Span<byte> to = destination.Slice(y * newWidth * channels, newWidth * channels);
            if (channels == 3) Row3(row, filter, to);
            else RowAny(row, channels, filter, to);
        }
    }

    static void Row3(ReadOnlySpan<byte> row, in Filter filter, Span<byte> to)
    {
        for (int x = 0; x < filter.First.Length; x++)
        {
            ReadOnlySpan<int> weights = filter.Weights.AsSpan(x * filter.Taps, filter.Count[x]);
            ReadOnlySpan<byte> from = row.Slice(filter.First[x] * 3, weights.Length * 3);
            int r = 1 << (PrecisionBits - 1), g = r, b = r;
            for (int k = 0, i = 0; k < weights.Length; k++, i += 3)
            {
                int weight = weights[k];
                r += from[i] * weight;
                g += from[i + 1] * weight;
                b += from[i + 2] * weight;
            }
            (to[x * 3], to[x * 3 + 1], to[x * 3 + 2]) = (Clip(r), Clip(g), Clip(b));
        }
    }

    static void RowAny(ReadOnlySpan<byte> row, int channels, in Filter filter, Span<byte> to)
    {
        for (int x = 0; x < filter.First.Length; x++)
        {
            ReadOnlySpan<int> weights = filter.Weights.AsSpan(x * filter.Taps, filter.Count[x]);
            for (int c = 0; c < channels; c++)
            {
                int sum = 1 << (PrecisionBits - 1), at = filter.First[x] * channels + c;
                foreach (int weight in weights)
                {
                    sum += row[at] * weight;
                    at += channels;
                }
                to[x * channels + c] = Clip(sum);
            }
        }
    }

    static void Columns(ReadOnlySpan<byte> source, int height, int stride, int newHeight, Span<byte> destination)
    {
        Filter filter = FilterOf(height, newHeight);
        int[] sums = new int[stride];
        for (int y = 0; y < newHeight; y++)
        {
            sums.AsSpan().Fill(1 << (PrecisionBits - 1));
            for (int k = 0; k < filter.Count[y]; k++)
            {
                int weight = filter.Weights[y * filter.Taps + k];
                ReadOnlySpan<byte> row = source.Slice((filter.First[y] + k) * stride, stride);
                for (int i = 0; i < row.Length; i++) sums[i] += row[i] * weight;
            }
            Span<byte> to = destination.Slice(y * stride, stride);
            for (int i = 0; i < to.Length; i++) to[i] = Clip(sums[i]);
        }
    }

    static byte Clip(int sum) => (byte)Math.Clamp(sum >> PrecisionBits, 0, 255);
}
