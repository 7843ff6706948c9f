// One slide from beginning to end with models that know the truth: what is stitched together must be the truth, and all
// files must say the same.
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Evaluate;
using EpSam.Slides.Prepare;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Segment;

public sealed class SlideSegmenterTests
{
    static readonly SlideOptions Options = new()
    {
        Mpp = 0.5, Tile = 64, Overlap = 16, MinTissue = 0, MinArea = 0, Viewer = false,
    };

    string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    /// <summary>Blue tissue with red tumour on white: discs with a hole, one of them at the lower right edge.</summary>
    internal static byte Discs(long x, long y, int channel, long side)
    {
        (double X, double Y, double Radius)[] discs =
            [(side * 0.3, side * 0.35, side * 0.12), (side * 0.95, side * 0.97, side * 0.15)];
        bool isTissue = x > side * 0.1 && (x < side * 0.6 || y > side * 0.6), isTumour = false;
        foreach ((double cx, double cy, double radius) in discs)
        {
            double d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
            isTumour |= d < radius * radius && d > radius * radius / 9;
        }
        int[] colour = isTumour ? [220, 30, 60] : isTissue ? [60, 30, 220] : [255, 255, 255];
        return (byte)colour[channel];
    }

    static MemorySlide Slide(int side, double? mpp = 0.5) =>
        new(side, side, (x, y, c) => Discs(x, y, c, side), mpp: mpp);

    SlideSummary Run(ISlideModels models, SlideOptions options, Slide slide, string name = "out",
        CancellationToken cancel = default, Progress? progress = null)
    {
        VipsLibrary.RequireOrSkip();
        string folder = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        return SlideSegmenter.Run(models, options, slide, new SlideFile(slide.FilePath, "memory"), folder,
            tiles => (progress ?? new Progress()).Of(tiles), cancel);
    }

    SlideFolder Folder(string name = "out") => new(Path.Combine(_folder, name));

    /// <summary>All of a grey pyramid.</summary>
    static byte[] Pixels(string path, out Slide slide)
    {
        slide = EpSam.Imaging.Slides.Slide.Open(path);
        SlideLevel whole = slide.Levels[0];
        Raster raster = slide.ReadRegion(0, 0, 0, (int)whole.Width, (int)whole.Height);
        return [.. Enumerable.Range(0, raster.Width * raster.Height).Select(i => raster.Pixels[3 * i])];
    }

    static byte[] Mask(SlideFolder folder)
    {
        byte[] mask = Pixels(folder.Mask, out Slide slide);
        slide.Dispose();
        return mask;
    }

    [TestCase(300, 0.5)] // as it is
    [TestCase(300, 1.0)] // halved
    [TestCase(301, 0.85)]
    public void Segment_ModelsThatAreRight_GivesTheTruth(int side, double mpp)
    {
        SlideOptions options = Options with { Mpp = mpp };
        using MemorySlide slide = Slide(side);
        SlideSummary summary = Run(new FakeModels(), options, slide);
        SlideView view = SlideView.AtMpp(slide, mpp);
        byte[] truth = FakeModels.Red(view.Read(0, 0, (int)view.Width, (int)view.Height).Pixels);
        byte[] mask = Pixels(Folder().Mask, out Slide written);
        using (written)
        {
            Assert.That(written.MppX, Is.EqualTo(0.5 * view.Downsample).Within(1e-6));
            Assert.That((written.Levels[0].Width, written.Levels[0].Height), Is.EqualTo((view.Width, view.Height)));
        }
        Assert.That(mask, Is.EqualTo(truth));
        byte[] probability = Pixels(Folder().Probability, out written);
        using (written) Assert.That(written.MppX, Is.EqualTo(0.5 * view.Downsample).Within(1e-6));
        Assert.That(probability, Is.EqualTo(truth));
        AssertFilesAgree(Folder(), summary, mask, (int)view.Width, (int)view.Height);
    }

