// Loading: which model a checkpoint is, what a wrong one is told, decoders laid over, memory that is refused.
using EpSam.Cases;
using EpSam.Cuda;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

public sealed class SamModelTests
{
    CuNull _device = null!;
    Gpu _gpu = null!;

    [SetUp]
    public void Open() // nothing here needs kernels to run
    {
        _device = CuNull.Create();
        _gpu = new Gpu(_device.Driver, _device.Blas);
    }

    [TearDown]
    public void Close()
    {
        _gpu.Dispose();
        Assert.That(_device.LiveBytes, Is.Zero, "memory left");
    }

    /// <summary>Shapes of a model without values.</summary>
    sealed class Shapes(FormulaParameters of, Func<string, bool>? without = null, params string[] extra)
        : IParameterSource
    {
        public IEnumerable<string> Names => of.Names.Where(n => without?.Invoke(n) != true).Concat(extra);
        public bool TryGetShape(string name, out Shape shape)
        {
            shape = new Shape(1);
            return extra.Contains(name) || (of.TryGetShape(name, out shape) && without?.Invoke(name) != true);
        }
        public void Read(string name, Span<float> values) => values.Clear();
    }

    CheckpointException Refused(IParameterSource source, SamConfig? config) =>
        Assert.Throws<CheckpointException>(() => SamModel.Load(_gpu, source, config))!;

    [Test]
    public void Load_OfAnotherPublishedModel_NamesKeysAndTheTypeThatFits()
    {
        CheckpointException e = Refused(new Shapes(SamRig.Formula(SamConfig.VitL)), SamConfig.VitB);
        Assert.That(e.Error, Is.EqualTo(CheckpointError.KeysDiffer));
        Assert.That(e.Message, Does.Contain("is not vit_b").And.EndWith("; it is vit_l")
            .And.Contain("168 unexpected: image_encoder.blocks.12.norm1.weight").And.Contain("of another shape"));
        e = Refused(new Shapes(SamRig.Formula(SamConfig.VitB)), SamConfig.VitH);
        Assert.That(e.Message, Does.Contain("is not vit_h").And.EndWith("; it is vit_b")
            .And.Contain("280 missing: image_encoder.blocks.12.norm1.weight"));
        Assert.That(_device.Allocations, Is.Zero, "refused before anything was allocated");
    }

    [Test]
    public void Load_OfASmallModelAsAPublishedOne_AdvisesItsOwnSizes()
    {
        CheckpointException e = Refused(new Shapes(SamRig.Formula(SamRig.Small)), SamConfig.VitB);
        Assert.That(e.Message, Does.EndWith("; it fits the sizes that its own shapes tell: give none"));
    }

    [Test]
    public void Load_WithAKeyTooManyOrTooFew_NamesIt()
    {
        FormulaParameters tiny = SamRig.Formula(SamRig.Tiny);
        CheckpointException e = Refused(new Shapes(tiny, n => n == "mask_decoder.iou_token.weight"), SamRig.Tiny);
        Assert.That(e.Message, Does.Contain("1 missing: mask_decoder.iou_token.weight;"));
        e = Refused(new Shapes(tiny, null, "mask_decoder.surplus"), SamRig.Tiny);
        Assert.That(e.Message, Does.Contain("1 unexpected: mask_decoder.surplus;"));
        // what some tools save beside the weights
        Shapes constants = new(tiny, null, "pixel_mean", "pixel_std");
        Assert.DoesNotThrow(() => SamModel.Load(_gpu, constants, SamRig.Tiny).Dispose());
    }

