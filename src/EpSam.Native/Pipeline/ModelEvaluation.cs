// A classifier and a decoder from anywhere, judged on a data set as a run judges its own: a working folder is laid out
// like a run's, so that the same stages do it.
using System.Text.Json.Nodes;
using EpSam.Native.Runtime;

namespace EpSam.Native.Pipeline;

/// <summary>What is judged.</summary>
/// <param name="Classifier">A classifier's checkpoint.</param>
/// <param name="Sam">A SAM checkpoint; null: initial masks alone.</param>
/// <param name="Decoder">A decoder trained alone; null: SAM's own.</param>
/// <param name="Config">Sizes of patches, rule, points, switches: as the models were trained.</param>
public sealed record JudgedModel(string Classifier, string? Sam, string? Decoder, RunConfig Config);

/// <summary>Judges models on a data set.</summary>
public static class ModelEvaluation
{
    /// <summary>The kind that a decoder's masks have in the results.</summary>
    public const string Decoder = "decoder";

    /// <summary>
    /// Judges the images of some parts together, as a test set. Training images that are not among them serve the
    /// colour baseline.
    /// </summary>
    /// <param name="gpu">Where.</param>
    /// <param name="folder">An empty folder to work in: holds masks and scores afterwards.</param>
    /// <param name="model">What is judged.</param>
    /// <param name="set">On what: see <see cref="PatchSet.OpenJudged"/>.</param>
    /// <param name="splits">Its parts that are judged.</param>
    /// <param name="files">Reads and writes images.</param>
    /// <param name="observer">Is told what is done.</param>
    /// <param name="cancel">Ends it.</param>
    /// <returns>evaluation.json and evaluation.csv.</returns>
    public static (JsonObject Figures, string Lines) Run(Gpu gpu, string folder, JudgedModel model, PatchSet set,
        IReadOnlyCollection<Split> splits, IImageFiles files, IRunObserver observer, CancellationToken cancel)
    {
        RunFolder run = new(folder);
        Link(model.Classifier, run.Classifier);
        if (model.Sam is not null) Link(model.Decoder ?? model.Sam, run.Decoder(0));
        RunConfig config = model.Config with
        {
            Decoder = model.Config.Decoder with { Rounds = 0, Cache = "0", Validation = DecoderValidation.Cam },
            Cam = model.Config.Cam with
            {
                Scale = CamStage.ScaleOf(model.Config, Part(set, splits.Contains, _ => Split.Train), files),
            },
        };
        PatchSet judged = Part(set, splits.Contains, _ => Split.Test);
        RunContext context = new(gpu, config, run, judged, files, new Journal(run), observer, model.Sam ?? "", cancel);
        new CamStage().Run(context);
        new EvaluationStage().Predict(context);
        PatchSet all = Part(set, s => s == Split.Train || splits.Contains(s),
            s => splits.Contains(s) ? Split.Test : Split.Train);
        new Evaluation(run, config, all, files, observer, cancel) { Judged = [Split.Test] }.Write();
        return (Figures(run), Lines(run, set));
    }

    static JsonObject Figures(RunFolder run)
    {
        JsonObject figures = JsonNode.Parse(File.ReadAllText(run.EvaluationJson))!.AsObject();
        if (figures["parts"]?["test"]?["masks"] is JsonObject masks
            && masks.Remove(EvaluationKind.OfRound(0), out JsonNode? own))
            masks[Decoder] = own;
        return figures;
    }

    // With the parts as the data set has them.
    static string Lines(RunFolder run, PatchSet set)
    {
        Dictionary<string, Split> splits = set.Images.ToDictionary(i => i.Name, i => i.Split);
        List<string[]> rows = CsvText.Rows(File.ReadAllText(run.EvaluationCsv));
        foreach (string[] row in rows.Skip(1))
        {
            row[0] = splits[row[1]].ToString().ToLowerInvariant();
            if (row[3] == EvaluationKind.OfRound(0)) row[3] = Decoder;
        }
        return string.Concat(rows.Select(r => string.Join(',', r.Select(CsvText.Field)) + "\n"));
    }

    // Some parts of a set, called otherwise.
    static PatchSet Part(PatchSet set, Func<Split, bool> isWanted, Func<Split, Split> name)
    {
        Dictionary<int, int> places = [];
        List<SourceImage> images = [];
        for (int i = 0; i < set.Images.Count; i++)
        {
            if (!isWanted(set.Images[i].Split)) continue;
            places[i] = images.Count;
            images.Add(set.Images[i] with { Split = name(set.Images[i].Split) });
        }
        return new PatchSet(images,
            [.. set.Patches.Where(p => places.ContainsKey(p.Image)).Select(p => p with { Image = places[p.Image] })]);
    }

    static void Link(string from, string to)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        try
        {
            File.CreateSymbolicLink(to, Path.GetFullPath(from));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Copy(from, to);   // Windows gives links to few
        }
    }
}