    static void AssertFilesAgree(SlideFolder folder, SlideSummary summary, byte[] mask, int width, int height)
    {
        IReadOnlyList<Annotation> regions = GeoJson.Read(folder.GeoJson);
        byte[] painted = new byte[mask.Length];
        foreach (SlidePolygon polygon in regions.SelectMany(r => r.Polygons))
            PolygonMask.Paint(polygon, 0, 0, summary.Downsample, 255, painted, height, width);
        Assert.That(painted, Is.EqualTo(mask));
        double pixel = Math.Pow(summary.Downsample * summary.Mpp, 2) / 1e6;
        Assert.That(regions.Sum(r => r.Measurements["Area mm^2"]),
            Is.EqualTo(summary.TumourMm2).Within(1e-6 * (1 + regions.Count)));
        Assert.That(summary.TumourMm2, Is.EqualTo(mask.Count(v => v != 0) * pixel).Within(1e-6));
        Assert.That(summary.Regions, Is.EqualTo(regions.Count));
        TileResult[] tiles = [.. TileTable.Read(folder.Tiles)];
        Assert.That((tiles.Length, tiles.Count(t => t.Probability is not null),
            tiles.Count(t => t.State == TileState.Tumour)),
            Is.EqualTo((summary.Tiles, summary.TissueTiles, summary.TumourTiles)));
        Assert.That(tiles.Max(t => t.Probability ?? 0), Is.EqualTo(summary.MaxProbability).Within(1e-6));
        Assert.That(SlideJson.Read(folder.Summary).Summary, Is.EqualTo(summary));
        Assert.That(File.Exists(folder.Overlay));
        Assert.That(tiles.Select(t => t.X + t.Width), Has.All.InRange(0, summary.Width + 0.01));
        Assert.That(tiles.Select(t => t.Y + t.Height), Has.All.InRange(0, summary.Height + 0.01));
    }

    [Test]
    public void Segment_Regions_HaveAreaPerimeterAndMeanProbability()
    {
        static byte Square(long x, long y, int c) => (byte)(x is >= 100 and < 140 && y is >= 60 and < 90
            ? c == 0 ? 220 : 30 : c == 1 ? 150 : 220);
        using MemorySlide slide = new(200, 200, Square, mpp: 1);
        Run(new FakeModels(), Options with { Mpp = 1 }, slide);
        Annotation region = GeoJson.Read(Folder().GeoJson).Single();
        Assert.That((region.Group, region.Name), Is.EqualTo(("Tumor", "Tumor 1")));
        Assert.That(region.Measurements, Is.EqualTo(new Dictionary<string, double>
        {
            ["Area mm^2"] = 0.0012, ["Perimeter µm"] = 140, ["Mean probability"] = 1,
        }));
    }

    [Test]
    public void Segment_FieldThatWasScannedInPart_CountsAsQuPathDoes()
    {
        static byte Square(long x, long y, int c) => (byte)(x is >= 100 and < 140 && y is >= 60 and < 90
            ? c == 0 ? 220 : 30 : c == 1 ? 150 : 220);
        using MemorySlide slide = new(200, 180, Square, mpp: 1, scanned: (90, 50, 80, 70));
        SlideSummary summary = Run(new FakeModels(), Options with { Mpp = 1, Viewer = true }, slide);
        Assert.That(GeoJson.Read(Folder().GeoJson).Single().Polygons[0].Outer, Is.EquivalentTo(
            new SlidePoint[] { new(10, 10), new(50, 10), new(50, 40), new(10, 40) }));
        Assert.That(summary.QuPathOrigin, Is.EqualTo(new SlidePoint(90, 50)));
        Assert.That(SlideJson.Read(Folder().Summary).Summary, Is.EqualTo(summary));
        Assert.That(File.ReadAllText(Path.Combine(Folder().Viewer, "outlines.js")), Does.Contain("[[[100,60,"));
        SlideEvaluation same = SlideEvaluation.Of([(Folder(), null, Folder().GeoJson)]);
        Assert.That(same.Slides.Single().Mask, Is.EqualTo(new MaskOverlap(1200, 1200, 1200, 200 * 180)));

        string asap = Path.Combine(_folder, "truth.xml");
        using (FileStream file = File.Create(asap)) AsapXml.Write(file, [new("", AnnotationKind.Polygon, "Tumor",
            [new([new(100, 60), new(140, 60), new(140, 90), new(100, 90)])], [])]);
        Assert.That(SlideEvaluation.Of([(Folder(), null, asap)]).Slides.Single().Mask.Both, Is.EqualTo(1200));
        PrepareOptions options = new();
        foreach (string annotation in new[] { Folder().GeoJson, asap })
        {
            SlidePolygon area = SlideScanner.Areas(new SlideFile("memory.svs", "memory", annotation), options,
                slide.QuPathOrigin).Tumour.Single();
            Assert.That(area.Outer.Min(p => p.X), Is.EqualTo(100));
        }
    }

