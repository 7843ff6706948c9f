// Tumour of windows, counted span by span, against masks that are painted.
using EpSam.Imaging.Annotations;
using EpSam.Native.Preprocess;
using EpSam.Native.Training;
using EpSam.Slides;
using EpSam.Slides.Prepare;

namespace EpSam.Native.Tests.Slides.Prepare;

public sealed class TumourCountsTests
{
    const int Width = 300, Height = 220, Side = 40;

    // Points in any order: the rings cross themselves, and some reach over the slide's edges.
    static SlidePolygon Ring(CounterRandom random, int points, double reach)
    {
        double x = random.NextDouble(-20, Width + 20), y = random.NextDouble(-20, Height + 20);
        SlidePoint[] ring = [.. Enumerable.Range(0, points).Select(_ =>
            new SlidePoint(x + random.NextDouble(-reach, reach), y + random.NextDouble(-reach, reach)))];
        return new SlidePolygon(ring);
    }

    [Test]
    public void Windows_AnyPolygons_AreThoseOfThePaintedSlide([Range(1, 12)] int seed)
    {
        CounterRandom random = new((ulong)seed);
        SlidePolygon[] tumour = [.. Enumerable.Range(0, 6).Select(_ => Ring(random, 3 + random.Next(9), 70))];
        SlidePolygon hole = Ring(random, 5, 20), around = Ring(random, 4, 60);
        tumour = [.. tumour, new SlidePolygon(around.Outer, [hole.Outer])];
        SlidePolygon[] excluded = [.. Enumerable.Range(0, seed % 4).Select(_ => Ring(random, 4, 40))];
        TumourAreas areas = new(tumour, excluded);
        SlideWindow[] windows = [.. Enumerable.Range(0, 200).Select(_ =>
        {
            (int x, int y) = (random.Next(Width + 40) - 40, random.Next(Height + 40) - 40);
            return new SlideWindow(x, y, x + Side, y + Side);
        })];

        TumourCounts counts = TumourCounts.Of(areas, Width, Height, windows);
        byte[] mask = areas.Mask(0, 0, 1, Height, Width);
        Assert.That(counts.Total, Is.EqualTo(mask.Count((byte)1)));
        for (int i = 0; i < windows.Length; i++)
            Assert.That(counts.Windows[i], Is.EqualTo(Painted(mask, windows[i])), $"{windows[i]}");
        for (int i = 0; i < tumour.Length; i++)
        {
            byte[] alone = new byte[mask.Length];
            PolygonMask.Paint(tumour[i], 0, 0, 1, 1, alone, Height, Width);
            Assert.That(counts.PixelsOfArea[i], Is.EqualTo(alone.Count((byte)1)));
        }
    }

    static long Painted(byte[] mask, SlideWindow window)
    {
        long pixels = 0;
        for (long y = Math.Max(0, window.Top); y < Math.Min(Height, window.Bottom); y++)
            for (long x = Math.Max(0, window.Left); x < Math.Min(Width, window.Right); x++)
                pixels += mask[y * Width + x];
        return pixels;
    }

    [Test]
    public void Windows_WithoutAreas_HaveNone()
    {
        TumourCounts none = TumourCounts.Of(new TumourAreas([], []), Width, Height, [new(0, 0, 40, 40)]);
        Assert.That((none.Total, none.Windows[0]), Is.EqualTo((0L, 0L)));
        TumourAreas square = new([new([new(5, 5), new(15, 5), new(15, 15), new(5, 15)])], []);
        Assert.That(TumourCounts.Of(square, Width, Height, []).Total, Is.EqualTo(100));
    }

    [Test]
    public void Percentage_OfCounts_IsThatOfTheMask()
    {
        byte[] mask = new byte[640];
        for (int i = 0; i < mask.Length; i++)
        {
            Assert.That(TumourPercentage.Of(i, mask.Length), Is.EqualTo(TumourPercentage.Of(mask)));
            mask[i] = 1;
        }
    }
}
