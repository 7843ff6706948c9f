// From activations to masks against EP-SAM's generate_cam_masks: synthetic maps, and the maps of real patches.
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;

namespace EpSam.Native.Tests.Prompts;

public sealed class CamMaskTests
{
    const string Tail = "s04_epsam_cam/tail_synthetic.safetensors", Cams = "s04_epsam_cam/cams.safetensors";

    static IEnumerable<string> TailCases() =>
        ["0_blob_minus60", "1_blob", "1_blob_minus60", "2_blob", "2_blob_minus60", "zeros", "constant", "single"];

    static IEnumerable<string> Patches() => ["he0", "he1", "he2_h384_w512", "he1_h201_w173"];

    [TestCaseSource(nameof(TailCases))]
    public void SyntheticMaps_EveryStep_AsReference(string name) => CheckTail(Golden.Open(Tail), "tail/" + name);

    [TestCaseSource(nameof(Patches))]
    public void MapsOfPatches_EveryStep_AsReference(string name) => CheckTail(Golden.Open(Cams), name);

    static void CheckTail(Golden golden, string name)
    {
        byte[] map = golden.Read<byte>($"{name}/avg_u8");
        (int h, int w) = Size(golden, $"{name}/avg_u8");
        (int height, int width) = Size(golden, $"{name}/c16/final");
        byte[] mask = new byte[height * width], small = new byte[h * w];

        CvResize.Linear(map, h, w, 1, height, width, mask);
        Assert.That(mask, Is.EqualTo(golden.Read<byte>($"{name}/c16/resized_u8")));
        CamMaskRule rule = CamMaskRule.Camelyon16;
        Assert.That(rule.Threshold(map), Is.EqualTo(golden.Read<double>($"{name}/c16/percentile10")[0]));
        (rule with { Opening = 1 }).Apply(map, h, w, height, width, mask);
        Assert.That(mask, Is.EqualTo(golden.Read<byte>($"{name}/c16/mask_before_open")));
        rule.Apply(map, h, w, height, width, mask);
        Assert.That(mask, Is.EqualTo(golden.Read<byte>($"{name}/c16/final")));

        rule = CamMaskRule.Camelyon17;
        Assert.That(rule.Threshold(map), Is.EqualTo(golden.Read<double>($"{name}/c17/percentile30")[0]));
        (rule with { Opening = 1 }).Apply(map, h, w, h, w, small);
        Assert.That(small, Is.EqualTo(golden.Read<byte>($"{name}/c17/mask_before_open")));
        rule.Apply(map, h, w, h, w, small);
        Assert.That(small, Is.EqualTo(golden.Read<byte>($"{name}/c17/mask_after_open")));
        rule.Apply(map, h, w, height, width, mask);
        Assert.That(mask, Is.EqualTo(golden.Read<byte>($"{name}/c17/final")));

        float[] normalized = new float[height * width];
        CamMap.Normalize(map, h, w, height, width, normalized);
        string of = $"{name}/normalized_cam";
        if (golden.Has(of)) Assert.That(normalized, Is.EqualTo(golden.Read<float>(of)));
        else
        {
            float[] picked = Array.ConvertAll(golden.Read<int>(of + "/idx"), i => normalized[i]);
            Assert.That(picked, Is.EqualTo(golden.Read<float>(of + "/val")));
        }
    }

    static (int Height, int Width) Size(Golden golden, string name) => golden.Sizes(name) is [int h, int w]
        ? (h, w) : throw new InvalidOperationException(name);

    [TestCaseSource(nameof(Patches))]
    public void Average_ActivationsOfPatches_AsReference(string name)
    {
        Golden golden = Golden.Open(Cams);
        (int h, int w) = Size(golden, $"{name}/avg_u8");
        float[] activations =
            [.. new[] { 0, 90, 180, 270 }.SelectMany(a => golden.Read<float>($"{name}/angle{a}/cam_raw"))];
        byte[] map = new byte[h * w];
        CamMap.Average(activations, h, w, map);
        Assert.That(map, Is.EqualTo(golden.Read<byte>($"{name}/avg_u8")));
    }

    [Test]
    public void AllNegativeActivations_EmptyMaskAndZeroMap()
    {
        Golden golden = Golden.Open(Cams);
        byte[] map = [9, 9, 9, 9, 9, 9];
        CamMap.Average(Enumerable.Repeat(-1f, 24).ToArray(), 2, 3, map);
        Assert.That(map, Is.All.Zero);
        foreach ((string set, CamMaskRule rule) in
            new[] { ("camelyon16", CamMaskRule.Camelyon16), ("camelyon17", CamMaskRule.Camelyon17) })
        {
            byte[] mask = new byte[201 * 173];
            float[] normalized = new float[201 * 173];
            rule.Apply(map, 2, 3, 201, 173, mask);
            CamMap.Normalize(map, 2, 3, 201, 173, normalized);
            Assert.That(mask, Is.EqualTo(golden.Read<byte>($"edge_all_negative_fc/{set}/mask")));
            Assert.That(normalized, Is.EqualTo(golden.Read<float>($"edge_all_negative_fc/{set}/normalized_cam")));
        }
    }

