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
        double share = (double)(mask.Length - mask.Count((byte)0)) / mask.Length;
        return (int)(share * 1000) / 10.0;
    }
}
