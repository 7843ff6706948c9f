// The stage that judges: scores of labelled patches and masks of every round are made for validation and test images as
// for any image, without their labels or truth, and put on the disk; then Evaluation compares. What is on the disk when
// it is interrupted is not made again.
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>Judges the classifier, the activation maps and every round on validation and test images.</summary>
public sealed class EvaluationStage : IRunStage
{
    static readonly Split[] Judged = [Split.Val, Split.Test];

    /// <inheritdoc/>
    public string Name => "evaluate";

    /// <inheritdoc/>
    public StageResult Run(RunContext run)
    {
        (long planned, long peak) = Predict(run);
        Evaluation evaluation = new(run.Folder, run.Config, run.Data, run.Files, run.Observer, run.Cancel);
        return new StageResult(evaluation.Write(), planned, peak);
    }

    /// <summary>Puts scores and masks on the disk. Gives the memory planned and used.</summary>
    internal (long Planned, long Peak) Predict(RunContext run)
    {
        (long Planned, long Peak) scores = Classify(run), masks = Segment(run);   // one after the other
        return (Math.Max(scores.Planned, masks.Planned), Math.Max(scores.Peak, masks.Peak));
    }

    /// <inheritdoc/>
    public void Reset(RunFolder folder)
    {
        if (Directory.Exists(folder.Predictions)) Directory.Delete(folder.Predictions, recursive: true);
        RunFolder.Delete(folder.EvaluationCsv);
        RunFolder.Delete(folder.EvaluationJson);
    }

    // --- scores of patches

    static (long Planned, long Peak) Classify(RunContext run)
    {
        Split[] open = [.. Judged.Where(s =>
            PatchScores.ReadInOrder(run.Folder, run.Data, s).Count < run.Data.PatchesOf(s).Count())];
        if (open.Length == 0 || !File.Exists(run.Folder.Classifier)) return (0, 0);
        int side = run.Config.Classifier.Size;
        PatchClassifierOptions options = new()
        {
            Batch = run.Config.Classifier.Batch, Precision = run.Config.Type,
            MemoryBudget = run.Config.BudgetBytes, LongerSide = side, ShorterSide = side,
        };
        using PatchClassifier classifier = PatchClassifier.Load(run.Gpu, run.Folder.Classifier, options);
        foreach (Split split in open) Classify(run, split, classifier);
        return (classifier.Plan.Peak, classifier.MeasuredPeak);
    }

    // Whole batches are kept, so that the rest is cut into the same ones when it goes on.
    static void Classify(RunContext run, Split split, PatchClassifier classifier)
    {
        int[] patches = [.. Enumerable.Range(0, run.Data.Patches.Count)
            .Where(i => run.Data.Images[run.Data.Patches[i].Image].Split == split)];
        List<double> scores = PatchScores.ReadInOrder(run.Folder, run.Data, split);
        int batch = run.Config.Classifier.Batch, side = run.Config.Classifier.Size, each = 3 * side * side;
        scores.RemoveRange(scores.Count / batch * batch, scores.Count % batch);
        PatchImages images = new(run.Data, patches, run.Files, side, run.Config.Compat.SwappedRedBlue);
        using IWorkProgress progress =
            run.Observer.Begin($"scores of {Text(split)} patches", patches.Length, "patches");
        System.Diagnostics.Stopwatch sinceSaved = System.Diagnostics.Stopwatch.StartNew();
        try
        {
            while (scores.Count < patches.Length)
            {
                run.Cancel.ThrowIfCancellationRequested();
                int[] part = [.. patches.Skip(scores.Count).Take(batch)];
                byte[] pixels = new byte[part.Length * each];
                for (int i = 0; i < part.Length; i++) images.Read(part[i]).CopyTo(pixels, i * each);
                scores.AddRange(classifier.Classify(pixels, part.Length, side, side).Select(s => (double)s.Logit));
                progress.Report(scores.Count);
                if (sinceSaved.Elapsed.TotalSeconds < run.Config.SaveSeconds) continue;
                PatchScores.Write(run.Folder, run.Data, split, scores);
                sinceSaved.Restart();
            }
        }
        finally
        {
            PatchScores.Write(run.Folder, run.Data, split, scores);
        }
    }

