// The host side of SAM's automatic mask generator against recorded outputs of its utilities (s07_amg), and small cases
// worked out by hand.
using System.Text.Json;
using EpSam.Native.Masks;

namespace EpSam.Native.Tests.Masks;

public sealed class MaskTests
{
    const int H = 37, W = 53, Masks = 12;
    const string Arrays = "s07_amg/arrays.safetensors", Utilities = "s07_amg/utilities.json";

    static byte[] Mask(Golden golden, int i) => golden.Read<byte>("util/masks_u8").AsSpan(i * H * W, H * W).ToArray();

    [Test]
    public void Rle_RecordedMasks_AsReference()
    {
        Golden golden = Golden.Open(Arrays);
        JsonElement expected = Golden.Json(Utilities).GetProperty("rle (column-major, starts with the zero run)");
        for (int i = 0; i < Masks; i++)
        {
            byte[] mask = Mask(golden, i);
            Rle rle = Rle.Encode(mask, H, W);
            Assert.That(rle.Counts.ToArray(), Is.EqualTo(Golden.Ints(expected[i].GetProperty("counts"))));
            Assert.That(rle.Area, Is.EqualTo(expected[i].GetProperty("area").GetInt32()));
            Assert.That(rle.Decode(), Is.EqualTo(mask));
            Assert.That(Rle.FromCoco(rle.ToCoco(), H, W).Counts.ToArray(), Is.EqualTo(rle.Counts.ToArray()));
        }
    }

    [Test]
    public void Box_RecordedMasks_AsReference()
    {
        Golden golden = Golden.Open(Arrays);
        JsonElement utilities = Golden.Json(Utilities);
        long[] boxes = golden.Read<long>("util/boxes_xyxy"), uncropped = golden.Read<long>("util/uncrop_boxes");
        byte[] pasted = golden.Read<byte>("util/uncrop_masks_u8");
        JsonElement edge = utilities.GetProperty("near_crop_edge"), paste = utilities.GetProperty("uncrop_masks_args");
        Box crop = AsBox(edge.GetProperty("crop_box")), image = AsBox(edge.GetProperty("orig_box"));
        int height = paste.GetProperty("orig_h").GetInt32(), width = paste.GetProperty("orig_w").GetInt32();
        for (int i = 0; i < Masks; i++)
        {
            byte[] mask = Mask(golden, i), whole = new byte[height * width];
            Box box = Box.OfMask(mask, H, W);
            Assert.That(box, Is.EqualTo(AsBox(boxes, i)));
            Assert.That(Rle.Encode(mask, H, W).ToBox(), Is.EqualTo(box));
            int[] xywh = Golden.Ints(utilities.GetProperty("xywh")[i]);
            Assert.That(box.ToXywh(), Is.EqualTo((xywh[0], xywh[1], xywh[2], xywh[3])));
            Assert.That(box.Uncrop(AsBox(paste.GetProperty("crop_box"))), Is.EqualTo(AsBox(uncropped, i)));
            bool near20 = edge.GetProperty("atol20")[i].GetBoolean(), near3 = edge.GetProperty("atol3")[i].GetBoolean();
            Assert.That(box.IsNearCropEdge(crop, image), Is.EqualTo(near20), $"20: {i}");
            Assert.That(box.IsNearCropEdge(crop, image, 3), Is.EqualTo(near3), $"3: {i}");
            AsBox(paste.GetProperty("crop_box")).Paste(mask, whole, height, width);
            Assert.That(whole, Is.EqualTo(pasted.AsSpan(i * whole.Length, whole.Length).ToArray()));
        }
    }

    [TestCase("util/stability_thr0_off1.0", 1.0)]
    [TestCase("util/stability_thr0_off0.25", 0.25)]
    public void Stability_RecordedLogits_AsReference(string name, double offset)
    {
        Golden golden = Golden.Open(Arrays);
        float[] logits = golden.Read<float>("util/mask_logits"), expected = golden.Read<float>(name);
        for (int i = 0; i < Masks; i++)
        {
            float score = Stability.Score(logits.AsSpan(i * H * W, H * W), 0, offset);
            Assert.That(score, Is.EqualTo(expected[i]), $"mask {i}");
        }
    }

    [Test]
    public void ConnectedComponents_RecordedMasks_AsOpenCv([Values(0, 1, 2)] int i)
    {
        Golden golden = Golden.Open(Arrays);
        int[] labels = new int[H * W], stats = golden.Read<int>($"components8/{i}/stats_x_y_w_h_area");
        Region[] regions = ConnectedComponents.Label(Mask(golden, i), H, W, labels);
        Assert.That(regions.SelectMany(r => new[] { r.X, r.Y, r.Width, r.Height, r.Area }), Is.EqualTo(stats));
        Assert.That(labels, Is.EqualTo(golden.Read<int>($"components8/{i}/labels")));
    }

