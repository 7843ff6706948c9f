namespace EpSam.Native.Preprocess;

/// <summary>What every operation on pixels asks of its spans.</summary>
internal static class Pixels
{
    /// <summary>Refuses sizes that are not positive and spans that do not hold exactly such an image.</summary>
    public static void Check(string operation, string name, int length, int height, int width, int channels = 1)
    {
        if (height <= 0 || width <= 0 || channels <= 0)
        {
            throw new ArgumentException(
                $"{operation}: {name} must have positive sizes, got {height} x {width} x {channels}", name);
        }
        if (length != (long)height * width * channels)
        {
            throw new ArgumentException(
                $"{operation}: {name} must hold {height} x {width} x {channels} values, got {length}", name);
        }
    }
}
