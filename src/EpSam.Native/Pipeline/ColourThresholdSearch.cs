// The search of the best ColourThreshold: for each channel and each smoothing of it one histogram of the levels in
// tumour and one of those elsewhere, from which the figures of all thresholds follow.
using System.Buffers;

namespace EpSam.Native.Pipeline;

/// <summary>Finds the best threshold. Only sums are kept, so any number of images may be added.</summary>
public sealed class ColourThresholdSearch
{
    const int Step = 16, Steps = ColourThreshold.Levels / Step + 2;   // a quarter of a grey level
    const byte Unseen = 0, None = 1, Some = 2; // kinds of pixels: by tumour
    const int Kinds = 3, Stride = 1024;
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
        Add(rgb, height, width, new Crop(0, 0, width, height), truth, within: []);

    /// <summary>The largest distance from which a pixel's smoothed value takes anything.</summary>
    internal static int Reach => ColourSmoothing.Reach(Smoothings.Max());

    /// <summary>
    /// Takes a part of an image, which is judged in <paramref name="part"/> alone and where <paramref name="within"/>
    /// is not 0 (empty: everywhere); truth and within are the part's. With <see cref="Reach"/> pixels around it, parts
    /// are smoothed as the whole is; what they add up to is right for all pixels together, not for means by image.
    /// </summary>
    internal void Add(ReadOnlyMemory<byte> rgb, int height, int width, Crop part, ReadOnlySpan<byte> truth,
        ReadOnlySpan<byte> within)
    {
        Images++;
        byte[] kinds = ArrayPool<byte>.Shared.Rent(truth.Length);
        for (int i = 0; i < truth.Length; i++)
            kinds[i] = !within.IsEmpty && within[i] == 0 ? Unseen : truth[i] == 0 ? None : Some;
        ParallelOptions cores = new() { MaxDegreeOfParallelism = Environment.ProcessorCount }; // each has its buffers
        Parallel.ForEach(_sums.Chunk(Smoothings.Length), cores, channel =>
        {
            ushort[] levels = ArrayPool<ushort>.Shared.Rent(height * width);
            ushort[] smooth = ArrayPool<ushort>.Shared.Rent(height * width);
            ColourThreshold.Of(rgb.Span, channel[0].Channel, levels.AsSpan(0, height * width));
            foreach (Sums sums in channel) Add(sums, levels, height, width, part, kinds, smooth);
            ArrayPool<ushort>.Shared.Return(levels);
            ArrayPool<ushort>.Shared.Return(smooth);
        });
        ArrayPool<byte>.Shared.Return(kinds);
    }

    // What the part's smoothed pixels depend on is smoothed, no more.
    static void Add(Sums sums, ReadOnlySpan<ushort> levels, int height, int width, Crop part, ReadOnlySpan<byte> kinds,
        Span<ushort> smooth)
    {
        int reach = ColourSmoothing.Reach(sums.Smoothing);
        (int left, int top) = (Math.Max(0, part.X - reach), Math.Max(0, part.Y - reach));
        int columns = Math.Min(width, part.X + part.Width + reach) - left;
        int rows = Math.Min(height, part.Y + part.Height + reach) - top;
        for (int y = 0; y < rows; y++)
            levels.Slice((top + y) * width + left, columns).CopyTo(smooth[(y * columns)..]);
        ColourSmoothing.Apply(smooth[..(rows * columns)], rows, columns, sums.Smoothing);
        int[] all = new int[Steps], set = new int[Steps];
        Span<int> counts = stackalloc int[Kinds * Stride];
        counts.Clear();
        for (int y = 0; y < part.Height; y++)
        {
            ReadOnlySpan<ushort> row = smooth.Slice((part.Y - top + y) * columns + part.X - left, part.Width);
            ReadOnlySpan<byte> kind = kinds.Slice(y * part.Width, part.Width);
            for (int x = 0; x < row.Length; x++) counts[kind[x] * Stride + row[x] / Step]++;
        }
        for (int step = 0; step < Steps; step++)
        {
            set[step] = counts[Some * Stride + step];
            all[step] = set[step] + counts[None * Stride + step];
        }
        Add(sums, all, set);
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
