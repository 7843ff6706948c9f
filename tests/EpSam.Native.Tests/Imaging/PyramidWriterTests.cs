// Pyramids are read back by the two libraries that others read them with. Expected levels are halved here by a plain
// loop over whole images.
using System.Buffers.Binary;
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Native.Tests.Imaging;

public sealed class PyramidWriterTests
{
    string _folder = "";

    [OneTimeSetUp]
    public void Begin()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-pyramid-").FullName;
    }

    [OneTimeTearDown]
    public void End()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, true);
    }

    static byte[] Picture(int width, int height, int channels)
    {
        byte[] pixels = new byte[width * height * channels];
        for (int i = 0; i < pixels.Length; i++)
        {
            int x = i / channels % width, y = i / channels / width;
            pixels[i] = (byte)(x / 4 * 3 + y / 4 * 5 + 60 * (i % channels));
        }
        return pixels;
    }

    static byte[] Half(byte[] pixels, int width, int height, int channels, Func<byte[], byte> one)
    {
        byte[] half = new byte[(width / 2) * (height / 2) * channels];
        for (int i = 0; i < half.Length; i++)
        {
            int c = i % channels, x = 2 * (i / channels % (width / 2)), y = 2 * (i / channels / (width / 2));
            half[i] = one([At(x, y), At(x + 1, y), At(x, y + 1), At(x + 1, y + 1)]);

            byte At(int column, int row) => pixels[(row * width + column) * channels + c];
        }
        return half;
    }

    static byte Mean(byte[] four) => (byte)((four.Sum(v => v) + 2) / 4);

    static byte Class(byte[] four) => four.Order().ElementAt(2);

    string NewPath() => Path.Combine(_folder, $"{Guid.NewGuid():N}.tif");

    // What lies beyond the edges is nobody's business: it is filled with what must not show.
    static byte[] TileOf(byte[] pixels, int width, int height, int channels, int column, int row, int tile)
    {
        byte[] cut = new byte[tile * tile * channels];
        cut.AsSpan().Fill(0xA5);
        int columns = Math.Min(tile, width - column * tile);
        for (int y = 0; y < Math.Min(tile, height - row * tile); y++)
        {
            pixels.AsSpan(((row * tile + y) * width + column * tile) * channels, columns * channels)
                .CopyTo(cut.AsSpan(y * tile * channels));
        }
        return cut;
    }

    string Write(byte[] pixels, int width, int height, int channels, PyramidOptions options, int? shuffle = null,
        int threads = 1)
    {
        string path = NewPath();
        using PyramidWriter writer = new(path, width, height, channels, options);
        (int, int)[] tiles = [.. from row in Enumerable.Range(0, writer.Rows)
            from column in Enumerable.Range(0, writer.Columns) select (column, row)];
        if (shuffle is int seed) new Random(seed).Shuffle(tiles);
        Parallel.ForEach(tiles, new ParallelOptions { MaxDegreeOfParallelism = threads }, at => writer.WriteTile(
            at.Item1, at.Item2, TileOf(pixels, width, height, channels, at.Item1, at.Item2, options.Tile)));
        Assert.That(File.Exists(path), Is.False);
        writer.Complete();
        return path;
    }

    static byte[] Grey(byte[] rgb) => [.. rgb.Where((_, i) => i % 3 == 0)];

    static Slide[] Readers(string path) =>
        OpenSlideLibrary.IsThere ? [Slide.Open(path), ByVips(path)] : [ByVips(path)];

    static VipsSlide ByVips(string path) => new(path, ImageFormat.Of(File.ReadAllBytes(path).AsSpan(0, 16))!);

    [TestCase(1100, 700, 3, 256)]
    [TestCase(1100, 700, 1, 256)]
    [TestCase(257, 257, 1, 256)]
    [TestCase(256, 256, 3, 256)]
    [TestCase(1, 1, 3, 256)]
    [TestCase(1, 1, 1, 256)]
    [TestCase(300, 1, 3, 256)]
    [TestCase(517, 263, 3, 32)]
    [TestCase(17, 200, 1, 16)]
    public void Pyramid_AllLevels_AreReadBackExactly(int width, int height, int channels, int tile)
    {
        byte[] pixels = Picture(width, height, channels);
        string path = Write(pixels, width, height, channels, new() { Mpp = 0.5, Tile = tile });
        List<(long, long)> sizes = [(width, height)];
        for (int w = width, h = height; (w > tile || h > tile) && w > 1 && h > 1; sizes.Add((w, h)))
            (w, h) = (w / 2, h / 2);
        foreach (Slide slide in Readers(path))
        {
            using Slide open = slide;
            Assert.That(slide.Levels.Select(l => (l.Width, l.Height)), Is.EqualTo(sizes), slide.Vendor);
            Assert.That(slide.MppX, Is.EqualTo(0.5).Within(1e-8), slide.Vendor);
            byte[] expected = pixels;
            for (int i = 0; i < slide.Levels.Count; i++)
            {
                (int w, int h) = ((int)slide.Levels[i].Width, (int)slide.Levels[i].Height);
                if (i > 0) expected = Half(expected, width >> (i - 1), height >> (i - 1), channels, Mean);
                byte[] read = slide.ReadRegion(i, 0, 0, w, h).Pixels;
                Assert.That((channels == 3 ? read : Grey(read)).SequenceEqual(expected), $"{slide.Vendor}, level {i}");
            }
        }
        Assert.That(Directory.GetFiles(_folder, ".*"), Is.Empty, "no temporary file is left");
    }

    [TestCase(85)]
    [TestCase(95)]
    public void Jpeg_IsNear_AtAllLevelsAndEdges(int quality)
    {
        const int Width = 700, Height = 600;
        byte[] pixels = new byte[Width * Height * 3];
        for (int i = 0; i < pixels.Length; i++)
        {
            int x = i / 3 % Width, y = i / 3 / Width;
            pixels[i] = (byte)(128 + 60 * Math.Sin(x / 60.0 + i % 3) + 50 * Math.Cos(y / 90.0 - i % 3));
        }
        PyramidOptions options = new() { Compression = PyramidCompression.Jpeg, Quality = quality };
        string path = Write(pixels, Width, Height, 3, options);
        Assert.That(new FileInfo(path).Length, Is.LessThan(pixels.Length / 5));
        foreach (Slide slide in Readers(path))
        {
            using Slide open = slide;
            byte[] expected = pixels;
            Assert.That(slide.Levels, Has.Count.EqualTo(3), slide.Vendor);
            for (int i = 0; i < 3; i++)
            {
                if (i > 0) expected = Half(expected, Width >> (i - 1), Height >> (i - 1), 3, Mean);
                byte[] read = slide.ReadRegion(i, 0, 0, Width >> i, Height >> i).Pixels;
                int[] off = [.. read.Select((v, at) => Math.Abs(v - expected[at]))];
                Assert.That(off.Average(), Is.LessThan(1.5), $"{slide.Vendor}, level {i}");
                Assert.That(off.Max(), Is.LessThan(20), $"{slide.Vendor}, level {i}");
            }
        }
    }

    [Test]
    public void Jpeg_OfGrey_IsNear()
    {
        byte[] pixels = [.. Enumerable.Range(0, 300 * 300).Select(i => (byte)(i % 300 / 2 + i / 300 / 4))];
        string path = Write(pixels, 300, 300, 1, new() { Compression = PyramidCompression.Jpeg });
        foreach (Slide slide in Readers(path))
        {
            using Slide open = slide;
            byte[] read = Grey(slide.ReadRegion(0, 0, 0, 300, 300).Pixels);
            Assert.That(read.Select((v, i) => Math.Abs(v - pixels[i])).Max(), Is.LessThan(8), slide.Vendor);
        }
    }

    [Test]
    public void Classes_AreNotMixed()
    {
        byte[] pixels = new byte[512 * 512];
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(i % 512 % 5 < 3 ? i / 512 % 7 < 4 ? 2 : 1 : 0);
        string path = Write(pixels, 512, 512, 1, new() { IsClasses = true });
        using Slide slide = Slide.Open(path);
        Assert.That(slide.Levels, Has.Count.EqualTo(2));
        Assert.That(Grey(slide.ReadRegion(1, 0, 0, 256, 256).Pixels), Is.EqualTo(Half(pixels, 512, 512, 1, Class)));
    }

    [TestCase(PyramidCompression.Deflate)]
    [TestCase(PyramidCompression.Jpeg)]
    public void TilesThatAreNotWritten_AreBackground_AndShareOneInTheFile(PyramidCompression compression)
    {
        const int Side = 10_000, Tile = 256;
        string path = NewPath();
        PyramidOptions options = new() { Compression = compression, Background = 200 };
        byte[] black = new byte[3 * Tile * Tile], background = new byte[3 * Tile * Tile];
        background.AsSpan().Fill(200);
        using (PyramidWriter writer = new(path, Side, Side, 3, options))
        {
            writer.WriteTile(7, 5, black);
            writer.WriteTile(39, 39, black);
            writer.WriteTile(38, 38, black);
            writer.WriteTile(20, 20, background);
            writer.Complete();
        }
        Assert.That(new FileInfo(path).Length, Is.LessThan(100_000));
        using Slide slide = Slide.Open(path);
        int level = slide.Levels.Count - 1, x = 7 * Tile, y = 5 * Tile;
        Assert.That(Value(0, x, y), Is.EqualTo(0));
        Assert.That(Value(0, x - Tile, y), Is.EqualTo(200));
        Assert.That(Value(0, 20 * Tile + 9, 20 * Tile + 9), Is.EqualTo(200));
        Assert.That(Value(0, Side - 1, Side - 1), Is.EqualTo(0));
        Assert.That(slide.Levels[level].Width, Is.EqualTo(Side >> level));
        Assert.That(Value(level, x + Tile / 2, y + Tile / 2), Is.EqualTo(0).Within(30));
        Assert.That(Value(level, Side / 2, Side / 2), Is.EqualTo(200));
        Assert.That(Value(level, 38 * Tile + Tile / 2, 38 * Tile + Tile / 2), Is.EqualTo(0).Within(30));

        int Value(int at, int left, int top) => slide.ReadRegion(at, left, top, 1, 1).Pixels[1];
    }

    [TestCase(3, 32 << 20)]
    [TestCase(1, 32 << 20)]
    [TestCase(3, 20_000)]
    public void Bytes_OfAnyOrderAndThreads_AreTheSame(int channels, int partialBytes)
    {
        byte[] pixels = Picture(900, 1100, channels);
        PyramidOptions options = new() { Tile = 64, PartialBytes = partialBytes };
        byte[] inOrder = File.ReadAllBytes(Write(pixels, 900, 1100, channels, new() { Tile = 64 }));
        foreach ((int seed, int threads) in new[] { (1, 1), (2, 4), (3, 4) })
        {
            byte[] other = File.ReadAllBytes(Write(pixels, 900, 1100, channels, options, seed, threads));
            Assert.That(other.AsSpan().SequenceEqual(inOrder), $"seed {seed}");
        }
    }

    [Test]
    public void Partial_TilesBeyondTheLimit_WaitOnTheDisk()
    {
        string path = NewPath();
        using TileSpool spool = new(path);
        PartialTiles partials = new(spool, 16, 1, 9, 1024);
        for (int i = 0; i < 20; i++) Assert.That(partials.Add(1, 2 * i, 0, 2, [.. Quarter(i)]), Is.Null);
        Assert.That(new FileInfo(path).Length, Is.EqualTo(16 * 256), "four fit");
        for (int i = 0; i < 20; i++)
        {
            byte[] whole = partials.Add(1, 2 * i + 1, 1, 2, [.. Quarter(100 + i)])!;
            Assert.That(whole[0], Is.EqualTo(i));
            Assert.That(whole[8], Is.EqualTo(9));
            Assert.That(whole[8 * 16 + 8], Is.EqualTo(100 + i));
        }
        Assert.That(partials.Left(1), Is.Empty);

        static IEnumerable<byte> Quarter(int value) => Enumerable.Repeat((byte)value, 64);
    }

    [Test]
    public void Incomplete_LeavesNothing()
    {
        string path = Path.Combine(_folder, "none.tif");
        using (PyramidWriter writer = new(path, 300, 300, 1))
        {
            writer.WriteTile(0, 0, new byte[256 * 256]);
            Assert.That(Directory.GetFiles(_folder, ".none.tif.*.tmp"), Is.Not.Empty, "as they are looked for");
        }
        Assert.That(Directory.GetFiles(_folder, "*none*"), Is.Empty);
    }

    [Test]
    public void Tiles_TwiceOrOutsideOrOfAnotherSize_AreRefused()
    {
        string path = NewPath();
        byte[] tile = new byte[256 * 256];
        using PyramidWriter writer = new(path, 300, 200, 1);
        Assert.That((writer.Columns, writer.Rows), Is.EqualTo((2, 1)));
        writer.WriteTile(1, 0, tile);
        Assert.That(() => writer.WriteTile(1, 0, tile), Throws.InvalidOperationException.With.Message.Contains("1, 0"));
        Assert.That(() => writer.WriteTile(2, 0, tile), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => writer.WriteTile(0, 1, tile), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => writer.WriteTile(-1, 0, tile), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => writer.WriteTile(0, 0, tile.AsSpan(1)), Throws.ArgumentException);
        writer.Complete();
        Assert.That(() => writer.WriteTile(0, 0, tile), Throws.InvalidOperationException);
        Assert.That(writer.Complete, Throws.InvalidOperationException);
        Assert.That(File.Exists(path));
    }

    [Test]
    public void Folder_ThatIsNotThere_IsAnIoException()
    {
        Assert.That(() => new PyramidWriter(Path.Combine(_folder, "no", "x.tif"), 10, 10, 1).Dispose(),
            Throws.InstanceOf<IOException>());
    }

    [TestCase(0.25)]
    [TestCase(0.5)]
    [TestCase(0.243)]
    [TestCase(0.2264)]
    [TestCase(0.497463)]
    [TestCase(1)]
    [TestCase(4)]
    [TestCase(1.0 / 3)]
    [TestCase(0.49976)]
    public void Mpp_IsReadAsItWasWritten(double mpp)
    {
        foreach (Slide slide in Readers(Write(new byte[100], 10, 10, 1, new() { Mpp = mpp })))
        {
            using Slide open = slide;
            Assert.That(slide.MppX, Is.EqualTo(mpp).Within(1e-7 * mpp), slide.Vendor); // libtiff keeps 32 bits
            Assert.That(slide.MppY, Is.EqualTo(slide.MppX), slide.Vendor);
        }
    }

    // More than 4 GiB are not written in a test: the tables are those of a slide that large.
    [Test]
    public void Slide_Of400000Pixels_OpensAtOnce()
    {
        string path = NewPath();
        using (PyramidWriter writer = new(path, 400_000, 400_000, 1))
        {
            byte[] tile = new byte[256 * 256];
            tile.AsSpan().Fill(90);
            writer.WriteTile(writer.Columns - 1, writer.Rows - 1, tile);
            writer.Complete();
        }
        byte[] head = new byte[16];
        using (FileStream file = File.OpenRead(path)) file.ReadExactly(head);
        Assert.That(BinaryPrimitives.ReadInt16LittleEndian(head.AsSpan(2)), Is.EqualTo(43), "BigTIFF");
        using Slide slide = Slide.Open(path);
        Assert.That(slide.Levels, Has.Count.EqualTo(12));
        Assert.That(slide.ReadRegion(0, 399_999, 399_999, 1, 1).Pixels[0], Is.EqualTo(90));
        Assert.That(slide.ReadRegion(0, 200_000, 200_000, 1, 1).Pixels[0], Is.EqualTo(0));
    }
}
