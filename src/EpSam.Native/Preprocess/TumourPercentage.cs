namespace EpSam.Native.Preprocess;

/// <summary>How much of a patch is tumour, as EP-SAM's tables hold it.</summary>
public static class TumourPercentage
{
    /// <summary>
    /// The percentage of set pixels, cut (not rounded) to tenths; a patch with any set pixel is a tumour patch, even
    /// when this is 0.
    /// </summary>
    public static double Of(ReadOnlySpan<byte> mask)
    {
        if (mask.Length == 0) throw new ArgumentException("TumourPercentage: an empty mask", nameof(mask));
        return Of(mask.Length - mask.Count((byte)0), mask.Length);
    }

    /// <summary>The same of counts: so many pixels of so many are tumour.</summary>
    public static double Of(long tumour, long pixels) => (int)((double)tumour / pixels * 1000) / 10.0;
}