    // A disc with holes of 9 and of 400 pixels, an island of 36 in the larger; specks of 1 and 25; a block of 100.
    static byte Speckled(long x, long y, int channel)
    {
        bool isDisc = (x - 100) * (x - 100) + (y - 100) * (y - 100) < 60 * 60 && !In(70, 80, 3) && !In(95, 90, 20);
        bool isTumour = isDisc || In(102, 97, 6) || In(180, 20, 1) || In(30, 200, 5) || In(200, 190, 10);
        int[] colour = isTumour ? [220, 30, 60] : [60, 30, 220];
        return (byte)colour[channel];

        bool In(int left, int top, int side) => x >= left && x < left + side && y >= top && y < top + side;
    }

    [TestCase(0, 5, 2)]
    [TestCase(0.5, 4, 2)] // a pixel has 0.25 square micrometres
    [TestCase(2.25, 4, 2)]
    [TestCase(2.5, 4, 1)]
    [TestCase(6.5, 3, 1)]
    [TestCase(9.25, 2, 1)]
    [TestCase(25.25, 1, 1)]
    [TestCase(100.25, 1, 0)]
    public void Segment_SmallRegionsAndHoles_AreLeftOut(double minArea, int regions, int holes)
    {
        const int Side = 240;
        using MemorySlide slide = new(Side, Side, Speckled, mpp: 0.5);
        SlideSummary summary = Run(new FakeModels(), Options with { MinArea = minArea }, slide);
        byte[] truth = FakeModels.Red(slide.ReadRegion(0, 0, 0, Side, Side).Pixels), mask = Mask(Folder());
        Assert.That(mask.Select(v => v / 255), Is.EqualTo(Specks.Without(truth, Side, Side, minArea / 0.25)));
        AssertFilesAgree(Folder(), summary, mask, Side, Side);
        Assert.That(summary.Regions, Is.EqualTo(regions));
        Annotation disc = GeoJson.Read(Folder().GeoJson).MaxBy(r => r.Polygons[0].Area)!;
        Assert.That(disc.Polygons[0].Holes, Has.Count.EqualTo(holes));
        byte[] own = new byte[mask.Length];
        PolygonMask.Paint(disc.Polygons[0], 0, 0, 1, 1, own, Side, Side);
        Assert.That(disc.Measurements["Mean probability"], Is.EqualTo(
            own.Zip(truth).Where(p => p.First != 0).Average(p => p.Second / 255.0)).Within(1e-4), "holes lower it");
        byte[] probability = Pixels(Folder().Probability, out Slide written);
        using (written) Assert.That(probability, Is.EqualTo(truth), "is as the models have it");
    }

    [TestCase(1)]
    [TestCase(17)]
    [TestCase(63)]
    [TestCase(64)]
    [TestCase(65)]
    public void Segment_SlidesAroundATile_GivesTheTruth(int side)
    {
        using MemorySlide slide =
            new(side, side, (x, y, c) => (byte)(c == 0 ? 220 : (x + y) % 3 == 0 ? 20 : 180), mpp: 0.5);
        SlideSummary summary = Run(new FakeModels(), Options with { MinTissue = 0 }, slide);
        byte[] truth = FakeModels.Red(slide.ReadRegion(0, 0, 0, side, side).Pixels);
        byte[] mask = Mask(Folder());
        if (summary.TissueTiles == summary.Tiles) Assert.That(mask, Is.EqualTo(truth));
        else Assert.That(summary.TissueTiles, Is.Zero);
        AssertFilesAgree(Folder(), summary, mask, side, side);
    }

    [Test]
    public void Segment_NoTissue_GivesEmptyResults()
    {
        using MemorySlide slide = new(300, 200, (_, _, _) => 255, mpp: 0.5);
        FakeModels models = new();
        SlideSummary summary = Run(models, Options, slide);
        Assert.That((summary.TissueTiles, summary.TumourTiles, summary.Regions, summary.TumourMm2, summary.TissueMm2,
            summary.MaxProbability, summary.TumourFraction), Is.EqualTo((0, 0, 0, 0.0, 0.0, 0.0, 0.0)));
        Assert.That(models.Classified, Is.Empty);
        Assert.That(Mask(Folder()), Has.All.Zero);
        Assert.That(GeoJson.Read(Folder().GeoJson), Is.Empty);
        Assert.That(TileTable.Read(Folder().Tiles).Count(t => t is { State: TileState.Background, Probability: null }),
            Is.EqualTo(summary.Tiles));
    }

