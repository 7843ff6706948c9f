// Learning rates and early stopping against values recorded from PyTorch and the reference's code.
using System.Text.Json;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Training;

public sealed class ScheduleTests
{
    const string Classifier = "s03_epsam_classifier/meta.json", Decoder = "s05_epsam_decoder_training/meta.json";

    [TestCase("0.0001")]
    [TestCase("1e-05")]
    public void StepSchedule_Of50Epochs_IsPyTorchsToTheBit(string rate)
    {
        JsonElement recorded = Golden.Json(Classifier)
            .GetProperty("steplr_50_epochs (lr used in epoch e; step_size=10, gamma=0.9)").GetProperty(rate);
        StepSchedule schedule = new(double.Parse(rate, System.Globalization.CultureInfo.InvariantCulture), 10, 0.9);
        Assert.That(Rates(schedule, 50), Is.EqualTo(Doubles(recorded)));
    }

    [TestCase(3)]
    [TestCase(8)]
    [TestCase(20)]
    public void CosineSchedule_Of20Epochs_IsPyTorchsToTheBit(int length)
    {
        JsonElement recorded = Golden.Json(Decoder)
            .GetProperty("cosine_lr_5e-6_20_epochs (lr in epoch e)").GetProperty($"T_max={length}");
        Assert.That(Rates(new CosineSchedule(5e-6, length), 20), Is.EqualTo(Doubles(recorded)));
    }

    [Test]
    public void CosineSchedule_OfARecordedTraining_IsTheSame()
    {
        double[] recorded = [.. Golden.Json(Decoder).GetProperty("trace").EnumerateArray()
            .Select(step => step.GetProperty("lr").GetDouble())];
        Assert.That(Rates(new CosineSchedule(5e-4, 8), 8), Is.EqualTo(recorded));
    }

    [Test]
    public void EarlyStopping_OfRecordedScores_StopsWhenTheReferenceDoes()
    {
        EarlyStopping stopping = new(3);
        JsonElement epochs = Golden.Json(Decoder).GetProperty("early_stopping_patience3_delta0");
        foreach (JsonElement epoch in epochs.EnumerateArray())
        {
            double score = epoch.GetProperty("score").GetDouble();
            bool isBest = stopping.Add(score);
            Assert.That(stopping.Best, Is.EqualTo(epoch.GetProperty("best").GetDouble()));
            Assert.That(stopping.Waited, Is.EqualTo(epoch.GetProperty("counter").GetInt32()));
            Assert.That(stopping.IsOver, Is.EqualTo(epoch.GetProperty("stop").GetBoolean()));
            Assert.That(isBest, Is.EqualTo(stopping.Waited == 0));
        }
    }

    [Test]
    public void EarlyStopping_OfNaN_IsNeverTheBest()
    {
        EarlyStopping stopping = new(2);
        Assert.That(stopping.Add(double.NaN), Is.False);
        Assert.That(stopping.Add(5), Is.True);
        Assert.That(stopping.Add(double.NaN), Is.False);
        Assert.That(stopping.Add(double.NaN), Is.False);
        Assert.That((stopping.Best, stopping.IsOver), Is.EqualTo((5.0, true)));
    }

    static double[] Rates(Schedule schedule, int epochs) =>
        [.. Enumerable.Range(0, epochs).Select(e => schedule.At(e))];

    static double[] Doubles(JsonElement values) => [.. values.EnumerateArray().Select(v => v.GetDouble())];
}
