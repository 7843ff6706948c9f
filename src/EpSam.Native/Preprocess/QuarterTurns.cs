namespace EpSam.Native.Preprocess;

/// <summary>
/// Counter-clockwise turns by 90 degrees, as numpy.rot90 and Pillow's rotate(90, expand=True) make them.
/// </summary>
public static class QuarterTurns
{
    /// <summary>
    /// Turns (height, width, channels). After an odd number of turns the destination is (width, height, channels).
    /// </summary>
    /// <param name="source">Must not overlap the destination.</param>
    /// <param name="height">Rows of the source.</param>
    /// <param name="width">Columns of the source.</param>
    /// <param name="channels">Values of a pixel.</param>
    /// <param name="turns">Any number; below 0 clockwise.</param>
    /// <param name="destination">As many values as the source.</param>
    public static void Rotate<T>(ReadOnlySpan<T> source, int height, int width, int channels, int turns,
        Span<T> destination)
    {
        Pixels.Check("QuarterTurns", nameof(source), source.Length, height, width, channels);
        Pixels.Check("QuarterTurns", nameof(destination), destination.Length, height, width, channels);
        turns &= 3;
        (int newHeight, int newWidth) = turns % 2 == 0 ? (height, width) : (width, height);
        for (int y = 0, o = 0; y < newHeight; y++)
            for (int x = 0; x < newWidth; x++, o += channels)
            {
                (int fromY, int fromX) = turns switch
                {
                    0 => (y, x),
                    1 => (x, width - 1 - y),
                    2 => (height - 1 - y, width - 1 - x),
                    _ => (height - 1 - x, y),
                };
                source.Slice((fromY * width + fromX) * channels, channels).CopyTo(destination[o..]);
            }
    }
}
