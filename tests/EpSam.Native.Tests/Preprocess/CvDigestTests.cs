// Far more cases than the goldens have, against digests (SHA-256 of all results one after the other) of what a C++
// program with Debian 12's OpenCV 4.6.0 on x86-64 gave for the pictures and parameters stated here.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class CvDigestTests
{
    IncrementalHash _hash = null!;

    [SetUp]
    public void Start() => _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    [TearDown]
    public void End() => _hash.Dispose();

    void AssertDigest(string expected) =>
        Assert.That(Convert.ToHexStringLower(_hash.GetHashAndReset()), Is.EqualTo(expected));

    // Up and down, 1, 3 and 4 channels; every tenth time half the size, sometimes a third by a quarter.
    static IEnumerable<(int H, int W, int C, int NewH, int NewW)> Sizes()
    {
        for (int k = 0; k < 300; k++)
        {
            (int h, int w, int c) = (1 + k * 7 % 37, 1 + k * 11 % 41, k % 3 == 0 ? 1 : 2 + k % 3);
            (int newH, int newW) = (1 + k * 13 % 61, 1 + k * 17 % 67);
            if (k % 10 == 0) (h, w) = (2 * newH, 2 * newW);
            if (k % 25 == 7) (h, w) = (3 * newH, 4 * newW);
            yield return (h, w, c, newH, newW);
        }
    }

    delegate void Resize(ReadOnlySpan<byte> source, int height, int width, int channels, int newHeight, int newWidth,
        Span<byte> destination);

    [TestCase("nearest", "7575f824ebeb1ae31a2ec9bcfd8f01ff6c06dcbd9715d243852958094051f7a0")]
    [TestCase("linear", "abb30145b91bd0d9672eda9563a9e3b42f75e1e7d221987baced576b054e429c")]
    [TestCase("cubic", "f2d3d89d37e6011e6c89637a8ed0c780ca5b896972feac9969702654abf84f2f")]
    [TestCase("lanczos4", "cc7196e0d4900998cfc6c0144cfcc2090919d17376af8d05563e2a19c10873c9")]
    [TestCase("area", "21e5e5eab366b060bbed89ebb3b4c86e546fb7ded91e00fc29a600ca56c58657")]
    public void CvResize_Bytes_ManySizes(string operation, string expected)
    {
        Resize resize = operation switch
        {
            "nearest" => CvResize.Nearest,
            "linear" => CvResize.Linear,
            "cubic" => CvResize.Cubic,
            "lanczos4" => CvResize.Lanczos4,
            _ => CvResize.Area,
        };
        foreach ((int h, int w, int c, int newH, int newW) in Sizes())
        {
            byte[] result = new byte[newH * newW * c];
            resize(Noise.Bytes(h * w * c), h, w, c, newH, newW, result);
            _hash.AppendData(result);
        }
        AssertDigest(expected);
    }

    // Noise / 7f. Not at half the size, where the order of OpenCV's sums is its own affair.
    [TestCase(false, "aa8123bb213808e88d99cd3be7c8d1f2d06fe95ba4b1dcc4036db164883fd76c")]
    [TestCase(true, "36c54fb886ba03e4ddf2d9e23f4d972ded2593ffd5da42a4762a62eb89fb7598")]
    public void CvResize_Floats_ManySizes(bool isDouble, string expected)
    {
        foreach ((int h, int w, int c, int newH, int newW) in Sizes())
        {
            if ((h, w) == (2 * newH, 2 * newW)) continue;
            float[] source = Array.ConvertAll(Noise.Bytes(h * w * c), v => v / 7f);
            if (isDouble)
            {
                double[] result = new double[newH * newW * c];
                CvResize.Linear(Array.ConvertAll(source, v => (double)v), h, w, c, newH, newW, result);
                _hash.AppendData(MemoryMarshal.AsBytes<double>(result));
            }
            else
            {
                float[] result = new float[newH * newW * c];
                CvResize.Linear(source, h, w, c, newH, newW, result);
                _hash.AppendData(MemoryMarshal.AsBytes<float>(result));
            }
        }
        AssertDigest(expected);
    }

    const int H = 45, W = 70;

    [Test]
    public void Morphology_ManySides_OpenAndClose()
    {
        byte[] result = new byte[H * W];
        for (int side = 1; side < 26; side++)
            for (int iterations = 1; iterations < 4; iterations++)
            {
                Morphology.Open(Noise.Bytes(H * W, (uint)side), H, W, side, result, iterations);
                _hash.AppendData(result);
                Morphology.Close(Noise.Bytes(H * W, (uint)side), H, W, side, result, iterations);
                _hash.AppendData(result);
            }
        AssertDigest("e31e3c652925e66fa236ad854ad517b19ca1734a8b0c1639fdb64d6a0ef8fec4");
    }

    [Test]
    public void MedianBlur_SidesTo31()
    {
        byte[] result = new byte[H * W];
        for (int side = 3; side < 32; side += 2)
        {
            MedianBlur.Apply(Noise.Bytes(H * W, (uint)side), H, W, side, result);
            _hash.AppendData(result);
        }
        AssertDigest("0d50182b2d00cc3bffb5260b5dcd213c04eae402a32fa75e3942cf56198b3b11");
    }

    // Noise of 10 + 37 k pixels, as it is, squared, and with two humps.
    [Test]
    public void Otsu_ManyHistograms()
    {
        for (int k = 0; k < 500; k++)
        {
            byte[] samples = Array.ConvertAll(Noise.Bytes(10 + k * 37, (uint)k), v =>
                (byte)(k % 3 == 0 ? v : k % 3 == 1 ? v * v / 256 : v < 100 + k % 50 ? v / 2 : 128 + v / 3));
            _hash.AppendData(Encoding.ASCII.GetBytes($"{Otsu.Threshold(samples)} "));
        }
        AssertDigest("e28522919f999803d4e6070de26c0e436ab723ecf7078fca49f4b08be6ac1dc9");
    }

    [Test, Category("Slow")]
    public void CvHsv_AllColours()
    {
        byte[] rgb = new byte[3 << 16], hsv = new byte[3 << 16];
        for (int r = 0; r < 256; r++)
        {
            for (int i = 0; i < 1 << 16; i++)
                (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = ((byte)r, (byte)(i >> 8), (byte)i);
            CvHsv.FromRgb(rgb, hsv);
            _hash.AppendData(hsv);
        }
        AssertDigest("a5b38b214f65aed9d382cc07bf40311aff2e3e324c98da86df77bef285f224eb");
    }

    [TestCase(true, "318e57674172e886a6d0d0a69486945c8011ad14510eb77c7f66d54e3808eaa8")]
    [TestCase(false, "718c58920edcf0ec45e37d3edecbc8be3aaa05bedf53190da31e88bf5bd19f05")]
    public void AffineWarp_ManyMatrices(bool linear, string expected)
    {
        for (int k = 0; k < 400; k++)
        {
            (int h, int w) = (20 + k % 31, 17 + k % 43);
            AffineMatrix matrix = AffineMatrix.ShiftScaleRotate(
                h, w, k * 7.3 - 900, 0.6 + k * 0.003, (k % 13 - 6) * 0.02, (k % 11 - 5) * 0.02);
            byte[] source = Noise.Bytes(h * w * 3), result = new byte[source.Length];
            if (linear) AffineWarp.Linear(source, h, w, 3, matrix, result);
            else AffineWarp.Nearest(source, h, w, 3, matrix, result);
            _hash.AppendData(result);
        }
        AssertDigest(expected);
    }
}
