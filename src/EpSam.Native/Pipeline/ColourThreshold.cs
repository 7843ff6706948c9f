// What colour alone tells about pixels: one channel, smoothed, against one threshold. The best of all channels,
// amounts of smoothing, thresholds and directions is chosen with the truth of the very images that it is judged on, so
// that its figures are the most that such a rule can have: an unfair advantage that learned masks have to beat.
using System.Buffers;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Pipeline;

/// <summary>What is thresholded.</summary>
public enum ColourChannel
{
    /// <summary>Red.</summary>
    Red,
    /// <summary>Green.</summary>
    Green,
    /// <summary>Blue.</summary>
    Blue,
    /// <summary>Luminance.</summary>
    Grey,
    /// <summary>Saturation of HSV.</summary>
    Saturation,
    /// <summary>Half of red minus blue, and 128.</summary>
    RedMinusBlue,
}

/// <summary>A channel, smoothed, above or below a threshold.</summary>
/// <param name="Channel">The channel.</param>
/// <param name="Smoothing">Radius r in pixels: three means over squares of 2·r + 1, nearly a Gaussian.</param>
/// <param name="Threshold">In sixty-fourths of a grey level.</param>
/// <param name="IsAbove">Tumour is from the threshold on; else below it.</param>
public sealed record ColourThreshold(ColourChannel Channel, int Smoothing, int Threshold, bool IsAbove)
{
    const int Scale = 64;

    /// <summary>Levels that a smoothed channel may have.</summary>
    internal const int Levels = 255 * Scale + 1;

    /// <summary>The mask of an image, 0 and 1.</summary>
    public byte[] Mask(ReadOnlySpan<byte> rgb, int height, int width)
    {
        ushort[] levels = new ushort[rgb.Length / 3];
        Of(rgb, Channel, levels);
        Smooth(levels, Smoothing > 0 ? new ushort[levels.Length] : [], height, width, Smoothing);
        byte[] mask = new byte[levels.Length];
        for (int i = 0; i < mask.Length; i++) mask[i] = levels[i] >= Threshold == IsAbove ? (byte)1 : (byte)0;
        return mask;
    }

    /// <summary>For people.</summary>
    public override string ToString()
    {
        string name = Channel switch
        {
            ColourChannel.Grey => "luminance", ColourChannel.RedMinusBlue => "(red - blue) / 2 + 128",
            _ => Channel.ToString().ToLowerInvariant(),
        };
        double deviation = Math.Sqrt(Smoothing * (Smoothing + 1.0));   // of three means, each (side² - 1) / 12
        string smoothing = Smoothing == 0 ? "" : FormattableString.Invariant($" smoothed (σ {deviation:0.#} pixels),");
        double level = (double)Threshold / Scale;
        return FormattableString.Invariant($"{name},{smoothing} {(IsAbove ? "from" : "below")} {level:0.##} of 255");
    }

    /// <summary>A channel, 0 to 255 in sixty-fourths.</summary>
    internal static void Of(ReadOnlySpan<byte> rgb, ColourChannel channel, Span<ushort> levels)
    {
        if (channel == ColourChannel.Saturation)
        {
            Span<byte> saturation = stackalloc byte[256];
            for (int i = 0; i < levels.Length; i++)
            {
                int at = i % saturation.Length, count = Math.Min(saturation.Length, levels.Length - i);
                if (at == 0) CvHsv.Saturation(rgb.Slice(3 * i, 3 * count), saturation[..count]);
                levels[i] = (ushort)(saturation[at] * Scale);
            }
            return;
        }
        for (int i = 0; i < levels.Length; i++)
        {
            (byte r, byte g, byte b) = (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
            levels[i] = (ushort)(channel switch
            {
                ColourChannel.Red => r * Scale,
                ColourChannel.Green => g * Scale,
                ColourChannel.Blue => b * Scale,
                ColourChannel.Grey => Grayscale.Of(r, g, b) * Scale,
                _ => (r - b) * (Scale / 2) + 128 * Scale - Scale / 2,
            });
        }
    }

    /// <summary>Three means over squares one after the other, in place; <paramref name="other"/> is as large.</summary>
    internal static void Smooth(ushort[] levels, ushort[] other, int height, int width, int radius)
    {
        for (int pass = 0; pass < (radius == 0 ? 0 : 3); pass++)
        {
            for (int y = 0; y < height; y++) Means(levels, other, y * width, 1, width, radius);
            for (int x = 0; x < width; x++) Means(other, levels, x, width, height, radius);
        }
    }

    // Means of 2·radius + 1 values of a line; its ends are repeated outwards.
    static void Means(ushort[] from, ushort[] to, int start, int stride, int count, int radius)
    {
        int side = 2 * radius + 1, last = count - 1;
        long sum = 0;
        for (int k = -radius; k <= radius; k++) sum += from[start + Math.Clamp(k, 0, last) * stride];
        for (int i = 0; i < count; i++)
        {
            to[start + i * stride] = (ushort)((sum + radius) / side);
            sum += from[start + Math.Min(i + radius + 1, last) * stride]
                - from[start + Math.Max(i - radius, 0) * stride];
        }
    }
}

/// <summary>Finds the best threshold. Only sums are kept, so any number of images may be added.</summary>
public sealed class ColourThresholdSearch
{
    const int Step = 16, Steps = ColourThreshold.Levels / Step + 2;   // a quarter of a grey level
    static readonly int[] Smoothings = [0, 2, 4, 8, 16, 32];

