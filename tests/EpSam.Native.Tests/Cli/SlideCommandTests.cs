// epsam slide and epsam slide merge from the outside, with small untrained models on the virtual GPU: what is written,
// kept, refused, and what a broken slide does to the others.
using System.Diagnostics;
using System.Text.Json;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Tests.Models;
using EpSam.Native.Tests.Pipeline;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Cli;

public sealed class SlideCommandTests
{
    string _shared = "", _folder = "";

    [OneTimeSetUp]
    public void MakeModelsAndSlides()
    {
        VipsLibrary.RequireOrSkip();
        _shared = Directory.CreateTempSubdirectory("epsam-slide-").FullName;
        File.WriteAllText(Shared("sizes.json"), TinyData.SamSizes);
        CommandLine made = CommandLine.Run("init", "--model", Shared("sizes.json"), "--out", Shared("sam.safetensors"));
        Assert.That(made.Code, Is.Zero, made.Error);
        MakeRun(Shared("run"));
        made = CommandLine.Run("synth", "--out", Shared("slides"), "--slides", "2", "--size", "600x512", "--mpp", "1",
            "--normal", "0");
        Assert.That(made.Code, Is.Zero, made.Error);
        File.WriteAllText(Shared("slides/broken.svs"), "no slide");
    }

    [OneTimeTearDown]
    public void RemoveThem()
    {
        if (_shared.Length > 0) Directory.Delete(_shared, recursive: true);
    }

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    // A run that has come to its activation maps.
    static void MakeRun(string path)
    {
        RunFolder run = new(path);
        Directory.CreateDirectory(Path.GetDirectoryName(run.Classifier)!);
        PatchClassifierTests.Save(new() { Blocks = [1, 1, 1, 1], Width = 4 }, run.Classifier);
        CamMaskRule rule = new() { Percentile = 50, Opening = 1 };
        RunConfig config = new()
        {
            Classifier = new() { Size = 64 }, Cam = new() { Rule = "general", General = rule, Scale = 1 },
            Decoder = new() { Points = 70 },
        };
        File.WriteAllText(run.Config, config.ToJson());
        new PatchScale(2, 64).Write(path);
    }

    string Shared(string name) => Path.Combine(_shared, name);

    string In(string name) => Path.Combine(_folder, name);

    CommandLine Slide(params string[] rest) => CommandLine.Run(["slide", Shared("slides"), "--run", Shared("run"),
        "--gpu", "virtual", "--maps-only", "--min-probability", "0", "--no-viewer", .. rest]);

    [Test]
    public void Slides_OfARun_AreSegmented_BrokenOnesSaid_DoneOnesKept()
    {
        CommandLine first = Slide("--out", In("out"));
        Assert.That(first.Code, Is.EqualTo(1), first.Error);
        Assert.That(first.Output, Does.Match(@"synth_0001: \d\.\d\d mm² of tissue, .* mm² of tumour")
            .And.Contain("2 of 3 slides in slides.csv"));
        Assert.That(first.Error, Does.Contain("broken.svs").And.Contain("1 of 3 slides failed")
            .And.Contain("2 micrometres a pixel, tiles of 64 with 16 in common"));
        SlideFolder results = new(In("out/slides/synth_0001"));
        foreach (string path in new[] { results.Mask, results.Probability, results.GeoJson, results.Tiles,
            results.Summary }) Assert.That(path, Does.Exist);
        using (JsonDocument made = JsonDocument.Parse(File.ReadAllText(results.Summary)))
        {
            JsonElement options = made.RootElement.GetProperty("options");
            Assert.That(options.GetProperty("points").GetInt32(), Is.EqualTo(70), "as many as the run had");
            Assert.That(options.GetProperty("min_area").GetDouble(), Is.EqualTo(1000));
        }
        using (Slide mask = EpSam.Imaging.Slides.Slide.Open(results.Mask))
            Assert.That((mask.Levels[0].Width, mask.Levels[0].Height), Is.EqualTo((300, 256)));
        Assert.That(GeoJson.Read(In("out/tumour.geojson")), Has.Count.EqualTo(
            GeoJson.Read(results.GeoJson).Count + GeoJson.Read(In("out/slides/synth_0002/tumour.geojson")).Count));
        string[] tiles = File.ReadAllLines(results.Tiles);
        Assert.That(File.ReadAllLines(In("out/tiles.csv"))[..tiles.Length],
            Is.EqualTo(tiles.Select((t, i) => $"{(i == 0 ? "slide" : "synth_0001")},{t}")));

        DateTime written = File.GetLastWriteTimeUtc(results.Mask);
        CommandLine again = Slide("--out", In("out"), "--json");
        Assert.That(again.Code, Is.EqualTo(1), again.Error);
        Assert.That(again.Error, Does.Contain("2 of 3 slides were done before"));
        Assert.That(File.GetLastWriteTimeUtc(results.Mask), Is.EqualTo(written));
        JsonElement json = JsonDocument.Parse(again.Output).RootElement;
        Assert.That(json.GetProperty("slides").EnumerateArray().Select(s => s.GetProperty("state").GetString()),
            Is.EqualTo(new[] { "failed", "kept", "kept" }));

        CommandLine other = Slide("--out", In("out"), "--threshold", "0.75", "--min-area", "0");
        Assert.That(other.Code, Is.EqualTo(1));
        Assert.That(other.Error, Does.Contain("options.threshold is 0.75, was 0.5")
            .And.Contain("options.min_area is 0, was 1000"));
    }

