// Annotation files against recorded counts and areas; polygons to pixels against a definition that is worked out pixel
// by pixel; masks to polygons by painting them again.
using System.Text;
using System.Text.Json;
using EpSam.Imaging.Annotations;

namespace EpSam.Native.Tests.Imaging;

public sealed class AnnotationTests
{
    static string At(string name)
    {
        string path = Path.Combine(Golden.Shared, "data", name);
        if (!File.Exists(path)) Assert.Ignore($"the shared data is not here: {path}");
        return path;
    }

    static IReadOnlyList<Annotation> Asap(string body) => AsapXml.Read(new MemoryStream(Encoding.UTF8.GetBytes(
        $"<ASAP_Annotations><Annotations>{body}</Annotations></ASAP_Annotations>")), "x.xml");

    [TestCase("Tumor_001.xml")]
    [TestCase("Tumor_004.xml")]
    [TestCase("Tumor_010.xml")]
    [TestCase("Tumor_022.xml")]
    [TestCase("Tumor_064.xml")]
    [TestCase("Tumor_073.xml")]
    public void CamelyonFile_HasTheRecordedCountsAndAreas(string name)
    {
        using JsonDocument recorded = JsonDocument.Parse(File.ReadAllText(
            At("annotations/camelyon16_converted/golden.json")));
        JsonElement golden = recorded.RootElement.GetProperty(name);
        IReadOnlyList<Annotation> all = AsapXml.Read(At("annotations/camelyon16_converted/" + name));
        Annotation[] negative = [.. all.Where(a => a.Group == "_2")], positive = [.. all.Except(negative)];
        Assert.That(all.Sum(a => a.Polygons[0].Outer.Count), Is.EqualTo(golden.GetProperty("vertices").GetInt32()));
        foreach ((string kind, Annotation[] found) in new[] { ("positive", positive), ("negative", negative) })
        {
            Assert.That(found, Has.Length.EqualTo(golden.GetProperty(kind).GetInt32()));
            Assert.That(found.Select(a => a.Polygons[0].Area), Is.EqualTo(
                golden.GetProperty(kind + "_area_px").EnumerateArray().Select(a => a.GetDouble())));
        }
    }

    [TestCase("annotations/genuine/patient_004_node_4.xml", 3)]
    [TestCase("annotations/genuine/xml_example.xml", 2)]
    [TestCase("slides/asap_packer/example.xml", -1)]
    [TestCase("annotations/wsidicom/asap-dot.xml", -1)]
    [TestCase("annotations/wsidicom/asap-pointset.xml", -1)]
    [TestCase("annotations/wsidicom/asap-polygon.xml", -1)]
    public void GenuineFile_IsRead(string name, int count)
    {
        IReadOnlyList<Annotation> all = AsapXml.Read(At(name));
        Assert.That(all, Is.Not.Empty);
        if (count >= 0) Assert.That(all, Has.Count.EqualTo(count));
        foreach (Annotation one in all) Assert.That(one.Polygons.Count + one.Points.Count, Is.GreaterThan(0));
    }

    [Test]
    public void Asap_WrittenAndRead_IsEqualToTheBit()
    {
        Annotation[] drawn =
        [
            new("Läsion <1> & \"2\"", AnnotationKind.Polygon, "Tumor",
                [new([new(0.1, 1e-7), new(12345.678901234567, 2), new(3, 1e8 / 3)])], []),
            new("", AnnotationKind.Rectangle, "None", [new([new(0, 0), new(4, 0), new(4, 4), new(0, 4)])], []),
            new("points", AnnotationKind.PointSet, "b", [], [new(1, 2), new(3.25, -4)]),
        ];
        using MemoryStream file = new();
        AsapXml.Write(file, drawn);
        file.Position = 0;
        IReadOnlyList<Annotation> read = AsapXml.Read(file, "x");
        Assert.That(read, Has.Count.EqualTo(drawn.Length));
        for (int i = 0; i < drawn.Length; i++)
        {
            Assert.That((read[i].Name, read[i].Kind, read[i].Group),
                Is.EqualTo((drawn[i].Name, drawn[i].Kind, drawn[i].Group)));
            Assert.That(read[i].Polygons.Select(p => p.Outer), Is.EqualTo(drawn[i].Polygons.Select(p => p.Outer)));
            Assert.That(read[i].Points, Is.EqualTo(drawn[i].Points));
        }
        Annotation ring = new("a", AnnotationKind.Polygon, "", [new(drawn[1].Polygons[0].Outer,
            [[new(1, 1), new(2, 1), new(2, 2)]])], []);
        Assert.That(() => AsapXml.Write(new MemoryStream(), [ring]),
            Throws.ArgumentException.With.Message.Contains("holes"));
    }

