// What the patch classifier begins with: random numbers of the reference's distributions, a ResNet by torchvision's
// names, or a checkpoint of the reference; and that ours has the reference's names and shapes.
using System.Text.Json;
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Models;

public sealed class ResNetAdlStartTests
{
    static readonly ResNetAdlConfig Config = new() { Blocks = [2, 1, 3, 3], Width = 8 };

    [Test]
    public void Untrained_OfASeed_HasTheReferencesDistributions()
    {
        ResNetAdlConfig config = new() { Blocks = [1, 1, 1, 1] };
        UntrainedResNetAdl start = new(config, 22), same = new(config, 22);
        float[] weight = Read(start, "layer3.0.conv2.weight"); // 256 x 256 x 3 x 3
        double limit = Math.Sqrt(6.0 / (512 * 9));
        Assert.That(weight.Max(), Is.InRange(0.999 * limit, limit));
        Assert.That(weight.Min(), Is.InRange(-limit, -0.999 * limit));
        Assert.That(weight.Average(w => (double)w * w), Is.EqualTo(limit * limit / 3).Within(0.01 * limit * limit));
        Assert.That(Read(same, "layer3.0.conv2.weight"), Is.EqualTo(weight));
        Assert.That(Read(new UntrainedResNetAdl(config, 23), "layer3.0.conv2.weight"), Is.Not.EqualTo(weight));
        Assert.That(Read(start, "bn1.weight").Concat(Read(start, "bn1.running_var")), Is.All.EqualTo(1));
        Assert.That(Read(start, "bn1.bias").Concat(Read(start, "bn1.running_mean")), Is.All.Zero);
        Assert.That(Read(start, "fc.bias"), Is.EqualTo(new float[1]));
        double variance = Read(start, "fc.weight").Average(w => (double)w * w); // of 2048 values
        Assert.That(Math.Sqrt(variance), Is.EqualTo(0.01).Within(0.0008), "5 deviations");
    }

    [Test]
    public void ImageNet_WithTheBlocksRenumbered_BecomesTheClassifier()
    {
        FormulaParameters resnet = Torchvision(Config.Blocks, 8, 3);
        IParameterSource start = ImageNetResNet.Any(resnet, Config, 5, "r.pth");
        UntrainedResNetAdl untrained = new(Config, 5);
        Assert.That(start.Names, Is.EqualTo(untrained.Names));
        foreach ((string ours, string theirs) in new[]
        {
            ("layer1.1.conv3.weight", "layer1.1.conv3.weight"), ("layer3.0.bn2.bias", "layer3.0.bn2.bias"),
            ("layer3.2.conv2.weight", "layer3.1.conv2.weight"),
            ("layer3.3.bn1.running_var", "layer3.2.bn1.running_var"),
            ("layer4.0.downsample.0.weight", "layer4.0.downsample.0.weight"),
            ("layer4.2.conv1.weight", "layer4.1.conv1.weight"), ("layer4.3.bn3.weight", "layer4.2.bn3.weight"),
        })
            Assert.That(Read(start, ours), Is.EqualTo(Read(resnet, theirs)), ours);
        float[] stem = Read(start, "conv1.weight"), colours = Read(resnet, "conv1.weight");
        for (int filter = 0; filter < 8; filter++)
        {
            Assert.That(stem[(196 * filter)..(196 * filter + 147)],
                Is.EqualTo(colours[(147 * filter)..(147 * filter + 147)]));
            Assert.That(stem[(196 * filter + 147)..(196 * filter + 196)],
                Is.EqualTo(colours[(147 * filter)..(147 * filter + 49)]), "the fourth channel is red's");
        }
        Assert.That(Read(start, "fc.weight"), Is.EqualTo(Read(untrained, "fc.weight")));
        Assert.That(start.TryGetShape("layer3.1.conv1.weight", out _), Is.False, "ADL stands there");
    }

    [Test]
    public void ImageNet_OfAnotherNetwork_IsRefusedWithWhatDiffers()
    {
        Refused("its stages have 3, 4, 6, 3 blocks, classifier.blocks is 2, 1, 3, 3", Torchvision([3, 4, 6, 3], 8, 3));
        Refused("its width is 16, classifier.width is 8", Torchvision(Config.Blocks, 16, 3));
        Refused("its input has 1 channels, not 3", Torchvision(Config.Blocks, 8, 1));
        Refused("it is made of basic blocks (ResNet-18 or 34)", Torchvision([2, 2, 2, 2], 8, 3, expansion: 1));
        Refused("it has no conv1.weight of four axes", new FormulaParameters([new("patch_embed", new Shape(3))]));
        Refused("layer1.0.conv1.weight: expected (8, 8, 1, 1), found (16, 8, 1, 1)", // a wide ResNet
            Torchvision(Config.Blocks, 8, 3, inner: 2));
        FormulaParameters ours = new(Stored(Config));
        Assert.That(ImageNetResNet.Any(ours, Config, 5, "ours"), Is.SameAs(ours), "training goes on");

        static void Refused(string message, IParameterSource source) =>
            Assert.That(() => ImageNetResNet.Any(source, Config, 5, "r.pth"),
                Throws.TypeOf<CheckpointException>().With.Message.Contains(message));
    }

