// Many slides without a model: what is skipped, recorded, left and refused.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Batch;

public sealed class SlideBatchTests
{
    BatchRig _rig = null!;

    [SetUp]
    public void MakeRig() => _rig = new BatchRig();

    [TearDown]
    public void RemoveRig() => _rig.Dispose();

    string[] Names(string folder) => !Directory.Exists(folder) ? []
        : [.. Directory.GetFileSystemEntries(folder).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    [Test]
    public void Slides_AreDone_InOrderOfName_AndKeptByTheNextCall()
    {
        SlideFile[] slides = _rig.Slides("b", "a");
        List<string> told = [];
        IReadOnlyList<SlideOutcome> first = _rig.Run(slides);
        Assert.That(first.Select(o => (o.File.Name, o.State)),
            Is.EqualTo(new[] { ("a", SlideState.Done), ("b", SlideState.Done) }));
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { "a", "b" }));
        SlideRecord record = SlideRecord.Read(_rig.Out().Of("a"));
        Assert.That(record.Summary, Is.EqualTo(first[0].Summary));
        Assert.That(record.Key, Is.EqualTo(_rig.Settings.Key));
        Assert.That(record.Source, Is.EqualTo(SlideSource.Of(slides[1].Path)));

        IReadOnlyList<SlideOutcome> second = _rig.Run(_rig.Slides("b", "a", "c"));
        Assert.That(second.Select(o => o.State),
            Is.EqualTo(new[] { SlideState.Kept, SlideState.Kept, SlideState.Done }));
        Assert.That(second[0].Summary, Is.EqualTo(first[0].Summary));
        Assert.That(_rig.Segmented, Is.EqualTo(new[] { "a", "b", "c" }));
        Assert.That(BatchManifest.Read(_rig.Out()).Slides.Select(s => s.Name), Is.EqualTo(new[] { "a", "b", "c" }));
        string[] log = File.ReadAllLines(_rig.Out().Log(Shard.All));
        Assert.That(log.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("event").GetString()),
            Is.EqualTo(new[] { "begin", "done", "done", "end", "begin", "done", "end" }));
    }

    static IEnumerable<Exception> Failures() =>
    [
        new ImagingException(ImagingError.Damaged, "truncated"), new SlideException("no scale"),
        new IOException("gone"), new UnauthorizedAccessException("not yours"), new FileNotFoundException("vanished"),
        new OverflowException("too large"),
    ];

    [TestCaseSource(nameof(Failures))]
    public void FailingSlide_IsRecorded_TheRestGoOn_AndItIsTriedAgain(Exception failure)
    {
        bool isBroken = true;
        _rig.Midway = (file, _) =>
        {
            if (isBroken && file.Name == "b") throw failure;
        };
        SlideFile[] slides = _rig.Slides("a", "b", "c");
        IReadOnlyList<SlideOutcome> outcomes = _rig.Run(slides);
        Assert.That(outcomes.Select(o => o.State),
            Is.EqualTo(new[] { SlideState.Done, SlideState.Failed, SlideState.Done }));
        Assert.That(outcomes[1].Error, Is.EqualTo($"{slides[1].Path}: {failure.Message}"));
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { "a", "c" }));
        JsonElement record = JsonDocument.Parse(File.ReadAllText(_rig.Out().Failure("b"))).RootElement;
        Assert.That(record.GetProperty("error").GetString(), Is.EqualTo(outcomes[1].Error));

        isBroken = false;
        outcomes = _rig.Run(slides);
        Assert.That(outcomes.Select(o => o.State),
            Is.EqualTo(new[] { SlideState.Kept, SlideState.Done, SlideState.Kept }));
        Assert.That(_rig.Out().Failure("b"), Does.Not.Exist);
    }

    [Test]
    public void MissingFile_IsThatSlidesFailure()
    {
        SlideFile[] slides = [.. _rig.Slides("a"), new SlideFile(Path.Combine(_rig.Root, "none.svs"), "none")];
        IReadOnlyList<SlideOutcome> outcomes = _rig.Run(slides);
        Assert.That(outcomes[1].State, Is.EqualTo(SlideState.Failed));
        Assert.That(outcomes[1].Error, Does.Contain("none.svs"));
        File.Delete(slides[0].Path);
        Assert.That(_rig.Run(slides[..1])[0].State, Is.EqualTo(SlideState.Kept), "the slide is gone, its results not");
    }

    [TestCase(28)]
    [TestCase(122)]
    public void FullDisk_StopsAll_AndLeavesNothingHalfWritten(int code)
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("error numbers of Linux");
        bool isFull = true;
        _rig.Midway = (file, _) =>
        {
            if (isFull && file.Name == "b") throw new InvalidOperationException("x", new IOException("No space", code));
        };
        BatchException e = Assert.Throws<BatchException>(() => _rig.Run(_rig.Slides("a", "b", "c")))!;
        Assert.That(e.Message, Does.Contain("disk is full").And.Contain("the same command goes on"));
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { "a" }));
        Assert.That(Names(Path.Combine(_rig.Out().Root, "failed")), Is.Empty);
        Assert.That(_rig.Segmented, Is.EqualTo(new[] { "a" }));
        isFull = false;
        _rig.Run(_rig.Slides("a", "b", "c"));
        Assert.That(_rig.Segmented, Is.EqualTo(new[] { "a", "b", "c" }));
    }

    [Test]
    public void ErrorsOfTheProgram_AreNoSlidesFailures()
    {
        _rig.Midway = (_, _) => throw new InvalidOperationException("a bug");
        Assert.Throws<InvalidOperationException>(() => _rig.Run(_rig.Slides("a")));
        _rig.Midway = (_, _) => throw new ImagingException(ImagingError.LibraryMissing, "no libvips");
        Assert.Throws<ImagingException>(() => _rig.Run(_rig.Slides("a")));
        Assert.That(Names(_rig.Out().Slides), Is.Empty);
    }

    [Test]
    public void Cancelled_TheSlideAtHand_LeavesNothing()
    {
        using CancellationTokenSource source = new();
        _rig.Midway = (file, _) =>
        {
            if (file.Name == "b") source.Cancel();
        };
        Assert.Throws<OperationCanceledException>(() => _rig.Run(_rig.Slides("a", "b", "c"), cancel: source.Token));
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { "a" }));
        Assert.That(File.ReadAllText(_rig.Out().Log(Shard.All)), Does.Contain("\"event\":\"end\"").And
            .Contain("stopped"));
    }

    [Test]
    public void WhatAKilledProcessLeft_IsRemoved_ForOwnSlidesOnly()
    {
        SlideFile[] slides = _rig.Slides("a", "b");
        foreach (SlideFile slide in slides)
        {
            string left = _rig.Out().Temporary(slide.Name);
            Directory.CreateDirectory(left);
            File.WriteAllText(Path.Combine(left, "tiles.csv"), "half");
        }
        _rig.Run(slides, new Shard(0, 2));
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { ".b.tmp", "a" }));
        _rig.Run(slides);
        Assert.That(Names(_rig.Out().Slides), Is.EqualTo(new[] { "a", "b" }));
    }

    [Test]
    public void SlideOfAnotherProcess_IsLeftToIt()
    {
        SlideFile[] slides = _rig.Slides("a", "b");
        _rig.Midway = (file, _) =>
        {
            if (file.Name != "a") return;
            _rig.Midway = (_, _) => { };
            IReadOnlyList<SlideOutcome> other = _rig.Run(slides);
            Assert.That(other.Select(o => o.State), Is.EqualTo(new[] { SlideState.Busy, SlideState.Done }));
        };
        IReadOnlyList<SlideOutcome> outcomes = _rig.Run(slides);
        Assert.That(outcomes.Select(o => o.State), Is.EqualTo(new[] { SlideState.Done, SlideState.Kept }));
        Assert.That(_rig.Segmented, Is.EqualTo(new[] { "b", "a" }));
    }

    [Test]
    public void OtherModelsOrOptions_AreRefused_WithWhatDiffers()
    {
        SlideFile[] slides = _rig.Slides("a");
        _rig.Run(slides);
        BatchSettings before = _rig.Settings;
        _rig.Settings = before with { Options = before.Options with { Threshold = 0.75, Tile = 128 } };
        BatchException e = Assert.Throws<BatchException>(() => _rig.Run(slides))!;
        Assert.That(e.Message, Does.Contain("options.threshold is 0.75, was 0.5")
            .And.Contain("options.tile is 128, was 64").And.Contain("another --out"));
        _rig.Settings = before with
        {
            Models = before.Models with { Classifier = before.Models.Classifier with { Sha256 = "bb" } },
        };
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run(slides))!.Message,
            Does.Contain("models.classifier.sha256"));
        _rig.Settings = before with
        {
            Models = before.Models with { Classifier = before.Models.Classifier with { Path = "/elsewhere" } },
        };
        Assert.That(_rig.Run(slides)[0].State, Is.EqualTo(SlideState.Kept), "the same file in another place");
    }

    // As the message of a slide without a scale asks for, beside slides that have one and are done.
    [Test]
    public void SlideMpp_GivenLater_IsOfSlidesThatNeedIt()
    {
        SlideFile[] slides = _rig.Slides("a", "b");   // 0.25 micrometres a pixel, the rig says
        BatchSettings With(double? mpp) =>
            _rig.Settings with { Options = _rig.Settings.Options with { SlideMpp = mpp } };
        _rig.Run(slides[..1]);
        _rig.Settings = With(0.25);
        Assert.That(_rig.Run(slides).Select(o => o.State), Is.EqualTo(new[] { SlideState.Kept, SlideState.Done }));
        _rig.Settings = With(null);
        Assert.That(_rig.Run(slides).Select(o => o.State), Is.All.EqualTo(SlideState.Kept));
        _rig.Settings = With(0.5);
        Assert.That(_rig.Run(slides[..1])[0].State, Is.EqualTo(SlideState.Kept), "it told its scale itself");
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run(slides))!.Message,
            Does.Contain("b was made with --slide-mpp 0.25"));
    }

    [Test]
    public void OneFile_UnderTwoNames_IsRefused()
    {
        SlideFile[] slides = _rig.Slides("a");
        _rig.Run(slides);
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run([slides[0] with { Name = "a.tif" }]))!.Message,
            Does.Contain("a.tif is a in ").And.Contain("choose another --out"));
    }

    [Test]
    public void AnotherFileOfTheSameName_AndForeignFolders_AreRefused()
    {
        SlideFile[] slides = _rig.Slides("a", "b");
        _rig.Run(slides);
        File.WriteAllText(slides[1].Path, "SLIDE b");
        BatchException e = Assert.Throws<BatchException>(() => _rig.Run(slides))!;
        Assert.That(e.Message, Does.Contain("b was made of another file"));
        File.Delete(_rig.Out().Of("a").Summary);
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run(slides))!.Message, Does.Contain("no complete result"));
        File.WriteAllText(_rig.Out().Manifest, "{ \"classifier\": {} }");
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run(slides))!.Message,
            Does.Contain("was not written by epsam slide"));
    }

    [Test]
    public void OutThatCannotBeWritten_IsSaid()
    {
        File.WriteAllText(_rig.Out().Root, "a file");
        Assert.That(Assert.Throws<BatchException>(() => _rig.Run(_rig.Slides("a")))!.Message,
            Does.Contain("cannot write to").And.Contain(_rig.Out().Root));
    }

    [Test]
    public void Source_IsSizeAndBothEnds()
    {
        const int Mebibyte = 1 << 20;
        byte[] bytes = new byte[3 * Mebibyte];
        string path = Path.Combine(_rig.Root, "large.bin");
        SlideSource Of(int at)
        {
            byte[] changed = [.. bytes];
            if (at >= 0) changed[at] = 1;
            File.WriteAllBytes(path, changed);
            return SlideSource.Of(path);
        }
        SlideSource plain = Of(-1);
        Assert.That(plain.Bytes, Is.EqualTo(3 * Mebibyte));
        foreach (int at in new[] { 0, Mebibyte - 1, 2 * Mebibyte, 3 * Mebibyte - 1 })
            Assert.That(Of(at), Is.Not.EqualTo(plain), $"byte {at}");
        Assert.That(Of(Mebibyte), Is.EqualTo(plain), "the middle is not read");
        bytes = new byte[Mebibyte + 1];
        Assert.That(Of(Mebibyte), Is.Not.EqualTo(Of(-1)));
    }
}
