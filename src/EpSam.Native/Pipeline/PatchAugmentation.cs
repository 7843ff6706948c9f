// EP-SAM's random changes of training patches, in the order and with the meaning that torchvision has for Pillow images
// (RandomHorizontalFlip, RandomVerticalFlip, RandomRotation, ColorJitter, RandomGrayscale). What is drawn is a value of
// its own: a patch's changes follow from its generator alone, whatever was drawn for others, and each number is drawn
// whether it is used or not, so that switching one change off leaves the others as they are.
using EpSam.Native.Preprocess;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>A change of colour.</summary>
public enum ColorChange
{
    /// <summary>Towards black, or away.</summary>
    Brightness,
    /// <summary>Towards the mean grey, or away.</summary>
    Contrast,
    /// <summary>Towards grey, or away.</summary>
    Saturation,
    /// <summary>Round the circle of hues.</summary>
    Hue,
}

/// <summary>What is done to one patch.</summary>
/// <param name="Horizontal">Left and right are exchanged.</param>
/// <param name="Vertical">Then top and bottom.</param>
/// <param name="Turns">Then it is turned by so many quarters, counter-clockwise.</param>
/// <param name="Degrees">Then by this angle; null: not at all.</param>
/// <param name="Colors">Then colours change, in this order, by these factors (of hue: a share of the circle).</param>
/// <param name="Grayscale">Then they are lost.</param>
public sealed record PatchChanges(bool Horizontal, bool Vertical, int Turns, double? Degrees,
    IReadOnlyList<(ColorChange What, double Factor)> Colors, bool Grayscale);

/// <summary>Random changes of training patches.</summary>
public static class PatchAugmentation
{
    /// <summary>Draws the changes of one patch.</summary>
    public static PatchChanges Draw(PatchAugmentationConfig config, CounterRandom random)
    {
        bool horizontal = random.NextDouble() < config.HorizontalFlip;
        bool vertical = random.NextDouble() < config.VerticalFlip;
        int turns = random.Next(4);
        double degrees = random.NextDouble(0, config.Rotation);
        ColorChange[] order = Enum.GetValues<ColorChange>();
        random.Shuffle(order.AsSpan());
        double[] widths = [config.Brightness, config.Contrast, config.Saturation, config.Hue];
        double[] factors = new double[widths.Length];
        for (int i = 0; i < factors.Length; i++)
        {
            double middle = i == (int)ColorChange.Hue ? 0 : 1, least = middle - widths[i];
            // torchvision: no factor below 0, but hue is a shift
            factors[i] = random.NextDouble(middle > 0 ? Math.Max(0, least) : least, middle + widths[i]);
        }
        return new(horizontal, vertical, config.QuarterTurns ? turns : 0, config.Rotation > 0 ? degrees : null,
            [.. order.Where(c => widths[(int)c] > 0).Select(c => (c, factors[(int)c]))],
            random.NextDouble() < config.Grayscale);
    }

    /// <summary>Makes the changes.</summary>
    /// <param name="changes">Which.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns; as many as rows for a quarter turn.</param>
    /// <param name="source">(height, width, 3) RGB; stays as it is.</param>
    /// <param name="destination">(height, width, 3), not overlapping the source.</param>
    public static void Apply(
        PatchChanges changes, int height, int width, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        if (changes.Turns % 2 != 0 && height != width)
            throw new ArgumentException($"only squares keep their size in quarter turns, got {height} x {width}");
        byte[]? between = null;
        bool first = true;
        ReadOnlySpan<byte> Before(ReadOnlySpan<byte> from, Span<byte> to) // what the next step reads
        {
            if (first)
            {
                first = false;
                return from;
            }
            between ??= new byte[to.Length];
            to.CopyTo(between);
            return between;
        }
        if (changes.Horizontal) Flip.Horizontal(Before(source, destination), height, width, 3, destination);
        if (changes.Vertical) Flip.Vertical(Before(source, destination), height, width, 3, destination);
        if (changes.Turns != 0)
            QuarterTurns.Rotate(Before(source, destination), height, width, 3, changes.Turns, destination);
        if (changes.Degrees is double degrees)
            PillowRotate.Nearest(Before(source, destination), height, width, 3, degrees, destination);
        if (first) source.CopyTo(destination);
        foreach ((ColorChange what, double factor) in changes.Colors) Change(destination, what, factor);
        if (changes.Grayscale) Preprocess.Grayscale.Apply(destination);
    }

    static void Change(Span<byte> rgb, ColorChange what, double factor)
    {
        switch (what)
        {
            case ColorChange.Brightness: ColorJitter.Brightness(rgb, factor); break;
            case ColorChange.Contrast: ColorJitter.Contrast(rgb, factor); break;
            case ColorChange.Saturation: ColorJitter.Saturation(rgb, factor); break;
            default: ColorJitter.Hue(rgb, factor); break;
        }
    }
}
