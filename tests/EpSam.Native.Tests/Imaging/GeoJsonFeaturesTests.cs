using System.Text;
using EpSam.Imaging.Annotations;

namespace EpSam.Native.Tests.Imaging;

/// <summary>Features one by one are those of the whole file, however long they are.</summary>
public sealed class GeoJsonFeaturesTests
{
    string _path = "";

    [SetUp]
    public void Begin() => _path = Path.GetTempFileName();

    [TearDown]
    public void End() => File.Delete(_path);

    static Annotation Area(int number, int corners)
    {
        SlidePoint[] ring =
            [.. Enumerable.Range(0, corners).Select(i => new SlidePoint(number + i / 4.0, i * i % 1013))];
        return new Annotation($"Fläche {number}", AnnotationKind.Polygon, "Tumor", [new(ring, [ring[..3]])], [])
        {
            Measurements = new Dictionary<string, double> { ["Area mm^2"] = number / 8.0 },
        };
    }

    [Test]
    public void Read_Features_AreThoseOfTheWholeFile([Values(0, 1, 3000)] int count)
    {
        using (FileStream file = File.Create(_path))
            GeoJson.Write(file, Enumerable.Range(0, count).Select(i => Area(i, i % 700 == 1 ? 40_000 : 3 + i % 50)));
        if (count == 3000) Assert.That(new FileInfo(_path).Length, Is.GreaterThan(1 << 20), "several buffers");
        IReadOnlyList<Annotation> expected = GeoJson.Read(_path);
        Annotation[] read = [.. GeoJsonFeatures.Read(_path)];
        Assert.That(read, Has.Length.EqualTo(count));
        for (int i = 0; i < count; i++)
        {
            Assert.That((read[i].Name, read[i].Group, read[i].Kind),
                Is.EqualTo((expected[i].Name, expected[i].Group, expected[i].Kind)));
            Assert.That(read[i].Measurements, Is.EqualTo(expected[i].Measurements));
            var rings = read[i].Polygons.Single().Rings.Zip(expected[i].Polygons.Single().Rings);
            Assert.That(rings.All(r => r.First.SequenceEqual(r.Second)), $"feature {i}");
        }
    }

    [Test]
    public void Read_DamagedFile_SaysSo_WhereItIsDamaged()
    {
        using (FileStream file = File.Create(_path)) GeoJson.Write(file, [Area(1, 5), Area(2, 5)]);
        byte[] whole = File.ReadAllBytes(_path);
        File.WriteAllBytes(_path, whole[..^20]);
        using IEnumerator<Annotation> features = GeoJsonFeatures.Read(_path).GetEnumerator();
        Assert.That(features.MoveNext(), "the first is there");
        Assert.That(features.Current.Name, Is.EqualTo("Fläche 1"));
        AnnotationException thrown = Assert.Throws<AnnotationException>(() => features.MoveNext())!;
        Assert.That(thrown.Message, Does.StartWith(_path));
    }

    [TestCase("", "not JSON")]
    [TestCase("no JSON", "not JSON")]
    [TestCase("""{"type":"FeatureCollection","features":[{"type":"Feature"}]}""", "feature 0")]
    public void Read_NoCollection_IsRefused(string text, string expected)
    {
        File.WriteAllText(_path, text, new UTF8Encoding(false));
        AnnotationException thrown = Assert.Throws<AnnotationException>(() => GeoJsonFeatures.Read(_path).Count())!;
        Assert.That(thrown.Message, Does.StartWith(_path).And.Contain(expected));
    }
}
