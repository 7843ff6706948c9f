using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Training;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Segment;

/// <summary>The mask is the painted outlines; what is measured of a region is what its own painting covers.</summary>
public sealed class RegionPainterTests
{
    string _folder = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
    }

    [TearDown]
    public void DeleteFolder()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    static byte Level(long x, long y) => (byte)((x * 37 + y * 101 + x * y) % 256);

    (RegionFigures[] Figures, byte[] Mask) Paint(IReadOnlyList<SlidePolygon> regions, int height, int width)
    {
        string path = Path.Combine(_folder, "mask.tif");
        using MemorySlide probability = new(width, height, (x, y, _) => Level(x, y));
        RegionFigures[] figures;
        using (PyramidWriter file = new(path, width, height, channels: 1, new PyramidOptions { IsClasses = true }))
        {
            figures = RegionPainter.Paint(regions, file, probability, default);
            file.Complete();
        }
        using Slide written = Slide.Open(path);
        Raster pixels = written.ReadRegion(0, 0, 0, width, height);
        return (figures, [.. Enumerable.Range(0, height * width).Select(i => pixels.Pixels[3 * i])]);
    }

    // Coarse blobs and single pixels, over several of the file's squares.
    static byte[] Blobs(int height, int width, ulong seed)
    {
        const int Cell = 9;
        CounterRandom random = new CounterRandom(91).Child("masks", seed);
        bool[] cells = [.. Enumerable.Range(0, (height / Cell + 1) * (width / Cell + 1))
            .Select(_ => random.NextDouble() < 0.45)];
        return [.. Enumerable.Range(0, height * width).Select(i =>
            cells[i / width / Cell * (width / Cell + 1) + i % width / Cell] ^ random.NextDouble() < 0.02
                ? (byte)1 : (byte)0)];
    }

    [Test]
    public void Paint_Regions_IsTheirMask_AndMeasuresThem([Values(1, 2, 3)] int seed, [Values(0, 60)] int least)
    {
        (int height, int width) = (300, 270 + 256 * (seed % 2));
        OutlineTracer tracer = new(width, height, least);
        byte[] blobs = Blobs(height, width, (ulong)seed), painted = new byte[blobs.Length];
        for (int y = 0; y < height; y++) tracer.Row(blobs.AsSpan(y * width, width));
        IReadOnlyList<SlidePolygon> regions = tracer.Finish();
        Assert.That(regions, Has.Count.GreaterThan(20));
        (RegionFigures[] figures, byte[] mask) = Paint(regions, height, width);
        for (int i = 0; i < regions.Count; i++)
        {
            byte[] own = new byte[mask.Length];
            PolygonMask.Paint(regions[i], 0, 0, 1, 255, own, height, width);
            long levels = 0;
            for (int p = 0; p < own.Length; p++)
            {
                painted[p] |= own[p];
                if (own[p] != 0) levels += Level(p % width, p / width);
            }
            Assert.That(figures[i], Is.EqualTo(new RegionFigures(own.Count((byte)255), levels)), $"region {i}");
            Assert.That(figures[i].Pixels, Is.EqualTo(regions[i].Area));
        }
        Assert.That(mask.AsSpan().SequenceEqual(painted), "painted one by one");
        if (least == 0) Assert.That(mask.AsSpan().SequenceEqual(blobs.Select(v => (byte)(255 * v)).ToArray()));
    }

    [Test]
    public void Paint_Nothing_IsAnEmptyMask()
    {
        (RegionFigures[] figures, byte[] mask) = Paint([], 100, 300);
        Assert.That(figures, Is.Empty);
        Assert.That(mask, Has.All.Zero);
    }
}
