// Pillow's and torch's resizing against recorded outputs of both, and against small cases worked out by hand.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Preprocess;
using EpSam.Cases;

namespace EpSam.Native.Tests.Preprocess;

public sealed class ResampleTests
{
    const string Pil = "s04b_image_ops/pil_torchvision.safetensors";

    [TestCase("pil_resize_bilinear/201x173_longest256", 201, 173)]
    [TestCase("pil_resize_bilinear/512x512_longest256", 512, 512)]
    [TestCase("pil_resize_bilinear/64x48_longest100", 64, 48)]
    public void PillowBilinear_FormulaImages_AsPillow(string name, int height, int width)
    {
        Golden golden = Golden.Open(Pil);
        byte[] source = FormulaParameters.Bytes($"input:s04b/pil/{height}x{width}", height * width * 3);
        Resized(golden, name, source, height, width, 3);
    }

    [TestCase("tv_Resize96_shortside/120x160", 120, 160)]
    [TestCase("tv_Resize96_shortside/201x173", 201, 173)]
    public void PillowBilinear_TorchvisionResize_AsPillow(string name, int height, int width)
    {
        Golden golden = Golden.Open(Pil);
        byte[] source = FormulaParameters.Bytes($"input:s04b/trresize/{height}x{width}", height * width * 3);
        Resized(golden, name, source, height, width, 3);
    }

    [TestCase("pil_resize_L/180x240")]
    [TestCase("pil_resize_L/33x201")]
    [TestCase("pil_resize_L/45x60")]
    public void PillowBilinear_Grey_AsPillow(string name)
    {
        Golden golden = Golden.Open(Pil);
        Resized(golden, name, golden.Read<byte>("pil_resize_L/input"), 90, 120, 1);
    }

    [Test]
    public void PillowBilinear_Photograph_AsPillow()
    {
        Golden golden = Golden.Open(Pil);
        Raster truck = Golden.Picture("truck_h427_w640.png");
        Resized(golden, "pil_resize_bilinear/427x640_longest256", truck.Pixels, 427, 640, 3);
    }

    static void Resized(Golden golden, string name, byte[] source, int height, int width, int channels)
    {
        int[] shape = golden.Sizes(name);
        byte[] to = new byte[shape[0] * shape[1] * channels];
        Resample.PillowBilinear(source, height, width, channels, shape[0], shape[1], to);
        Assert.That(to, Is.EqualTo(golden.Read<byte>(name)));
    }

    // Made with Pillow 9.4: Image.frombytes("L", (5, 2), bytes(...)).resize((w, h), Image.BILINEAR).
    [TestCase(5, 2, 2, 1, "134 150")]
    [TestCase(5, 2, 8, 2, "0 22 53 84 116 147 178 200 255 238 213 191 171 152 133 120")]
    [TestCase(5, 2, 1, 3, "100 142 183")]
    public void PillowBilinear_SmallImages_AsPillow(int width, int height, int newWidth, int newHeight, string expected)
    {
        byte[] to = new byte[newWidth * newHeight];
        byte[] from = [0, 50, 100, 150, 200, 255, 215, 180, 150, 120];
        Resample.PillowBilinear(from, height, width, 1, newHeight, newWidth, to);
        Assert.That(string.Join(' ', to), Is.EqualTo(expected));
    }

    [Test]
    public void PillowBilinear_OnePixel_FillsEverything()
    {
        byte[] to = new byte[7 * 5 * 3];
        Resample.PillowBilinear([10, 20, 30], 1, 1, 3, 7, 5, to);
        for (int i = 0; i < 35; i++) Assert.That(to.AsSpan(3 * i, 3).ToArray(), Is.EqualTo(new byte[] { 10, 20, 30 }));
    }

    [Test]
    public void PillowBilinear_ExtremeAspect_KeepsAConstant()
    {
        byte[] from = new byte[20_000 * 10], to = new byte[1024];
        Array.Fill(from, (byte)77);
        Resample.PillowBilinear(from, 10, 20_000, 1, 1, 1024, to);
        Assert.That(to, Is.All.EqualTo((byte)77));
    }

    [Test]
    public void PillowBilinear_SameSize_Copies()
    {
        byte[] from = FormulaParameters.Bytes("copy", 6 * 4 * 3), to = new byte[6 * 4 * 3];
        Resample.PillowBilinear(from, 6, 4, 3, 6, 4, to);
        Assert.That(to, Is.EqualTo(from));
    }

    [Test]
    public void PillowBilinear_WrongSizes_AreNamed()
    {
        Assert.Throws<ArgumentException>(() => Resample.PillowBilinear(new byte[11], 2, 2, 3, 1, 1, new byte[3]));
        Assert.Throws<ArgumentException>(() => Resample.PillowBilinear(new byte[12], 2, 2, 3, 0, 1, []));
        Assert.Throws<ArgumentException>(() => Resample.PillowBilinear(new byte[12], 2, 2, 3, 1, 1, new byte[4]));
    }

