using EpSam.Cli;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Imaging;
using Images = EpSam.Native.Tests.Imaging.ImageFiles;

namespace EpSam.Native.Tests.Cli;

public sealed class VipsFilesTests
{
    string _folder = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-files-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public void ReadSize_AnyOrientation_IsThatOfThePixels([Range(1, 8)] int orientation)
    {
        string path = Path.Combine(_folder, "a.tif");
        File.WriteAllBytes(path, Images.Tiff(3, 2, 8, 1, 1, [0, 1, 2, 3, 4, 5], orientation));
        VipsFiles files = new();
        Picture grey = files.ReadGrey(path), rgb = files.ReadRgb(path);
        Assert.That(files.ReadSize(path), Is.EqualTo((grey.Height, grey.Width)));
        Assert.That((rgb.Height, rgb.Width, rgb.Channels), Is.EqualTo((grey.Height, grey.Width, 3)));
        Assert.That(grey.Width, Is.EqualTo(orientation <= 4 ? 3 : 2));
    }

    [Test]
    public void Encode_ThenRead_GivesTheSamePixels()
    {
        string path = Path.Combine(_folder, "a.png");
        VipsFiles files = new();
        Picture picture = new([0, 255, 7, 9, 200, 1], 2, 3, 1);
        File.WriteAllBytes(path, files.EncodePng(picture));
        Assert.That(files.ReadGrey(path).Pixels, Is.EqualTo(picture.Pixels));
        Assert.That(files.EncodeJpeg(picture, 80)[..2], Is.EqualTo(new byte[] { 0xFF, 0xD8 }));
    }

    [Test]
    public void Read_BadFiles_AreNamedOnce()
    {
        VipsFiles files = new();
        string missing = Path.Combine(_folder, "none.png"), text = Path.Combine(_folder, "text.png");
        string cut = Path.Combine(_folder, "cut.png");
        File.WriteAllText(text, "no image");
        byte[] noise = new byte[3 * 64 * 64];
        new Random(3).NextBytes(noise);
        File.WriteAllBytes(cut, Images.Png(64, 64, 8, 2, noise)[..4000]);
        Assert.That(files.ReadSize(cut), Is.EqualTo((64, 64)), "the header is whole");
        foreach ((string path, Action<string> read) in new (string, Action<string>)[]
        {
            (missing, p => files.ReadSize(p)), (missing, p => files.ReadRgb(p)), (text, p => files.ReadSize(p)),
            (text, p => files.ReadGrey(p)), (cut, p => files.ReadRgb(p)), (_folder, p => files.ReadSize(p)),
        })
        {
            string message = Assert.Throws<ImageFileException>(() => read(path))!.Message;
            Assert.That(message.Split(path), Has.Length.EqualTo(2), message);
        }
    }
}
