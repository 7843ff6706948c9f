// What torchvision does with Pillow images against recorded outputs (torchvision 0.14, Pillow 9.4), every pixel equal.
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class PillowOpsTests
{
    const string Pil = "s04b_image_ops/pil_torchvision.safetensors";
    const int H = 120, W = 160;

    static byte[] Input(Golden golden) => golden.Read<byte>("jitter/input_rgb");

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void QuarterTurns_RecordedImage_AsPillow(int turns)
    {
        Golden golden = Golden.Open(Pil);
        byte[] result = new byte[H * W * 3], back = new byte[H * W * 3];
        QuarterTurns.Rotate<byte>(Input(golden), H, W, 3, turns, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>($"pil_rotate_expand/{90 * turns}")));
        (int height, int width) = turns == 2 ? (H, W) : (W, H);
        QuarterTurns.Rotate<byte>(result, height, width, 3, -turns, back);
        Assert.That(back, Is.EqualTo(Input(golden)));
    }

    [Test]
    public void PillowRotate_RecordedAngles_AsTorchvision()
    {
        Golden golden = Golden.Open(Pil);
        string[] names = [.. golden.Names.Where(n => n.StartsWith("tv_rotate", StringComparison.Ordinal))];
        Assert.That(names, Has.Length.EqualTo(7));
        foreach (string name in names)
        {
            byte[] result = new byte[H * W * 3];
            double degrees = double.Parse(name.Split('/')[1], CultureInfo.InvariantCulture);
            foreach (double same in new[] { degrees, degrees - 360 })
            {
                PillowRotate.Nearest(Input(golden), H, W, 3, same, result);
                Assert.That(result, Is.EqualTo(golden.Read<byte>(name)), $"{same}");
            }
        }
    }

    [Test]
    public void Flip_RecordedImage_AsTorchvision()
    {
        Golden golden = Golden.Open(Pil);
        byte[] result = new byte[H * W * 3];
        Flip.Horizontal<byte>(Input(golden), H, W, 3, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("hflip")));
        Flip.Vertical<byte>(Input(golden), H, W, 3, result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("vflip")));
    }

    [TestCase("brightness", 3)]
    [TestCase("contrast", 3)]
    [TestCase("saturation", 3)]
    [TestCase("hue", 4)]
    public void ColorJitter_RecordedFactors_AsTorchvision(string operation, int count)
    {
        Golden golden = Golden.Open(Pil);
        string[] names = [.. golden.Names.Where(n => n.StartsWith(operation + '/', StringComparison.Ordinal))];
        Assert.That(names, Has.Length.EqualTo(count));
        foreach (string name in names)
        {
            byte[] image = Input(golden);
            Adjust(operation, image, double.Parse(name.Split('/')[1], CultureInfo.InvariantCulture));
            Assert.That(image, Is.EqualTo(golden.Read<byte>(name)), name);
        }
    }

    [Test]
    public void ColorJitter_RecordedSequence_AsTorchvision()
    {
        Golden golden = Golden.Open(Pil);
        JsonElement info = Golden.Json("s04b_image_ops/meta.json").GetProperty("info");
        byte[] image = Input(golden);
        foreach (JsonElement step in info.GetProperty("jitter_sequence (order, factor)").EnumerateArray())
            Adjust(step[0].GetString()!, image, step[1].GetDouble());
        Assert.That(image, Is.EqualTo(golden.Read<byte>("jitter_sequence")));
    }

    static void Adjust(string operation, byte[] image, double factor)
    {
        if (operation == "brightness") ColorJitter.Brightness(image, factor);
        else if (operation == "contrast") ColorJitter.Contrast(image, factor);
        else if (operation == "saturation") ColorJitter.Saturation(image, factor);
        else ColorJitter.Hue(image, factor);
    }

    [Test]
    public void ColorJitter_FactorOne_ChangesNothing()
    {
        byte[] image = [10, 200, 30, 255, 0, 128];
        ColorJitter.Brightness(image, 1);
        ColorJitter.Contrast(image, 1);
        ColorJitter.Saturation(image, 1);
        Assert.That(image, Is.EqualTo(new byte[] { 10, 200, 30, 255, 0, 128 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => ColorJitter.Brightness(image, -0.1));
        Assert.Throws<ArgumentOutOfRangeException>(() => ColorJitter.Hue(image, 0.6));
    }

    [Test]
    public void Grayscale_RecordedImage_AsPillow()
    {
        Golden golden = Golden.Open(Pil);
        byte[] image = Input(golden);
        Grayscale.Apply(image);
        Assert.That(image, Is.EqualTo(golden.Read<byte>("grayscale3")));
        Assert.That(image.Where((_, i) => i % 3 == 0), Is.EqualTo(golden.Read<byte>("pil_L")));
    }

    [Test]
    public void PillowHsv_RecordedColours_AsPillow()
    {
        Golden golden = Golden.Open(Pil);
        Assert.That(Hsv(Input(golden)), Is.EqualTo(golden.Read<byte>("pil_HSV")));
        byte[] hsv = Hsv(golden.Read<byte>("hsv_grid/rgb"));
        Assert.That(hsv, Is.EqualTo(golden.Read<byte>("hsv_grid/pil_HSV")));
        for (int i = 0; i < hsv.Length; i += 3)
            (hsv[i], hsv[i + 1], hsv[i + 2]) = PillowHsv.ToRgb(hsv[i], hsv[i + 1], hsv[i + 2]);
        Assert.That(hsv, Is.EqualTo(golden.Read<byte>("hsv_grid/back_to_RGB")));
    }

    static byte[] Hsv(byte[] rgb)
    {
        byte[] hsv = new byte[rgb.Length];
        for (int i = 0; i < rgb.Length; i += 3)
            (hsv[i], hsv[i + 1], hsv[i + 2]) = PillowHsv.FromRgb(rgb[i], rgb[i + 1], rgb[i + 2]);
        return hsv;
    }

    // Digests of what Pillow 9.4 gives (SHA-256 of all results one after the other), for far more cases than the
    // goldens have. The pictures are Noise; Image.rotate(0.731 k) for k below 1000, ImageEnhance's Brightness,
    // Contrast and Color by k / 100 for k to 250, torchvision's adjust_hue by k / 100 for k from -50 to 50.
    [Test]
    public void PillowRotate_ThousandAngles_AsPillow()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((int height, int width) in new[] { (33, 47), (40, 40) })
        {
            byte[] image = Noise.Bytes(height * width * 3), result = new byte[image.Length];
            for (int k = 0; k < 1000; k++)
            {
                PillowRotate.Nearest(image, height, width, 3, k * 0.731, result);
                hash.AppendData(result);
            }
        }
        Assert.That(Hex(hash), Is.EqualTo("4421d0820f453971ef64b3f42af5ca316bc78fd98fec0c87d61281fb92964322"));
    }

    [TestCase("brightness", 0, 250, "9467f18bdd03f2e2a854ac521bfcd454f7398536989c4417566f98c109e3d73f")]
    [TestCase("contrast", 0, 250, "9ee3749f5c6fdf26843df948720cd9e0eaeffc8b8b59faee56e8f43c4682871e")]
    [TestCase("saturation", 0, 250, "83300f07743230fd5ea3b483977b9ee5e51bb525288e61dc404ce6e13cb753a9")]
    [TestCase("hue", -50, 50, "4b4fb639b06b14fd7d08b2ad27a6ac0c49efd49137d3a2adb5b34d42af1eb835")]
    public void ColorJitter_AllHundredths_AsPillow(string operation, int from, int to, string expected)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] image = Noise.Bytes(64 * 64 * 3);
        for (int k = from; k <= to; k++)
        {
            byte[] result = [.. image];
            Adjust(operation, result, k / 100.0);
            hash.AppendData(result);
        }
        Assert.That(Hex(hash), Is.EqualTo(expected));
    }

    // convert("HSV") of all 2^24 colours, and all 2^24 values of HSV back, in ascending order.
    [Test, Category("Slow")]
    public void PillowHsv_AllColours_AsPillow()
    {
        using IncrementalHash hsv = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using IncrementalHash rgb = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] there = new byte[3 << 16], back = new byte[3 << 16];
        for (int a = 0; a < 256; a++)
        {
            for (int i = 0; i < 1 << 16; i++)
            {
                (byte b, byte c) = ((byte)(i >> 8), (byte)i);
                (there[3 * i], there[3 * i + 1], there[3 * i + 2]) = PillowHsv.FromRgb((byte)a, b, c);
                (back[3 * i], back[3 * i + 1], back[3 * i + 2]) = PillowHsv.ToRgb((byte)a, b, c);
            }
            hsv.AppendData(there);
            rgb.AppendData(back);
        }
        Assert.That(Hex(hsv), Is.EqualTo("21b59822901a4f6c8c1eb99c91c22061542a3832d3e257dff997caab79bc666e"));
        Assert.That(Hex(rgb), Is.EqualTo("1d9c2d26d34e85a68dec9d8d87ce0fdcce636d7b8eaec88f7baad6b85cdf4b3b"));
    }

    static string Hex(IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset());
}
