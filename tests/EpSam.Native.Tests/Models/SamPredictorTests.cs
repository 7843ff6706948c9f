// Images and prompts through the library as a user calls it. Masks and scores against the official code's, and what the
// documentation promises: the caller's order, answers that do not depend on what else is asked, the planned memory.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

[Category("Slow")]
public sealed class SamPredictorTests
{
    const string Tiny = "s01_sam_tiny/";

    static readonly string[] Prompts =
    [
        "point1", "points5_mixed_pad", "box", "box_points", "mask", "mask_point", "none", "batch3_points2",
        "batch2_boxes",
    ];

    /// <summary>The goldens' prompts, in pixels of the photograph.</summary>
    static SamPrompt[] Read(Golden inputs, string name)
    {
        double[]? points = inputs.Has($"{name}/points") ? inputs.Read<double>($"{name}/points_original") : null;
        int[]? labels = inputs.Has($"{name}/labels") ? inputs.Read<int>($"{name}/labels") : null;
        double[]? boxes = inputs.Has($"{name}/boxes") ? inputs.Read<double>($"{name}/boxes_original") : null;
        float[]? mask = inputs.Has($"{name}/mask") ? inputs.Read<float>($"{name}/mask") : null;
        int count = points is not null ? inputs.Sizes($"{name}/points")[0]
            : boxes is not null ? inputs.Sizes($"{name}/boxes")[0] : 1;
        int each = labels is null ? 0 : labels.Length / count;
        return [.. Enumerable.Range(0, count).Select(p => new SamPrompt
        {
            Points = [.. Enumerable.Range(p * each, each).Select(i =>
                new SamPoint(points![2 * i], points[2 * i + 1], (PointLabel)labels![i]))],
            Box = boxes is null ? null : new SamBox(boxes[4 * p], boxes[4 * p + 1], boxes[4 * p + 2], boxes[4 * p + 3]),
            Mask = mask,
        })];
    }

    static (Golden Inputs, Golden Masks, Raster Dog) Goldens() => (Golden.Open(Tiny + "prompt_inputs.safetensors"),
        Golden.Open(Tiny + "decoder.safetensors"), Golden.Picture("dog_h201_w173.png"));

    // All prompts of the goldens in one call: numbers of points and masks differ, so this takes several passes.
    [Test]
    public void Predict_PromptsOfTheGoldens_GivesTheReferencesMasks()
    {
        (Golden inputs, Golden golden, Raster dog) = Goldens();
        using SamRig rig = new(new SamOptions { PromptsPerPass = 4 });
        rig.Predictor.SetImage(dog.Pixels, dog.Height, dog.Width);
        SamPrompt[][] prompts = [.. Prompts.Select(name => Read(inputs, name))];
        Assert.Multiple(() =>
        {
            foreach (string kind in new[] { "multi", "single" })
            {
                SamPrompt[] all = [.. prompts.SelectMany(p => p)];
                Queue<SamPrediction> answers = new(rig.Predictor.Predict(all, kind == "multi"));
                Assert.That(answers, Has.Count.EqualTo(prompts.Sum(p => p.Length)));
                foreach ((string name, SamPrompt[] group) in Prompts.Zip(prompts))
                    Compare(rig, golden, $"prompt/{name}", kind, [.. group.Select(_ => answers.Dequeue())]);
            }
        });
    }

    static void Compare(SamRig rig, Golden golden, string name, string kind, SamPrediction[] answers)
    {
        void Within(string tensor, float[] actual) =>
            Assert.That(golden.Compare(tensor, actual), Is.LessThanOrEqualTo(1), tensor);
        Within($"{name}/low_res_{kind}", [.. answers.SelectMany(a => a.LowResLogits).SelectMany(l => l)]);
        Within($"{name}/iou_{kind}", [.. answers.SelectMany(a => a.Scores)]);
        string post = $"{name}/post_{kind}";
        if (!golden.Has(post)) return;
        (float[] logits, byte[] masks) = (Logits(rig, answers), Masks(answers));
        Within(post, logits);
        Assert.That(masks, Is.EqualTo(logits.Select(l => (byte)(l > 0 ? 1 : 0))), $"{post}: masks and logits");
        byte[] expected = [.. golden.Read<float>(post).Select(l => (byte)(l > 0 ? 1 : 0))];
        Assert.That(Wrong(masks, expected, logits, golden.Tolerance(post)), Is.Zero, $"{post}: pixels");
    }

    static byte[] Masks(SamPrediction[] answers) => [.. answers.SelectMany(a => a.Masks).SelectMany(m => m)];

