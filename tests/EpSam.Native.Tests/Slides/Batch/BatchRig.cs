using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Batch;

/// <summary>Slides that are a few bytes, and a segmentation that makes results out of their content.</summary>
internal sealed class BatchRig : IDisposable
{
    public const string TilesHeader = "x,y,width,height,state,tissue,probability,tumour";

    public string Root { get; } = Directory.CreateTempSubdirectory("epsam-batch-").FullName;

    public List<string> Segmented { get; } = [];

    /// <summary>Called in the middle of a slide, when half of its results are written.</summary>
    public Action<SlideFile, string> Midway { get; set; } = (_, _) => { };

    public BatchSettings Settings { get; set; } = new(
        new BatchModels
        {
            Classifier = new RunInput("/models/c.safetensors", 10, "aa"), Precision = "fp32", Side = 64,
            Rule = CamMaskRule.Camelyon17,
        },
        new SlideOptions { Mpp = 0.5, Tile = 64, Overlap = 16, MapsOnly = true });

    public BatchFolder Out(string name = "out") => new(Path.Combine(Root, name));

    public SlideFile[] Slides(params string[] names) => [.. names.Select(name =>
    {
        string path = Path.Combine(Root, name + ".tif");
        if (!File.Exists(path)) File.WriteAllText(path, $"slide {name}");
        return new SlideFile(path, name);
    })];

    public IReadOnlyList<SlideOutcome> Run(IReadOnlyList<SlideFile> slides, Shard? shard = null,
        BatchFolder? folder = null, CancellationToken cancel = default) => SlideBatch.Run(
            new BatchRequest(folder ?? Out(), slides, Settings, shard ?? Shard.All), Segment, new Silent(), _ => { },
            cancel);

    SlideSummary Segment(SlideFile file, string folder, IRunObserver observer, CancellationToken cancel)
    {
        int size = File.ReadAllText(file.Path).Length;
        Assert.That(Directory.GetFileSystemEntries(folder), Is.Empty);
        SlideFolder results = new(folder);
        File.WriteAllText(results.Tiles,
            $"{TilesHeader}\n0,0,64,64,tumour,0.5,0.75,0.25\n{size},0,64,64,normal,1,0,0\n");
        Midway(file, folder);
        cancel.ThrowIfCancellationRequested();
        File.WriteAllText(results.GeoJson, "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\","
            + "\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[" + size + ".5,0],[0,1e2],[0,0]]]},"
            + "\"properties\":{\"objectType\":\"annotation\",\"measurements\":{\"properties\":1}}}]}");
        File.WriteAllText(results.Overlay, "a picture");
        Segmented.Add(file.Name);
        return new SlideSummary
        {
            Name = file.Name, File = Path.GetFileName(file.Path), Width = size, Height = 100, Mpp = 0.25,
            Downsample = 2, TissueMm2 = 4, TumourMm2 = 1, Regions = 1, Tiles = 2, TissueTiles = 2, TumourTiles = 1,
            MaxProbability = 0.75,
        };
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);

    sealed class Silent : IRunObserver
    {
        public IWorkProgress Begin(string what, long total, string unit) => new Work();

        public void Note(string line) { }

        public void Warn(string line) { }

        sealed class Work : IWorkProgress
        {
            public void Report(long done, string figures = "") { }

            public void Dispose() { }
        }
    }
}
