// Views of a slide that lies in memory, against means that are worked out pixel by pixel.
using EpSam.Imaging.Slides;
using EpSam.Slides;

namespace EpSam.Native.Tests.Slides;

public sealed class SlideViewTests
{
    static byte Value(long x, long y, int c) => (byte)((x * 7 + y * 13 + x * y / 3 + 50 * c) % 251);

    static MemorySlide Slide(int width, int height, params (int, int, double)[] levels) =>
        new(width, height, Value, levels);

    [Test]
    public void View_OfALevel_IsTheLevel()
    {
        using MemorySlide slide = Slide(100, 60, (50, 30, 2));
        SlideView view = new(slide, 2.001);
        Assert.That((view.Width, view.Height, view.Downsample), Is.EqualTo((50, 30, 2.0)));
        Assert.That(view.Read(3, 4, 5, 6).Pixels, Is.EqualTo(slide.ReadRegion(1, 6, 8, 5, 6).Pixels));
    }

    [TestCase(3.0)]
    [TestCase(2.5)]
    [TestCase(7.3)]
    public void View_BetweenLevels_IsTheMeanOfWhatAPixelCovers(double downsample)
    {
        using MemorySlide slide = Slide(97, 61);
        SlideView view = new(slide, downsample);
        (int width, int height) = ((int)view.Width, (int)view.Height);
        byte[] read = view.Read(0, 0, width, height).Pixels;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                Assert.That(read[3 * (y * width + x) + 1], Is.EqualTo(Mean(x, y, downsample, 97, 61)).Within(0.51));
    }

    static double Mean(int x, int y, double d, int width, int height)
    {
        double sum = 0, area = 0;
        for (int v = (int)(y * d); v < Math.Min(height, (y + 1) * d); v++)
        {
            for (int u = (int)(x * d); u < Math.Min(width, (x + 1) * d); u++)
            {
                double across = Math.Min(u + 1, (x + 1) * d) - Math.Max(u, x * d);
                double share = across * (Math.Min(v + 1, (y + 1) * d) - Math.Max(v, y * d));
                (sum, area) = (sum + share * Value(u, v, 1), area + share);
            }
        }
        return sum / area;
    }

    [TestCase(3.7)]
    [TestCase(0.4)]
    public void View_ReadInParts_GivesTheSamePixels(double downsample)
    {
        using MemorySlide slide = Slide(200, 150);
        SlideView view = new(slide, downsample);
        byte[] all = view.Read(-3, -2, 60, 50).Pixels;
        for (int y = 0; y < 50; y += 17)
        {
            for (int x = 0; x < 60; x += 13)
            {
                (int w, int h) = (Math.Min(13, 60 - x), Math.Min(17, 50 - y));
                byte[] part = view.Read(x - 3, y - 2, w, h).Pixels;
                for (int row = 0; row < h; row++)
                {
                    Assert.That(part.AsSpan(3 * row * w, 3 * w).SequenceEqual(
                        all.AsSpan(3 * ((y + row) * 60 + x), 3 * w)), $"{x}, {y + row}");
                }
            }
        }
    }

    [Test]
    public void View_OfALargeLevel_IsReadInSmallParts()
    {
        using MemorySlide slide = new(6_000, 6_000, (x, _, _) => (byte)(x < 3_000 ? 10 : 200));
        byte[] read = new SlideView(slide, 750).Read(0, 0, 8, 8).Pixels;
        Assert.That(slide.LargestRead, Is.LessThanOrEqualTo(1 << 23));
        Assert.That(read.Chunk(24), Is.All.EqualTo(Enumerable.Range(0, 24).Select(i => i < 12 ? 10 : 200)));
    }

    [Test]
    public void View_OutsideOfTheSlide_IsWhite()
    {
        using MemorySlide slide = Slide(40, 40);
        Assert.That(new SlideView(slide, 3).Read(-5, -5, 3, 3).Pixels, Is.All.EqualTo(255));
        Assert.That(new SlideView(slide, 3).Read(20, 3, 4, 4).Pixels, Is.All.EqualTo(255));
    }

    [Test]
    public void AtMpp_NeedsTheSlidesOwn()
    {
        using MemorySlide slide = Slide(100, 60);
        Assert.That(() => SlideView.AtMpp(slide, 1),
            Throws.TypeOf<SlideException>().With.Message.Contains("--slide-mpp"));
        Assert.That(SlideView.AtMpp(slide, 1, 0.25).Downsample, Is.EqualTo(4));
    }
}
