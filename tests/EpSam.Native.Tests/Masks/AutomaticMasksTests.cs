// The generator with the stand-in predictor of s07_amg, whose outputs are exact: every mask, number and the order must
// be the reference's.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Masks;

public sealed class AutomaticMasksTests
{
    /// <summary>s07_amg/meta.json, "analytic_predictor".</summary>
    sealed class Analytic : IMaskPredictor, IMaskBatch
    {
        int rows, columns;
        long sum;
        (int A, int B, int K)[] prompts = [];
        float[] iou = [];

        public int Calls { get; private set; }
        public double MaskThreshold => 0;
        public ReadOnlySpan<float> PredictedIou => iou;

        public void SetImage(ReadOnlySpan<byte> rgb, int height, int width)
        {
            (rows, columns, sum) = (height, width, 0);
            foreach (byte value in rgb) sum += value;
            sum /= 1000;
        }

        public IMaskBatch Predict(ReadOnlySpan<(double X, double Y)> points)
        {
            Calls++;
            ResizeLongestSide frame = new(256);
            (int newHeight, int newWidth) = frame.Size(rows, columns);
            prompts = new (int, int, int)[points.Length];
            iou = new float[3 * points.Length];
            for (int i = 0; i < points.Length; i++)
            {
                (double x, double y) = frame.Point(points[i].X, points[i].Y, rows, columns);
                int a = (int)Math.Floor(x * columns / newWidth + 0.3717);
                int b = (int)Math.Floor(y * rows / newHeight + 0.3717);
                int k = (int)((7 * a + 13 * b + sum) % 97);
                prompts[i] = (a, b, k);
                for (int j = 0; j < 3; j++) iou[3 * i + j] = (11 * k + 37 * j + 3 * a + 5 * b) % 128 / 128f;
            }
            return this;
        }

        public (int Inner, int Outer) Counts(int index, double threshold, double offset)
        {
            int inner = 0, outer = 0;
            for (int i = 0; i < rows * columns; i++)
            {
                if (Logit(index, i) > (float)(threshold + offset)) inner++;
                if (Logit(index, i) > (float)(threshold - offset)) outer++;
            }
            return (inner, outer);
        }

        public void Mask(int index, double threshold, Span<byte> mask)
        {
            for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(Logit(index, i) > (float)threshold ? 1 : 0);
        }

        float Logit(int index, int pixel)
        {
            (int a, int b, int k) = prompts[index / 3];
            int j = index % 3, x = pixel % columns, y = pixel / columns, dx = x - a, dy = y - b;
            int r = j == 0 ? 4 + k % 9 : j == 1 ? 9 + k % 17 : 20 + k % 23;
            return j switch
            {
                0 => r * r - dx * dx - dy * dy,
                1 => Math.Abs(dx) <= 1 && Math.Abs(dy) <= 1 ? -2000 : r * r - dx * dx - 2 * dy * dy,
                _ => x == 3 && y == 5 ? 50 : r * r - 3 * dx * dx - dy * dy,
            } / 16f;
        }
    }

    static Raster Groceries() => Golden.Picture("groceries_h240_w160.png");

    internal static AutomaticMaskOptions Options(JsonElement arguments)
    {
        double Or(string name, double otherwise) =>
            arguments.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : otherwise;
        return new()
        {
            PointsPerSide = (int)Or("points_per_side", 32),
            PointsPerBatch = (int)Or("points_per_batch", 64),
            PredIouThreshold = Or("pred_iou_thresh", 0.88),
            StabilityScoreThreshold = Or("stability_score_thresh", 0.95),
            StabilityScoreOffset = Or("stability_score_offset", 1),
            BoxNmsThreshold = Or("box_nms_thresh", 0.7),
            CropLayers = (int)Or("crop_n_layers", 0),
            CropNmsThreshold = Or("crop_nms_thresh", 0.7),
            CropOverlapRatio = Or("crop_overlap_ratio", 512.0 / 1500),
            CropPointsDownscaleFactor = (int)Or("crop_n_points_downscale_factor", 1),
            MinMaskRegionArea = Or("min_mask_region_area", 0),
        };
    }

    [TestCase("single")]
    [TestCase("small_regions")]
    [TestCase("crops2")]
    [TestCase("nofilter")]
    public void Generate_StandInPredictor_AsReference(string name)
    {
        JsonElement golden = Golden.Json("s07_amg/generate_analytic.json").GetProperty(name);
        Raster image = Groceries();
        IReadOnlyList<MaskRecord> masks = AutomaticMasks.Generate(
            new Analytic(), image.Pixels, image.Height, image.Width, Options(golden.GetProperty("arguments")));
        JsonElement[] expected = [.. golden.GetProperty("masks").EnumerateArray()];
        Assert.That(masks, Has.Count.EqualTo(expected.Length));
        for (int i = 0; i < expected.Length; i++)
        {
            JsonElement want = expected[i];
            MaskRecord mask = masks[i];
            int[] counts = Golden.Ints(want.GetProperty("segmentation").GetProperty("counts"));
            Assert.That(mask.Segmentation.Counts.ToArray(), Is.EqualTo(counts), $"{i}");
            Assert.That(mask.Area, Is.EqualTo(want.GetProperty("area").GetInt32()), $"area {i}");
            Assert.That(Four(mask.Box), Is.EqualTo(Golden.Ints(want.GetProperty("bbox"))), $"box {i}");
            Assert.That(Four(mask.Crop), Is.EqualTo(Golden.Ints(want.GetProperty("crop_box"))), $"crop {i}");
            double iou = want.GetProperty("predicted_iou").GetDouble();
            Assert.That((double)mask.PredictedIou, Is.EqualTo(iou), $"iou {i}");
            double stability = want.GetProperty("stability_score").GetDouble();
            Assert.That((double)mask.StabilityScore, Is.EqualTo(stability), $"stability {i}");
            JsonElement point = want.GetProperty("point_coords")[0];
            Assert.That(mask.Point, Is.EqualTo((point[0].GetDouble(), point[1].GetDouble())), $"point {i}");
        }
    }

    static int[] Four(Box box) => box.ToXywh() is var (x, y, w, h) ? [x, y, w, h] : [];

    [Test]
    public void Generate_Cancelled_Stops()
    {
        Analytic predictor = new();
        using CancellationTokenSource cancel = new();
        Progress progress = new(share => { if (share >= 0.5) cancel.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => AutomaticMasks.Generate(
            predictor, new byte[300], 10, 10, new() { PointsPerSide = 4, PointsPerBatch = 2 }, progress, cancel.Token));
        Assert.That(predictor.Calls, Is.EqualTo(4));
    }

    sealed class Progress(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }

    [Test]
    public void Generate_OnePixelWithCrops_Works() =>
        Assert.DoesNotThrow(() => AutomaticMasks.Generate(
            new Analytic(), new byte[3], 1, 1, new() { PointsPerSide = 2, CropLayers = 2 }));

    [Test]
    public void Generate_WrongSizes_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => AutomaticMasks.Generate(new Analytic(), new byte[5], 1, 1, new()));
        Assert.Throws<ArgumentException>(() => AutomaticMasks.Generate(new Analytic(), [], 0, 0, new()));
        Assert.Throws<ArgumentException>(() => AutomaticMasks.Generate(
            new Analytic(), new byte[3], 1, 1, new() { CropLayers = 1, PointGrids = [[(0.5, 0.5)]] }));
    }
}
