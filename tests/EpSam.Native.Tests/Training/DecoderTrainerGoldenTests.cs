// EP-SAM's own training loop of the mask decoder, recorded for eight steps of two patches (s05), and its pseudo masks:
// the trainer with the switches that the reference amounts to, on a virtual GPU with all checks.
using System.Text.Json;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Ops;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Training;

[Category("Slow")]
public sealed class DecoderTrainerGoldenTests
{
    const string Set = "s05_epsam_decoder_training";
    const int Height = 180, Width = 200, Pixels = Height * Width, Points = 10;

    static DecoderTrainerOptions Reference { get; } = new()
    {
        Batch = 2, Points = 50, MostPixels = Pixels, MostSides = Height + Width, Adam = new AdamOptions(0.01, true),
        UnscaledPoints = true, DecayUnused = true, PreciseEmbeddings = true,
    };

    static void Run(DecoderTrainerOptions options, Action<DecoderTrainer> work)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using DecoderTrainer trainer =
            DecoderTrainer.Load(gpu, SamRig.Formula(TinyModel.Config), options, TinyModel.Config);
        work(trainer);
    }

    static byte[][] Embeddings(DecoderTrainer trainer, Golden inputs)
    {
        byte[] images = inputs.Read<byte>("images_u8");
        return [.. Enumerable.Range(0, 4)
            .Select(i => trainer.Encode(images.AsSpan(3 * Pixels * i, 3 * Pixels), Height, Width))];
    }

    static DecoderItem[] Items(DecoderTrainer trainer, Golden inputs)
    {
        long[] xy = inputs.Read<long>("points_xy");
        byte[] masks = inputs.Read<byte>("masks_u8");
        (int, int)[] points = [.. Enumerable.Range(0, 4 * Points).Select(p => ((int)xy[2 * p], (int)xy[2 * p + 1]))];
        return [.. Embeddings(trainer, inputs).Select((embedding, i) => new DecoderItem(embedding,
            points[(Points * i)..(Points * (i + 1))], masks[(Pixels * i)..(Pixels * (i + 1))], Height, Width))];
    }

    [Test]
    public void EightSteps_AreTheReferences()
    {
        Golden inputs = Golden.Open($"{Set}/inputs.safetensors"), golden = Golden.Open($"{Set}/training.safetensors");
        JsonElement meta = Golden.Json($"{Set}/meta.json");
        Run(Reference with { Points = Points }, trainer =>
        {
            DecoderItem[] items = Items(trainer, inputs);
            foreach (JsonElement recorded in meta.GetProperty("trace").EnumerateArray())
            {
                int step = recorded.GetProperty("step").GetInt32();
                DecoderItem[] batch = [.. Golden.Ints(recorded.GetProperty("batch_items")).Select(i => items[i])];
                if (golden.Has($"step{step}/low_res_masks"))
                {
                    float[] low = [.. batch.SelectMany(trainer.LowRes)];
                    Assert.That(golden.Compare($"step{step}/low_res_masks", low), Is.LessThanOrEqualTo(1));
                }
                MaskScores[] scores = trainer.Step(batch);
                (double dice, double iou) = (scores.Average(s => s.DiceLoss), scores.Average(s => s.IoULoss));
                float[] losses = [.. golden.Read<double>($"step{step}/losses").Select(v => (float)v)];
                string name = $"step{step}/losses";
                float[] ours = [(float)dice, (float)iou, (float)(dice + iou)];
                Assert.That(golden.Compare(name, losses, ours), Is.LessThanOrEqualTo(1), name);
                (double d, double i) = (scores.Average(s => s.Dice), scores.Average(s => s.IoU));
                TestContext.Out.WriteLine($"step {step}: Dice {d:F7} off by {d - Number(recorded, "dice"):G3}, "
                    + $"IoU {i:F7} off by {i - Number(recorded, "iou"):G3}");
                Assert.That(d, Is.EqualTo(Number(recorded, "dice")).Within(1e-6), $"step {step}");
                Assert.That(i, Is.EqualTo(Number(recorded, "iou")).Within(1e-6), $"step {step}");
                double rate = new CosineSchedule(5e-4, 8).At(step);
                Assert.That(rate, Is.EqualTo(Number(recorded, "lr")).Within(1e-15));
                trainer.Update(rate);
            }
            AreTheReferences(trainer, golden, meta);
            Assert.That(trainer.MeasuredPeak, Is.EqualTo(trainer.Plan.Peak));
        });
    }

    static double Number(JsonElement recorded, string name) => recorded.GetProperty(name).GetDouble();

    // meta.json: rel_l2 at most ten times that of fp32 against fp64, at least 1e-5, and every element within twice the
    // sum of all rates; biases of keys, whose gradient is 0 but for rounding, by their elements only.
    static void AreTheReferences(DecoderTrainer trainer, Golden golden, JsonElement meta)
    {
        const double Most = 0.0045;
        JsonElement quantiles = meta.GetProperty("quantiles_fp32_vs_fp64");
        string[] free = Names(meta.GetProperty("analytically_zero_gradient_parameters"));
        string folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        string path = Path.Combine(folder, "decoder.safetensors");
        try
        {
            trainer.SaveDecoder(path);
            using StateDict ours = Checkpoint.Open(path);
            using StateDict theirs = Checkpoint.Open(Golden.Find($"{Set}/decoder_after_step8.pth"));
            Assert.That(ours.Names, Is.EquivalentTo(Names(meta.GetProperty("partial_checkpoint_names"))));
            Assert.That(ours.Names, Is.EquivalentTo(theirs.Names));
            double worst = 0, furthest = 0;
            Assert.Multiple(() =>
            {
                foreach (string name in ours.Names)
                {
                    Assert.That(ours[name].Sizes.ToArray(), Is.EqualTo(theirs[name].Sizes.ToArray()), name);
                    float[] a = Floats(ours[name]), b = Floats(theirs[name]);
                    Assert.That(b, Is.EqualTo(golden.Read<float>($"params_after_step8/{name}")), name);
                    double far = a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max();
                    furthest = Math.Max(furthest, far);
                    Assert.That(far, Is.LessThanOrEqualTo(Most), name);
                    if (free.Contains(name)) continue;
                    double bound = quantiles.TryGetProperty($"params_after_step8/{name}", out JsonElement q)
                        ? Math.Max(10 * Number(q, "rel_l2"), 1e-5) : 1e-5;
                    double error = Math.Sqrt(a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum()
                        / b.Sum(y => (double)y * y));
                    worst = Math.Max(worst, error / bound);
                    Assert.That(error, Is.LessThanOrEqualTo(bound), name);
                }
            });
            TestContext.Out.WriteLine($"parameters: {100 * worst:F1} % of the bound, elements off by {furthest:G3}");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    static string[] Names(JsonElement list) => [.. list.EnumerateArray().Select(e => e.GetString()!)];

    static float[] Floats(TensorEntry entry)
    {
        float[] values = new float[entry.Count];
        entry.ReadFloats(0, values);
        return values;
    }

    [Test]
    public void PseudoMasks_AreTheReferences()
    {
        Golden inputs = Golden.Open($"{Set}/inputs.safetensors");
        Golden golden = Golden.Open($"{Set}/prompts_and_ids.safetensors");
        JsonElement recorded = Golden.Json($"{Set}/meta.json").GetProperty("generate_sam_mask");
        Run(Reference, trainer =>
        {
            byte[][] embeddings = Embeddings(trainer, inputs);
            for (int i = 0; i < embeddings.Length; i++)
            {
                long[] xy = golden.Read<long>($"generate/{i}/points_xy");
                (int, int)[] points = [.. xy.Chunk(2).Select(p => ((int)p[0], (int)p[1]))];
                byte[] mask = trainer.Predict(embeddings[i], points, Height, Width);
                byte[] expected = golden.Read<byte>($"generate/{i}/mask_pred_u8");
                float[] sigmoid = golden.Read<float>($"generate/{i}/masks_sigmoid");
                int[] others = [.. Enumerable.Range(0, Pixels).Where(p => mask[p] != expected[p])];
                TestContext.Out.WriteLine($"image {i}: {others.Length} pixels differ, sigmoid off from one half by "
                    + $"{others.Select(p => Math.Abs(sigmoid[p] - 0.5)).DefaultIfEmpty(0).Max():G3}");
                // meta.json counts the pixels that rounding decides: those within 1e-5 of one half
                Assert.That(others.All(p => Math.Abs(sigmoid[p] - 0.5) <= 1e-5), $"image {i}");
                double score = PseudoMaskFilter.Score(golden.Read<byte>($"generate/{i}/cam_mask"), mask);
                Assert.That(score, Is.EqualTo(Number(recorded[i], "ids_score")).Within(1e-4));
                Assert.That(score >= PseudoMaskFilter.KeepFrom, Is.EqualTo(
                    recorded[i].GetProperty("written").GetBoolean()));
            }
        });
    }
}
