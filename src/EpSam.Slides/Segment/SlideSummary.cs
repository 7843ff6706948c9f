using System.Text.Json.Serialization;
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Segment;

/// <summary>What became of a tile.</summary>
public enum TileState
{
    /// <summary>Too little tissue: not looked at.</summary>
    Background,
    /// <summary>The classifier sees no tumour: no mask was made.</summary>
    Normal,
    /// <summary>A mask was made.</summary>
    Tumour,
}

/// <summary>A tile of a slide, its place in pixels of level 0.</summary>
/// <param name="X">Left edge.</param>
/// <param name="Y">Upper edge.</param>
/// <param name="Width">Pixels of level 0.</param>
/// <param name="Height">Pixels of level 0.</param>
/// <param name="State">What became of it.</param>
/// <param name="Tissue">Share of it that is tissue.</param>
/// <param name="Probability">Of tumour; null where the classifier was not asked.</param>
/// <param name="Tumour">Share of its own mask that is tumour.</param>
public sealed record TileResult(double X, double Y, double Width, double Height, TileState State, double Tissue,
    double? Probability, double Tumour);

/// <summary>A segmented slide in figures. All follow from slide, models and options alone.</summary>
public sealed record SlideSummary
{
    /// <summary>What its results are called.</summary>
    public required string Name { get; init; }
    /// <summary>The slide's file name, without its folder.</summary>
    public required string File { get; init; }
    /// <summary>Pixels in a row of level 0.</summary>
    public required long Width { get; init; }
    /// <summary>Rows of level 0.</summary>
    public required long Height { get; init; }
    /// <summary>Micrometres a pixel of level 0.</summary>
    public required double Mpp { get; init; }
    /// <summary>What outlines count from, in pixels of level 0: <see cref="EpSam.Imaging.Slides.Slide.QuPathOrigin"/>.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public SlidePoint QuPathOrigin { get; init; }
    /// <summary>Pixels of level 0 to one of the mask.</summary>
    public required double Downsample { get; init; }
    /// <summary>Square millimetres of tissue.</summary>
    public required double TissueMm2 { get; init; }
    /// <summary>Square millimetres of tumour.</summary>
    public required double TumourMm2 { get; init; }
    /// <summary>Tumour by tissue; 0 where there is no tissue. Tumour outside of the tissue mask counts too.</summary>
    public double TumourFraction => TissueMm2 > 0 ? TumourMm2 / TissueMm2 : 0;
    /// <summary>Connected areas of tumour.</summary>
    public required int Regions { get; init; }
    /// <summary>Tiles of the grid.</summary>
    public required int Tiles { get; init; }
    /// <summary>Tiles that the classifier has seen.</summary>
    public required int TissueTiles { get; init; }
    /// <summary>Tiles that a mask was made of.</summary>
    public required int TumourTiles { get; init; }
    /// <summary>The highest probability of tumour of a tile; 0 where the classifier has seen none.</summary>
    public required double MaxProbability { get; init; }
}
