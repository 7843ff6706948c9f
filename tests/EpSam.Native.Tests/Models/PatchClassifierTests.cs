// The classifier as users have it, small and with all checks of the virtual GPU on: what a checkpoint's shapes tell and
// what is refused, planned memory, images of any shape, and that an answer does not depend on what it is computed with.
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

[Category("Slow")]
public sealed class PatchClassifierTests
{
    static readonly ResNetAdlConfig Tiny = new() { Blocks = [1, 2, 3, 2], Width = 8 };

    VirtualGpu.VirtualGpu _card = null!;
    Gpu _gpu = null!;

    [OneTimeSetUp]
    public void Open()
    {
        _card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = CheckFlags.All });
        _gpu = new Gpu(_card.Driver, _card.Blas);
    }

    [OneTimeTearDown]
    public void Close()
    {
        _gpu.MakeCurrent();
        _gpu.Dispose();
        Assert.That(_card.LiveAllocations, Is.Zero, "allocations left");
    }

    /// <summary>Formula weights, with a head that has activations of both signs.</summary>
    internal static ParameterDictionary Source(ResNetAdlConfig config)
    {
        KeyValuePair<string, Shape>[] shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(config, parameters);
            shapes = [.. parameters.Stored];
        });
        FormulaParameters formula = new(shapes);
        ParameterDictionary source = new();
        foreach ((string name, Shape shape) in shapes)
        {
            float[] values = new float[shape.Count];
            formula.Read(name, values);
            // features are not negative: of weights with mean 0, what an image shows may be negative everywhere
            if (name == "fc.weight")
                foreach (ref float w in values.AsSpan()) w += 0.03f;
            source.Add(name, shape, values);
        }
        return source;
    }

    /// <summary>Writes a checkpoint with EP-SAM's names.</summary>
    internal static void Save(ResNetAdlConfig config, string path)
    {
        ParameterDictionary source = Source(config);
        using StateDict state = new(source.Names.Select(name =>
        {
            source.TryGetShape(name, out Shape shape);
            float[] values = new float[shape.Count];
            source.Read(name, values);
            return new TensorEntry(name, [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])], values);
        }));
        state.Save(path);
    }

    static byte[] Image(int height, int width, string name = "a") =>
        FormulaParameters.Bytes($"input:patch/{name}", 3 * height * width);

    PatchClassifier Load(PatchClassifierOptions? options = null) =>
        PatchClassifier.Load(_gpu, Source(Tiny), options ?? new() { LongerSide = 70, ShorterSide = 64 });

    [Test]
    public void Load_File_TellsBlocksAndWidthFromItsShapes()
    {
        string path = Path.Combine(Path.GetTempPath(), $"classifier-{Guid.NewGuid():N}.safetensors");
        try
        {
            Save(Tiny, path);
            using PatchClassifier file = PatchClassifier.Load(_gpu, path, new() { LongerSide = 33, ShorterSide = 33 });
            using PatchClassifier direct = Load();
            Assert.That((file.Config.Width, file.Config.Blocks), Is.EqualTo((Tiny.Width, Tiny.Blocks)));
            byte[] image = Image(33, 33);
            Assert.That(file.Classify(image, 33, 33), Is.EqualTo(direct.Classify(image, 33, 33)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Cam_OfASquare_IsTheHostsAverage_InPlannedMemory([Values(1, 3, 4)] int batch)
    {
        using PatchClassifier classifier = Load(new() { LongerSide = 64, ShorterSide = 64, Batch = batch });
        float[] activations = [];
        classifier.Network.Observe = a => activations = a;
        ActivationMap map = classifier.Cam(Image(64, 64), 64, 64);
        Assert.That((map.Height, map.Width, map.ImageHeight, map.ImageWidth), Is.EqualTo((4, 4, 64, 64)));
        Assert.That(map.Map, Is.EqualTo(OnTheHost(activations, 4, 4)));
        Assert.That(map.Map, Has.Some.GreaterThan((byte)0).And.Some.LessThan((byte)255));
        Assert.That(classifier.MeasuredPeak, Is.EqualTo(classifier.Plan.Peak));
        using PatchClassifier other = Load();
        Assert.That(other.Cam(Image(64, 64), 64, 64).Map, Is.EqualTo(map.Map), "whatever the batch");
    }

    [Test]
    public void Cam_OfARectangle_IsItsOrientationsOneByOne([Values] bool wholeStage)
    {
        (int h, int w) = (49, 70);
        byte[] image = Image(h, w);
        using PatchClassifier classifier = Load();
        float[] activations = [];
        classifier.Network.Observe = a => activations = a;
        ActivationMap map = classifier.Cam(image, h, w, wholeStage);
        Assert.That((map.Height, map.Width), Is.EqualTo((4, 5)));
        Assert.That(map.Map, Is.EqualTo(OnTheHost(activations, 4, 5)));
        Assert.That(classifier.MeasuredPeak, Is.LessThanOrEqualTo(classifier.Plan.Peak));
        byte[] turned = new byte[image.Length];
        QuarterTurns.Rotate<byte>(image, h, w, 3, 1, turned);
        float[] first = activations;
        classifier.Cam(turned, w, h, wholeStage);
        Assert.That(activations[..20], Is.EqualTo(first[40..60]), "a turned image's first orientation is the third's");
    }

    // GAP and the last layer are linear: the mean over positions of what the last layer makes of each is the logit.
    [Test]
    public void Logits_OfTheWholeStage_HaveTheImagesLogitAsMean()
    {
        using PatchClassifier classifier = Load();
        byte[] image = Image(64, 64);
        float[] activations = [];
        classifier.Network.Observe = a => activations = a;
        ActivationMap map = classifier.Cam(image, 64, 64, wholeStage: true);
        float logit = classifier.Classify(image, 64, 64).Logit;
        double mean = activations[..16].Average(a => (double)a) + classifier.HeadBias;
        Assert.That(mean, Is.EqualTo(logit).Within(1e-4 * (1 + Math.Abs(logit))));
        Assert.That(map.Logits!.Average(), Is.EqualTo(activations.Average() + classifier.HeadBias).Within(1e-4));
    }

    [Test]
    public void Classify_Several_IsEachAlone()
    {
        using PatchClassifier classifier = Load(new() { LongerSide = 40, ShorterSide = 33, Batch = 2 });
        byte[][] images = [Image(33, 40, "a"), Image(33, 40, "b"), Image(33, 40, "c")];
        PatchScore[] together = classifier.Classify([.. images.SelectMany(i => i)], 3, 33, 40);
        for (int i = 0; i < 3; i++)
        {
            Assert.That(classifier.Classify(images[i], 33, 40), Is.EqualTo(together[i]));
            Assert.That(together[i].Probability, Is.EqualTo(1 / (1 + Math.Exp(-together[i].Logit))).Within(1e-6));
        }
        Assert.That(together.Distinct().Count(), Is.EqualTo(3));
        Assert.That(classifier.Classify([], 0, 33, 40), Is.Empty);
        Assert.Throws<OperationCanceledException>(
            () => classifier.Classify(images[0], 1, 33, 40, new CancellationToken(true)));
    }

    [Test]
    public void BF16_IsCloseToF32()
    {
        using PatchClassifier exact = Load();
        float logit = exact.Classify(Image(64, 64), 64, 64).Logit;
        using PatchClassifier rough =
            Load(new() { LongerSide = 64, ShorterSide = 64, Precision = DType.BF16 });
        Assert.That(rough.Classify(Image(64, 64), 64, 64).Logit, Is.EqualTo(logit).Within(0.05));
        Assert.That(rough.Plan.Peak, Is.LessThan(exact.Plan.Peak));
        Assert.That(rough.Cam(Image(64, 64), 64, 64).Map, Has.Some.GreaterThan((byte)0));
    }

    [Test]
    public void Map_ToMaskAndPoints()
    {
        using PatchClassifier classifier = Load();
        ActivationMap map = classifier.Cam(Image(64, 60), 64, 60);
        byte[] mask = map.Mask(new() { Percentile = 50, Opening = 1 });
        Assert.That(mask, Has.Length.EqualTo(64 * 60).And.Some.EqualTo((byte)1).And.Some.EqualTo((byte)0));
        (int X, int Y)[] points = map.Points(mask, 20, 7);
        Assert.That(points.Distinct().Count(), Is.EqualTo(20));
        Assert.That(points.All(p => mask[p.Y * 60 + p.X] == 1));
        Assert.That(map.Points(mask, 20, 7), Is.EqualTo(points));
    }

    [Test]
    public void Image_OfAnotherSize_IsRefused()
    {
        using PatchClassifier classifier = Load();
        Assert.That(() => classifier.Classify(Image(65, 66), 65, 66),
            Throws.ArgumentException.With.Message.Contains("65 x 66 is larger than the 70 x 64"));
        Assert.That(() => classifier.Cam(Image(64, 71), 64, 71),
            Throws.ArgumentException.With.Message.Contains("larger"));
        Assert.That(() => classifier.Cam(Image(6, 7), 6, 8),
            Throws.ArgumentException.With.Message.Contains("1 x 6 x 8 x 3 bytes were expected, got 126"));
        Assert.That(() => classifier.Cam([], 0, 0), Throws.ArgumentException);
        Assert.That(classifier.Classify(Image(1, 1), 1, 1).Probability, Is.InRange(0, 1));
        Assert.That(classifier.Cam(Image(70, 3), 70, 3).Map, Has.Length.EqualTo(5));
    }

    [Test]
    public void Checkpoint_ThatIsNoClassifier_IsRefusedWithWhatDiffers()
    {
        Refuses(SamRig.Formula(SamRig.Tiny), "it has no conv1.weight of four axes; it is a SAM (--sam)");
        Refuses(Changed(Source(Tiny), "conv1.weight", new(8, 3, 7, 7)), "a ResNet of three channels");
        Refuses(Changed(Source(Tiny), "fc.weight", new(2, 256)), "fc.weight must be (1, 256), found (2, 256)");
        Refuses(Changed(Source(Tiny), "layer2.1.bn1.bias", null), "1 missing: layer2.1.bn1.bias");
        Refuses(Changed(Source(Tiny), "layer2.0.conv2.weight", new(16, 16, 1, 1)),
            "layer2.0.conv2.weight: expected (16, 16, 3, 3), found (16, 16, 1, 1)");
        Refuses(Changed(Source(Tiny), "layer3.2.conv1.weight", null, "layer3.1.conv1.weight"), "blocks 1, 2, 4, 2");
        Refuses(Changed(Source(new() { Blocks = [1, 1, 1, 1], Width = 4 }), "conv1.weight", new(6, 4, 7, 7)),
            "width is a multiple of 4, got 6");
        void Refuses(IParameterSource source, string message) => Assert.That(() => PatchClassifier.Load(_gpu, source),
            Throws.TypeOf<CheckpointException>().With.Message.Contains(message)
                .And.Message.Contains("the source is no patch classifier"));
    }

    // One parameter of another shape, missing, or by another name.
    static ParameterDictionary Changed(IParameterSource source, string name, Shape? shape, string? renamed = null)
    {
        ParameterDictionary changed = new();
        foreach (string key in source.Names)
        {
            source.TryGetShape(key, out Shape own);
            float[] values = new float[own.Count];
            source.Read(key, values);
            if (key != name) changed.Add(key, own, values);
            else if (renamed is not null) changed.Add(renamed, own, values);
            else if (shape is Shape other) changed.Add(key, other, new float[other.Count]);
        }
        return changed;
    }

    [Test]
    public void Budget_TooSmall_SaysWhatFits()
    {
        PatchClassifierOptions options = new() { LongerSide = 256, ShorterSide = 256, Batch = 8 };
        long need = PatchClassifier.PlanOf(Tiny, options).Peak;
        Assert.That(() => PatchClassifier.Load(_gpu, Source(Tiny), options with { MemoryBudget = need - 1 }),
            Throws.TypeOf<BudgetException>().With.Message.Contains("a batch of 4 fits with"));
        using PatchClassifier fits = PatchClassifier.Load(_gpu, Source(Tiny), options with { MemoryBudget = need });
        Assert.That(PatchClassifier.PlanOf(new(), new()).Peak, Is.LessThan(400L << 20), "ResNet-50, 512 x 512");
    }

    [Test]
    public void Options_Impossible_AreRefused()
    {
        foreach (PatchClassifierOptions options in new PatchClassifierOptions[]
        {
            new() { Batch = 0 }, new() { Precision = DType.U8 }, new() { LongerSide = 10 }, new() { ShorterSide = 0 },
        })
        {
            Assert.That(() => PatchClassifier.PlanOf(Tiny, options), Throws.ArgumentException, options.ToString());
        }
        PatchClassifierOptions covering = new PatchClassifierOptions().For([(10, 40), (30, 20)]);
        Assert.That((covering.LongerSide, covering.ShorterSide), Is.EqualTo((40, 20)));
    }

    static byte[] OnTheHost(float[] activations, int height, int width)
    {
        int size = height * width;
        float[] inOrder = [.. activations[..size], .. activations[(2 * size)..(3 * size)],
            .. activations[size..(2 * size)], .. activations[(3 * size)..]];
        byte[] map = new byte[size];
        CamMap.Average(inOrder, height, width, map);
        return map;
    }
}
