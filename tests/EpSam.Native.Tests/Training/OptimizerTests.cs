// The optimiser against sequences that PyTorch made, and what it does to the buffers of a small model: where its
// parameters lie, bf16 copies, parameters left out, accumulation, clipping.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Training;

public sealed class OptimizerTests
{
    [TestCase("adam", 1e-4, 1e-3, false)]
    [TestCase("adamw", 5e-4, 1e-2, true)]
    [TestCase("adam_big", 1e-2, 1e-1, false)]
    public void Step_SixTimes_IsPyTorchs(string name, double rate, double decay, bool decoupled)
    {
        const int Count = 257;
        Golden golden = Golden.Open("s03_epsam_classifier/modules.safetensors");
        TinyTraining.Run(DType.F32, p => p.Vector("p", Count), _ => true, (arena, parameters) =>
        {
            Optimizer optimizer = new(arena, parameters, new AdamOptions(decay, decoupled));
            ParameterDictionary start = new();
            start.Add("p", new Shape(Count), FormulaParameters.Floats($"input:s03/opt/{name}/p", Count));
            parameters.Load(start);
            TrainedRange range = optimizer.Layout.Ranges[0];
            float[] p = new float[Count];
            for (int t = 0; t < 6; t++)
            {
                float[] gradient = FormulaParameters.Floats($"input:s03/opt/{name}/g{t}", Count, Math.Pow(10, t - 3));
                gradient.AsSpan(0, 7).Clear();
                TinyTraining.Upload(arena.Gpu, gradient, TrainedLayout.Part(optimizer.Gradients, range));
                optimizer.Step(rate);
                parameters.Read("p", p);
                Assert.That(golden.Compare($"opt/{name}/step{t}", p), Is.LessThanOrEqualTo(1));
            }
            foreach ((string moment, Tensor flat) in
                new[] { ("exp_avg", optimizer.FirstMoments), ("exp_avg_sq", optimizer.SecondMoments) })
            {
                float[] values = TinyTraining.Download(arena.Gpu, TrainedLayout.Part(flat, range));
                Assert.That(golden.Compare($"opt/{name}/{moment}", values), Is.LessThanOrEqualTo(1));
            }
        });
    }

    [Test]
    public void Parameters_OfAModelInBF16_AreTrainedInF32AndMultipliedRounded() =>
        TinyTraining.Run(DType.BF16, TinyTraining.Declare, n => n != "frozen", (arena, parameters) =>
        {
            Optimizer optimizer = new(arena, parameters, new AdamOptions());
            Dictionary<string, Tensor> tensors = new(parameters.All);
            TinyTraining.Fill(arena.Gpu, optimizer, "weight", 1);
            float[] before = TinyTraining.Read(parameters, "weight"); // about 1 + 0.1 v, not rounded to bf16
            Assert.That(before, Is.EqualTo(TinyTraining.Start("weight")));
            optimizer.Step(0.25);
            float[] after = TinyTraining.Read(parameters, "weight");
            Assert.That(after, Is.EqualTo(before.Select(p => p - 0.25f)).Within(1e-6), "by the rate at first");
            Assert.That(tensors["weight"].DType, Is.EqualTo(DType.BF16));
            byte[] bytes = new byte[tensors["weight"].Bytes];
            arena.Gpu.Download(tensors["weight"], bytes);
            Assert.That(Values.Decode(bytes, DType.BF16), Is.EqualTo(after.Select(p => Values.ToBF16(p))));
            Assert.That(TinyTraining.Read(parameters, "frozen"), Is.EqualTo(TinyTraining.Start("frozen")));
            Assert.That(TinyTraining.Download(arena.Gpu, optimizer.Gradients), Is.All.Zero);
        });

