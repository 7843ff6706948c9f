// Slides of known colours, masks and annotations: figures that can be counted by hand.
using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Slides;
using EpSam.Slides.Evaluate;
using EpSam.Slides.Segment;
using static EpSam.Native.Tests.Slides.JudgedSet;

namespace EpSam.Native.Tests.Slides;

public sealed class SlideEvaluationTests
{
    JudgedSet _set = null!;

    [SetUp]
    public void Begin() => _set = new JudgedSet();

    [TearDown]
    public void End() => _set?.Dispose();

    [Test]
    public void Masks_AreCountedOverTheWholeSlide()
    {
        SlideFolder a = _set.Results("a", 0.9, Rectangle(200, 200, 400, 400)), b = _set.Results("b", 0.2);
        string truth = _set.Annotation("a", Rectangle(300, 200, 500, 400));
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
        string slide = _set.Slide("a");
        SlideFolder a = _set.Results("a", 0.9, Rectangle(160, 160, 640, 640));
        string truth = _set.Annotation("a", Rectangle(320, 320, 480, 480));
        SlideEvaluation all = SlideEvaluation.Of([(a, slide, truth)]);
        Assert.That(all.Failed, Is.Empty);
        SlideFigures one = all.Slides[0];
        Assert.That(one.Mask, Is.EqualTo(new MaskOverlap(240 * 240, 80 * 80, 80 * 80, MaskSide * MaskSide)));
        Assert.That(one.AllTissue!.Value.All, Is.EqualTo(one.Mask.All));
        Assert.That(one.AllTissue.Value.Recall, Is.EqualTo(1));
        using (Slide open = Slide.Open(slide))
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
        whole.Add(rgb, Height, Width, new Crop(0, 0, Width, Height), truth, within);
        whole.AddMissed(77);
        int reach = ColourThresholdSearch.Reach;
        for (int y = 0; y < Height; y += 150)
            for (int x = 0; x < Width; x += 170)
            {
                (int left, int top) = (Math.Max(0, x - reach), Math.Max(0, y - reach));
                (int right, int bottom) = (Math.Min(Width, x + 170 + reach), Math.Min(Height, y + 150 + reach));
                byte[] around = Cut(rgb, 3, left, top, right - left, bottom - top);
                ColourThresholdSearch part = new();
                part.Add(around, bottom - top, right - left, new Crop(x - left, y - top, 170, 150),
                    Cut(truth, 1, x, y, 170, 150), Cut(within, 1, x, y, 170, 150));
                parts.Add(part);
            }
        parts.AddMissed(77);
        Assert.That(parts.Best(pooled: true), Is.EqualTo(whole.Best(pooled: true)));
        Assert.That(whole.Best(pooled: true)!.Smoothing, Is.GreaterThan(0), "else this shows nothing");

        static byte[] Cut(byte[] of, int size, int x, int y, int width, int height) => [.. Enumerable.Range(y, height)
            .SelectMany(row => of.Skip(size * (row * Width + x)).Take(size * width))];
    }

    [Test]
    public void BadSlides_AreListed_TheRestIsJudged()
    {
        SlideFolder good = _set.Results("good", 0.9, Rectangle(0, 0, 100, 100));
        string truth = _set.Annotation("good", Rectangle(0, 0, 100, 100));
        SlideFolder damaged = _set.Results("damaged", 0.9), empty = _set.Results("empty", 0.1);
        File.WriteAllText(damaged.Summary, "{");
        File.WriteAllText(empty.Mask, "no picture");
        File.WriteAllText(_set.In("truth", "broken.geojson"), "{}");
        SlideFolder broken = _set.Results("broken", 0.2);
        SlideEvaluation all = SlideEvaluation.Of([(damaged, null, null), (good, null, truth), (empty, null, null),
            (broken, null, _set.In("truth", "broken.geojson"))]);
        Assert.That(all.Slides.Single().Mask.Dice, Is.EqualTo(1));
        Assert.That(all.Failed.Select(f => f.Name), Is.EqualTo(new[] { "damaged", "empty", "broken" }));
        Assert.That(all.Failed[0].Error, Does.Contain("slide.json").And.Contain("segment"));
        Assert.That(all.SlideAuc, Is.NaN);
    }

    [Test]
    public void OtherSlide_IsRefused()
    {
        SlideFolder results = _set.Results("a", 0.9);
        ImageWriter.WritePng(_set.In("other.png"), new byte[3 * 700 * 800], 700, 800, 3);
        SlideEvaluation all = SlideEvaluation.Of([(results, _set.In("other.png"), null)]);
        Assert.That(all.Failed.Single().Error, Does.Contain("700 x 800").And.Contain("800 x 800"));
    }

    [TestCase(700, 900, "1 of 1 areas of tumour reach beyond")]
    [TestCase(850, 900, "1 of 1 areas of tumour lie outside of the slide: is the annotation another slide's?")]
    public void AnnotationBeyondTheSlide_IsClippedAndSaid(double from, double to, string note)
    {
        SlideFolder results = _set.Results("a", 0.9, Rectangle(700, 700, 800, 800));
        string truth = _set.Annotation("a", Rectangle(from, from, to, to));
        SlideEvaluation all = SlideEvaluation.Of([(results, null, truth)]);
        Assert.That(all.Notes.Single(), Does.Contain(note));
        Assert.That(all.Slides[0].Mask.True, Is.EqualTo(from < Side ? 2500 : 0));
    }

    [Test]
    public void Texts_SayTheSame()
    {
        SlideFolder a = _set.Results("a, \"b\"", 0.75, Rectangle(200, 200, 400, 400));
        SlideEvaluation all = SlideEvaluation.Of([(a, null, _set.Annotation("a", Rectangle(200, 200, 400, 300)))]);
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
        Assert.That(SlideEvaluationText.Lines(all).First(), Does.StartWith("masks of 1 slide: Dice 0.6667, "));
    }

    [Test]
    public void Text_OfAnEmptyMask_HasNoPrecision()
    {
        SlideFolder none = _set.Results("none", 0.25, Rectangle(0, 0, 0, 0));
        SlideEvaluation all = SlideEvaluation.Of([(none, null, _set.Annotation("b", Rectangle(200, 200, 400, 300)))]);
        Assert.That(SlideEvaluationText.Line(all.Slides[0]), Does.Contain("precision -, recall 0.0000; 0.000 mm²"));
        Assert.That(SlideEvaluationText.Lines(all).First(), Does.Contain("precision -, recall 0.0000 of all pixels"));
    }
}
