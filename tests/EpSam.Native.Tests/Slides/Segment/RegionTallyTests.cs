using EpSam.Imaging.Annotations;
using EpSam.Native.Training;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Segment;

/// <summary>Regions are those of the outlines, in their order.</summary>
public sealed class RegionTallyTests
{
    [Test]
    public void Regions_OfRandomMasks_AreThoseOfTheirOutlines([Values(1, 2, 3, 4, 5, 6, 7, 8)] int seed,
        [Values(0.2, 0.5, 0.7)] double share)
    {
        const int Width = 23, Height = 19;
        CounterRandom random = new CounterRandom(91).Child("masks", (ulong)seed);
        byte[] mask = new byte[Width * Height], levels = new byte[mask.Length];
        for (int i = 0; i < mask.Length; i++)
        {
            levels[i] = (byte)random.Next(256);
            mask[i] = (byte)(random.NextDouble() < share ? 1 : 0);
        }
        mask.AsSpan(9 * Width, Width).Clear();
        RegionTally tally = new();
        for (int y = 0; y < Height; y++)
        {
            if (y == 9) tally.EmptyRows(1);
            else tally.Row(mask.AsSpan(y * Width, Width), levels.AsSpan(y * Width, Width));
        }
        IReadOnlyList<SlidePolygon> outlines = MaskPolygons.Trace(mask, Height, Width);
        RegionFigures[] expected = [.. outlines.Select(polygon =>
        {
            byte[] own = new byte[mask.Length];
            PolygonMask.Paint(polygon, 0, 0, 1, 1, own, Height, Width);
            return new RegionFigures(own.Count(v => v == 1), own.Select((v, i) => v * (long)levels[i]).Sum());
        })];
        Assert.That(tally.All(), Is.EqualTo(expected));
    }

    [Test]
    public void Regions_None_IsNone()
    {
        RegionTally tally = new();
        tally.EmptyRows(5);
        Assert.That(tally.All(), Is.Empty);
    }
}