    // The general rule: a level keeps a weak map empty, where a percentile always keeps a share of it.
    [Test]
    public void Apply_Level_MustBeExceededToo()
    {
        CamMaskRule rule = new() { Percentile = 0, Level = 100, Opening = 1 };
        byte[] mask = new byte[6];
        rule.Apply([0, 50, 100, 101, 99, 255], 2, 3, 2, 3, mask);
        Assert.That(mask, Is.EqualTo(new byte[] { 0, 0, 0, 1, 0, 1 }));
        (rule with { Level = 0 }).Apply([0, 50, 100, 101, 99, 255], 2, 3, 2, 3, mask);
        Assert.That(mask, Is.EqualTo(new byte[] { 0, 0, 1, 1, 1, 1 })); // above the least value that is not 0
    }

    // The general rule by logits: comparable between images, so that one without tumour has no mask.
    [Test]
    public void ApplyLogits_AboveTheThreshold_AreSet()
    {
        CamMaskRule rule = new() { Logit = 0.5, Opening = 1 };
        byte[] mask = new byte[6];
        rule.ApplyToLogits([0.5f, 0.51f, -3, 7, 0.4f, float.NaN], 2, 3, 2, 3, mask);
        Assert.That(mask, Is.EqualTo(new byte[] { 0, 1, 0, 1, 0, 0 }));
        byte[] large = new byte[64];
        rule.ApplyToLogits([-1, 2], 1, 2, 8, 8, large); // linear between the middles: 0.5 is crossed half way
        for (int i = 0; i < 64; i++) Assert.That(large[i], Is.EqualTo(i % 8 >= 4 ? 1 : 0), $"{i}");
        (rule with { AtMapResolution = true }).ApplyToLogits([-1, 2], 1, 2, 2, 4, large.AsSpan(0, 8));
        Assert.That(large[..8], Is.EqualTo(new byte[] { 0, 0, 1, 1, 0, 0, 1, 1 }));
        byte[] opened = new byte[9];
        (rule with { Opening = 3 }).ApplyToLogits([-1, -1, -1, -1, 1, -1, -1, -1, -1], 3, 3, 3, 3, opened);
        Assert.That(opened, Is.All.Zero);
        Assert.That(() => rule.Apply(new byte[6], 2, 3, 2, 3, mask), Throws.ArgumentException);
        Assert.That(() => CamMaskRule.Camelyon16.ApplyToLogits(new float[6], 2, 3, 2, 3, mask),
            Throws.ArgumentException);
    }

    [Test]
    public void ApplyLogits_Otsu_PartsAnImageWhereItsProbabilitiesPart()
    {
        CamMaskRule rule = new() { Logit = -1, Otsu = true, Opening = 1 };
        byte[] mask = new byte[6];
        rule.ApplyToLogits([1, 1.1f, 3, 3.2f, 0.9f, -0.5f], 2, 3, 2, 3, mask); // but for Otsu all of them
        byte[] levels = [.. new[] { 1, 1.1f, 3, 3.2f, 0.9f, -0.5f }.Select(x => (byte)(255 / (1 + Math.Exp(-x))))];
        int threshold = Otsu.Threshold(levels);
        Assert.That(mask, Is.EqualTo(levels.Select(v => (byte)(v > threshold ? 1 : 0))));
        Assert.That(mask, Does.Contain(1).And.Contain(0));
        rule.ApplyToLogits([-9, -2, -3, -2, -1.5f, -4], 2, 3, 2, 3, mask); // no tumour: nothing is parted
        Assert.That(mask, Is.All.Zero);
        rule.ApplyToLogits([2, 2, 2, 2, 2, 2], 2, 3, 2, 3, mask); // all alike: as without
        Assert.That(mask, Is.All.EqualTo(1));
    }

    [Test]
    public void Smoothing_BeforeTheThreshold_TakesSpecksAway()
    {
        byte[] map = new byte[81], mask = new byte[81];
        for (int i = 0; i < 81; i++) map[i] = i % 9 < 4 ? (byte)200 : (byte)1;
        (map[4 * 9 + 1], map[4 * 9 + 7]) = (1, 200);
        CamMaskRule rule = new() { Percentile = 0, Level = 100, Opening = 1 };
        rule.Apply(map, 9, 9, 9, 9, mask);
        Assert.That((mask[4 * 9 + 1], mask[4 * 9 + 7]), Is.EqualTo(((byte)0, (byte)1)));
        (rule with { Smoothing = 1 }).Apply(map, 9, 9, 9, 9, mask);
        for (int i = 0; i < 81; i++) Assert.That(mask[i], Is.EqualTo(i % 9 < 4 ? 1 : 0), $"{i}");
    }

    [Test]
    public void Apply_WrongSizes_AreNamed() =>
        Assert.That(() => CamMaskRule.Camelyon16.Apply(new byte[5], 2, 3, 4, 4, new byte[16]),
            Throws.ArgumentException.With.Message.Contains("map must hold 2 x 3"));
}
