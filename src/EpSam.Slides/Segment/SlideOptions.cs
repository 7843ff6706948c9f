namespace EpSam.Slides.Segment;

/// <summary>How slides are segmented.</summary>
public sealed record SlideOptions
{
    /// <summary>Micrometres a pixel that models see and masks have: those of the training patches.</summary>
    public required double Mpp { get; init; }

    /// <summary>Pixels of a tile's sides: those of the patches.</summary>
    public required int Tile { get; init; }

    /// <summary>Pixels that neighbouring tiles have in common; their masks are blended there. At most half a tile.
    /// </summary>
    public int Overlap { get; init; }

    /// <summary>The slides' own micrometres a pixel, for those that do not tell; null: such a slide fails.</summary>
    public double? SlideMpp { get; init; }

    /// <summary>A tile with a smaller share of tissue is not looked at.</summary>
    public double MinTissue { get; init; } = 0.05;

    /// <summary>A tile whose probability of tumour is below this gets no mask.</summary>
    public double MinProbability { get; init; } = 0.5;

    /// <summary>Points that SAM is asked with, drawn by the activation map.</summary>
    public int Points { get; init; } = 50;

    /// <summary>Draws other points.</summary>
    public ulong Seed { get; init; }

    /// <summary>A pixel is tumour from this probability on.</summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>
    /// Square micrometres. Holes in tumour that are smaller, with what lies in them, are filled, then regions of tumour
    /// that are smaller are left out: of mask, outlines, areas and counts, not of the probabilities. The default is
    /// about ten tumour cells; 0 keeps all.
    /// </summary>
    public double MinArea { get; init; } = 1000;

    /// <summary>Masks are the classifier's activation maps'; SAM is not asked.</summary>
    public bool MapsOnly { get; init; }

    /// <summary>Whether a viewer is written beside the results.</summary>
    public bool Viewer { get; init; } = true;

    /// <summary>Throws ArgumentException naming the first value that is impossible.</summary>
    public void Check()
    {
        Require(Mpp is > 0 and <= 1000, nameof(Mpp), Mpp, "above 0, at most 1000");
        Require(Tile is >= 32 and <= 4096, nameof(Tile), Tile, "32 to 4096");
        Require(Overlap >= 0 && Overlap <= Tile / 2, nameof(Overlap), Overlap, $"0 to half a tile, {Tile / 2}");
        Require(SlideMpp is null or (> 0 and <= 1000), nameof(SlideMpp), SlideMpp, "above 0, at most 1000");
        Require(MinTissue is >= 0 and <= 1, nameof(MinTissue), MinTissue, "0 to 1");
        Require(MinProbability is >= 0 and <= 1, nameof(MinProbability), MinProbability, "0 to 1");
        Require(Points is >= 1 and <= 1024, nameof(Points), Points, "1 to 1024");
        Require(MinArea is >= 0 and <= 1e9, nameof(MinArea), MinArea, "0 to 1e9 square micrometres");
        Require(Threshold is > 0 and <= 1, nameof(Threshold), Threshold, "above 0, at most 1");
    }

    static void Require(bool isRight, string name, object? value, string expected)
    {
        if (!isRight)
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; expected {expected}"));
    }
}
