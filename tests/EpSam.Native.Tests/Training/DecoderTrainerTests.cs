// Training of the mask decoder on a small SAM: what it learns, what it remembers, what it takes, what it refuses.
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Training;

[Category("Slow")]
public sealed class DecoderTrainerTests
{
    const int Height = 60, Width = 80;

    string _directory = "";

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    string In(string name) => Path.Combine(_directory, name);

    static DecoderTrainerOptions Options { get; } = new()
    {
        Batch = 2, Points = 5, MostPixels = Height * Width, MostSides = Height + Width,
    };

    static void Run(DecoderTrainerOptions options, Action<DecoderTrainer> work, CheckFlags checks = CheckFlags.All)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        using (DecoderTrainer trainer =
            DecoderTrainer.Load(gpu, SamRig.Formula(TinyModel.Config), options, TinyModel.Config))
            work(trainer);
        Assert.That(card.LiveAllocations, Is.Zero);
    }

    // A bright rectangle on a dark ground, and points in it.
    static DecoderItem Item(DecoderTrainer trainer, int seed, int points = 5, int height = Height, int width = Width)
    {
        CounterRandom random = new((ulong)seed);
        (int left, int top) = (random.Next(width / 3), random.Next(height / 3));
        (int right, int bottom) = (left + width / 2, top + height / 2);
        byte[] rgb = new byte[3 * height * width], mask = new byte[height * width];
        for (int i = 0; i < mask.Length; i++)
        {
            (int y, int x) = (i / width, i % width);
            bool inside = x >= left && x < right && y >= top && y < bottom;
            mask[i] = (byte)(inside ? 255 : 0);
            for (int c = 0; c < 3; c++) rgb[3 * i + c] = (byte)(random.Next(60) + (inside ? 180 : 20));
        }
        (int, int)[] drawn = [.. Enumerable.Range(0, points)
            .Select(_ => (left + random.Next(width / 2), top + random.Next(height / 2)))];
        return new DecoderItem(trainer.Encode(rgb, height, width), drawn, mask, height, width);
    }

    [TestCase(DType.F32)]
    [TestCase(DType.BF16)]
    public void Steps_OfTheSameImages_MakeTheLossFall(DType type) => Run(Options with { Precision = type }, trainer =>
    {
        DecoderItem[] items = [Item(trainer, 1), Item(trainer, 2)];
        double[] losses = new double[10];
        for (int step = 0; step < losses.Length; step++)
        {
            losses[step] = trainer.Step(items).Average(s => s.Loss);
            trainer.Update(1e-3);
        }
        TestContext.Out.WriteLine(string.Join(' ', losses.Select(l => l.ToString("F3"))));
        Assert.That(losses[^1], Is.LessThan(0.8 * losses[0]));
        MaskScores scores = trainer.Evaluate(items[0]);
        byte[] mask = trainer.Predict(items[0].Embedding, items[0].Points, Height, Width);
        Assert.That(scores.Loss, Is.LessThan(losses[0]));
        Assert.That(scores.Dice, Is.EqualTo(Metrics.Dice(mask, items[0].Mask)).Within(1e-6));
        Assert.That(scores.IoU, Is.EqualTo(Metrics.IoU(mask, items[0].Mask)).Within(1e-6));
        Assert.That(trainer.MeasuredPeak, Is.EqualTo(trainer.Plan.Peak));
    }, CheckFlags.None);

    // Of another size and with another number of points each: the same as the mean of three steps of one image each.
    [Test]
    public void Step_OfImagesOfSeveralSizes_IsTheMeanOfTheirSteps() => Run(Options with { Batch = 3 }, trainer =>
    {
        DecoderItem[] items = [Item(trainer, 1), Item(trainer, 2, 3), Item(trainer, 3, 5, 41, 53)];
        MaskScores[] together = trainer.Step(items);
        float[] sum = Gradients(trainer);
        double[] alone = new double[sum.Length];
        for (int i = 0; i < items.Length; i++)
        {
            trainer.Optimizer.ClearGradients();
            MaskScores scores = trainer.Step([items[i]])[0];
            Assert.That(scores.Loss, Is.EqualTo(together[i].Loss).Within(1e-5));
            Assert.That(trainer.Evaluate(items[i]).Loss, Is.EqualTo(together[i].Loss).Within(1e-5));
            foreach ((int at, float value) in Gradients(trainer).Index()) alone[at] += value / 3.0;
        }
        double off = Math.Sqrt(sum.Zip(alone, (a, b) => (a - b) * (a - b)).Sum() / alone.Sum(a => a * a));
        TestContext.Out.WriteLine($"gradients differ by {off:G3} of their norm");
        Assert.That(off, Is.LessThan(1e-5));
        Assert.That(sum.Any(g => g != 0));
    }, CheckFlags.None);

    static float[] Gradients(DecoderTrainer trainer) =>
        TinyTraining.Download(trainer.Gpu, trainer.Optimizer.Gradients);

    [Test]
    public void LoadState_OfASavedRun_GoesOnToTheBit()
    {
        DecoderItem[] items = [];
        Run(Options, trainer =>
        {
            items = [Item(trainer, 1), Item(trainer, 2)];
            Steps(trainer, 2);
            trainer.SaveState(In("state"), new StateValues());
            Steps(trainer, 2);
            trainer.SaveDecoder(In("whole"));
        });
        Run(Options, trainer =>
        {
            trainer.Step(items); // what was added up is forgotten
            trainer.LoadState(In("state"));
            Steps(trainer, 2);
            trainer.SaveDecoder(In("resumed"));
            trainer.LoadDecoder(SamRig.Formula(TinyModel.Config));
            trainer.SaveDecoder(In("first"));
            trainer.LoadDecoder(In("whole"));
            trainer.SaveDecoder(In("again"));
        });
        byte[] whole = File.ReadAllBytes(In("whole"));
        Assert.That(File.ReadAllBytes(In("resumed")), Is.EqualTo(whole));
        Assert.That(File.ReadAllBytes(In("again")), Is.EqualTo(whole));
        Assert.That(File.ReadAllBytes(In("first")), Is.Not.EqualTo(whole));

        void Steps(DecoderTrainer trainer, int count)
        {
            for (; count > 0; count--)
            {
                trainer.Step(items);
                trainer.Update(1e-3);
            }
        }
    }

    [Test]
    public void SavedDecoder_LaidOverItsSam_GivesTheSameMask()
    {
        byte[] rgb = SamRig.Picture(Height, Width), mask = [];
        Run(Options, trainer =>
        {
            DecoderItem item = new(trainer.Encode(rgb, Height, Width), [(20, 30), (50, 10)], new byte[Height * Width],
                Height, Width);
            item.Mask.AsSpan(0, item.Mask.Length / 2).Fill(1);
            for (int i = 0; i < 3; i++)
            {
                trainer.Step([item]);
                trainer.Update(1e-3);
            }
            mask = trainer.Predict(item.Embedding, item.Points, Height, Width);
            trainer.SaveDecoder(In("decoder.safetensors"));
        }, CheckFlags.None);
        using StateDict decoder = Checkpoint.Open(In("decoder.safetensors"));
        using SamRig rig = new(new SamOptions(), new Native.Nn.OverlaidParameters(
            new Native.Nn.CheckpointParameters(decoder), SamRig.Formula(TinyModel.Config)), CheckFlags.None);
        rig.Predictor.SetImage(rgb, Height, Width);
        byte[] expected = rig.Predictor.Predict(
            new SamPrompt { Points = [new(20, 30), new(50, 10)] }, multimask: false).Masks[0];
        // but for the embedding's rounding to fp16
        Assert.That(mask.Zip(expected, (a, b) => a != b ? 1 : 0).Sum(), Is.LessThan(0.002 * mask.Length));
    }

    // EP-SAM's step at SAM's size: four patches of 512 x 512, 50 points.
    [TestCase(DType.F32)]
    [TestCase(DType.BF16)]
    public void Plan_OfFourPatchesOfVitB_IsBelowTwoGibibytes(DType type)
    {
        Plan plan = DecoderTrainer.PlanOf(SamConfig.VitB, new DecoderTrainerOptions { Precision = type });
        TestContext.Out.WriteLine($"{Sizes.Text(plan.Peak)}: weights {Sizes.Text(plan.AtPeak(ArenaUse.Weight))}, kept "
            + $"{Sizes.Text(plan.AtPeak(ArenaUse.Activation))}, workspace "
            + Sizes.Text(plan.AtPeak(ArenaUse.Workspace)));
        foreach (PlanPhase phase in plan.Phases.Where(p => p.Depth == 0))
            TestContext.Out.WriteLine($"{phase.Name} {Sizes.Text(phase.Peak)}");
        Assert.That(plan.Peak, Is.LessThan(2L << 30));
    }

    // Pieces of other sizes leave other gaps: a smaller step must not need more than the largest one that is planned.
    [Test]
    public void Plan_OfSmallerSteps_IsNeverAboveTheLargest()
    {
        DecoderTrainerOptions largest = new() { Batch = 4, Points = 50 };
        foreach (SamConfig config in new[] { SamConfig.VitB, TinyModel.Config })
        {
            long peak = DecoderTrainer.PlanOf(config, largest).Peak;
            for (int batch = 1; batch <= largest.Batch; batch++)
            {
                foreach (int points in new[] { 2, 3, 11, 12, 27, 39, 43, 49 })
                {
                    Plan plan = DecoderTrainer.PlanOf(config, largest with { Batch = batch, Points = points });
                    Assert.That(plan.Peak, Is.LessThanOrEqualTo(peak), $"{batch} images, {points} points");
                }
            }
        }
    }

    [Test]
    public void Load_OverTheBudget_SaysWhatWouldFit()
    {
        DecoderTrainerOptions options = new() { Batch = 4 };
        long budget = DecoderTrainer.PlanOf(TinyModel.Config, options with { Batch = 2 }).Peak;
        BudgetException e = Assert.Throws<BudgetException>(
            () => Run(options with { MemoryBudget = budget }, _ => { }))!;
        Assert.That(e.Message, Does.Contain("2 images of a step"));
    }

    [Test]
    public void WrongItems_AreRefused() => Run(Options, trainer =>
    {
        DecoderItem good = new(new byte[trainer.EmbeddingBytes], [(1, 1)], new byte[20], 4, 5);
        Assert.Multiple(() =>
        {
            Refuses(good with { Embedding = [1, 2] }, "bytes, got 2");
            Refuses(good with { Points = [] }, "1 to 5 points, got 0");
            Refuses(good with { Mask = new byte[3] }, "4 x 5 was expected, got 3");
            Refuses(good with { Mask = new byte[100 * 100], Height = 100, Width = 100 }, "100 x 100 is more than");
        });

        void Refuses(DecoderItem item, string expected) =>
            Assert.That(Assert.Throws<ArgumentException>(() => trainer.Step([item]))!.Message, Does.Contain(expected));
    });
}
