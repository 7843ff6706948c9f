// Slides against what OpenSlide's own tools said about the same files (levels, properties, means of regions, pictures),
// and every broken or odd file of the shared data. JPEG decoders differ by a level or two.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Native.Tests.Imaging;

public sealed class SlideTests
{
    const int JpegLevels = 2;
    static readonly string Folder = Path.Combine(Golden.Shared, "data", "slides");

    [OneTimeSetUp]
    public void NeedsLibraryAndData()
    {
        if (!OpenSlideLibrary.IsThere) Assert.Ignore(OpenSlideLibrary.Advice);
        VipsLibrary.RequireOrSkip();
        if (!Directory.Exists(Folder)) Assert.Ignore("the shared slides are not here");
    }

    static string At(string name) => Path.Combine(Folder, name);

    static JsonElement Recorded(string name)
    {
        using JsonDocument file = JsonDocument.Parse(File.ReadAllText(At("golden/wsi_golden.json")));
        return file.RootElement.GetProperty("a_wsi/" + name).Clone();
    }

    [TestCase("CMU-1-Small-Region.svs")]
    [TestCase("TCGA-CR-7395-01A-01-TS1.svs")]
    [TestCase("asap_packer/example.tif")]
    [TestCase("derived/camelyon_overview_pyramid.tif")]
    [TestCase("openslide_fixtures/boxes.tiff")]
    [TestCase("openslide_fixtures/small.svs")]
    [TestCase("openslide_fixtures/😐.svs")]
    public void Slide_HasTheRecordedLevelsPropertiesAndRegions(string name)
    {
        JsonElement golden = Recorded(name);
        using Slide slide = Slide.Open(At(name));
        Assert.That(slide.Vendor, Is.EqualTo(golden.GetProperty("openslide_vendor").GetString()));
        Assert.That(slide.Levels.Select(l => new[] { l.Width, l.Height }),
            Is.EqualTo(golden.GetProperty("levels").EnumerateArray().Select(l => new[] { l[0].GetInt64(),
                l[1].GetInt64() })));
        Assert.That(slide.Levels.Select(l => l.Downsample), Is.EqualTo(
            golden.GetProperty("downsamples").EnumerateArray().Select(d => d.GetDouble())).Within(1e-6));
        Assert.That(slide.Properties.GetValueOrDefault("openslide.mpp-x"),
            Is.EqualTo(golden.GetProperty("mpp_x").GetString()));
        Assert.That(slide.Properties.GetValueOrDefault("openslide.objective-power"),
            Is.EqualTo(golden.GetProperty("objective").GetString()));
        foreach (JsonElement region in golden.GetProperty("regions").EnumerateArray()) Compare(slide, region);
        if (!golden.TryGetProperty("associated", out JsonElement associated)) return;
        foreach (JsonProperty image in associated.EnumerateObject())
        {
            Raster read = slide.ReadAssociated(image.Name);
            Assert.That((read.Width, read.Height), Is.EqualTo((image.Value[0].GetInt32(), image.Value[1].GetInt32())));
        }
    }

    // The recorded means are of all four channels; the pictures have black where nothing is.
    static void Compare(Slide slide, JsonElement region)
    {
        int level = region.GetProperty("level").GetInt32();
        (int w, int h) = (region.GetProperty("w").GetInt32(), region.GetProperty("h").GetInt32());
        (long x, long y) = (region.GetProperty("x0").GetInt64(), region.GetProperty("y0").GetInt64());
        byte[] rgba = new byte[4 * w * h];
        slide.ReadRgba(level, x, y, w, h, rgba);
        double[] mean = [.. region.GetProperty("mean_rgba").EnumerateArray().Select(v => v.GetDouble())];
        for (int c = 0; c < 4; c++)
        {
            double found = Enumerable.Range(0, w * h).Average(i => (double)rgba[4 * i + c]);
            Assert.That(found, Is.EqualTo(mean[c]).Within(0.5), $"level {level}, channel {c}");
        }
        if (!region.TryGetProperty("png", out JsonElement png)) return;
        Raster picture = ImageReader.ReadRgb(At(png.GetString()!["a_wsi/".Length..]));
        Raster read = slide.ReadRegion(level, x, y, w, h);
        int worst = 0;
        for (int i = 0; i < 3 * w * h; i++)
        {
            int alpha = rgba[i / 3 * 4 + 3], expected = alpha == 0 ? 255 : picture.Pixels[i];
            if (alpha is 0 or 255) worst = Math.Max(worst, Math.Abs(read.Pixels[i] - expected));
        }
        Assert.That(worst, Is.LessThanOrEqualTo(JpegLevels), $"level {level} at {x}, {y}");
    }

