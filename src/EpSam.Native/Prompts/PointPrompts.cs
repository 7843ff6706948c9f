// EP-SAM's point prompts (utils/make_prompt.py): all of them positive, drawn without replacement from a mask, evenly or
// by the activation map. The probabilities are the reference's to the bit; the draws are our own and depend on the seed
// alone, not on the machine. Where the reference cannot draw, it falls back on the point (0, 0), and so do we; where it
// fails because a mask has fewer pixels than points, all pixels are taken.
using EpSam.Native.Preprocess;
using EpSam.Native.Training;

namespace EpSam.Native.Prompts;

/// <summary>Points drawn from a mask.</summary>
public static class PointPrompts
{
    /// <summary>
    /// Up to <paramref name="count"/> different pixels of the mask, all equally likely; (0, 0) for an empty mask.
    /// </summary>
    public static (int X, int Y)[] Random(ReadOnlySpan<byte> mask, int height, int width, int count, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        (int X, int Y)[] pixels = NonZero.Points(mask, height, width);
        if (pixels.Length == 0) return [(0, 0)];
        CounterRandom random = new(seed);
        count = Math.Min(count, pixels.Length);
        for (int i = 0; i < count; i++) // Fisher and Yates, as far as needed
        {
            int other = i + (int)(random.NextDouble() * (pixels.Length - i));
            (pixels[i], pixels[other]) = (pixels[other], pixels[i]);
        }
        return pixels[..count];
    }

    /// <summary>
    /// Up to <paramref name="count"/> different pixels of the mask, one after the other in proportion to the activation
    /// map. (0, 0) for an empty mask and, as in the reference, when fewer pixels than are to be drawn have a positive
    /// value.
    /// </summary>
    /// <param name="cam">(height, width), not negative.</param>
    /// <param name="mask">(height, width), not 0 where points may lie.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="count">Above 0.</param>
    /// <param name="seed">The same seed gives the same points.</param>
    public static (int X, int Y)[] Weighted(ReadOnlySpan<float> cam, ReadOnlySpan<byte> mask, int height, int width,
        int count, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        Pixels.Check("PointPrompts", nameof(cam), cam.Length, height, width);
        (int X, int Y)[] pixels = NonZero.Points(mask, height, width);
        float[] probabilities = Probabilities(cam, mask);
        count = Math.Min(count, pixels.Length);
        int[]? drawn = Draw(probabilities, count, new CounterRandom(seed));
        return drawn is { Length: > 0 } ? Array.ConvertAll(drawn, i => pixels[i]) : [(0, 0)];
    }

    /// <summary>
    /// The probabilities of the mask's pixels, row by row, as the reference hands them to NumPy: in float, divided by
    /// NumPy's pairwise sum. All NaN when the sum is 0.
    /// </summary>
    public static float[] Probabilities(ReadOnlySpan<float> cam, ReadOnlySpan<byte> mask)
    {
        if (cam.Length != mask.Length)
        {
            throw new ArgumentException(
                $"PointPrompts: map and mask must have the same size, got {cam.Length} and {mask.Length} values");
        }
        float[] values = new float[mask.Length - mask.Count((byte)0)];
        for (int i = 0, n = 0; n < values.Length; i++)
            if (mask[i] != 0) values[n++] = cam[i];
        float sum = PairwiseSum(values);
        for (int i = 0; i < values.Length; i++) values[i] /= sum;
        return values;
    }

    // NumPy's order: halves (at multiples of 8) down to 128 values, which go to eight sums.
    static float PairwiseSum(ReadOnlySpan<float> values)
    {
        if (values.Length > 128)
        {
            int half = values.Length / 2 & ~7;
            return PairwiseSum(values[..half]) + PairwiseSum(values[half..]);
        }
        int whole = values.Length & ~7;
        float sum = 0;
        if (whole > 0)
        {
            Span<float> s = stackalloc float[8];
            values[..8].CopyTo(s);
            for (int i = 8; i < whole; i++) s[i & 7] += values[i];
            sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
        }
        foreach (float value in values[whole..]) sum += value;
        return sum;
    }

    // Draws with replacement and leaves out what it has had, which has the distribution of draws without. When some
    // draws were lost, what is left is summed anew, so that a few large values do not make it go on for long.
    static int[]? Draw(ReadOnlySpan<float> probabilities, int count, CounterRandom random)
    {
        double[] weights = new double[probabilities.Length], cumulative = new double[probabilities.Length];
        int positive = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = probabilities[i];
            if (!(weights[i] >= 0)) return null; // NaN or negative
            if (weights[i] > 0) positive++;
        }
        if (positive < count) return null;
        int[] drawn = new int[count];
        for (int n = 0; n < count;)
        {
            double total = 0;
            for (int i = 0; i < weights.Length; i++) cumulative[i] = total += weights[i];
            for (int draws = count - n; draws > 0; draws--)
            {
                int at = FirstAbove(cumulative, random.NextDouble() * total);
                if (at == cumulative.Length || weights[at] == 0) continue;
                weights[at] = 0;
                drawn[n++] = at;
            }
        }
        return drawn;
    }

    static int FirstAbove(double[] ascending, double value)
    {
        (int low, int high) = (0, ascending.Length);
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            (low, high) = ascending[middle] > value ? (low, middle) : (middle + 1, high);
        }
        return low;
    }
}