    readonly Sums[] _sums = [.. from channel in Enum.GetValues<ColourChannel>() from smoothing in Smoothings
        select new Sums(channel, smoothing)];

    sealed record Sums(ColourChannel Channel, int Smoothing)
    {
        // By threshold, tumour above and below.
        public readonly double[][] Dice = [new double[Steps], new double[Steps]];
        public readonly long[][] Both = [new long[Steps], new long[Steps]];
        public readonly long[][] Predicted = [new long[Steps], new long[Steps]];
        public long True;
    }

    /// <summary>How many images there are.</summary>
    public int Images { get; private set; }

    /// <summary>Takes an image and its truth. What is found does not depend on the number of threads.</summary>
    public void Add(byte[] rgb, byte[] truth, int height, int width) =>
        Add(rgb, truth, height, width, new Crop(0, 0, width, height), within: null);

    /// <summary>The largest distance from which a pixel's smoothed value takes anything.</summary>
    internal static int Reach => 3 * Smoothings.Max();

    /// <summary>
    /// Takes a part of an image, which is judged in <paramref name="part"/> alone and where <paramref name="within"/>
    /// is not 0. With <see cref="Reach"/> pixels around it, parts are smoothed as the whole is; what they add up to is
    /// right for all pixels together, not for means by image.
    /// </summary>
    internal void Add(byte[] rgb, byte[] truth, int height, int width, Crop part, byte[]? within)
    {
        Images++;
        ParallelOptions cores = new() { MaxDegreeOfParallelism = Environment.ProcessorCount }; // each has its buffers
        Parallel.ForEach(_sums, cores, sums =>
        {
            int pixels = height * width;
            ushort[] levels = ArrayPool<ushort>.Shared.Rent(pixels), other = ArrayPool<ushort>.Shared.Rent(pixels);
            ColourThreshold.Of(rgb, sums.Channel, levels.AsSpan(0, pixels));
            ColourThreshold.Smooth(levels, other, height, width, sums.Smoothing);
            int[] all = new int[Steps], set = new int[Steps];
            for (int y = part.Y; y < part.Y + part.Height; y++)
                for (int i = y * width + part.X, end = i + part.Width; i < end; i++)
                {
                    if (within is not null && within[i] == 0) continue;
                    int step = levels[i] / Step;
                    all[step]++;
                    if (truth[i] != 0) set[step]++;
                }
            ArrayPool<ushort>.Shared.Return(levels);
            ArrayPool<ushort>.Shared.Return(other);
            Add(sums, all, set);
        });
    }

    /// <summary>Pixels of tumour where no rule looks.</summary>
    internal void AddMissed(long pixels)
    {
        foreach (Sums sums in _sums) sums.True += pixels;
    }

    /// <summary>Takes what another search has.</summary>
    internal void Add(ColourThresholdSearch other)
    {
        Images += other.Images;
        foreach ((Sums to, Sums from) in _sums.Zip(other._sums))
        {
            to.True += from.True;
            for (int direction = 0; direction < 2; direction++)
                for (int t = 0; t < Steps; t++)
                {
                    to.Dice[direction][t] += from.Dice[direction][t];
                    to.Both[direction][t] += from.Both[direction][t];
                    to.Predicted[direction][t] += from.Predicted[direction][t];
                }
        }
    }

    static void Add(Sums sums, int[] all, int[] set)
    {
        long pixels = all.Sum(v => (long)v), truth = set.Sum(v => (long)v), below = 0, trueBelow = 0;
        sums.True += truth;
        for (int t = 0; t < Steps; t++)
        {
            Count(0, t, new MaskOverlap(pixels - below, truth, truth - trueBelow, pixels));
            Count(1, t, new MaskOverlap(below, truth, trueBelow, pixels));
            below += all[t];
            trueBelow += set[t];
        }

        void Count(int direction, int t, MaskOverlap overlap)
        {
            sums.Dice[direction][t] += overlap.Dice;
            sums.Both[direction][t] += overlap.Both;
            sums.Predicted[direction][t] += overlap.Predicted;
        }
    }

    /// <summary>
    /// The rule with the highest mean Dice, or with the highest Dice of all pixels together; null of no image.
    /// </summary>
    public ColourThreshold? Best(bool pooled)
    {
        ColourThreshold? best = null;
        double most = double.NegativeInfinity;
        foreach (Sums sums in Images == 0 ? [] : _sums)
        {
            for (int direction = 0; direction < 2; direction++)
                for (int t = 0; t < Steps; t++)
                {
                    double dice = pooled
                        ? new MaskOverlap(sums.Predicted[direction][t], sums.True, sums.Both[direction][t], 0).Dice
                        : sums.Dice[direction][t];
                    if (dice <= most) continue;
                    (most, best) = (dice, new ColourThreshold(sums.Channel, sums.Smoothing, t * Step, direction == 0));
                }
        }
        return best;
    }
}
