// The end of epsam demo: what was measured, read from the files that its steps have left; what to open; and the same
// with one's own slides.
using System.Globalization;
using System.Text.Json;
using EpSam.Native.Pipeline;
using EpSam.Slides.Batch;
using Spectre.Console;

namespace EpSam.Cli;

internal static class DemoSummary
{
    public static void Write(DemoRecipe recipe, TextWriter output)
    {
        RunFolder run = new(recipe.Run);
        using JsonDocument masks = Read(recipe.EvaluationOf(recipe.Results) + ".json");
        using JsonDocument maps = Read(recipe.EvaluationOf(recipe.Maps) + ".json");
        using JsonDocument trained = Read(run.EvaluationJson);
        output.WriteLine("WHAT WAS MEASURED, on the two unseen slides (drawn: their tumour is known to the pixel)");
        Terminal.Write(output, Slides(masks.RootElement, maps.RootElement));
        Tell(masks.RootElement, output);
        Patches(trained.RootElement, output);
        output.WriteLine();
        output.WriteLine("LOOK AT");
        BatchFolder results = new(recipe.Results);
        foreach ((string path, string what) in new[]
        {
            (recipe.Picture, "an unseen slide, its true tumour, what was found"),
            (results.Page, "both in a browser: zoom, fade, outlines"),
            (results.Outlines, "outlines for QuPath; masks and probabilities are TIFFs in slides/"),
            (run.Report, "the training: curves, samples, figures"),
            (Path.Combine(recipe.Patches, "sheets", "index.html"), "which patches were cut from the slides"),
        })
        {
            output.WriteLine($"  {Path.GetRelativePath(Environment.CurrentDirectory, path)}");
            output.WriteLine($"      {what}");
        }
        output.WriteLine();
        output.WriteLine("WITH YOUR OWN SLIDES (annotations are ASAP's XML or QuPath's GeoJSON of the same name)");
        output.WriteLine("""
              epsam prepare SLIDES --out patches --mpp 0.5 --size 512
              epsam train --data patches --sam sam_vit_b_01ec64.pth --out run
              epsam slide NEW_SLIDES --run run --out results
              epsam slide evaluate results --slides NEW_SLIDES
            and open results/index.html. sam_vit_b_01ec64.pth is Meta AI's published checkpoint; the SAM of this demo
            had learnt nothing before. epsam plan train says how much device memory training takes, epsam doctor what
            there is.
            """);
    }

    // --- slides

    static Table Slides(JsonElement masks, JsonElement maps)
    {
        Table table = new Table().Border(TableBorder.Minimal).AddColumns("of all pixels", "Dice", "IoU", "precision",
            "recall");
        Row(table, "segmented (last round)", masks.GetProperty("masks"));
        Row(table, "activation maps alone", maps.GetProperty("masks"));
        Row(table, "best colour threshold *", masks.GetProperty("colour"));
        Row(table, "all tissue", masks.GetProperty("all_tissue"));
        return table;
    }

    static void Row(Table table, string name, JsonElement figures)
    {
        if (figures.ValueKind != JsonValueKind.Object) return;
        table.AddRow(name, Text(figures, "dice_pooled"), Text(figures, "iou_pooled"),
            Text(figures, "precision_pooled"), Text(figures, "recall_pooled"));
    }

    static void Tell(JsonElement masks, TextWriter output)
    {
        output.WriteLine("  * chosen with the truth of these very slides, which favours it");
        foreach (JsonElement slide in masks.GetProperty("slides").EnumerateArray())
        {
            (double found, double truth) = (Number(slide, "predicted_mm2"), Number(slide, "true_mm2"));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {slide.GetProperty("slide").GetString()}: {found:F3} mm² of tumour found, {truth:F3} in truth"));
        }
    }

    // --- patches

    static void Patches(JsonElement trained, TextWriter output)
    {
        if (!trained.GetProperty("parts").TryGetProperty("val", out JsonElement val)) return;
        JsonElement patches = val.GetProperty("patches");
        JsonElement own = patches.GetProperty("classifier"), colour = patches.GetProperty("colour");
        int count = patches.GetProperty("count").GetInt32();
        output.WriteLine($"  {count} patches of the slide kept for validation: accuracy {Text(own, "accuracy")}, AUC "
            + Text(own, "auc"));
        output.WriteLine($"  by a discriminant of their mean colours: {Text(colour, "accuracy")}, AUC "
            + Text(colour, "auc"));
        Rounds(val.GetProperty("masks"), output);
    }

    static void Rounds(JsonElement masks, TextWriter output)
    {
        const string Maps = "cam", Round = "round";
        List<(string Name, double Dice)> kinds = [];
        foreach (JsonProperty kind in masks.EnumerateObject())
        {
            bool isRound = kind.Name.StartsWith(Round, StringComparison.Ordinal);
            if (kind.Name != Maps && !isRound) continue;
            string name = isRound ? kind.Name.Insert(Round.Length, " ") : "activation maps";
            kinds.Add((name, Number(kind.Value, "dice_of_tumour")));
        }
        output.WriteLine("  their masks, Dice: " + string.Join(", ", kinds.Select(k =>
            string.Create(CultureInfo.InvariantCulture, $"{k.Name} {k.Dice:F3}"))));
        if (kinds.Count > 1 && kinds[^1].Dice < kinds[0].Dice)
            output.WriteLine("  The rounds add nothing to the maps: what SAM brings along, this one has not learnt.");
    }

    static double Number(JsonElement of, string name) =>
        of.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble()
            : double.NaN;

    static string Text(JsonElement of, string name) => Number(of, name) is double value && double.IsFinite(value)
        ? value.ToString("F3", CultureInfo.InvariantCulture) : "-";

    static JsonDocument Read(string path)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserError($"{path} cannot be read: {e.Message}");
        }
    }
}
