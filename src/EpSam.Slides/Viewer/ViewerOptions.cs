namespace EpSam.Slides.Viewer;

/// <summary>How a viewer is made.</summary>
public sealed record ViewerOptions
{
    /// <summary>The environment variable that says where OpenSeadragon is.</summary>
    public const string OpenSeadragonVariable = "EPSAM_OPENSEADRAGON";

    /// <summary>Pixels of level 0 to one of the finest tiles; null: those of the mask, at least 1.</summary>
    public double? Downsample { get; init; }

    /// <summary>A slide that would have more pixels in its finest tiles is shown at half the resolution, or less.
    /// </summary>
    public long MaxPixels { get; init; } = 400_000_000;

    /// <summary>JPEG's quality, 1 to 100.</summary>
    public int Quality { get; init; } = 80;

    /// <summary>
    /// The folder with openseadragon.min.js and its LICENSE.txt, of the npm package openseadragon; null: what
    /// EPSAM_OPENSEADRAGON says.
    /// </summary>
    public string? OpenSeadragon { get; init; }
}
