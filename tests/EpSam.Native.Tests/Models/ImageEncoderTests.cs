using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

/// <summary>The image encoder against the recorded numbers of the official code.</summary>
public sealed class ImageEncoderTests
{
    const string Tiny = "s01_sam_tiny";

    [Test]
    public void Tiny_EveryStage_IsWithinTheGoldensTolerance([Values] bool weightsFromFile)
    {
        Golden golden = Golden.Open($"{Tiny}/encoder.safetensors");
        using StateDict? file = weightsFromFile ? Checkpoint.Open(Golden.Find($"{Tiny}/weights_legacy.pth")) : null;
        IParameterSource? weights = file is null ? null : new CheckpointParameters(file);
        EncoderRun run = new(TinyModel.Config, DType.F32, weights, TinyModel.Images(), CheckFlags.All);
        Assert.Multiple(() =>
        {
            foreach ((string stage, float[] actual) in run.Stages)
            {
                string name = $"img0/enc/{stage}";
                float[] expected = golden.Read<float>(name);
                if (stage.StartsWith("neck")) expected = EncoderRun.ChannelsLast(expected, 64, 256);
                double share = golden.Compare(name, expected, actual.AsSpan(0, expected.Length));
                Assert.That(share, Is.LessThanOrEqualTo(1), stage);
            }
            for (int i = 0; i < 2; i++)
            {
                float[] expected = EncoderRun.ChannelsLast(golden.Read<float>($"img{i}/embedding"), 64, 256);
                ReadOnlySpan<float> actual = run.Embedding.AsSpan(i * expected.Length, expected.Length);
                double share = golden.Compare($"img{i}/embedding", expected, actual);
                Assert.That(share, Is.LessThanOrEqualTo(1), $"image {i}");
            }
            Assert.That(run.Stages, Has.Count.EqualTo(9));
            Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak), "planned and measured bytes");
        });
    }

    [Test]
    public void Tiny_InBF16_IsCloseToF32()
    {
        Golden golden = Golden.Open($"{Tiny}/encoder.safetensors");
        EncoderRun run = new(TinyModel.Config, DType.BF16, null, TinyModel.Images(), CheckFlags.All, observe: false);
        float[] expected = EncoderRun.ChannelsLast(golden.Read<float>("img0/embedding"), 64, 256);
        double error = SamRun.RelativeError(expected, run.Embedding.AsSpan(0, expected.Length));
        TestContext.Out.WriteLine($"relative error of the embedding in bf16: {error:G3}");
        // weights and activations are rounded by 2^-9 each, about a dozen times on the way through four blocks and the
        // neck
        Assert.That(error, Is.LessThan(Math.Sqrt(12) * Math.Sqrt(2) / 512 * 2));
        Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak), "planned and measured bytes");
    }

    [Test]
    public void Tiny_ImagesOfABatch_DoNotSeeEachOther()
    {
        float[] images = TinyModel.Images();
        float[] half = images[(images.Length / 2)..];
        float[] both = new EncoderRun(TinyModel.Config, DType.F32, null, images, CheckFlags.All, false).Embedding;
        float[] second = new EncoderRun(TinyModel.Config, DType.F32, null, half, CheckFlags.All, false).Embedding;
        Assert.That(both.AsSpan(both.Length / 2).SequenceEqual(second), "the same bits alone and in a batch");
    }

    [Test]
    public void Infer_FromTheShapesOfACheckpoint_GivesItsSizes()
    {
        Golden weights = Golden.Open($"{Tiny}/weights.safetensors");
        Assert.That(SamConfig.Infer(weights, decoderHeads: 4), Is.EqualTo(TinyModel.Config));
    }

    [Test]
    public void Declared_Parameters_AreThoseOfTheCheckpoint()
    {
        Golden weights = Golden.Open($"{Tiny}/weights.safetensors");
        List<(string, Shape)> declared = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ImageEncoder(TinyModel.Config, parameters);
            declared = [.. parameters.All.Select(p => (p.Key, p.Value.Shape))];
        });
        Assert.That(declared, Is.EquivalentTo(weights.Names.Where(n => n.StartsWith("image_encoder.")).Select(n =>
        {
            weights.TryGetShape(n, out Shape shape);
            return (n, shape);
        })));
    }
}
