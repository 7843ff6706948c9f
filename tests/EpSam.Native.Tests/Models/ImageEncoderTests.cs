using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

/// <summary>The image encoder against the recorded numbers of the official code.</summary>
public sealed class ImageEncoderTests
{
    const string Tiny = "s01_sam_tiny";

    static readonly float[] Mean = [123.675f, 116.28f, 103.53f], Deviation = [58.395f, 57.12f, 57.375f];

    // The goldens' two images in one batch: a photograph that they hold preprocessed, and bytes by formula.
    static float[] TwoImages(Golden golden)
    {
        const int Pixels = 256 * 256;
        float[] first = EncoderRun.ChannelsLast(golden.Read<float>("img0/preprocessed"), 3, Pixels);
        byte[] bytes = FormulaParameters.Bytes("input:s01/img1_u8", 3 * Pixels);
        return [.. first, .. bytes.Select((b, i) => (b - Mean[i % 3]) / Deviation[i % 3])];
    }

    [Test]
    public void Tiny_EveryStage_IsWithinTheGoldensTolerance([Values] bool weightsFromFile)
    {
        Golden golden = Golden.Open($"{Tiny}/encoder.safetensors");
        using StateDict? file = weightsFromFile ? Checkpoint.Open(Golden.Find($"{Tiny}/weights_legacy.pth")) : null;
        IParameterSource? weights = file is null ? null : new CheckpointParameters(file);
        EncoderRun run = new(TinyModel.Config, DType.F32, weights, TwoImages(golden), CheckFlags.All);
        Assert.Multiple(() =>
        {
            foreach ((string stage, float[] actual) in run.Stages)
            {
                string name = $"img0/enc/{stage}";
                float[] expected = golden.Read<float>(name);
                if (stage.StartsWith("neck")) expected = EncoderRun.ChannelsLast(expected, 64, 256);
                Assert.That(golden.Compare(name, expected, actual.AsSpan(0, expected.Length)), Is.LessThanOrEqualTo(1), stage);
            }
            for (int i = 0; i < 2; i++)
            {
                float[] expected = EncoderRun.ChannelsLast(golden.Read<float>($"img{i}/embedding"), 64, 256);
                ReadOnlySpan<float> actual = run.Embedding.AsSpan(i * expected.Length, expected.Length);
                Assert.That(golden.Compare($"img{i}/embedding", expected, actual), Is.LessThanOrEqualTo(1), $"image {i}");
            }
            Assert.That(run.Stages, Has.Count.EqualTo(9));
            Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak), "planned and measured bytes");
        });
    }

    [Test]
    public void Tiny_InBF16_IsCloseToF32()
    {
        Golden golden = Golden.Open($"{Tiny}/encoder.safetensors");
        EncoderRun run = new(TinyModel.Config, DType.BF16, null, TwoImages(golden), CheckFlags.All, observe: false);
        float[] expected = EncoderRun.ChannelsLast(golden.Read<float>("img0/embedding"), 64, 256);
        double error = 0, signal = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(run.Embedding[i] - expected[i], 2);
            signal += Math.Pow(expected[i], 2);
        }
        TestContext.Out.WriteLine($"relative error of the embedding in bf16: {Math.Sqrt(error / signal):G3}");
        // weights and activations are rounded by 2^-9 each, about a dozen times on the way through four blocks and a neck
        Assert.That(Math.Sqrt(error / signal), Is.LessThan(Math.Sqrt(12) * Math.Sqrt(2) / 512 * 2));
        Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak), "planned and measured bytes");
    }

    [Test]
    public void Tiny_ImagesOfABatch_DoNotSeeEachOther()
    {
        Golden golden = Golden.Open($"{Tiny}/encoder.safetensors");
        float[] images = TwoImages(golden);
        float[] both = new EncoderRun(TinyModel.Config, DType.F32, null, images, CheckFlags.All, false).Embedding;
        float[] second = new EncoderRun(TinyModel.Config, DType.F32, null, images[(images.Length / 2)..], CheckFlags.All, false).Embedding;
        Assert.That(both.AsSpan(both.Length / 2).SequenceEqual(second), "the same bits alone and in a batch");
    }

    [TestCase("vit_b"), Category("Slow")]
    public void Full_EveryBlock_IsWithinTheGoldensTolerance(string model)
    {
        Golden golden = Golden.Open($"s02_sam_full/{model}/values.safetensors");
        EncoderRun run = new(SamConfig.Published[model], DType.F32, null, Truck(), CheckFlags.None);
        TestContext.Out.WriteLine($"{run.Seconds:F2} s with all stages read back, {Sizes.Text(run.MeasuredPeak)}");
        Assert.Multiple(() =>
        {
            foreach ((string stage, float[] actual) in run.Stages)
            {
                string name = stage.StartsWith("block") ? $"block{int.Parse(stage[5..]):D2}" : stage;
                if (name.StartsWith("neck")) continue;
                Assert.That(golden.Compare(name, actual), Is.LessThanOrEqualTo(1), stage);
            }
            float[] embedding = ChannelsFirst(run.Embedding, 256, 4096);
            Assert.That(golden.Compare("embedding", embedding), Is.LessThanOrEqualTo(1), "embedding");
            Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak), "planned and measured bytes");
        });
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

    static float[] ChannelsFirst(float[] x, int channels, int tokens)
    {
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++) y[i] = x[i % tokens * channels + i / tokens];
        return y;
    }

    // As SAM prepares an image: longest side to 1024 as Pillow does, normalised, padded with zeros right and below.
    static float[] Truck()
    {
        const int Side = 1024, Height = 683;
        Raster image = ImageReader.ReadRgb(Golden.Find("images/truck_h427_w640.png"));
        byte[] resized = new byte[Height * Side * 3];
        Resample.PillowBilinear(image.Pixels, image.Height, image.Width, 3, Height, Side, resized);
        float[] pixels = new float[Side * Side * 3];
        for (int i = 0; i < resized.Length; i++) pixels[i] = (resized[i] - Mean[i % 3]) / Deviation[i % 3];
        return pixels;
    }
}
