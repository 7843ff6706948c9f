using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

/// <summary>Sizes of models: JSON there and back, what is refused; positional tables of other sizes.</summary>
public sealed class SamConfigTests
{
    [TestCase("vit_b")]
    [TestCase("vit_l")]
    [TestCase("vit_h")]
    public void Json_ThereAndBack_IsTheSame(string model)
    {
        SamConfig config = SamConfig.Published[model];
        Assert.That(SamConfig.FromJson(config.ToJson()), Is.EqualTo(config));
        Assert.That(config.HeadSize, Is.EqualTo(model == "vit_h" ? 80 : 64));
    }

    [TestCase("{}", null)]
    [TestCase("""{ "depth": 3, "global_blocks": [2] }""", null)]
    [TestCase("null", "got null")]
    [TestCase("[]", "cannot be read")]
    [TestCase("{", "cannot be read")]
    [TestCase("""{ "dept": 3 }""", "dept")]
    [TestCase("""{ "depth": 3 }""", "global_blocks must be 0 to 2, got 5")]
    [TestCase("""{ "depth": -1 }""", "depth must be 1 to 65536, got -1")]
    [TestCase("""{ "heads": 10 }""", "embed_dim / heads must be 16, 32, 64 or 80, got 768 / 10")]
    [TestCase("""{ "heads": 0 }""", "heads must be 1 to 65536, got 0")]
    [TestCase("""{ "patch_size": 14 }""", "patch_size must be 16, got 14")]
    public void Json_ThatIsWrong_IsRefusedByName(string json, string? message)
    {
        if (message is null) Assert.That(() => SamConfig.FromJson(json), Throws.Nothing);
        else Assert.That(() => SamConfig.FromJson(json),
            Throws.TypeOf<SamConfigException>().With.Message.Contains(message));
    }

    // What the image encoder alone could do with is refused when the decoder is made.
    [TestCase("""{ "out_channels": 128 }""", "out_channels must be 64 or 256 for the mask decoder, got 128")]
    [TestCase("""{ "out_channels": 64 }""", "out_channels / decoder_heads must be 16 or 32, got 64 / 8")]
    [TestCase("""{ "mask_in_channels": 8 }""", "mask_in_channels must be a multiple of 16, got 8")]
    [TestCase("""{ "multimask_outputs": 2 }""", "multimask_outputs must be 3, 7, 11, ..., got 2")]
    public void Decoder_OfImpossibleSizes_IsRefusedByName(string json, string message) => Assert.That(
        () => Plan.Of(arena => _ = new MaskDecoder(SamConfig.FromJson(json), new Parameters(arena, DType.F32))),
        Throws.TypeOf<SamConfigException>().With.Message.EqualTo(message));

    [Test]
    public void Infer_WithoutAnEncoder_NamesTheFirstMissingTensor() =>
        Assert.That(() => SamConfig.Infer(new ParameterDictionary()), Throws.TypeOf<SamConfigException>()
            .With.Message.EqualTo("not a SAM checkpoint: image_encoder.patch_embed.proj.weight is missing"));

    // By hand: 4 to 2 takes the middle of each pair; 2 to 4 lies at -0.25 (held), 0.25, 0.75, 1.25 (held).
    [Test]
    public void Rows_OfHalfAndTwiceTheLength_AreWhatTheyAreByHand()
    {
        Assert.That(PositionTables.Rows([0, 1, 2, 3], new Shape(4, 1), new Shape(2, 1)),
            Is.EqualTo(new[] { 0.5f, 2.5f }));
        Assert.That(PositionTables.Rows([0, 8, 4, 0], new Shape(2, 2), new Shape(4, 2)),
            Is.EqualTo(new float[] { 0, 8, 1, 6, 3, 2, 4, 0 }));
    }

    [Test]
    public void Grid_OfAnotherSize_IsResampledAlongBothAxes() => Assert.That(
        PositionTables.Grid([0, 4, 8, 12], new Shape(1, 2, 2, 1), new Shape(1, 4, 2, 1)),
        Is.EqualTo(new float[] { 0, 4, 2, 6, 6, 10, 8, 12 }));
}