    [Test]
    public void SmallRegions_RecordedMasks_AsReference()
    {
        Golden golden = Golden.Open(Arrays);
        foreach (JsonProperty expected in Golden.Json(Utilities).GetProperty("remove_small_regions").EnumerateObject())
        {
            string[] parts = expected.Name.Split('/', '_');
            byte[] mask = Mask(golden, int.Parse(parts[0]));
            double area = double.Parse(parts[2]);
            bool changed = parts[1] == "holes"
                ? SmallRegions.FillHoles(mask, H, W, area)
                : SmallRegions.DropIslands(mask, H, W, area);
            Assert.That(changed, Is.EqualTo(expected.Value.GetProperty("changed").GetBoolean()), expected.Name);
            Assert.That(mask, Is.EqualTo(golden.Read<byte>($"small_regions/{expected.Name}")), expected.Name);
        }
    }

    [Test]
    public void Nms_RecordedBoxes_AsTorchvision()
    {
        Golden golden = Golden.Open(Arrays);
        JsonElement all = Golden.Json(Utilities).GetProperty("nms_keep_in_score_order");
        foreach (JsonProperty expected in all.EnumerateObject())
        {
            string[] parts = expected.Name.Split('/');
            float[] b = golden.Read<float>($"nms/{parts[0]}/boxes");
            BoxF[] boxes = [.. b.Chunk(4).Select(s => new BoxF(s[0], s[1], s[2], s[3]))];
            int[] keep = Nms.Run(boxes, golden.Read<float>($"nms/{parts[0]}/scores"), double.Parse(parts[1]));
            Assert.That(keep, Is.EqualTo(Golden.Ints(expected.Value)), expected.Name);
        }
    }

    [Test]
    public void CropBoxes_RecordedSizes_AsReference()
    {
        foreach (JsonElement expected in Golden.Json(Utilities).GetProperty("crop_boxes").EnumerateArray())
        {
            int[] size = Golden.Ints(expected.GetProperty("im_size"));
            int layers = expected.GetProperty("n_layers").GetInt32();
            Crop[] crops = CropBoxes.Generate(
                size[0], size[1], layers, expected.GetProperty("overlap_ratio").GetDouble());
            IEnumerable<Box> boxes = expected.GetProperty("boxes_xyxy").EnumerateArray().Select(AsBox);
            Assert.That(crops.Select(c => c.Box), Is.EqualTo(boxes));
            Assert.That(crops.Select(c => c.Layer), Is.EqualTo(Golden.Ints(expected.GetProperty("layers"))));
        }
    }

    [Test]
    public void PointGrid_RecordedLayers_AsReference()
    {
        Golden golden = Golden.Open(Arrays);
        (double X, double Y)[][] grids = PointGrid.BuildAll(6, 2, 2);
        for (int layer = 0; layer < 3; layer++)
        {
            double[] expected = golden.Read<double>($"point_grid/layer{layer}");
            Assert.That(grids[layer].SelectMany(p => new[] { p.X, p.Y }), Is.EqualTo(expected), $"layer {layer}");
        }
    }

    static Box AsBox(JsonElement list) => Golden.Ints(list) is var b ? new(b[0], b[1], b[2], b[3]) : default;

    static Box AsBox(long[] all, int i) =>
        new((int)all[4 * i], (int)all[4 * i + 1], (int)all[4 * i + 2], (int)all[4 * i + 3]);

