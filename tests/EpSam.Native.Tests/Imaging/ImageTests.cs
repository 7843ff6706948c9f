// Reading and writing images. Files are made here: PNG and TIFF byte by byte (so that every kind of sample is exact and
// known), JPEG and WebP by libvips, damage by cutting and overwriting.
using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using EpSam.Imaging;

namespace EpSam.Native.Tests.Imaging;

public sealed class ImageTests
{
    string folder = "";

    [OneTimeSetUp]
    public void LibraryIsThere()
    {
        VipsLibrary.RequireOrSkip();
        folder = Directory.CreateTempSubdirectory("epsam-images-").FullName;
    }

    [OneTimeTearDown]
    public void Clean()
    {
        if (folder.Length > 0) Directory.Delete(folder, recursive: true);
    }

    // Reads from memory and from a file: both must agree.
    Raster Read(byte[] file, ImageReadOptions? options = null)
    {
        string path = Path.Combine(folder, "image with [brackets] & ü.bin");
        File.WriteAllBytes(path, file);
        Raster fromMemory = ImageReader.ReadRgb(file, options), fromFile = ImageReader.ReadRgb(path, options);
        Assert.That(fromFile.Pixels, Is.EqualTo(fromMemory.Pixels));
        Assert.That((fromFile.Width, fromFile.Height), Is.EqualTo((fromMemory.Width, fromMemory.Height)));
        return fromMemory;
    }

    static ImagingException Refused(byte[] file, ImagingError kind, ImageReadOptions? options = null)
    {
        ImagingException error = Assert.Throws<ImagingException>(() => ImageReader.ReadRgb(file, options, "x.bin"));
        Assert.That(error.Kind, Is.EqualTo(kind), error.Message);
        Assert.That(error.Message, Does.StartWith("x.bin: "));
        return error;
    }

    static byte[] Noise(int count, int seed = 1)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    static byte[] Repeat(IEnumerable<byte> grey) => [.. grey.SelectMany(v => new[] { v, v, v })];

    // ---- kinds of samples

