// Training of a small patch classifier with all checks of the virtual GPU on: in planned memory, resumed bit for bit,
// stopped by name where values become NaN.
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Training;

[Category("Slow")]
public sealed class ClassifierTrainerTests
{
    const int Size = 33, Batch = 3;

    static readonly bool[] Drops = [true, false, false];
    static readonly ResNetAdlConfig Config = new() { Blocks = [1, 1, 1, 2], Width = 8 };
    static readonly ClassifierTrainerOptions Options = new() { Batch = Batch, Size = Size };

    [Test]
    public void Training_OfBatchesOfAnySize_StaysInPlannedMemory([Values(DType.F32, DType.BF16)] DType precision) =>
        With(Options with { Precision = precision, MaxNorm = 1 }, trainer =>
        {
            for (int n = 1; n <= Batch; n++)
            {
                Assert.That(trainer.Step(Images(n), Labels(n), Drops), Is.InRange(0.01, 10));
                trainer.Update(1e-3);
                Assert.That(trainer.Evaluate(Images(n)), Has.Length.EqualTo(n));
            }
            Assert.That(trainer.MeasuredPeak, Is.EqualTo(trainer.Plan.Peak));
            Assert.That(trainer.Updates, Is.EqualTo(3));
        });

    [Test]
    public void Plan_OfSmallerBatches_IsNeverLarger([Values] Recompute recompute)
    {
        long before = 0;
        for (int n = 1; n <= 9; n++)
        {
            long peak = ClassifierTrainer.PlanOf(Config with { Recompute = recompute },
                Options with { Batch = n, Size = 512 }).Peak;
            Assert.That(peak, Is.GreaterThanOrEqualTo(before), $"{n} images");
            before = peak;
        }
    }

    [Test]
    public void Step_OfAFewImages_LearnsThem() => With(Options, trainer =>
    {
        float first = trainer.Step(Images(Batch), Labels(Batch), Drops), last = first;
        for (int i = 0; i < 6; i++)
        {
            trainer.Update(1e-2);
            last = trainer.Step(Images(Batch), Labels(Batch), Drops);
        }
        Assert.That(last, Is.LessThan(0.3 * first));
    });

    [Test]
    public void Step_InTwoHalves_AddsUpToTheWhole() => With(Options, trainer =>
    {
        // the same batch, so that BatchNorm sees the same: half of every gradient twice, but that the second half's
        // parts are added to the first one by one
        trainer.Step(Images(2), Labels(2), Drops);
        float[] whole = TinyTraining.Download(trainer.Gpu, trainer.Optimizer.Gradients);
        trainer.ClearGradients();
        for (int i = 0; i < 2; i++) trainer.Step(Images(2), Labels(2), Drops, 0.5f);
        float[] halves = TinyTraining.Download(trainer.Gpu, trainer.Optimizer.Gradients);
        double off = Math.Sqrt(halves.Zip(whole, (a, b) => Math.Pow((double)a - b, 2)).Sum()
            / whole.Sum(g => (double)g * g));
        Assert.That(off, Is.LessThanOrEqualTo(1e-6));
    });

    [Test]
    public void Step_AfterAnUpdateThatWasTooLarge_NamesOpAndStep() => With(Options, trainer =>
    {
        trainer.Step(Images(2), Labels(2), Drops);
        trainer.Update(1e30);
        NonFiniteException failure =
            Assert.Throws<NonFiniteException>(() => trainer.Step(Images(2), Labels(2), Drops))!;
        TestContext.Out.WriteLine(failure.Message);
        Assert.That(failure.Step, Is.EqualTo(2));
        Assert.That(failure.Where, Does.StartWith("result of "));
        trainer.Load(new FormulaParameters(trainer.Optimizer.Parameters.Stored));
        Assert.That(trainer.Step(Images(2), Labels(2), Drops), Is.InRange(0.01, 10), "begins anew");
        Assert.That(trainer.MeasuredPeak, Is.LessThanOrEqualTo(trainer.Plan.Peak));
    });