    static float[] Logits(SamRig rig, SamPrediction[] answers) => [.. answers.SelectMany(a =>
        Enumerable.Range(0, a.Masks.Count).SelectMany(m => rig.Predictor.Logits(a, m)))];

    // Rounding decides pixels that are nearer to the threshold than the tolerance.
    static int Wrong(byte[] masks, byte[] expected, float[] logits, double tolerance)
    {
        Assert.That(masks, Has.Length.EqualTo(expected.Length));
        return Enumerable.Range(0, masks.Length).Count(i => masks[i] != expected[i] && Math.Abs(logits[i]) > tolerance);
    }

    // Sam.forward on [photograph with 5 points, 256 x 256 formula image with 2 boxes]; here it is one call.
    [Test]
    public void Predict_TwoImages_AsForwardOfTheReference()
    {
        (Golden inputs, Golden golden, Raster dog) = Goldens();
        using SamRig rig = new();
        byte[] bytes = Cases.FormulaParameters.Bytes("input:s01/img1_u8", 3 * 256 * 256);
        SamEmbedding second = rig.Predictor.Encode(bytes, 256, 256);
        SamEmbedding first = rig.Predictor.Encode(dog.Pixels, dog.Height, dog.Width);
        // forward takes prompts in the model's frame; the second image fills it
        float[] boxes = inputs.Read<float>("batch2_boxes/boxes");
        IReadOnlyList<SamPrediction> answers = rig.Predictor.Predict(
        [
            Read(inputs, "points5_mixed_pad")[0] with { Image = first },
            SamPrompt.OfBox(boxes[0], boxes[1], boxes[2], boxes[3]) with { Image = second },
            SamPrompt.OfBox(boxes[4], boxes[5], boxes[6], boxes[7]) with { Image = second },
        ]);
        Assert.Multiple(() =>
        {
            Same("forward2/0", [answers[0]], "points5_mixed_pad");
            Same("forward2/1", [answers[1], answers[2]], "batch2_boxes");
        });

        // the goldens have no tolerances for these two, but for the same prompts alone
        void Same(string name, SamPrediction[] mine, string prompt)
        {
            double forLogits = golden.Tolerance($"prompt/{prompt}/low_res_multi");
            Near($"{name}/low_res_logits", [.. mine.SelectMany(a => a.LowResLogits).SelectMany(l => l)], forLogits);
            Near($"{name}/iou", [.. mine.SelectMany(a => a.Scores)], golden.Tolerance($"prompt/{prompt}/iou_multi"));
            byte[] expected = golden.Read<byte>($"{name}/masks_u8");
            Assert.That(Wrong(Masks(mine), expected, Logits(rig, mine), forLogits), Is.Zero, $"{name}: pixels");
        }

        void Near(string tensor, float[] actual, double tolerance) => Assert.That(
            actual.Zip(golden.Read<float>(tensor), (a, b) => Math.Abs((double)a - b)).Max(),
            Is.LessThanOrEqualTo(tolerance), tensor);
    }

    static SamPrompt[] Mixed(SamEmbedding a, SamEmbedding b) =>
    [
        SamPrompt.OfPoint(30, 40) with { Image = a },
        new() { Points = [new(10, 10), new(50, 60, PointLabel.Background), new(70, 20)], Image = b },
        SamPrompt.OfBox(5, 6, 60, 70) with { Image = a },
        SamPrompt.OfPoint(80, 20) with { Image = b },
        new() { Image = b },
        new() { Points = [new(-20, 4000)], Box = new(0, 0, 90, 70), Image = b },
        SamPrompt.OfPoint(1, 2) with { Image = a },
        new() { Mask = Cases.FormulaParameters.Floats("input:mask", 64 * 64, 5), Image = a },
        SamPrompt.OfPoint(60, 61) with { Image = a },
    ];

    [Test]
    public void Predict_InWhateverPasses_GivesTheSameBitsInTheCallersOrder()
    {
        List<string[]> runs = [];
        foreach ((int prompts, int images) in new[] { (1, 1), (3, 1), (16, 4) })
        {
            using SamRig rig = new(new SamOptions { PromptsPerPass = prompts, ImagesPerPass = images });
            SamEmbedding a = rig.Predictor.Encode(SamRig.Picture(75, 100), 75, 100);
            SamEmbedding b = rig.Predictor.Encode(SamRig.Picture(90, 95, "b"), 90, 95);
            runs.Add([.. rig.Predictor.Predict(Mixed(a, b)).Select(Fingerprint)]);
            runs.Add([.. Mixed(a, b).Select(p => Fingerprint(rig.Predictor.Predict(p)))]);
        }
        Assert.That(runs[0].Distinct().Count(), Is.EqualTo(runs[0].Length), "every prompt has its own answer");
        foreach (string[] run in runs) Assert.That(run, Is.EqualTo(runs[0]));
    }

