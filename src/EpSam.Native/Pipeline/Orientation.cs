using EpSam.Native.Preprocess;

namespace EpSam.Native.Pipeline;

/// <summary>One of the eight ways to lay down a rectangle.</summary>
/// <param name="Mirrored">Left and right are exchanged first.</param>
/// <param name="Turns">Then it is turned counter-clockwise so many times by 90 degrees, 0 to 3.</param>
public readonly record struct Orientation(bool Mirrored, int Turns)
{
    /// <summary>As it is.</summary>
    public static Orientation Upright => default;

    /// <summary>Left and right exchanged.</summary>
    public static Orientation HorizontalFlip => new(true, 0);

    /// <summary>Top and bottom exchanged.</summary>
    public static Orientation VerticalFlip => new(true, 2);

    /// <summary>0 to 7.</summary>
    public int Index => (Mirrored ? 4 : 0) + Turns;

    /// <summary>Pixels (height, width, channels) so laid down.</summary>
    public Picture Apply(Picture picture)
    {
        (byte[] pixels, int height, int width, int channels) = picture;
        if (Mirrored)
        {
            pixels = new byte[picture.Pixels.Length];
            Flip.Horizontal<byte>(picture.Pixels, height, width, channels, pixels);
        }
        if (Turns == 0) return picture with { Pixels = pixels };
        byte[] turned = new byte[pixels.Length];
        QuarterTurns.Rotate<byte>(pixels, height, width, channels, Turns, turned);
        return Turns % 2 == 0 ? picture with { Pixels = turned } : new Picture(turned, width, height, channels);
    }
}