    [Test]
    public void Shards_MergeToTheBytesOfOneProcess()
    {
        Assert.That(Slide("--out", In("one")).Code, Is.EqualTo(1));
        foreach (string shard in new[] { "3/4", "1/4", "4/4" })
        {
            CommandLine run = Slide("--out", In("four"), "--shard", shard);
            Assert.That(run.Error, Does.Contain("when all shards are done: epsam slide merge"));
            Assert.That(run.Code, Is.EqualTo(shard == "1/4" ? 1 : 0), run.Error);
        }
        CommandLine early = CommandLine.Run("slide", "merge", In("four"));
        Assert.That(early.Code, Is.EqualTo(1));
        Assert.That(early.Error, Does.Contain("1 of 3 slides are missing: synth_0001"));
        Assert.That(Slide("--out", In("four"), "--shard", "2/4").Code, Is.Zero);
        CommandLine merged = CommandLine.Run("slide", "merge", In("four"), "--json");
        Assert.That(merged.Code, Is.EqualTo(1), "one has failed");
        Assert.That(JsonDocument.Parse(merged.Output).RootElement.GetProperty("missing").GetArrayLength(), Is.Zero);
        string[] files = Files(In("one"));
        Assert.That(Files(In("four")), Is.EqualTo(files));
        foreach (string name in files)
            Assert.That(File.ReadAllBytes(In($"four/{name}")), Is.EqualTo(File.ReadAllBytes(In($"one/{name}"))), name);
    }

    [Test]
    public void Files_InsteadOfARun_WithSam()
    {
        CommandLine run = CommandLine.Run("slide", Shared("slides/synth_0001.tif"), "--classifier",
            new RunFolder(Shared("run")).Classifier, "--sam", Shared("sam.safetensors"), "--mpp", "4", "--tile", "64",
            "--overlap", "0", "--points", "3", "--min-probability", "0", "--percentile", "60", "--no-viewer", "--gpu",
            "virtual", "--precision", "fp32", "--out", In("out"));
        Assert.That(run.Code, Is.Zero, run.Error);
        BatchManifest manifest = BatchManifest.Read(new BatchFolder(In("out")));
        JsonElement models = manifest.Settings.GetProperty("models");
        Assert.That(models.GetProperty("sam").GetProperty("path").GetString(), Is.EqualTo(Shared("sam.safetensors")));
        Assert.That(models.GetProperty("precision").GetString(), Is.EqualTo("fp32"));
        Assert.That(models.GetProperty("rule").GetProperty("percentile").GetDouble(), Is.EqualTo(60));
        Assert.That(models.GetProperty("side").GetInt32(), Is.EqualTo(64));
    }

