// DeepZoom pyramids: sizes by the format's rules, every pixel of every level where it belongs, tiles of nothing left
// out.
using System.Globalization;
using System.Xml.Linq;
using EpSam.Imaging;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides.Viewer;

namespace EpSam.Native.Tests.Slides.Viewer;

public sealed class DeepZoomTests
{
    string _folder = "";

    [SetUp]
    public void Make() => _folder = Directory.CreateTempSubdirectory("epsam-deepzoom-").FullName;

    [TearDown]
    public void Remove() => Directory.Delete(_folder, recursive: true);

    // Level sizes: halved and rounded up from the finest, down to one pixel.
    [TestCase(1, 1, 0)]
    [TestCase(2, 1, 1)]
    [TestCase(256, 256, 8)]
    [TestCase(257, 3, 9)]
    [TestCase(1000, 700, 10)]
    [TestCase(100_000, 60_001, 17)]
    public void Levels_AnySize_AreHalvedAndRoundedUp(long width, long height, int finest)
    {
        DeepZoomLevels levels = new(width, height);
        Assert.That(levels.Finest, Is.EqualTo(finest));
        for (int level = finest; level >= 0; level--)
        {
            Assert.That((levels.WidthOf(level), levels.HeightOf(level)), Is.EqualTo((width, height)), $"level {level}");
            int columns = levels.Columns(level), rows = levels.Rows(level);
            Assert.That(columns, Is.EqualTo((int)Math.Ceiling(width / 256.0)));
            Assert.That(rows, Is.EqualTo((int)Math.Ceiling(height / 256.0)));
            Assert.That(Enumerable.Range(0, columns).Sum(c => levels.Size(level, c, 0).Width), Is.EqualTo(width));
            Assert.That(Enumerable.Range(0, rows).Sum(r => levels.Size(level, 0, r).Height), Is.EqualTo(height));
            (width, height) = ((width + 1) / 2, (height + 1) / 2);
        }
        Assert.That((levels.WidthOf(0), levels.HeightOf(0)), Is.EqualTo((1, 1)));
    }

    // 5000 x 4200 has more tiles than are shared out at the finest level, 700 x 300 fewer; sides are odd somewhere.
    [TestCase(700, 300)]
    [TestCase(513, 257)]
    [TestCase(5000, 4200)]
    public void Write_AnyLevel_HasTheMeansOfTheNext(int width, int height)
    {
        byte[] picture = Picture(width, height);
        DeepZoom tiles = Write(picture, width, height, Bytes);
        byte[] expected = picture;
        DeepZoomLevels levels = new(width, height);
        for (int level = levels.Finest; level >= 0; level--)
        {
            (int w, int h) = ((int)levels.WidthOf(level), (int)levels.HeightOf(level));
            Assert.That(Read(levels, level).AsSpan().SequenceEqual(expected), $"level {level}");
            Assert.That(tiles.Runs(level), Is.EqualTo(new[] { 0, levels.Columns(level) * levels.Rows(level) }));
            expected = Halved(expected, w, h);
        }
        XElement image = XDocument.Load(Path.Combine(_folder, "slide.dzi")).Root!;
        XNamespace deepZoom = "http://schemas.microsoft.com/deepzoom/2008";
        Assert.That(image.Name, Is.EqualTo(deepZoom + "Image"));
        Assert.That((image.Attribute("TileSize")!.Value, image.Attribute("Overlap")!.Value,
            image.Attribute("Format")!.Value), Is.EqualTo(("256", "0", "bin")));
        XElement size = image.Element(deepZoom + "Size")!;
        Assert.That(((int)size.Attribute("Width")!, (int)size.Attribute("Height")!), Is.EqualTo((width, height)));
    }

