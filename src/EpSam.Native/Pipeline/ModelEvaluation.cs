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
        PatchSet judged = Judged(set, splits);
        RunConfig config = model.Config with
        {
            Decoder = model.Config.Decoder with { Rounds = 0, Cache = "0", Validation = DecoderValidation.Cam },
            Cam = model.Config.Cam with { Scale = CamStage.ScaleOf(model.Config, Trained(judged), files) },
        };
        RunContext context = new(gpu, config, run, Only(judged), files, new Journal(run), observer, model.Sam ?? "",
            cancel);
        new CamStage().Run(context);
        new EvaluationStage().Predict(context);
        new Evaluation(run, config, judged, files, observer, cancel).Write();
        string round = EvaluationKind.OfRound(0);
        JsonObject figures = JsonNode.Parse(File.ReadAllText(run.EvaluationJson))!.AsObject();
        if (figures["parts"]?["test"]?["masks"] is JsonObject masks && masks.Remove(round, out JsonNode? own))
            masks[Decoder] = own;
        string lines = File.ReadAllText(run.EvaluationCsv);
        return (figures, lines.Replace($",{round},", $",{Decoder},", StringComparison.Ordinal));
    }

    static PatchSet Judged(PatchSet set, IReadOnlyCollection<Split> splits) => new(
        [.. set.Images.Select(i => splits.Contains(i.Split) ? i with { Split = Split.Test }
            : i.Split == Split.Val ? i with { Split = Split.Train } : i)], set.Patches);

    // Without training images: for the stages that would make masks of them.
    static PatchSet Only(PatchSet set)
    {
        Dictionary<int, int> places = [];
        List<SourceImage> images = [];
        for (int i = 0; i < set.Images.Count; i++)
        {
            if (set.Images[i].Split != Split.Test) continue;
            places[i] = images.Count;
            images.Add(set.Images[i]);
        }
        return new PatchSet(images,
            [.. set.Patches.Where(p => places.ContainsKey(p.Image)).Select(p => p with { Image = places[p.Image] })]);
    }

    // All as training images: what patches are cut to tells at which scale images are seen.
    static PatchSet Trained(PatchSet set) =>
        new([.. set.Images.Select(i => i with { Split = Split.Train })], set.Patches);

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
