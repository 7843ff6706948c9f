namespace EpSam.Slides.Segment;

/// <summary>Where the results of one slide are: a folder that appears when all of them are complete.</summary>
public sealed class SlideFolder(string path)
{
    /// <summary>The folder.</summary>
    public string Root { get; } = Path.GetFullPath(path);
    /// <summary>Probability of tumour, 0 to 255, at the models' resolution: a pyramidal TIFF.</summary>
    public string Probability => In("probability.tif");
    /// <summary>Tumour 255, else 0: a pyramidal TIFF.</summary>
    public string Mask => In("mask.tif");
    /// <summary>Outlines of the mask in pixels of level 0, from the corner that QuPath counts from.</summary>
    public string GeoJson => In("tumour.geojson");
    /// <summary>A row for each tile of the grid.</summary>
    public string Tiles => In("tiles.csv");
    /// <summary>The summary and what it was made with.</summary>
    public string Summary => In("slide.json");
    /// <summary>The slide with its tumour, small.</summary>
    public string Overlay => In("overlay.png");
    /// <summary>A page to look at it in a browser: viewer/index.html.</summary>
    public string Viewer => In("viewer");

    string In(string name) => Path.Combine(Root, name);
}
