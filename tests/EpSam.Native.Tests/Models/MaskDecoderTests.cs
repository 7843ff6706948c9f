using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

/// <summary>Prompt encoder and mask decoder against the recorded numbers of the official code.</summary>
public sealed class MaskDecoderTests
{
    const string Tiny = "s01_sam_tiny", Points5 = "points5_mixed_pad";

    static Golden Decoder => Golden.Open($"{Tiny}/decoder.safetensors");
    static Golden Encoder => Golden.Open($"{Tiny}/encoder.safetensors");
    static Golden Inputs => Golden.Open($"{Tiny}/prompt_inputs.safetensors");

    // (B, H, W, C) of the goldens' two images, as the official encoder made them.
    static float[] Embeddings(params int[] images) =>
        [.. images.SelectMany(i => EncoderRun.ChannelsLast(Encoder.Read<float>($"img{i}/embedding"), 64, 256))];

    static SamInput OnEmbeddings(DType type, params Prompts[] prompts) =>
        new(TinyModel.Config, type, CheckFlags.All, prompts) { Embeddings = Embeddings(0, 1) };

    [Test]
    public void Tiny_InsideOfTheDecoder_IsWithinTheGoldensTolerance()
    {
        Golden golden = Decoder;
        Dictionary<string, float[]> stages = [];
        SamInput input = OnEmbeddings(DType.F32, Prompts.Of(Inputs, Points5));
        _ = new SamRun(input with { Observe = (name, values) => stages[name] = values });
        Assert.Multiple(() =>
        {
            foreach (string stage in new[]
            {
                "layer0_tokens", "layer0_image", "layer1_tokens", "layer1_image", "transformer_tokens",
                "transformer_image", "hyper_in",
            })
            {
                double share = golden.Compare($"dec_internal/{Points5}/{stage}", stages[stage]);
                Assert.That(share, Is.LessThanOrEqualTo(1), stage);
            }
            float[] pe = EncoderRun.ChannelsLast(Encoder.Read<float>("dense_pe"), 64, 256);
            Assert.That(Encoder.Compare("dense_pe", pe, stages["dense_pe"]), Is.LessThanOrEqualTo(1), "dense_pe");
        });
    }

    [TestCase("point1")]
    [TestCase(Points5)]
    [TestCase("box")]
    [TestCase("box_points")]
    [TestCase("mask")]
    [TestCase("mask_point")]
    [TestCase("none")]
    [TestCase("batch3_points2")]
    [TestCase("batch2_boxes")]
    public void Tiny_EveryPrompt_IsWithinTheGoldensTolerance(string prompt)
    {
        Golden golden = Decoder;
        SamRun run = new(OnEmbeddings(DType.F32, Prompts.Of(Inputs, prompt)));
        Assert.Multiple(() => Compare(golden, prompt, run.Outputs[0]));
    }

    static void Compare(Golden golden, string prompt, SamOutput actual)
    {
        string name = $"prompt/{prompt}";
        float[] sparse = golden.Read<float>($"{name}/sparse");
        if (sparse.Length == 0) Assert.That(actual.Sparse, Is.Empty);
        else Assert.That(golden.Compare($"{name}/sparse", actual.Sparse), Is.LessThanOrEqualTo(1), "sparse");
        if (golden.Has($"{name}/dense"))
        {
            float[] dense = EncoderRun.ChannelsLast(golden.Read<float>($"{name}/dense"), 64, 256);
            Assert.That(golden.Compare($"{name}/dense", dense, actual.Dense), Is.LessThanOrEqualTo(1), "dense");
        }
        Masks(golden, name, actual);
    }

    // Two images from pixels to masks, each with prompts of its own, as Sam.forward takes them.
    [Test]
    public void Tiny_TwoImages_AreWithinTheGoldensTolerance()
    {
        Golden golden = Decoder;
        Prompts points = Prompts.Of(Inputs, Points5), boxes = Prompts.Of(Inputs, "batch2_boxes", image: 1);
        SamRun run = new(new SamInput(TinyModel.Config, DType.F32, CheckFlags.All, points, boxes)
        {
            Images = TinyModel.Images(), First = 1, Count = 3,
        });
        Assert.Multiple(() =>
        {
            // The goldens have no tolerance here: those of the same prompts, both on the first image there, stand in.
            foreach ((int i, string prompt) in new[] { (0, Points5), (1, "batch2_boxes") })
            {
                float[] masks = golden.Read<float>($"forward2/{i}/low_res_logits");
                float[] iou = golden.Read<float>($"forward2/{i}/iou");
                Assert.That(golden.Compare($"prompt/{prompt}/low_res_multi", masks, run.Outputs[i].Masks),
                    Is.LessThanOrEqualTo(1), $"image {i}, low_res");
                Assert.That(golden.Compare($"prompt/{prompt}/iou_multi", iou, run.Outputs[i].Iou),
                    Is.LessThanOrEqualTo(1), $"image {i}, iou");
            }
        });
    }

