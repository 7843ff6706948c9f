// How training images of the mask decoder are changed (EP-SAM's dataset.py): with a probability exactly one of a
// horizontal flip, a vertical flip, a rotation by quarter turns (none among them) and albumentations' ShiftScaleRotate
// with its default limits, all equally likely. The mask is changed with the image.
using EpSam.Native.Preprocess;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>A change of an image and its mask: one of eight orientations, or shifted, scaled and rotated.</summary>
/// <param name="Orientation">Upright when there is a shift.</param>
/// <param name="Shift">Null: none.</param>
public sealed record DecoderAugmentation(Orientation Orientation, ShiftScaleRotate? Shift = null)
{
    /// <summary>None.</summary>
    public static DecoderAugmentation None { get; } = new(Orientation.Upright);

    /// <summary>Draws one.</summary>
    /// <param name="probability">Of any change.</param>
    /// <param name="random">The same sequence gives the same change.</param>
    public static DecoderAugmentation Draw(double probability, CounterRandom random)
    {
        if (random.NextDouble() >= probability) return None;
        return random.Next(4) switch
        {
            0 => new(Orientation.HorizontalFlip),
            1 => new(Orientation.VerticalFlip),
            2 => new(new Orientation(false, random.Next(4))),
            _ => new(Orientation.Upright, ShiftScaleRotate.Draw(random)),
        };
    }

    /// <summary>The image, or its activation map, so changed: a shift interpolates.</summary>
    public Picture Image(Picture image) =>
        Shift is null ? Orientation.Apply(image) : Shift.Apply(image, AffineWarp.Linear);

    /// <summary>The mask so changed: a shift takes the nearest pixel.</summary>
    public Picture Mask(Picture mask) => Shift?.Apply(mask, AffineWarp.Nearest) ?? Orientation.Apply(mask);
}

/// <summary>Moved by shares of its size, after it was scaled and rotated about its middle; mirrored borders.</summary>
public sealed record ShiftScaleRotate(double Degrees, double Scale, double ShiftX, double ShiftY)
{
    const double MostShift = 0.0625, MostScale = 0.1, MostDegrees = 45;

    internal delegate void Warp(ReadOnlySpan<byte> source, int height, int width, int channels, AffineMatrix matrix,
        Span<byte> destination);

    /// <summary>Within albumentations' default limits.</summary>
    public static ShiftScaleRotate Draw(CounterRandom random) => new(random.NextDouble(-MostDegrees, MostDegrees),
        1 + random.NextDouble(-MostScale, MostScale), random.NextDouble(-MostShift, MostShift),
        random.NextDouble(-MostShift, MostShift));

    internal Picture Apply(Picture picture, Warp warp)
    {
        byte[] pixels = new byte[picture.Pixels.Length];
        AffineMatrix matrix =
            AffineMatrix.ShiftScaleRotate(picture.Height, picture.Width, Degrees, Scale, ShiftX, ShiftY);
        warp(picture.Pixels, picture.Height, picture.Width, picture.Channels, matrix, pixels);
        return picture with { Pixels = pixels };
    }
}
