// Slides of known colours, masks and annotations: figures that can be counted by hand.
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Evaluate;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides;

public sealed class SlideEvaluationTests
{
    const int Side = 800, Downsample = 2, MaskSide = Side / Downsample;
    const double Mpp = 0.5;

    string _folder = "";

    [SetUp]
    public void Begin()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-judge-").FullName;
    }

    [TearDown]
    public void End()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, true);
    }

    string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    static SlidePolygon Rectangle(double left, double top, double right, double bottom) =>
        new([new(left, top), new(right, top), new(right, bottom), new(left, bottom)]);

    // White; pink tissue from 160 to 640 both ways; bluer from 320 to 480.
    string Slide(string name)
    {
        byte[] rgb = new byte[3 * Side * Side];
        for (int i = 0; i < Side * Side; i++)
        {
            (int x, int y) = (i % Side, i / Side);
            bool isTissue = Math.Min(x, y) >= 160 && Math.Max(x, y) < 640;
            bool isBlue = Math.Min(x, y) >= 320 && Math.Max(x, y) < 480;
            (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = isBlue ? ((byte)150, (byte)90, (byte)200)
                : isTissue ? ((byte)220, (byte)120, (byte)180) : ((byte)245, (byte)245, (byte)245);
        }
        Directory.CreateDirectory(In("data"));
        ImageWriter.WritePng(In("data", name + ".tif"), rgb, Side, Side, 3); // the content tells the format
        return In("data", name + ".tif");
    }

    SlideFolder Results(string name, double probability, params SlidePolygon[] tumour)
    {
        SlideFolder results = new BatchFolder(In("out")).Of(name);
        Directory.CreateDirectory(results.Root);
        const int Tile = 256, Columns = (MaskSide + Tile - 1) / Tile;
        using PyramidWriter writer = new(results.Mask, MaskSide, MaskSide, 1, new() { IsClasses = true });
        for (int i = 0; i < Columns * Columns; i++)
        {
            byte[] mask = new byte[Tile * Tile];
            foreach (SlidePolygon polygon in tumour)
            {
                PolygonMask.Paint(polygon, i % Columns * Tile * Downsample, i / Columns * Tile * Downsample, Downsample,
                    255, mask, Tile, Tile);
            }
            if (mask.AsSpan().ContainsAnyExcept((byte)0)) writer.WriteTile(i % Columns, i / Columns, mask);
        }
        writer.Complete();
        SlideSummary summary = new()
        {
            Name = name, File = name + ".tif", Width = Side, Height = Side, Mpp = Mpp, Downsample = Downsample,
            TissueMm2 = 0, TumourMm2 = 0, Regions = 0, Tiles = 1, TissueTiles = 1, TumourTiles = 1,
            MaxProbability = probability,
        };
        File.WriteAllBytes(results.Summary, BatchJson.Bytes(new { Summary = summary, Key = "x" }));
        return results;
    }

    string Annotation(string name, params SlidePolygon[] tumour)
    {
        Directory.CreateDirectory(In("truth"));
        using FileStream file = File.Create(In("truth", name + ".geojson"));
        GeoJson.Write(file, tumour.Select(t => new Annotation("", AnnotationKind.Polygon, "Tumor", [t], [])));
        return file.Name;
    }

    [Test]
    public void Masks_AreCountedOverTheWholeSlide()
    {
        SlideFolder a = Results("a", 0.9, Rectangle(200, 200, 400, 400)), b = Results("b", 0.2);
        string truth = Annotation("a", Rectangle(300, 200, 500, 400));
        SlideEvaluation all = SlideEvaluation.Of([(a, null, truth), (b, null, null)]);
        Assert.That(all.Failed, Is.Empty);
        Assert.That(all.Slides[0].Mask, Is.EqualTo(new MaskOverlap(10000, 10000, 5000, MaskSide * MaskSide)));
        Assert.That((all.Slides[0].Mask.Precision, all.Slides[0].Mask.Recall), Is.EqualTo((0.5, 0.5)));
        Assert.That(all.Slides[0].TrueMm2, Is.EqualTo(0.01).Within(1e-12), "100 by 100 pixels of a micrometre");
        Assert.That(all.Masks.Figures.DiceOfTumour, Is.EqualTo(0.5).Within(1e-6));
        Assert.That(all.Masks.Pooled.IoU, Is.EqualTo(1 / 3.0).Within(1e-6));
        Assert.That(all.SlideAuc, Is.EqualTo(1));
        Assert.That((all.WithTumour, all.Found, all.FalseAlarms), Is.EqualTo((1, 1, 0)));
        Assert.That((all.AllTissue, all.Colour, all.ColourRule), Is.EqualTo((default(SlideMaskFigures?),
            default(SlideMaskFigures?), default(ColourThreshold?))));
    }

    [Test]
    public void Baselines_AreOfTheSamePixels()
    {
        string slide = Slide("a");
        SlideFolder a = Results("a", 0.9, Rectangle(160, 160, 640, 640));
        string truth = Annotation("a", Rectangle(320, 320, 480, 480));
        SlideEvaluation all = SlideEvaluation.Of([(a, slide, truth)]);
        Assert.That(all.Failed, Is.Empty);
        SlideFigures one = all.Slides[0];
        Assert.That(one.Mask, Is.EqualTo(new MaskOverlap(240 * 240, 80 * 80, 80 * 80, MaskSide * MaskSide)));
        Assert.That(one.AllTissue!.Value.All, Is.EqualTo(one.Mask.All));
        Assert.That(one.AllTissue.Value.Recall, Is.EqualTo(1));
        using (Slide open = EpSam.Imaging.Slides.Slide.Open(slide))
        {
            Tissue tissue = Tissue.Of(open);
            Assert.That(one.AllTissue.Value.Predicted, Is.EqualTo(tissue.Mask.Count(v => v != 0) * 64), "8 x 8 each");
        }
        Assert.That(one.Colour, Is.EqualTo(new MaskOverlap(80 * 80, 80 * 80, 80 * 80, MaskSide * MaskSide)));
        Assert.That(all.ColourRule!.Smoothing, Is.Zero);
        Assert.That(SlideEvaluationText.Lines(all).Last(), Is.EqualTo(
            "by slide: 1 of 1 with tumour found, 0 of 0 without it have tumour in the mask"));
    }

    // Smoothing reaches over tiles' edges: the rule counted in parts is the rule on the whole.
    [Test]
    public void ColourInParts_IsColourOfTheWhole()
    {
        const int Height = 300, Width = 340;
        Random random = new(4);
        byte[] rgb = new byte[3 * Height * Width], truth = new byte[Height * Width], within = new byte[truth.Length];
        for (int i = 0; i < truth.Length; i++)
        {
            truth[i] = (byte)((i % Width / 50 + i / Width / 60) % 2);
            within[i] = (byte)(i / Width < 280 ? 1 : 0);
            for (int c = 0; c < 3; c++) rgb[3 * i + c] = (byte)(random.Next(180) + 20 * truth[i] * (c + 1));
        }
        ColourThresholdSearch whole = new(), parts = new();
        whole.Add(rgb, truth, Height, Width, new Crop(0, 0, Width, Height), within);
        whole.AddMissed(77);
        int reach = ColourThresholdSearch.Reach;
        for (int y = 0; y < Height; y += 150)
            for (int x = 0; x < Width; x += 170)
            {
                (int left, int top) = (Math.Max(0, x - reach), Math.Max(0, y - reach));
                (int right, int bottom) = (Math.Min(Width, x + 170 + reach), Math.Min(Height, y + 150 + reach));
                byte[] Cut(byte[] of, int size) => [.. Enumerable.Range(top, bottom - top)
                    .SelectMany(row => of.Skip(size * (row * Width + left)).Take(size * (right - left)))];
                ColourThresholdSearch part = new();
                part.Add(Cut(rgb, 3), Cut(truth, 1), bottom - top, right - left, new Crop(x - left, y - top, 170, 150),
                    Cut(within, 1));
                parts.Add(part);
            }
        parts.AddMissed(77);
        Assert.That(parts.Best(pooled: true), Is.EqualTo(whole.Best(pooled: true)));
        Assert.That(whole.Best(pooled: true)!.Smoothing, Is.GreaterThan(0), "else this shows nothing");
    }

    [Test]
    public void BadSlides_AreListed_TheRestIsJudged()
    {
        SlideFolder good = Results("good", 0.9, Rectangle(0, 0, 100, 100));
        string truth = Annotation("good", Rectangle(0, 0, 100, 100));
        SlideFolder damaged = Results("damaged", 0.9), empty = Results("empty", 0.1);
        File.WriteAllText(damaged.Summary, "{");
        File.WriteAllText(empty.Mask, "no picture");
        File.WriteAllText(In("truth", "broken.geojson"), "{}");
        SlideFolder broken = Results("broken", 0.2);
        SlideEvaluation all = SlideEvaluation.Of([(damaged, null, null), (good, null, truth), (empty, null, null),
            (broken, null, In("truth", "broken.geojson"))]);
        Assert.That(all.Slides.Single().Mask.Dice, Is.EqualTo(1));
        Assert.That(all.Failed.Select(f => f.Name), Is.EqualTo(new[] { "damaged", "empty", "broken" }));
        Assert.That(all.Failed[0].Error, Does.Contain("slide.json").And.Contain("segment"));
        Assert.That(all.SlideAuc, Is.NaN);
    }

    [Test]
    public void OtherSlide_IsRefused()
    {
        SlideFolder results = Results("a", 0.9);
        ImageWriter.WritePng(In("other.png"), new byte[3 * 700 * 800], 700, 800, 3);
        SlideEvaluation all = SlideEvaluation.Of([(results, In("other.png"), null)]);
        Assert.That(all.Failed.Single().Error, Does.Contain("700 x 800").And.Contain("800 x 800"));
    }

    [TestCase(700, 900, "1 of 1 areas of tumour reach beyond")]
    [TestCase(850, 900, "1 of 1 areas of tumour lie outside of the slide: is the annotation another slide's?")]
    public void AnnotationBeyondTheSlide_IsClippedAndSaid(double from, double to, string note)
    {
        SlideFolder results = Results("a", 0.9, Rectangle(700, 700, 800, 800));
        SlideEvaluation all = SlideEvaluation.Of([(results, null, Annotation("a", Rectangle(from, from, to, to)))]);
        Assert.That(all.Notes.Single(), Does.Contain(note));
        Assert.That(all.Slides[0].Mask.True, Is.EqualTo(from < Side ? 2500 : 0));
    }

    [Test]
    public void Texts_SayTheSame()
    {
        SlideFolder a = Results("a, \"b\"", 0.75, Rectangle(200, 200, 400, 400));
        SlideEvaluation all = SlideEvaluation.Of([(a, null, Annotation("a", Rectangle(200, 200, 400, 300)))]);
        List<string[]> rows = CsvText.Rows(SlideEvaluationText.Csv(all));
        Dictionary<string, string> row = rows[0].Zip(rows[1]).ToDictionary(c => c.First, c => c.Second);
        Assert.That((row["slide"], row["tumour"], row["precision"], row["recall"], row["true_pixels"]),
            Is.EqualTo(("a, \"b\"", "1", "0.5", "1", "5000")));
        Assert.That((row["max_probability"], row["colour_dice"]), Is.EqualTo(("0.75", "")));
        System.Text.Json.Nodes.JsonObject json = SlideEvaluationText.Json(all);
        Assert.That((double)json["masks"]!["precision_pooled"]!, Is.EqualTo(0.5));
        Assert.That((json["all_tissue"], json["by_slide"]!["auc"]), Is.EqualTo((default(object), default(object))));
        Assert.That(SlideEvaluationText.Line(all.Slides[0]), Is.EqualTo("a, \"b\": Dice 0.6667, IoU 0.5000, precision "
            + "0.5000, recall 1.0000; 0.010 mm² of tumour, in truth 0.005"));
    }
}
