// epsam slide evaluate from the outside: what meets by name, what is written, what is refused.
using System.Text.Json.Nodes;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Slides;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;
using static EpSam.Native.Tests.Slides.JudgedSet;

namespace EpSam.Native.Tests.Cli;

public sealed class SlideEvaluateCommandTests
{
    JudgedSet _set = null!;

    [SetUp]
    public void Begin() => _set = new JudgedSet();

    [TearDown]
    public void End() => _set?.Dispose();

    static CommandLine Run(params string[] arguments) => CommandLine.Run(["slide", "evaluate", .. arguments]);

    [Test]
    public void Folder_MeetsAnnotationsByName_FiguresInAllThreePlaces()
    {
        _set.Results("a", 0.9, Rectangle(320, 320, 480, 400));
        _set.Results("ü", 0.8, Rectangle(0, 0, 10, 10));
        _set.Results("normal", 0.1);
        _set.Slide("a");
        _set.Annotation("A", Rectangle(320, 320, 480, 480)); // another case
        _set.Annotation("other", Rectangle(0, 0, 10, 10));
        CommandLine run = Run(_set.In("out"), "--annotations", _set.In("truth"), "--slides", _set.In("data"), "--out",
            _set.In("figures.csv"));
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(run.Output, Does.Contain("a: Dice 0.6667").And.Contain("all tissue as tumour: Dice ")
            .And.Contain("chosen with this truth").And.Contain("recall 1.0000 of all pixels"));
        Assert.That(run.Error, Does.Contain("without annotations, left out: normal, ü")
            .And.Contain("annotations of no segmented slide: other.geojson")
            .And.Contain("slides that are not there: normal.tif, ü.tif"));
        List<string[]> rows = CsvText.Rows(File.ReadAllText(_set.In("figures.csv")));
        Assert.That(rows, Has.Count.EqualTo(2));
        Assert.That((rows[1][0], rows[1][^2]), Is.EqualTo(("a", "1")), "colour tells this tumour exactly");
        JsonNode json = JsonNode.Parse(File.ReadAllText(_set.In("figures.json")))!;
        Assert.That((double)json["masks"]!["precision_pooled"]!, Is.EqualTo(1));
        Assert.That(json["notes"]!.AsArray(), Has.Count.EqualTo(3));
    }

    [Test]
    public void SlidesOfOneFileName_MeetTheirOwnResults()
    {
        foreach ((string folder, string name, int right) in new[] { ("x", "one.tif", 480), ("y", "one.tif-2", 400) })
        {
            SlideFolder results = _set.Results(name, 0.9, Rectangle(320, 320, right, 480));
            string slide = _set.In(folder, "one.tif"), made = _set.Slide("one");
            Directory.CreateDirectory(_set.In(folder));
            File.Move(made, slide);
            File.AppendAllText(slide, folder); // other bytes, the same picture
            File.Move(_set.Annotation("one", Rectangle(320, 320, right, 480)), _set.In(folder, "one.geojson"));
            SlideSummary summary = ResultJson.Read<SlideRecord>(results.Summary)!.Summary with { File = "one.tif" };
            File.WriteAllBytes(results.Summary,
                ResultJson.Bytes(new SlideRecord(summary, SlideSource.Of(slide), "x")));
        }
        CommandLine run = Run(_set.In("out"), "--slides", _set.In("x"), _set.In("y"));
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(run.Output, Does.Contain("one.tif: Dice 1.0000").And.Contain("one.tif-2: Dice 1.0000"));
    }

    [Test]
    public void UnannotatedSlides_MayBeNormal()
    {
        _set.Results("a", 0.9, Rectangle(0, 0, 100, 100));
        _set.Results("normal", 0.1, Rectangle(0, 0, 100, 100));
        _set.Annotation("a", Rectangle(0, 0, 100, 100));
        CommandLine run = Run(_set.In("out"), "--annotations", _set.In("truth"), "--unannotated-is-normal", "--json");
        Assert.That(run.Code, Is.Zero, run.Error);
        JsonNode json = JsonNode.Parse(run.Output)!;
        Assert.That((double)json["masks"]!["precision_pooled"]!, Is.EqualTo(0.5));
        Assert.That((int)json["by_slide"]!["false_alarms"]!, Is.EqualTo(1));
        Assert.That((double)json["by_slide"]!["auc"]!, Is.EqualTo(1));
        Assert.That(json["all_tissue"], Is.Null);
    }

    [Test]
    public void OneSlide_WithItsFileOfAnnotations()
    {
        string results = _set.Results("a", 0.9, Rectangle(0, 0, 100, 100)).Root;
        string truth = _set.Annotation("of another name", Rectangle(0, 0, 100, 50));
        Assert.That(Run(results, "--annotations", truth).Output, Does.Contain("a: Dice 0.6667"));
        Assert.That(Run(results + "/", "--annotations", truth).Output, Does.Contain("a: Dice 0.6667"));
        Assert.That(Run(_set.In("out"), "--annotations", truth, "--tumour-groups", "Necrosis").Error,
            Does.Contain("none of its groups").And.Contain("'Tumor'"));
        _set.Results("b", 0.9);
        CommandLine two = Run(_set.In("out"), "--annotations", truth);
        Assert.That((two.Code, two.Error), Is.EqualTo((1, $"epsam: {truth} is one file of annotations for 2 slides; "
            + "give a folder that has one of the same name for each\n")));
    }

    [Test]
    public void AnnotationsBesideTheSlides_AreFound()
    {
        _set.Results("a", 0.9, Rectangle(0, 0, 100, 100));
        string slide = _set.Slide("a");
        File.Move(_set.Annotation("a", Rectangle(0, 0, 100, 100)), _set.In("data", "a.geojson"));
        Assert.That(Run(_set.In("out"), "--slides", slide).Output, Does.Contain("a: Dice 1.0000"));
    }

    [Test]
    public void ABadSlide_FailsAlone()
    {
        _set.Results("a", 0.9, Rectangle(0, 0, 100, 100));
        _set.Annotation("a", Rectangle(0, 0, 100, 100));
        File.Delete(_set.Results("b", 0.9).Mask);
        _set.Annotation("b", Rectangle(0, 0, 100, 100));
        CommandLine run = Run(_set.In("out"), "--annotations", _set.In("truth"));
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.StartWith("epsam: b: ").And.Contain("mask.tif"));
        Assert.That(run.Output, Does.Contain("a: Dice 1.0000").And.Contain("masks of 1 slide:"));
    }

    [Test]
    public void WhatIsMissing_IsNamed()
    {
        _set.Results("a", 0.9);
        Assert.That(Run(_set.In("out")).Error, Does.Contain("--annotations"));
        Assert.That(Run(_set.In("out"), "--annotations", _set.In("none")).Error, Does.Contain("do not exist"));
        Assert.That(Run(_set.In("out"), "--annotations", _set.In("truth"), "--slides", "nowhere").Error,
            Does.Contain("nowhere does not exist"));
        Assert.That(Run(_set.In("data"), "--annotations", _set.In("truth")).Error,
            Does.Contain("has no segmented slides"));
        CommandLine none = Run(_set.In("out"), "--annotations", _set.In("truth"));
        Assert.That((none.Code, none.Error), Is.EqualTo((1, $"epsam: none of the 1 slides in {_set.In("out")} has "
            + $"annotations: a.xml or a.geojson was looked for in {_set.In("truth")}\n")));
    }
}
