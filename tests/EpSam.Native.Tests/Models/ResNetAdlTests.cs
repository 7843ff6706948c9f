// The patch classifier against the recorded numbers of the reference code (set s03): evaluation with
// samples of its stages, activations of its whole last stage. Full width takes seconds on the virtual GPU, so its
// checks are off here; ResNetAdlTinyTests has them on.
using System.Text.Json;
using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

public sealed class ResNetAdlTests
{
    const string Folder = "s03_epsam_classifier/";

    [Test]
    public void Names_AreTheReferences()
    {
        JsonElement meta = Golden.Json(Folder + "meta.json");
        Dictionary<string, Shape> stored = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(new(), parameters);
            foreach ((string name, Shape shape) in parameters.Stored) stored.Add(name, shape);
        });
        string[] trained = [.. meta.GetProperty("params_in_order").EnumerateArray().Select(p => p[0].GetString()!)];
        Assert.That(stored.Keys.Where(ResNetAdl.IsTrained), Is.EqualTo(trained));
        foreach (JsonElement p in meta.GetProperty("params_in_order").EnumerateArray())
        {
            Shape shape = new([.. p[1].EnumerateArray().Select(s => s.GetInt64())]);
            Assert.That(stored[p[0].GetString()!], Is.EqualTo(shape), p[0].GetString());
        }
        string[] all = [.. meta.GetProperty("weight_rules").EnumerateObject().Select(p => p.Name)];
        Assert.That(all, Has.Length.EqualTo(320));
        Assert.That(stored.Keys, Is.EqualTo(all.Where(n => !n.EndsWith("num_batches_tracked"))));
    }

    [TestCase("formula_1x3x173x201")]
    [TestCase("he2_odd")]
    [TestCase("he1_256crop", Category = "Slow")]
    [TestCase("formula_2x3x256x256", Category = "Slow")]
    public void Evaluation_AndItsStages_AreTheReferences(string name)
    {
        Golden golden = Golden.Open(Folder + "eval.safetensors");
        ClassifierRun run = new(Input(name) with { Observed = true });
        Assert.Multiple(() =>
        {
            // bn1 is not there to be seen: it is one with ReLU
            foreach (string stage in (string[])["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"])
            {
                (Shape shape, float[] values) = run.Stages[stage];
                double share = golden.Compare($"eval/{name}/{stage}", ClassifierRun.ChannelsFirst(shape, values));
                Assert.That(share, Is.LessThanOrEqualTo(1), stage);
            }
            Assert.That(golden.Compare($"eval/{name}/logits", run.Output), Is.LessThanOrEqualTo(1), "logits");
        });
    }

    [Test]
    public void Activations_OfTheWholeStage_AreTheReferences()
    {
        Golden golden = Golden.Open(Folder + "eval.safetensors");
        ClassifierRun run = new(Input("he2_odd") with { Activations = true });
        float[] means = [.. run.Output.Select(v => v / 2048)]; // here the reference takes the mean over channels
        Assert.That(golden.Compare("eval/he2_odd/cams", means), Is.LessThanOrEqualTo(1));
    }

    static ClassifierInput Input(string name)
    {
        switch (name)
        {
            case "he1_256crop": return new(new(1, 256, 256, 3), Crop("he1_512x512.png", 100, 60, 256, 256));
            case "he2_odd": return new(new(1, 201, 173, 3), Crop("he2_h384_w512.png", 11, 7, 173, 201));
        }
        string size = name["formula_".Length..];
        int[] sizes = [.. size.Split('x').Select(int.Parse)];
        float[] u = new float[sizes.Aggregate((a, b) => a * b)];
        FormulaParameters.Fill($"input:s03/eval/{size}", 0.5, 0.5, u); // u = (v + 1) / 2
        return new(new(sizes[0], sizes[2], sizes[3], 3), Floats: EncoderRun.ChannelsLast(u, 3, sizes[2] * sizes[3]));
    }

    static byte[] Crop(string file, int left, int top, int w, int h)
    {
        Raster picture = Golden.Picture(file);
        byte[] x = new byte[3 * h * w];
        for (int row = 0; row < h; row++)
            picture.Pixels.AsSpan(3 * ((top + row) * picture.Width + left), 3 * w).CopyTo(x.AsSpan(3 * row * w));
        return x;
    }
}
