// The whole generator on the small model of s07_amg: s01's weights with 1.5 added to the bias of the predicted quality,
// masks above 0.4. Compared as the goldens' meta.json says: its thresholds lie in wide gaps, so selection is certain.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Masks;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

[Category("Slow")]
public sealed class SamAutomaticMaskGeneratorTests
{
    sealed class Shifted(IParameterSource source) : IParameterSource
    {
        public IEnumerable<string> Names => source.Names;
        public bool TryGetShape(string name, out Shape shape) => source.TryGetShape(name, out shape);
        public void Read(string name, Span<float> values)
        {
            source.Read(name, values);
            if (name != "mask_decoder.iou_prediction_head.layers.2.bias") return;
            foreach (ref float value in values) value += 1.5f;
        }
    }

    static SamRig Rig(int promptsPerPass = 16) => new(
        new SamOptions { MaskThreshold = 0.4, PromptsPerPass = promptsPerPass },
        new Shifted(SamRig.Formula(SamRig.Tiny)), CheckFlags.All);

    SamRig _rig = null!;

    [OneTimeSetUp]
    public void Open() => _rig = Rig();

    [OneTimeTearDown]
    public void Close() => _rig.Dispose();

    [TestCase("single")]
    [TestCase("small_regions")]
    [TestCase("crops")]
    public void Generate_OnTheSmallModel_AsReference(string name)
    {
        JsonElement golden = Golden.Json("s07_amg/generate.json").GetProperty(name);
        Raster image = Golden.Picture("groceries_h240_w160.png");
        AutomaticMaskOptions options = AutomaticMasksTests.Options(golden.GetProperty("arguments"));
        SamAutomaticMaskGenerator generator = new(_rig.Model, options);
        IReadOnlyList<MaskRecord> masks = generator.Generate(image.Pixels, image.Height, image.Width);
        JsonElement[] expected = [.. golden.GetProperty("masks").EnumerateArray()];
        int matched = 0;
        for (int i = 0; i < Math.Min(expected.Length, masks.Count); i++)
        {
            string? difference = Difference(masks[i], expected[i]);
            if (difference is null) matched++;
            else TestContext.Out.WriteLine($"{i}: {difference}");
        }
        Assert.That(masks, Has.Count.EqualTo(expected.Length));
        // masks near a threshold may differ with crops, says meta.json
        Assert.That(matched, Is.GreaterThanOrEqualTo(name == "crops" ? 0.95 * expected.Length : expected.Length));
    }

    // meta.json, "comparison_advice"
    static string? Difference(MaskRecord mask, JsonElement want)
    {
        int[] box = Golden.Ints(want.GetProperty("bbox"));
        (int x, int y, int w, int h) = mask.Box.ToXywh();
        if (box.Zip(new[] { x, y, w, h }).Any(p => Math.Abs(p.First - p.Second) > 1)) return $"box {mask.Box}";
        int area = want.GetProperty("area").GetInt32();
        if (Math.Abs(mask.Area - area) > Math.Max(3, 0.01 * area)) return $"area {mask.Area}, not {area}";
        double iou = want.GetProperty("predicted_iou").GetDouble();
        if (!(Math.Abs(mask.PredictedIou - iou) <= 1e-5)) return $"predicted IoU {mask.PredictedIou}, not {iou}";
        JsonElement point = want.GetProperty("point_coords")[0];
        if (mask.Point != (point[0].GetDouble(), point[1].GetDouble())) return $"point {mask.Point}";
        int[] crop = Golden.Ints(want.GetProperty("crop_box"));
        if (mask.Crop.ToXywh() != (crop[0], crop[1], crop[2], crop[3])) return $"crop {mask.Crop}";
        Rle reference = new(mask.Segmentation.Height, mask.Segmentation.Width,
            Golden.Ints(want.GetProperty("segmentation").GetProperty("counts")));
        if (area <= 300) return null;
        byte[] a = mask.Segmentation.Decode(), b = reference.Decode();
        double overlap = Precision.IoU([.. a.Select(m => (float)m)], [.. b.Select(m => (float)m)]);
        return overlap >= 0.995 ? null : $"overlap {overlap:F4}";
    }

    [Test]
    public void Generate_InPassesOfAnySize_GivesTheSame()
    {
        using SamRig one = Rig(1);
        AutomaticMaskOptions options = new()
        {
            PointsPerSide = 3, PredIouThreshold = 0.7, StabilityScoreThreshold = 0.15, StabilityScoreOffset = 0.05,
            BoxNmsThreshold = 0.95,
        };
        string Run(SamRig rig)
        {
            List<double> told = [];
            IReadOnlyList<MaskRecord> masks = new SamAutomaticMaskGenerator(rig.Model, options)
                .Generate(SamRig.Picture(60, 80), 60, 80, new Told(told.Add));
            Assert.That(told[^1], Is.EqualTo(1));
            return string.Join('\n', masks.Select(m => $"{m.Box} {m.PredictedIou:R} {m.StabilityScore:R} {m.Point} "
                + string.Join(' ', m.Segmentation.Counts.ToArray())));
        }
        string together = Run(_rig), apart = Run(one);
        Assert.That(together, Is.Not.Empty);
        Assert.That(apart, Is.EqualTo(together));
    }

    sealed class Told(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }

    [Test]
    public void Generate_CancelledOrOfNoImage_Throws()
    {
        SamAutomaticMaskGenerator generator = new(_rig.Model, new() { PointsPerSide = 2 });
        using CancellationTokenSource cancel = new();
        cancel.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            generator.Generate(SamRig.Picture(5, 6), 5, 6, null, cancel.Token));
        Assert.Throws<ArgumentException>(() => generator.Generate([], 0, 0));
        Assert.Throws<ArgumentException>(() => generator.Generate(new byte[5], 1, 1));
    }
}