    [Test]
    public void Load_OfSomethingElse_SaysWhatItIs()
    {
        FormulaParameters small = SamRig.Formula(SamRig.Small);
        bool OfDecoder(string name) => name.StartsWith("mask_decoder.", StringComparison.Ordinal);
        foreach (SamConfig? config in new[] { null, SamRig.Small })
            Assert.That(Refused(new Shapes(small, OfDecoder), config).Message, Does.Contain("missing: mask_decoder."));
        CheckpointException e =
            Refused(new Shapes(small, n => n.StartsWith("prompt_encoder.", StringComparison.Ordinal)), SamRig.Small);
        Assert.That(e.Message, Does.Contain("17 missing: prompt_encoder."));
        e = Refused(new Shapes(small, n => !OfDecoder(n)), null);
        Assert.That(e.Message, Does.Contain("the source is a mask decoder alone").And.Contain("as overlay"));
        e = Refused(new Shapes(small, _ => true, "layer1.0.conv1.weight", "fc.weight"), null);
        Assert.That(e.Message, Does.Contain("is no SAM").And.Contain("2 unexpected: layer1.0.conv1.weight, fc.weight"));
    }

    [Test]
    public void Load_WithoutSizes_TakesThemFromTheShapes()
    {
        using SamModel model = SamModel.Load(_gpu, new Shapes(SamRig.Formula(SamRig.Small)));
        Assert.That(model.Config, Is.EqualTo(SamRig.Small));
        Assert.That((model.LowResSize, model.MultimaskOutputs), Is.EqualTo((64, 3)));
        Assert.That(_device.Allocations, Is.EqualTo(1));
    }

    [Test]
    public void Load_WithoutSizesAndWithOtherHeads_AsksForThem()
    {
        SamConfigException e = Assert.Throws<SamConfigException>(() =>
            SamModel.Load(_gpu, new Shapes(SamRig.Formula(SamRig.Tiny))))!;
        Assert.That(e.Message, Does.Contain("64 / 8").And.Contain("decoder_heads").And.EndWith("give its sizes"));
    }

    // Another resolution than the checkpoint's: positional tables are resampled.
    [Test]
    public void Load_AtAnotherResolution_Fits()
    {
        SamConfig larger = SamRig.Tiny with { ImageSize = 320 };
        using SamModel model = SamModel.Load(_gpu, new Shapes(SamRig.Formula(SamRig.Tiny)), larger);
        Assert.That(model.LowResSize, Is.EqualTo(80));
    }