    [TestCase(1)]
    [TestCase(3)]
    public void Png_Written_ReadsBackExactly(int channels)
    {
        byte[] pixels = Noise(31 * 17 * channels);
        Raster image = Read(ImageWriter.EncodePng(pixels, 31, 17, channels));
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((31, 17, 3)));
        Assert.That(image.Pixels, Is.EqualTo(channels == 3 ? pixels : Repeat(pixels)));
    }

    [Test]
    public void Png_OnePixel_IsRead() =>
        Assert.That(Read(ImageFiles.Png(1, 1, 8, 2, [9, 8, 7])).Pixels, Is.EqualTo(new byte[] { 9, 8, 7 }));

    [Test]
    public void Png_VeryWide_IsRead()
    {
        byte[] pixels = Noise(20_000 * 10 * 3);
        Raster image = Read(ImageFiles.Png(20_000, 10, 8, 2, pixels));
        Assert.That((image.Width, image.Height), Is.EqualTo((20_000, 10)));
        Assert.That(image.Pixels, Is.EqualTo(pixels));
    }

    // Samples are stored big endian: the upper byte stays.
    [TestCase(0, 1, 1)]
    [TestCase(2, 3, 3)]
    [TestCase(4, 2, 1)]
    [TestCase(6, 4, 3)]
    public void Png_SixteenBits_KeepTheUpperByte(int colourType, int bands, int colours)
    {
        byte[] samples = Noise(5 * 3 * bands * 2);
        byte[] upper = [.. samples.Chunk(2 * bands).SelectMany(p => p.Take(2 * colours).Where((_, i) => i % 2 == 0))];
        Raster image = Read(ImageFiles.Png(5, 3, 16, colourType, samples));
        Assert.That(image.Pixels, Is.EqualTo(colours == 3 ? upper : Repeat(upper)));
    }

    [Test]
    public void Png_OneBit_IsBlackAndWhite()
    {
        // 10 pixels a row: two bytes, the last six bits unused.
        Raster image = Read(ImageFiles.Png(10, 1, 1, 0, [0b1010_0000, 0b0100_0000]));
        Assert.That(image.Pixels, Is.EqualTo(Repeat([255, 0, 255, 0, 0, 0, 0, 0, 0, 255])));
    }

    [Test]
    public void Png_Palette_IsExpanded()
    {
        byte[] file = ImageFiles.Png(2, 1, 8, 3, [1, 0], ("PLTE", [10, 20, 30, 40, 50, 60]));
        Assert.That(Read(file).Pixels, Is.EqualTo(new byte[] { 40, 50, 60, 10, 20, 30 }));
    }

    [Test]
    public void Png_Alpha_IsDroppedOrOverWhite()
    {
        byte[] file = ImageFiles.Png(3, 1, 8, 6, [200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 51]);
        Assert.That(Read(file).Pixels, Is.EqualTo(new byte[] { 200, 100, 0, 200, 100, 0, 200, 100, 0 }));
        // A fifth of the colour and four fifths of white: 244, 224, 204.
        Assert.That(Read(file, new() { Alpha = Alpha.OverWhite }).Pixels,
            Is.EqualTo(new byte[] { 200, 100, 0, 255, 255, 255, 244, 224, 204 }).Within(1));
    }

    [Test]
    public void Png_GreyAlphaSixteenBits_IsComposedOverWhite()
    {
        byte[] file = ImageFiles.Png(2, 1, 16, 4, [0x80, 0, 0xFF, 0xFF, 0x80, 0, 0, 0]);
        Assert.That(Read(file, new() { Alpha = Alpha.OverWhite }).Pixels, Is.EqualTo(Repeat([0x80, 0xFF])));
    }

    [Test]
    public void Tiff_EightAndSixteenBits_AreRead()
    {
        byte[] rgb = Noise(7 * 5 * 3), wide = Noise(7 * 5 * 3 * 2);
        Assert.That(Read(ImageFiles.Tiff(7, 5, 8, 3, 2, rgb)).Pixels, Is.EqualTo(rgb));
        // Little endian: the upper byte comes second.
        Assert.That(Read(ImageFiles.Tiff(7, 5, 16, 3, 2, wide)).Pixels, Is.EqualTo(wide.Where((_, i) => i % 2 == 1)));
    }

    [Test]
    public void Tiff_WhiteIsZero_IsTurnedRound() =>
        Assert.That(Read(ImageFiles.Tiff(2, 1, 8, 1, 0, [0, 200])).Pixels, Is.EqualTo(Repeat([255, 55])));

    // Without ink white, with all ink black; the colours between are a profile's business.
    [Test]
    public void Tiff_Cmyk_BecomesRgb()
    {
        byte[] inks = [0, 0, 0, 0, 255, 255, 255, 255, 0, 255, 255, 0, 255, 0, 0, 0];
        byte[] pixels = Read(ImageFiles.Tiff(4, 1, 8, 4, 5, inks)).Pixels;
        Assert.That(pixels[..3], Is.All.GreaterThan(245), "paper");
        Assert.That(pixels[3..6], Is.All.LessThan(60), "all inks");
        Assert.That(pixels[6] > 150 && pixels[7] < 100 && pixels[8] < 100, Is.True, "magenta and yellow are red");
        Assert.That(pixels[9] < 120 && pixels[11] > 150, Is.True, "cyan");
    }

    [TestCase(32, 3, "UInt")]
    [TestCase(8, 7, "7 bands")]
    public void Tiff_OtherSamples_AreUnsupported(int bits, int bands, string part)
    {
        byte[] file = ImageFiles.Tiff(2, 2, bits, bands, bands == 3 ? 2 : 1, new byte[4 * bands * bits / 8]);
        Assert.That(Refused(file, ImagingError.Unsupported).Message, Does.Contain(part));
    }

    [Test]
    public void Tiff_UnknownCompression_IsUnsupported()
    {
        // Again and again: an error found on a thread of libvips must not get lost.
        for (int i = 0; i < 100; i++)
            Refused(ImageFiles.Tiff(2, 1, 8, 1, 1, [0, 200], compression: 52_479), ImagingError.Unsupported);
    }

    [Test]
    public void Jpeg_Written_ReadsBackNearly()
    {
        byte[] pixels = new byte[40 * 30 * 3];
        for (int i = 0; i < 40 * 30; i++)
            (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = ((byte)(i % 40 * 6), (byte)(i / 40 * 8), 128);
        byte[] file = ImageWriter.EncodeJpeg(pixels, 40, 30, 3, quality: 95);
        Raster image = Read(file);
        Assert.That(image.Pixels.Zip(pixels, (a, b) => Math.Abs(a - b)).Max(), Is.LessThanOrEqualTo(8));
    }

    // ---- orientation: 3 x 2 pixels numbered 0..5, told by TIFF's tag

    [TestCase(1, 3, "0 1 2 3 4 5")]
    [TestCase(2, 3, "2 1 0 5 4 3")]
    [TestCase(3, 3, "5 4 3 2 1 0")]
    [TestCase(4, 3, "3 4 5 0 1 2")]
    [TestCase(5, 2, "0 3 1 4 2 5")]
    [TestCase(6, 2, "3 0 4 1 5 2")]
    [TestCase(7, 2, "5 2 4 1 3 0")]
    [TestCase(8, 2, "2 5 1 4 0 3")]
    public void Orientation_AllEight_AreApplied(int orientation, int width, string expected)
    {
        byte[] file = ImageFiles.Tiff(3, 2, 8, 1, 1, [0, 1, 2, 3, 4, 5], orientation);
        Raster image = Read(file);
        Assert.That(image.Width, Is.EqualTo(width));
        Assert.That(string.Join(' ', image.Pixels.Where((_, i) => i % 3 == 0)), Is.EqualTo(expected));
        Raster stored = Read(file, new() { ApplyOrientation = false });
        Assert.That(string.Join(' ', stored.Pixels.Where((_, i) => i % 3 == 0)), Is.EqualTo("0 1 2 3 4 5"));
    }

    // The same through EXIF: an APP1 segment put behind the start of a JPEG. Left half black, right half white, turned
    // to the right.
    [Test]
    public void Jpeg_ExifOrientation_IsApplied()
    {
        byte[] pixels = [.. Enumerable.Range(0, 32 * 16).Select(i => (byte)(i % 32 < 16 ? 0 : 255))];
        Raster image = Read(ImageFiles.WithExifOrientation(ImageWriter.EncodeJpeg(pixels, 32, 16, 1), 6));
        Assert.That((image.Width, image.Height), Is.EqualTo((16, 32)));
        Assert.That(image.Pixels[(2 * 16 + 8) * 3], Is.Zero);
        Assert.That(image.Pixels[(29 * 16 + 8) * 3], Is.EqualTo((byte)255));
    }

    [Test]
    public void ReadGrey_ColourAndGrey_GiveOneChannel()
    {
        Raster grey = ImageReader.ReadGrey(ImageFiles.Png(3, 1, 8, 0, [0, 1, 255]));
        Assert.That((grey.Channels, grey.Pixels), Is.EqualTo((1, new byte[] { 0, 1, 255 })));
        Raster colour = ImageReader.ReadGrey(ImageFiles.Png(2, 1, 8, 2, [255, 255, 255, 0, 0, 0]));
        Assert.That(colour.Pixels, Is.EqualTo(new byte[] { 255, 0 }));
    }

    [Test]
    public void ReadInfo_Tiff_TellsTheHeader()
    {
        string path = Path.Combine(folder, "info.tif");
        File.WriteAllBytes(path, ImageFiles.Tiff(3, 2, 16, 1, 1, new byte[12], 6));
        Assert.That(ImageReader.ReadInfo(path), Is.EqualTo(new ImageInfo("TIFF", 3, 2, 1, 16, 6)));
    }

    // ---- bad input

    [Test]
    public void Empty_File_IsNotAnImage() =>
        Assert.That(Refused([], ImagingError.NotAnImage).Message,
            Is.EqualTo("x.bin: empty; expected PNG, JPEG, TIFF or WebP"));

    [TestCase("hello, world")]
    [TestCase("<svg xmlns='http://www.w3.org/2000/svg'/>")]
    [TestCase("I")]
    public void Text_File_IsNotAnImage(string text) => Refused(Encoding.ASCII.GetBytes(text), ImagingError.NotAnImage);

    [TestCase("GIF89a______", "GIF")]
    [TestCase("%PDF-1.4", "PDF")]
    [TestCase("BM__________", "BMP")]
    public void KnownFormat_NotRead_IsNamed(string head, string format) =>
        Assert.That(Refused(Encoding.ASCII.GetBytes(head), ImagingError.Unsupported).Message, Does.Contain(format));

    [Test]
    public void Missing_File_IsFileNotFound() =>
        Assert.Throws<FileNotFoundException>(() => ImageReader.ReadRgb(Path.Combine(folder, "no such.png")));

    [Test]
    public void Truncated_Files_AreDamaged()
    {
        byte[] pixels = Noise(64 * 64 * 3);
        foreach (byte[] file in new[]
        {
            ImageWriter.EncodePng(pixels, 64, 64, 3), ImageWriter.EncodeJpeg(pixels, 64, 64, 3),
            ImageFiles.Tiff(64, 64, 8, 3, 2, pixels), WebP(pixels),
        })
        {
            foreach (int keep in new[] { 20, file.Length / 3, file.Length * 9 / 10 })
                Refused(file[..keep], ImagingError.Damaged);
        }
    }

    static unsafe byte[] WebP(byte[] pixels)
    {
        fixed (byte* data = pixels)
        {
            using VipsScope scope = new("test");
            nint image = scope.View(data, 64, 64, 3);
            image = scope.Run(ImagingError.CannotEncode, "copy", image, ("interpretation", "srgb"));
            return scope.Encode("webpsave_buffer", image, ("lossless", "true"));
        }
    }

    [Test]
    public void WebP_Lossless_ReadsBackExactly()
    {
        byte[] pixels = Noise(64 * 64 * 3);
        Assert.That(Read(WebP(pixels)).Pixels, Is.EqualTo(pixels));
    }

    [Test]
    public void Overwritten_Files_AreReadOrRefused()
    {
        byte[] pixels = Noise(24 * 24 * 3);
        byte[][] files =
        [
            ImageWriter.EncodePng(pixels, 24, 24, 3), ImageWriter.EncodeJpeg(pixels, 24, 24, 3),
            ImageFiles.Tiff(24, 24, 8, 3, 2, pixels), WebP(Noise(64 * 64 * 3)),
        ];
        Random random = new(5);
        for (int i = 0; i < 1_500; i++)
        {
            byte[] file = [.. files[i % files.Length]];
            int within = Math.Min(file.Length, 200);
            for (int k = random.Next(1, 5); k > 0; k--) file[random.Next(within)] = (byte)random.Next(256);
            try
            {
                ImageReader.ReadRgb(file, new() { Limits = new(1 << 20, 4_096) });
            }
            catch (ImagingException e)
            {
                Assert.That(e.Kind, Is.Not.EqualTo(ImagingError.LibraryMissing));
            }
        }
    }

    [Test]
    public void TooLarge_ByHeaderAlone_IsRefused()
    {
        // 60,000 x 60,000 pixels by the header, with data for none.
        byte[] file = ImageFiles.Png(60_000, 60_000, 8, 2, []);
        long before = GC.GetAllocatedBytesForCurrentThread();   // the reader's thread; not what the test runner does
        Assert.That(Refused(file, ImagingError.TooLarge).Message,
            Is.EqualTo("x.bin: 60000 x 60000 pixels; the limits are 134217728 pixels and 65535 a side"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [TestCase(199, 65_535)]
    [TestCase(200, 19)]
    public void TooLarge_ByOwnLimits_IsRefused(long pixels, int side) =>
        Refused(ImageFiles.Png(20, 10, 8, 0, new byte[200]), ImagingError.TooLarge,
            new() { Limits = new(pixels, side) });

    [Test]
    public void Limits_ExactlyReached_AreFine()
    {
        byte[] file = ImageFiles.Png(20, 10, 8, 0, new byte[200]);
        Assert.That(Read(file, new() { Limits = new(200, 20) }).Width, Is.EqualTo(20));
    }

    [Test]
    public void Library_Missing_NamesWhatWasLookedFor() =>
        Assert.That(() => Vips.Load("libvips", ["libnothere.so.1", "libnothere.so.2"]),
            Throws.TypeOf<DllNotFoundException>().With.Message.Contains("libnothere.so.1, libnothere.so.2"));

    // ---- writing

    [Test]
    public void Write_Twice_SameBytesAndNothingElse()
    {
        string inner = Directory.CreateDirectory(Path.Combine(folder, "out")).FullName;
        string path = Path.Combine(inner, "mask.png");
        byte[] pixels = Noise(10 * 9);
        ImageWriter.WritePng(path, pixels, 10, 9, 1);
        byte[] first = File.ReadAllBytes(path);
        ImageWriter.WritePng(path, new Raster(10, 9, 1, pixels));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(first));
        Assert.That(Directory.GetFileSystemEntries(inner), Is.EqualTo(new[] { path }));
        Assert.That(ImageReader.ReadGrey(path).Pixels, Is.EqualTo(pixels));
    }

    [Test]
    public void Write_OverAFolder_FailsAndLeavesNothing()
    {
        string inner = Directory.CreateDirectory(Path.Combine(folder, "busy", "taken.png")).Parent!.FullName;
        Assert.That(() => ImageWriter.WritePng(Path.Combine(inner, "taken.png"), new byte[4], 2, 2, 1),
            Throws.InstanceOf<IOException>().Or.InstanceOf<UnauthorizedAccessException>());
        Assert.That(Directory.GetFiles(inner), Is.Empty);
    }

    [Test]
    public void Write_WrongSizes_AreRefused()
    {
        Assert.Throws<ArgumentException>(() => ImageWriter.EncodePng(new byte[5], 2, 2, 1));
        Assert.Throws<ArgumentException>(() => ImageWriter.EncodePng(new byte[8], 2, 2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => ImageWriter.EncodeJpeg(new byte[4], 2, 2, 1, quality: 0));
    }

    [Test]
    public void Read_ManyThreads_SameResult()
    {
        byte[] pixels = Noise(100 * 80 * 3), file = ImageWriter.EncodePng(pixels, 100, 80, 3);
        Parallel.For(0, 40, _ => Assert.That(ImageReader.ReadRgb(file).Pixels, Is.EqualTo(pixels)));
    }
}

/// <summary>Image files byte by byte.</summary>
static class ImageFiles
{
    /// <summary>
    /// A PNG; rows of <paramref name="samples"/> without filter bytes. An empty list leaves the data out.
    /// </summary>
    public static byte[] Png(
        int width, int height, int bits, int colourType, byte[] samples, params (string, byte[])[] more)
    {
        MemoryStream file = new();
        file.Write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]);
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = ((byte)bits, (byte)colourType);
        Chunk(file, "IHDR", header);
        foreach ((string name, byte[] data) in more) Chunk(file, name, data);
        MemoryStream packed = new();
        using (ZLibStream zip = new(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            int stride = samples.Length / height;
            for (int y = 0; samples.Length > 0 && y < height; y++)
            {
                zip.WriteByte(0);
                zip.Write(samples, y * stride, stride);
            }
        }
        Chunk(file, "IDAT", packed.ToArray());
        Chunk(file, "IEND", []);
        return file.ToArray();
    }

    static void Chunk(MemoryStream file, string name, byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(name), .. data], word = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(word, data.Length);
        file.Write(word);
        file.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(word, Crc(body));
        file.Write(word);
    }

    static uint Crc(byte[] data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
        {
            crc ^= b;
            for (int k = 0; k < 8; k++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }
        return ~crc;
    }

    /// <summary>A little-endian TIFF of one uncompressed strip.</summary>
    public static byte[] Tiff(
        int width, int height, int bits, int bands, int photometric, byte[] samples,
        int orientation = 1, int compression = 1)
    {
        List<(int Tag, int Type, int Count, int Value)> tags =
        [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, bits), (259, 3, 1, compression),
            (262, 3, 1, photometric),
            (273, 4, 1, 0), (274, 3, 1, orientation), (277, 3, 1, bands), (278, 4, 1, height),
            (279, 4, 1, samples.Length), (284, 3, 1, 1),
        ];
        int extra = bands - (photometric == 2 ? 3 : photometric == 5 ? 4 : 1);
        if (extra is 1) tags.Add((338, 3, 1, 0));
        int directory = 2 + tags.Count * 12 + 4, bitsAt = 8 + directory, data = bitsAt + bands * 2;
        MemoryStream file = new();
        BinaryWriter w = new(file);
        w.Write("II*\0"u8);
        w.Write(8);
        w.Write((short)tags.Count);
        foreach ((int tag, int type, int count, int value) in tags)
        {
            w.Write((short)tag);
            w.Write((short)type);
            w.Write(count);
            w.Write(tag == 273 ? data : tag == 258 && bands > 2 ? bitsAt : value);
        }
        w.Write(0);
        for (int i = 0; i < bands; i++) w.Write((short)bits);
        w.Write(samples);
        return file.ToArray();
    }

    /// <summary>A JPEG with an EXIF segment that holds nothing but an orientation.</summary>
    public static byte[] WithExifOrientation(byte[] jpeg, byte orientation)
    {
        byte[] tiff = [.. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
        byte[] body = [.. "Exif\0\0"u8, .. tiff];
        return [0xFF, 0xD8, 0xFF, 0xE1, 0, (byte)(body.Length + 2), .. body, .. jpeg[2..]];
    }
}
