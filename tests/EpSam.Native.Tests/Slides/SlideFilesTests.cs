using EpSam.Slides;

namespace EpSam.Native.Tests.Slides;

public sealed class SlideFilesTests
{
    string _folder = "";

    [SetUp]
    public void Begin() => _folder = Directory.CreateTempSubdirectory("epsam-slide-files-").FullName;

    [TearDown]
    public void End() => Directory.Delete(_folder, true);

    string Make(string name)
    {
        string path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
        return path;
    }

    [Test]
    public void Find_TakesSlidesOfAFolder_WithTheirAnnotations()
    {
        foreach (string name in new[] { "b.svs", "a.tif", "a.xml", "B.geojson", ".hidden.tif", "notes.txt", "c.png" })
            Make(name);
        IReadOnlyList<SlideFile> found = SlideFiles.Find([_folder]);
        Assert.That(found.Select(s => (s.Name, Path.GetFileName(s.Annotation))),
            Is.EqualTo(new[] { ("a", "a.xml"), ("b", "B.geojson") }));
    }

    [Test]
    public void Find_NamesSlidesOfOneNameApart()
    {
        string[] paths = [Make("x/one.svs"), Make("y/one.tif"), Make("z/one.svs"), Make("y/two.tif")];
        Assert.That(SlideFiles.Find([.. paths, paths[0]]).Select(s => s.Name),
            Is.EqualTo(new[] { "one.svs", "one.tif", "one.svs-2", "two" }));
    }

    [Test]
    public void Find_SaysWhatDoesNotFit()
    {
        string one = Make("one.svs"), two = Make("two.svs"), other = Make("notes/three.xml");
        Assert.That(() => SlideFiles.Find([one, two], other), Throws.TypeOf<SlideException>()
            .With.Message.Contains("2 slides"));
        Assert.That(SlideFiles.Find([one], other)[0].Annotation, Is.EqualTo(other));
        Assert.That(() => SlideFiles.Find([one], Path.Combine(_folder, "notes")), Throws.TypeOf<SlideException>()
            .With.Message.Contains("one.xml"));
        Assert.That(() => SlideFiles.Find([Path.Combine(_folder, "notes")]), Throws.TypeOf<SlideException>()
            .With.Message.Contains("no slide"));
    }
}