    [Test]
    public void LoadState_OfASavedOne_GoesOnWithTheSameBits()
    {
        string path = Path.Combine(Path.GetTempPath(), $"state-{Guid.NewGuid():N}.safetensors");
        try
        {
            float[] expected = [], losses = [];
            With(Options, trainer =>
            {
                Learn(trainer);
                trainer.SaveState(path, new StateValues());
                losses = [Learn(trainer), Learn(trainer)];
                expected = trainer.Evaluate(Images(3));
                Assert.That(trainer.Model.Batches, Is.EqualTo(3));
            });
            With(Options, trainer =>
            {
                Learn(trainer);
                Learn(trainer);
                trainer.Step(Images(1), Labels(1), Drops); // gradients that are not to count
                trainer.LoadState(path);
                Assert.That((trainer.Updates, trainer.Model.Batches), Is.EqualTo((1L, 1L)));
                Assert.That(new[] { Learn(trainer), Learn(trainer) }, Is.EqualTo(losses));
                Assert.That(trainer.Evaluate(Images(3)), Is.EqualTo(expected));
            });
        }
        finally
        {
            File.Delete(path);
        }
        static float Learn(ClassifierTrainer trainer)
        {
            float loss = trainer.Step(Images(3), Labels(3), Drops);
            trainer.Update(1e-3);
            return loss;
        }
    }

    [Test]
    public void Budget_TooSmall_IsRefusedWithWhatFits()
    {
        ResNetAdlConfig config = Config with { Recompute = Recompute.Nothing };
        long whole = ClassifierTrainer.PlanOf(config, Options).Peak;
        BudgetException refusal = Assert.Throws<BudgetException>(() =>
            With(config, Options with { MemoryBudget = whole - 1 }, _ => { }))!;
        Assert.That(refusal.Message, Does.Contain("recompute norms fits with"));
        ResNetAdlConfig smallest = Config with { Recompute = Recompute.Blocks };
        long least = ClassifierTrainer.PlanOf(smallest, Options with { Batch = 1 }).Peak;
        refusal = Assert.Throws<BudgetException>(() =>
            With(config, Options with { MemoryBudget = least }, _ => { }))!;
        Assert.That(refusal.Message, Does.Contain("batch 1 with recompute blocks fits with"));
        refusal = Assert.Throws<BudgetException>(() =>
            With(config, Options with { MemoryBudget = 1 << 20 }, _ => { }))!;
        Assert.That(refusal.Message, Does.Contain("nothing smaller that was tried fits"));
    }

    [Test]
    public void Step_WithImpossibleBatches_IsRefused() => With(Options, trainer =>
    {
        Assert.Throws<ArgumentException>(() => trainer.Step([], [], Drops));
        Assert.Throws<ArgumentException>(() => trainer.Step(Images(Batch + 1), Labels(Batch + 1), Drops));
        Assert.Throws<ArgumentException>(() => trainer.Step(Images(2), Labels(1), Drops));
        Assert.Throws<ArgumentException>(() => trainer.Step(Images(1), Labels(1), [true]));
        Assert.Throws<ArgumentException>(() => trainer.Evaluate(new byte[5]));
    });

    static byte[] Images(int n) => FormulaParameters.Bytes("images", n * Size * Size * 3);

    static float[] Labels(int n) => [.. Enumerable.Range(0, n).Select(i => i % 2f)];

    static void With(ClassifierTrainerOptions options, Action<ClassifierTrainer> work) => With(Config, options, work);

    static void With(ResNetAdlConfig config, ClassifierTrainerOptions options, Action<ClassifierTrainer> work)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using ClassifierTrainer trainer = new(gpu, config, options);
        trainer.Load(new FormulaParameters(trainer.Optimizer.Parameters.Stored));
        work(trainer);
    }
}
