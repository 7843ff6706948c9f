using EpSam.Native.Pipeline;

namespace EpSam.Slides.Evaluate;

/// <summary>A slide's mask beside the truth, in pixels of the mask: those of the whole slide.</summary>
public sealed record SlideFigures
{
    /// <summary>What its results are called.</summary>
    public required string Name { get; init; }
    /// <summary>The mask that is judged.</summary>
    public required MaskOverlap Mask { get; init; }
    /// <summary>Trivial: all tissue is tumour. Null where slides were not at hand.</summary>
    public MaskOverlap? AllTissue { get; init; }
    /// <summary>Trivial: the best threshold of one colour value in tissue; null where slides were not at hand.
    /// </summary>
    public MaskOverlap? Colour { get; init; }
    /// <summary>Square millimetres of a pixel.</summary>
    public required double PixelMm2 { get; init; }
    /// <summary>The highest probability of tumour of a tile.</summary>
    public required double MaxProbability { get; init; }
    /// <summary>Whether the truth has tumour.</summary>
    public bool HasTumour => Mask.True > 0;
    /// <summary>Tumour of the mask.</summary>
    public double PredictedMm2 => Mask.Predicted * PixelMm2;
    /// <summary>Tumour of the truth.</summary>
    public double TrueMm2 => Mask.True * PixelMm2;
}

/// <summary>Masks of several slides, of one kind.</summary>
/// <param name="Figures">Means over slides, over those with tumour, and of all pixels together.</param>
/// <param name="Pooled">The pixels of all slides as if of one.</param>
public sealed record SlideMaskFigures(MaskFigures Figures, MaskOverlap Pooled)
{
    internal static SlideMaskFigures Of(IEnumerable<MaskOverlap> slides)
    {
        MaskTally tally = new();
        MaskOverlap pooled = default;
        foreach (MaskOverlap slide in slides)
        {
            tally.Add(slide);
            pooled += slide;
        }
        return new SlideMaskFigures(tally.Figures, pooled);
    }
}
