// Images that are encoded together: each as if it were alone, within the memory that was planned for as many.
using EpSam.Native.Models.Sam;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

public sealed class SamBatchTests
{
    static readonly (int Height, int Width)[] Sizes = [(256, 256), (40, 256), (200, 173)];

    static SamImage[] Images() =>
        [.. Sizes.Select((s, i) => new SamImage(SamRig.Picture(s.Height, s.Width, $"batch{i}"), s.Height, s.Width))];

    [Test]
    public void Encode_Several_GivesTheBitsOfEachAlone([Values(DType.F32, DType.BF16)] DType precision)
    {
        SamOptions options = new() { Precision = precision, ImagesPerEncoding = 2, ImagesPerPass = 2 };
        using SamRig rig = new(options, checks: VirtualGpu.Checks.CheckFlags.None);
        SamImage[] images = Images();
        IReadOnlyList<SamEmbedding> together = rig.Predictor.Encode(images);
        Assert.That(together, Has.Count.EqualTo(images.Length));
        for (int i = 0; i < images.Length; i++)
        {
            SamEmbedding alone = rig.Predictor.Encode(images[i].Rgb.Span, images[i].Height, images[i].Width);
            Assert.That((together[i].Height, together[i].Width), Is.EqualTo(Sizes[i]));
            Assert.That(together[i].ToArray(), Is.EqualTo(alone.ToArray()), $"image {i}");
        }
    }

    [Test]
    public void Encode_Several_LeavesThemWherePromptsFindThem()
    {
        SamOptions options = new() { ImagesPerEncoding = 2, ImagesPerPass = 3 };
        using SamRig rig = new(options, checks: VirtualGpu.Checks.CheckFlags.None);
        SamImage[] images = Images();
        IReadOnlyList<SamEmbedding> together = rig.Predictor.Encode(images);
        SamPrompt[] prompts = [.. together.Select(e => SamPrompt.OfPoint(20, 10) with { Image = e })];
        IReadOnlyList<SamPrediction> answers = rig.Predictor.Predict(prompts);
        for (int i = 0; i < images.Length; i++)
        {
            rig.Predictor.SetImage(images[i].Rgb.Span, images[i].Height, images[i].Width);
            Assert.That(answers[i].LowResLogits[0],
                Is.EqualTo(rig.Predictor.Predict(SamPrompt.OfPoint(20, 10)).LowResLogits[0]), $"image {i}");
        }
    }

    [TestCase(1)]
    [TestCase(3)]
    public void Memory_OfABatch_IsAsPlanned(int batch)
    {
        SamOptions options = new() { ImagesPerEncoding = batch, ImagesPerPass = batch };
        using SamRig rig = new(options, checks: VirtualGpu.Checks.CheckFlags.None);
        SamImage whole = new(SamRig.Picture(256, 256), 256, 256); // fills the model's frame
        rig.Predictor.Encode([.. Enumerable.Repeat(whole, batch)]);
        Assert.That(rig.Model.MeasuredPeak, Is.EqualTo(rig.Model.Plan.Phases.Single(p => p.Name == "encode").Peak));
    }

    [Test]
    public void Options_WithMoreImagesThanSlots_AreRefused() =>
        Assert.That(() => new SamOptions { ImagesPerEncoding = 5 }.Check(),
            Throws.ArgumentException.With.Message.Contains("ImagesPerEncoding must be 1 to 4, got 5"));
}
