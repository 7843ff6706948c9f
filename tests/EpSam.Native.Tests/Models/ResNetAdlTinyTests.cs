// A small patch classifier with all checks of the virtual GPU on: what is recomputed changes no bit, memory is what was
// planned, a saved model is the same model in the reference's layout. And the plan of the published one.
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

[Category("Slow")]
public sealed class ResNetAdlTinyTests
{
    static readonly ResNetAdlConfig Config = new() { Blocks = [1, 2, 2, 3], Width = 8 };

    static ClassifierInput Input(DType type = DType.F32) =>
        new(new(2, 49, 38, 3), FormulaParameters.Bytes("images", 2 * 49 * 38 * 3))
        {
            Config = Config, Type = type, Checks = CheckFlags.All,
        };

    [Test]
    public void Training_Recomputed_HasTheSameBitsInPlannedMemory([Values(DType.F32, DType.BF16)] DType type)
    {
        ClassifierInput input = Input(type) with { Drops = [true, false, false], Labels = [1, 0], Passes = 2 };
        ClassifierRun kept = Run(Recompute.Nothing), norms = Run(Recompute.Norms);
        ClassifierRun large = Run(Recompute.Large), blocks = Run(Recompute.Blocks);
        Assert.That(norms.Plan.Peak, Is.LessThan(kept.Plan.Peak));
        Assert.That(large.Plan.Peak, Is.LessThan(norms.Plan.Peak));
        Assert.That(blocks.Plan.Peak, Is.LessThan(large.Plan.Peak));
        foreach (ClassifierRun run in (ClassifierRun[])[kept, norms, large, blocks])
        {
            Assert.That(run.MeasuredPeak, Is.EqualTo(run.Plan.Peak));
            Assert.That(run.Output, Is.EqualTo(kept.Output));
            foreach ((string name, float[] gradient) in kept.Gradients)
            {
                Assert.That(gradient.Any(g => g != 0), name);
                Assert.That(run.Gradients[name], Is.EqualTo(gradient), name);
            }
            foreach ((string name, float[] values) in kept.Parameters)
                Assert.That(run.Parameters[name], Is.EqualTo(values), name);
        }
        ClassifierRun Run(Recompute recompute) =>
            new(input with { Config = Config with { Recompute = recompute } });
    }

    [Test]
    public void Evaluation_Recorded_HasTheSameBits()
    {
        ClassifierRun plain = new(Input()), recorded = new(Input() with { Labels = [1, 0] });
        Assert.That(recorded.Output, Is.EqualTo(plain.Output));
        Assert.That(plain.MeasuredPeak, Is.EqualTo(plain.Plan.Peak));
        Assert.That(plain.Plan.Peak, Is.LessThan(recorded.Plan.Peak));
    }

    [Test]
    public void Evaluation_InBF16_IsCloseToF32()
    {
        ClassifierRun exact = new(Input()), rough = new(Input(DType.BF16));
        for (int i = 0; i < 2; i++) Assert.That(rough.Output[i], Is.EqualTo(exact.Output[i]).Within(0.05));
    }

    [Test]
    public void Save_Loaded_IsTheSameModel()
    {
        string path = Path.Combine(Path.GetTempPath(), $"classifier-{Guid.NewGuid():N}.safetensors");
        try
        {
            ClassifierRun first = new(Input() with { Drops = [true, true, true], Labels = [1, 0], SaveTo = path });
            using StateDict state = Checkpoint.Open(path);
            Assert.That(state["bn1.num_batches_tracked"].ToBytes(), Is.EqualTo(BitConverter.GetBytes(1L)));
            Assert.That(state["layer4.0.conv2.weight"].Sizes.ToArray(), Is.EqualTo(new long[] { 64, 64, 3, 3 }));
            Assert.That(state.Contains("layer3.2.bn1.running_mean"));
            foreach ((string name, float[] values) in first.Parameters)
                Assert.That(state[name].ToFloats(), Is.EqualTo(values), name);
            float[] formula = new float[64 * 64 * 9];
            FormulaParameters.Fill("layer4.0.conv2.weight", 0, Math.Sqrt(3.0 / (64 * 9)), formula);
            Assert.That(state["layer4.0.conv2.weight"].ToFloats(), Is.EqualTo(formula), "axes as they were loaded");
            ClassifierRun second = new(Input() with { Source = _ => new CheckpointParameters(state) });
            foreach ((string name, float[] values) in first.Parameters)
                Assert.That(second.Parameters[name], Is.EqualTo(values), name);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Plan_OfSixteenImages_IsBelowSixGibibytes()
    {
        ClassifierInput input = new(new(16, 512, 512, 3), []) { Drops = [true, true, true], Labels = new float[16] };
        foreach (Recompute recompute in Enum.GetValues<Recompute>())
        {
            long peak = ClassifierRun.PlanOf(input with { Config = new() { Recompute = recompute } }).Peak;
            TestContext.Out.WriteLine($"f32, {recompute}: {Sizes.Text(peak)}");
            if (recompute == new ResNetAdlConfig().Recompute) Assert.That(peak, Is.LessThanOrEqualTo(6L << 30));
        }
        long rough = ClassifierRun.PlanOf(input with { Type = DType.BF16 }).Peak;
        TestContext.Out.WriteLine($"bf16: {Sizes.Text(rough)}");
    }

    [Test]
    public void Misuse_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new ResNetAdlConfig { Width = 6 }.Check());
        Assert.Throws<ArgumentException>(() => new ResNetAdlConfig { Blocks = [1, 1, 1] }.Check());
        Assert.That(() => ClassifierRun.PlanOf(Input() with { Drops = [true] }),
            Throws.ArgumentException.With.Message.Contains("3 coins"));
    }
}