    [Test]
    public void Segment_TilesWithoutTissue_AreNotSeen_AndBatchesAreFull()
    {
        using MemorySlide slide = Slide(600);
        FakeModels models = new() { Batch = 5 };
        SlideSummary summary = Run(models, Options with { MinTissue = 0.3 }, slide);
        Assert.That(summary.TissueTiles, Is.InRange(1, summary.Tiles - 1));
        Assert.That(models.Classified.Sum(), Is.EqualTo(summary.TissueTiles));
        Assert.That(models.Classified.SkipLast(1), Has.All.EqualTo(5));
        Assert.That(models.Seeds, Is.Unique);
        Assert.That(models.Seeds, Has.Count.EqualTo(summary.TumourTiles));
    }

    [Test]
    public void Segment_Again_OrInOtherBatches_GivesTheSameBytes()
    {
        byte[][][] runs = [.. new[] { 1, 4, 4 }.Select((batch, i) =>
        {
            using MemorySlide slide = Slide(400);
            Run(new FakeModels { Batch = batch }, Options, slide, $"run{i}");
            SlideFolder made = Folder($"run{i}");
            return new[] { made.Probability, made.Mask, made.GeoJson, made.Tiles, made.Summary }
                .Select(File.ReadAllBytes).ToArray();
        })];
        Assert.That(runs[1], Is.EqualTo(runs[0]));
        Assert.That(runs[2], Is.EqualTo(runs[0]));
    }

    [Test]
    public void Segment_SwappedModels_SeeRedAndBlueExchanged()
    {
        using MemorySlide blue =
            new(200, 200, (x, _, c) => (byte)(x < 90 && c == 2 ? 220 : x < 90 ? 30 : 255), mpp: 0.5);
        Run(new FakeModels { SwappedRedBlue = true }, Options, blue);
        Assert.That(Mask(Folder()).Count(v => v == 255), Is.EqualTo(90 * 200));
    }

    [Test]
    public void Segment_UnknownScale_SaysWhatToGive()
    {
        using MemorySlide slide = Slide(100, mpp: null);
        SlideException thrown = Assert.Throws<SlideException>(() => Run(new FakeModels(), Options, slide))!;
        Assert.That(thrown.Message, Does.Contain("memory.svs").And.Contain("--slide-mpp"));
        SlideSummary summary = Run(new FakeModels(), Options with { SlideMpp = 0.25 }, slide, "given");
        Assert.That((summary.Mpp, summary.Downsample), Is.EqualTo((0.25, 2.0)));
        using MemorySlide known = Slide(100, mpp: 0.5);
        summary = Run(new FakeModels(), Options with { SlideMpp = 0.25 }, known, "known");
        Assert.That(summary.Mpp, Is.EqualTo(0.5), "one value for many slides is for those that do not tell");
    }

    [Test]
    public void Segment_ResolutionThatCannotBeMeant_SaysSo()
    {
        using MemorySlide slide = Slide(100);
        SlideException thrown = Assert.Throws<SlideException>(
            () => Run(new FakeModels(), Options with { Mpp = 1e-5 }, slide))!;
        Assert.That(thrown.Message, Does.Contain("memory.svs").And.Contain("5000000 x 5000000").And.Contain("--mpp"));
    }

    [Test]
    public void Segment_SlideThatCannotBeReadOnTheWay_FailsWithItsError()
    {
        VipsLibrary.RequireOrSkip();
        using MemorySlide slide = new(400, 400, (x, y, c) => x == 399 && y == 399 && c == 2
            ? throw new ImagingException(ImagingError.Damaged, "memory.svs: broken there")
            : Discs(x, y, c, 400), [(25, 25, 16)], mpp: 0.5); // tissue is found on the coarse level
        ImagingException thrown = Assert.Throws<ImagingException>(() => Run(new FakeModels(), Options, slide))!;
        Assert.That(thrown.Message, Does.Contain("broken there"));
        Assert.That(Directory.GetFiles(_folder, "*.tif", SearchOption.AllDirectories), Is.Empty);
    }

