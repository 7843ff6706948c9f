// Positional tables of another size than a model's, as PyTorch's interpolate(align_corners=False) makes them: output i
// lies at (i + 0.5)·from/to - 0.5 of the input, held at its first and last entry, between two neighbours linearly.
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>Resampling of positional tables.</summary>
public static class PositionTables
{
    /// <summary>(L, C) to (M, C): relative positions, as the reference does when a table's length is not 2·size - 1.</summary>
    public static float[] Rows(float[] values, Shape from, Shape to) => Axis(values, 1, from[0], from[1], to[0]);

    /// <summary>(1, H, W, C) to (1, P, Q, C): absolute positions, bilinearly. The reference itself has no other size.</summary>
    public static float[] Grid(float[] values, Shape from, Shape to)
    {
        float[] rows = Axis(values, 1, from[1], from[2] * from[3], to[1]);
        return Axis(rows, to[1], from[2], from[3], to[2]);
    }

    // Resamples the middle axis of (outer, length, inner).
    static float[] Axis(float[] values, long outer, long length, long inner, long size)
    {
        if (length == size) return values;
        float[] result = new float[outer * size * inner];
        double scale = (double)length / size;
        for (long o = 0; o < outer; o++)
            for (long i = 0; i < size; i++)
            {
                double at = Math.Max(0, (i + 0.5) * scale - 0.5);
                long low = Math.Min((long)at, length - 1), high = Math.Min(low + 1, length - 1);
                double share = at - low;
                ReadOnlySpan<float> a = values.AsSpan((int)((o * length + low) * inner), (int)inner);
                ReadOnlySpan<float> b = values.AsSpan((int)((o * length + high) * inner), (int)inner);
                Span<float> y = result.AsSpan((int)((o * size + i) * inner), (int)inner);
                for (int c = 0; c < y.Length; c++) y[c] = (float)((1 - share) * a[c] + share * b[c]);
            }
        return result;
    }
}
