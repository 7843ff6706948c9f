// What a user shows the model: points, a box, a mask of an earlier prediction, or any of these together. All are
// checked before anything runs. As in the reference, points and boxes may lie outside of the image: the model then
// takes them as what they are, positions outside, and its answer is rarely useful. What cannot be meant is refused.
namespace EpSam.Native.Models.Sam;

/// <summary>What a point says. The values are SAM's labels.</summary>
public enum PointLabel
{
    /// <summary>Nothing: a place holder that SAM's own exports use. Its position does not matter.</summary>
    NotAPoint = -1,
    /// <summary>This is not part of the object.</summary>
    Background = 0,
    /// <summary>This is part of the object.</summary>
    Foreground = 1,
}

/// <summary>A point, in pixels of the image from its left upper corner.</summary>
public readonly record struct SamPoint(double X, double Y, PointLabel Label = PointLabel.Foreground);

/// <summary>A box round the object, in pixels of the image; X1 and Y1 are not below X0 and Y0.</summary>
public readonly record struct SamBox(double X0, double Y0, double X1, double Y1);

/// <summary>
/// One prompt: one object. An empty one is allowed, as in the reference: the model then chooses by itself.
/// </summary>
public sealed record SamPrompt
{
    /// <summary>Points, in any order; empty for none. They may lie outside of the image.</summary>
    public IReadOnlyList<SamPoint> Points { get; init; } = [];

    /// <summary>A box, or null. It may reach outside of the image.</summary>
    public SamBox? Box { get; init; }

    /// <summary>
    /// Low-resolution logits, <see cref="SamModel.LowResSize"/> a side, row by row: those of an earlier prediction, or
    /// a mask through <see cref="SamModel.MaskLogits"/>; null for none.
    /// </summary>
    public float[]? Mask { get; init; }

    /// <summary>The image that is meant; null: the predictor's current one.</summary>
    public SamEmbedding? Image { get; init; }

    /// <summary>One point of the object.</summary>
    public static SamPrompt OfPoint(double x, double y) => new() { Points = [new SamPoint(x, y)] };

    /// <summary>A box round the object.</summary>
    public static SamPrompt OfBox(double x0, double y0, double x1, double y1) =>
        new() { Box = new SamBox(x0, y0, x1, y1) };

    /// <summary>Throws ArgumentException naming what cannot be meant.</summary>
    internal void Check(string what, int maxPoints, int lowResSize)
    {
        if (Points.Count > maxPoints)
            throw new ArgumentException($"{what} has {Points.Count} points, the model was loaded for at most "
                + $"{maxPoints}; set {nameof(SamOptions)}.{nameof(SamOptions.MaxPoints)}");
        for (int i = 0; i < Points.Count; i++)
        {
            SamPoint point = Points[i];
            if (!double.IsFinite(point.X) || !double.IsFinite(point.Y))
                throw new ArgumentException($"{what}: point {i} is at ({point.X}, {point.Y}); both must be numbers");
            if (point.Label is < PointLabel.NotAPoint or > PointLabel.Foreground)
                throw new ArgumentException($"{what}: point {i} has the label {(int)point.Label}; "
                    + "expected 1 (foreground), 0 (background) or -1 (not a point)");
        }
        if (Box is SamBox box)
        {
            if (!double.IsFinite(box.X0 + box.Y0 + box.X1 + box.Y1))
                throw new ArgumentException($"{what}: the box is {Text(box)}; all four must be numbers");
            if (box.X1 < box.X0 || box.Y1 < box.Y0)
                throw new ArgumentException(
                    $"{what}: the box {Text(box)} ends before it begins; expected x0, y0, x1, y1");
        }
        if (Mask is null) return;
        if (Mask.Length != lowResSize * lowResSize)
            throw new ArgumentException($"{what}: the mask must have {lowResSize} x {lowResSize} low-resolution "
                + $"logits, got {Mask.Length} values");
        foreach (float logit in Mask)
        {
            if (!float.IsFinite(logit))
                throw new ArgumentException($"{what}: the mask has a value that is no number: {logit}");
        }
    }

    static string Text(SamBox box) => FormattableString.Invariant($"({box.X0}, {box.Y0}, {box.X1}, {box.Y1})");
}
