// An evaluation of slides as a table, as JSON and as lines for people. Numbers are written so that they can be read
// back exactly in the first two; what is no number is empty or null.
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Evaluate;

/// <summary>Writes an evaluation.</summary>
public static class SlideEvaluationText
{
    const string Header = "slide,tumour,dice,iou,precision,recall,predicted_mm2,true_mm2,predicted_pixels,true_pixels,"
        + "both_pixels,pixels,max_probability,all_tissue_dice,all_tissue_iou,colour_dice,colour_iou\n";

    /// <summary>A row for each slide.</summary>
    public static string Csv(SlideEvaluation evaluation)
    {
        StringBuilder csv = new(Header);
        foreach (SlideFigures s in evaluation.Slides)
        {
            MaskOverlap m = s.Mask;
            csv.Append(CultureInfo.InvariantCulture, $"{CsvText.Field(s.Name)},{(s.HasTumour ? 1 : 0)},")
                .AppendJoin(',', Text(m.Dice), Text(m.IoU), Text(m.Precision), Text(m.Recall), Text(s.PredictedMm2),
                    Text(s.TrueMm2))
                .Append(CultureInfo.InvariantCulture, $",{m.Predicted},{m.True},{m.Both},{m.All},")
                .AppendJoin(',', Text(s.MaxProbability), Text(s.AllTissue?.Dice), Text(s.AllTissue?.IoU),
                    Text(s.Colour?.Dice), Text(s.Colour?.IoU))
                .Append('\n');
        }
        return csv.ToString();

        static string Text(double? value) => value is double number && double.IsFinite(number)
            ? number.ToString("R", CultureInfo.InvariantCulture) : "";
    }

    /// <summary>Everything, by name.</summary>
    public static JsonObject Json(SlideEvaluation evaluation) => new()
    {
        ["definitions"] = Definitions(),
        ["masks"] = Kind(evaluation.Masks),
        ["all_tissue"] = Kind(evaluation.AllTissue),
        ["colour"] = Kind(evaluation.Colour),
        ["colour_rule"] = evaluation.ColourRule?.ToString(),
        ["by_slide"] = new JsonObject
        {
            ["auc"] = MaskFigureText.Number(evaluation.SlideAuc), ["with_tumour"] = evaluation.WithTumour,
            ["found"] = evaluation.Found, ["false_alarms"] = evaluation.FalseAlarms,
        },
        ["slides"] = new JsonArray([.. evaluation.Slides.Select(Slide)]),
        ["failed"] = new JsonArray([.. evaluation.Failed.Select(f =>
            (JsonNode)new JsonObject { ["slide"] = f.Name, ["error"] = f.Error })]),
        ["notes"] = new JsonArray([.. evaluation.Notes.Select(n => (JsonNode)n)]),
    };

    static JsonObject Definitions() => new()
    {
        ["pixels"] = "of the masks, over whole slides; a pixel of the truth is tumour when its middle is",
        ["dice, iou"] = "2·|A∩B| / (|A| + |B|) and |A∩B| / |A∪B|, 0.001 added above and below; means over slides",
        ["dice_of_tumour, iou_of_tumour"] = "the same over slides with tumour",
        ["dice_pooled, iou_pooled, precision_pooled, recall_pooled"] = "of the pixels of all slides together",
        ["all_tissue"] = "trivial: all tissue is tumour",
        ["colour"] = "trivial: in tissue, the one threshold on one smoothed colour value with the highest Dice of all "
            + "pixels, chosen with the truth of the very slides it is judged on, which favours it",
        ["by_slide"] = "auc: by the highest probability of a tile; found: slides with tumour whose mask meets some of "
            + "it; false_alarms: slides without tumour whose mask has some",
    };

    static JsonObject? Kind(SlideMaskFigures? figures)
    {
        if (figures is null) return null;
        JsonObject json = MaskFigureText.Of(figures.Figures);
        json["precision_pooled"] = MaskFigureText.Number(figures.Pooled.Precision);
        json["recall_pooled"] = MaskFigureText.Number(figures.Pooled.Recall);
        return json;
    }

    static JsonNode Slide(SlideFigures s) => new JsonObject
    {
        ["slide"] = s.Name, ["tumour"] = s.HasTumour, ["dice"] = s.Mask.Dice, ["iou"] = s.Mask.IoU,
        ["precision"] = MaskFigureText.Number(s.Mask.Precision), ["recall"] = MaskFigureText.Number(s.Mask.Recall),
        ["predicted_mm2"] = s.PredictedMm2, ["true_mm2"] = s.TrueMm2, ["max_probability"] = s.MaxProbability,
        ["all_tissue_dice"] = s.AllTissue?.Dice, ["colour_dice"] = s.Colour?.Dice,
    };

    /// <summary>A line for each slide.</summary>
    public static string Line(SlideFigures s)
    {
        string areas = s.HasTumour
            ? Invariant($"Dice {s.Mask.Dice:F4}, IoU {s.Mask.IoU:F4}, precision ")
                + Invariant($"{Share(s.Mask.Precision)}, recall {Share(s.Mask.Recall)}; ")
                + Invariant($"{s.PredictedMm2:F3} mm² of tumour, in truth {s.TrueMm2:F3}")
            : Invariant($"no tumour; the mask has {s.PredictedMm2:F3} mm²");
        return $"{s.Name}: {areas}";
    }

    /// <summary>The figures of all slides together.</summary>
    public static IEnumerable<string> Lines(SlideEvaluation evaluation)
    {
        if (evaluation.Slides.Count == 0) yield break;
        string slides = evaluation.Slides.Count == 1 ? "1 slide" : $"{evaluation.Slides.Count} slides";
        yield return Kind($"masks of {slides}", evaluation.Masks);
        if (evaluation.AllTissue is SlideMaskFigures tissue) yield return Kind("all tissue as tumour", tissue);
        if (evaluation.Colour is SlideMaskFigures colour)
            yield return Kind($"the best colour threshold, chosen with this truth ({evaluation.ColourRule})", colour);
        int normal = evaluation.Slides.Count - evaluation.WithTumour;
        string auc = double.IsFinite(evaluation.SlideAuc) ? Invariant($", AUC {evaluation.SlideAuc:F4}") : "";
        yield return Invariant($"by slide: {evaluation.Found} of {evaluation.WithTumour} with tumour found, ")
            + Invariant($"{evaluation.FalseAlarms} of {normal} without it have tumour in the mask{auc}");
    }

    static string Kind(string name, SlideMaskFigures f)
    {
        string means = f.Figures.Images > f.Figures.Empty
            ? Invariant($"; mean of {f.Figures.Images - f.Figures.Empty} with tumour: Dice ")
                + Invariant($"{f.Figures.DiceOfTumour:F4}, IoU {f.Figures.IoUOfTumour:F4}")
            : "";
        return Invariant($"{name}: Dice {f.Pooled.Dice:F4}, IoU {f.Pooled.IoU:F4}, precision ")
            + Invariant($"{Share(f.Pooled.Precision)}, recall {Share(f.Pooled.Recall)} of all pixels{means}");
    }

    // Of nothing there is no share.
    static string Share(double value) => double.IsFinite(value) ? Invariant($"{value:F4}") : "-";

    static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
