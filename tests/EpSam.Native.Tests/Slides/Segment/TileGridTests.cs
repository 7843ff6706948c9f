using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Segment;

/// <summary>Tiles cover all pixels, and their weights sum up to the same everywhere.</summary>
public sealed class TileGridTests
{
    static readonly int[] Lengths =
        [1, 2, 31, 32, 33, 47, 48, 49, 55, 56, 57, 63, 64, 65, 79, 80, 81, 95, 96, 97, 100, 128, 1000, 1023];

    [Test]
    public void Weights_OfAllTiles_SumUpToTheWhole([ValueSource(nameof(Lengths))] int length,
        [Values(0, 1, 7, 8, 15, 16)] int overlap)
    {
        const int Tile = 32;
        TileAxis axis = new(length, Tile, overlap);
        int[] sums = new int[Math.Max(length, Tile)];
        for (int i = 0; i < axis.Count; i++)
        {
            int[] weights = axis.Weights(i);
            Assert.That(weights, Has.All.GreaterThanOrEqualTo(0), $"tile {i}");
            for (int k = 0; k < Tile; k++) sums[axis.Start(i) + k] += weights[k];
        }
        Assert.That(sums, Has.All.EqualTo(TileAxis.Whole));
    }

    [Test]
    public void Tiles_LieInside_OverlapAtLeastAsWanted_AndAreAsFewAsPossible(
        [ValueSource(nameof(Lengths))] int length, [Values(0, 1, 7, 8, 15, 16)] int overlap)
    {
        const int Tile = 32;
        TileAxis axis = new(length, Tile, overlap);
        Assert.That(axis.Start(0), Is.Zero);
        if (length <= Tile)
        {
            Assert.That(axis.Count, Is.EqualTo(1));
            return;
        }
        Assert.That(axis.Start(axis.Count - 1), Is.EqualTo(length - Tile));
        for (int i = 1; i < axis.Count; i++)
            Assert.That(axis.Start(i) - axis.Start(i - 1), Is.InRange(1, Tile - overlap), $"tile {i}");
        Assert.That(Tile + (axis.Count - 2) * (Tile - overlap), Is.LessThan(length), "one less would do");
    }

    [Test]
    public void Weights_InAnOverlap_GoLinearlyFromOneTileToTheNext()
    {
        TileAxis axis = new(56, 32, 8); // 0 to 32 and 24 to 56
        Assert.That(axis.Weights(0)[..24], Has.All.EqualTo(256));
        int[] second = [16, 48, 80, 112, 144, 176, 208, 240]; // 256 x (k + 1/2) / 8
        Assert.That(axis.Weights(1)[..8], Is.EqualTo(second));
        Assert.That(axis.Weights(0)[24..], Is.EqualTo(second.Select(w => 256 - w)));
    }

    [Test]
    public void Tiles_OfALargeSlide_AreCounted()
    {
        TileGrid grid = new(100_000, 40_000, 512, 128);
        Assert.That((grid.Columns.Count, grid.Rows.Count), Is.EqualTo((261, 104)));
        Assert.That(grid.Count, Is.EqualTo(261 * 104));
        Assert.That(grid.Columns.Start(260), Is.EqualTo(100_000 - 512));
    }
}
