using System.Text.Json.Nodes;

namespace EpSam.Native.Pipeline;

/// <summary>Figures as JSON: what is no number is null.</summary>
public static class MaskFigureText
{
    /// <summary>The figures by name.</summary>
    public static JsonObject Of(MaskFigures f) => new()
    {
        ["images"] = f.Images, ["empty_truths"] = f.Empty,
        ["dice"] = Number(f.Dice), ["iou"] = Number(f.IoU),
        ["dice_of_tumour"] = Number(f.DiceOfTumour), ["iou_of_tumour"] = Number(f.IoUOfTumour),
        ["dice_pooled"] = Number(f.PooledDice), ["iou_pooled"] = Number(f.PooledIoU),
        ["pixel_accuracy"] = Number(f.PixelAccuracy),
    };

    /// <summary>A number, or null.</summary>
    public static JsonNode? Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    /// <summary>A number, or NaN.</summary>
    public static double Read(JsonNode? node) => node is JsonValue value && value.TryGetValue(out double number)
        ? number : double.NaN;
}
