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

    string Write(byte[] pixels, int width, int height, int channels, PyramidOptions options)
    {
        string path = Path.Combine(_folder, $"{Guid.NewGuid():N}.tif");
        using PyramidWriter writer = new(path, width, height, channels, options);
        for (int row = 0; row < height; row += 100)
            writer.Write(pixels.AsSpan(row * width * channels, Math.Min(100, height - row) * width * channels));
        Assert.That(File.Exists(path), Is.False);
        writer.Complete();
        return path;
    }

    [TestCase(3)]
    [TestCase(1)]
    public void Pyramid_ReadsBackExactlyAndInLevels(int channels)
    {
        byte[] pixels = Picture(1100, 700, channels);
        string path = Write(pixels, 1100, 700, channels, new() { Mpp = 0.5 });
        using Slide slide = Slide.Open(path);
        Assert.That(slide.Levels.Select(l => (l.Width, l.Height)),
            Is.EqualTo(new[] { (1100L, 700L), (550L, 350L), (275L, 175L), (137L, 87L) }));
        Assert.That(slide.MppX, Is.EqualTo(0.5).Within(1e-5));
        byte[] expected = channels == 3 ? pixels : [.. pixels.SelectMany(v => new[] { v, v, v })];
        Assert.That(slide.ReadRegion(0, 0, 0, 1100, 700).Pixels.AsSpan().SequenceEqual(expected));
        Assert.That(slide.ReadRegion(1, 0, 0, 4, 1).Pixels[0], Is.EqualTo(pixels[0]).Within(1), "4 x 4 of one value");
        Assert.That(Directory.GetFiles(_folder, ".*"), Is.Empty, "no temporary file is left");
    }

    [Test]
    public void Jpeg_IsSmallerAndNear()
    {
        byte[] pixels = Picture(600, 600, 3);
        string path = Write(pixels, 600, 600, 3, new() { Compression = PyramidCompression.Jpeg, Quality = 90 });
        using Slide slide = Slide.Open(path);
        byte[] read = slide.ReadRegion(0, 0, 0, 600, 600).Pixels;
        Assert.That(Enumerable.Range(0, read.Length).Average(i => Math.Abs(read[i] - pixels[i])), Is.LessThan(8));
    }

    [Test]
    public void Classes_AreNotMixed()
    {
        byte[] pixels = new byte[512 * 512];
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(i % 512 % 5 < 3 ? 255 : 0);
        string path = Write(pixels, 512, 512, 1, new() { IsClasses = true });
        using Slide slide = Slide.Open(path);
        Assert.That(slide.Levels, Has.Count.EqualTo(2));
        Assert.That(slide.ReadRegion(1, 0, 0, 256, 256).Pixels.Distinct(), Is.SubsetOf(new byte[] { 0, 255 }));
    }

    [Test]
    public void Incomplete_LeavesNothing()
    {
        string path = Path.Combine(_folder, "none.tif");
        using (PyramidWriter writer = new(path, 10, 10, 1))
        {
            writer.Write(new byte[50]);
            Assert.That(writer.Complete, Throws.InvalidOperationException.With.Message.Contains("5 of 10"));
            Assert.That(() => writer.Write(new byte[7]), Throws.ArgumentException);
            Assert.That(() => writer.Write(new byte[60]), Throws.ArgumentException);
        }
        Assert.That(Directory.GetFiles(_folder, "*none*"), Is.Empty);
    }
}
