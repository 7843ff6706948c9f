// Slides that libvips reads. They are opened as such: of what is made here, OpenSlide would take some.
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Native.Tests.Imaging;

public sealed class VipsSlideTests
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

    [Test]
    public void CoarserLevel_OfNoWholeDownsample_IsReadWhereItIsAskedFor()
    {
        string path = Path.Combine(_folder, "odd.tif");
        using (PyramidWriter writer = new(path, 203, 141, 1, new PyramidOptions { Tile = 64 }))
        {
            Random random = new(1);
            byte[] tile = new byte[64 * 64];
            for (int row = 0; row < writer.Rows; row++)
                for (int column = 0; column < writer.Columns; column++)
                {
                    random.NextBytes(tile);
                    writer.WriteTile(column, row, tile);
                }
            writer.Complete();
        }
        using VipsSlide slide = new(path, ImageFormat.Of("II+\0"u8)!);
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
