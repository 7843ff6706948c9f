// What results and baselines are measured by, against arithmetic written out here.
using EpSam.Native.Pipeline;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Pipeline;

public sealed class EvaluationFigureTests
{
    [Test]
    public void MaskOverlap_Figures_AreTheMetrics()
    {
        byte[] prediction = [1, 0, 255, 1, 0, 0], truth = [1, 1, 0, 7, 0, 0];
        MaskOverlap overlap = MaskOverlap.Of(prediction, truth);
        Assert.That(overlap, Is.EqualTo(new MaskOverlap(3, 3, 2, 6)));
        Assert.That(overlap.Dice, Is.EqualTo(4.001 / 6.001).Within(1e-15)
            .And.EqualTo(Metrics.Dice(prediction, truth)));
        Assert.That(overlap.IoU, Is.EqualTo(2.001 / 4.001).Within(1e-15).And.EqualTo(Metrics.IoU(prediction, truth)));
        Assert.That(overlap.Accuracy, Is.EqualTo(4.0 / 6).Within(1e-15));
    }

    [Test]
    public void MaskTally_EmptyTruths_AreCountedAndMeansAreGivenWithAndWithoutThem()
    {
        MaskTally tally = new();
        tally.Add(new MaskOverlap(10, 10, 10, 100));    // Dice 1
        tally.Add(new MaskOverlap(30, 10, 10, 100));    // Dice 0.5, IoU 1/3
        tally.Add(new MaskOverlap(0, 0, 0, 100));       // empty as it should be: 1
        tally.Add(new MaskOverlap(1, 0, 0, 100));       // nearly 0
        MaskFigures f = tally.Figures;
        double half = 20.001 / 40.001, third = 10.001 / 30.001, nearly = 0.001 / 1.001;
        Assert.That((f.Images, f.Empty), Is.EqualTo((4, 2)));
        Assert.That(f.Dice, Is.EqualTo((1 + half + 1 + nearly) / 4).Within(1e-14));
        Assert.That(f.IoU, Is.EqualTo((1 + third + 1 + nearly) / 4).Within(1e-14));
        Assert.That(f.DiceOfTumour, Is.EqualTo((1 + half) / 2).Within(1e-14));
        Assert.That(f.IoUOfTumour, Is.EqualTo((1 + third) / 2).Within(1e-14));
        Assert.That(f.PooledDice, Is.EqualTo(40.001 / 61.001).Within(1e-14));
        Assert.That(f.PooledIoU, Is.EqualTo(20.001 / 41.001).Within(1e-14));
        Assert.That(f.PixelAccuracy, Is.EqualTo((100 + 80 + 100 + 99) / 400.0).Within(1e-14));
    }

    [Test]
    public void MaskTally_NoImage_IsNaN()
    {
        MaskFigures f = new MaskTally().Figures;
        Assert.That(new[] { f.Dice, f.IoU, f.DiceOfTumour, f.PooledDice, f.PixelAccuracy }, Is.All.NaN);
    }

    [Test]
    public void TrueMask_ValueTwo_IsNormalTissueUnlessAskedOtherwise()
    {
        byte[] levels = [0, 1, 2, 255];
        Assert.That(TrueMask.Of(levels, normalIsTumour: false), Is.EqualTo(new byte[] { 0, 1, 0, 1 }));
        Assert.That(TrueMask.Of(levels, normalIsTumour: true), Is.EqualTo(new byte[] { 0, 1, 1, 1 }));
    }

