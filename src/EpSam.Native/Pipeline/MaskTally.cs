// Dice and IoU of masks by image, their means over images, and of all pixels together. Both are EP-SAM's: smoothed by
// 0.001, so that an empty mask for an empty truth counts 1 and any other mask for it nearly 0. As one pixel decides
// there, the means over the images whose truth is not empty are given beside.
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>How a mask meets the truth, in pixels.</summary>
/// <param name="Predicted">Pixels of the mask.</param>
/// <param name="True">Pixels of the truth.</param>
/// <param name="Both">Pixels of both.</param>
/// <param name="All">Pixels of the image.</param>
public readonly record struct MaskOverlap(long Predicted, long True, long Both, long All)
{
    /// <summary>Counts; any value but 0 is set.</summary>
    public static MaskOverlap Of(ReadOnlySpan<byte> prediction, ReadOnlySpan<byte> truth)
    {
        if (prediction.Length != truth.Length)
            throw new ArgumentException($"a mask of {prediction.Length} pixels for a truth of {truth.Length}");
        long predicted = 0, set = 0, both = 0;
        for (int i = 0; i < truth.Length; i++)
        {
            int p = prediction[i] == 0 ? 0 : 1, t = truth[i] == 0 ? 0 : 1;
            predicted += p;
            set += t;
            both += p & t;
        }
        return new MaskOverlap(predicted, set, both, truth.Length);
    }

    /// <summary>2·|A∩B| / (|A| + |B|), smoothed.</summary>
    public double Dice => (2.0 * Both + Metrics.Smooth) / (Predicted + True + Metrics.Smooth);

    /// <summary>|A∩B| / |A∪B|, smoothed.</summary>
    public double IoU => (Both + Metrics.Smooth) / (Predicted + True - Both + Metrics.Smooth);

    /// <summary>The share of the mask that is right; NaN of an empty mask.</summary>
    public double Precision => Predicted == 0 ? double.NaN : (double)Both / Predicted;

    /// <summary>The share of the truth that the mask has; NaN of an empty truth.</summary>
    public double Recall => True == 0 ? double.NaN : (double)Both / True;

    /// <summary>The share of pixels that are right.</summary>
    public double Accuracy => (All - Predicted - True + 2.0 * Both) / All;

    /// <summary>The pixels of two images as if they were one.</summary>
    public static MaskOverlap operator +(MaskOverlap a, MaskOverlap b) =>
        new(a.Predicted + b.Predicted, a.True + b.True, a.Both + b.Both, a.All + b.All);
}

/// <summary>Masks of several images in numbers. What there is no image for is NaN.</summary>
/// <param name="Images">Images.</param>
/// <param name="Empty">Of these, images whose truth is empty.</param>
/// <param name="Dice">Mean over all images.</param>
/// <param name="IoU">Mean over all images.</param>
/// <param name="DiceOfTumour">Mean over images whose truth is not empty.</param>
/// <param name="IoUOfTumour">Mean over images whose truth is not empty.</param>
/// <param name="PooledDice">Of all pixels as if of one image.</param>
/// <param name="PooledIoU">Of all pixels as if of one image.</param>
/// <param name="PixelAccuracy">Share of all pixels that are right.</param>
public sealed record MaskFigures(int Images, int Empty, double Dice, double IoU, double DiceOfTumour,
    double IoUOfTumour, double PooledDice, double PooledIoU, double PixelAccuracy);

/// <summary>Adds masks up.</summary>
public sealed class MaskTally
{
    readonly Mean _dice = new(), _iou = new(), _tumourDice = new(), _tumourIou = new();
    MaskOverlap _pooled;
    int _images, _empty;

    /// <summary>Takes an image.</summary>
    public void Add(MaskOverlap image)
    {
        _images++;
        _pooled += image;
        _dice.Add(image.Dice);
        _iou.Add(image.IoU);
        if (image.True == 0)
        {
            _empty++;
            return;
        }
        _tumourDice.Add(image.Dice);
        _tumourIou.Add(image.IoU);
    }

    /// <summary>All images so far.</summary>
    public MaskFigures Figures => new(_images, _empty, _dice.Value, _iou.Value, _tumourDice.Value, _tumourIou.Value,
        _images == 0 ? double.NaN : _pooled.Dice, _images == 0 ? double.NaN : _pooled.IoU, _pooled.Accuracy);
}
