// Slides to patches on small synthetic slides, whose annotations are exact: what is written, that it can be trained on,
// that being stopped or failing changes nothing in the end, and what is said about input that does not fit.
using System.Security.Cryptography;
using EpSam.Cli;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Prepare;
using EpSam.Slides.Synth;

namespace EpSam.Native.Tests.Slides.Prepare;

[Category("Slow")]
public sealed class PreparationTests
{
    const int Size = 64, Slides = 4, Width = 560, Height = 512;
    static readonly PrepareOptions Small = new() { Size = Size, Sampling = Sampling.Same(new() { PerBin = 2 }) };

    string _slides = "", _folder = "";
    PrepareResult _whole = null!;

    string Whole => _slides + "-whole/out"; // what Small makes of the slides, to copy and to compare with

    // Three slides with tumour and one without.
    [OneTimeSetUp]
    public void MakeSlides()
    {
        VipsLibrary.RequireOrSkip();
        _slides = Directory.CreateTempSubdirectory("epsam-slides-").FullName;
        SynthSet set = new() { Width = Width, Height = Height, Mpp = 1, Seed = 3, LeastTumour = 0.3, MostTumour = 0.5 };
        for (int i = 0; i < Slides; i++)
        {
            SynthSlide slide = new(set.Slide(i));
            string path = Path.Combine(_slides, $"näme {i}");
            SynthWriter.WriteSlide(slide, path + ".tif");
            using FileStream xml = File.Create(path + ".xml");
            AsapXml.Write(xml, SynthWriter.Annotations(slide));
        }
        _whole = Run(Small, Whole);
    }