    // A spot in the middle of nothing: only its own tiles are there, at each level, and the runs say which.
    [Test]
    public void Write_MostlyNothing_LeavesOutWhatIsEmpty()
    {
        const int Width = 3000, Height = 2000;
        byte[] picture = new byte[Width * Height];
        for (int y = 900; y < 1000; y++) picture.AsSpan(y * Width + 1300, 100).Fill(200);
        DeepZoom tiles = Write(picture, Width, Height,
            (values, _, _) => values.Any(v => v != 0) ? values : null);
        string[] files = [.. Directory.GetFiles(_folder, "*.bin", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(_folder, f).Replace('\\', '/')).Order(StringComparer.Ordinal)];
        string[] expected = [.. Enumerable.Range(0, 13).SelectMany(level => Covered(level, 1300, 1400, 900, 1000))
            .Where(File.Exists).Select(f => Path.GetRelativePath(_folder, f).Replace('\\', '/'))
            .Order(StringComparer.Ordinal)];
        Assert.That(files, Is.EqualTo(expected));
        Assert.That(files, Does.Contain("slide_files/12/5_3.bin"));
        Assert.That(tiles.Runs(12), Is.EqualTo(new[] { 3 * 12 + 5, 1 }));
        Assert.That(tiles.Runs(11), Is.EqualTo(new[] { 6 + 2, 1 }));
        DeepZoomLevels levels = new(Width, Height);
        byte[] now = picture;
        for (int level = 12; level >= 9; level--)
        {
            Assert.That(Read(levels, level).AsSpan().SequenceEqual(now), $"level {level}");
            now = Halved(now, (int)levels.WidthOf(level), (int)levels.HeightOf(level));
        }

        IEnumerable<string> Covered(int level, int left, int right, int top, int bottom)
        {
            int shrink = 1 << (12 - level);
            for (int row = top / shrink / 256; row <= (bottom - 1) / shrink / 256; row++)
                for (int column = left / shrink / 256; column <= (right - 1) / shrink / 256; column++)
                    yield return Path.Combine(_folder, "slide_files", $"{level}", $"{column}_{row}.bin");
        }
    }

    [Test]
    public void Write_ReadingFails_SaysWhatFailed()
    {
        DeepZoom tiles = new(_folder, "slide", new DeepZoomLevels(1000, 1000), "bin", 1,
            (_, _, _, _) => throw new ImagingException(ImagingError.Damaged, "slide.svs: damaged"), Bytes);
        Assert.That(() => tiles.Write(default),
            Throws.TypeOf<ImagingException>().With.Message.EqualTo("slide.svs: damaged"));
    }

    [Test]
    public void Write_Cancelled_Ends()
    {
        using CancellationTokenSource cancel = new();
        int read = 0;
        DeepZoom tiles = new(_folder, "slide", new DeepZoomLevels(100_000, 100_000), "bin", 1, (_, _, _, _) =>
        {
            if (Interlocked.Increment(ref read) == 3) cancel.Cancel();
            return null;
        }, Bytes);
        Assert.That(() => tiles.Write(cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(read, Is.LessThan(100));
    }

    // A million pixels a side: what is made is a few tiles at a time.
    [Test]
    public void Write_AHugePicture_TakesTheMemoryOfASmallOne()
    {
        const long Side = 60_000;
        int alive = 0, most = 0;
        DeepZoom tiles = new(_folder, "slide", new DeepZoomLevels(Side, Side), "bin", 1, (x, y, width, height) =>
        {
            // What is there is one diagonal: all the rest costs nothing.
            if (x != y) return null;
            int now = Interlocked.Increment(ref alive);
            InterlockedMax(ref most, now);
            return new byte[width * height];
        }, (_, _, _) => null);
        long before = GC.GetAllocatedBytesForCurrentThread();
        tiles.Write(default);
        Assert.That(alive, Is.EqualTo((int)Math.Ceiling(Side / 256.0)));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(60_000_000));
    }

    [Test]
    public void Encode_WithAlpha_IsReadBack()
    {
        VipsLibrary.RequireOrSkip();
        byte[] values = [0, 10, 60, 255];
        byte[] png = LayerColours.Encode(values, 2, 2, LayerColours.Tint)!;
        Raster over = ImageReader.ReadRgb(png);
        Assert.That(over.Pixels.AsSpan(9, 3).ToArray(), Is.EqualTo(new byte[] { 0x28, 0xBE, 0xFF }));
        const int ColourType = 25; // PNG 11.2.2: in IHDR, 6 is true colour with alpha
        Assert.That(png[ColourType], Is.EqualTo(6));
        Assert.That(LayerColours.Encode(new byte[4], 2, 2, LayerColours.Tint), Is.Null, "all transparent");
    }

    [Test]
    public void Heat_ByProbability_GoesFromNothingToYellow()
    {
        Assert.That(LayerColours.Heat[0], Is.Zero);
        Assert.That(LayerColours.Heat[255] & 0xFFFFFF, Is.EqualTo(0x3DF2FF));
        for (int v = 1; v < 256; v++)
            Assert.That(LayerColours.Heat[v] >> 24, Is.GreaterThanOrEqualTo(LayerColours.Heat[v - 1] >> 24));
    }

    static void InterlockedMax(ref int most, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen)
        {
        }
    }

