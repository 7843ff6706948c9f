// cv2.resize against recorded outputs of OpenCV 4.6, every pixel equal, and against cases worked out by hand.
using EpSam.Cases;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class CvResizeTests
{
    const string Resizes = "s04b_image_ops/cv2_resize.safetensors";

    delegate void Resize(ReadOnlySpan<byte> source, int height, int width, int channels, int newHeight, int newWidth,
        Span<byte> destination);

    [TestCase("linear_u8")]
    [TestCase("linear_u8_binary")]
    [TestCase("lanczos4_u8")]
    [TestCase("cubic_u8")]
    [TestCase("area_u8")]
    [TestCase("nearest_u8")]
    public void Bytes_RecordedSizes_AsOpenCv(string operation)
    {
        Golden golden = Golden.Open(Resizes);
        Resize resize = operation switch
        {
            "linear_u8" or "linear_u8_binary" => CvResize.Linear,
            "lanczos4_u8" => CvResize.Lanczos4,
            "cubic_u8" => CvResize.Cubic,
            "area_u8" => CvResize.Area,
            _ => CvResize.Nearest,
        };
        string[] names = [.. golden.Names.Where(n => n.StartsWith(operation + '/', StringComparison.Ordinal))];
        Assert.That(names, Has.Length.GreaterThanOrEqualTo(5));
        foreach (string name in names)
        {
            string size = name.Split('/')[1];
            int[] n = [.. size.Replace("_to_", "x").Split('x').Select(int.Parse)]; // h, w, c, H, W
            byte[] source = FormulaParameters.Bytes("input:s04b/resize/" + size, n[0] * n[1] * n[2]);
            if (operation == "linear_u8_binary") source = Array.ConvertAll(source, v => (byte)(v > 128 ? 1 : 0));
            byte[] result = new byte[n[3] * n[4] * n[2]];
            resize(source, n[0], n[1], n[2], n[3], n[4], result);
            Assert.That(result, Is.EqualTo(golden.Read<byte>(name)), name);
        }
    }

    [TestCase("32x32_to_256x256")]
    [TestCase("24x32_to_192x256")]
    [TestCase("37x29_to_201x173")]
    [TestCase("64x64_to_31x45")]
    [TestCase("5x7_to_5x14")]
    public void Floats_RecordedSizes_AsOpenCv(string size)
    {
        Golden golden = Golden.Open(Resizes);
        int[] n = [.. size.Replace("_to_", "x").Split('x').Select(int.Parse)]; // h, w, H, W
        float[] source = FormulaParameters.Floats("input:s04b/resize/" + size, n[0] * n[1], 100);
        float[] floats = new float[n[2] * n[3]];
        CvResize.Linear(source, n[0], n[1], 1, n[2], n[3], floats);
        Assert.That(floats, Is.EqualTo(golden.Read<float>($"linear_f32/{size}/out")));

        double[] doubles = new double[n[2] * n[3]];
        CvResize.Linear(Array.ConvertAll(source, v => (double)v), n[0], n[1], 1, n[2], n[3], doubles);
        Assert.That(doubles, Is.EqualTo(golden.Read<double>($"linear_f64/{size}/out")));
    }

    // OpenCV takes the mean of 2 x 2 at exactly half the size, which linear interpolation is there.
    [Test]
    public void Linear_HalfTheSize_MeanOfFourRoundedUp()
    {
        byte[] bytes = new byte[2];
        CvResize.Linear([1, 2, 7, 9, 2, 1, 9, 9], 2, 4, 1, 1, 2, bytes);
        Assert.That(bytes, Is.EqualTo(new byte[] { 2, 9 })); // 6/4 and 34/4, halves up
        float[] floats = new float[2];
        CvResize.Linear([1f, 2, 7, 9, 2, 1, 9, 9], 2, 4, 1, 1, 2, floats);
        Assert.That(floats, Is.EqualTo(new[] { 1.5f, 8.5f }));
    }

    [Test]
    public void Area_WholeFactors_MeanOfBlocksToEven()
    {
        byte[] bytes = new byte[2];
        CvResize.Area([0, 1, 2, 3, 0, 0, 3, 4], 2, 4, 1, 2, 1, bytes);
        Assert.That(bytes, Is.EqualTo(new byte[] { 2, 2 })); // 6/4 to even is 2, 7/4 is 2
        CvResize.Area([1, 1, 0, 0, 2, 1, 2, 2], 2, 4, 1, 2, 1, bytes);
        Assert.That(bytes, Is.EqualTo(new byte[] { 0, 2 })); // 2/4 to even is 0, 7/4 is 2
    }

    [Test]
    public void Linear_Interleaved_AsEachChannelAlone()
    {
        byte[] source = FormulaParameters.Bytes("resize channels", 9 * 7 * 5), result = new byte[4 * 11 * 5];
        CvResize.Linear(source, 9, 7, 5, 4, 11, result);
        for (int c = 0; c < 5; c++)
        {
            byte[] one = [.. source.Where((_, i) => i % 5 == c)], expected = new byte[4 * 11];
            CvResize.Linear(one, 9, 7, 1, 4, 11, expected);
            Assert.That(result.Where((_, i) => i % 5 == c), Is.EqualTo(expected), $"channel {c}");
        }
    }

    [Test]
    public void AllMethods_OnePixel_FillsEverything()
    {
        foreach (Resize resize in new Resize[]
            { CvResize.Nearest, CvResize.Linear, CvResize.Cubic, CvResize.Lanczos4, CvResize.Area })
        {
            byte[] result = new byte[7 * 9];
            resize([200], 1, 1, 1, 7, 9, result);
            Assert.That(result, Is.All.EqualTo((byte)200), resize.Method.Name);
        }
    }

    [Test]
    public void Linear_WrongSizes_AreNamed()
    {
        Assert.That(() => CvResize.Linear(new byte[5], 2, 3, 1, 4, 4, new byte[16]),
            Throws.ArgumentException.With.Message.Contains("source must hold 2 x 3 x 1 values, got 5"));
        Assert.That(() => CvResize.Linear(new float[6], 2, 3, 1, 4, 0, []),
            Throws.ArgumentException.With.Message.Contains("destination must have positive sizes"));
    }
}
