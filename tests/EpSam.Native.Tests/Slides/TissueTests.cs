using EpSam.Imaging.Slides;
using EpSam.Native.Preprocess;
using EpSam.Slides;

namespace EpSam.Native.Tests.Slides;

public sealed class TissueTests
{
    // Pink within a square, white around.
    static byte Square(long x, long y, int c) => x is >= 800 and < 1600 && y is >= 400 and < 1200 && c == 1
        ? (byte)(90 + (x + y) / 16 % 20) : (byte)235;

    [Test]
    public void Tissue_IsThatOfTheWholeOverview_HoweverItIsRead()
    {
        using MemorySlide slide = new(2400, 9600, Square, [(600, 2400, 4), (150, 600, 16)]);
        Tissue tissue = Tissue.Of(slide);
        Assert.That((tissue.Width, tissue.Height, tissue.Downsample), Is.EqualTo((150, 600, 16.0)));
        byte[] overview = slide.ReadRegion(2, 0, 0, 150, 600).Pixels;
        Assert.That(tissue.Mask, Is.EqualTo(TissueMask.Of(overview, 600, 150)));
        Assert.That(tissue.Share(800, 400, 800, 800), Is.GreaterThan(0.95));
        Assert.That(tissue.Share(1700, 1300, 500, 500), Is.Zero);
        Assert.That(tissue.Share(0, 400, 1600, 800), Is.EqualTo(0.5).Within(0.02));
        Assert.That(tissue.Area, Is.EqualTo(800.0 * 800).Within(5).Percent);
    }

    [Test]
    public void Tissue_WithoutALevelOfTheRatio_HasTheTrueRatio()
    {
        using MemorySlide slide = new(2399, 1203, Square, [(600, 301, 3.9987)]);
        Tissue tissue = Tissue.Of(slide);
        Assert.That((tissue.Width, tissue.Height, tissue.Downsample), Is.EqualTo((150, 75, 16.0)));
        Assert.That(tissue.Share(850, 450, 700, 700), Is.GreaterThan(0.95), "at its place");
    }

    [Test]
    public void Share_BeyondTheEdge_IsOfWhatIsThere()
    {
        Tissue tissue = new([255, 0, 255, 0], 2, 2, 16);
        Assert.That(tissue.Share(-100, -100, 116, 300), Is.EqualTo(1));
        Assert.That(tissue.Share(40, 40, 5, 5), Is.EqualTo(0), "outside: the nearest pixel");
    }
}
