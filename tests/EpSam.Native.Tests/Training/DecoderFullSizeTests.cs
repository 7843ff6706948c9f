using System.Diagnostics;
using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Training;

/// <summary>EP-SAM's step at SAM's size, on request: some minutes.</summary>
[Explicit("minutes of work"), Category("Slow")]
public sealed class DecoderFullSizeTests
{
    const int Side = 512, Batch = 4, Points = 50;

    [TestCase(DType.F32)]
    [TestCase(DType.BF16)]
    public void Step_OfFourPatchesOfVitB_TakesWhatWasPlanned(DType type)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Card = "rtx-3060", Checks = CheckFlags.None });
        using Gpu gpu = new(card.Driver, card.Blas);
        using DecoderTrainer trainer = DecoderTrainer.Load(
            gpu, SamRig.Formula(SamConfig.VitB), new DecoderTrainerOptions { Precision = type }, SamConfig.VitB);
        DecoderItem[] items = [.. Enumerable.Range(0, Batch).Select(i => Item(trainer, i))];
        for (int step = 0; step < 3; step++)
        {
            MaskScores[] scores = [];
            Timed($"step {step}", () =>
            {
                scores = trainer.Step(items);
                trainer.Update(5e-6);
                gpu.Synchronize();
            });
            TestContext.Out.WriteLine($"loss {scores.Average(s => s.Loss):F5}");
            Assert.That(scores.All(s => double.IsFinite(s.Loss)));
        }
        Timed("prediction", () => trainer.Predict(items[0].Embedding, items[0].Points, Side, Side));
        TestContext.Out.WriteLine($"device memory {Sizes.Text(trainer.MeasuredPeak)}, planned "
            + Sizes.Text(trainer.Plan.Peak));
        Assert.That(trainer.MeasuredPeak, Is.EqualTo(trainer.Plan.Peak));
        Assert.That(trainer.MeasuredPeak, Is.LessThan(2L << 30));
    }

    static DecoderItem Item(DecoderTrainer trainer, int number)
    {
        CounterRandom random = new((ulong)number);
        byte[] rgb = FormulaParameters.Bytes($"input:full/{number}", 3 * Side * Side), mask = new byte[Side * Side];
        for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(i / Side < Side / 2 && i % Side > 100 ? 1 : 0);
        byte[] embedding = [];
        Timed("image", () => embedding = trainer.Encode(rgb, Side, Side));
        (int, int)[] points = [.. Enumerable.Range(0, Points).Select(_ => (101 + random.Next(400), random.Next(256)))];
        return new DecoderItem(embedding, points, mask, Side, Side);
    }

    static void Timed(string what, Action work)
    {
        Process process = Process.GetCurrentProcess();
        (TimeSpan cpu, long start) = (process.TotalProcessorTime, Stopwatch.GetTimestamp());
        work();
        process.Refresh();
        TestContext.Out.WriteLine($"{what}: {(process.TotalProcessorTime - cpu).TotalSeconds:F1} CPU s, "
            + $"{Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s");
    }
}
