// Real models, small: what a tile gets is what the classifier, its map and SAM give when they are called one by one; a
// run's folder brings its own models and values.
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tests.Cli;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Tests.Models;
using EpSam.Native.Tests.Pipeline;
using EpSam.Slides;
using EpSam.Slides.Segment;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Slides.Segment;

[Category("Slow")]
public sealed class SlideModelsTests
{
    const int Tile = 80, Side = 64;
    static readonly SlideOptions Options = new()
    {
        Mpp = 0.5, Tile = Tile, Overlap = 16, Points = 7, MinProbability = 0, MinTissue = 0, Viewer = false,
    };

    // the formula classifier's map is everywhere positive: the rule keeps its upper half
    static readonly CamMaskRule Rule = new() { Percentile = 50, Opening = 1, AtMapResolution = true };

    string _folder = "";
    SlideModelFiles _files = null!;
    VirtualGpu.VirtualGpu _card = null!;
    Gpu _gpu = null!;

    [OneTimeSetUp]
    public void MakeModels()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        (string sam, string sizes) = (Path.Combine(_folder, "sam.safetensors"), Path.Combine(_folder, "sizes.json"));
        string classifier = Path.Combine(_folder, "classifier.safetensors");
        File.WriteAllText(sizes, TinyData.SamSizes);
        CommandLine made = CommandLine.Run("init", "--model", sizes, "--out", sam);
        Assert.That(made.Code, Is.Zero, made.Error);
        PatchClassifierTests.Save(new() { Blocks = [1, 1, 1, 1], Width = 4 }, classifier);
        _files = new SlideModelFiles
        {
            Classifier = classifier, ClassifierSide = Side, Scale = (double)Side / Tile, Rule = Rule, Sam = sam,
        };
        _card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        _gpu = new Gpu(_card.Driver, _card.Blas);
    }

    [OneTimeTearDown]
    public void RemoveThem()
    {
        if (_gpu is null) return;
        _gpu.MakeCurrent();
        _gpu.Dispose();
        Assert.That(_card.LiveAllocations, Is.Zero, "allocations left");
        Directory.Delete(_folder, recursive: true);
    }

    [SetUp]
    public void MakeCurrent() => _gpu.MakeCurrent();

    static TilePixels Pixels(int number)
    {
        byte[] rgb = SamRig.Picture(Tile, Tile, $"tile{number}"), small = new byte[3 * Side * Side];
        Resample.PillowBilinear(rgb, Tile, Tile, 3, Side, Side, small);
        return new TilePixels(rgb, small);
    }

    [Test]
    public void Classify_SeveralTiles_AreTheClassifiersAnswers()
    {
        TilePixels[] tiles = [.. Enumerable.Range(0, 3).Select(Pixels)];
        using SlideModels models = SlideModels.Load(_gpu, _files, Options);
        float[] probabilities = ((ISlideModels)models).Classify(tiles, default);
        using PatchClassifier classifier = PatchClassifier.Load(_gpu, _files.Classifier);
        Assert.That(probabilities,
            Is.EqualTo(tiles.Select(t => classifier.Classify(t.Small, Side, Side).Probability)).Within(1e-6));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Segment_SeveralTiles_AreMasksOfSamWithPointsOfTheMap(bool unscaled)
    {
        (TilePixels Pixels, ulong Seed)[] tiles = [.. Enumerable.Range(0, 2).Select(i => (Pixels(i), (ulong)i + 5))];
        using SlideModels models = SlideModels.Load(_gpu, _files with { UnscaledPoints = unscaled }, Options);
        byte[]?[] probabilities = ((ISlideModels)models).Segment(tiles, default);
        using PatchClassifier classifier = PatchClassifier.Load(_gpu, _files.Classifier);
        using SamModel sam = SamModel.Load(_gpu, _files.Sam!);
        SamPredictor predictor = new(sam);
        for (int i = 0; i < tiles.Length; i++)
        {
            byte[] rgb = tiles[i].Pixels.Rgb;
            ActivationMap map = classifier.Cam(rgb, Tile, Tile, scale: _files.Scale);
            predictor.SetImage(rgb, Tile, Tile);
            double ratio = unscaled ? (double)Tile / sam.Config.ImageSize : 1; // undoes the predictor's own scaling
            SamPrompt prompt = new()
            {
                Points = [.. map.Points(map.Mask(Rule), Options.Points, tiles[i].Seed)
                    .Select(p => new SamPoint(p.X * ratio, p.Y * ratio))],
            };
            Assert.That(prompt.Points, Has.Count.EqualTo(Options.Points));
            SamPrediction answer = predictor.Predict(prompt, multimask: false);
            float[] logits = predictor.Logits(answer, 0);
            Assert.That(probabilities[i], Is.EqualTo(logits.Select(l => (byte)Math.Round(255 / (1 + Math.Exp(-l)))))
                .Within(1), $"tile {i}");
        }
    }

    [Test]
    public void Segment_MapsOnly_AreTheRulesMasks()
    {
        TilePixels tile = Pixels(0);
        using SlideModels models = SlideModels.Load(_gpu, _files, Options with { MapsOnly = true });
        byte[]? probability = ((ISlideModels)models).Segment([(tile, 1)], default)[0];
        using PatchClassifier classifier = PatchClassifier.Load(_gpu, _files.Classifier);
        byte[] mask = classifier.Cam(tile.Rgb, Tile, Tile, scale: _files.Scale).Mask(Rule);
        Assert.That(mask, Has.Some.EqualTo(0).And.Some.EqualTo(1));
        Assert.That(probability, Is.EqualTo(mask.Select(v => 255 * v)));
        Assert.That((models.Report.SamSha256, models.Inputs.Count), Is.EqualTo(((string?)null, 1)));
    }

    [Test]
    public void Segment_RuleThatKeepsNothing_AsksNobody()
    {
        SlideModelFiles none = _files with { Rule = Rule with { Level = 255 } };
        using SlideModels models = SlideModels.Load(_gpu, none, Options);
        Assert.That(((ISlideModels)models).Segment([(Pixels(0), 1)], default), Is.EqualTo(new byte[]?[] { null }));
    }

    [Test]
    public void Slide_Twice_GivesTheSameBytes_InPlannedMemory()
    {
        using SlideModels models = SlideModels.Load(_gpu, _files, Options);
        byte[][][] runs = [.. Enumerable.Range(0, 2).Select(run =>
        {
            using MemorySlide slide =
                new(120, 80, (x, y, c) => (byte)((c == 0 ? 200 : 60) + (x * 7 + y * 3) % 50), mpp: 0.5);
            string folder = Directory.CreateDirectory(Path.Combine(_folder, $"run{run}")).FullName;
            SlideSummary summary = SlideSegmenter.Run(models, Options, slide, new SlideFile("memory.svs", "memory"),
                folder, tiles => ((IRunObserver)new Silent()).Begin("", tiles, ""), default);
            Assert.That((summary.Tiles, summary.TissueTiles, summary.TumourTiles), Is.EqualTo((2, 2, 2)));
            return Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(File.ReadAllBytes).ToArray();
        })];
        Assert.That(runs[1], Is.EqualTo(runs[0]));
        Assert.That(models.MeasuredPeak, Is.InRange(1, models.PlannedBytes));
    }

    [Test]
    public void Load_BudgetForBoth_IsKeptOrRefused()
    {
        long both;
        using (SlideModels models = SlideModels.Load(_gpu, _files, Options)) both = models.PlannedBytes;
        using (SlideModels models = SlideModels.Load(_gpu, _files with { MemoryBudget = both }, Options))
            Assert.That(models.PlannedBytes, Is.EqualTo(both));
        Assert.Throws<BudgetException>(
            () => SlideModels.Load(_gpu, _files with { MemoryBudget = both - 1 }, Options));
    }

    // --- runs

    RunFolder Run(string name, Func<RunConfig, RunConfig> change, bool hasDecoder = true)
    {
        RunFolder folder = new(Path.Combine(_folder, name));
        RunConfig config = change(RunConfig.FromJson(TinyData.Config));
        RunFolder.Write(folder.Config, System.Text.Encoding.UTF8.GetBytes(config.ToJson()));
        RunFolder.Write(folder.Classifier, File.ReadAllBytes(_files.Classifier));
        if (hasDecoder)
            foreach (int round in new[] { 0, 1 }) RunFolder.Write(folder.Decoder(round), [1]);
        RunInput sam = RunInput.Of(_files.Sam!);
        StageProgress masks = new("masks") { Figures = new Dictionary<string, double> { [CamStage.ScaleFigure] = 2 } };
        new RunProgress(sam, sam, null, [masks]).Write(folder);
        return folder;
    }

    [Test]
    public void OfRun_FinishedRun_BringsItsModelsAndValues()
    {
        RunFolder run = Run("finished", c => c with
        {
            Compat = new() { UnscaledPoints = true, SwappedRedBlue = true }, Cam = c.Cam with { WholeStage = true },
            MemoryBudget = "1GiB", Precision = "bf16",
        });
        SlideModelFiles files = SlideModelFiles.OfRun(run.Root, Options);
        Assert.That(files, Is.EqualTo(new SlideModelFiles
        {
            Classifier = run.Classifier, ClassifierSide = 160, Scale = 2, Sam = _files.Sam, Decoder = run.Decoder(1),
            Rule = new() { Percentile = 30, Opening = 1, AtMapResolution = true }, WholeStage = true,
            UnscaledPoints = true, SwappedRedBlue = false, Precision = EpSam.Native.Tensors.DType.BF16,
            MemoryBudget = 1 << 30,
        }));
        new PatchScale(0.5, 40).Write(run.Root); // patches of 40 were resized to 64; these were cut by us
        files = SlideModelFiles.OfRun(run.Root, Options, sam: "elsewhere.pth");
        Assert.That((files.ClassifierSide, files.SwappedRedBlue, files.Sam), Is.EqualTo((128, true, "elsewhere.pth")));
    }

    [Test]
    public void OfRun_WhatIsMissing_IsSaid()
    {
        string Refused(string folder) =>
            Assert.Throws<RunException>(() => SlideModelFiles.OfRun(folder, Options))!.Message;
        Assert.That(Refused(_folder), Does.Contain("is no run"));
        RunFolder half = Run("half", c => c, hasDecoder: false);
        Assert.That(Refused(half.Root), Does.Contain("has not come to the decoder yet"));
        Assert.That(SlideModelFiles.OfRun(half.Root, Options with { MapsOnly = true }).Sam, Is.Null);
        RunFolder moved = Run("moved", c => c);
        RunProgress progress = RunProgress.Read(moved)!;
        (progress with { Sam = progress.Sam with { Path = "/nowhere/sam.pth" } }).Write(moved);
        Assert.That(Refused(moved.Root), Does.Contain("/nowhere/sam.pth").And.Contain("--sam"));
        RunFolder.Delete(moved.Classifier);
        Assert.That(Refused(moved.Root), Does.Contain("has no trained classifier"));
    }
}
