// The start from which decoders learn to use points soon: what is changed, what is not, and that from the first step a
// position of the image attends to the tokens of points near it.
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

public sealed class LocalStartTests
{
    static readonly SamConfig Config = new()
    {
        ImageSize = 64, EmbedDim = 32, Depth = 1, Heads = 2, MlpDim = 64, WindowSize = 4, GlobalBlocks = [0],
    };
    static readonly UntrainedSam Random = new(Config, 5);
    static readonly LocalStart Local = new(Random, Config);

    static float[] Values(IParameterSource source, string name)
    {
        Assert.That(source.TryGetShape(name, out Shape shape), name);
        float[] values = new float[shape.Count];
        source.Read(name, values);
        return values;
    }

    [Test]
    public void NamesAndShapes_AreTheSame() =>
        Assert.That(SamConfig.Infer(Local), Is.EqualTo(SamConfig.Infer(Random)));

    [TestCase("self_attn", 3.256777)]                   // sqrt(60 / sqrt 32): heads of 32
    [TestCase("cross_attn_token_to_image", 3.872983)]   // sqrt(60 / sqrt 16)
    [TestCase("cross_attn_image_to_token", 3.872983)]
    public void Keys_BeginAsQueries(string attention, double gain)
    {
        string name = $"mask_decoder.transformer.layers.1.{attention}";
        float[] query = Values(Local, $"{name}.q_proj.weight"), before = Values(Random, $"{name}.q_proj.weight");
        Assert.That(Values(Local, $"{name}.k_proj.weight"), Is.EqualTo(query));
        for (int i = 0; i < query.Length; i++) Assert.That(query[i], Is.EqualTo(gain * before[i]).Within(1e-5));
        Assert.That(Values(Local, $"{name}.k_proj.bias"), Is.All.Zero);
        Assert.That(Values(Local, $"{name}.v_proj.weight"), Is.EqualTo(Values(Random, $"{name}.v_proj.weight")));
    }

    [TestCase("image_encoder.patch_embed.proj.weight", 1)]
    [TestCase("image_encoder.neck.3.weight", 0.3)]
    [TestCase("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", 0.75)]
    [TestCase("prompt_encoder.point_embeddings.1.weight", 0.5)]
    [TestCase("prompt_encoder.no_mask_embed.weight", 0.1)]
    [TestCase("mask_decoder.mask_tokens.weight", 0.5)]
    [TestCase("mask_decoder.transformer.layers.0.norm3.weight", 0.5)]
    [TestCase("mask_decoder.output_upscaling.0.weight", 1)]
    public void Others_AreScaled(string name, double scale)
    {
        float[] values = Values(Local, name), before = Values(Random, name);
        for (int i = 0; i < values.Length; i++) Assert.That(values[i], Is.EqualTo(scale * before[i]).Within(1e-6));
    }

    // In double, of positions and labels alone: the mean logit of the heads, for a point at the same place, for one at
    // the other end of the image, and for a token without a place.
    [Test]
    public void Image_AttendsToPointsThatAreNear()
    {
        const string Name = "mask_decoder.transformer.layers.0.cross_attn_image_to_token.q_proj";
        float[] weights = Values(Local, Name + ".weight"), bias = Values(Local, Name + ".bias");
        float[] label = Values(Local, "prompt_encoder.point_embeddings.1.weight");
        double[] here = Position(0.2, 0.3), far = Position(0.9, 0.8);
        double[] query = Project(weights, here);
        for (int i = 0; i < query.Length; i++) query[i] += bias[i];
        double near = Logit(Project(weights, Sum(here, label))), away = Logit(Project(weights, Sum(far, label)));
        Assert.That(near, Is.GreaterThan(2), "more than a token without a place, whose logit is about 0");
        Assert.That(away, Is.LessThan(-1), "less than it");

        double Logit(double[] key) => key.Zip(query, (k, q) => k * q).Sum() / 8 / Math.Sqrt(16);
        static double[] Sum(double[] a, float[] b) => [.. a.Zip(b, (x, y) => x + y)];
        static double[] Project(float[] w, double[] x) =>
            [.. w.Chunk(x.Length).Select(row => row.Zip(x, (a, b) => a * b).Sum())];
    }

    // prompt_encoder.py: sines, then cosines, of 2 pi times the frequencies times positions from -1 to 1.
    static double[] Position(double x, double y)
    {
        float[] frequencies = Values(Local, "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix");
        int half = frequencies.Length / 2;
        double[] angles = [.. Enumerable.Range(0, half).Select(i =>
            2 * Math.PI * ((2 * x - 1) * frequencies[i] + (2 * y - 1) * frequencies[half + i]))];
        return [.. angles.Select(Math.Sin), .. angles.Select(Math.Cos)];
    }
}
