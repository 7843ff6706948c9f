// Pillow's Image.rotate without expansion, nearest pixel, black where nothing is: torchvision's RandomRotation of
// EP-SAM's training. Positions are 16.16 fixed point, so which pixel is nearest is decided by rounding; half turns are
// exact, and so are quarter turns of squares.
namespace EpSam.Native.Preprocess;

/// <summary>Rotation about the middle, as Pillow does it. Bit-exact.</summary>
public static class PillowRotate
{
    /// <summary>Turns an image counter-clockwise within its frame; what comes from outside is 0.</summary>
    /// <param name="source">(height, width, channels), not overlapping the destination.</param>
    /// <param name="height">Rows, below 16384.</param>
    /// <param name="width">Columns, below 16384.</param>
    /// <param name="channels">Values of a pixel.</param>
    /// <param name="degrees">Any angle, whole turns are taken off.</param>
    /// <param name="destination">(height, width, channels).</param>
    public static void Nearest(ReadOnlySpan<byte> source, int height, int width, int channels, double degrees,
        Span<byte> destination)
    {
        Pixels.Check("PillowRotate", nameof(source), source.Length, height, width, channels);
        Pixels.Check("PillowRotate", nameof(destination), destination.Length, height, width, channels);
        // Pillow goes on in doubles above; nothing here rotates whole slides.
        if (Math.Max(height, width) >= 1 << 14)
            throw new ArgumentException($"PillowRotate: sides must be below 16384, got {height} x {width}");
        if (!double.IsFinite(degrees)) throw new ArgumentOutOfRangeException(nameof(degrees), degrees, "not finite");
        degrees %= 360;
        if (degrees < 0) degrees += 360;
        bool exact = degrees is 0 or 180 or 360 || (degrees is 90 or 270 && height == width);
        if (exact) QuarterTurns.Rotate(source, height, width, channels, (int)degrees / 90, destination);
        else Sample(source, height, width, channels, -degrees * (Math.PI / 180), destination);
    }

    static void Sample(ReadOnlySpan<byte> source, int height, int width, int channels, double angle,
        Span<byte> destination)
    {
        double cos = Math.Round(Math.Cos(angle), 15), sin = Math.Round(Math.Sin(angle), 15), minusSin = -sin;
        double centreX = width / 2.0, centreY = height / 2.0;
        double offsetX = cos * -centreX + sin * -centreY + 0.0 + centreX;
        double offsetY = minusSin * -centreX + cos * -centreY + 0.0 + centreY;
        (int xPerX, int xPerY, int yPerX, int yPerY) = (Fixed(cos), Fixed(sin), Fixed(minusSin), Fixed(cos));
        // Where the middle of the first pixel comes from.
        int rowX = Fixed(offsetX + cos * 0.5 + sin * 0.5), rowY = Fixed(offsetY + minusSin * 0.5 + cos * 0.5);
        destination.Clear();
        for (int y = 0, o = 0; y < height; y++, rowX += xPerY, rowY += yPerY)
        {
            (int atX, int atY) = (rowX, rowY);
            for (int x = 0; x < width; x++, o += channels, atX += xPerX, atY += yPerX)
            {
                (int fromX, int fromY) = (atX >> 16, atY >> 16);
                if ((uint)fromX < (uint)width && (uint)fromY < (uint)height)
                    source.Slice((fromY * width + fromX) * channels, channels).CopyTo(destination[o..]);
            }
        }
    }

    static int Fixed(double value) => (int)Math.Floor(value * 65536 + 0.5);
}