    [TestCase(true)]
    [TestCase(false)]
    public void Segment_DamagedFile_FailsWithItsName(bool isCut)
    {
        VipsLibrary.RequireOrSkip();
        string path = Path.Combine(_folder, "größe 1.tif");
        PyramidOptions layout = new() { Mpp = 0.5, Compression = PyramidCompression.Jpeg };
        using (PyramidWriter writer = new(path, 600, 600, 3, layout))
        {
            byte[] tile = new byte[3 * 256 * 256];
            for (int i = 0; i < 9; i++)
            {
                for (int p = 0; p < tile.Length; p++) tile[p] = (byte)(p % 3 == 0 ? 200 + p % 37 : 40 + p % 50);
                writer.WriteTile(i % 3, i / 3, tile);
            }
            writer.Complete();
        }
        byte[] bytes = File.ReadAllBytes(path);
        if (isCut) bytes = bytes[..(bytes.Length / 2)];
        else bytes.AsSpan(bytes.Length / 4, bytes.Length / 2).Clear();
        File.WriteAllBytes(path, bytes);
        Exception thrown = Assert.Catch(() =>
        {
            using Slide slide = EpSam.Imaging.Slides.Slide.Open(path);
            Run(new FakeModels(), Options, slide);
        })!;
        Assert.That(thrown, Is.InstanceOf<ImagingException>(), thrown.ToString());
        Assert.That(thrown.Message, Does.Contain("größe 1.tif"));
    }

    [Test]
    public void Segment_Cancelled_EndsBetweenTiles()
    {
        using CancellationTokenSource source = new();
        using MemorySlide slide = Slide(600);
        FakeModels models = new() { BeforeClassify = () => source.Cancel() };
        Assert.Catch<OperationCanceledException>(() => Run(models, Options, slide, cancel: source.Token));
        Assert.That(models.Classified, Has.Count.EqualTo(1));
        Assert.That(File.Exists(Folder().Summary), Is.False);
    }

    [Test]
    public void Segment_Progress_CountsTilesWithTissue()
    {
        Progress progress = new();
        using MemorySlide slide = Slide(400);
        SlideSummary summary = Run(new FakeModels(), Options, slide, progress: progress);
        Assert.That(progress.Reports[^1], Is.EqualTo((long)summary.TissueTiles));
        Assert.That(progress.Reports, Is.Ordered);
        Assert.That(progress.Total, Is.EqualTo((long)summary.TissueTiles));
        Assert.That(progress.Last, Is.EqualTo($"{summary.TumourTiles} with tumour"));
    }

    [Test]
    public void Segment_LargeSlideWithLittleTissue_ReadsLittleOfIt()
    {
        const int Side = 30_000;
        long read = 0;
        using MemorySlide slide = new(Side, Side, (x, y, c) =>
        {
            read++;
            return x is > 20_000 and < 20_600 && y is > 9_000 and < 9_500 ? c == 0 ? (byte)220 : (byte)30 : (byte)255;
        }, [(Side / 12, Side / 12, 12), (Side / 16, Side / 16, 16)], mpp: 0.5);
        SlideSummary summary = Run(new FakeModels(), Options with { Tile = 512, Overlap = 128 }, slide);
        Assert.That(slide.LargestRead, Is.LessThan(1 << 22));
        // tissue is found on the coarsest level, the overlay made from the one before
        long coarse = Side / 16 * (Side / 16) + Side / 12 * (Side / 12);
        Assert.That(read, Is.LessThan(3 * (coarse + 12 * 512 * 512)), "pixels' channels");
        Assert.That((summary.Regions, summary.TumourMm2), Is.EqualTo((1, Math.Round(599 * 499 * 0.25e-6, 6))));
    }

    sealed class Progress : IWorkProgress
    {
        public List<long> Reports { get; } = [];

        public string Last { get; private set; } = "";

        public long Total { get; private set; }

        public Progress Of(long total)
        {
            Total = total;
            return this;
        }

        public void Report(long done, string figures = "")
        {
            Reports.Add(done);
            Last = figures;
        }

        public void Dispose()
        {
        }
    }
}