    // 734 masks of COCO's own results and the first frames of a SA-V video, with areas and boxes of another decoder.
    [Test]
    public void RleCoco_PublishedMasks_AsGolden()
    {
        JsonElement golden = Golden.Json("../data/references/rle_golden.json");
        JsonElement coco = Golden.Json("../data/references/instances_val2014_fakesegm100_results.json");
        JsonElement video = Golden.Json("../data/references/sav_000001_manual.json").GetProperty("masklet");
        IEnumerable<JsonElement> masks = coco.EnumerateArray().Select(m => m.GetProperty("segmentation"))
            .Concat(video.EnumerateArray().Take(10).SelectMany(f => f.EnumerateArray()));
        IEnumerable<JsonElement> expected =
            golden.GetProperty("instances_val2014_fakesegm100_results.json").EnumerateArray()
            .Concat(golden.GetProperty("sav_000001_manual.json").EnumerateArray().SelectMany(f => f.EnumerateArray()));
        foreach ((JsonElement mask, JsonElement want) in masks.Zip(expected))
        {
            int[] size = Golden.Ints(mask.GetProperty("size"));
            string text = mask.GetProperty("counts").GetString()!;
            Rle rle = Rle.FromCoco(text, size[0], size[1]);
            Assert.That(rle.Area, Is.EqualTo(want.GetProperty("area").GetInt32()));
            Assert.That(rle.ToCoco(), Is.EqualTo(text));
            Assert.That(Rle.Encode(rle.Decode(), size[0], size[1]).ToCoco(), Is.EqualTo(text));
            // COCO's box counts pixels: one more than the difference of coordinates.
            int[] box = Golden.Ints(want.GetProperty("bbox_xywh"));
            Box expectedBox = rle.Area == 0 ? default : new(box[0], box[1], box[0] + box[2] - 1, box[1] + box[3] - 1);
            Assert.That(rle.ToBox(), Is.EqualTo(expectedBox));
        }
    }

    // 2 x 3 by hand: columns 10, 01, 11 from the top give 1 0 0 1 1 1.
    [Test]
    public void Rle_ByHand_ColumnsFirst()
    {
        Rle rle = Rle.Encode([1, 0, 1, 0, 7, 1], 2, 3);
        Assert.That(rle.Counts.ToArray(), Is.EqualTo(new[] { 0, 1, 2, 3 }));
        Assert.That(rle.Area, Is.EqualTo(4));
        Assert.That(rle.ToBox(), Is.EqualTo(new Box(0, 0, 2, 1)));
        Assert.That(rle.Decode(), Is.EqualTo(new byte[] { 1, 0, 1, 0, 1, 1 }));
        // 0 1 2, then 3 - 1 = 2: one group of five bits each, plus 48.
        Assert.That(rle.ToCoco(), Is.EqualTo("0122"));
    }

    // 100 = 0b11_00100: group 4 with continuation (0x24 + 48 = 'T'), then 3 ('3'). 15 = 0b1111 fits in one group; 16
    // has the sign's bit set, so another group follows. A negative difference (1 - 100) is two's complement.
    [TestCase(new[] { 100 }, "T3")]
    [TestCase(new[] { 15, 16, 2 }, "?`02")]
    [TestCase(new[] { 0, 100, 1, 1, 31 }, "0T31mLn0")]
    public void RleCoco_ByHand_GroupsOfFiveBits(int[] counts, string text)
    {
        Rle rle = new(1, counts.Sum(), counts);
        Assert.That(rle.ToCoco(), Is.EqualTo(text));
        Assert.That(Rle.FromCoco(text, 1, counts.Sum()).Counts.ToArray(), Is.EqualTo(counts));
    }

    [TestCase("T", "ends within")]
    [TestCase("T3 ", "unexpected character")]
    [TestCase("T3T3", "do not fit")]
    [TestCase("T2", "add up")]
    [TestCase("oooooooooooooooo", "unexpected character")]
    [TestCase("N", "do not fit")]
    [TestCase("", "add up")]
    public void RleCoco_BadText_IsRefused(string text, string part) =>
        Assert.That(() => Rle.FromCoco(text, 10, 10), Throws.TypeOf<FormatException>().With.Message.Contains(part));

