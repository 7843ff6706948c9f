// Random numbers from a key and a counter: number n of a key is a function of both, so the state is two integers and
// any place of the sequence can be gone to. splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators" (OOPSLA 2014). A child's key is a number of its parent's sequence, so that what is drawn for one image
// does not depend on how many were drawn for another. The same on every machine: integers and one exact conversion.
using System.Text;

namespace EpSam.Native.Training;

/// <summary>A sequence of random numbers. Not thread-safe.</summary>
/// <param name="key">Which sequence.</param>
/// <param name="counter">How many numbers of it have been used.</param>
public sealed class CounterRandom(ulong key, ulong counter = 0)
{
    const ulong Gamma = 0x9E3779B97F4A7C15;

    /// <summary>Which sequence.</summary>
    public ulong Key { get; private set; } = key;

    /// <summary>How many numbers have been used.</summary>
    public ulong Counter { get; private set; } = counter;

    /// <summary>Another sequence, given by this one's key, a name and a number; this one stays where it is.</summary>
    public CounterRandom Child(string name, ulong number)
    {
        ulong key = Mix(Key + Gamma);
        foreach (byte b in Encoding.UTF8.GetBytes(name)) key = Mix((key ^ b) + Gamma);
        return new CounterRandom(Mix(Mix(key + Gamma) ^ Mix(number + Gamma)));
    }

    /// <summary>64 random bits: number <paramref name="index"/> of a key, from 0.</summary>
    public static ulong BitsAt(ulong key, ulong index) => Mix(key + (index + 1) * Gamma);

    /// <summary>Evenly in [0, 1), a multiple of 2^-53: number <paramref name="index"/> of a key, from 0.</summary>
    public static double DoubleAt(ulong key, ulong index) => (BitsAt(key, index) >> 11) * (1.0 / (1L << 53));

    /// <summary>The next 64 random bits.</summary>
    public ulong NextBits() => BitsAt(Key, Counter++);

    /// <summary>The next number, evenly in [0, 1), a multiple of 2^-53.</summary>
    public double NextDouble() => DoubleAt(Key, Counter++);

    /// <summary>Evenly in [low, high).</summary>
    public double NextDouble(double low, double high) => low + (high - low) * NextDouble();

    /// <summary>
    /// Normally distributed with mean 0 and deviation 1 (Marsaglia's polar method, one of each pair). Nothing of a
    /// machine's mathematics takes part but the root, which is exact.
    /// </summary>
    public double NextNormal()
    {
        double x, square;
        do
        {
            x = NextDouble(-1, 1);
            double y = NextDouble(-1, 1);
            square = x * x + y * y;
        }
        while (square is >= 1 or 0);
        return x * Math.Sqrt(-2 * Log(square) / square);
    }

    /// <summary>Evenly from 0 to below <paramref name="limit"/>, without bias (Lemire 2019).</summary>
    public int Next(int limit)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(limit);
        ulong high = Math.BigMul(NextBits(), (ulong)limit, out ulong low);
        if (low < (ulong)limit)
        {
            ulong least = (0 - (ulong)limit) % (ulong)limit;
            while (low < least) high = Math.BigMul(NextBits(), (ulong)limit, out low);
        }
        return (int)high;
    }

    /// <summary>Puts values into an order of which all are equally likely (Fisher and Yates).</summary>
    public void Shuffle<T>(Span<T> values)
    {
        for (int i = values.Length - 1; i > 0; i--)
        {
            int other = Next(i + 1);
            (values[i], values[other]) = (values[other], values[i]);
        }
    }

    /// <summary>
    /// Different indices, drawn one after the other with probabilities in proportion to the weights that are left.
    /// Throws ArgumentException when fewer than <paramref name="count"/> weights are positive, or one is no number or
    /// negative.
    /// </summary>
    public int[] Choose(ReadOnlySpan<double> weights, int count)
    {
        double[] left = weights.ToArray();
        int positive = 0;
        foreach (double weight in left)
        {
            if (!(weight >= 0 && double.IsFinite(weight)))
                throw new ArgumentException($"a weight must be a number of at least 0, got {weight}");
            if (weight > 0) positive++;
        }
        if (positive < count) throw new ArgumentException($"{count} of {positive} positive weights cannot be chosen");
        int[] chosen = new int[count];
        for (int n = 0; n < count; n++)
        {
            int at = Pick(left);
            left[at] = 0;
            chosen[n] = at;
        }
        return chosen;
    }

    /// <summary>Puts its state among values to be saved.</summary>
    public void Save(StateValues values, string name)
    {
        values.Set($"{name}.key", unchecked((long)Key));
        values.Set($"{name}.counter", unchecked((long)Counter));
    }

    /// <summary>Takes its state from saved values.</summary>
    public void Load(StateValues values, string name) =>
        (Key, Counter) = unchecked(((ulong)values.Long($"{name}.key"), (ulong)values.Long($"{name}.counter")));

    int Pick(double[] weights)
    {
        double total = 0;
        foreach (double weight in weights) total += weight;
        double value = NextDouble() * total;
        int last = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] == 0) continue;
            last = i; // the sum in this order is the total, but for rounding
            value -= weights[i];
            if (value < 0) break;
        }
        return last;
    }

    // ln x = exponent · ln 2 + 2 artanh((m - 1) / (m + 1)), by its series: m is near 1, so twelve terms are enough.
    static double Log(double x)
    {
        const double Ln2 = 0.69314718055994530942, Root2 = 1.4142135623730951;
        int exponent = Math.ILogB(x);
        double m = Math.ScaleB(x, -exponent);
        if (m > Root2) (m, exponent) = (m / 2, exponent + 1);
        double t = (m - 1) / (m + 1), square = t * t, sum = 0;
        for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
        return exponent * Ln2 + 2 * t * sum;
    }

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