    // A process of its own, killed while it works on the second slide: the next does that one again, and only what was
    // not done. Results are those of a run that was not killed.
    [Test, Category("Slow")]
    public void Killed_OnlyTheSlideAtHand_IsDoneAgain()
    {
        CommandLine made = CommandLine.Run("synth", "--out", In("three"), "--slides", "3", "--size", "700x600",
            "--mpp", "1", "--normal", "0");
        Assert.That(made.Code, Is.Zero, made.Error);
        string[] arguments = ["slide", In("three"), "--run", Shared("run"), "--gpu", "virtual", "--maps-only",
            "--min-probability", "0", "--no-viewer", "--out"];
        CommandLine whole = CommandLine.Run([.. arguments, In("whole")]);
        Assert.That(whole.Code, Is.Zero, whole.Error);

        BatchFolder killed = new(In("killed"));
        string[] done = [];
        for (int tries = 10; done.Length is 0 or 3 && tries > 0; tries--) // on a busy machine the moment may be missed
        {
            RunFolder.Delete(killed.Root);
            KillInTheMiddle([.. arguments, killed.Root], Path.Combine(killed.Slides, ".synth_0002.tmp"));
            done = [.. Directory.GetDirectories(killed.Slides).Select(d => Path.GetFileName(d)!)
                .Where(n => n[0] != '.').Order(StringComparer.Ordinal)];
        }
        Assert.That(done, Has.Length.InRange(1, 2), "it was killed in the middle");
        DateTime kept = File.GetLastWriteTimeUtc(killed.Of("synth_0001").Mask);
        CommandLine again = CommandLine.Run([.. arguments, killed.Root]);
        Assert.That(again.Code, Is.Zero, again.Error);
        Assert.That(File.GetLastWriteTimeUtc(killed.Of("synth_0001").Mask), Is.EqualTo(kept));
        Assert.That(again.Output.Split('\n').Count(l => l.Contains("mm² of tissue", StringComparison.Ordinal)),
            Is.EqualTo(3 - done.Length));
        string[] files = Files(In("whole"));
        Assert.That(Files(killed.Root), Is.EqualTo(files));
        foreach (string name in files)
            Assert.That(File.ReadAllBytes(In($"killed/{name}")), Is.EqualTo(File.ReadAllBytes(In($"whole/{name}"))),
                name);
    }