    // --- masks of the rounds

    const int Together = 16;   // images whose embeddings are held while decoders change

    static (long Planned, long Peak) Segment(RunContext run)
    {
        int[] rounds = [.. Enumerable.Range(0, run.Config.Decoder.Rounds + 1)
            .Where(r => File.Exists(run.Folder.Decoder(r)))];
        SourceImage[] images = [.. Judged.SelectMany(run.Data.Of).Where(i => rounds.Any(r => IsOpen(run, i, r)))];
        if (images.Length == 0) return (0, 0);
        DecoderTrainerOptions options = new DecoderTrainerOptions
        {
            Batch = 1, Points = run.Config.Decoder.Points, Precision = run.Config.Type,
            MemoryBudget = run.Config.BudgetBytes, UnscaledPoints = run.Config.Compat.UnscaledPoints,
        }.For(images.Select(i => run.Files.ReadSize(i.Path)));
        using StateDict file = Checkpoint.Open(run.Sam);
        CheckpointParameters sam = new(file);
        using DecoderTrainer decoder = DecoderTrainer.Load(run.Gpu, sam, options, null, run.Sam);
        EmbeddingCache cache = EmbeddingCache.Of(run, decoder, sam);
        run.Folder.KeepTimeline("evaluate", decoder.Plan);
        using IWorkProgress progress =
            run.Observer.Begin("masks of validation and test images", images.Length, "images");
        long done = 0;
        foreach (SourceImage[] part in images.Chunk(Together))
        {
            (byte[] Embedding, (int X, int Y)[] Points, Picture Initial)?[] prompts =
                [.. part.Select(i => Prompt(run, i, decoder, cache))];
            foreach (int round in rounds)
            {
                decoder.LoadDecoder(run.Folder.Decoder(round));
                for (int i = 0; i < part.Length; i++)
                {
                    run.Cancel.ThrowIfCancellationRequested();
                    if (prompts[i] is not var (embedding, points, initial) || !IsOpen(run, part[i], round)) continue;
                    byte[] mask = points.Length == 0 ? new byte[initial.Pixels.Length]
                        : decoder.Predict(embedding, points, initial.Height, initial.Width);
                    string kind = EvaluationKind.OfRound(round);
                    string path = run.Folder.Prediction(part[i].Split, kind, part[i].Name);
                    run.WriteMask(path, mask, initial.Height, initial.Width);
                }
            }
            progress.Report(done += part.Length);
        }
        return (decoder.Plan.Peak, decoder.MeasuredPeak);
    }

    static bool IsOpen(RunContext run, SourceImage image, int round) =>
        !File.Exists(run.Folder.Prediction(image.Split, EvaluationKind.OfRound(round), image.Name));

    // An empty initial mask has no points: nothing is asked for, the mask is empty. (The reference asks for (0, 0).)
    static (byte[], (int X, int Y)[], Picture)? Prompt(RunContext run, SourceImage image, DecoderTrainer decoder,
        EmbeddingCache cache)
    {
        run.Cancel.ThrowIfCancellationRequested();
        if (!File.Exists(run.Folder.InitialMask(image.Name)) || !File.Exists(run.Folder.Cam(image.Name))) return null;
        Picture cam = run.Files.ReadGrey(run.Folder.Cam(image.Name));
        Picture initial = run.Files.ReadGrey(run.Folder.InitialMask(image.Name)), rgb = run.ReadRgb(image);
        if ((initial.Height, initial.Width) != (rgb.Height, rgb.Width))
            throw new RunException($"the initial mask of {image.Name} has {initial.Width} x {initial.Height} pixels, "
                + $"its image {rgb.Width} x {rgb.Height}: the image has changed since; run the stage masks again");
        if (!initial.Pixels.AsSpan().ContainsAnyExcept((byte)0)) return ([], [], initial);
        byte[] embedding = cache.Get(EmbeddingCache.ImageDigest(rgb), DecoderAugmentation.None.Orientation,
            () => decoder.Encode(rgb.Pixels, rgb.Height, rgb.Width));
        return (embedding, CamPoints.Of(cam, initial, run.Config.Decoder, image.Name), initial);
    }

    // --- both

    static string Text(Split split) => split.ToString().ToLowerInvariant();
}
