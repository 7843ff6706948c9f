// epsam synth from the outside: what is written, what is kept, what is refused, what cancelling leaves.
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Slides;
using EpSam.Slides.Synth;

namespace EpSam.Native.Tests.Cli;

public sealed class SynthCommandTests : CommandTests
{
    string In(string name) => Path.Combine(_folder, "out", name);

    CommandLine Synth(params string[] more) =>
        CommandLine.Run(["synth", "--out", Path.Combine(_folder, "out"), "--size", "700x600", .. more]);

    string[] Files() => [.. Directory.GetFiles(Path.Combine(_folder, "out")).Select(f => Path.GetFileName(f)!)
        .Order(StringComparer.Ordinal)];

    [Test]
    public void Slides_AreWritten_WithAnnotationsAndATable()
    {
        CommandLine run = Synth("--slides", "2", "--normal", "0.5", "--mpp", "1");
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(Files(), Is.EqualTo(new[]
            { "slides.csv", "synth_0001.tif", "synth_0001.xml", "synth_0002.tif", "synth_0002.xml" }));
        Assert.That(run.Output.Trim().Split('\n'), Has.Length.EqualTo(2));
        string[][] rows = [.. File.ReadAllLines(In("slides.csv")).Select(l => l.Split(','))];
        Assert.That(rows[2][1], Is.EqualTo("synth_0002.xml"));
        Assert.That(double.Parse(rows[1][8]), Is.Positive);
        Assert.That(double.Parse(rows[2][8]), Is.Zero);
        Assert.That(AsapXml.Read(In("synth_0002.xml")), Is.Empty);
        double area = TumourAreas.Read(In("synth_0001.xml")).Tumour.Sum(p => p.Area);
        Assert.That(double.Parse(rows[1][8]), Is.EqualTo(area / 1e6).Within(1e-6));

        using Slide slide = Slide.Open(In("synth_0001.tif"));
        Assert.That((slide.Levels[0].Width, slide.Levels[0].Height), Is.EqualTo((700, 600)));
        Assert.That(slide.Levels, Has.Count.GreaterThan(1));
        Assert.That(slide.MppX, Is.EqualTo(1).Within(1e-3));
        byte[] made = new SynthSlide(new SynthSet { Width = 700, Height = 600, Mpp = 1, Normal = 0.5 }.Slide(0))
            .Render(200, 200, 256, 256);
        byte[] read = slide.ReadRegion(0, 200, 200, 256, 256).Pixels;
        double difference = made.Zip(read, (a, b) => Math.Abs(a - b)).Average();
        Assert.That(difference, Is.LessThan(6), "JPEG's loss");
    }

    [Test]
    public void Rerun_KeepsWhatIsComplete_MakesWhatIsNot()
    {
        Assert.That(Synth("--slides", "2").Code, Is.Zero);
        byte[] before = File.ReadAllBytes(In("synth_0001.tif"));
        DateTime kept = File.GetLastWriteTimeUtc(In("synth_0002.tif"));
        File.Delete(In("synth_0001.tif"));
        CommandLine again = Synth("--slides", "3");
        Assert.That(again.Code, Is.Zero, again.Error);
        Assert.That(again.Error, Does.Contain("1 of 3 slides are there"));
        Assert.That(File.ReadAllBytes(In("synth_0001.tif")), Is.EqualTo(before));
        Assert.That(File.GetLastWriteTimeUtc(In("synth_0002.tif")), Is.EqualTo(kept));
        Assert.That(File.ReadAllLines(In("slides.csv")), Has.Length.EqualTo(4));

        CommandLine other = Synth("--slides", "3", "--seed", "2");
        Assert.That(other.Code, Is.EqualTo(1));
        Assert.That(other.Error, Does.Contain("made otherwise").And.Contain("another --out"));
    }

    [Test]
    public void Killed_WhatItLeft_IsRemoved_AndTwoAtOnceAreRefused()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "out"));
        File.WriteAllText(In(".synth_0001.tif.abc.raw.tmp"), "half");
        using (new FileStream(In(".synth.lock"), FileMode.Create, FileAccess.Write, FileShare.None))
        {
            CommandLine refused = Synth("--slides", "1");
            Assert.That(refused.Code, Is.EqualTo(1));
            Assert.That(refused.Error, Does.Contain("another epsam synth"));
        }
        CommandLine run = Synth("--slides", "1");
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(Files(), Is.EqualTo(new[] { "slides.csv", "synth_0001.tif", "synth_0001.xml" }));
    }

    [Test]
    public void Cancelled_LeavesNothingHalfWritten()
    {
        using CancellationTokenSource source = new();
        source.CancelAfter(TimeSpan.FromMilliseconds(150));
        StringWriter output = new(), error = new();
        int code = EpSam.Cli.Program.Run(["synth", "--out", Path.Combine(_folder, "out"), "--size", "6000x6000"],
            output, error, source.Token);
        Assert.That(code, Is.EqualTo(130), error.ToString());
        Assert.That(Directory.GetFileSystemEntries(Path.Combine(_folder, "out")), Is.Empty);
    }

    [TestCase("512 to 200000 pixels", "--size", "100x600")]
    [TestCase("WIDTHxHEIGHT", "--size", "big")]
    [TestCase("LOW-HIGH", "--tumour", "0.4-0.1")]
    [TestCase("LOW-HIGH", "--tumour", "0.9")]
    [TestCase("give 0 to 1", "--normal", "2")]
    [TestCase("1 to 9999", "--slides", "0")]
    [TestCase("0.1 to 2", "--mpp", "5")]
    public void Values_OutOfRange_AreUsageErrors(string expected, params string[] arguments)
    {
        CommandLine run = CommandLine.Run(["synth", "--out", Path.Combine(_folder, "out"), .. arguments]);
        Assert.That(run.Code, Is.EqualTo(2));
        Assert.That(run.Error, Does.Contain(expected));
        Assert.That(Directory.Exists(Path.Combine(_folder, "out")), Is.False);
    }

    [Test]
    public void FolderOfSomethingElse_IsRefused()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "out"));
        File.WriteAllText(In("slides.csv"), "image,label\na.png,1\n");
        CommandLine run = Synth();
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("was not made by epsam synth"));
    }
}
