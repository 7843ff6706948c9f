// What a viewer's folder holds: well-formed pages, names that stay text, tiles that show the slide, the rest told.
using System.Text.Json;
using System.Xml.Linq;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Segment;
using EpSam.Slides.Viewer;

namespace EpSam.Native.Tests.Slides.Viewer;

public sealed class SlideViewerTests
{
    const string Name = "a </script><script>alert(1)</script> & \u2028 ü";

    [OneTimeSetUp]
    public void Require() => VipsLibrary.RequireOrSkip();

    [Test]
    public void Write_ASlide_HasPageTilesAndFigures()
    {
        using ViewerScene scene = new(1400, 1000, Name);
        string[] others = Directory.GetFiles(scene.Results.Root);
        SlideViewer.Write(scene.Viewer, scene.Slide, scene.Results, scene.Summary, default,
            new ViewerOptions { OpenSeadragon = "nowhere" });
        XDocument page = XDocument.Load(Path.Combine(scene.Viewer, "index.html"));
        Assert.That(page.Root!.Name.LocalName, Is.EqualTo("html"));
        Assert.That(Path.Combine(scene.Viewer, SlideViewer.Script), Does.Not.Exist);
        string script = File.ReadAllText(Path.Combine(scene.Viewer, "slide.js"));
        Assert.That(script, Does.Not.Contain("<").And.Not.Contain("\u2028"));
        JsonElement slide = Value(script, "epsamSlide");
        Assert.That(slide.GetProperty("name").GetString(), Is.EqualTo(Name));
        Assert.That(slide.GetProperty("regions").GetInt32(), Is.EqualTo(scene.Summary.Regions));
        JsonElement layers = slide.GetProperty("layers");
        Assert.That(layers.EnumerateObject().Select(l => l.Name),
            Is.EqualTo(new[] { "slide", "probability", "tumour" }));
        Assert.That(layers.EnumerateObject().Select(l => l.Value.GetProperty("downsample").GetDouble()),
            Is.All.EqualTo(scene.Summary.Downsample));
        CompareTile(scene, "slide_files/10/1_1.jpg", 256, 256);
        CheckRuns(scene, layers.GetProperty("tumour"));
        Assert.That(Directory.GetFiles(scene.Results.Root), Is.EqualTo(others), "results are left alone");
    }

    [Test]
    public void Write_Outlines_AreThoseOfTheGeoJson()
    {
        using ViewerScene scene = new(800, 600, "x");
        SlideViewer.Write(scene.Viewer, scene.Slide, scene.Results, scene.Summary, default);
        string script = File.ReadAllText(Path.Combine(scene.Viewer, "outlines.js"));
        JsonElement outlines = Value(script, "epsamOutlines");
        var expected = GeoJson.Read(scene.Results.GeoJson).SelectMany(a => a.Polygons)
            .Select(p => p.Rings.Select(r => r.Select(q => (q.X, q.Y)).ToArray()).ToArray());
        Assert.That(outlines.EnumerateArray().Select(p => p.EnumerateArray().Select(Ring).ToArray()),
            Is.EqualTo(expected));

        static (double, double)[] Ring(JsonElement ring)
        {
            double[] steps = [.. ring.EnumerateArray().Select(v => v.GetDouble())];
            (double x, double y) = (0, 0);
            return [.. steps.Chunk(2).Select(s => (x += s[0], y += s[1]))];
        }
    }

    // Two of the results are missing, and the slide is larger than may be: layers less, and half the resolution.
    [Test]
    public void Write_WithoutResultsAndTooLarge_ShowsWhatThereIs()
    {
        using ViewerScene scene = new(1400, 1000, "x");
        File.Delete(scene.Results.Probability);
        File.Delete(scene.Results.GeoJson);
        SlideViewer.Write(scene.Viewer, scene.Slide, scene.Results, scene.Summary, default,
            new ViewerOptions { MaxPixels = 100_000, Downsample = 1 });
        JsonElement layers = Value(File.ReadAllText(Path.Combine(scene.Viewer, "slide.js")), "epsamSlide")
            .GetProperty("layers");
        Assert.That(layers.EnumerateObject().Select(l => l.Name), Is.EqualTo(new[] { "slide", "tumour" }));
        JsonElement slide = layers.GetProperty("slide");
        Assert.That((slide.GetProperty("width").GetInt32(), slide.GetProperty("downsample").GetDouble()),
            Is.EqualTo((350, 4.0)));
        JsonElement mask = layers.GetProperty("tumour");
        Assert.That((mask.GetProperty("width").GetInt32(), mask.GetProperty("downsample").GetDouble()),
            Is.EqualTo((350, 4.0)));
    }

