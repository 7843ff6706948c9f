// epsam prepare from the outside: what is said, exit codes, values out of range, real slides.
using System.Text.Json;
using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Cli;

public sealed class PrepareCommandTests : CommandTests
{
    string Out => Path.Combine(_folder, "out");

    CommandLine Prepare(params string[] more) => CommandLine.Run(["prepare", "--out", Out, .. more]);

    static string Slides(string name)
    {
        string path = RepositoryRoot.File("../shared/data/slides/" + name);
        if (!File.Exists(path) && !Directory.Exists(path)) Assert.Ignore($"{path} is not there");
        return path;
    }

    Dictionary<string, string>[] Table(string file)
    {
        List<string[]> rows = CsvText.Rows(File.ReadAllText(Path.Combine(Out, file)));
        return [.. rows.Skip(1).Select(r => rows[0].Zip(r).ToDictionary(p => p.First, p => p.Second))];
    }

    [Test]
    public void MadeSlides_BecomeADataSet_AsTextAndJson()
    {
        string slides = Path.Combine(_folder, "slides");
        Assert.That(CommandLine.Run("synth", "--out", slides, "--slides", "3", "--size", "700x600", "--mpp", "1",
            "--quiet").Code, Is.Zero);
        string[] arguments = [slides, "--size", "64", "--positives-per-bin", "2", "--split", "0.4,0.3,0.3"];
        CommandLine run = Prepare(arguments);
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(run.Output, Does.Match(@"(?m)^synth_0001: \w+, \d+ patches with tumour, \d+ without$"));
        Assert.That(run.Output, Does.Contain("train: 1 slide, ").And.Contain("sheets/index.html"));
        CommandLine json = Prepare([.. arguments, "--json"]);
        JsonElement root = JsonDocument.Parse(json.Output).RootElement;
        Assert.That(root.GetProperty("made").GetInt32(), Is.Zero);
        Assert.That(root.GetProperty("patches").GetInt32(), Is.EqualTo(Table("patches.csv").Length));
        Assert.That(root.GetProperty("slides").GetArrayLength(), Is.EqualTo(3));
        Assert.That(Prepare([.. arguments, "--quiet"]), Is.EqualTo(new CommandLine(0, "", "")));
        CommandLine other = Prepare([.. arguments, "--seed", "3"]);
        Assert.That(other.Code, Is.EqualTo(1));
        Assert.That(other.Error, Does.Contain("options.seed was 42, now 3"));
        CommandLine one = Prepare(Path.Combine(slides, "synth_0001.tif"));
        Assert.That(one.Code, Is.EqualTo(1));
        Assert.That(one.Error, Does.Contain("1 slide cannot be split by slide into 3 parts"));
    }

    [TestCase("32 to 4096", "--size", "16")]
    [TestCase("give one", "--level", "1", "--mpp", "1")]
    [TestCase("expected skip or normal", "--unannotated", "maybe")]
    [TestCase("LOW-HIGH", "--keep", "90-20")]
    [TestCase("three for train,val,test", "--negatives", "1,2")]
    [TestCase("three for train,val,test", "--positives-per-bin", "few")]
    [TestCase("give one", "--negatives", "5", "--balance", "2")]
    [TestCase("expected general, camelyon16 or camelyon17", "--sampling", "tiger")]
    public void Values_OutOfRange_AreUsageErrors(string expected, params string[] arguments)
    {
        CommandLine run = Prepare(["slide.tif", .. arguments]);
        Assert.That(run.Code, Is.EqualTo(2), run.Error);
        Assert.That(run.Error, Does.Contain(expected));
        Assert.That(Directory.Exists(Out), Is.False);
    }

