// OpenCV's filters, thresholds, colours and warps against recorded outputs of OpenCV 4.6, every pixel equal.
using System.Text.Json;
using EpSam.Cases;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class CvOpsTests
{
    const string Ops = "s04b_image_ops/cv2_ops.safetensors", Meta = "s04b_image_ops/meta.json";
    const int H = 97, W = 113;

    [Test]
    public void Morphology_RecordedMasks_AsOpenCv(
        [Values("open", "close", "erode", "dilate")] string operation, [Values("binary01", "gray")] string image)
    {
        Golden golden = Golden.Open(Ops);
        byte[] source = golden.Read<byte>("input/" + image);
        string[] names =
            [.. golden.Names.Where(n => n.StartsWith(operation + "_rect", StringComparison.Ordinal)
                && n.EndsWith('/' + image, StringComparison.Ordinal))];
        Assert.That(names, Is.Not.Empty);
        foreach (string name in names)
        {
            int[] n = [.. name.Split('/')[0].Split("_rect")[1].Split("_iter").Select(int.Parse)]; // side, iterations
            byte[] result = new byte[H * W];
            int iterations = n.Length > 1 ? n[1] : 1;
            if (operation == "open") Morphology.Open(source, H, W, n[0], result, iterations);
            else if (operation == "close") Morphology.Close(source, H, W, n[0], result, iterations);
            else if (operation == "erode") Morphology.Erode(source, H, W, n[0], result, iterations);
            else Morphology.Dilate(source, H, W, n[0], result, iterations);
            Assert.That(result, Is.EqualTo(golden.Read<byte>(name)), name);
        }
    }

    // Windows of all lengths against their definition, on rows shorter and longer than a vector.
    [Test]
    public void Morphology_AnySide_AsDefined([Values(1, 5, 64, 71)] int width)
    {
        const int Height = 6;
        byte[] source = FormulaParameters.Bytes("morphology", Height * width), result = new byte[Height * width];
        for (int side = 1; side < 20; side++)
        {
            Morphology.Erode(source, Height, width, side, result);
            for (int y = 0; y < Height; y++)
                for (int x = 0; x < width; x++)
                {
                    byte expected = 255;
                    for (int i = y - side / 2; i < y - side / 2 + side; i++)
                        for (int j = x - side / 2; j < x - side / 2 + side; j++)
                            if (i >= 0 && i < Height && j >= 0 && j < width)
                                expected = Math.Min(expected, source[i * width + j]);
                    Assert.That(result[y * width + x], Is.EqualTo(expected), $"side {side}, ({x}, {y})");
                }
        }
    }

    [Test]
    public void MedianBlur_RecordedImages_AsOpenCv()
    {
        Golden golden = Golden.Open(Ops);
        byte[] gray = golden.Read<byte>("input/gray"), result = new byte[H * W];
        MedianBlur.Apply(gray, H, W, 15, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("median15/gray")));
        MedianBlur.Apply(gray, H, W, 3, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("median3/gray")));
        byte[] binary = Array.ConvertAll(golden.Read<byte>("input/binary01"), v => (byte)(v * 255));
        MedianBlur.Apply(binary, H, W, 15, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("median15/binary255")));
    }

    [Test]
    public void MedianBlur_ImageSmallerThanTheSquare_RepeatsTheBorder()
    {
        // 5 x 5 over 2 x 1 pixels: rows -2..2 are 9, 9, 9, 4, 4 in every column.
        byte[] result = new byte[2];
        MedianBlur.Apply([9, 4], 2, 1, 5, result);
        Assert.That(result, Is.EqualTo(new byte[] { 9, 4 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => MedianBlur.Apply([9, 4], 2, 1, 4, new byte[2]));
    }

    [Test]
    public void Otsu_RecordedImages_AsOpenCv()
    {
        Golden golden = Golden.Open(Ops);
        foreach (JsonProperty expected in Golden.Json(Meta).GetProperty("info").GetProperty("otsu").EnumerateObject())
        {
            byte[] source = golden.Read<byte>("otsu_input/" + expected.Name), result = new byte[source.Length];
            int threshold = Otsu.Binarize(source, result);
            double recorded = expected.Value.GetProperty("threshold").GetDouble();
            Assert.That(threshold, Is.EqualTo(recorded), expected.Name);
            int set = expected.Value.GetProperty("pixels_255").GetInt32();
            Assert.That(result.Count(v => v == 255), Is.EqualTo(set), expected.Name);
        }
    }

    [Test]
    public void CvHsv_RecordedColours_AsOpenCv()
    {
        Golden golden = Golden.Open(Ops);
        byte[] rgb = golden.Read<byte>("hsv/rgb"), hsv = new byte[rgb.Length], saturation = new byte[rgb.Length / 3];
        byte[] expected = golden.Read<byte>("hsv/COLOR_RGB2HSV");
        CvHsv.FromRgb(rgb, hsv);
        Assert.That(hsv, Is.EqualTo(expected));
        CvHsv.Saturation(rgb, saturation);
        Assert.That(saturation, Is.EqualTo(expected.Where((_, i) => i % 3 == 1)));

        byte[] bgr = [.. rgb.Chunk(3).SelectMany(p => p.Reverse())];
        CvHsv.FromRgb(bgr, bgr);
        Assert.That(bgr, Is.EqualTo(golden.Read<byte>("hsv/COLOR_BGR2HSV_applied_to_rgb")));
    }

    [TestCase(0, 30, 1.0, 0, 0)]
    [TestCase(1, -12.5, 1.1, 0.0625, -0.03)]
    [TestCase(2, 90, 0.9, -0.05, 0.05)]
    public void AffineWarp_RecordedMatrices_AsOpenCv(int i, double degrees, double scale, double dx, double dy)
    {
        Golden golden = Golden.Open(Ops);
        byte[] rgb = golden.Read<byte>("warp/input_rgb"), result = new byte[rgb.Length];
        double[] m = golden.Read<double>($"warp/{i}/matrix_2x3");
        AffineMatrix matrix = AffineMatrix.ShiftScaleRotate(120, 160, degrees, scale, dx, dy);
        double[] own = [matrix.XX, matrix.XY, matrix.X0, matrix.YX, matrix.YY, matrix.Y0];
        Assert.That(own, Is.EqualTo(m).Within(1e-13)); // translations reach 137: a few units of their last place
        AffineWarp.Linear(rgb, 120, 160, 3, matrix, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>($"warp/{i}/linear_reflect101")));
        AffineWarp.Nearest(rgb, 120, 160, 3, matrix, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>($"warp/{i}/nearest_reflect101")));
    }

    [Test]
    public void AffineWarp_ShiftByWholePixels_MirrorsWithoutTheBorder()
    {
        byte[] result = new byte[4];
        AffineWarp.Nearest([1, 2, 3, 4], 1, 4, 1, new(1, 0, 2, 0, 1, 0), result);
        Assert.That(result, Is.EqualTo(new byte[] { 3, 2, 1, 2 }));
        AffineWarp.Linear([1, 2, 3, 4], 1, 4, 1, new(1, 0, -9, 0, 1, 7), result);
        Assert.That(result, Is.EqualTo(new byte[] { 4, 3, 2, 1 })); // 9, 10, 11, 12 in a period of 6: 3, 2, 1, 0
    }

    [Test]
    public void NonZero_RecordedMask_InOpenCvsOrder()
    {
        Golden golden = Golden.Open(Ops);
        (int X, int Y)[] points = NonZero.Points(golden.Read<byte>("input/binary01"), H, W);
        int[] expected = golden.Read<int>("findNonZero_xy_float_mask");
        Assert.That(points.SelectMany(p => new[] { p.X, p.Y }), Is.EqualTo(expected));
    }

    [Test]
    public void Percentile_RecordedValues_AsNumPy()
    {
        Golden golden = Golden.Open("s04b_image_ops/percentile_inputs.safetensors");
        JsonElement all = Golden.Json(Meta).GetProperty("info").GetProperty("np_percentile (linear interpolation)");
        foreach (JsonProperty set in all.EnumerateObject())
            foreach (JsonProperty expected in set.Value.EnumerateObject())
            {
                double percent = double.Parse(expected.Name), value = expected.Value.GetDouble();
                string name = "perc_input/" + set.Name;
                double own = set.Name.StartsWith("f32", StringComparison.Ordinal)
                    ? (float)Percentile.Of<float>(golden.Read<float>(name), percent)
                    : Percentile.Of<byte>(golden.Read<byte>(name), percent);
                Assert.That(own, Is.EqualTo(value), $"{set.Name}, {expected.Name}");
            }
    }

    [Test]
    public void Percentile_NoValues_NaN() => Assert.That(Percentile.Of<byte>([], 10), Is.NaN);
}
