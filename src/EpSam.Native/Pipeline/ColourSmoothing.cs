// Smoothing for ColourThreshold: three means over squares, one after the other, in place. A mean over a square is one
// along the row and then one down the column, each rounded to a whole number of sixty-fourths. Rows are read once:
// their means wait in a ring of 2·r + 2 rows, and a running sum of every column gives the row that is written. What a
// pass touches stays in the cache, and nothing is divided: a product in float is exact for these sums (Rounded).
using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EpSam.Native.Pipeline;

internal static class ColourSmoothing
{
    /// <summary>The largest radius, up to which <see cref="Rounded(int, int)"/> is exact.</summary>
    public const int MostRadius = 127;

    const int Passes = 3;

    /// <summary>The largest distance from which a smoothed level takes anything.</summary>
    public static int Reach(int radius) => Passes * radius;

    /// <summary>Levels of <see cref="ColourThreshold"/>, (height, width); edges are repeated outwards.</summary>
    public static void Apply(Span<ushort> levels, int height, int width, int radius)
    {
        if (radius is < 0 or > MostRadius)
            throw new ArgumentException($"the radius of smoothing must be 0 to {MostRadius}, got {radius}");
        if (radius == 0 || levels.IsEmpty) return;
        int[] sums = ArrayPool<int>.Shared.Rent(2 * (width + radius) + 1);
        ushort[] ring = ArrayPool<ushort>.Shared.Rent((2 * radius + 2) * width);
        for (int pass = 0; pass < Passes; pass++) Means(levels[..(height * width)], ring, sums, width, radius);
        ArrayPool<int>.Shared.Return(sums);
        ArrayPool<ushort>.Shared.Return(ring);
    }

    static void Means(Span<ushort> levels, Span<ushort> ring, Span<int> rented, int width, int radius)
    {
        int height = levels.Length / width, last = height - 1, slots = 2 * radius + 2, made = 0;
        Span<int> sums = rented[..width], line = rented.Slice(width, width + 2 * radius + 1);
        sums.Clear();
        for (int k = -radius; k <= radius; k++) Replace(sums, Row(Math.Clamp(k, 0, last), levels, ring, line), []);
        for (int y = 0; y < height; y++)
        {
            Divide(sums, [], radius, levels.Slice(y * width, width));
            Replace(sums, Row(Math.Min(y + radius + 1, last), levels, ring, line),
                Row(Math.Max(y - radius, 0), levels, ring, line));
        }

        // Means along a row, made when first asked for: its own row of levels is written later.
        Span<ushort> Row(int y, Span<ushort> levels, Span<ushort> ring, Span<int> line)
        {
            for (; made <= y; made++)
                Along(levels.Slice(made * width, width), line, radius, ring.Slice(made % slots * width, width));
            return ring.Slice(y % slots * width, width);
        }
    }

    // By sums of everything before: a mean is the difference of two.
    static void Along(ReadOnlySpan<ushort> row, Span<int> before, int radius, Span<ushort> means)
    {
        int sum = before[0] = 0, at = 1;
        for (int k = 0; k < radius; k++) before[at++] = sum += row[0];
        foreach (ushort level in row) before[at++] = sum += level;
        for (int k = 0; k < radius; k++) before[at++] = sum += row[^1];
        Divide(before[(2 * radius + 1)..], before[..row.Length], radius, means);
    }

    // sums += enters - leaves; nothing leaves when that is empty.
    static void Replace(Span<int> sums, ReadOnlySpan<ushort> enters, ReadOnlySpan<ushort> leaves)
    {
        int step = Vector<ushort>.Count, i = 0;
        if (leaves.IsEmpty)
        {
            for (; i < sums.Length; i++) sums[i] += enters[i];
            return;
        }
        for (; i <= sums.Length - step; i += step)
        {
            Vector.Widen(new Vector<ushort>(enters[i..]), out Vector<uint> low, out Vector<uint> high);
            Vector.Widen(new Vector<ushort>(leaves[i..]), out Vector<uint> lessLow, out Vector<uint> lessHigh);
            Span<int> here = sums.Slice(i, step);
            (new Vector<int>(here) + (low - lessLow).As<uint, int>()).CopyTo(here);
            Span<int> there = here[Vector<int>.Count..];
            (new Vector<int>(there) + (high - lessHigh).As<uint, int>()).CopyTo(there);
        }
        for (; i < sums.Length; i++) sums[i] += enters[i] - leaves[i];
    }

    // Means of sums, or of sums less others.
    static void Divide(ReadOnlySpan<int> sums, ReadOnlySpan<int> less, int radius, Span<ushort> means)
    {
        int step = Vector<ushort>.Count, half = Vector<int>.Count, i = 0;
        (Vector<float> add, Vector<float> factor) = (new(radius + 0.5f), new(1f / (2 * radius + 1)));
        for (; i <= means.Length - step; i += step)
        {
            (Vector<int> low, Vector<int> high) = (new(sums[i..]), new(sums[(i + half)..]));
            if (!less.IsEmpty)
            {
                low -= new Vector<int>(less[i..]);
                high -= new Vector<int>(less[(i + half)..]);
            }
            Vector.Narrow(Rounded(low, add, factor), Rounded(high, add, factor)).CopyTo(means[i..]);
        }
        for (; i < means.Length; i++) means[i] = Rounded(sums[i] - (less.IsEmpty ? 0 : less[i]), radius);
    }

    /// <summary>
    /// (sum + radius) / (2·radius + 1), rounded down. With a half added, the quotient is 0.5 / side or more from a
    /// whole number, and at most 16320 of 2⁻²³ of rounding away from the true one, which is less up to sides of 256.
    /// </summary>
    internal static ushort Rounded(int sum, int radius) =>
        (ushort)((sum + (radius + 0.5f)) * (1f / (2 * radius + 1)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector<uint> Rounded(Vector<int> sums, Vector<float> add, Vector<float> factor) =>
        Vector.ConvertToUInt32Native((Vector.ConvertToSingle(sums) + add) * factor);
}
