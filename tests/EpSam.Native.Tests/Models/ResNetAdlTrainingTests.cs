// Training of the patch classifier against the recorded numbers of the reference code (set s03), by the rules of its
// meta.json: in train mode the plain weights amplify rounding a thousand times, so gradients are compared by their
// relative l2 error, with what f32 itself is off from f64 as the measure.
using System.Text.Json;
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

[Category("Slow")] // about 4 s a case on two quiet cores
public sealed class ResNetAdlTrainingTests
{
    const string Folder = "s03_epsam_classifier/";

    [Test]
    public void Gradients_InEvaluation_AreTheReferences()
    {
        Golden golden = Golden.Open(Folder + "evalgrad.safetensors");
        ClassifierRun run = new(Input());
        Assert.Multiple(() =>
        {
            Assert.That(golden.Compare("evalgrad/logits", run.Output), Is.LessThanOrEqualTo(1));
            Assert.That(golden.Compare("evalgrad/loss", [run.Loss]), Is.LessThanOrEqualTo(1));
            Gradients(golden, "evalgrad", golden.Read<int>("evalgrad/grad_sample_idx"), run, 1e-4);
        });
    }

    [TestCase("damped", "drop_all", true, true, true)]
    [TestCase("damped", "importance_all", false, false, false)]
    [TestCase("damped", "mixed", true, false, true)]
    [TestCase("raw", "mixed", true, false, true)]
    public void Training_OfOneBatch_IsTheReferences(string weights, string coins, params bool[] drops)
    {
        Golden golden = Golden.Open(Folder + "train.safetensors");
        string name = $"train/{weights}/{coins}";
        ClassifierRun run = new(Input() with
        {
            Drops = drops, Source = s => weights == "raw" ? s : new DampedParameters(s),
        });
        Assert.Multiple(() =>
        {
            Assert.That(golden.Compare($"{name}/logits", run.Output), Is.LessThanOrEqualTo(1));
            Assert.That(golden.Compare($"{name}/loss", [run.Loss]), Is.LessThanOrEqualTo(1));
            Gradients(golden, name, golden.Read<int>("train/grad_sample_idx"), run, 1e-2);
            foreach (string buffer in run.Parameters.Keys.Where(p => golden.Has($"{name}/buffers/{p}")))
                Assert.That(golden.Compare($"{name}/buffers/{buffer}", run.Parameters[buffer]),
                    Is.LessThanOrEqualTo(1), buffer);
        });
    }

    static ClassifierInput Input()
    {
        float[] u = new float[4 * 3 * 128 * 128];
        FormulaParameters.Fill("input:s03/trainfwd/x", 0.5, 0.5, u); // u = (v + 1) / 2
        return new(new(4, 128, 128, 3), Floats: EncoderRun.ChannelsLast(u, 3, 128 * 128))
        {
            Labels = [0, 1, 1, 0],
        };
    }

    // All norms, samples of every parameter's gradient, and a few gradients in full.
    static void Gradients(Golden golden, string name, int[] picked, ClassifierRun run, double floor)
    {
        JsonElement meta = Golden.Json(Folder + "meta.json");
        JsonElement quantiles = meta.GetProperty("quantiles_fp32_vs_fp64");
        string[] names = [.. meta.GetProperty("params_in_order").EnumerateArray().Select(p => p[0].GetString()!)];
        double Allowed(string what, string quantile, double least) => Math.Max(least,
            10 * quantiles.GetProperty($"{name}/{what}").GetProperty(quantile).GetDouble());
        int each = picked.Length / names.Length;
        float[] samples = [.. picked.Select((k, i) => run.Gradients[names[i / each]][k])];
        Near("grad_samples", golden.Read<float>($"{name}/grad_samples"), samples,
            Allowed("grad_samples", "rel_l2", floor));
        foreach (string full in names.Where(n => golden.Has($"{name}/grad_full/{n}")))
            Near(full, golden.Read<float>($"{name}/grad_full/{full}"), run.Gradients[full],
                Allowed($"grad_full/{full}", "rel_l2", floor));
        double[] norms = golden.Read<double>($"{name}/grad_l2");
        double most = Allowed("grad_l2", "rel_max", 1e-2);
        for (int i = 0; i < names.Length; i++)
        {
            double norm = Math.Sqrt(run.Gradients[names[i]].Sum(g => (double)g * g));
            Assert.That(norm, Is.EqualTo(norms[i]).Within(most * norms[i]), names[i]);
        }
    }

    static void Near(string what, float[] expected, float[] actual, double most)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        double off = Math.Sqrt(expected.Zip(actual, (e, a) => Math.Pow((double)e - a, 2)).Sum()
            / expected.Sum(e => (double)e * e));
        TestContext.Out.WriteLine($"{what,-24} off by {off:G3}, {most:G3} is allowed");
        Assert.That(off, Is.LessThanOrEqualTo(most), what);
    }
}