    static string Fingerprint(SamPrediction answer)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (byte[] mask in answer.Masks) hash.AppendData(mask);
        foreach (float[] logits in answer.LowResLogits) hash.AppendData(MemoryMarshal.AsBytes<float>(logits));
        hash.AppendData(MemoryMarshal.AsBytes<float>([.. answer.Scores]));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    [Test]
    public void Embedding_SavedAndLoaded_AnswersTheSame([Values(DType.F32, DType.BF16)] DType precision)
    {
        string file = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"embedding-{precision}.safetensors");
        using SamRig rig = new(new SamOptions { Precision = precision });
        rig.Predictor.SetImage(SamRig.Picture(50, 70), 50, 70);
        string before = Fingerprint(rig.Predictor.Predict(SamPrompt.OfPoint(20, 30)));
        rig.Predictor.Image!.Save(file);
        SamEmbedding loaded = SamEmbedding.Load(file);
        rig.Predictor.SetImage(SamRig.Picture(60, 60, "other"), 60, 60); // the slots hold something else now
        Assert.That((loaded.Height, loaded.Width, loaded.ImageSize), Is.EqualTo((50, 70, 256)));
        Assert.That(loaded.Precision, Is.EqualTo(precision));
        rig.Predictor.SetImage(loaded);
        Assert.That(Fingerprint(rig.Predictor.Predict(SamPrompt.OfPoint(20, 30))), Is.EqualTo(before));
        using StateDict stored = Checkpoint.Open(file);
        long[] sizes = stored["image_embedding"].Sizes.ToArray();
        Assert.That(sizes, Is.EqualTo(new long[] { 1, 64, 16, 16 }), "the reference's layout");
        File.Delete(file);
    }

    [Test]
    public void Embedding_OfAnotherModelOrFile_IsRefused()
    {
        SamPredictor predictor = new(s_rig.Model);
        SamEmbedding other = new(10, 10, 1024, DType.F32, 64, 256, new byte[4 * 64 * 64 * 256]);
        ArgumentException refused = Assert.Throws<ArgumentException>(() => predictor.SetImage(other))!;
        Assert.That(refused.Message, Does.Contain("(16, 16, 64)"));
        Assert.That(() => predictor.Predict(new SamPrompt { Image = other }), Throws.ArgumentException);
        string file = Path.Combine(TestContext.CurrentContext.WorkDirectory, "no-embedding.safetensors");
        using (StateDict weights = new([new TensorEntry("a", [1], new float[1])])) weights.Save(file);
        CheckpointException e = Assert.Throws<CheckpointException>(() => SamEmbedding.Load(file))!;
        Assert.That(e.Message, Does.Contain("image_embedding"));
        File.Delete(file);
    }

    static IEnumerable<TestCaseData> BadPrompts()
    {
        TestCaseData Case(string name, SamPrompt prompt, string message) =>
            new TestCaseData(prompt, message).SetArgDisplayNames(name);
        yield return Case("NaN", new() { Points = [new(double.NaN, 1)] }, "point 0");
        yield return Case("infinite", new() { Points = [new(1, 1), new(1, double.PositiveInfinity)] }, "point 1");
        yield return Case("label", new() { Points = [new(1, 1, (PointLabel)7)] }, "label 7");
        yield return Case("label of a corner", new() { Points = [new(1, 1, (PointLabel)2)] }, "label 2");
        yield return Case("box from the right", SamPrompt.OfBox(9, 1, 3, 5), "(9, 1, 3, 5)");
        yield return Case("box from below", SamPrompt.OfBox(1, 5, 3, 4.5), "(1, 5, 3, 4.5)");
        yield return Case("box without number", SamPrompt.OfBox(1, 5, double.NaN, 7), "all four");
        yield return Case("mask of the image's size", new() { Mask = new float[50 * 70] }, "64 x 64");
        yield return Case("mask with NaN", new() { Mask = [.. Enumerable.Repeat(float.NaN, 64 * 64)] }, "NaN");
        SamPoint[] many = [.. Enumerable.Repeat(new SamPoint(1, 1), 33)];
        yield return Case("too many points", new() { Points = many }, "MaxPoints");
    }

    [TestCaseSource(nameof(BadPrompts))]
    public void Prompt_ThatCannotBeMeant_IsRefusedBeforeAnythingRuns(SamPrompt prompt, string message)
    {
        s_rig.Predictor.SetImage(s_embedding);
        SamPrompt good = SamPrompt.OfPoint(1, 1);
        ArgumentException e = Assert.Throws<ArgumentException>(() => s_rig.Predictor.Predict([good, prompt]))!;
        Assert.That(e.Message, Does.StartWith("prompt 1").And.Contain(message));
        e = Assert.Throws<ArgumentException>(() => s_rig.Predictor.Predict(prompt))!;
        Assert.That(e.Message, Does.StartWith("the prompt").And.Contain(message));
    }

    static SamRig s_rig = null!;
    static SamEmbedding s_embedding = null!;

    [OneTimeSetUp]
    public void Open()
    {
        s_rig = new SamRig();
        s_embedding = s_rig.Predictor.Encode(SamRig.Picture(50, 70), 50, 70);
    }

    [OneTimeTearDown]
    public void Close() => s_rig.Dispose();

    [Test]
    public void Prompts_None_GiveNoAnswers() => Assert.That(new SamPredictor(s_rig.Model).Predict([]), Is.Empty);

    [Test]
    public void Prompt_WithoutAnImage_SaysSo()
    {
        InvalidOperationException e =
            Assert.Throws<InvalidOperationException>(() => new SamPredictor(s_rig.Model).Predict(new SamPrompt()))!;
        Assert.That(e.Message, Does.Contain("SetImage"));
    }

    [TestCase(1, 1)]
    [TestCase(20000, 10)]
    [TestCase(3, 700)]
    public void Image_OfAnyShape_GivesMasksOfItsSize(int height, int width)
    {
        SamPredictor predictor = new(s_rig.Model);
        predictor.SetImage(SamRig.Picture(height, width), height, width);
        SamPrediction answer = predictor.Predict(SamPrompt.OfPoint(width / 2.0, height / 2.0));
        Assert.That(answer.Masks, Has.Count.EqualTo(3).And.All.Length.EqualTo(height * width));
        for (int m = 0; m < 3; m++)
        {
            float[] logits = predictor.Logits(answer, m);
            Assert.That(logits, Has.All.Matches<float>(float.IsFinite));
            Assert.That(answer.Masks[m], Is.EqualTo(logits.Select(l => (byte)(l > 0 ? 1 : 0))));
        }
    }

    [TestCase(0, 0, 0)]
    [TestCase(0, 5, 0)]
    [TestCase(5, 5, 74)]
    [TestCase(-1, -1, 3)]
    [TestCase(5, 5, 100)]
    [TestCase(1 << 17, 1, 3 << 17)]
    public void Image_ThatIsNone_IsRefused(int height, int width, int bytes) =>
        Assert.That(() => s_rig.Predictor.SetImage(new byte[bytes], height, width), Throws.ArgumentException);

    [Test]
    public void Cancelled_StopsBeforeTheNextPass()
    {
        using SamRig rig = new(new SamOptions { PromptsPerPass = 2 });
        using CancellationTokenSource cancel = new();
        List<double> reports = [];
        rig.Predictor.SetImage(SamRig.Picture(50, 70), 50, 70);
        SamPrompt[] prompts = [.. Enumerable.Repeat(SamPrompt.OfPoint(1, 1), 8)];
        Told progress = new(share =>
        {
            reports.Add(share);
            if (share == 0.5) cancel.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => rig.Predictor.Predict(prompts, true, progress, cancel.Token));
        Assert.That(reports, Is.EqualTo(new[] { 0.25, 0.5 }));
        Assert.Throws<OperationCanceledException>(() =>
            rig.Predictor.SetImage(SamRig.Picture(5, 7), 5, 7, cancel.Token));
        Assert.That(rig.Predictor.Predict(prompts), Has.Count.EqualTo(8), "works on after a cancelled call");
    }

    sealed class Told(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }

    [Test]
    public void Memory_IsAllocatedOnceAndAsPlanned([Values(DType.F32, DType.BF16)] DType precision)
    {
        SamOptions options = new() { Precision = precision, PromptsPerPass = 3, MaxPoints = 5, ImagesPerPass = 2 };
        using SamRig rig = new(options);
        Assert.That(rig.Model.Plan.Peak, Is.EqualTo(SamModel.PlanOf(SamRig.Tiny, options).Peak));
        rig.Predictor.SetImage(SamRig.Picture(256, 256), 256, 256);
        SamPrompt largest = new()
        {
            Points = [.. Enumerable.Repeat(new SamPoint(3, 4), 5)], Box = new(1, 2, 3, 4), Mask = new float[64 * 64],
        };
        rig.Predictor.Predict([largest, largest, largest]);
        Assert.That(rig.Model.MeasuredPeak, Is.EqualTo(rig.Model.Plan.Peak), "planned and measured bytes");
        // modules are loaded on first use; from here on nothing is allocated
        long allocations = rig.Card.LiveAllocations;
        for (int i = 0; i < 3; i++)
        {
            rig.Predictor.SetImage(SamRig.Picture(40 + i, 256), 40 + i, 256);
            rig.Predictor.Predict([largest, largest, SamPrompt.OfPoint(1, 1), SamPrompt.OfPoint(1, 2)]);
        }
        Assert.That(rig.Card.LiveAllocations, Is.EqualTo(allocations));
        Assert.That(rig.Model.MeasuredPeak, Is.EqualTo(rig.Model.Plan.Peak));
    }

    [Test]
    public void AnyThread_MayCall()
    {
        SamPredictor predictor = new(s_rig.Model);
        predictor.SetImage(SamRig.Picture(30, 40), 30, 40);
        string here = Fingerprint(predictor.Predict(SamPrompt.OfPoint(3, 4))), there = "";
        Thread thread = new(() =>
        {
            predictor.SetImage(SamRig.Picture(30, 40), 30, 40);
            there = Fingerprint(predictor.Predict(SamPrompt.OfPoint(3, 4)));
        });
        thread.Start();
        thread.Join();
        Assert.That(there, Is.EqualTo(here));
        Assert.That(Fingerprint(predictor.Predict(SamPrompt.OfPoint(3, 4))), Is.EqualTo(here));
    }

    [Test]
    public void TwoLoads_GiveTheSameBits()
    {
        using SamRig rig = new();
        string Run(SamModel model)
        {
            SamPredictor predictor = new(model);
            predictor.SetImage(SamRig.Picture(50, 70), 50, 70);
            return Fingerprint(predictor.Predict(SamPrompt.OfBox(5, 6, 40, 50)));
        }
        string here = Run(rig.Model), there = Run(s_rig.Model);
        Assert.That(there, Is.EqualTo(here));
    }

    [Test]
    public void BF16_MasksOverlapThoseOfF32()
    {
        (Golden inputs, _, Raster dog) = Goldens();
        SamPrompt[] prompts = [.. Prompts.SelectMany(name => Read(inputs, name))];
        IReadOnlyList<SamPrediction> Run(DType precision)
        {
            using SamRig rig = new(new SamOptions { Precision = precision });
            rig.Predictor.SetImage(dog.Pixels, dog.Height, dog.Width);
            return rig.Predictor.Predict(prompts);
        }
        IReadOnlyList<SamPrediction> exact = Run(DType.F32), rounded = Run(DType.BF16);
        Assert.Multiple(() =>
        {
            for (int p = 0; p < prompts.Length; p++) // of an answer's masks together, as the decoder's own test
            {
                byte[] a = Masks([exact[p]]), b = Masks([rounded[p]]);
                double overlap = Precision.IoU([.. a.Select(m => (float)m)], [.. b.Select(m => (float)m)]);
                TestContext.Out.WriteLine($"prompt {p}: IoU of the masks in bf16 and f32 {overlap:F4}");
                Assert.That(overlap, Is.GreaterThanOrEqualTo(0.99), $"prompt {p}");
            }
        });
    }

    [Test]
    public void MaskLogits_OfAMask_AreItInTheModelsFrame()
    {
        byte[] mask = new byte[40 * 80]; // the left half, of an image twice as wide as high
        for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(i % 80 < 40 ? 200 : 0);
        float[] logits = s_rig.Model.MaskLogits(mask, 40, 80);
        Assert.That(logits, Has.Length.EqualTo(64 * 64));
        const float Most = 6.9067548f;
        for (int y = 0; y < 64; y++)
            for (int x = 0; x < 64; x++)
            {
                float expected = y < 32 && x < 32 ? Most : -Most;
                if (y < 32 && x is 31 or 32) Assert.That(logits[y * 64 + x], Is.InRange(-Most, Most));
                else Assert.That(logits[y * 64 + x], Is.EqualTo(expected), $"({x}, {y})");
            }
        Assert.That(() => s_rig.Model.MaskLogits(mask, 41, 80), Throws.ArgumentException);
    }
}
