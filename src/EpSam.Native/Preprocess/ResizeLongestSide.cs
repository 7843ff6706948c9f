namespace EpSam.Native.Preprocess;

/// <summary>
/// SAM's frame: an image is scaled so that its longer side is <paramref name="target"/>, and prompts with it. The
/// scaling of x and y differs slightly, as the new sides are rounded.
/// </summary>
/// <param name="target">The longer side after resizing: the model's input size.</param>
public readonly struct ResizeLongestSide(int target)
{
    /// <summary>The new size: sides times target / max(side), each rounded half up.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A side is not positive.</exception>
    public (int Height, int Width) Size(int height, int width)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(target);
        double scale = target * 1.0 / Math.Max(height, width);
        // A side of 1 beside one of over 2 x target would vanish; the reference fails there (Pillow refuses size 0).
        return (Math.Max(1, (int)(height * scale + 0.5)), Math.Max(1, (int)(width * scale + 0.5)));
    }

    /// <summary>
    /// Points (x, y) from pixels of the original image to the frame. Double precision, as in the reference.
    /// </summary>
    public void Points(ReadOnlySpan<(double X, double Y)> points, int height, int width, Span<(double X, double Y)> to)
    {
        (int newHeight, int newWidth) = Size(height, width);
        double sx = (double)newWidth / width, sy = (double)newHeight / height;
        for (int i = 0; i < points.Length; i++) to[i] = (points[i].X * sx, points[i].Y * sy);
    }

    /// <summary>A point (x, y) from pixels of the original image to the frame.</summary>
    public (double X, double Y) Point(double x, double y, int height, int width)
    {
        (int newHeight, int newWidth) = Size(height, width);
        return (x * ((double)newWidth / width), y * ((double)newHeight / height));
    }
}
