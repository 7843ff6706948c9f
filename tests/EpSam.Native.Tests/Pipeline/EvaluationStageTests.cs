// The stage that judges, with a small classifier and a small SAM on the virtual GPU: what it puts on the disk, what the
// figures are, and that it may be stopped anywhere.
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Cli;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

[Category("Slow")]
public sealed class EvaluationStageTests
{
    const int Size = 32;

    static readonly SamConfig Model =
        SamRig.Small with { ImageSize = 128, EmbedDim = 48, MlpDim = 96, Depth = 2, GlobalBlocks = [1] };

    string _root = "", _sam = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _root = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        _sam = Path.Combine(_root, "sam.safetensors");
    }

    [TearDown]
    public void RemoveFolder()
    {
        if (_root.Length > 0) Directory.Delete(_root, recursive: true);
    }

    /// <summary>Two images a part; the classifier and the decoders of two rounds are there.</summary>
    MadeUpRun Made(string name)
    {
        MadeUpRun run = new(Path.Combine(_root, name), 2);
        run.Config = run.Config with
        {
            Classifier = run.Config.Classifier with { Width = 8, Size = Size, Batch = 3 },
            Decoder = run.Config.Decoder with { Rounds = 1, Points = 5 },
        };
        run.Masks(withRounds: false);
        Save(new UntrainedResNetAdl(run.Config.Classifier.Model, 5), run.Folder.Classifier);
        IParameterSource sam = SamRig.Formula(Model);
        Save(sam, _sam);
        for (int round = 0; round < 2; round++)
            Save(sam, run.Folder.Decoder(round), "mask_decoder.", 1 + 0.2f * round);
        return run;
    }

    static void Save(IParameterSource source, string path, string prefix = "", float scale = 1)
    {
        List<TensorEntry> entries = [];
        foreach (string name in source.Names.Where(n => n.StartsWith(prefix, StringComparison.Ordinal)))
        {
            source.TryGetShape(name, out Shape shape);
            float[] values = new float[shape.Count];
            source.Read(name, values);
            if (name.Contains("hypernetworks", StringComparison.Ordinal))
                for (int i = 0; i < values.Length; i++) values[i] *= scale;
            entries.Add(new TensorEntry(name, [.. Enumerable.Range(0, shape.Rank).Select(a => shape[a])], values));
        }
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using StateDict all = new(entries);
        all.Save(path);
    }

    StageResult Run(MadeUpRun run, Silent observer, CheckFlags checks = CheckFlags.None,
        CancellationToken cancel = default)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        Journal journal = new(run.Folder, () => 0);
        StageResult result = new EvaluationStage().Run(new RunContext(gpu, run.Config, run.Folder, run.Set, run.Files,
            journal, observer, _sam, cancel));
        Assert.That(card.LiveAllocations, Is.Zero);
        return result;
    }

    static Dictionary<string, byte[]> Results(MadeUpRun run) =>
        Directory.GetFiles(run.Folder.Predictions, "*", SearchOption.AllDirectories)
            .Concat([run.Folder.EvaluationCsv, run.Folder.EvaluationJson])
            .ToDictionary(f => Path.GetRelativePath(run.Folder.Root, f), File.ReadAllBytes);

    [Test]
    public void WholeStage_AllChecks_LeavesScoresMasksAndFigures()
    {
        MadeUpRun run = Made("a");
        StageResult result = Run(run, new Silent(), CheckFlags.All);
        // planned for a step of training as well, which does not come here
        Assert.That(result.PeakBytes, Is.LessThanOrEqualTo(result.PlannedBytes)
            .And.GreaterThan(0.9 * result.PlannedBytes));

        // scores: the classifier of the crops one by one
        string[][] scores = [.. CsvText.Rows(File.ReadAllText(run.Folder.Scores(Split.Val))).Skip(1)];
        Assert.That(scores, Has.Length.EqualTo(4));
        using (Gpu gpu = NewGpu())
        {
            using PatchClassifier classifier = PatchClassifier.Load(gpu, run.Folder.Classifier,
                new PatchClassifierOptions { Batch = 1, LongerSide = Size, ShorterSide = Size });
            foreach ((string[] row, Patch patch) in scores.Zip(run.Set.PatchesOf(Split.Val)))
            {
                byte[] crop = Cut(run, patch);
                float expected = classifier.Classify(crop, Size, Size).Logit;
                Assert.That(row[0], Is.EqualTo(run.Set.Images[patch.Image].Name));
                Assert.That(float.Parse(row[^1], CultureInfo.InvariantCulture), Is.EqualTo(expected).Within(1e-5));
            }
        }

        // masks: SAM with the round's decoder, asked for the same points
        foreach (SourceImage image in run.Set.Of(Split.Val))
        {
            Picture initial = run.Files.ReadGrey(run.Folder.InitialMask(image.Name));
            (int X, int Y)[] points =
                CamPoints.Of(run.Files.ReadGrey(run.Folder.Cam(image.Name)), initial, run.Config.Decoder, image.Name);
            for (int round = 0; round < 2; round++)
            {
                Picture mask = run.Files.ReadGrey(
                    run.Folder.Prediction(Split.Val, EvaluationKind.OfRound(round), image.Name));
                Assert.That(mask.Pixels, Is.All.EqualTo(0).Or.EqualTo(255));
                byte[] expected = initial.Pixels.AsSpan().ContainsAnyExcept((byte)0)
                    ? Predicted(run, image, round, points) : new byte[mask.Pixels.Length];
                int same = mask.Pixels.Zip(expected).Count(p => p.First != 0 == (p.Second != 0));
                Assert.That((double)same / mask.Pixels.Length, Is.GreaterThan(0.995), $"{image.Name} round {round}");
            }
        }

        JsonNode json = JsonNode.Parse(File.ReadAllText(run.Folder.EvaluationJson))!;
        JsonNode val = json["parts"]!["val"]!;
        Assert.That(val["masks"]!.AsObject().Select(m => m.Key), Is.EquivalentTo(new[]
            { "all_tumour", "colour", "colour_pooled", "cam", "round0", "round1" }));
        int[] labels = [.. run.Set.PatchesOf(Split.Val).Select(p => p.Label)];
        double[] logits = [.. scores.Select(s => double.Parse(s[^1], CultureInfo.InvariantCulture))];
        Assert.That((double)val["patches"]!["classifier"]!["auc"]!, Is.EqualTo(Metrics.Auc(logits, labels)));
        Assert.That((double)val["patches"]!["classifier"]!["accuracy"]!, Is.EqualTo(Metrics.Accuracy(logits, labels)));
        Assert.That(result.Figures["val_round1_dice"], Is.EqualTo((double)val["masks"]!["round1"]!["dice"]!));
        Assert.That(json["notes"]!.AsArray().Select(n => n!.ToString()), Does.Contain("There is no test set."));
    }

    static Gpu NewGpu()
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = CheckFlags.None });
        return new Gpu(card.Driver, card.Blas);
    }

    static byte[] Cut(MadeUpRun run, Patch patch)
    {
        Picture image = run.Files.ReadRgb(run.Set.Images[patch.Image].Path);
        Crop crop = patch.Crop!.Value;
        byte[] cut = new byte[3 * crop.Width * crop.Height], resized = new byte[3 * Size * Size];
        for (int i = 0; i < cut.Length; i++)
        {
            int y = crop.Y + i / (3 * crop.Width), x = 3 * crop.X + i % (3 * crop.Width);
            cut[i] = image.Pixels[y * 3 * image.Width + x];
        }
        Resample.PillowBilinear(cut, crop.Height, crop.Width, 3, Size, Size, resized);
        return resized;
    }

    byte[] Predicted(MadeUpRun run, SourceImage image, int round, (int X, int Y)[] points)
    {
        using Gpu gpu = NewGpu();
        using SamModel model = SamModel.Load(gpu, _sam, Model, null, run.Folder.Decoder(round));
        SamPredictor predictor = new(model);
        Picture rgb = run.Files.ReadRgb(image.Path);
        predictor.SetImage(rgb.Pixels, rgb.Height, rgb.Width);
        SamPrompt prompt = new() { Points = [.. points.Select(p => new SamPoint(p.X, p.Y))] };
        return predictor.Predict(prompt, multimask: false).Masks[0];
    }

    // Wherever it is stopped, what it leaves in the end is the same.
    [Test]
    public void Stage_CancelledAnywhere_EndsWithTheSameFiles()
    {
        MadeUpRun whole = Made("whole");
        Silent observer = new();
        Run(whole, observer);
        Dictionary<string, byte[]> expected = Results(whole);
        Assert.That(expected, Has.Count.EqualTo(1 + 2 * 2 + 2));
        Assert.That(observer.Reports, Is.GreaterThan(5));

        MadeUpRun stopped = Made("stopped");
        int cancelled = 0;
        for (int at = 0; at < 12; at++)   // at the first, second or third report of what is left
        {
            using CancellationTokenSource cancel = new();
            try
            {
                Run(stopped, new Silent { At = (at % 3 + 1, cancel.Cancel) }, CheckFlags.None, cancel.Token);
                break;
            }
            catch (OperationCanceledException)
            {
                cancelled++;
            }
        }
        Run(stopped, new Silent());
        Assert.That(cancelled, Is.GreaterThan(3));
        Assert.That(Results(stopped), Is.EqualTo(expected));
    }

    // epsam evaluate on a table of the same images: the same figures as the run has.
    [Test]
    public void CommandLine_ModelsOfARun_GivesItsFigures()
    {
        MadeUpRun run = Made("a");
        foreach (SourceImage image in run.Set.Of(Split.Val)) File.Delete(run.Folder.InitialMask(image.Name));
        run.Configure();
        StringBuilder table = new("image,label,mask,split,x,y,w,h\n");
        foreach (Patch p in run.Set.Patches)
        {
            (SourceImage image, Crop crop) = (run.Set.Images[p.Image], p.Crop!.Value);
            table.Append($"{image.Path},{p.Label},{image.MaskPath},{image.Split.ToString().ToLowerInvariant()},")
                .Append($"{crop.X},{crop.Y},{crop.Width},{crop.Height}\n");
        }
        string data = Path.Combine(_root, "data.csv"), result = Path.Combine(_root, "result");
        File.WriteAllText(data, table.ToString());
        CommandLine line = CommandLine.Run("evaluate", "--classifier", run.Folder.Classifier, "--sam", _sam,
            "--decoder", run.Folder.Decoder(1), "--data", data, "--gpu", "virtual", "--out", result);
        Assert.That(line.Code, Is.Zero, line.Error);
        Assert.That(line.Error, Does.Contain("run.json"));   // its values are taken
        Assert.That(line.Output, Does.Contain("mean of 2, decoder: Dice"));

        using (Gpu gpu = NewGpu())
        {
            RunContext context = new(gpu, run.Config, run.Folder, run.Set, run.Files,
                new Journal(run.Folder, () => 0), new Silent(), _sam, default);
            new CamStage().Run(context);
            new EvaluationStage().Run(context);
        }
        JsonNode own = JsonNode.Parse(File.ReadAllText(run.Folder.EvaluationJson))!["parts"]!["val"]!;
        JsonNode theirs = JsonNode.Parse(File.ReadAllText(result + ".json"))!;
        Assert.That(theirs["patches"]!.ToJsonString(), Is.EqualTo(own["patches"]!.ToJsonString()));
        Assert.That(theirs["masks"]!["cam"]!.ToJsonString(), Is.EqualTo(own["masks"]!["cam"]!.ToJsonString()));
        Assert.That(theirs["masks"]!["decoder"]!.ToJsonString(), Is.EqualTo(own["masks"]!["round1"]!.ToJsonString()));
        string[][] lines = [.. CsvText.Rows(File.ReadAllText(result + ".csv")).Skip(1)];
        Assert.That(lines.Select(l => l[0]).Distinct(), Is.EqualTo(new[] { "val" }));
        Assert.That(lines.Count(l => l[3] == "decoder"), Is.EqualTo(2));
    }

    [Test]
    public void Reset_DoneStage_RemovesItsFilesOnly()
    {
        MadeUpRun run = Made("a");
        run.Masks();
        run.Evaluate();
        new EvaluationStage().Reset(run.Folder);
        Assert.That(Directory.Exists(run.Folder.Predictions), Is.False);
        Assert.That(File.Exists(run.Folder.EvaluationCsv) || File.Exists(run.Folder.EvaluationJson), Is.False);
        Assert.That(File.Exists(run.Folder.InitialMask(run.Set.Images[0].Name)));
    }

    [Test]
    public void ImageLabelsAndMasks_OfSomeMissing_AreCountedAndSaid()
    {
        MadeUpRun run = new(Path.Combine(_root, "c"), 3);
        run.Masks();
        PatchSet set = new([.. run.Set.Images.Select((image, i) => i == 4 ? image with { MaskPath = null } : image)],
            run.Set.Patches);
        Silent observer = new();
        new Evaluation(run.Folder, run.Config, set, run.Files, observer, default).Write();
        JsonNode val = JsonNode.Parse(File.ReadAllText(run.Folder.EvaluationJson))!["parts"]!["val"]!;
        Assert.That(((int)val["images"]!, (int)val["images_with_mask"]!), Is.EqualTo((3, 2)));
        Assert.That((int)val["masks"]!["cam"]!["images"]!, Is.EqualTo(2));
        Assert.That(val["patches"]!["classifier"], Is.Null);   // there are no scores
        Assert.That(string.Join('\n', observer.Told), Does.Contain("1 of 3 val images have no true mask"));
    }
}