    [OneTimeTearDown]
    public void RemoveSlides()
    {
        if (_slides.Length == 0) return;
        Directory.Delete(_slides, recursive: true);
        Directory.Delete(_slides + "-whole", recursive: true);
    }

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("epsam-prepare-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    sealed class Observer : IRunObserver, IWorkProgress
    {
        public List<string> Notes { get; } = [];
        public Action<string, long> Progress { get; init; } = (_, _) => { };
        string _work = "";

        public IWorkProgress Begin(string what, long total, string unit)
        {
            _work = what;
            Progress(what, 0);
            return this;
        }

        public void Note(string line) => Warn(line);

        public void Warn(string line)
        {
            lock (Notes) Notes.Add(line);
        }

        public void Report(long done, string figures) => Progress(_work, done);

        public void Dispose()
        {
        }
    }

    string Out(string name = "out") => Path.Combine(_folder, name);

    PrepareResult Run(PrepareOptions options, string name = "out", string split = "0.5,0.25,0.25",
        Observer? observer = null, CancellationToken cancel = default, string? slides = null)
    {
        observer ??= new Observer();
        Directory.CreateDirectory(Out(name));
        return Preparation.Run(new PrepareFolder(Out(name)),
            PrepareSlides.Find([slides ?? _slides], [], null, options.UnannotatedAreNormal, observer),
            SlideSplit.Parse(split), options, observer, observer.Warn, cancel);
    }

    // Names and digests of all files.
    string[] Files(string name = "out") => [.. Directory.GetFiles(Out(name), "*", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal).Select(f =>
            $"{Path.GetRelativePath(Out(name), f)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))}")];

    Dictionary<string, string>[] Table(string name = "out", string file = "patches.csv")
    {
        List<string[]> rows = CsvText.Rows(File.ReadAllText(Path.Combine(Out(name), file)));
        return [.. rows.Skip(1).Select(r => rows[0].Zip(r).ToDictionary(p => p.First, p => p.Second))];
    }

    [Test]
    public void Folder_IsWhatTrainTakes_WithExactMasksAndPercentages()
    {
        Assert.That(_whole.Slides.Select(s => s.Failure), Is.All.Null);
        PatchSet set = PatchSet.Open(Whole, new VipsFiles(), new DataConfig());
        Assert.That(set.Images, Has.Count.EqualTo(_whole.Patches));
        Assert.That(set.Notes, Is.Empty);
        foreach (Split split in Enum.GetValues<Split>())
        {
            int positives = set.Of(split).Count(i => i.Label == 1), negatives = set.Of(split).Count(i => i.Label == 0);
            Assert.That(positives, Is.GreaterThan(10), $"{split}");
            Assert.That(negatives, Is.GreaterThan(10).And.LessThanOrEqualTo(positives), $"{split}");
        }
        Assert.That(set.Images.Select(i => i.MaskPath is not null), Is.EqualTo(set.Images.Select(i => i.Label == 1)));
        Assert.That(PatchScale.Read(Whole), Is.EqualTo(new PatchScale(1, Size)).Using<PatchScale>((a, b) =>
            a.Size == b.Size && Math.Abs(a.Mpp - b.Mpp) < 1e-3));
        CheckPatches(Whole, 1);
        Assert.That(PatchSet.Open(Path.Combine(Whole, "patches.csv"), new VipsFiles(), new DataConfig()).Images,
            Has.Count.EqualTo(_whole.Patches), "the table alone says the same");
    }

    // Each row's figures and files against the slide and its annotations.
    void CheckPatches(string set, double downsample)
    {
        foreach (IGrouping<string, Dictionary<string, string>> slide in Table(set).GroupBy(r => r["slide"]))
        {
            Assert.That(slide.Select(r => r["split"]).Distinct().Count(), Is.EqualTo(1));
            TumourAreas areas = TumourAreas.Read(Path.Combine(_slides, slide.Key + ".xml"));
            byte[] whole = areas.Mask(0, 0, 1, Height, Width);
            using Slide file = Slide.Open(Path.Combine(_slides, slide.Key + ".tif"));
            foreach (Dictionary<string, string> row in slide)
            {
                (int x, int y) = ((int)double.Parse(row["level0_x"]), (int)double.Parse(row["level0_y"]));
                int side = (int)(Size * downsample);
                Assert.That(double.Parse(row["level0_size"]), Is.EqualTo(side));
                byte[] window = [.. Enumerable.Range(y, side).SelectMany(v => Enumerable.Range(x, side)
                    .Select(u => u < Width && v < Height && u >= 0 && v >= 0 ? whole[v * Width + u] : (byte)0))];
                Assert.That(double.Parse(row["tumour_percentage"]), Is.EqualTo(TumourPercentage.Of(window)), row["id"]);
                Assert.That(row["label"], Is.EqualTo(window.Contains((byte)1) ? "1" : "0"));
                Assert.That(row["id"], Does.EndWith("_" + row["label"]));
                byte[] pixels = new SlideView(file, downsample).Read((long)(x / downsample), (long)(y / downsample),
                    Size, Size).Pixels;
                Raster image = ImageReader.ReadRgb(Path.Combine(Out(set), row["image"]));
                Assert.That(image.Pixels.AsSpan().SequenceEqual(pixels), row["image"]);
                if (row["label"] == "0") continue;
                byte[] mask = ImageReader.ReadGrey(Path.Combine(Out(set), row["mask"])).Pixels;
                byte[] expected = [.. areas.Mask(x, y, downsample, Size, Size).Select(v => (byte)(255 * v))];
                Assert.That(mask.AsSpan().SequenceEqual(expected), row["mask"]);
            }
        }
    }

    [Test]
    public void Patches_AtAnotherScale_CoverMoreOfTheSlide()
    {
        Run(Small with { Mpp = 2 });
        Assert.That(PatchScale.Read(Out()), Is.EqualTo(new PatchScale(2, Size)));
        Assert.That(Table(), Has.Length.GreaterThan(8));
        CheckPatches("out", 2);
        Run(Small with { Level = 1 }, "level");
        string[] Places(string name) => [.. Table(name).Select(r => $"{r["slide"]} {r["level0_x"]} {r["level0_y"]}")];
        Assert.That(Places("level"), Is.EqualTo(Places("out")), "level 1 is what 2 micrometres are");
    }

    [Test]
    public void Seeds_AndOptions_GiveOtherPatches()
    {
        PrepareOptions few = Small with { Sampling = Sampling.Same(new() { PerBin = 1, Negatives = 5 }) };
        Run(few);
        Run(few, "again/out");
        Run(few with { Seed = 7 }, "other");
        Assert.That(Files("again/out"), Is.EqualTo(Files()));
        Assert.That(Table("other").Select(r => r["id"]), Is.Not.EqualTo(Table().Select(r => r["id"])));
        Assert.That(Table().Count(r => r["label"] == "0"), Is.EqualTo(15));
        foreach (IGrouping<string, Dictionary<string, string>> bin in Table().Where(r => r["label"] == "1").GroupBy(r =>
            $"{r["split"]} {Math.Min(19, (int)(double.Parse(r["tumour_percentage"]) / 5))}"))
            Assert.That(bin.Count(), Is.EqualTo(1), bin.Key);
        Assert.That(Table().Where(r => r["label"] == "1").Select(r => double.Parse(r["tumour_percentage"])),
            Is.All.GreaterThanOrEqualTo(20));
    }

    [Test]
    public void Again_NothingIsMade_AndOtherOptionsAreRefused()
    {
        CopyWhole();
        string[] before = Times();
        PrepareResult again = Run(Small);
        Assert.That(again.Made, Is.Zero);
        Assert.That(Times(), Is.EqualTo(before));
        Assert.That(() => Run(Small with { Size = 96, Sampling = Sampling.Same(new() { PerBin = 5 }) }),
            Throws.TypeOf<RunException>().With.Message.Contains("options.size was 64, now 96")
                .And.Message.Contains("per_bin was 2, now 5"));
        Assert.That(() => Run(Small, split: "1,0,0"), Throws.TypeOf<RunException>()
            .With.Message.Contains("options.split").And.Message.Contains("slides.näme"));
        Assert.That(Times(), Is.EqualTo(before));

        string[] Times() => [.. Directory.GetFiles(Out(), "*", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal).Select(f => $"{f} {File.GetLastWriteTimeUtc(f):O}")];
    }

    [TestCase("looking for tissue", 1)]
    [TestCase("cutting patches", 0)]
    [TestCase("cutting patches", 20)]
    public void Cancelled_TheSameCallGoesOn_ToTheSameBytes(string work, int after)
    {
        using CancellationTokenSource source = new();
        Observer stops = new()
        {
            Progress = (what, done) =>
            {
                if (what == work && done == after) source.Cancel();
            },
        };
        Assert.That(() => Run(Small, "out", observer: stops, cancel: source.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.Exists(Path.Combine(Out(), "patches.csv")), Is.False);
        int made = Directory.GetFiles(Out(), "*_?.png", SearchOption.AllDirectories).Length;
        if (after > 1) Assert.That(made, Is.GreaterThanOrEqualTo(after));
        Directory.CreateDirectory(Path.Combine(Out(), "train", "image")); // as a killed process leaves them
        File.WriteAllText(Path.Combine(Out(), "train", "image", ".half.png.tmp"), "half");
        Directory.CreateDirectory(Path.Combine(Out(), "scan", ".näme 0.tmp"));
        PrepareResult result = Run(Small);
        Assert.That(result.Made, Is.LessThanOrEqualTo(result.Patches));
        string[] files = Files();
        if (work == "looking for tissue") Assert.That(files, Has.None.Contains(".tmp"));
        Assert.That(files, Is.EqualTo(Files(Whole)));
    }

    [Test]
    public void BadSlides_AreReported_OthersGoOn_AndRepairedOnesJoin()
    {
        string slides = Path.Combine(_folder, "slides");
        CopySlides(slides);
        string one = Path.Combine(slides, "näme 1.tif"), note = Path.Combine(slides, "näme 2.xml");
        (byte[] slide, string xml) = (File.ReadAllBytes(one), File.ReadAllText(note));
        File.WriteAllBytes(one, slide[..(slide.Length / 2)]);
        File.WriteAllText(note, xml.Replace("X=\"", "X=\"x", StringComparison.Ordinal));
        Observer observer = new();
        PrepareResult result = Run(Small, observer: observer, slides: slides);
        Assert.That(result.Slides.Count(s => s.Failure is not null), Is.EqualTo(2));
        Assert.That(result.Slides[1].Failure, Does.Contain("näme 1.tif"));
        Assert.That(result.Slides[2].Failure, Does.Contain("is no coordinate"));
        Assert.That(observer.Notes, Has.Exactly(1).StartsWith("näme 1: ").And.Exactly(1).StartsWith("näme 2: "));
        Assert.That(Table().Select(r => r["slide"]).Distinct(), Is.SubsetOf(new[] { "näme 0", "näme 3" }));
        Assert.That(Table(file: "slides.csv")[2]["failure"], Does.Contain("coordinate"));

        File.WriteAllBytes(one, slide);
        File.WriteAllText(note, xml);
        Assert.That(Run(Small, slides: slides).Slides.Select(s => s.Failure), Is.All.Null);
        Assert.That(Files(), Is.EqualTo(Files(Whole)));
    }

    [Test]
    public void Slide_DamagedBetweenThePasses_IsLeftOut_WithAllItsPatches()
    {
        string slides = Path.Combine(_folder, "slides");
        CopySlides(slides);
        Observer observer = new()
        {
            Progress = (what, done) =>
            {
                if (what != "cutting patches" || done != 0) return;
                using FileStream file = File.OpenWrite(Path.Combine(slides, "näme 0.tif"));
                file.SetLength(20_000);
            },
        };
        PrepareResult result = Run(Small, observer: observer, slides: slides);
        Assert.That(result.Slides.Select(s => s.Failure is not null), Is.EqualTo(new[] { true, false, false, false }));
        Assert.That(Table().Select(r => r["slide"]).Distinct(), Has.None.EqualTo("näme 0"));
        Assert.That(Directory.GetFiles(Out(), "näme 0*", SearchOption.AllDirectories)
            .Where(f => f.Contains("image") || f.Contains("mask") || f.Contains("sheets")), Is.Empty);
        Assert.That(result.Patches, Is.EqualTo(Table().Length));
    }

    // Its directories are at the head of the file, so that it goes on to be open.
    [Test]
    public void Slide_CutOffWhileItIsRead_IsLeftOut_WithAllItsPatches()
    {
        string cut = Table(Whole)[0]["slide"]; // the first whose patches are cut
        string slides = Path.Combine(_folder, "slides");
        CopySlides(slides);
        Observer observer = new()
        {
            Progress = (what, done) =>
            {
                if (what != "cutting patches" || done != 1) return;
                using FileStream file = File.OpenWrite(Path.Combine(slides, cut + ".tif"));
                file.SetLength(file.Length / 8);
            },
        };
        PrepareResult result = Run(Small, observer: observer, slides: slides);
        PreparedSlide failed = result.Slides.Single(s => s.Failure is not null);
        Assert.That(failed.Slide, Is.EqualTo(cut));
        Assert.That(failed.Failure, Does.Contain(cut + ".tif"));
        Assert.That(observer.Notes, Has.Exactly(1).StartsWith(cut + ": "));
        Assert.That(Directory.GetFiles(Out(), cut + "_*", SearchOption.AllDirectories), Is.Empty);
        Assert.That(Table().Select(r => r["id"]), Is.EqualTo(Table(Whole).Where(r => r["slide"] != cut)
            .Select(r => r["id"])));
        File.Copy(Path.Combine(_slides, cut + ".tif"), Path.Combine(slides, cut + ".tif"), overwrite: true);
        Run(Small, slides: slides);
        Assert.That(Files(), Is.EqualTo(Files(Whole)), "the same call, with the slide whole");
    }

    [Test]
    public void Slide_GoneWhenAllIsDone_KeepsItsPatches()
    {
        string slides = Path.Combine(_folder, "slides");
        CopySlides(slides);
        Observer observer = new();
        IReadOnlyList<PrepareSlide> found = PrepareSlides.Find([slides], [], null, false, observer);
        PrepareResult Again() => Preparation.Run(new PrepareFolder(Out()), found, SlideSplit.Parse("0.5,0.25,0.25"),
            Small, observer, observer.Warn);
        CopyWhole();
        File.Delete(Path.Combine(slides, "näme 1.tif"));
        Assert.That(Again().Patches, Is.EqualTo(_whole.Patches));
        string image = Path.Combine(Out(), Table().First(r => r["slide"] == "näme 1")["image"]);
        File.Delete(image);
        Assert.That(Again().Slides[1].Failure, Does.Contain("näme 1.tif"));
        Assert.That(Table().Length, Is.LessThan(_whole.Patches));
    }

    [Test]
    public void Slide_ThatIsAnotherOfTheSameSize_IsLookedAtAgain()
    {
        string slides = Path.Combine(_folder, "slides"), changed = Path.Combine(slides, "näme 1.tif");
        CopySlides(slides);
        CopyWhole();
        File.WriteAllBytes(changed, new byte[new FileInfo(changed).Length]);
        Assert.That(Run(Small, slides: slides).Slides[1].Failure, Does.Contain("näme 1.tif"));
        Assert.That(Table().Select(r => r["slide"]), Has.None.EqualTo("näme 1"));
    }

    void CopySlides(string to, int count = Slides)
    {
        Directory.CreateDirectory(to);
        for (int i = 0; i < count; i++)
            foreach (string ending in new[] { ".tif", ".xml" })
                File.Copy(Path.Combine(_slides, $"näme {i}{ending}"), Path.Combine(to, $"näme {i}{ending}"));
    }


    void CopyWhole()
    {
        foreach (string file in Directory.GetFiles(Whole, "*", SearchOption.AllDirectories))
        {
            string to = Path.Combine(Out(), Path.GetRelativePath(Whole, file));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }
    }

    // One slide of uniform tissue with annotations of one's own.
    string Annotated(string name, params SlidePolygon[] tumour)
    {
        string folder = Path.Combine(_folder, "annotated");
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(_slides, "näme 0.tif"), Path.Combine(folder, name + ".tif"));
        using FileStream xml = File.Create(Path.Combine(folder, name + ".xml"));
        AsapXml.Write(xml, [.. tumour.Select(t => new Annotation("", AnnotationKind.Polygon, "Tumor", [t], []))]);
        return folder;
    }

    static SlidePolygon Ring(params (double X, double Y)[] points) =>
        new([.. points.Select(p => new SlidePoint(p.X, p.Y))]);

    [Test]
    public void Annotations_OutsideOrCrossing_AreCut_AndSaid()
    {
        SlidePolygon beyond = Ring((Width - 300, 50), (1400, 50), (1400, 250), (Width - 300, 250));
        SlidePolygon outside = Ring((2000, 2000), (2100, 2000), (2100, 2100));
        SlidePolygon crossing = Ring((100, 300), (400, 500), (400, 300), (100, 500));
        string folder = Annotated("cut", beyond, outside, crossing);
        Observer observer = new();
        PrepareResult result = Run(Small, split: "1,0,0", observer: observer, slides: folder);
        Assert.That(result.Slides[0].Failure, Is.Null);
        const string Area = "cut: 1 area of tumour lies ";
        Assert.That(observer.Notes, Has.One.EqualTo(Area + "partly outside of the slide, cut at its edge"));
        Assert.That(observer.Notes, Has.One.EqualTo(Area + "outside of the slide, left out"));
        Assert.That(observer.Notes, Has.One.StartsWith("cut: 1 area of tumour crosses itself"));
        double mm2 = double.Parse(Table(file: "slides.csv")[0]["tumour_mm2"]);
        Assert.That(mm2, Is.EqualTo((300 * 200 + 300 * 200 / 2) / 1e6).Within(1).Percent);
    }

    [Test]
    public void Annotations_AllOutside_AreAnothersSlide()
    {
        string folder = Annotated("other", Ring((2000, 2000), (2100, 2000), (2100, 2100)));
        PrepareResult result = Run(Small, split: "1,0,0", slides: folder);
        Assert.That(result.Slides[0].Failure, Does.Contain("lie outside").And.Contain("another resolution"));
        Assert.That(Table(), Is.Empty);
    }

    [Test]
    public void SlidesAndAnnotations_ThatDoNotMatch_AreListed()
    {
        string folder = Path.Combine(_folder, "some");
        CopySlides(folder);
        File.Move(Path.Combine(folder, "näme 0.xml"), Path.Combine(folder, "name 0.xml"));
        Observer observer = new();
        IReadOnlyList<PrepareSlide> found = PrepareSlides.Find([folder], [], null, false, observer);
        Assert.That(found.Select(s => s.File.Name), Is.EqualTo(new[] { "näme 1", "näme 2", "näme 3" }));
        Assert.That(observer.Notes, Has.One.StartsWith("without annotations, left out: näme 0;"));
        Assert.That(observer.Notes, Has.One.EqualTo("annotations of none of the slides: name 0.xml"));
        Assert.That(PrepareSlides.Find([folder], [], null, true, observer)[0].IsNormal);

        string list = Path.Combine(folder, "normal.txt");
        File.WriteAllText(list, "näme 0.tif\nnäme 1.tif\n");
        found = PrepareSlides.Find([folder], [list], null, false, observer);
        Assert.That(found.Select(s => s.IsNormal), Is.EqualTo(new[] { true, true, false, false }));
        PrepareResult result = Preparation.Run(new PrepareFolder(Directory.CreateDirectory(Out()).FullName), found,
            SlideSplit.Parse("1,0,0"), Small, observer, observer.Warn);
        Assert.That(result.Slides[0].Failure, Is.Null);
        Assert.That(result.Slides[0].Positives, Is.Zero);
        Assert.That(result.Slides[1].Failure, Does.Contain("is said to be without tumour"));
    }

    [Test]
    public void Sheets_ShowEachSlide_OnOnePage()
    {
        string page = File.ReadAllText(Path.Combine(Whole, "sheets", "index.html"));
        Assert.That(() => System.Xml.Linq.XDocument.Parse(page.Replace("<!DOCTYPE html>", "")), Throws.Nothing);
        foreach (string name in Enumerable.Range(0, 4).Select(i => $"näme {i}"))
        {
            string sheet = Path.Combine(Whole, "sheets", name + ".png");
            Assert.That(page, Does.Contain(Uri.EscapeDataString(name + ".png")));
            Raster picture = ImageReader.ReadRgb(sheet), plain = ImageReader.ReadRgb(
                Path.Combine(Whole, "scan", name, "picture.png"));
            Assert.That((picture.Width, picture.Height), Is.EqualTo((Width, Height)));
            // the corner of a patch of this slide has the patches' colour
            Dictionary<string, string> row = Table(Whole).Last(r => r["slide"] == name && r["label"] == "1"
                || r["slide"] == name && name == "näme 3");
            int at = 3 * (int.Parse(row["level0_y"]) * Width + int.Parse(row["level0_x"]));
            byte[] colour = row["label"] == "1" ? [213, 94, 0] : [0, 114, 178];
            Assert.That(picture.Pixels[at..(at + 3)], Is.EqualTo(colour));
            Assert.That(plain.Pixels[at..(at + 3)], Is.Not.EqualTo(colour));
        }
    }

    // What was refused, or came to nothing, does not stand in the way of the corrected call.
    [Test]
    public void Folder_WithoutPatches_IsBegunAnew()
    {
        string folder = Path.Combine(_folder, "some"), table = Path.Combine(_folder, "split.csv");
        CopySlides(folder, 1);
        SynthSlide fine = new(new SynthOptions { Width = 512, Height = 512, Mpp = 0.5, Seed = 9 });
        SynthWriter.WriteSlide(fine, Path.Combine(folder, "fine.tif"));
        File.WriteAllText(table, "slide,split\nanother,train\n");
        Sampling few = Sampling.Same(new() { PerBin = 1, Negatives = 3 });
        PrepareOptions right = Small with { UnannotatedAreNormal = true, Mpp = 1, Sampling = few };
        Assert.That(() => Run(right, split: table, slides: folder), Throws.TypeOf<RunException>()
            .With.Message.Contains("has none of the slides"));
        Assert.That(() => Run(right with { Mpp = null }, split: "1,0,0", slides: folder), Throws.TypeOf<RunException>()
            .With.Message.Contains("(fine) to ").And.Message.Contains("give --mpp"));
        Observer observer = new();
        PrepareResult Again(PrepareOptions options) => Run(options, "out", "1,0,0", observer, slides: folder);
        Assert.That(Again(right with { Mpp = null, Level = 9 }).Slides.Select(s => s.Failure),
            Is.All.Contains("has levels 0 to "));
        Assert.That(Again(right with { Sampling = Sampling.Same(new() { Most = 0, Negatives = 0 }) }).Patches, Is.Zero);
        Assert.That(Again(right).Slides.Select(s => s.Failure), Is.All.Null);
        Assert.That(observer.Notes, Has.Exactly(3).Contains("was begun otherwise and has no patches: begun anew ("));
        Run(right, "never/out", split: "1,0,0", slides: folder);
        Assert.That(Files(), Is.EqualTo(Files("never/out")));
    }

    [Test]
    public void Folder_OfSomethingElse_OrThatCannotBeWritten_IsRefused()
    {
        Directory.CreateDirectory(Out());
        File.WriteAllText(Path.Combine(Out(), "notes.txt"), "mine");
        Assert.That(() => Run(Small), Throws.TypeOf<RunException>().With.Message.Contains("something else"));
        Directory.CreateDirectory(Out("other"));
        Observer blocks = new()
        {
            Progress = (what, done) => File.WriteAllText(Path.Combine(Out("other"), "train"), "in the way"),
        };
        Assert.That(() => Run(Small, "other", observer: blocks), Throws.TypeOf<RunException>()
            .With.Message.StartsWith("cannot write " + Out("other")));
    }
}
