// What torchvision does with Pillow images against recorded outputs (torchvision 0.14, Pillow 9.4), every pixel equal.
using System.Globalization;
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
}
