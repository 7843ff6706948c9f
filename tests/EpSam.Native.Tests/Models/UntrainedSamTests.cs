// An untrained model has the names and shapes of real ones, and its numbers the distributions in which PyTorch's layers
// start (torch.nn.Linear, Conv2d and ConvTranspose2d: U(±1/sqrt(fan in)); Embedding: N(0, 1); norms 1 and 0).
using EpSam.Native.Models.Sam;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

public sealed class UntrainedSamTests
{
    static readonly UntrainedSam Base = new(SamConfig.VitB, 3);

    static float[] Values(UntrainedSam source, string name)
    {
        Assert.That(source.TryGetShape(name, out Shape shape), name);
        float[] values = new float[shape.Count];
        source.Read(name, values);
        return values;
    }

    // Tensors and parameters of the published files (../shared/systems.md §1.1); the buffer has 256 numbers.
    [TestCase("vit_b", 314, 93_735_472)]
    [TestCase("vit_l", 482, 312_342_832)]
    [TestCase("vit_h", 594, 641_090_608)]
    public void Names_AndSizes_AreThoseOfThePublishedFiles(string model, int tensors, long parameters)
    {
        UntrainedSam source = new(SamConfig.Published[model]);
        long count = 0;
        foreach (string name in source.Names) count += source.TryGetShape(name, out Shape shape) ? shape.Count : 0;
        Assert.That((source.Names.Count(), count), Is.EqualTo((tensors, parameters + 256)));
        Assert.That(SamConfig.Infer(source), Is.EqualTo(SamConfig.Published[model]));
    }

    [Test]
    public void NamesAndShapes_OfTheSmallModel_AreTheReferences()
    {
        Golden golden = Golden.Open("s01_sam_tiny/weights.safetensors");
        UntrainedSam source = new(SamConfig.Infer(golden, 4));
        Assert.That(source.Names.Order(StringComparer.Ordinal), Is.EqualTo(golden.Names.Order(StringComparer.Ordinal)));
        foreach (string name in golden.Names)
        {
            golden.TryGetShape(name, out Shape expected);
            source.TryGetShape(name, out Shape actual);
            Assert.That(actual, Is.EqualTo(expected), name);
        }
    }

    // half-width 1/sqrt(fan in), and fan in by hand
    [TestCase("image_encoder.patch_embed.proj.weight", 3 * 16 * 16)]
    [TestCase("image_encoder.patch_embed.proj.bias", 3 * 16 * 16)]
    [TestCase("image_encoder.blocks.0.attn.qkv.weight", 768)]
    [TestCase("image_encoder.blocks.11.mlp.lin2.bias", 3072)]
    [TestCase("image_encoder.neck.2.weight", 256 * 3 * 3)]
    [TestCase("mask_decoder.output_upscaling.0.weight", 64 * 2 * 2)]   // torch: the second axis and the kernel
    [TestCase("mask_decoder.output_upscaling.0.bias", 64 * 2 * 2)]
    [TestCase("mask_decoder.transformer.layers.1.mlp.lin2.weight", 2048)]
    public void Layers_AreUniform(string name, int fanIn)
    {
        float[] values = Values(Base, name);
        double half = 1 / Math.Sqrt(fanIn);
        Assert.That(values.Max(v => Math.Abs((double)v)), Is.LessThanOrEqualTo(half).And.GreaterThan(0.9 * half));
        Assert.That(values.Average(), Is.EqualTo(0).Within(5 * half / Math.Sqrt(3.0 * values.Length)));
        // U(±h)² has the mean h²/3 and the variance 4h⁴/45
        Assert.That(values.Average(v => (double)v * v), Is.EqualTo(half * half / 3)
            .Within(5 * half * half * Math.Sqrt(4.0 / 45 / values.Length)));
    }

    [TestCase("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix")]
    [TestCase("prompt_encoder.point_embeddings.2.weight")]
    [TestCase("prompt_encoder.no_mask_embed.weight")]
    [TestCase("mask_decoder.mask_tokens.weight")]
    public void Embeddings_AreNormal(string name)
    {
        float[] values = Values(Base, name);
        Assert.That(values.Average(), Is.EqualTo(0).Within(5 / Math.Sqrt(values.Length)));
        Assert.That(values.Average(v => (double)v * v), Is.EqualTo(1).Within(5 * Math.Sqrt(2.0 / values.Length)));
        Assert.That(values.Count(v => Math.Abs(v) < 0.6745) / (double)values.Length, // half of them
            Is.EqualTo(0.5).Within(5 * 0.5 / Math.Sqrt(values.Length)));
    }

    [TestCase("image_encoder.pos_embed", 0)]
    [TestCase("image_encoder.blocks.2.attn.rel_pos_h", 0)]
    [TestCase("image_encoder.blocks.0.norm1.weight", 1)]
    [TestCase("image_encoder.neck.1.bias", 0)]
    [TestCase("prompt_encoder.mask_downscaling.1.weight", 1)]
    [TestCase("mask_decoder.transformer.norm_final_attn.bias", 0)]
    public void Norms_AndTables_AreConstant(string name, float value) =>
        Assert.That(Values(Base, name), Is.All.EqualTo(value));

    [Test]
    public void Seeds_AndNames_GiveDifferentNumbers()
    {
        const string Name = "image_encoder.blocks.0.attn.proj.weight";
        Assert.That(Values(new(SamConfig.VitB, 3), Name), Is.EqualTo(Values(Base, Name)));
        Assert.That(Values(new(SamConfig.VitB, 4), Name), Is.Not.EqualTo(Values(Base, Name)));
        Assert.That(Values(Base, "image_encoder.blocks.1.attn.proj.weight"), Is.Not.EqualTo(Values(Base, Name)));
    }
}