    [Test]
    public void DecimalCommas_AreRead()
    {
        IReadOnlyList<Annotation> all = AsapXml.Read(At("slides/asap_packer/example.xml"));
        Assert.That(all[0].Polygons[0].Outer[0], Is.EqualTo(new SlidePoint(543.020264, 335.044464)));
    }

    [Test]
    public void Coordinates_AreTakenInTheirOrder()
    {
        Annotation one = Asap("<Annotation Name='a' Type='Polygon' PartOfGroup='Tumor'><Coordinates>"
            + "<Coordinate Order='2' X='0' Y='5'/><Coordinate Order='0' X='1' Y='1'/>"
            + "<Coordinate Order='1' X='4' Y='1'/></Coordinates></Annotation>")[0];
        Assert.That(one.Polygons[0].Outer, Is.EqualTo(new SlidePoint[] { new(1, 1), new(4, 1), new(0, 5) }));
        Assert.That((one.Name, one.Group), Is.EqualTo(("a", "Tumor")));
    }

    [TestCase("Measurement", AnnotationKind.Line)]
    [TestCase("None", AnnotationKind.PointSet)]
    public void Asap_TypesWithoutArea_AreRead(string type, AnnotationKind kind)
    {
        Annotation one = Asap($"<Annotation Type='{type}'><Coordinates><Coordinate X='1' Y='2'/>"
            + "<Coordinate X='3' Y='4'/></Coordinates></Annotation>").Single();
        Assert.That((one.Kind, one.Polygons.Count, one.Points.Count), Is.EqualTo((kind, 0, 2)));
    }

    [TestCase("<Annotation Type='Blob'/>", "type 'Blob'")]
    [TestCase("<Annotation Type='Polygon'/>", "at least 3")]
    [TestCase("<Annotation Type='Dot'><Coordinates><Coordinate X='1' Y='here'/></Coordinates></Annotation>", "Y=")]
    [TestCase("<Annotation Type='Dot'><Coordinates><Coordinate X='1e300' Y='1'/></Coordinates></Annotation>", "X=")]
    [TestCase("<Annotation", "not XML")]
    public void BrokenAsapFile_IsRefusedWithItsPlace(string body, string text)
    {
        AnnotationException error = Assert.Throws<AnnotationException>(() => Asap(body));
        Assert.That(error.Message, Does.StartWith("x.xml").And.Contains(text));
    }

    [Test]
    public void DocumentTypes_AreRefused()
    {
        byte[] file = Encoding.UTF8.GetBytes("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>");
        Assert.That(() => AsapXml.Read(new MemoryStream(file), "x.xml"), Throws.TypeOf<AnnotationException>());
    }

