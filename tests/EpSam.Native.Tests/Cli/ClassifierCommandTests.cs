// classify, cam and segment --classifier from the outside, with small models on the virtual GPU: what is written, what
// is refused, what one bad image among good ones does. What the numbers are is tested with the models.
using System.Globalization;
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Tests.Models;

namespace EpSam.Native.Tests.Cli;

[Category("Slow")]
public sealed class ClassifierCommandTests : ModelCommandTests
{
    string _classifier = "";

    [OneTimeSetUp]
    public void MakeClassifier()
    {
        _classifier = Path.Combine(_shared, "classifier.safetensors");
        PatchClassifierTests.Save(new() { Blocks = [1, 1, 2, 1], Width = 4 }, _classifier);
    }

    CommandLine Classify(params string[] rest) =>
        CommandLine.Run(["classify", "--classifier", _classifier, "--gpu", "virtual", .. rest]);

    CommandLine Cam(params string[] rest) =>
        CommandLine.Run(["cam", "--classifier", _classifier, "--gpu", "virtual", "--out", In("out"), .. rest]);

    CommandLine Segment(params string[] rest) => CommandLine.Run(["segment", _photo, "--sam", _sam, "--classifier",
        _classifier, "--gpu", "virtual", "--out", In("out"), .. rest]);

