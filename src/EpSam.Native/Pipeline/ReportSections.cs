// The parts of report.html. Each takes what there is and says when there is nothing.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using EpSam.Native.Runtime;

namespace EpSam.Native.Pipeline;

internal sealed class ReportSections(ReportData data, PatchSet? set, IImageFiles files)
{
    static readonly string[] Trivial =
        [EvaluationKind.AllTumour, EvaluationKind.Colour, EvaluationKind.ColourPooled];

    static readonly string[] Columns =
        ["dice", "iou", "dice_of_tumour", "iou_of_tumour", "dice_pooled", "iou_pooled", "pixel_accuracy"];

    IEnumerable<Split> Parts => new[] { Split.Test, Split.Val }.Where(s => data.Part(s) is not null);

    static string Title(Split split) => split switch
    {
        Split.Train => "Training", Split.Val => "Validation", _ => "Test",
    };

    /// <summary>The figures that matter, beside those of doing next to nothing.</summary>
    public void Headline(MarkupPage page)
    {
        page.Add($"<section><h2>Results</h2>");
        if (!Parts.Any())
            page.Add($"<p class=\"missing\">Not evaluated yet: figures against the truth come with the stage evaluate."
                + $"</p>");
        foreach (Split split in Parts)
        {
            JsonObject part = data.Part(split)!;
            page.Add($"<h3>{Title(split)}: {Whole(part["images"])} images, {Whole(part["images_with_mask"])} with a "
                + $"true mask, {Whole(part["patches"]?["count"])} labelled patches</h3>");
            Cards(page, split, part);
            page.Add($"<div class=\"charts\">");
            page.Add($"{Bars(split)}");
            page.Add($"{PatchBars(part)}</div>");
        }
        foreach (JsonNode? note in data.Evaluation?["notes"] as JsonArray ?? [])
            page.Add($"<p class=\"note\">{note?.ToString()}</p>");
        page.Add($"</section>");
    }

