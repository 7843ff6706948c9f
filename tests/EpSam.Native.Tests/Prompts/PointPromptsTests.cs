// Points and the filter of pseudo masks against EP-SAM's make_prompt.py and generate_sam_mask.py, and the draws against
// the distribution that they must have.
using System.Text.Json;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;

namespace EpSam.Native.Tests.Prompts;

public sealed class PointPromptsTests
{
    const string Recorded = "s05_epsam_decoder_training/prompts_and_ids.safetensors";
    const string Meta = "s05_epsam_decoder_training/meta.json";
    const int H = 48, W = 56;

    [TestCase("normal")]
    [TestCase("few_valid")]
    [TestCase("mask_values_255")]
    public void Probabilities_RecordedMaps_AsReference(string name)
    {
        Golden golden = Golden.Open(Recorded);
        float[] cam = golden.Read<float>($"proba/{name}/normalized_cam");
        byte[] mask = golden.Read<byte>($"proba/{name}/cam_mask");
        float[] probabilities = PointPrompts.Probabilities(cam, mask);
        Assert.That(probabilities, Is.EqualTo(golden.Read<float>($"proba/{name}/expected_probabilities")));
        (int X, int Y)[] pixels = NonZero.Points(mask, H, W);
        long[] rowsAndColumns = golden.Read<long>($"proba/{name}/valid_indices_row_col");
        Assert.That(pixels.SelectMany(p => new long[] { p.Y, p.X }), Is.EqualTo(rowsAndColumns));

        long[] largest = golden.Read<long>($"proba/{name}/points_xy_if_largest_probabilities_are_drawn");
        var ordered = Enumerable.Range(0, pixels.Length).OrderByDescending(i => probabilities[i])
            .Take(largest.Length / 2).SelectMany(i => new long[] { pixels[i].X, pixels[i].Y });
        Assert.That(ordered, Is.EqualTo(largest));

        (int X, int Y)[] points = PointPrompts.Weighted(cam, mask, H, W, largest.Length / 2, seed: 1);
        Assert.That(points, Has.Length.EqualTo(largest.Length / 2));
        Assert.That(points, Is.Unique);
        Assert.That(points, Is.SubsetOf(pixels));
    }

    [Test]
    public void Weighted_CannotDraw_FallsBackOnTheCorner()
    {
        float[] cam = [0, 0.5f, 0, 0.25f];
        Assert.That(PointPrompts.Weighted(cam, [0, 0, 0, 0], 2, 2, 5, 1), Is.EqualTo(new[] { (0, 0) }));
        Assert.That(PointPrompts.Weighted(cam, [1, 0, 1, 0], 2, 2, 5, 1), Is.EqualTo(new[] { (0, 0) }));
        Assert.That(PointPrompts.Weighted(cam, [1, 1, 1, 1], 2, 2, 3, 1), Is.EqualTo(new[] { (0, 0) }));
        Assert.That(PointPrompts.Weighted(cam, [1, 1, 1, 1], 2, 2, 2, 1), Is.EquivalentTo(new[] { (1, 0), (1, 1) }));
    }

    [Test]
    public void Weighted_SameSeed_SamePoints()
    {
        float[] cam = [.. Enumerable.Range(1, H * W).Select(i => i / 3000f)];
        byte[] mask = [.. Enumerable.Repeat((byte)1, H * W)];
        (int X, int Y)[] points = PointPrompts.Weighted(cam, mask, H, W, 50, 7);
        Assert.That(PointPrompts.Weighted(cam, mask, H, W, 50, 7), Is.EqualTo(points));
        Assert.That(PointPrompts.Weighted(cam, mask, H, W, 50, 8), Is.Not.EqualTo(points));
    }

    // Two of four in order, with weights 1, 2, 3, 4: the pair (a, b) comes with probability a/10 * b/(10 - a). Of
    // 40,000 draws the count of each of the 12 pairs lies within 5 standard deviations (all of them, in 99.999 %).
    [Test]
    public void Weighted_ManySeeds_DistributionOfDrawsWithoutReplacement()
    {
        const int Draws = 40_000;
        float[] cam = [1, 2, 3, 4];
        int[,] counts = new int[4, 4];
        for (int seed = 0; seed < Draws; seed++)
        {
            (int X, int Y)[] points = PointPrompts.Weighted(cam, [1, 1, 1, 1], 1, 4, 2, (ulong)seed);
            counts[points[0].X, points[1].X]++;
        }
        for (int a = 0; a < 4; a++)
            for (int b = 0; b < 4; b++)
            {
                double p = a == b ? 0 : cam[a] / 10.0 * cam[b] / (10.0 - cam[a]);
                double deviation = Math.Sqrt(Draws * p * (1 - p));
                Assert.That(counts[a, b], Is.EqualTo(Draws * p).Within(5 * deviation), $"({a}, {b})");
            }
    }