    // Two classes with a diagonal covariance: weights are differences of means over variances.
    [Test]
    public void ColourDiscriminant_DiagonalCovariance_IsTheClosedForm()
    {
        double[] spread = [2, 4, 8];
        double[][] means = [[100, 120, 140], [104, 100, 150]];
        List<double[]> colours = [];
        List<int> labels = [];
        for (int label = 0; label < 2; label++)
            for (int copy = 0; copy < (label == 0 ? 1 : 3); copy++)   // three times as many of the second
                for (int corner = 0; corner < 8; corner++)
                {
                    colours.Add([.. Enumerable.Range(0, 3).Select(k =>
                        means[label][k] + ((corner >> k & 1) == 0 ? -spread[k] : spread[k]))]);
                    labels.Add(label);
                }
        ColourDiscriminant found = ColourDiscriminant.Fit(colours, labels)!;
        foreach (double[] colour in new double[][] { [100, 120, 140], [104, 100, 150], [0, 255, 30], [102, 110, 145] })
        {
            double expected = Math.Log(3);
            for (int k = 0; k < 3; k++)
            {
                double middle = (means[0][k] + means[1][k]) / 2;
                expected += (means[1][k] - means[0][k]) / (spread[k] * spread[k]) * (colour[k] - middle);
            }
            Assert.That(found.Score(colour), Is.EqualTo(expected).Within(1e-3 * Math.Abs(expected) + 1e-4));
        }
    }

    [Test]
    public void ColourDiscriminant_OneClassOrGrey_IsNullOrFinite()
    {
        Assert.That(ColourDiscriminant.Fit([[1, 2, 3], [4, 5, 6]], [1, 1]), Is.Null);
        ColourDiscriminant grey = ColourDiscriminant.Fit([[10, 10, 10], [20, 20, 20], [12, 12, 12]], [0, 1, 0])!;
        Assert.That(grey.Score([20, 20, 20]), Is.GreaterThan(0).And.LessThan(double.PositiveInfinity));
        Assert.That(grey.Score([10, 10, 10]), Is.LessThan(0));
    }

    [Test]
    public void MeanColour_Crop_IsOfItsPixels()
    {
        byte[] rgb = [.. Enumerable.Range(0, 4 * 3 * 3).Select(i => (byte)i)];   // 4 wide, 3 high
        double[] mean = ColourDiscriminant.MeanColour(rgb, 4, new Crop(1, 1, 2, 2));
        Assert.That(mean, Is.EqualTo(new[] { 22.5, 23.5, 24.5 }));
    }

    // The best rule is at least as good as every one tried here, and its mask has the Dice that it was chosen for.
    [Test]
    public void ColourThresholdSearch_SmallImages_FindsTheBest([Values] bool pooled)
    {
        const int Height = 20, Width = 24;
        ColourThresholdSearch search = new();
        List<(byte[] Rgb, byte[] Truth)> images = [];
        for (int seed = 0; seed < 3; seed++)
        {
            CounterRandom random = new(7, (ulong)seed);
            byte[] rgb = new byte[3 * Height * Width], truth = new byte[Height * Width];
            for (int i = 0; i < truth.Length; i++)
            {
                truth[i] = i % Width < 8 + 4 * seed ? (byte)1 : (byte)0;
                for (int k = 0; k < 3; k++)
                    rgb[3 * i + k] = (byte)(random.NextDouble() * 120 + (k == 1 && truth[i] == 0 ? 100 : 0));
            }
            images.Add((rgb, truth));
            search.Add(rgb, truth, Height, Width);
        }
        double best = Dice(search.Best(pooled)!);
        foreach (ColourChannel channel in Enum.GetValues<ColourChannel>())
            foreach (int smoothing in new[] { 0, 2, 8 })
                for (int level = 0; level < 256; level += 5)
                    foreach (bool above in new[] { true, false })
                        Assert.That(Dice(new ColourThreshold(channel, smoothing, level * 64, above)),
                            Is.LessThanOrEqualTo(best + 1e-12));
        Assert.That(best, Is.GreaterThan(0.9));

        double Dice(ColourThreshold rule)
        {
            MaskTally tally = new();
            foreach ((byte[] rgb, byte[] truth) in images)
                tally.Add(MaskOverlap.Of(rule.Mask(rgb, Height, Width), truth));
            return pooled ? tally.Figures.PooledDice : tally.Figures.Dice;
        }
    }

