using EpSam.Imaging;
using EpSam.Native.Models.Sam;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

/// <summary>
/// The published models with formula weights, from an image to masks, against recorded numbers of the official code.
/// </summary>
[Category("Slow")]
public sealed class FullModelTests
{
    const int Side = 1024, Height = 683; // a photograph of 640 x 427 in the model's frame

    [TestCase("vit_b")]
    [TestCase("vit_l")]
    [TestCase("vit_h")]
    public void Full_EveryRecordedTensor_IsWithinTheGoldensTolerance(string model)
    {
        Golden golden = Golden.Open($"s02_sam_full/{model}/values.safetensors");
        Dictionary<string, double> shares = [];
        SamRun run = new(new SamInput(SamConfig.Published[model], DType.F32, CheckFlags.None, PromptA, PromptB)
        {
            Images = Truck(), Observe = (stage, actual) =>
            {
                string name = stage.StartsWith("block") ? $"block{int.Parse(stage[5..]):D2}" : stage;
                if (golden.Has($"{name}/idx")) shares[name] = golden.Compare(name, actual);
            },
        });
        float[] embedding = ChannelsFirst(run.Embeddings, 256, 64 * 64);
        shares["embedding"] = golden.Compare("embedding", embedding);
        shares["mean"] = golden.Compare("embedding/mean_abs", [(float)embedding.Average(v => Math.Abs((double)v))]);
        if (golden.Has("embedding_f16"))
        {
            float[] whole = [.. golden.Read<Half>("embedding_f16").Select(v => (float)v)];
            shares["f16"] = golden.Compare("embedding_f16", whole, embedding);
        }
        foreach ((string prompt, SamOutput actual) in new[] { "promptA", "promptB" }.Zip(run.Outputs))
        {
            shares[$"{prompt} sparse"] = golden.Compare($"{prompt}/sparse", actual.Sparse);
            shares[$"{prompt} masks"] = golden.Compare($"{prompt}/low_res4", actual.Masks);
            shares[$"{prompt} iou"] = golden.Compare($"{prompt}/iou4", actual.Iou);
        }
        Report(run);
        int recorded = SamConfig.Published[model].Depth + (golden.Has("embedding_f16") ? 10 : 9);
        Assert.That(shares, Has.Count.EqualTo(recorded));
        Assert.That(shares.Where(s => !(s.Value <= 1)), Is.Empty, "shares of the tolerance above 1");
    }

    [Test]
    public void VitB_InBF16_AgreesWithF32()
    {
        Golden golden = Golden.Open("s02_sam_full/vit_b/values.safetensors");
        SamInput input = new(SamConfig.VitB, DType.BF16, CheckFlags.None, PromptA, PromptB) { Images = Truck() };
        SamRun run = new(input);
        Report(run);
        Assert.Multiple(() =>
        {
            foreach ((string prompt, SamOutput actual) in new[] { "promptA", "promptB" }.Zip(run.Outputs))
            {
                float[] masks = golden.Read<float>($"{prompt}/low_res4"), iou = golden.Read<float>($"{prompt}/iou4");
                Precision.Compare(prompt, masks, actual.Masks, iou, actual.Iou);
            }
        });
    }

    // The same as a user has it: 8-bit pixels in, prompts in pixels of the photograph.
    [Test]
    public void VitB_ThroughThePredictor_AsReference()
    {
        Golden golden = Golden.Open("s02_sam_full/vit_b/values.safetensors");
        Raster truck = Golden.Picture("truck_h427_w640.png");
        using SamRig rig = new(null, SamRig.Formula(SamConfig.VitB), CheckFlags.None, SamConfig.VitB);
        rig.Predictor.SetImage(truck.Pixels, truck.Height, truck.Width);
        SamPrompt b = new()
        {
            Points = [new(150, 260), new(560, 60, PointLabel.Background)], Box = new SamBox(60, 90, 600, 350),
        };
        IReadOnlyList<SamPrediction> answers = rig.Predictor.Predict([SamPrompt.OfPoint(320, 240), b]);
        Assert.Multiple(() =>
        {
            foreach ((string prompt, SamPrediction answer) in new[] { "promptA", "promptB" }.Zip(answers))
            {
                float[] lowRes = [.. answer.LowResLogits.SelectMany(l => l)];
                float[] expected = golden.Read<float>($"{prompt}/low_res4")[(256 * 256)..]; // without the single mask
                Assert.That(golden.Compare($"{prompt}/low_res4", expected, lowRes), Is.LessThanOrEqualTo(1), prompt);
                expected = golden.Read<float>($"{prompt}/iou4")[1..];
                double share = golden.Compare($"{prompt}/iou4", expected, [.. answer.Scores]);
                Assert.That(share, Is.LessThanOrEqualTo(1), prompt);
            }
            Assert.That(rig.Model.MeasuredPeak, Is.LessThanOrEqualTo(rig.Model.Plan.Peak));
        });
    }

    static void Report(SamRun run) => TestContext.Out.WriteLine(
        $"encoder {run.EncoderSeconds:F1} s, two prompts {run.DecoderSeconds:F1} s, {Sizes.Text(run.MeasuredPeak)}");

    // In pixels of the original; the frame's are longer by the same ratio as the sides after rounding to whole pixels.
    static Prompts PromptA => Prompts.Of(InFrame(320, 240), [1], null, null);

    static Prompts PromptB => Prompts.Of(InFrame(150, 260, 560, 60), [1, 0], InFrame(60, 90, 600, 350), null);

    static float[] InFrame(params double[] xy) =>
        [.. xy.Select((v, i) => (float)(v * (i % 2 == 0 ? (double)Side / 640 : (double)Height / 427)))];

    // As SAM prepares an image: longest side to 1024 as Pillow does, normalised, padded with zeros right and below.
    static float[] Truck()
    {
        Raster image = Golden.Picture("truck_h427_w640.png");
        byte[] resized = new byte[Height * Side * 3];
        Resample.PillowBilinear(image.Pixels, image.Height, image.Width, 3, Height, Side, resized);
        return [.. TinyModel.Normalised(resized), .. new float[(Side - Height) * Side * 3]];
    }

    static float[] ChannelsFirst(float[] x, int channels, int tokens)
    {
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++) y[i] = x[i % tokens * channels + i / tokens];
        return y;
    }
}