    [Test]
    public void Tiny_PromptsOfSeveralImages_InOneCall_AreWhatTheyAreAlone([Values] bool bf16)
    {
        DType type = bf16 ? DType.BF16 : DType.F32;
        Prompts box = Prompts.Of(Inputs, "box"), boxes = Prompts.Of(Inputs, "batch2_boxes", image: 1);
        SamRun run = new(OnEmbeddings(type, box, boxes, Prompts.Join(boxes, box), Prompts.Join(box, boxes)));
        (SamOutput one, SamOutput two) = (run.Outputs[0], run.Outputs[1]);
        Assert.Multiple(() =>
        {
            Assert.That(run.Outputs[2].Masks.AsSpan().SequenceEqual([.. two.Masks, .. one.Masks]), "image 1 first");
            Assert.That(run.Outputs[3].Masks.AsSpan().SequenceEqual([.. one.Masks, .. two.Masks]), "image 0 first");
            Assert.That(run.Outputs[2].Iou, Is.EqualTo([.. two.Iou, .. one.Iou]));
            Assert.That(run.Outputs[3].Iou, Is.EqualTo([.. one.Iou, .. two.Iou]));
            Assert.That(one.Masks, Is.Not.EqualTo(two.Masks[..one.Masks.Length]));
        });
    }

    [Test]
    public void Tiny_PromptsWithMasks_OfSeveralImages_AreWhatTheyAreAlone()
    {
        Prompts first = Prompts.Of(Inputs, "mask_point"), second = first with { ImageOf = [1] };
        SamRun run = new(OnEmbeddings(DType.F32, first, second, Prompts.Join(second, first, second)));
        float[] alone = run.Outputs[0].Masks, other = run.Outputs[1].Masks;
        Assert.That(run.Outputs[2].Masks.AsSpan().SequenceEqual([.. other, .. alone, .. other]));
    }

    [Test]
    public void Tiny_SomeMasks_AreThoseOfAll()
    {
        Prompts prompts = Prompts.Of(Inputs, "batch3_points2");
        SamOutput all = new SamRun(OnEmbeddings(DType.F32, prompts)).Outputs[0];
        foreach ((int first, int count) in new[] { (0, 1), (1, 3), (2, 1) })
        {
            SamInput input = OnEmbeddings(DType.F32, prompts) with { First = first, Count = count };
            SamOutput some = new SamRun(input).Outputs[0];
            float[] expected = Some(all.Masks, 4, first, count, 64 * 64);
            Assert.That(some.Masks.AsSpan().SequenceEqual(expected), $"{count} masks from {first}");
            Assert.That(some.Iou, Is.EqualTo(Some(all.Iou, 4, first, count, 1)));
        }
    }

    [Test]
    public void Tiny_InBF16_AgreesWithF32()
    {
        Golden inputs = Inputs;
        string[] names =
            ["point1", Points5, "box", "box_points", "mask", "mask_point", "none", "batch3_points2", "batch2_boxes"];
        SamInput input = new(TinyModel.Config, DType.F32, CheckFlags.All, [.. names.Select(n => Prompts.Of(inputs, n))])
        {
            Images = TinyModel.Images(),
        };
        SamRun exact = new(input), rounded = new(input with { Type = DType.BF16 });
        Assert.Multiple(() =>
        {
            for (int i = 0; i < names.Length; i++)
            {
                (SamOutput a, SamOutput b) = (exact.Outputs[i], rounded.Outputs[i]);
                Precision.Compare(names[i], a.Masks, b.Masks, a.Iou, b.Iou);
            }
        });
    }

    // As planned for the published sizes: a prompt adds two streams of image size, the attention's log-sum-exp of 8
    // heads, and what its few tokens need; its masks are the caller's.
    [Test]
    public void MorePrompts_TakeTwoStreamsOfMemoryEach([Values] bool bf16, [Values] bool masks)
    {
        DType type = bf16 ? DType.BF16 : DType.F32;
        Prompts Some(int count) =>
            new(new float[2 * count], new int[count], masks ? new float[count << 16] : null, new int[count]);
        long Workspace(int count) => SamRun.PlanOf(new SamInput(SamConfig.VitB, type, CheckFlags.None, Some(count))
        {
            Embeddings = new float[256 * 64 * 64],
        }).AtPeak(ArenaUse.Workspace);
        long stream = 256 * 64 * 64 * type.Size(), each = (Workspace(64) - Workspace(32)) / 32;
        TestContext.Out.WriteLine($"a prompt takes {(double)each / stream:F3} streams of {Sizes.Text(stream)}");
        Assert.That(each - 2 * stream, Is.InRange(0, 8 * 64 * 64 * 4 + (64 << 10)));
    }

    // Mask 0 is that of multimask_output=False, masks 1 to 3 are those of True.
    static void Masks(Golden golden, string name, SamOutput actual)
    {
        foreach ((string kind, int first, int count) in new[] { ("single", 0, 1), ("multi", 1, 3) })
        {
            float[] masks = Some(actual.Masks, 4, first, count, 64 * 64), iou = Some(actual.Iou, 4, first, count, 1);
            Assert.That(golden.Compare($"{name}/low_res_{kind}", masks), Is.LessThanOrEqualTo(1), $"low_res_{kind}");
            Assert.That(golden.Compare($"{name}/iou_{kind}", iou), Is.LessThanOrEqualTo(1), $"iou_{kind}");
        }
    }

    // Of rows of `all` pieces of `each` values, `count` pieces from `first` on.
    static float[] Some(float[] values, int all, int first, int count, int each) =>
        [.. values.Where((_, i) => i / each % all >= first && i / each % all < first + count)];
}