    [Test]
    public void Write_WithOpenSeadragon_BringsItsLicence()
    {
        using ViewerScene scene = new(600, 512, "x");
        string source = Directory.CreateDirectory(Path.Combine(scene.Results.Root, "osd")).FullName;
        File.WriteAllText(Path.Combine(source, "openseadragon.min.js"), "// script");
        File.WriteAllText(Path.Combine(source, "LICENSE.txt"), "licence");
        SlideViewer.Write(scene.Viewer, scene.Slide, scene.Results, scene.Summary, default,
            new ViewerOptions { OpenSeadragon = source });
        Assert.That(File.ReadAllText(Path.Combine(scene.Viewer, "openseadragon.min.js")), Is.EqualTo("// script"));
        Assert.That(File.ReadAllText(Path.Combine(scene.Viewer, "openseadragon.LICENSE.txt")), Is.EqualTo("licence"));
    }

    [Test]
    public void Index_OfManySlides_IsWellFormedAndLeadsToThem()
    {
        using ViewerScene scene = new(600, 512, Name);
        string path = Path.Combine(scene.Results.Root, "index.html");
        SlideSummary other = scene.Summary with { Name = "50 % #2", TumourMm2 = 12.5 };
        ViewerIndex.Write(path,
            [(scene.Summary, null, null), (other, "slides/50 % #2/viewer", "slides/50 % #2/overlay.png")],
            [("broken", "broken.svs: <damaged>")]);
        XElement page = XDocument.Load(path).Root!;
        XElement[] rows = [.. page.Descendants("tbody").Single().Elements("tr")];
        Assert.That(rows, Has.Length.EqualTo(2));
        Assert.That(rows[0].Value, Does.Contain("a </script><script>alert(1)</script> &"));
        Assert.That(page.Descendants("script").Count(), Is.EqualTo(1));
        Assert.That(rows[1].Descendants("a").Select(a => a.Attribute("href")!.Value),
            Is.All.EqualTo("slides/50%20%25%20%232/viewer/index.html"));
        Assert.That(rows[1].Descendants("img").Single().Attribute("src")!.Value,
            Is.EqualTo("slides/50%20%25%20%232/overlay.png"));
        Assert.That(page.Descendants("li").Single().Value, Is.EqualTo("broken: broken.svs: <damaged>"));
        Assert.That(rows[1].Elements("td").ElementAt(2).Attribute("data-value")!.Value, Is.EqualTo("12.5"));
    }

    static JsonElement Value(string script, string variable)
    {
        string start = $"window.{variable} = ";
        Assert.That(script, Does.StartWith(start).And.EndWith(";\n"));
        return JsonSerializer.Deserialize<JsonElement>(script[start.Length..^2]);
    }

    // A tile's pixels are those of the slide there, but for JPEG's loss.
    static void CompareTile(ViewerScene scene, string file, int x, int y)
    {
        Raster tile = ImageReader.ReadRgb(Path.Combine(scene.Viewer, file));
        Raster expected = new SlideView(scene.Slide, scene.Summary.Downsample).Read(x, y, tile.Width, tile.Height);
        double error = tile.Pixels.Zip(expected.Pixels, (a, b) => Math.Abs(a - b)).Average();
        Assert.That(error, Is.LessThan(6));
        Assert.That((tile.Width, tile.Height), Is.EqualTo((256, 244)));
    }

    // The runs of tiles that are there are the files that are there.
    static void CheckRuns(ViewerScene scene, JsonElement layer)
    {
        DeepZoomLevels levels = new(layer.GetProperty("width").GetInt64(), layer.GetProperty("height").GetInt64());
        int files = 0;
        for (int level = 0; level <= levels.Finest; level++)
        {
            int at = 0;
            bool isThere = false;
            foreach (JsonElement run in layer.GetProperty("runs")[level].EnumerateArray())
            {
                for (int end = at + run.GetInt32(); at < end; at++)
                {
                    string tile = $"{at % levels.Columns(level)}_{at / levels.Columns(level)}.png";
                    string path = Path.Combine(scene.Viewer, "tumour_files", $"{level}", tile);
                    Assert.That(File.Exists(path), Is.EqualTo(isThere), path);
                    if (isThere) files++;
                }
                isThere = !isThere;
            }
        }
        string[] all = Directory.GetFiles(Path.Combine(scene.Viewer, "tumour_files"), "*", SearchOption.AllDirectories);
        Assert.That(all, Has.Length.EqualTo(files).And.Not.Empty);
    }
}
