namespace EpSam.Native.Masks;

/// <summary>The parameters of SAM's automatic mask generator, with its names and defaults.</summary>
public sealed record AutomaticMaskOptions
{
    /// <summary>Points of the grid along a side. Ignored when <see cref="PointGrids"/> is given.</summary>
    public int PointsPerSide { get; init; } = 32;

    /// <summary>Own points in [0, 1] x [0, 1], a list for each layer of crops.</summary>
    public IReadOnlyList<(double X, double Y)[]>? PointGrids { get; init; }

    /// <summary>Prompts in one call of the decoder.</summary>
    public int PointsPerBatch { get; init; } = 64;

    /// <summary>Masks with a predicted quality of at most this go; 0 keeps all.</summary>
    public double PredIouThreshold { get; init; } = 0.88;

    /// <summary>Masks with a stability below this go; 0 keeps all.</summary>
    public double StabilityScoreThreshold { get; init; } = 0.95;

    /// <summary>How far the threshold is moved to measure stability.</summary>
    public double StabilityScoreOffset { get; init; } = 1.0;

    /// <summary>Overlap of boxes above which the mask of lower quality goes, within a crop.</summary>
    public double BoxNmsThreshold { get; init; } = 0.7;

    /// <summary>Layers of crops beside the whole image; layer i has (2^i)^2 of them.</summary>
    public int CropLayers { get; init; }

    /// <summary>Overlap of boxes above which the mask of the larger crop goes.</summary>
    public double CropNmsThreshold { get; init; } = 0.7;

    /// <summary>Overlap of crops in the first layer, as a share of the image's shorter side.</summary>
    public double CropOverlapRatio { get; init; } = CropBoxes.DefaultOverlap;

    /// <summary>Points a side are divided by this to the power of the layer.</summary>
    public int CropPointsDownscaleFactor { get; init; } = 1;

    /// <summary>Holes and islands with fewer pixels go; 0 leaves masks as they are.</summary>
    public double MinMaskRegionArea { get; init; }

    internal IReadOnlyList<(double X, double Y)[]> Grids()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(CropLayers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(PointsPerBatch);
        if (PointGrids is null) return PointGrid.BuildAll(PointsPerSide, CropLayers, CropPointsDownscaleFactor);
        return PointGrids.Count > CropLayers ? PointGrids
            : throw new ArgumentException(
                $"{nameof(PointGrids)} must have {CropLayers + 1} layers, got {PointGrids.Count}");
    }
}

/// <summary>A mask that was found.</summary>
/// <param name="Segmentation">The mask, of the image's size.</param>
/// <param name="Box">Its box in the image, largest coordinates inside.</param>
/// <param name="PredictedIou">The model's own estimate of the mask's quality.</param>
/// <param name="Point">The prompt, in pixels of the image.</param>
/// <param name="StabilityScore">How little the mask changes with its threshold.</param>
/// <param name="Crop">The crop it was found in, largest coordinates outside.</param>
public sealed record MaskRecord(
    Rle Segmentation, Box Box, float PredictedIou, (double X, double Y) Point, float StabilityScore, Box Crop)
{
    /// <summary>Pixels of the mask.</summary>
    public int Area => Segmentation.Area;
}
