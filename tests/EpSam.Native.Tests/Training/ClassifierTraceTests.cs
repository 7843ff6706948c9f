// Five steps of Adam on the whole patch classifier against the recorded ones of the reference code (set s03), by the
// rules of its meta.json: the damped weights throughout; of the plain ones, which amplify rounding a thousand times,
// the first step: what follows there is written down and not judged.
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Training;

[Category("Slow")] // about 15 s a case on two quiet cores
public sealed class ClassifierTraceTests
{
    const string Folder = "s03_epsam_classifier/";
    const int Batch = 4, Side = 128, Layers = 3;

    [TestCase("damped", 5)]
    [TestCase("raw", 1)]
    public void Adam_OfFiveSteps_IsTheReferences(string weights, int judged)
    {
        Golden golden = Golden.Open(Folder + "trace.safetensors");
        JsonElement quantiles = Golden.Json(Folder + "meta.json").GetProperty("quantiles_fp32_vs_fp64");
        string[] names = [.. Golden.Json(Folder + "meta.json").GetProperty("params_in_order").EnumerateArray()
            .Select(p => p[0].GetString()!)];
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = CheckFlags.None });
        using Gpu gpu = new(card.Driver, card.Blas);
        using ClassifierTrainer trainer = new(gpu, new(), new()
        {
            Batch = Batch, Size = Side, Images = DType.F32, Adam = new(WeightDecay: 1e-3),
        });
        FormulaParameters formula = new(trainer.Optimizer.Parameters.Stored);
        trainer.Load(weights == "raw" ? formula : new DampedParameters(formula));
        Assert.Multiple(() =>
        {
            for (int step = 0; step < 5; step++)
            {
                string name = $"trace/{weights}/step{step}";
                float loss = Step(trainer, gpu, golden, name, step, step < judged);
                trainer.Update(1e-4);
                Norms(golden, quantiles, name, names, trainer, step < judged);
                double expected = golden.Read<double>($"{name}/loss")[0], most = golden.Tolerance($"{name}/loss");
                TestContext.Out.WriteLine($"{name}: loss {loss}, expected {expected}, {most:G3} is allowed");
                if (step < judged) Assert.That(loss, Is.EqualTo(expected).Within(most), name);
            }
            if (weights == "raw") return;
            Samples(golden, quantiles, names, trainer);
            foreach (string buffer in golden.Names.Where(n => n.StartsWith("trace/damped/final_buffers/")))
                Assert.That(golden.Compare(buffer, Read(trainer, buffer.Split('/')[^1])), Is.LessThanOrEqualTo(1));
        });
        Assert.That(trainer.MeasuredPeak, Is.LessThanOrEqualTo(trainer.Plan.Peak));
    }

    // A pass with the recorded images, labels and draws; logits and drop masks are looked at on the way.
    static float Step(ClassifierTrainer trainer, Gpu gpu, Golden golden, string name, int step, bool isJudged)
    {
        float[] x = new float[Batch * 3 * Side * Side], labels = new float[Batch], draws = new float[Layers];
        FormulaParameters.Fill($"input:s03/trace/x{step}", 0.5, 0.5, x); // u = (v + 1) / 2
        FormulaParameters.Fill($"input:s03/trace/y{step}", 0.5, 0.5, labels);
        FormulaParameters.Fill($"input:s03/trace/adl{step}", 0.5, 0.5, draws);
        bool[] drops = [.. draws.Select(d => Math.Floor(d + 0.75) == 1)];
        int layer = 0;
        trainer.Model.Observe = (what, tensor) =>
        {
            if (what is not ("adl" or "logits")) return;
            float[] values = new float[tensor.Shape.Count];
            gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
            if (what == "logits")
            {
                double share = golden.Compare($"{name}/logits", values);
                if (isJudged) Assert.That(share, Is.LessThanOrEqualTo(1), name);
            }
            else if (drops[layer++] && isJudged)
            {
                byte[] mask = golden.Read<byte>($"{name}/adl{layer - 1}/drop_mask_u8");
                Assert.That(values.Select(v => v != 0), Is.EqualTo(mask.Select(m => m != 0)), $"{name} mask {layer}");
            }
        };
        float loss = trainer.Step(MemoryMarshal.AsBytes(EncoderRun.ChannelsLast(x, 3, Side * Side).AsSpan()),
            [.. labels.Select(l => l >= 0.5f ? 1f : 0f)], drops);
        trainer.Model.Observe = null;
        Assert.That(layer, Is.EqualTo(Layers));
        return loss;
    }

    static void Norms(Golden golden, JsonElement quantiles, string name, string[] names, ClassifierTrainer trainer,
        bool isJudged)
    {
        double[] expected = golden.Read<double>($"{name}/param_l2");
        double most = 10 * quantiles.GetProperty($"{name}/param_l2").GetProperty("rel_max").GetDouble() + 1e-6;
        double worst = 0;
        for (int i = 0; i < names.Length; i++)
        {
            double norm = Math.Sqrt(Read(trainer, names[i]).Sum(v => (double)v * v));
            worst = Math.Max(worst, Math.Abs(norm - expected[i]) / expected[i]);
        }
        TestContext.Out.WriteLine($"{name}: norms off by {worst:G3}, {most:G3} is allowed");
        if (isJudged) Assert.That(worst, Is.LessThanOrEqualTo(most), name);
    }

    static void Samples(Golden golden, JsonElement quantiles, string[] names, ClassifierTrainer trainer)
    {
        float[] expected = golden.Read<float>("trace/damped/final_param_samples");
        int[] picked = golden.Read<int>("trace/final_param_sample_idx");
        int each = picked.Length / names.Length;
        float[][] all = [.. names.Select(n => Read(trainer, n))];
        double[] off = [.. picked.Select((k, i) => Math.Abs((double)all[i / each][k] - expected[i])).Order()];
        JsonElement allowed = quantiles.GetProperty("trace/damped/final_param_samples");
        foreach ((string quantile, double share) in new[] { ("p90", 0.9), ("p99", 0.99) })
        {
            double most = 10 * allowed.GetProperty(quantile).GetDouble() + 1e-7;
            double actual = off[(int)Math.Ceiling(share * off.Length) - 1];
            TestContext.Out.WriteLine($"samples {quantile}: off by {actual:G3}, {most:G3} is allowed");
            Assert.That(actual, Is.LessThanOrEqualTo(most), quantile);
        }
        Assert.That(off[^1], Is.LessThanOrEqualTo(2 * 1e-4 * 5), "twice the rate a step");
    }

    static float[] Read(ClassifierTrainer trainer, string name)
    {
        float[] values = new float[trainer.Optimizer.Parameters.Stored.First(p => p.Key == name).Value.Count];
        trainer.Optimizer.Parameters.Read(name, values);
        return values;
    }
}
