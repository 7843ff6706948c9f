using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

public sealed class ImageListTests
{
    static string[] Names(params string[] paths) => [.. ImageList.Of(paths).Select(i => i.Name)];

    [Test]
    public void Of_DifferentStems_AreNamedByThem() =>
        Assert.That(Names("a/cat.png", "dog.v2.jpg", "rose"), Is.EqualTo(new[] { "cat", "dog.v2", "rose" }));

    [Test]
    public void Of_EqualStems_KeepTheirEndings() =>
        Assert.That(Names("cat.png", "cat.jpg", "dog.png"), Is.EqualTo(new[] { "cat.png", "cat.jpg", "dog" }));

    [Test]
    public void Of_EqualNamesInTwoFolders_AreNumbered() =>
        Assert.That(Names("a/cat.png", "b/cat.png", "c/CAT.PNG"),
            Is.EqualTo(new[] { "cat.png", "cat.png-2", "CAT.PNG-3" }));

    [Test]
    public void Of_NamesThatMeetAnother_StayDifferent() // cat.png is the stem of cat.png.png
    {
        string[] names = Names("cat.png.png", "a/cat.png", "b/cat.png");
        Assert.That(names.Distinct(StringComparer.OrdinalIgnoreCase).Count(), Is.EqualTo(3));
        Assert.That(names[0], Is.EqualTo("cat.png"));
    }

    [Test]
    public void Of_OneFileTwice_IsWorkedOnOnce() =>
        Assert.That(Names("cat.png", "./cat.png", "b/../cat.png"), Is.EqualTo(new[] { "cat" }));

    [TestCase(".png", "png")]
    [TestCase("..jpg", "jpg")]
    [TestCase("...", "image")]
    public void Of_NamesThatAreNone_GetOne(string path, string _) =>
        Assert.That(Names("x/" + path)[0], Does.Not.StartWith(".").And.Not.Empty);

    [Test]
    public void Of_Folder_GivesItsImagesInOrder()
    {
        string folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        try
        {
            foreach (string name in new[] { "b.PNG", "a.jpeg", "notes.txt", ".hidden.png", "c.webp" })
                File.WriteAllText(Path.Combine(folder, name), "");
            Assert.That(Names(folder), Is.EqualTo(new[] { "a", "b", "c" }));
            string empty = Directory.CreateDirectory(Path.Combine(folder, "empty")).FullName;
            Assert.That(Assert.Throws<UserError>(() => ImageList.Of([empty]))!.Message, Does.Contain("has no image"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