    [TestCase("broken.svs", ImagingError.NotAnImage, "neither OpenSlide nor libvips")]
    [TestCase("openslide_fixtures/unopenable.tiff", ImagingError.Unsupported, "")]
    [TestCase("dicom_tiny/sm_image.dcm", ImagingError.Unsupported, "DICOM")]
    public void FileThatIsNoSlide_IsRefusedByName(string name, ImagingError kind, string text)
    {
        ImagingException error = Assert.Throws<ImagingException>(() =>
        {
            using Slide slide = Slide.Open(At(name));
            slide.ReadRegion(0, 0, 0, 16, 16);
        });
        Assert.That(error.Message, Does.StartWith(At(name)).And.Contains(text));
        Assert.That(error.Kind, Is.EqualTo(kind), error.Message);
    }

    [Test]
    public void SlideThatOpensButCannotBeRead_SaysWhere()
    {
        using Slide slide = Slide.Open(At("openslide_fixtures/unreadable.svs"));
        Assert.That(slide.Levels, Has.Count.EqualTo(1));
        ImagingException error = Assert.Throws<ImagingException>(() => slide.ReadRegion(0, 0, 0, 16, 16));
        Assert.That(error.Message, Does.Contain("level 0 at 0, 0").And.Contains("Bogus marker length"));
    }

    [Test]
    public void TruncatedSlide_IsRefusedAtOpeningOrWhenRead()
    {
        byte[] all = File.ReadAllBytes(At("CMU-1-Small-Region.svs"));
        string path = Path.Combine(Directory.CreateTempSubdirectory("epsam-slide-").FullName, "cut.svs");
        try
        {
            foreach (int length in new[] { 0, 3, 100, 5000, all.Length / 2 })
            {
                File.WriteAllBytes(path, all[..length]);
                ImagingException error = Assert.Throws<ImagingException>(() =>
                {
                    using Slide slide = Slide.Open(path);
                    slide.ReadRegion(0, 0, 0, (int)slide.Levels[0].Width, (int)slide.Levels[0].Height);
                }, $"{length} bytes");
                Assert.That(error.Message, Does.StartWith(path));
            }
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, true);
        }
    }

    [Test]
    public void Region_PartlyOutside_IsWhiteThere()
    {
        using Slide slide = Slide.Open(At("CMU-1-Small-Region.svs"));
        Raster read = slide.ReadRegion(0, -8, -8, 16, 16), inside = slide.ReadRegion(0, 0, 0, 8, 8);
        Assert.That(read.Pixels[..(3 * 16 * 8)], Is.All.EqualTo(255));
        for (int row = 0; row < 8; row++)
            Assert.That(read.Pixels.AsSpan(3 * (16 * (row + 8) + 8), 24).SequenceEqual(
                inside.Pixels.AsSpan(24 * row, 24)), $"row {row}");
    }

    [TestCase("sample.tif")]
    [TestCase("grey10kx5k.tif")]
    [TestCase("yb10kx5k.zstd.tiff")]
    [TestCase("rgba_geotiff.tiff")]
    [TestCase("subsampled.tif")]
    [TestCase("small_la.tiff")]
    public void TiffOfAnyKind_OpensAndReadsOrIsRefusedByName(string name)
    {
        try
        {
            using Slide slide = Slide.Open(At("tiff_edge/" + name));
            for (int level = 0; level < slide.Levels.Count; level++)
            {
                SlideLevel size = slide.Levels[level];
                slide.ReadRegion(level, 0, 0, (int)Math.Min(64, size.Width), (int)Math.Min(64, size.Height));
            }
            TestContext.Out.WriteLine($"{slide.Vendor}: " + string.Join(", ", slide.Levels));
        }
        catch (ImagingException e)
        {
            TestContext.Out.WriteLine(e.Message);
            Assert.That(e.Message, Does.StartWith(At("tiff_edge/" + name)));
            Assert.That(e.Kind, Is.EqualTo(ImagingError.Unsupported).Or.EqualTo(ImagingError.Damaged));
        }
    }

    [Test]
    public void Regions_FromSeveralThreads_AreThoseOfOne()
    {
        using Slide slide = Slide.Open(At("TCGA-CR-7395-01A-01-TS1.svs"));
        (long X, long Y)[] places = [.. Enumerable.Range(0, 24).Select(i => (i * 170L, i * 130L))];
        byte[][] alone = [.. places.Select(p => slide.ReadRegion(0, p.X, p.Y, 128, 128).Pixels)];
        byte[][] together = new byte[places.Length][];
        Parallel.For(0, places.Length,
            i => together[i] = slide.ReadRegion(0, places[i].X, places[i].Y, 128, 128).Pixels);
        for (int i = 0; i < places.Length; i++) Assert.That(together[i].AsSpan().SequenceEqual(alone[i]), $"{i}");
    }

    [TestCase(1.0, 0)]
    [TestCase(2.0, 1)]
    [TestCase(4.0, 1)]
    [TestCase(1.5, 0)]
    public void LevelFor_IsFineEnough(double downsample, int level)
    {
        using Slide slide = Slide.Open(At("TCGA-CR-7395-01A-01-TS1.svs"));
        Assert.That(slide.LevelFor(downsample), Is.EqualTo(level));
    }
}
