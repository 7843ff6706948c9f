namespace EpSam.Native.Masks;

/// <summary>
/// How little a mask changes with its threshold (segment_anything/utils/amg.py, calculate_stability_score).
/// </summary>
public static class Stability
{
    /// <summary>
    /// Pixels above threshold + offset over pixels above threshold - offset; NaN when there are none of either.
    /// </summary>
    public static float Score(ReadOnlySpan<float> logits, double threshold, double offset)
    {
        // torch compares a float tensor with the number rounded to float.
        float high = (float)(threshold + offset), low = (float)(threshold - offset);
        int inner = 0, outer = 0;
        foreach (float logit in logits)
        {
            if (logit > high) inner++;
            if (logit > low) outer++;
        }
        return Score(inner, outer);
    }

    /// <summary>The same from counts.</summary>
    public static float Score(int inner, int outer) => (float)inner / outer;
}