    static void KillInTheMiddle(string[] arguments, string sign)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in (string[])[typeof(EpSam.Cli.Program).Assembly.Location, .. arguments])
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        while (!Directory.Exists(sign) && !process.HasExited) Thread.Sleep(1);
        process.Kill();
        process.WaitForExit();
    }

    static string[] Files(string folder) => [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(folder, f)).Where(f => !f.StartsWith("log", StringComparison.Ordinal))
        .Order(StringComparer.Ordinal)];

    [TestCase("slide", "give slides")]
    [TestCase("slide a.svs", "give --out DIR")]
    [TestCase("slide a.svs --out o", "give --run RUN")]
    [TestCase("slide a.svs --out o --run r --classifier c", "not both")]
    [TestCase("slide a.svs --out o --run RUN --shard 5/4", "--shard 5/4: expected 1/4 to 4/4")]
    [TestCase("slide a.svs --out o --run RUN --shard half", "--shard half: expected PART/PARTS")]
    [TestCase("slide a.svs --out o --run RUN --overlap 40", "--overlap is 40; expected 0 to half a tile, 32")]
    [TestCase("slide a.svs --out o --run RUN --threshold 0", "--threshold is 0")]
    [TestCase("slide a.svs --out o --run RUN --min-area -5", "--min-area is -5; expected 0 to 1e9 square micrometres")]
    [TestCase("slide a.svs --out o --run RUN --slide-mpp -1", "--slide-mpp is -1")]
    [TestCase("slide a.svs --out o --run RUN --gpu null", "--gpu null computes nothing")]
    [TestCase("slide a.svs --out o --run RUN --maps-only --sam s", "leave out --sam")]
    [TestCase("slide a.svs --out o --run RUN --maps-only --precision fp8", "expected fp32 or bf16")]
    [TestCase("slide a.svs --out o --classifier c", "give --mpp and --tile")]
    [TestCase("slide a.svs --out o --classifier c --mpp 1", "give --tile")]
    [TestCase("slide a.svs --out o --classifier c --mpp 1 --tile 64", "give --sam, or --maps-only")]
    [TestCase("slide a.svs --out o --classifier RUN --mpp 1 --tile 64", "is given with --run")]
    [TestCase("slide merge", "OUT")]
    [TestCase("slide merge a b", "give --out DIR")]
    public void WrongCommandLine_IsUsage(string line, string expected)
    {
        CommandLine run = CommandLine.Run([.. line.Split(' ').Select(w => w == "RUN" ? Shared("run") : w)]);
        Assert.That((run.Code, run.Output), Is.EqualTo((2, "")), run.Error);
        Assert.That(run.Error, Does.Contain(expected));
    }

    [Test]
    public void WhatIsNotThere_IsSaid_AndLeavesNothing()
    {
        Directory.CreateDirectory(In("empty"));
        RunFolder bare = new(In("bare"));
        Directory.CreateDirectory(bare.Root);
        File.WriteAllText(bare.Config, new RunConfig().ToJson());
        (string[] Arguments, string Expected)[] cases =
        [
            ([In("empty"), "--run", Shared("run"), "--maps-only"], "has no slide"),
            ([In("a.svs"), "--run", In("none")], "none is no run: there is no such folder"),
            ([In("a.svs"), "--run", Shared("run"), "--maps-only"], "a.svs does not exist"),
            ([In("a.svs"), "--run", In("none"), "--mpp", "1", "--tile", "64"], "is no run"),
            ([In("a.svs"), "--run", bare.Root, "--mpp", "1", "--tile", "64"], "has no trained classifier"),
            ([In("a.svs"), "--run", Shared("run"), "--sam", In("s.pth")], "has no round0/decoder.safetensors"),
            ([In("a.svs"), "--classifier", In("none.pth"), "--sam", In("s.pth"), "--mpp", "1", "--tile", "64"],
                "none.pth"),
        ];
        foreach ((string[] arguments, string expected) in cases)
        {
            CommandLine run = CommandLine.Run(["slide", "--out", In("out"), "--gpu", "virtual", .. arguments]);
            Assert.That(run.Code, Is.EqualTo(1), run.Error);
            Assert.That(run.Error, Does.Contain(expected));
            Assert.That(run.Error.Trim().Split('\n'), Has.Length.EqualTo(1), run.Error);
        }
        Assert.That(In("out"), Does.Not.Exist);
        CommandLine scale = CommandLine.Run("slide", In("a.svs"), "--run", bare.Root, "--out", In("out"));
        Assert.That(scale.Code, Is.EqualTo(2));
        Assert.That(scale.Error, Does.Contain("has no scale.json").And.Contain("give --mpp and --tile"));
        CommandLine merge = CommandLine.Run("slide", "merge", In("empty"));
        Assert.That((merge.Code, merge.Error), Is.EqualTo((1, $"epsam: {In("empty")} has no run.json: it is no folder "
            + "that epsam slide has written to\n")));
    }

    [Test]
    public void FoldersOfSomethingElse_AreNotWrittenTo()
    {
        Directory.CreateDirectory(In("o/slides"));
        File.Copy(Shared("slides/synth_0001.tif"), In("o/slides/a.tif"));
        File.WriteAllText(In("o/index.html"), "a page of mine");
        CommandLine own = CommandLine.Run("slide", In("o/slides"), "--run", Shared("run"), "--maps-only", "--out",
            In("o"));
        Assert.That(own.Code, Is.EqualTo(2), own.Error);
        Assert.That(own.Error, Does.Contain("where the slides are; choose another"));
        CommandLine run = Slide("--out", In("o"));
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("index.html was not written by epsam slide; choose another --out"));
        File.Move(In("o/index.html"), In("o/slides.csv")); // as epsam synth and epsam prepare call theirs
        Assert.That(Slide("--out", In("o")).Error, Does.Contain("slides.csv was not written by epsam slide"));
        Assert.That(File.ReadAllText(In("o/slides.csv")), Is.EqualTo("a page of mine"));
        Assert.That(Directory.GetFileSystemEntries(In("o")), Has.Length.EqualTo(2));
    }

    [Test]
    public void BrokenModel_StopsAll_AndIsNoSlidesFailure()
    {
        RunFolder run = new(In("run"));
        MakeRun(run.Root);
        File.WriteAllText(run.Classifier, "no checkpoint");
        CommandLine result = CommandLine.Run("slide", Shared("slides"), "--run", run.Root, "--maps-only", "--gpu",
            "virtual", "--out", In("out"));
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("classifier.safetensors"));
        Assert.That(In("out/failed/synth_0001.json"), Does.Not.Exist);
        Assert.That(Directory.GetFileSystemEntries(In("out/slides")), Is.Empty);
        CommandLine mended = Slide("--out", In("out"), "--mpp", "8");
        Assert.That(mended.Output, Does.Contain("2 of 3 slides in slides.csv"), mended.Error);
    }
}
