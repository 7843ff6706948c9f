// init, encode, segment and amg from the outside, with a small model on the virtual GPU: what is
// written, what is refused, what one bad image among good ones does. What the numbers are is tested with the models.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Cli;

[Category("Slow")]
public sealed class SamCommandTests : ModelCommandTests
{
    CommandLine Segment(string image, params string[] rest) =>
        CommandLine.Run(["segment", image, "--sam", _sam, "--gpu", "virtual", "--out", In("out"), .. rest]);

    CommandLine Amg(string image, params string[] rest) => CommandLine.Run(["amg", image, "--sam", _sam,
        "--gpu", "virtual", "--out", In("out"), "--points-per-side", "4", "--pred-iou-thresh", "0",
        "--stability-score-thresh", "0", .. rest]);

    // ---- what is written

    [Test]
    public void Segment_OnePrompt_WritesMaskOverlayAndJson()
    {
        CommandLine result = Segment(_photo, "--points", "45,30,1;5,5,0");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out"), Is.EqualTo(new[] { "photo/mask_0.png", "photo/overlay_0.png",
            "photo/segment.json" }));
        JsonElement json = Json("out/photo/segment.json");
        Assert.That((json.GetProperty("width").GetInt32(), json.GetProperty("height").GetInt32()),
            Is.EqualTo((Width, Height)));
        JsonElement mask = json.GetProperty("objects")[0].GetProperty("masks")[0];
        byte[] pixels = Mask("out/photo/mask_0.png");
        Assert.That(pixels, Is.All.EqualTo((byte)0).Or.EqualTo((byte)255));
        Assert.That(mask.GetProperty("area").GetInt32(), Is.EqualTo(pixels.Count(v => v == 255)));
        Assert.That(RleOf(mask).Decode().Select(v => v * 255), Is.EqualTo(pixels));
        Raster overlay = ImageReader.ReadRgb(In("out/photo/overlay_0.png"));
        Assert.That((overlay.Width, overlay.Height), Is.EqualTo((Width, Height)));
        Assert.That(overlay.Pixels[(3 * (30 * Width + 45))..][..3], Is.EqualTo(new byte[] { 46, 204, 64 }),
            "the point is drawn");
    }

    [Test]
    public void Segment_Multimask_WritesThreeMasksInTheModelsOrder()
    {
        CommandLine result = Segment(_photo, "--points", "45,30", "--multimask");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out").Where(f => f.Contains("mask_")), Has.Exactly(3).Items);
        JsonElement answer = Json("out/photo/segment.json").GetProperty("objects")[0];
        double[] scores = [.. answer.GetProperty("masks").EnumerateArray()
            .Select(m => m.GetProperty("score").GetDouble())];
        Assert.That(scores[answer.GetProperty("best").GetInt32()], Is.EqualTo(scores.Max()));
        Assert.That(Files("out").Where(f => f.Contains("overlay_")), Has.Exactly(3).Items);
    }

    [Test]
    public void Segment_TwoBoxes_AreTwoObjects_EachAsIfItWereAlone()
    {
        Assert.That(Segment(_photo, "--box", "20,10,70,50", "--box", "0,0,30,30").Code, Is.Zero);
        Assert.That(Files("out"), Is.EqualTo(new[]
            { "photo/object_0_mask_0.png", "photo/object_1_mask_0.png", "photo/overlay_0.png", "photo/segment.json" }));
        byte[] second = Mask("out/photo/object_1_mask_0.png");
        Assert.That(Segment(_photo, "--box", "0,0,30,30", "--overwrite").Code, Is.Zero);
        Assert.That(Mask("out/photo/mask_0.png"), Is.EqualTo(second));
    }

    [Test]
    public void Segment_WithAMask_TakesIt()
    {
        byte[] grey = new byte[Width * Height];
        for (int i = 0; i < grey.Length / 2; i++) grey[i] = 255;
        string mask = Write("m.png", ImageWriter.EncodePng(grey, Width, Height, 1));
        Assert.That(Segment(_photo, "--mask", mask).Code, Is.Zero);
        double with = Json("out/photo/segment.json")
            .GetProperty("objects")[0].GetProperty("masks")[0].GetProperty("score").GetDouble();
        Assert.That(Segment(_photo, "--mask", mask, "--points", "45,30,1", "--box", "20,10,70,50", "--overwrite").Code,
            Is.Zero);
        Assert.That(Json("out/photo/segment.json")
            .GetProperty("objects")[0].GetProperty("masks")[0].GetProperty("score").GetDouble(),
            Is.Not.EqualTo(with));
        string other = Write("other.png", ImageWriter.EncodePng(grey.AsSpan(0, 50), 10, 5, 1));
        CommandLine refused = Segment(_photo, "--mask", other, "--overwrite");
        Assert.That((refused.Code, refused.Error), Is.EqualTo((1, refused.Error)));
        Assert.That(refused.Error, Does.Contain($"--mask {other} is 10 x 5 pixels, the image is 90 x 60"));
    }

    [Test]
    public void Amg_WritesAPngAMaskAndTheReferencesTable()
    {
        CommandLine result = Amg(_photo);
        Assert.That(result.Code, Is.Zero, result.Error);
        string[] lines = File.ReadAllLines(In("out/photo/metadata.csv"));
        string[] pictures = [.. Files("out").Where(f => f.EndsWith(".png") && !f.EndsWith("overlay.png"))];
        Assert.That(pictures, Has.Length.EqualTo(lines.Length - 1).And.Length.GreaterThan(0));
        for (int i = 1; i < lines.Length; i++)
        {
            string[] fields = lines[i].Split(',');
            Assert.That(fields, Has.Length.EqualTo(14));
            Assert.That(int.Parse(fields[1]), Is.EqualTo(Mask($"out/photo/{fields[0]}.png").Count(v => v == 255)));
        }
    }

    [Test]
    public void Amg_AsRle_HasTheSameMasks()
    {
        Assert.That(Amg(_photo).Code, Is.Zero);
        byte[][] masks = [.. Enumerable.Range(0, File.ReadAllLines(In("out/photo/metadata.csv")).Length - 1)
            .Select(i => Mask($"out/photo/{i}.png"))];
        CommandLine result = Amg(_photo, "--convert-to-rle", "--overwrite", "--points-per-batch", "5");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out"), Is.EqualTo(new[] { "photo/masks.json", "photo/overlay.png" }));
        JsonElement[] records = [.. Json("out/photo/masks.json").EnumerateArray()];
        Assert.That(records, Has.Length.EqualTo(masks.Length));
        for (int i = 0; i < records.Length; i++)
            Assert.That(RleOf(records[i]).Decode().Select(v => v * 255), Is.EqualTo(masks[i]), $"mask {i}");
    }

    [Test]
    public void Amg_WithItsOwnPoints_AsksForThese()
    {
        string grid = Write("grid.json", "[[[0.5, 0.5], [0.25, 0.75]]]"u8.ToArray());
        CommandLine result = Amg(_photo, "--point-grids", grid, "--convert-to-rle", "--box-nms-thresh", "1");
        Assert.That(result.Code, Is.Zero, result.Error);
        double[][] points = [.. Json("out/photo/masks.json").EnumerateArray()
            .Select(r => r.GetProperty("point_coords")[0].EnumerateArray().Select(v => v.GetDouble()).ToArray())];
        Assert.That(points, Is.Not.Empty);
        foreach (double[] point in points)
            Assert.That(point, Is.EqualTo(new[] { 45.0, 30.0 }).Or.EqualTo(new[] { 22.5, 45.0 }));
        CommandLine wrong = Amg(_photo, "--point-grids", Write("bad.json", "[[[0.5, 2]]]"u8.ToArray()));
        Assert.That(wrong.Error, Does.Contain("a point is two numbers from 0 to 1, found [0.5, 2]"));
    }

    [Test]
    public void Encode_ThenSegmentWithTheEmbedding_GivesTheSameMask()
    {
        string saved = In("e.safetensors");
        CommandLine result = CommandLine.Run("encode", _photo, "--sam", _sam, "--gpu", "virtual", "--out", saved);
        Assert.That(result.Code, Is.Zero, result.Error);
        (string name, string type, long[] shape, _) = Checkpoints.Shared.Expected(saved).Single();
        Assert.That((name, type), Is.EqualTo(("image_embedding", "F32")));
        Assert.That(shape, Is.EqualTo(new long[] { 1, 256, 8, 8 }));
        Assert.That(Segment(_photo, "--points", "45,30,1").Code, Is.Zero);
        byte[] mask = Mask("out/photo/mask_0.png");
        result = Segment(_photo, "--points", "45,30,1", "--embedding", saved, "--overwrite");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Mask("out/photo/mask_0.png"), Is.EqualTo(mask));
    }

    [Test]
    public void Encode_SeveralImages_GivesAFileEach()
    {
        string other = Write("other.png", File.ReadAllBytes(_photo));
        CommandLine result = CommandLine.Run("encode", _photo, other, "--sam", _sam, "--gpu", "virtual",
            "--precision", "bf16", "--out", In("out"));
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(Files("out"), Is.EqualTo(new[] { "other.safetensors", "photo.safetensors" }));
        Assert.That(Checkpoints.Shared.Expected(In("out/other.safetensors")).Single().Type, Is.EqualTo("BF16"));
    }

    [Test]
    public void Init_SameSeed_SameBytes_OtherSeed_OtherBytes()
    {
        string sizes = Write("sizes.json", System.Text.Encoding.UTF8.GetBytes(Sizes));
        CommandLine.Run("init", "--model", sizes, "--out", In("a.safetensors"), "--seed", "7");
        CommandLine.Run("init", "--model", sizes, "--out", In("b.safetensors"), "--seed", "8");
        Assert.That(Checkpoints.Shared.Expected(In("a.safetensors")).SelectMany(t => t.Bytes),
            Is.EqualTo(Checkpoints.Shared.Expected(_sam).SelectMany(t => t.Bytes)));
        Assert.That(File.ReadAllBytes(In("b.safetensors")), Is.Not.EqualTo(File.ReadAllBytes(In("a.safetensors"))));
    }

    [Test]
    public void Segment_Twice_GivesTheSameBytes()
    {
        Assert.That(Segment(_photo, "--points", "45,30,1", "--multimask").Code, Is.Zero);
        byte[][] first = [.. Files("out").Select(f => File.ReadAllBytes(In("out/" + f)))];
        Assert.That(Segment(_photo, "--points", "45,30,1", "--multimask", "--overwrite").Code, Is.Zero);
        Assert.That(Files("out").Select(f => File.ReadAllBytes(In("out/" + f))), Is.EqualTo(first));
    }

    [Test]
    public void UntrainedWeights_AreCalledSo() =>
        Assert.That(Segment(_photo, "--points", "45,30,1").Error, Does.Contain("untrained")
            .And.Contains("mean nothing"));

    // ---- flags

    [Test]
    public void Json_IsOneObjectWithAllImages()
    {
        string bad = Write("bad.png", [1, 2, 3]);
        CommandLine result = CommandLine.Run("segment", _photo, bad, "--sam", _sam, "--gpu", "virtual", "--points",
            "4,5", "--json", "--out", In("out"));
        Assert.That(result.Code, Is.EqualTo(1));
        JsonElement json = JsonDocument.Parse(result.Output).RootElement;
        JsonElement[] images = [.. json.GetProperty("images").EnumerateArray()];
        Assert.That(images.Select(i => i.GetProperty("status").GetString()), Is.EqualTo(new[] { "done", "failed" }));
        Assert.That(images[0].GetProperty("masks").GetInt32(), Is.EqualTo(1));
        Assert.That(images[1].GetProperty("error").GetString(), Does.Contain(bad));
        Assert.That(json.GetProperty("device_memory_bytes").GetInt64(), Is.GreaterThan(0));
        Assert.That(json.GetProperty("gpu").GetString(), Is.EqualTo("virtual"));
    }

    [Test]
    public void Quiet_PrintsNothing()
    {
        CommandLine result = Segment(_photo, "--points", "4,5", "--quiet");
        Assert.That((result.Code, result.Output, result.Error), Is.EqualTo((0, "", "")));
    }

    [Test]
    public void Null_PlansAndWritesNothing()
    {
        CommandLine result = CommandLine.Run("segment", _photo, "--sam", _sam, "--gpu", "null", "--points", "4,5",
            "--out", In("out"));
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Output, Does.Contain("90 x 60, nothing computed (--gpu null)"));
        Assert.That(result.Error, Does.Contain("of device memory"));
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }

    [Test]
    public void MemoryBudget_TooSmall_IsRefusedBeforeAnythingIsAllocated()
    {
        CommandLine result = Segment(_photo, "--points", "4,5", "--memory-budget", "1MiB");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("--memory-budget: the plan needs ")
            .And.Contain("the budget is 1.00 MiB"));
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }

    [Test]
    public void Precision_Bf16_Works() =>
        Assert.That(Segment(_photo, "--points", "4,5", "--precision", "bf16").Code, Is.Zero);

    [Test]
    public void Seed_ChangesColoursAndNoMask()
    {
        Assert.That(Segment(_photo, "--box", "20,10,70,50").Code, Is.Zero);
        byte[] mask = Mask("out/photo/mask_0.png"), overlay = File.ReadAllBytes(In("out/photo/overlay_0.png"));
        Assert.That(mask, Has.Some.EqualTo((byte)255), "a mask that is empty would show no colour");
        Assert.That(Segment(_photo, "--box", "20,10,70,50", "--seed", "3", "--overwrite").Code, Is.Zero);
        Assert.That(Mask("out/photo/mask_0.png"), Is.EqualTo(mask));
        Assert.That(File.ReadAllBytes(In("out/photo/overlay_0.png")), Is.Not.EqualTo(overlay));
    }

    // ---- bad input

    [Test]
    public void BadImage_AmongGoodOnes_IsReportedAndTheRestGoOn()
    {
        string text = Write("text.png", "not an image"u8.ToArray()),
            good = Write("good.png", File.ReadAllBytes(_photo));
        CommandLine result = CommandLine.Run("segment", text, _photo, In("missing.png"), good, "--sam", _sam,
            "--gpu", "virtual", "--points", "4,5", "--out", In("out"));
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain($"epsam: {text}: not an image; expected PNG, JPEG, TIFF or WebP")
            .And.Contain($"epsam: image {In("missing.png")} does not exist")
                .And.Contain("epsam: 2 of 4 images failed"));
        Assert.That(Directory.GetDirectories(In("out")).Select(d => Path.GetFileName(d)).Order(),
            Is.EqualTo(new[] { "good", "photo" }));
        Assert.That(Directory.GetFileSystemEntries(In("out")), Has.Length.EqualTo(2), "nothing half-written");
    }

    [TestCase("empty.png", "", "empty; expected PNG, JPEG, TIFF or WebP")]
    [TestCase("text.jpg", "hello, I am a text", "not an image; expected PNG, JPEG, TIFF or WebP")]
    [TestCase("gif.png", "GIF89a..........", "GIF is not read")]
    public void NotAnImage_IsNamed(string name, string content, string message)
    {
        CommandLine result = Amg(Write(name, System.Text.Encoding.ASCII.GetBytes(content)));
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain($"epsam: {In(name)}: {message}"));
        Assert.That(Directory.Exists(In("out")), Is.False);
    }

    [Test]
    public void DamagedImage_IsNamed()
    {
        CommandLine result = Segment(Write("half.png", File.ReadAllBytes(_photo)[..300]), "--points", "4,5");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain($"epsam: {In("half.png")}: "));
    }

    static IEnumerable<TestCaseData> OddImages()
    {
        yield return new TestCaseData("one.png", ImageFiles.Png(1, 1, 8, 2, [9, 8, 7]), 1, 1)
            .SetArgDisplayNames("1 x 1");
        yield return new TestCaseData("wide.png", ImageFiles.Png(20_000, 10, 8, 2, Pixels(20_000, 10)), 20_000, 10)
            .SetArgDisplayNames("20000 x 10");
        yield return new TestCaseData("deep.png", ImageFiles.Png(40, 30, 16, 2,
            [.. Pixels(40, 30).SelectMany(v => new[] { v, v })]), 40, 30)
            .SetArgDisplayNames("16 bits");
        yield return new TestCaseData("grey.png", ImageFiles.Png(40, 30, 8, 0, Pixels(40, 10)), 40, 30)
            .SetArgDisplayNames("grey");
        yield return new TestCaseData("ink.tif", ImageFiles.Tiff(30, 20, 8, 4, 5, new byte[30 * 20 * 4]), 30, 20)
            .SetArgDisplayNames("CMYK");
    }

    [TestCaseSource(nameof(OddImages))]
    public void OddImage_IsSegmentedInItsOwnSize(string name, byte[] file, int width, int height)
    {
        string image = Write(name, file), stem = Path.GetFileNameWithoutExtension(name);
        CommandLine result = Segment(image, "--points", "0,0,1");
        Assert.That(result.Code, Is.Zero, result.Error);
        Raster mask = ImageReader.ReadGrey(In($"out/{stem}/mask_0.png"));
        Assert.That((mask.Width, mask.Height), Is.EqualTo((width, height)));
        result = Amg(image, "--overwrite", "--convert-to-rle");
        Assert.That(result.Code, Is.Zero, result.Error);
    }

    [Test]
    public void PromptOutside_IsAllowed_AndSaid()
    {
        CommandLine result = Segment(_photo, "--points", "900,20,1");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Error, Does.Contain("the point 900,20 is outside of the image (90 x 60)"));
        result = Segment(_photo, "--box", "100,0,200,50", "--overwrite");
        Assert.That(result.Error, Does.Contain("the box 100,0,200,50 is outside of the image (90 x 60)"));
    }

    [TestCase(null, "checkpoint {0} does not exist")]
    [TestCase("", "checkpoint {0} is empty")]
    [TestCase("this is a text and no checkpoint at all", "{0}: ")]
    public void Checkpoint_ThatIsNone_IsNamed(string? content, string message)
    {
        string path = In("weights.safetensors");
        if (content is not null) File.WriteAllText(path, content);
        CommandLine result = CommandLine.Run("segment", _photo, "--sam", path, "--points", "4,5", "--out", In("out"));
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain(string.Format(message, path)));
        Assert.That(Directory.Exists(In("out")), Is.False);
    }

    [Test]
    public void Checkpoint_OfAnotherModel_NamesWhatDiffers()
    {
        string sizes = Write("sizes.json", System.Text.Encoding.UTF8.GetBytes(Sizes.Replace("\"depth\": 2",
            "\"depth\": 3")));
        CommandLine result = Segment(_photo, "--points", "4,5", "--sam-config", sizes);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain(_sam).And.Contain("image_encoder.blocks.2."));
        Assert.That(Directory.Exists(In("out")), Is.False);
    }

    // The small model of the goldens: 4 heads in the decoder, which no shape tells.
    [Test]
    public void Checkpoint_WithOtherHeads_AsksForItsSizes_AndTakesThem()
    {
        string golden = Golden.Find("s01_sam_tiny/weights_legacy.pth");
        string[] line = ["segment", _photo, "--sam", golden, "--gpu", "virtual", "--points", "4,5", "--out", In("out")];
        CommandLine result = CommandLine.Run(line);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain(golden).And.Contain("decoder_heads").And.Contain("--sam-config"));
        string sizes = Write("sizes.json", System.Text.Encoding.UTF8.GetBytes(Models.TinyModel.Config.ToJson()));
        result = CommandLine.Run([.. line, "--sam-config", sizes]);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Error, Does.Not.Contain("untrained"));
    }

    [Test]
    public void SamConfig_ThatIsWrong_IsNamed()
    {
        string sizes = Write("sizes.json", "{ \"depht\": 3 }"u8.ToArray());
        CommandLine result = Segment(_photo, "--points", "4,5", "--sam-config", sizes);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.StartWith($"epsam: {sizes}: ").And.Contain("depht"));
    }

    [Test]
    public void Output_ThatIsThere_IsNotReplacedUnasked()
    {
        Assert.That(Segment(_photo, "--points", "4,5").Code, Is.Zero);
        DateTime before = File.GetLastWriteTimeUtc(In("out/photo/segment.json"));
        CommandLine result = Segment(_photo, "--points", "4,5");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("is there already; --overwrite replaces such folders"));
        Assert.That(File.GetLastWriteTimeUtc(In("out/photo/segment.json")), Is.EqualTo(before));
        string file = Write("file", []);
        result = CommandLine.Run("segment", _photo, "--sam", _sam, "--points", "4,5", "--out", file);
        Assert.That(result.Error, Does.Contain($"--out {file} is a file; expected a folder"));
    }

    [Test]
    public void Cancelled_Exits130_AndLeavesNothing()
    {
        using CancellationTokenSource source = new();
        source.Cancel();
        StringWriter output = new(), error = new();
        int code = EpSam.Cli.Program.Run(["segment", _photo, "--sam", _sam, "--gpu", "virtual", "--points", "4,5",
            "--out", In("out")],
            output, error, source.Token);
        Assert.That(code, Is.EqualTo(130));
        Assert.That(error.ToString(), Does.EndWith($"epsam: cancelled{Environment.NewLine}"));
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }

    JsonElement Json(string name) => JsonDocument.Parse(File.ReadAllBytes(In(name))).RootElement;

    byte[] Mask(string name) => ImageReader.ReadGrey(In(name)).Pixels;

    static Rle RleOf(JsonElement mask)
    {
        JsonElement rle = mask.GetProperty("segmentation");
        return Rle.FromCoco(rle.GetProperty("counts").GetString()!, rle.GetProperty("size")[0].GetInt32(),
            rle.GetProperty("size")[1].GetInt32());
    }
}