    void Cards(MarkupPage page, Split split, JsonObject part)
    {
        string? last = data.Kinds(split).LastOrDefault();
        page.Add($"<div class=\"cards\">");
        if (last is not null)
        {
            page.Add($"{Card("Dice", data.Mask(split, last, "dice"), $"masks of {EvaluationKind.Title(last)}, mean by "
                + $"image; best colour threshold {Short(data.Mask(split, EvaluationKind.Colour, "dice"))}, all tumour "
                + Short(data.Mask(split, EvaluationKind.AllTumour, "dice")))}");
            page.Add($"{Card("IoU", data.Mask(split, last, "iou"), $"likewise; best colour threshold "
                + $"{Short(data.Mask(split, EvaluationKind.Colour, "iou"))}, all tumour "
                + Short(data.Mask(split, EvaluationKind.AllTumour, "iou")))}");
        }
        JsonNode? ours = part["patches"]?["classifier"], colour = part["patches"]?["colour"];
        double majority = Number(part["patches"]?["majority"]?["accuracy"]);
        page.Add($"{Card("Accuracy of patches", Number(ours?["accuracy"]), $"by colour alone "
            + $"{Short(Number(colour?["accuracy"]))}, always the more frequent label {Short(majority)}")}");
        page.Add($"{Card("AUC of patches", Number(ours?["auc"]), $"by colour alone {Short(Number(colour?["auc"]))}")}");
        page.Add($"</div>");
    }

    static Markup Card(string name, double value, string beside) =>
        Markup.Of($"<div class=\"card\"><span>{name}</span><b>{Short(value)}</b><span>{beside}</span></div>");

    Markup Bars(Split split)
    {
        List<ChartBar> bars = [];
        foreach (string kind in Trivial.Take(2).Concat(data.Kinds(split)))
        {
            bool isOurs = !Trivial.Contains(kind);
            double dice = data.Mask(split, kind, "dice");
            if (!isOurs && double.IsNaN(dice)) continue;
            bars.Add(new ChartBar(EvaluationKind.Title(kind) + (kind == EvaluationKind.Colour ? " *" : ""), dice,
                !isOurs ? ReportChart.Baseline : kind == EvaluationKind.Cam ? 1 : 0));
        }
        return bars.Count == 0 ? default : Markup.Of($"<div>{ReportChart.Bars("Dice, mean by image", bars)}"
            + $"<p class=\"note\">* chosen with the truth of these very images, which favours it</p></div>");
    }

    static Markup PatchBars(JsonObject part)
    {
        if (part["patches"] is not JsonObject patches) return default;
        List<ChartBar> bars =
        [
            new("majority, accuracy", Number(patches["majority"]?["accuracy"]), ReportChart.Baseline),
            new("colour alone, accuracy", Number(patches["colour"]?["accuracy"]), ReportChart.Baseline),
            new("classifier, accuracy", Number(patches["classifier"]?["accuracy"]), 0),
            new("colour alone, AUC", Number(patches["colour"]?["auc"]), ReportChart.Baseline),
            new("classifier, AUC", Number(patches["classifier"]?["auc"]), 0),
        ];
        return Markup.Of($"<div>{ReportChart.Bars("Patches", [.. bars.Where(b => double.IsFinite(b.Value))])}</div>");
    }

    /// <summary>All figures of masks: table and chart.</summary>
    public void Rounds(MarkupPage page)
    {
        foreach (Split split in Parts)
        {
            if (data.Part(split)!["masks"] is not JsonObject masks || masks.Count == 0) continue;
            string[] kinds = [.. Trivial.Where(masks.ContainsKey), .. data.Kinds(split)];
            page.Add($"<section><h2>Masks by round: {Title(split).ToLowerInvariant()}</h2><div class=\"wide\"><table>");
            page.Add($"<tr><th>masks</th><th class=\"n\">images</th><th class=\"n\">Dice</th><th class=\"n\">IoU</th>"
                + $"<th class=\"n\">Dice, images<br/>with tumour</th><th class=\"n\">IoU, images<br/>with tumour</th>"
                + $"<th class=\"n\">Dice,<br/>all pixels</th><th class=\"n\">IoU,<br/>all pixels</th>"
                + $"<th class=\"n\">pixels<br/>right</th></tr>");
            foreach (string kind in kinds)
            {
                JsonNode? m = masks[kind];
                string style = Trivial.Contains(kind) ? "base" : kind == kinds[^1] ? "last" : "";
                string what = m?["what"]?.ToString() is string text ? $" ({text})" : "";
                Markup figures = Markup.Join(Columns.Select(c => N(m?[c])));
                page.Add($"<tr class=\"{style}\"><td>{EvaluationKind.Title(kind)}{what}</td>"
                    + $"<td class=\"n\">{Whole(m?["images"])}</td>{figures}</tr>");
            }
            page.Add($"</table></div>");
            JsonNode? empty = masks[kinds[^1]]?["empty_truths"];
            if (Whole(empty) is not ("0" or "–"))
                page.Add($"<p class=\"note\">{Whole(empty)} of the true masks are empty: there an empty mask counts 1 "
                    + $"and any other nearly 0. The columns \"images with tumour\" leave them out.</p>");
            page.Add($"<div class=\"charts\">{RoundChart(split)}{ImageChart(split)}</div></section>");
        }
    }

    Markup RoundChart(Split split)
    {
        string[] kinds = [.. data.Kinds(split)];
        if (kinds.Length < 2) return default;
        (string Name, string Figure)[] lines =
            [("Dice", "dice"), ("IoU", "iou"), ("Dice, all pixels", "dice_pooled"), ("IoU, all pixels", "iou_pooled")];
        ChartSeries[] series = [.. lines.Select(l => new ChartSeries(l.Name,
            [.. kinds.Select((k, i) => ((double)i, data.Mask(split, k, l.Figure)))]))];
        ChartLevel[] levels = [.. Trivial.Take(2).Select(t => new ChartLevel(
            $"Dice, {EvaluationKind.Title(t)}", data.Mask(split, t, "dice"))).Where(l => double.IsFinite(l.Y))];
        return ReportChart.Lines("Masks by round", "", series, levels, true, [.. kinds.Select(EvaluationKind.Title)]);
    }

    Markup ImageChart(Split split)
    {
        string[] kinds = [.. new[] { EvaluationKind.Colour }.Concat(data.Kinds(split))];
        return ReportChart.Spots("Dice of each image, and the mean", [.. kinds.Select(EvaluationKind.Title)],
            [.. kinds.Select(k => (IReadOnlyList<(string, double)>)[.. data.Images
                .Where(i => i.Split == split && i.Kind == k).Select(i => (i.Image, i.Dice))])]);
    }

    /// <summary>Images with what was made of them.</summary>
    public void Samples(MarkupPage page)
    {
        page.Add($"<section><h2>From image to mask</h2>");
        if (set is null)
        {
            page.Add($"<p class=\"missing\">The images cannot be found.</p></section>");
            return;
        }
        page.Add($"<p class=\"note\"><span class=\"key mask\"></span>mask <span class=\"key truth\"></span>border of "
            + $"the truth, which nothing was trained on. Points are drawn from the initial mask by the activation map."
            + $"</p>");
        ReportSamples samples = new(data, set, files, data.Problems);
        foreach (Split split in new[] { Split.Test, Split.Val })
            Samples(page, $"{Title(split)} images", samples.Evaluated(split));
        Samples(page, "Training images", samples.Trained());
        page.Add($"</section>");
    }

    static void Samples(MarkupPage page, string title, List<ReportSample> samples)
    {
        if (samples.Count == 0) return;
        int columns = samples.Max(s => s.Pictures.Count);
        page.Add($"<h3>{title}</h3>");
        foreach (ReportSample sample in samples)
        {
            string label = sample.Image.Label switch { 1 => "label tumour", 0 => "label none", _ => "no label" };
            string why = sample.Why.Length > 0 ? $" · {sample.Why}" : "";
            page.Add($"<div class=\"sample\"><h3>{sample.Image.Name} <span>{label}{why}</span></h3>"
                + $"<div class=\"chain\" style=\"grid-template-columns:repeat({columns},"
                + $"minmax(84px,170px))\">");
            foreach (ReportPicture picture in sample.Pictures)
            {
                Markup image = picture.Image.Text is null ? Markup.Of($"<div class=\"dropped\">not kept</div>")
                    : picture.Image;
                page.Add($"<figure>{image}<figcaption>{picture.Caption}<span>{picture.Note}</span></figcaption>"
                    + $"</figure>");
            }
            page.Add($"</div></div>");
        }
    }

    /// <summary>What metrics.csv has, a chart for figures of a kind.</summary>
    public void Curves(MarkupPage page)
    {
        page.Add($"<section><h2>Training</h2>");
        if (data.Metrics.Count == 0) page.Add($"<p class=\"missing\">No figures yet.</p>");
        (bool IsMain, Markup Chart)[] charts = [.. data.Metrics.GroupBy(m => m.Stage).SelectMany(stage =>
            stage.GroupBy(m => KindOf(m.Name)).OrderBy(g => g.Key)
                .Select(kind => (kind.Key <= ChartKind.Share, Curve(stage.Key, kind))))];
        page.Add($"<div class=\"charts\">{Markup.Join(charts.Where(c => c.IsMain).Select(c => c.Chart))}</div>");
        Markup others = Markup.Join(charts.Where(c => !c.IsMain).Select(c => c.Chart));
        if (others.Text.Length > 0)
            page.Add($"<details><summary>Parts of losses, learning rates, other figures</summary>"
                + $"<div class=\"charts\">{others}</div></details>");
        page.Add($"</section>");
    }

    enum ChartKind
    {
        Loss, Share, LossPart, Rate, Other,
    }

    static ChartKind KindOf(string name) => name switch
    {
        _ when Has(name, "dice_loss") || Has(name, "iou_loss") => ChartKind.LossPart,
        _ when Has(name, "loss") => ChartKind.Loss,
        _ when Has(name, "dice") || Has(name, "iou") || Has(name, "accuracy") || Has(name, "auc") => ChartKind.Share,
        _ when Has(name, "rate") => ChartKind.Rate,
        _ => ChartKind.Other,
    };

    static bool Has(string name, string part) => name.Contains(part, StringComparison.OrdinalIgnoreCase);

    static Markup Curve(string stage, IGrouping<ChartKind, ReportMetric> kind)
    {
        IGrouping<string, ReportMetric>[] names = [.. kind.GroupBy(m => m.Name)];
        bool isByEpoch = Array.TrueForAll(names, n => n.Select(m => m.Epoch).Distinct().Count() == n.Count());
        ChartSeries[] series = [.. names.Select(n => new ChartSeries(Words(n.Key),
            [.. n.Select(m => ((double)(isByEpoch ? m.Epoch : m.Step), m.Value))]))];
        string what = kind.Key switch
        {
            ChartKind.Loss => "loss", ChartKind.Share => "scores", ChartKind.LossPart => "parts of the loss",
            ChartKind.Rate => "learning rate", _ => "other figures",
        };
        return ReportChart.Lines($"{StageTitle(stage)}: {what}", isByEpoch ? "epoch" : "step", series, null,
            kind.Key == ChartKind.Share);
    }

    static string Words(string name) => name.Replace('_', ' ');

    static string StageTitle(string stage) =>
        EvaluationKind.RoundOf(stage) is null ? Words(stage) : EvaluationKind.Title(stage);

    /// <summary>What the filter kept, by round.</summary>
    public void PseudoMasks(MarkupPage page)
    {
        if (data.PseudoMasks.Count == 0) return;
        page.Add($"<section><h2>Pseudo masks of the training images</h2><table><tr><th>made by</th>"
            + $"<th class=\"n\">images</th><th class=\"n\">kept</th><th class=\"n\">share kept</th>"
            + $"<th class=\"n\">mean score</th><th class=\"n\">Dice of<br/>those kept *</th>"
            + $"<th class=\"n\">Dice of their<br/>initial masks *</th></tr>");
        foreach (IGrouping<int, PseudoMaskLine> round in data.PseudoMasks.GroupBy(m => m.Round))
        {
            int count = round.Count(), kept = round.Count(m => m.IsKept);
            JsonNode? truth = data.Part(Split.Train)?["pseudo_masks"]?[EvaluationKind.OfRound(round.Key)];
            page.Add($"<tr><td>round {round.Key}</td><td class=\"n\">{count}</td><td class=\"n\">{kept}</td>"
                + $"<td class=\"n\">{100.0 * kept / count:F0} %</td>"
                + $"<td class=\"n\">{round.Average(m => m.Score):F4}</td>"
                + $"{N(truth?["dice"])}{N(truth?["initial_dice"])}</tr>");
        }
        page.Add($"</table><p class=\"note\">Score: the share of a predicted mask that lies in the initial mask. From "
            + $"{data.Config.Decoder.KeepFrom:0.###} on it is kept for the next round. * Of images with a true mask; "
            + $"nothing was chosen by it.</p></section>");
    }

    /// <summary>Times, and device memory over each stage.</summary>
    public void Stages(MarkupPage page)
    {
        page.Add($"<section><h2>Stages, time and memory</h2>");
        if (data.Stages.Count == 0) page.Add($"<p class=\"missing\">No stage is done yet.</p>");
        else StageTable(page);
        Timelines(page);
        page.Add($"</section>");
    }

    void StageTable(MarkupPage page)
    {
        page.Add($"<div class=\"wide\"><table><tr><th>stage</th><th>state</th><th>finished</th>"
            + $"<th class=\"n\">time</th>"
            + $"<th class=\"n\">device memory<br/>planned</th><th class=\"n\">measured<br/>peak</th>"
            + $"<th>figures</th></tr>");
        foreach (StageProgress s in data.Stages)
        {
            string state = s.State.ToString().ToLowerInvariant();
            string figures = string.Join(", ", (s.Figures ?? new Dictionary<string, double>())
                .Select(f => StageProgress.Figure(f.Key, f.Value)));
            page.Add($"<tr><td>{s.Name}</td><td>{state}</td>"
                + $"<td class=\"date\">{s.Finished?.ToLocalTime():yyyy-MM-dd HH:mm}</td>"
                + $"<td class=\"n\">{Duration(s.Seconds)}</td><td class=\"n\">{Bytes(s.PlannedBytes)}</td>"
                + $"<td class=\"n\">{Bytes(s.PeakBytes)}</td><td>{figures}</td></tr>");
        }
        page.Add($"</table></div>");
    }

    // The same plan is drawn once: rounds differ in nothing but their masks.
    void Timelines(MarkupPage page)
    {
        List<(string Stages, string Svg)> drawn = [];
        foreach (StageProgress stage in data.Stages)
        {
            string path = data.Folder.Timeline(stage.Name);
            if (!File.Exists(path)) continue;
            string svg = File.ReadAllText(path);
            if (!IsPicture(svg))
            {
                data.Problems.Add($"{path} is no picture of a plan");
                continue;
            }
            int same = drawn.FindIndex(d => Untitled(d.Svg) == Untitled(svg));
            if (same >= 0) drawn[same] = ($"{drawn[same].Stages}, {stage.Name}", drawn[same].Svg);
            else drawn.Add((stage.Name, svg));
        }
        foreach ((string stages, string svg) in drawn)
            page.Add($"<details class=\"timeline\" open=\"open\"><summary>Device memory over time: {stages}</summary>"
                + $"{new Markup(svg)}</details>");
    }

    static string Untitled(string svg) => svg.IndexOf("font-size='16'>", StringComparison.Ordinal) is int at and >= 0
        && svg.IndexOf("</text>", at, StringComparison.Ordinal) is int end and >= 0 ? svg.Remove(at, end - at) : svg;

    // Goes into the page as it is, so it must be what the run wrote: one SVG without anything that acts or is loaded.
    static bool IsPicture(string svg)
    {
        try
        {
            System.Xml.Linq.XElement root = System.Xml.Linq.XElement.Parse(svg);
            string[] known = ["svg", "style", "rect", "line", "text", "title", "g", "path"];
            return root.Name.LocalName == "svg" && root.DescendantsAndSelf().All(e => known.Contains(e.Name.LocalName)
                && e.Attributes().All(a => !a.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase)
                    && !a.Name.LocalName.Contains("href", StringComparison.OrdinalIgnoreCase)));
        }
        catch (System.Xml.XmlException)
        {
            return false;
        }
    }

    static string Bytes(long bytes) => bytes > 0 ? Sizes.Text(bytes) : "–";

    static string Duration(double seconds) => seconds switch
    {
        0 => "–",
        < 60 => FormattableString.Invariant($"{seconds:F1} s"),
        < 3600 => FormattableString.Invariant($"{Math.Floor(seconds / 60):F0} min {Math.Floor(seconds % 60):00} s"),
        _ => FormattableString.Invariant($"{Math.Floor(seconds / 3600):F0} h {Math.Floor(seconds % 3600 / 60):00} min"),
    };

    /// <summary>What it learned from.</summary>
    public void Data(MarkupPage page)
    {
        if (set is null) return;
        page.Add($"<section><h2>Data</h2><table><tr><th>part</th><th class=\"n\">images</th><th class=\"n\">tumour</th>"
            + $"<th class=\"n\">none</th><th class=\"n\">with true mask</th><th class=\"n\">labelled patches</th>"
            + $"<th class=\"n\">tumour</th><th class=\"n\">none</th></tr>");
        foreach (Split split in Enum.GetValues<Split>())
        {
            SourceImage[] images = [.. set.Of(split)];
            Patch[] patches = [.. set.PatchesOf(split)];
            page.Add($"<tr><td>{Title(split).ToLowerInvariant()}</td><td class=\"n\">{images.Length}</td>"
                + $"<td class=\"n\">{images.Count(i => i.Label == 1)}</td>"
                + $"<td class=\"n\">{images.Count(i => i.Label == 0)}</td>"
                + $"<td class=\"n\">{images.Count(i => i.MaskPath is not null)}</td>"
                + $"<td class=\"n\">{patches.Length}</td><td class=\"n\">{patches.Count(p => p.Label == 1)}</td>"
                + $"<td class=\"n\">{patches.Count(p => p.Label == 0)}</td></tr>");
        }
        page.Add($"</table></section>");
    }

    /// <summary>All values, those that are not the default marked.</summary>
    public void Configuration(MarkupPage page)
    {
        List<(string Name, string Value)> now = Leaves(data.Config), before = Leaves(new RunConfig());
        Dictionary<string, string> defaults = before.ToDictionary(l => l.Name, l => l.Value);
        int changed = now.Count(l => defaults.GetValueOrDefault(l.Name) != l.Value);
        page.Add($"<section><h2>Configuration</h2><p class=\"note\">{now.Count} values, {changed} other than the "
            + $"default (marked).</p><table><tr><th>name</th><th>value</th><th>default</th></tr>");
        foreach ((string name, string value) in now)
        {
            bool isSet = defaults.GetValueOrDefault(name) != value;
            page.Add($"<tr class=\"{(isSet ? "set" : "")}\"><td class=\"code\">{name}</td>"
                + $"<td class=\"code\">{value}</td>"
                + $"<td class=\"code\">{(isSet ? defaults.GetValueOrDefault(name) ?? "" : "")}</td></tr>");
        }
        page.Add($"</table></section>");
    }

    static List<(string Name, string Value)> Leaves(RunConfig config)
    {
        List<(string, string)> leaves = [];
        using JsonDocument json = JsonDocument.Parse(config.ToJson());
        Walk(json.RootElement, "");
        return leaves;

        void Walk(JsonElement element, string path)
        {
            foreach (JsonProperty property in element.EnumerateObject())
            {
                string name = path.Length == 0 ? property.Name : $"{path}.{property.Name}";
                if (property.Value.ValueKind == JsonValueKind.Object) Walk(property.Value, name);
                else leaves.Add((name, Value(property.Value)));
            }
        }

        static string Value(JsonElement value) => value.ValueKind == JsonValueKind.Array
            ? string.Join(", ", value.EnumerateArray().Select(v => v.ToString()))
            : value.ValueKind == JsonValueKind.String ? value.ToString() : value.GetRawText();
    }

    /// <summary>What made it.</summary>
    public void Versions(MarkupPage page)
    {
        page.Add($"<section><h2>Versions and inputs</h2><table>");
        List<(string What, string Version)> lines = [.. ReportPage.Versions()];
        string devices = string.Join(", ", data.Stages.Select(s => s.Device).OfType<string>().Distinct());
        if (devices.Length > 0) lines.Add(("device", devices));
        if (data.Progress is RunProgress progress)
        {
            lines.Add(("SAM checkpoint", Input(progress.Sam)));
            lines.Add(("data set", progress.Data?.Path ?? ""));
            if (progress.Init is not null) lines.Add(("classifier begun with", Input(progress.Init)));
        }
        foreach ((string what, string version) in lines)
            page.Add($"<tr><td>{what}</td><td>{version}</td></tr>");
        page.Add($"</table></section>");
    }

    static string Input(RunInput? input) => input is null ? "–"
        : $"{input.Path} ({Sizes.Text(input.Bytes)}, SHA-256 {input.Sha256})";

    static Markup N(JsonNode? node) => Markup.Of($"<td class=\"n\">{F(Number(node))}</td>");

    static string F(double value) => double.IsFinite(value) ? value.ToString("F4", CultureInfo.InvariantCulture) : "–";

    static string Short(double value) =>
        double.IsFinite(value) ? value.ToString("F3", CultureInfo.InvariantCulture) : "–";

    static double Number(JsonNode? node) => MaskFigureText.Read(node);

    static string Whole(JsonNode? node) => Number(node) is double v && double.IsFinite(v)
        ? v.ToString("F0", CultureInfo.InvariantCulture) : "–";
}