    // Sam.postprocess_masks of the recorded low-resolution logits: 64 x 64 up to 256 x 256, cropped, down to 201 x 173.
    [TestCase("point1")]
    [TestCase("box")]
    [TestCase("mask_point")]
    public void TorchBilinear_MaskPostprocessing_AsTorch(string prompt)
    {
        Golden golden = Golden.Open("s01_sam_tiny/decoder.safetensors");
        float[] low = golden.Read<float>($"prompt/{prompt}/low_res_single");
        float[] expected = golden.Read<float>($"prompt/{prompt}/post_single");
        float[] frame = new float[256 * 256], crop = new float[256 * 220], masks = new float[201 * 173];
        Resample.TorchBilinear(low, 64, 64, 1, 256, 256, frame);
        for (int y = 0; y < 256; y++) frame.AsSpan(y * 256, 220).CopyTo(crop.AsSpan(y * 220));
        Resample.TorchBilinear(crop, 256, 220, 1, 201, 173, masks);
        // Weights are the same floats. Products and sums (contracted there, not here) round by half a unit each: two a
        // side and resize, so eight halves of 2^-23 in two resizes.
        float largest = low.Max(MathF.Abs);
        for (int i = 0; i < masks.Length; i++)
            Assert.That(masks[i], Is.EqualTo(expected[i]).Within(4 * 1.2e-7f * largest), $"pixel {i}");
    }

    // get_rel_pos: the table is resized to 2 x max(q, k) - 1 rows, then R[i, j] = row i - j + k - 1 when q = k.
    [TestCase(7, 9)]
    [TestCase(14, 127)]
    [TestCase(64, 27)]
    [TestCase(7, 13)]
    public void TorchBilinear_RelativePositions_AsTorch(int size, int length)
    {
        Golden golden = Golden.Open("s01_sam_tiny/attention_cases.safetensors");
        float[] table = FormulaParameters.Floats(string.Format(RelPosKey, size, size, length), length * 6, 0.1);
        float[] expected = golden.Read<float>($"relpos/{size}_{size}_{length}/R");
        int rows = 2 * size - 1;
        float[] resized = new float[rows * 6];
        Resample.TorchBilinear(table, length, 1, 6, rows, 1, resized);
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
            {
                float[] row = resized.AsSpan((i - j + size - 1) * 6, 6).ToArray();
                // Values below 0.1: two units of rounding.
                Assert.That(row, Is.EqualTo(expected.AsSpan((i * size + j) * 6, 6).ToArray()).Within(1.5e-8f));
            }
    }

    const string RelPosKey = "input:s01/relpos/{0}_{1}_{2}/table";

    [Test]
    public void TorchBilinear_TwoToFour_WeightsByQuarters()
    {
        float[] to = new float[4];
        Resample.TorchBilinear([0f, 8f], 1, 2, 1, 1, 4, to);
        Assert.That(to, Is.EqualTo(new[] { 0f, 2f, 6f, 8f }));
    }

    [Test]
    public void LongestSide_Sizes_AsReference()
    {
        JsonElement info = Golden.Json("s04b_image_ops/meta.json").GetProperty("info");
        foreach (JsonProperty property in info.GetProperty("get_preprocess_shape").EnumerateObject())
        {
            int[] n = [.. property.Name.Split('x', '-', '>').Where(s => s.Length > 0).Select(int.Parse)];
            int[] expected = Golden.Ints(property.Value);
            (int, int) size = new ResizeLongestSide(n[2]).Size(n[0], n[1]);
            Assert.That(size, Is.EqualTo((expected[0], expected[1])), property.Name);
        }
    }

    [Test]
    public void LongestSide_ThinImage_KeepsOneRow() =>
        Assert.That(new ResizeLongestSide(1024).Size(10, 20_000), Is.EqualTo((1, 1024)));

    [Test]
    public void LongestSide_SideThatWouldVanish_KeepsOne() =>
        Assert.That(new ResizeLongestSide(1024).Size(4, 20_000), Is.EqualTo((1, 1024)));

    [Test]
    public void LongestSide_Points_ScaleByTheRoundedSides()
    {
        // 427 x 640 to 683 x 1024: x by 1024/640 = 1.6, y by 683/427.
        (double x, double y) = new ResizeLongestSide(1024).Point(100, 427, 427, 640);
        Assert.That((x, y), Is.EqualTo((160.0, 427 * (683.0 / 427))));
    }

    [TestCase(0, 5)]
    [TestCase(5, 0)]
    [TestCase(-1, 5)]
    public void LongestSide_EmptyImage_IsRefused(int height, int width) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new ResizeLongestSide(1024).Size(height, width));
}