    [Test]
    public void RleCoco_RandomText_IsReadOrRefused()
    {
        Random random = new(7);
        for (int i = 0; i < 20_000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => (char)random.Next(40, 120)));
            try
            {
                Assert.That(Rle.FromCoco(text, 9, 11).Decode(), Has.Length.EqualTo(99));
            }
            catch (FormatException) { }
        }
    }

    [Test]
    public void Rle_WrongCounts_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => _ = new Rle(2, 2, [1, 2]));
        Assert.Throws<ArgumentException>(() => _ = new Rle(2, 2, [5, -1]));
        Assert.Throws<ArgumentException>(() => Rle.Encode(new byte[5], 2, 2));
    }

    [Test]
    public void Rle_EmptyAndFullMasks_AreShort()
    {
        Assert.That(Rle.Encode(new byte[6], 2, 3).Counts.ToArray(), Is.EqualTo(new[] { 6 }));
        Assert.That(Rle.Encode([1, 1, 1, 1, 1, 1], 2, 3).Counts.ToArray(), Is.EqualTo(new[] { 0, 6 }));
        Assert.That(Rle.Encode(new byte[6], 2, 3).ToBox(), Is.EqualTo(default(Box)));
    }

    // Two regions of equal size; the lower left one is in the first 2 x 2 block, so OpenCV numbers it first.
    [Test]
    public void DropIslands_OnlySmallOnes_KeepsTheFirstOfTheLargest()
    {
        byte[] mask = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0];
        Assert.That(SmallRegions.DropIslands(mask, 2, 5, 9), Is.True);
        Assert.That(mask, Is.EqualTo(new byte[] { 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 }));
    }

    [Test]
    public void SmallRegions_EmptyMask_NothingChanges()
    {
        byte[] mask = new byte[12];
        Assert.That(SmallRegions.DropIslands(mask, 3, 4, 9), Is.False);
        Assert.That(mask, Is.All.Zero);
    }

    [Test]
    public void FillHoles_Diagonal_IsOneRegionWithTheOutside()
    {
        // 8-connectivity for the background as well: the hole leaks through the corner.
        byte[] mask = [1, 1, 0, 1, 0, 1, 1, 1, 1];
        Assert.That(SmallRegions.FillHoles(mask, 3, 3, 2), Is.False);
        byte[] closed = [1, 1, 1, 1, 0, 1, 1, 1, 1];
        Assert.That(SmallRegions.FillHoles(closed, 3, 3, 2), Is.True);
        Assert.That(closed, Is.All.EqualTo((byte)1));
    }

    [Test]
    public void ConnectedComponents_Snake_IsOneRegionWhateverTheMerges()
    {
        // A spiral: many provisional labels that all turn out to be one.
        const int n = 41;
        byte[] mask = new byte[n * n];
        for (int ring = 0; ring < n / 4; ring++)
        {
            int low = 2 * ring, high = n - 1 - low;
            for (int i = low; i <= high; i++)
                mask[low * n + i] = mask[high * n + i] = mask[i * n + low] = mask[i * n + high] = 1;
        }
        for (int i = 0; i < n / 2; i++) mask[i * n + n / 2] = 1;
        int[] labels = new int[n * n];
        Region[] regions = ConnectedComponents.Label(mask, n, n, labels);
        Assert.That(regions, Has.Length.EqualTo(2));
        Assert.That(regions[1], Is.EqualTo(new Region(0, 0, n, n, mask.Sum(b => b))));
    }

    [Test]
    public void Nms_Categories_OnlyTheirOwnSuppress()
    {
        BoxF[] boxes = [new(0, 0, 10, 10), new(0, 0, 10, 9), new(0, 0, 10, 10)];
        Assert.That(Nms.Run(boxes, [0.5f, 0.9f, 0.7f], 0.5), Is.EqualTo(new[] { 1 }));
        Assert.That(Nms.Run(boxes, [0.5f, 0.9f, 0.7f], 0.5, [0, 0, 1]), Is.EqualTo(new[] { 1, 2 }));
    }

    [Test]
    public void Nms_OverlapAtTheThreshold_Stays()
    {
        // 5 x 10 of 10 x 10: exactly one half.
        Assert.That(Nms.Run([new(0, 0, 10, 10), new(0, 0, 5, 10)], [1, 0], 0.5), Is.EqualTo(new[] { 0, 1 }));
    }

    [Test]
    public void Nms_EmptyBoxesAndNaN_DoNotSuppress()
    {
        Assert.That(Nms.Run([], [], 0.5), Is.Empty);
        Assert.That(Nms.Run([default, default], [0.1f, float.NaN], 0.5), Is.EqualTo(new[] { 1, 0 }));
    }

    [Test]
    public void PointGrid_OnePoint_IsTheCentre() => Assert.That(PointGrid.Build(1), Is.EqualTo(new[] { (0.5, 0.5) }));

    [Test]
    public void Overlay_HalfAlpha_BlendsInsideAndOutlines()
    {
        byte[] rgb = new byte[5 * 5 * 3], mask = new byte[25];
        for (int y = 1; y < 4; y++) mask.AsSpan(y * 5 + 1, 3).Fill(1);
        Overlay.Paint(rgb, mask, 5, 5, (200, 100, 50), alpha: 0.5);
        Assert.That(rgb.AsSpan(0, 3).ToArray(), Is.All.Zero, "outside");
        Assert.That(rgb.AsSpan(6 * 3, 3).ToArray(), Is.EqualTo(new byte[] { 200, 100, 50 }), "edge");
        Assert.That(rgb.AsSpan(12 * 3, 3).ToArray(), Is.EqualTo(new byte[] { 100, 50, 25 }), "inside");
    }

    [Test]
    public void Overlay_Colours_AreDistinct() =>
        Assert.That(Enumerable.Range(0, 64).Select(Overlay.Colour).Distinct().Count(), Is.EqualTo(64));
}