    [Test]
    public void GeoJson_Written_ReadsBack()
    {
        SlidePoint[] ring = [new(0, 0), new(10, 0), new(10, 10.5), new(0, 10)];
        SlidePoint[] hole = [new(2, 2), new(2, 4), new(4, 4)];
        Annotation area = new("nest", AnnotationKind.Polygon, "Tumor", [new(ring, [hole])], [])
        {
            Measurements = new Dictionary<string, double> { ["area mm2"] = 0.25 },
        };
        Annotation two = new("", AnnotationKind.Polygon, "None", [new(ring), new(hole)], []);
        Annotation points = new("", AnnotationKind.PointSet, "Cells", [], [new(1, 2), new(3, 4)]);
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream file = File.Create(path)) GeoJson.Write(file, [area, two, points], _ => 0xC80000);
            IReadOnlyList<Annotation> read = GeoJson.Read(path);
            Assert.That(read, Has.Count.EqualTo(3));
            Assert.That(read[0].Polygons[0].Rings, Is.EqualTo(area.Polygons[0].Rings));
            Assert.That((read[0].Name, read[0].Group), Is.EqualTo(("nest", "Tumor")));
            Assert.That(read[0].Measurements["area mm2"], Is.EqualTo(0.25));
            Assert.That(read[1].Polygons.Select(p => p.Outer), Is.EqualTo(two.Polygons.Select(p => p.Outer)));
            Assert.That((read[2].Kind, read[2].Points), Is.EqualTo((AnnotationKind.PointSet, points.Points)));
            Assert.That(File.ReadAllText(path), Does.Contain("\"color\":[200,0,0]"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    static IReadOnlyList<Annotation> Features(string text)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
            return GeoJson.Read(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    static Annotation Feature(string geometry, string properties = "{}") =>
        Features($$"""{"type":"Feature","geometry":{{geometry}},"properties":{{properties}}}""").Single();

    // As QuPath exports them (GsonTools, PathClassTypeAdapter): before 0.4, since then, and by hand.
    [TestCase("""{"name":"Tumor","colorRGB":-3670016}""", "Tumor")]
    [TestCase("""{"name":"Positive","parentClass":{"name":"Tumor"},"colorRGB":1}""", "Tumor: Positive")]
    [TestCase("""{"names":["Stroma","Negative"],"color":[1,2,3]}""", "Stroma: Negative")]
    [TestCase("\"Tumor\"", "Tumor")]
    [TestCase("{}", "")]
    [TestCase("null", "None")]
    public void GeoJson_ClassOfQuPath_IsNamedInFull(string classification, string group) =>
        Assert.That(Feature("""{"type":"Point","coordinates":[1,2]}""",
            $$"""{"classification":{{classification}},"isLocked":true}""").Group, Is.EqualTo(group));

    [Test]
    public void GeoJson_GeometriesOfAllKinds_AreRead()
    {
        const string Square = "[[[0,0],[4,0],[4,4],[0,4],[0,0]]]";
        Annotation many = Feature($$"""
            {"type":"GeometryCollection","geometries":[{"type":"Polygon","coordinates":{{Square}}},
              {"type":"LineString","coordinates":[[0,0],[1,1]]},{"type":"MultiPolygon","coordinates":[{{Square}}]}]}
            """);
        Assert.That((many.Kind, many.Polygons.Count, many.Points.Count), Is.EqualTo((AnnotationKind.Polygon, 2, 0)));
        Assert.That(many.Polygons.Sum(p => p.Area), Is.EqualTo(32));
        Annotation lines = Feature("""{"type":"MultiLineString","coordinates":[[[0,0],[1,1]],[[2,2],[3,3]]]}""");
        Assert.That((lines.Kind, lines.Polygons.Count, lines.Points.Count), Is.EqualTo((AnnotationKind.Line, 0, 4)));
        foreach (string nowhere in new[] { "null", """{"type":"Polygon","coordinates":[]}""" })
            Assert.That(Feature(nowhere).Polygons, Is.Empty);
        Assert.That(Feature($$"""{"type":"Polygon","coordinates":{{Square}},"isEllipse":true}""").Polygons[0].Outer,
            Has.Count.EqualTo(4));
    }

    [Test]
    public void GeoJson_MeasurementsThatAreNoNumber_AreLeftOut()
    {
        Annotation one = Feature("""{"type":"Point","coordinates":[1,-2]}""", """
            {"name":"NaN \"-Infinity\\","measurements":{"a":NaN,"b":-1.5,"c":-Infinity,"d":Infinity,"e":2}}
            """);
        Assert.That(one.Name, Is.EqualTo("NaN \"-Infinity\\"));
        Assert.That(one.Measurements, Is.EqualTo(new Dictionary<string, double> { ["b"] = -1.5, ["e"] = 2 }));
        Assert.That(one.Points, Is.EqualTo(new SlidePoint[] { new(1, -2) }));
    }

    [TestCase("{", "not JSON")]
    [TestCase("""[{"type":"Feature","geometry":{"type":"Point","coordinates":[1e300,1]}}]""", "1e300")]
    [TestCase("""[{"type":"Feature","geometry":{"type":"Point","coordinates":[NaN,1]}}]""", "feature 0")]
    [TestCase("{\"type\":\"FeatureCollection\"}", "'features'")]
    [TestCase("[{\"type\":\"Feature\",\"geometry\":{\"type\":\"Circle\",\"coordinates\":[]}}]", "Circle")]
    [TestCase("[{\"type\":\"Feature\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1,2],[3,4]]]}}]",
        "at least 3")]
    [TestCase("[{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[\"a\",1]}}]", "feature 0")]
    [TestCase("7", "GeoJSON")]
    public void BrokenGeoJson_IsRefused(string text, string expected)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            Assert.That(() => GeoJson.Read(path),
                Throws.TypeOf<AnnotationException>().With.Message.Contains(expected).And.Message.StartsWith(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    // Even-odd, counted for each centre with all lines of all rings.
    static byte[] ByDefinition(SlidePolygon polygon, double x, double y, double downsample, int height, int width)
    {
        byte[] mask = new byte[height * width];
        for (int i = 0; i < mask.Length; i++)
        {
            double px = x + (i % width + 0.5) * downsample, py = y + (i / width + 0.5) * downsample;
            foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
            {
                for (int k = 0; k < ring.Count; k++)
                {
                    (SlidePoint a, SlidePoint b) = (ring[k], ring[(k + 1) % ring.Count]);
                    bool spans = a.Y <= py != b.Y <= py;
                    if (spans && a.X + (py - a.Y) / (b.Y - a.Y) * (b.X - a.X) <= px) mask[i] ^= 1;
                }
            }
        }
        return mask;
    }

    [TestCase(1.0)]
    [TestCase(2.0)]
    [TestCase(4.005814)]
    public void Paint_SetsThePixelsWhoseCentresAreInside(double downsample)
    {
        Random random = new(7);
        for (int n = 0; n < 50; n++)
        {
            SlidePoint[] Ring(int points, double side) => [.. Enumerable.Range(0, points)
                .Select(_ => new SlidePoint(random.NextDouble() * side, random.NextDouble() * side))];
            SlidePolygon polygon = new(Ring(3 + n % 9, 60), n % 3 == 0 ? [Ring(4, 40)] : []); // crosses itself
            (double x, double y) = (random.Next(-10, 20), random.Next(-10, 20));
            byte[] mask = new byte[31 * 23];
            PolygonMask.Paint(polygon, x, y, downsample, 1, mask, 31, 23);
            Assert.That(mask, Is.EqualTo(ByDefinition(polygon, x, y, downsample, 31, 23)), $"polygon {n}");
        }
    }

    [Test]
    public void Paint_OfNeighbours_LeavesNoGapAndNoOverlap()
    {
        SlidePoint[] corners = [new(0, 0), new(20, 0), new(20, 20), new(0, 20)];
        SlidePoint middle = new(9.5, 7.5); // a centre of a pixel
        int[] painted = new int[400];
        for (int i = 0; i < 4; i++)
        {
            byte[] mask = new byte[400];
            PolygonMask.Paint(new([corners[i], corners[(i + 1) % 4], middle]), 0, 0, 1, 1, mask, 20, 20);
            for (int p = 0; p < 400; p++) painted[p] += mask[p];
        }
        Assert.That(painted, Is.All.EqualTo(1));
    }

    [Test]
    public void Paint_LaterGroups_PaintOverEarlier()
    {
        byte[] mask = new byte[100];
        SlidePolygon Square(double from, double to) =>
            new([new(from, from), new(to, from), new(to, to), new(from, to)]);
        PolygonMask.Paint(Square(1, 9), 0, 0, 1, 1, mask, 10, 10);
        PolygonMask.Paint(Square(3, 6), 0, 0, 1, 0, mask, 10, 10);
        Assert.That(mask.Count((byte)1), Is.EqualTo(64 - 9));
    }

    [Test]
    public void Trace_PaintedAgain_IsTheMask()
    {
        Random random = new(3);
        for (int n = 0; n < 60; n++)
        {
            (int height, int width) = (random.Next(1, 20), random.Next(1, 20));
            byte[] mask = new byte[height * width], again = new byte[height * width];
            for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(random.NextDouble() < 0.15 * (1 + n % 6) ? 1 : 0);
            IReadOnlyList<SlidePolygon> polygons = MaskPolygons.Trace(mask, height, width);
            foreach (SlidePolygon polygon in polygons)
            {
                byte[] alone = new byte[mask.Length];
                PolygonMask.Paint(polygon, 0, 0, 1, 1, alone, height, width);
                Assert.That(alone.Count((byte)1), Is.EqualTo(polygon.Area), "area of a polygon with holes");
                for (int i = 0; i < mask.Length; i++) again[i] += alone[i];
                foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
                    Assert.That(ring, Is.Unique, "a ring does not touch itself");
            }
            Assert.That(again, Is.EqualTo(mask), $"mask {n}");
        }
    }

    [Test]
    public void Trace_OfARingAroundAnIsland_HasAHoleAndTwoPolygons()
    {
        byte[] mask =
        [
            1, 1, 1, 1, 1,
            1, 0, 0, 0, 1,
            1, 0, 1, 0, 1,
            1, 0, 0, 0, 1,
            1, 1, 1, 1, 1,
        ];
        IReadOnlyList<SlidePolygon> polygons = MaskPolygons.Trace(mask, 5, 5);
        Assert.That(polygons.Select(p => (p.Area, p.Outer.Count, p.Holes.Count)),
            Is.EqualTo(new[] { (16.0, 4, 1), (1.0, 4, 0) }));
    }
}