    T WithClassifier<T>(Func<PatchClassifier, T> use)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new() { Checks = VirtualGpu.Checks.CheckFlags.None });
        using Gpu gpu = new(card.Driver, card.Blas);
        using PatchClassifier classifier = PatchClassifier.Load(gpu, _classifier);
        return use(classifier);
    }

    // ---- classify

    [Test]
    public void Classify_PrintsAndWritesALineForEachImage()
    {
        string odd = Write("odd, name.png", ImageFiles.Png(33, 20, 8, 2, Pixels(33, 20))), csv = In("scores.csv");
        CommandLine result = Classify(_photo, odd, "--out", csv);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Output.ReplaceLineEndings("\n"), Is.EqualTo(File.ReadAllText(csv)));
        string[] lines = File.ReadAllLines(csv);
        Assert.That(lines, Has.Length.EqualTo(3));
        Assert.That(lines[0], Is.EqualTo("image,logit,probability"));
        PatchScore expected = WithClassifier(c => c.Classify(Pixels(Width, Height), Height, Width));
        Assert.That(lines[1], Is.EqualTo(string.Create(CultureInfo.InvariantCulture,
            $"{_photo},{expected.Logit:R},{expected.Probability:R}")));
        Assert.That(lines[2], Does.StartWith($"\"{odd}\","));
    }

    [Test]
    public void Classify_Json_HasAllImages_AndOneBadImageFailsAlone()
    {
        string bad = Write("bad.png", [1, 2, 3]);
        CommandLine result = Classify(bad, _photo, "--json", "--size", "64");
        Assert.That(result.Code, Is.EqualTo(1));
        JsonElement json = JsonDocument.Parse(result.Output).RootElement;
        JsonElement[] images = [.. json.GetProperty("images").EnumerateArray()];
        Assert.That(images.Select(i => i.GetProperty("status").GetString()), Is.EqualTo(new[] { "failed", "done" }));
        Assert.That(images[1].GetProperty("probability").GetDouble(), Is.InRange(0, 1));
        Assert.That(images[1].TryGetProperty("logit", out _));
        Assert.That(json.GetProperty("device_memory_bytes").GetInt64(), Is.GreaterThan(0));
        Assert.That(result.Error, Does.Contain("bad.png").And.Contain("1 of 2 images failed"));
    }

    [Test]
    public void Classify_QuietAndNull()
    {
        CommandLine quiet = Classify(_photo, "--quiet");
        Assert.That((quiet.Code, quiet.Output, quiet.Error), Is.EqualTo((0, "", "")));
        CommandLine none = CommandLine.Run("classify", _photo, "--classifier", _classifier, "--gpu", "null", "--out",
            In("scores.csv"));
        Assert.That(none.Code, Is.Zero, none.Error);
        Assert.That(none.Output, Does.Contain("90 x 60, nothing computed (--gpu null)"));
        Assert.That(File.Exists(In("scores.csv")), Is.False);
        CommandLine missing = Classify(In("none.png"));
        Assert.That((missing.Code, missing.Output), Is.EqualTo((1, "")));
        Assert.That(missing.Error, Does.Contain($"image {In("none.png")} does not exist"));
    }

    [Test]
    public void Classify_Cancelled_WritesNothing()
    {
        using CancellationTokenSource cancel = new();
        cancel.Cancel();
        StringWriter output = new(), error = new();
        int code = EpSam.Cli.Program.Run(
            ["classify", _photo, "--classifier", _classifier, "--gpu", "virtual", "--out", In("scores.csv")], output,
            error, cancel.Token);
        Assert.That(code, Is.EqualTo(130), error.ToString());
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }

    // ---- cam

    [Test]
    public void Cam_WritesMapMaskAndOverlay()
    {
        CommandLine result = Cam(_photo, "--percentile", "60", "--opening", "1");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out"), Is.EqualTo(new[] { "photo/map.png", "photo/mask.png", "photo/overlay.png" }));
        ActivationMap map = WithClassifier(c => c.Cam(Pixels(Width, Height), Height, Width));
        Assert.That(map.IsEmpty, Is.False);
        Raster grey = ImageReader.ReadGrey(In("out/photo/map.png"));
        Assert.That((grey.Width, grey.Height), Is.EqualTo((6, 4)));
        Assert.That(grey.Pixels, Is.EqualTo(map.Map));
        CamMaskRule rule = CamMaskRule.Camelyon17 with { Percentile = 60, Opening = 1 };
        Assert.That(ImageReader.ReadGrey(In("out/photo/mask.png")).Pixels,
            Is.EqualTo(map.Mask(rule).Select(v => (byte)(255 * v))));
        Raster overlay = ImageReader.ReadRgb(In("out/photo/overlay.png"));
        Assert.That((overlay.Width, overlay.Height), Is.EqualTo((Width, Height)));
        CommandLine again = Cam(_photo);
        Assert.That((again.Code, again.Error.Contains("--overwrite replaces")), Is.EqualTo((1, true)), again.Error);
        Assert.That(Cam(_photo, "--overwrite", "--rule", "camelyon16").Code, Is.Zero);
    }

    [Test]
    public void Cam_ByLogit_AtAnotherScale_InBf16()
    {
        CommandLine result = Cam(_photo, "--logit", "0.02", "--smoothing", "3", "--scale", "2", "--precision", "bf16",
            "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        Raster map = ImageReader.ReadGrey(In("out/photo/map.png"));
        Raster mask = ImageReader.ReadGrey(In("out/photo/mask.png"));
        Assert.That((map.Width, map.Height, mask.Width, mask.Height), Is.EqualTo((12, 8, Width, Height)));
        JsonElement image = JsonDocument.Parse(result.Output).RootElement.GetProperty("images")[0];
        Assert.That(image.GetProperty("set_share").GetDouble(),
            Is.EqualTo(mask.Pixels.Count(v => v != 0) / 5400.0).Within(1e-6));
    }

    [Test]
    public void Cam_OfARun_TakesItsRuleAndScale()
    {
        RunFolder run = new(In("run"));
        Directory.CreateDirectory(Path.GetDirectoryName(run.Classifier)!);
        File.Copy(_classifier, run.Classifier);
        CamMaskRule rule = new() { Logit = 0.01, Smoothing = 2, Opening = 1 };
        RunConfig config = new() { Cam = new() { Rule = "general", General = rule, WholeStage = true, Scale = 2 } };
        File.WriteAllText(run.Config, config.ToJson());
        CommandLine result = CommandLine.Run("cam", _photo, "--classifier", run.Root, "--gpu", "virtual", "--out",
            In("out"));
        Assert.That(result.Code, Is.Zero, result.Error);
        ActivationMap map = WithClassifier(c => c.Cam(Pixels(Width, Height), Height, Width, true, 2));
        Assert.That(ImageReader.ReadGrey(In("out/photo/mask.png")).Pixels,
            Is.EqualTo(map.Mask(rule).Select(v => (byte)(255 * v))));
        Assert.That(ImageReader.ReadGrey(In("out/photo/map.png")).Pixels, Is.EqualTo(map.OfProbabilities().Map));
        CommandLine scored = CommandLine.Run("classify", _photo, "--classifier", run.Root, "--gpu", "virtual");
        CommandLine byHand = Classify(_photo, "--scale", "2");
        Assert.That((scored.Code, scored.Output), Is.EqualTo((0, byHand.Output)), scored.Error);
    }

    // ---- segment

    [Test]
    public void Segment_ByClassifier_DrawsPointsAndMakesAMask()
    {
        CommandLine result = Segment("--percentile", "60", "--opening", "1", "--point-count", "12");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out"), Is.EqualTo(new[] { "photo/cam.png", "photo/cam_mask.png", "photo/mask_0.png",
            "photo/overlay_0.png", "photo/segment.json" }));
        JsonElement json = JsonDocument.Parse(File.ReadAllBytes(In("out/photo/segment.json"))).RootElement;
        JsonElement answer = json.GetProperty("objects")[0];
        int[][] points = [.. answer.GetProperty("points").EnumerateArray()
            .Select(p => p.EnumerateArray().Select(v => v.GetInt32()).ToArray())];
        Assert.That(points, Has.Length.EqualTo(12));
        byte[] region = ImageReader.ReadGrey(In("out/photo/cam_mask.png")).Pixels;
        Assert.That(points.All(p => region[p[1] * Width + p[0]] == 255 && p[2] == 1));
        byte[] mask = ImageReader.ReadGrey(In("out/photo/mask_0.png")).Pixels;
        Assert.That(answer.GetProperty("masks")[0].GetProperty("area").GetInt32(),
            Is.EqualTo(mask.Count(v => v == 255)));

        // the same points given by hand give the same mask
        string text = string.Join(';', points.Select(p => $"{p[0]},{p[1]},1"));
        CommandLine byHand = CommandLine.Run("segment", _photo, "--sam", _sam, "--gpu", "virtual", "--points", text,
            "--out", In("other"));
        Assert.That(byHand.Code, Is.Zero, byHand.Error);
        Assert.That(ImageReader.ReadGrey(In("other/photo/mask_0.png")).Pixels, Is.EqualTo(mask));
        Assert.That(Segment("--point-seed", "3", "--overwrite").Code, Is.Zero);
        Assert.That(File.ReadAllText(In("out/photo/segment.json")), Does.Not.Contain(text));
    }

    [Test]
    public void Segment_WhereNothingIsSeen_IsEmptyAndSaysSo()
    {
        CommandLine result = Segment("--logit", "1e6");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Error, Does.Contain("the classifier sees nothing; the mask is empty"));
        Assert.That(ImageReader.ReadGrey(In("out/photo/mask_0.png")).Pixels, Is.All.Zero);
    }

    [Test]
    public void WrongClassifier_AndTooSmallABudget_AreSaid()
    {
        CommandLine sam = CommandLine.Run("classify", _photo, "--classifier", _sam, "--gpu", "virtual");
        Assert.That((sam.Code, sam.Output), Is.EqualTo((1, "")));
        Assert.That(sam.Error, Does.Contain($"{_sam} is no patch classifier").And.Contain("it is a SAM (--sam)"));
        CommandLine swapped = CommandLine.Run("segment", _photo, "--sam", _classifier, "--classifier", _classifier,
            "--gpu", "virtual", "--out", In("out"));
        Assert.That((swapped.Code, swapped.Error.Contains("is no SAM")), Is.EqualTo((1, true)), swapped.Error);
        CommandLine small = Classify(_photo, "--memory-budget", "1MiB");
        Assert.That((small.Code, small.Error.Contains("--memory-budget, classifier: the plan needs ")),
            Is.EqualTo((1, true)), small.Error);
        CommandLine run = CommandLine.Run("classify", _photo, "--classifier", _folder, "--gpu", "virtual");
        Assert.That((run.Code, run.Error.Contains("is no run: it has no run.json")), Is.EqualTo((1, true)), run.Error);
        CommandLine none = Segment("--decoder", _folder);
        Assert.That((none.Code, none.Error.Contains("has no round0/decoder.safetensors")), Is.EqualTo((1, true)));
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }
}