    [TestCase(4), TestCase(9)]
    public void ColourThreshold_Smoothing_HasTheDeviation(int radius)
    {
        const int Side = 101, Middle = 50;
        const ushort Most = ColourThreshold.Levels - 1;
        ushort[] levels = new ushort[Side * Side];
        for (int i = 0; i < Side; i++) levels[Middle * Side + i] = Most;   // a row: smoothed across
        ColourSmoothing.Apply(levels, Side, Side, radius);
        double sum = 0, square = 0;
        for (int y = 0; y < Side; y++)
        {
            sum += levels[y * Side + Middle];
            square += levels[y * Side + Middle] * Math.Pow(y - Middle, 2);
        }
        Assert.That(Math.Sqrt(square / sum), Is.EqualTo(Math.Sqrt(radius * (radius + 1))).Within(0.01 * radius));
        Assert.That(sum, Is.EqualTo(Most).Within(Side));
    }

    // Against the definition: whole numbers, divided; edges repeated; one direction after the other.
    [TestCase(1, 1, 1), TestCase(1, 40, 2), TestCase(50, 1, 32), TestCase(37, 83, 2), TestCase(64, 64, 8)]
    [TestCase(90, 131, 32), TestCase(30, 70, ColourSmoothing.MostRadius)]
    public void ColourSmoothing_IsThreeMeansOverSquares(int height, int width, int radius)
    {
        CounterRandom random = new(5, (ulong)radius);
        ushort[] levels = new ushort[height * width];
        for (int i = 0; i < levels.Length; i++)
            levels[i] = (ushort)(random.NextDouble() < 0.3 ? ColourThreshold.Levels - 1
                : random.NextDouble() * ColourThreshold.Levels);
        ushort[] expected = levels;
        for (int pass = 0; pass < 3; pass++)
        {
            expected = Means((y, x) => expected[y * width + Math.Clamp(x, 0, width - 1)], 0, 1);
            expected = Means((y, x) => expected[Math.Clamp(y, 0, height - 1) * width + x], 1, 0);
        }
        ushort[] smooth = [.. levels];
        ColourSmoothing.Apply(smooth, height, width, radius);
        Assert.That(smooth.AsSpan().SequenceEqual(expected));

        ushort[] Means(Func<int, int, ushort> level, int down, int along)
        {
            ushort[] means = new ushort[height * width];
            for (int i = 0; i < means.Length; i++)
            {
                int sum = 0;
                for (int k = -radius; k <= radius; k++) sum += level(i / width + k * down, i % width + k * along);
                means[i] = (ushort)((sum + radius) / (2 * radius + 1));
            }
            return means;
        }
    }

    // Sums just below, at and just above those whose mean is another.
    [Test]
    public void ColourSmoothing_Rounding_IsThatOfWholeNumbers()
    {
        int wrong = 0;
        for (int radius = 1; radius <= ColourSmoothing.MostRadius; radius++)
        {
            int side = 2 * radius + 1;
            for (int mean = 0; mean < ColourThreshold.Levels; mean++)
                for (int sum = mean * side + radius - 1; sum <= mean * side + radius + 1; sum++)
                    if (ColourSmoothing.Rounded(sum, radius) != (sum + radius) / side) wrong++;
        }
        Assert.That(wrong, Is.Zero);
        Assert.That(() => ColourSmoothing.Apply(new ushort[1], 1, 1, ColourSmoothing.MostRadius + 1),
            Throws.ArgumentException);
    }

    [Test]
    public void CsvText_AwkwardFields_ComeBack()
    {
        string[][] rows = [["image", "a,b", "say \"x\""], ["", "two\nlines", "\r"], ["plain", "", "end\r\n"]];
        string text = string.Concat(rows.Select(r => string.Join(',', r.Select(CsvText.Field)) + "\n"));
        Assert.That(CsvText.Rows(text), Is.EqualTo(rows));
        Assert.That(CsvText.Rows("a,b\r\n\r\n1,\r\n"), Is.EqualTo(new[] { new[] { "a", "b" }, ["1", ""] }));
    }
}
