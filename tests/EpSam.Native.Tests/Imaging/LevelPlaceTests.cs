// Where pixels of coarser levels are, whose downsamples are no whole numbers, by both libraries.
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Native.Tests.Imaging;

public sealed class LevelPlaceTests
{
    string _folder = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    // Levels of odd sides: their downsamples are 2.009 and 4.045.
    string Noise()
    {
        string path = Path.Combine(_folder, "odd.tif");
        using PyramidWriter writer = new(path, 203, 141, 1, new PyramidOptions { Tile = 64 });
        Random random = new(1);
        byte[] tile = new byte[64 * 64];
        for (int row = 0; row < writer.Rows; row++)
            for (int column = 0; column < writer.Columns; column++)
            {
                random.NextBytes(tile);
                writer.WriteTile(column, row, tile);
            }
        writer.Complete();
        return path;
    }

    Slide Open(bool openSlide)
    {
        string path = Noise();
        if (!openSlide) return new VipsSlide(path, ImageFormat.Of("II+\0"u8)!);
        if (!OpenSlideLibrary.IsThere) Assert.Ignore(OpenSlideLibrary.Advice);
        return OpenSlideSlide.TryOpen(path)!;
    }

    [TestCase(true)]
    [TestCase(false)]
    public void Region_ThatBeginsOutside_HasTheSlideWhereItIs(bool openSlide)
    {
        using Slide slide = Open(openSlide);
        const int Side = 12;
        for (int level = 0; level < slide.Levels.Count; level++)
            for (int outside = 1; outside < Side; outside++)
            {
                byte[] inside = slide.ReadRegion(level, 0, 0, Side - outside, Side - outside).Pixels;
                long corner = (long)Math.Round(-outside * slide.Levels[level].Downsample);
                byte[] read = slide.ReadRegion(level, corner, corner, Side, Side).Pixels;
                for (int y = 0; y < Side; y++)
                    for (int x = 0; x < Side; x++)
                    {
                        int expected = x < outside || y < outside ? 255
                            : inside[3 * ((y - outside) * (Side - outside) + x - outside)];
                        Assert.That(read[3 * (y * Side + x)], Is.EqualTo(expected),
                            $"level {level}, {outside} outside, at {x}, {y}");
                    }
            }
    }

    [Test]
    public void CoarserLevel_OfNoWholeDownsample_IsReadWhereItIsAskedFor()
    {
        using Slide slide = Open(openSlide: false);
        Assert.That(slide.Levels, Has.Count.EqualTo(3));
        for (int level = 1; level < slide.Levels.Count; level++)
        {
            (int width, int height) = ((int)slide.Levels[level].Width, (int)slide.Levels[level].Height);
            double downsample = slide.Levels[level].Downsample;
            byte[] whole = slide.ReadRegion(level, 0, 0, width, height).Pixels;
            for (int y = 0; y < height; y += 7)
                for (int x = 0; x < width; x++)
                {
                    (long left, long top) = ((long)Math.Round(x * downsample), (long)Math.Round(y * downsample));
                    Assert.That(slide.ReadRegion(level, left, top, 1, 1).Pixels[0],
                        Is.EqualTo(whole[3 * (y * width + x)]), $"level {level} at {x}, {y}");
                }
        }
    }
}