    [Test]
    public void Step_WithAParameterLeftOut_NeitherDecaysItNorCountsItsStep() =>
        TinyTraining.Run(DType.F32, TinyTraining.Declare, _ => true, (arena, parameters) =>
        {
            Optimizer optimizer = new(arena, parameters, new AdamOptions(0.5, true));
            optimizer.Step(0.5, n => n == "bias");
            Assert.That(TinyTraining.Read(parameters, "bias"), Is.EqualTo(TinyTraining.Start("bias")));
            float[] decayed = [.. TinyTraining.Start("head").Select(p => p * 0.75f)];
            Assert.That(TinyTraining.Read(parameters, "head"), Is.EqualTo(decayed), "no gradient but decay");
            Assert.That(optimizer.Steps, Is.EqualTo(new[] { 1, 0, 1, 1 }));
            TinyTraining.Fill(arena.Gpu, optimizer, "bias", 2);
            optimizer.Step(0.5);
            float[] first = [.. TinyTraining.Start("bias").Select(p => p * 0.75f - 0.5f)];
            Assert.That(TinyTraining.Read(parameters, "bias"), Is.EqualTo(first).Within(1e-6), "its own first step");
            Assert.That(optimizer.Steps, Is.EqualTo(new[] { 2, 1, 2, 2 }));
        });

    [Test]
    public void Step_WithALimitToTheNorm_IsThatOfScaledGradients() =>
        TinyTraining.Run(DType.F32, TinyTraining.Declare, _ => true, (arena, parameters) =>
        {
            // 40 + 5 + 3 + 7 ones: eps of 1 makes the step depend on the size of the gradient
            Optimizer optimizer = new(arena, parameters, new AdamOptions(Eps: 1), maxNorm: 0.5);
            foreach (TrainedRange range in optimizer.Layout.Ranges)
                TinyTraining.Fill(arena.Gpu, optimizer, range.Name, 1);
            optimizer.Step(1);
            Assert.That(optimizer.ReadNorm(), Is.EqualTo(Math.Sqrt(55)).Within(1e-6));
            double g = 0.5 / (Math.Sqrt(55) + 1e-6);
            float[] expected = [.. TinyTraining.Start("head").Select(p => (float)(p - g / (g + 1)))];
            Assert.That(TinyTraining.Read(parameters, "head"), Is.EqualTo(expected).Within(1e-6));
        });

    [Test]
    public void Register_OfATape_AddsUpGradientsOfTwoBatches() =>
        TinyTraining.Run(DType.F32, TinyTraining.Declare, n => n == "head", (arena, parameters) =>
        {
            Optimizer optimizer = new(arena, parameters, new AdamOptions());
            Tensor head = parameters.All.First(p => p.Key == "head").Value;
            Tape tape = new(arena, recording: true);
            optimizer.Register(tape);
            for (int batch = 0; batch < 2; batch++)
            {
                using ArenaScope scope = arena.Step("batch");
                Tensor y = tape.New("y", DType.F32, head.Shape), one = arena.Keep("one", DType.F32, head.Shape);
                TinyTraining.Upload(arena.Gpu, [.. Enumerable.Repeat(1f, (int)head.Shape.Count)], one);
                Elementwise.Scale(arena.Gpu, head, 3, 0, y);
                tape.Push("times", y, () =>
                {
                    Tensor sum = tape.ParameterGradient(head)!.Value;
                    for (int i = 0; i < 3; i++) Elementwise.Add(arena.Gpu, sum, tape.GradientOf(y), sum);
                }, head);
                tape.Backward(y, one);
            }
            float[] gradients = TinyTraining.Download(arena.Gpu, optimizer.Gradients);
            Assert.That(gradients[..7], Is.All.EqualTo(6), "3 of each batch");
            Assert.That(gradients[7..], Is.All.Zero, "the gap behind it");
        });

    [Test]
    public void Layout_OfNothing_IsRefused() => Assert.That(
        () => TrainedLayout.Of(TinyTraining.Declare, _ => false),
        Throws.ArgumentException.With.Message.EqualTo("no parameter of the model is trained"));
}
