// Expected values are counted by hand or by the plain definition; Dice and IoU also against the reference's.
using EpSam.Cases;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Training;

public sealed class MetricsTests
{
    [Test]
    public void Accuracy_OfLogits_CountsThoseOnTheRightSide() =>
        Assert.That(Metrics.Accuracy([-1, 2, 0, 3, -0.5], [0, 1, 0, 0, 1]), Is.EqualTo(0.6));

    [Test]
    public void Auc_WithEqualScores_IsTheShareOfPairsWon()
    {
        Random random = new(3);
        for (int round = 0; round < 50; round++)
        {
            int n = random.Next(2, 40);
            double[] scores = [.. Enumerable.Range(0, n).Select(_ => (double)random.Next(8))];
            int[] labels = [.. Enumerable.Range(0, n).Select(_ => random.Next(2))];
            double wins = 0, pairs = 0;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                {
                    if (labels[i] != 1 || labels[j] != 0) continue;
                    pairs++;
                    wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
                }
            Assert.That(Metrics.Auc(scores, labels), Is.EqualTo(wins / pairs).Within(1e-12));
        }
    }

    [Test]
    public void Auc_OfOneClassOrNaN_IsNaN()
    {
        Assert.That(Metrics.Auc([1, 2], [1, 1]), Is.NaN);
        Assert.That(Metrics.Auc([1, double.NaN], [1, 0]), Is.NaN);
        Assert.That(Metrics.Auc([1, 2, 3], [0, 1, 1]), Is.EqualTo(1));
    }

    [TestCase("a", 2, 13 * 17)]
    [TestCase("b", 1, 40 * 31)]
    [TestCase("empty_target", 1, 81)]
    public void DiceAndIoU_OfRecordedMasks_AreTheReferences(string name, int images, int pixels)
    {
        Golden golden = Golden.Open("s05_epsam_decoder_training/losses_metrics.safetensors");
        byte[] Mask(string key, double threshold) => // v of u above the threshold
            [.. FormulaParameters.Floats(key, images * pixels).Select(v => (byte)((v + 1) / 2 > threshold ? 1 : 0))];
        byte[] prediction = Mask($"input:s05/loss/{name}/p", 0.5);
        byte[] truth = name == "empty_target" ? new byte[pixels] : Mask($"input:s05/loss/{name}/t", 0.6f);
        Mean dice = new(), iou = new();
        for (int image = 0; image < images; image++)
        {
            dice.Add(Metrics.Dice(prediction.AsSpan(image * pixels, pixels), truth.AsSpan(image * pixels, pixels)));
            iou.Add(Metrics.IoU(prediction.AsSpan(image * pixels, pixels), truth.AsSpan(image * pixels, pixels)));
        }
        Assert.That(golden.Compare($"metric/{name}/Dice", [(float)dice.Value]), Is.LessThanOrEqualTo(1));
        Assert.That(golden.Compare($"metric/{name}/IoU", [(float)iou.Value]), Is.LessThanOrEqualTo(1));
    }

    [Test]
    public void Mean_OfValuesAndGroups_WeighsThem()
    {
        Mean mean = new();
        Assert.That(mean.Value, Is.NaN);
        mean.Add(1);
        mean.Add(4, 2);
        Assert.That((mean.Value, mean.Count), Is.EqualTo((3.0, 3L)));
    }
}