    [Test]
    public void Overlay_ReplacesTheDecoder_AndMustFit()
    {
        string Name(string file) => Path.Combine(TestContext.CurrentContext.WorkDirectory, file);
        FormulaParameters tiny = SamRig.Formula(SamRig.Tiny);
        TensorEntry[] Entries(Func<string, bool> which, float scale) => [.. tiny.Names.Where(which).Select(n =>
        {
            tiny.TryGetShape(n, out Shape shape);
            float[] values = new float[shape.Count];
            tiny.Read(n, values);
            long[] sizes = [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])];
            return new TensorEntry(n, sizes, [.. values.Select(v => v * scale)]);
        })];
        bool OfDecoder(string name) => name.StartsWith("mask_decoder.", StringComparison.Ordinal);
        using (StateDict whole = new(Entries(_ => true, 1))) whole.Save(Name("whole.safetensors"));
        using (StateDict decoder = new(Entries(OfDecoder, 0.5f))) decoder.Save(Name("decoder.safetensors"));
        using (StateDict mixed = new([.. Entries(n => !OfDecoder(n), 1), .. Entries(OfDecoder, 0.5f)]))
            mixed.Save(Name("mixed.safetensors"));

        float[][] Scores(string file, string? overlay)
        {
            VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new());
            using Gpu gpu = new(card.Driver, card.Blas);
            string? upper = overlay is null ? null : Name(overlay);
            using SamModel model = SamModel.Load(gpu, Name(file), SamRig.Tiny, null, upper);
            SamPredictor predictor = new(model);
            predictor.SetImage(SamRig.Picture(50, 60), 50, 60);
            return [.. predictor.Predict(SamPrompt.OfPoint(5, 5)).LowResLogits];
        }
        float[][] wanted = Scores("mixed.safetensors", null);
        Assert.That(Scores("whole.safetensors", "decoder.safetensors"), Is.EqualTo(wanted));
        Assert.That(Scores("whole.safetensors", null), Is.Not.EqualTo(wanted));

        using (StateDict other = new([new TensorEntry("decoder.weight", [1], new float[1])]))
            other.Save(Name("other.safetensors"));
        CheckpointException e = Assert.Throws<CheckpointException>(() =>
            SamModel.Load(_gpu, Name("whole.safetensors"), SamRig.Tiny, null, Name("other.safetensors")))!;
        Assert.That(e.Message, Does.Contain("whole.safetensors with ").And.Contain("1 unexpected: decoder.weight"));
        foreach (string file in new[] { "whole", "decoder", "mixed", "other" })
            File.Delete(Name(file + ".safetensors"));
    }

    [Test]
    public void Budget_TooSmall_SaysWhatWouldFit()
    {
        SamOptions options = new() { PromptsPerPass = 64 };
        Shapes tiny = new(SamRig.Formula(SamRig.Tiny));
        string Refusal(long budget) => Assert.Throws<BudgetException>(() =>
            SamModel.Load(_gpu, tiny, SamRig.Tiny, options with { MemoryBudget = budget }))!.Message;
        long smaller = SamModel.PlanOf(SamRig.Tiny, options with { PromptsPerPass = 16 }).Peak;
        Assert.That(Refusal(smaller), Does.Contain($"16 prompts per pass fits with {Sizes.Text(smaller)}"));
        long one = SamModel.PlanOf(SamRig.Tiny, options with { PromptsPerPass = 1, ImagesPerPass = 1 }).Peak;
        Assert.That(Refusal(one - 1), Does.Contain("bf16 with "));
        Assert.That(Refusal(1 << 20), Does.Contain("nothing smaller"));
        Assert.That(_device.Allocations, Is.Zero);
        SamOptions fitting = options with { PromptsPerPass = 16, MemoryBudget = smaller };
        SamModel.Load(_gpu, tiny, SamRig.Tiny, fitting).Dispose();
        Assert.That(_device.PeakBytes, Is.EqualTo(smaller));
    }

    // The null provider counts calls of cuMemAlloc, and runs no kernel: answers are empty, memory is real.
    [Test]
    public void ImagesAndPrompts_AllocateNothing()
    {
        using SamModel model = SamModel.Load(_gpu, new Shapes(SamRig.Formula(SamRig.Tiny)), SamRig.Tiny);
        SamPredictor predictor = new(model);
        for (int i = 1; i < 4; i++)
        {
            predictor.SetImage(SamRig.Picture(40 * i, 50), 40 * i, 50);
            SamPrediction answer = predictor.Predict(SamPrompt.OfPoint(i, i));
            predictor.Logits(answer, 0);
            SamPrompt masked = new() { Mask = new float[64 * 64] };
            predictor.Predict([.. Enumerable.Repeat(masked, 20)], multimask: false);
            new SamAutomaticMaskGenerator(model, new() { PointsPerSide = 3 }).Generate(SamRig.Picture(20, 30), 20, 30);
        }
        Assert.That(_device.Allocations, Is.EqualTo(1));
    }

    [Test]
    public void Options_Impossible_AreRefused()
    {
        foreach (SamOptions options in new[]
        {
            new SamOptions { Precision = DType.U8 }, new() { PromptsPerPass = 0 }, new() { MaxPoints = 0 },
            new() { ImagesPerPass = -1 }, new() { MaskThreshold = double.NaN }, new() { PromptsPerPass = 1 << 20 },
        })
        {
            Assert.That(() => SamModel.PlanOf(SamRig.Tiny, options), Throws.ArgumentException, options.ToString());
        }
    }

    [Test]
    public void Plan_OfVitB_StaysWithinTheDesign()
    {
        Plan plan = SamModel.PlanOf(SamConfig.VitB);
        TestContext.Out.WriteLine($"vit_b, f32, all: {Sizes.Text(plan.Peak)}");
        Assert.That(plan.Peak, Is.LessThanOrEqualTo((long)(0.8 * (1 << 30)))); // issue: at most 0.8 GiB
    }
}