    [Test]
    public void Weighted_OneValueOutweighsAll_StillEnds()
    {
        float[] cam = [.. Enumerable.Range(0, 64).Select(i => i == 20 ? 1f : 1e-30f)];
        byte[] mask = [.. Enumerable.Repeat((byte)1, 64)];
        (int X, int Y)[] points = PointPrompts.Weighted(cam, mask, 8, 8, 50, 3);
        Assert.That(points, Is.Unique.And.Length.EqualTo(50));
        Assert.That(points[0], Is.EqualTo((4, 2)));
    }

    [Test]
    public void Random_ManySeeds_AllPixelsOfTheMaskAlike()
    {
        const int Draws = 20_000;
        byte[] mask = [0, 1, 255, 0, 1, 1, 0, 1];
        int[] counts = new int[8];
        for (int seed = 0; seed < Draws; seed++)
        {
            (int X, int Y)[] points = PointPrompts.Random(mask, 2, 4, 3, (ulong)seed);
            Assert.That(points, Is.Unique.And.Length.EqualTo(3));
            foreach ((int x, int y) in points) counts[4 * y + x]++;
        }
        double deviation = Math.Sqrt(Draws * 0.6 * 0.4); // 3 of 5
        for (int i = 0; i < 8; i++)
            Assert.That(counts[i], Is.EqualTo(mask[i] != 0 ? 0.6 * Draws : 0).Within(mask[i] != 0 ? 5 * deviation : 0));
    }

    [Test]
    public void Random_FewPixels_AllOfThemOrTheCorner()
    {
        Assert.That(PointPrompts.Random([0, 1, 0, 1], 2, 2, 50, 1), Is.EquivalentTo(new[] { (1, 0), (1, 1) }));
        Assert.That(PointPrompts.Random([0, 0, 0, 0], 2, 2, 50, 1), Is.EqualTo(new[] { (0, 0) }));
    }

    [Test]
    public void PseudoMaskFilter_RecordedMasks_AsReference()
    {
        Golden golden = Golden.Open(Recorded);
        foreach (JsonElement row in Golden.Json(Meta).GetProperty("ids_table").EnumerateArray())
        {
            int i = row.GetProperty("case").GetInt32();
            double score = PseudoMaskFilter.Score(
                golden.Read<byte>($"ids/{i}/cam_mask"), golden.Read<byte>($"ids/{i}/pred"));
            Assert.That(score, Is.EqualTo(row.GetProperty("ids_score").GetDouble()), $"case {i}");
            bool kept = row.GetProperty("kept(>=0.9)").GetBoolean();
            Assert.That(score >= PseudoMaskFilter.KeepFrom, Is.EqualTo(kept), $"case {i}");
        }
    }

    [Test]
    public void GenerateSamMask_RecordedImages_PointsAndScores()
    {
        Golden golden = Golden.Open(Recorded);
        foreach (JsonElement row in Golden.Json(Meta).GetProperty("generate_sam_mask").EnumerateArray())
        {
            int i = row.GetProperty("item").GetInt32();
            byte[] mask = golden.Read<byte>($"generate/{i}/cam_mask");
            float[] probabilities =
                PointPrompts.Probabilities(golden.Read<float>($"generate/{i}/normalized_cam"), mask);
            (int X, int Y)[] pixels = NonZero.Points(mask, 180, 200);
            var largest = Enumerable.Range(0, pixels.Length).OrderByDescending(k => probabilities[k]).Take(50);
            Assert.That(largest.SelectMany(k => new long[] { pixels[k].X, pixels[k].Y }),
                Is.EqualTo(golden.Read<long>($"generate/{i}/points_xy")), $"image {i}");
            double score = PseudoMaskFilter.Score(mask, golden.Read<byte>($"generate/{i}/mask_pred_u8"));
            Assert.That(score, Is.EqualTo(row.GetProperty("ids_score").GetDouble()), $"image {i}");
            Assert.That(score >= PseudoMaskFilter.KeepFrom, Is.EqualTo(row.GetProperty("written").GetBoolean()));
        }
    }
}
