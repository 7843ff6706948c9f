using EpSam.Slides.Segment;

namespace EpSam.Slides.Batch;

/// <summary>Where the results of many slides are. Several processes may work in one, each on slides of its own.
/// </summary>
public sealed class BatchFolder(string path)
{
    /// <summary>The folder.</summary>
    public string Root { get; } = Path.GetFullPath(path);
    /// <summary>Models, options and the list of slides: see <see cref="BatchManifest"/>.</summary>
    public string Manifest => In("run.json");
    /// <summary>A folder for each slide that is done.</summary>
    public string Slides => In("slides");
    /// <summary>A row for each slide that is done.</summary>
    public string SlidesTable => In("slides.csv");
    /// <summary>The tiles of all slides.</summary>
    public string TilesTable => In("tiles.csv");
    /// <summary>The outlines of all slides, each with its slide's name.</summary>
    public string Outlines => In("tumour.geojson");
    /// <summary>Which slides failed, and why.</summary>
    public string FailedTable => In("failed.csv");
    /// <summary>A page with all slides.</summary>
    public string Page => In("index.html");

    /// <summary>The results of a slide that is done.</summary>
    public SlideFolder Of(string slide) => new(In("slides", slide));

    /// <summary>Why a slide failed.</summary>
    public string Failure(string slide) => In("failed", slide + ".json");

    /// <summary>What processes did, and when: a line of JSON for each event.</summary>
    public string Log(Shard shard) => In("log", $"{shard.Index + 1}-of-{shard.Count}.jsonl");

    // No slide is called .something: see SlideFiles.
    internal string Temporary(string slide) => In("slides", $".{slide}.tmp");
    internal string Lock(string slide) => In(".locks", slide);
    internal string ManifestLock => In(".locks", ".run");
    internal string MergeLock => In(".locks", ".merge");

    string In(params string[] parts) => Path.Combine([Root, .. parts]);
}
