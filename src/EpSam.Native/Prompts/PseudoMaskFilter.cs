namespace EpSam.Native.Prompts;

/// <summary>
/// EP-SAM's choice of pseudo masks (tools/generate_sam_mask.py): a predicted mask becomes a label when nearly all of it
/// lies within the mask of the activation map.
/// </summary>
public static class PseudoMaskFilter
{
    /// <summary>The reference keeps a mask from this score on.</summary>
    public const double KeepFrom = 0.9;

    /// <summary>
    /// The intersection over (the predicted mask's pixels + 1), both masks any value but 0 for set. An empty
    /// prediction has 0, and a perfect one below 9 pixels stays under 0.9 because of the 1.
    /// </summary>
    public static double Score(ReadOnlySpan<byte> camMask, ReadOnlySpan<byte> predicted)
    {
        if (camMask.Length != predicted.Length)
        {
            throw new ArgumentException("PseudoMaskFilter: masks must have the same size, "
                + $"got {camMask.Length} and {predicted.Length} values");
        }
        int size = 0, both = 0;
        for (int i = 0; i < predicted.Length; i++)
        {
            if (predicted[i] == 0) continue;
            size++;
            if (camMask[i] != 0) both++;
        }
        return both / (size + 1.0);
    }
}