    // Every pixel another one than its neighbours.
    static byte[] Picture(int width, int height)
    {
        byte[] picture = new byte[width * height];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) picture[y * width + x] = (byte)(7 * x + 13 * y + x * y / 64 + 1);
        return picture;
    }

    DeepZoom Write(byte[] picture, int width, int height, EncodeTile encode)
    {
        DeepZoom tiles = new(_folder, "slide", new DeepZoomLevels(width, height), "bin", channels: 1,
            (x, y, w, h) =>
            {
                byte[] tile = new byte[w * h];
                for (int row = 0; row < h; row++)
                    picture.AsSpan((int)((y + row) * width + x), w).CopyTo(tile.AsSpan(row * w));
                return tile.AsSpan().IndexOfAnyExcept((byte)0) < 0 ? null : tile;
            }, encode);
        tiles.Write(default);
        return tiles;
    }

    static byte[] Bytes(byte[] values, int width, int height) => values;

    // A level put together from its files.
    byte[] Read(DeepZoomLevels levels, int level)
    {
        (int width, int height) = ((int)levels.WidthOf(level), (int)levels.HeightOf(level));
        byte[] whole = new byte[width * height];
        string folder = Path.Combine(_folder, "slide_files", level.ToString(CultureInfo.InvariantCulture));
        foreach (string file in Directory.GetFiles(folder))
        {
            string[] place = Path.GetFileNameWithoutExtension(file).Split('_');
            (int column, int row) = (int.Parse(place[0], CultureInfo.InvariantCulture),
                int.Parse(place[1], CultureInfo.InvariantCulture));
            (int w, int h) = levels.Size(level, column, row);
            byte[] tile = File.ReadAllBytes(file);
            Assert.That(tile, Has.Length.EqualTo(w * h), file);
            for (int y = 0; y < h; y++)
                tile.AsSpan(y * w, w).CopyTo(whole.AsSpan((256 * row + y) * width + 256 * column));
        }
        return whole;
    }

    // The plain way: the mean of the up to four pixels that there are, halves upwards.
    static byte[] Halved(byte[] fine, int width, int height)
    {
        (int w, int h) = ((width + 1) / 2, (height + 1) / 2);
        byte[] coarse = new byte[w * h];
        for (int y = 0; y < h; y++)
        {
            for (int x = 0; x < w; x++)
            {
                int sum = 0, count = 0;
                for (int v = 2 * y; v < Math.Min(height, 2 * y + 2); v++)
                    for (int u = 2 * x; u < Math.Min(width, 2 * x + 2); u++)
                        (sum, count) = (sum + fine[v * width + u], count + 1);
                coarse[y * w + x] = (byte)Math.Floor((double)sum / count + 0.5);
            }
        }
        return coarse;
    }
}