    [TestCase("add up to 1", "--split", "0.5,0.2,0.2")]
    [TestCase("do not exist", "--annotations", "nowhere")]
    [TestCase("none of the slides has annotations")]
    public void Input_ThatDoesNotFit_IsAnError(string expected, params string[] arguments)
    {
        string slide = Path.Combine(_folder, "slide.tif");
        File.WriteAllText(slide, "no slide");
        CommandLine run = Prepare([slide, .. arguments]);
        Assert.That(run.Code, Is.EqualTo(1), run.Error);
        Assert.That(run.Error, Does.Contain(expected));
        Assert.That(Directory.Exists(Out), Is.False);
    }

    [Test]
    public void MissingSlide_Fails_AndIsNamed()
    {
        string missing = Path.Combine(_folder, "nowhere.svs"), broken = Path.Combine(_folder, "slide.tif");
        CommandLine alone = Prepare(missing);
        Assert.That(alone, Is.EqualTo(new CommandLine(1, "", $"epsam: {missing} does not exist{Environment.NewLine}")));
        Assert.That(Directory.Exists(Out), Is.False);
        File.WriteAllText(broken, "no slide");
        CommandLine run = Prepare(missing, broken, "--unannotated", "normal", "--split", "1,0,0");
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("epsam: nowhere: ").And.Contain("nowhere.svs does not exist"));
    }

    // ASAP's own file, with decimal commas.
    [Test]
    public void RealSlide_WithItsAnnotation_IsCut()
    {
        CommandLine run = Prepare(Slides("asap_packer/example.tif"), "--size", "64", "--split", "1,0,0");
        Assert.That(run.Code, Is.Zero, run.Error);
        Dictionary<string, string> slide = Table("slides.csv")[0];
        Assert.That(double.Parse(slide["tumour_mm2"]), Is.EqualTo(0.0188).Within(0.0002));
        Dictionary<string, string>[] patches = Table("patches.csv");
        Assert.That(patches.Count(p => p["label"] == "1"), Is.GreaterThan(8));
        // the annotated strip lies between these columns and rows
        Dictionary<string, string>[] positives = [.. patches.Where(p => p["label"] == "1")];
        Assert.That(positives.Select(p => int.Parse(p["level0_x"])), Is.All.InRange(260, 544));
        Assert.That(positives.Select(p => int.Parse(p["level0_y"])), Is.All.InRange(260, 640));
    }

    [Test, Category("Slow")]
    public void RealSlides_GoodAndBad_AreAllLookedAt()
    {
        string all = Slides("");
        string[] folders = [.. new[] { "", "asap_packer", "derived", "dicom", "openslide_fixtures", "tiff_edge" }
            .Select(f => Path.Combine(all, f))];
        CommandLine run = Prepare([.. folders, "--unannotated", "normal", "--split", "0.6,0.2,0.2", "--size", "64",
            "--mpp", "1", "--slide-mpp", "0.5", "--negatives", "20", "--json"]);
        Assert.That(run.Code, Is.EqualTo(1), run.Error);
        JsonElement[] slides = [.. JsonDocument.Parse(run.Output).RootElement.GetProperty("slides").EnumerateArray()];
        string? FailureOf(JsonElement slide) =>
            slide.TryGetProperty("failure", out JsonElement failure) ? failure.GetString() : null;
        string? Failure(string name) => FailureOf(slides.Single(s => s.GetProperty("slide").GetString() == name));
        foreach (string good in new[] { "CMU-1-Small-Region", "TCGA-CR-7395-01A-01-TS1", "example", "test_orient6" })
            Assert.That(Failure(good), Is.Null, good);
        foreach (string bad in new[] { "broken", "unopenable", "unreadable" })
        {
            Assert.That(Failure(bad), Does.Contain(bad), bad);
            Assert.That(run.Error, Does.Contain($"epsam: {bad}: "));
        }
        int failed = slides.Count(s => FailureOf(s) is not null);
        Assert.That(run.Error, Does.Contain($"epsam: {failed} of {slides.Length} slides failed"));
        string[] sheets = Directory.GetFiles(Path.Combine(Out, "sheets"), "*.png");
        Assert.That(sheets, Has.Length.EqualTo(slides.Length - failed).And.Some.Contains("😐"));
    }
}