    [Test]
    [Category("Slow")]
    public void Save_OfThePublishedSizes_HasTheReferencesNamesAndShapes()
    {
        JsonElement meta = Golden.Json("s03_epsam_classifier/meta.json");
        string path = Path.Combine(Path.GetTempPath(), $"classifier-{Guid.NewGuid():N}.safetensors");
        try
        {
            ResNetAdlConfig config = new();
            Plan plan = Plan.Of(arena => _ = new ResNetAdl(config, new(arena, DType.F32)));
            VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
            using Gpu gpu = new(card.Driver, card.Blas);
            using Memory arena = new(gpu, plan);
            ResNetAdl model = new(config, new(arena, DType.F32)) { Batches = 7 };
            model.Load(new UntrainedResNetAdl(config, 22));
            model.Save(path);
            using StateDict saved = Checkpoint.Open(path);
            string[] names = [.. meta.GetProperty("weight_rules").EnumerateObject().Select(p => p.Name)];
            Assert.That(names, Has.Length.EqualTo(320));
            Assert.That(saved.Names.Order(StringComparer.Ordinal), Is.EqualTo(names.Order(StringComparer.Ordinal)));
            foreach (JsonElement parameter in meta.GetProperty("params_in_order").EnumerateArray())
                Assert.That(saved[parameter[0].GetString()!].Sizes.ToArray(),
                    Is.EqualTo(parameter[1].EnumerateArray().Select(s => s.GetInt64())), $"{parameter[0]}");
            foreach (string name in names.Where(n => n.EndsWith("tracked", StringComparison.Ordinal)))
                Assert.That((saved[name].Type, saved[name].Sizes.Length), Is.EqualTo((ElementType.I64, 0)), name);
        }
        finally
        {
            File.Delete(path);
        }
    }

    static float[] Read(IParameterSource source, string name)
    {
        Assert.That(source.TryGetShape(name, out Shape shape), name);
        float[] values = new float[shape.Count];
        source.Read(name, values);
        return values;
    }

    static IEnumerable<KeyValuePair<string, Shape>> Stored(ResNetAdlConfig config)
    {
        UntrainedResNetAdl model = new(config, 0);
        foreach (string name in model.Names)
        {
            model.TryGetShape(name, out Shape shape);
            yield return new(name, shape);
        }
    }

    // Names and shapes as torchvision.models.resnet has them.
    static FormulaParameters Torchvision(IntList blocks, int width, int channels, int expansion = 4, int inner = 1)
    {
        Dictionary<string, Shape> shapes = [];
        void Norm(string name, int count)
        {
            foreach (string last in (string[])["weight", "bias", "running_mean", "running_var"])
                shapes.Add($"{name}.{last}", new(count));
            shapes.Add($"{name}.num_batches_tracked", new());
        }
        shapes.Add("conv1.weight", new(width, channels, 7, 7));
        Norm("bn1", width);
        int input = width;
        for (int stage = 0; stage < 4; stage++)
        {
            int planes = width << stage, between = planes * inner, output = planes * expansion;
            for (int k = 0; k < blocks[stage]; k++, input = output)
            {
                string block = $"layer{stage + 1}.{k}";
                (int From, int To, int Side)[] convolutions = expansion == 1
                    ? [(input, planes, 3), (planes, planes, 3)]
                    : [(input, between, 1), (between, between, 3), (between, output, 1)];
                for (int i = 0; i < convolutions.Length; i++)
                {
                    (int from, int to, int side) = convolutions[i];
                    shapes.Add($"{block}.conv{i + 1}.weight", new(to, from, side, side));
                    Norm($"{block}.bn{i + 1}", to);
                }
                if (k > 0) continue;
                shapes.Add($"{block}.downsample.0.weight", new(output, input, 1, 1));
                Norm($"{block}.downsample.1", output);
            }
        }
        shapes.Add("fc.weight", new(1000, input));
        shapes.Add("fc.bias", new(1000));
        return new(shapes);
    }
}
