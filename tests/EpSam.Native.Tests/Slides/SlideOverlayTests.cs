using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides;

public sealed class SlideOverlayTests
{
    string _folder = "";

    [SetUp]
    public void Begin()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-overlay-").FullName;
    }

    [TearDown]
    public void End()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, true);
    }

    Raster Write(Slide slide, byte[] mask, int width, int height, double downsample)
    {
        SlideFolder results = new(_folder);
        ImageWriter.WritePng(results.Mask, mask, width, height, 1);
        SlideOverlay.Write(results.Overlay, slide, results, downsample);
        return ImageReader.ReadRgb(results.Overlay);
    }

    [Test]
    public void SmallSlide_KeepsItsSize_TumourIsTintedAndOutlined()
    {
        using MemorySlide slide = new(200, 101, (_, _, c) => (byte)(c == 1 ? 120 : 200));
        byte[] mask = new byte[100 * 50]; // a row of the slide is left
        for (int y = 10; y < 30; y++) mask.AsSpan(y * 100 + 40, 30).Fill(255);
        Raster picture = Write(slide, mask, 100, 50, 2);
        Assert.That((picture.Width, picture.Height), Is.EqualTo((200, 101)));
        (int, int, int) At(int x, int y)
        {
            ReadOnlySpan<byte> p = picture.Pixels.AsSpan(3 * (y * 200 + x), 3);
            return (p[0], p[1], p[2]);
        }
        Assert.That(At(78, 30), Is.EqualTo((200, 120, 200)), "outside");
        Assert.That(At(199, 100), Is.EqualTo((200, 120, 200)), "beyond the mask");
        Assert.That(At(100, 40), Is.EqualTo((140, 131, 158)).Within(1), "inside: three tenths of the colour");
        Assert.That(At(80, 40), Is.EqualTo((0, 158, 60)), "its left edge");
        Assert.That(At(139, 59), Is.EqualTo((0, 158, 60)), "its lower right corner");
    }

    [Test]
    public void LargeSlide_Is2048PixelsAcross()
    {
        using MemorySlide slide = new(5000, 800, (_, _, _) => 230, [(2497, 399, 2.0025)]);
        byte[] mask = new byte[1250 * 200];
        mask.AsSpan(0, 1250 * 100).Fill(255);
        Raster picture = Write(slide, mask, 1250, 200, 4);
        Assert.That(picture.Width, Is.InRange(2040, 2048));
        Assert.That(picture.Pixels[3 * (20 * picture.Width + 1000)], Is.LessThan(180));
        Assert.That(picture.Pixels[3 * (300 * picture.Width + 1000)], Is.EqualTo(230));
        Assert.That(slide.LargestRead, Is.LessThan(5000 * 800 / 2), "read in bands");
    }
}
