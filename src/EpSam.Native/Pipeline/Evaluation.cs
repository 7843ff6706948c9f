// What a run's results are worth, from what lies in its folder: masks of the activation maps, of every round's decoder,
// scores of patches, each beside what colour alone can do. True masks are read here and nowhere before (but for the
// choice of a decoder's best epoch). Writes evaluation.csv, a line for each image and kind, and evaluation.json.
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>The host side of evaluation: all is on the disk already.</summary>
/// <param name="folder">The run.</param>
/// <param name="config">Its configuration.</param>
/// <param name="set">Its data.</param>
/// <param name="files">Reads images.</param>
/// <param name="observer">Is told what is done.</param>
/// <param name="cancel">Looked at before each image.</param>
public sealed class Evaluation(RunFolder folder, RunConfig config, PatchSet set, IImageFiles files,
    IRunObserver observer, CancellationToken cancel)
{
    const string Header = "split,image,label,kind,dice,iou,predicted_pixels,true_pixels,both_pixels,pixels\n";

    static readonly JsonSerializerOptions Layout = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    readonly List<string> _notes = [];
    readonly StringBuilder _lines = new(Header);
    readonly Dictionary<string, double> _figures = [];

    /// <summary>The parts that are judged.</summary>
    public IReadOnlyList<Split> Judged { get; init; } = [Split.Val, Split.Test];

    /// <summary>Judges validation and test images; gives the figures worth telling.</summary>
    public IReadOnlyDictionary<string, double> Write()
    {
        ColourDiscriminant? colour = FitColour();
        JsonObject parts = [];
        foreach (Split split in Judged)
        {
            if (set.Of(split).Any()) parts[Name(split)] = Part(split, colour);
            else _notes.Add($"There is no {Name(split)} set.");
        }
        if (PseudoMasks() is JsonObject pseudo) parts[Name(Split.Train)] = new JsonObject { ["pseudo_masks"] = pseudo };
        JsonObject all = new()
        {
            ["definitions"] = Definitions(), ["parts"] = parts,
            ["notes"] = new JsonArray([.. _notes.Select(n => (JsonNode)n)]),
        };
        foreach (string note in _notes) observer.Note(note);
        RunFolder.Write(folder.EvaluationCsv, Encoding.UTF8.GetBytes(_lines.ToString()));
        RunFolder.Write(folder.EvaluationJson, Encoding.UTF8.GetBytes(all.ToJsonString(Layout) + "\n"));
        return _figures;
    }

    static string Name(Split split) => split.ToString().ToLowerInvariant();

    static JsonObject Definitions() => new()
    {
        ["dice"] = "2·|A∩B| / (|A| + |B|) of each image, 0.001 added above and below; mean over images",
        ["iou"] = "|A∩B| / |A∪B| of each image, 0.001 added above and below; mean over images",
        ["dice_of_tumour, iou_of_tumour"] = "the same over images whose true mask is not empty",
        ["dice_pooled, iou_pooled"] = "of the pixels of all images together",
        ["pixel_accuracy"] = "share of all pixels that are right",
        ["patches"] = "labelled patches: logit above 0 is tumour; AUC with ties counting half",
        ["patches.colour"] = "linear discriminant of the mean red, green and blue, fitted on the training patches",
        ["patches.majority"] = "always the label that is more frequent among these patches",
        ["whole_images"] = "images by their highest patch; an image has tumour when a patch has",
        ["masks.cam"] = "initial masks, from activation maps alone",
        ["masks.roundN"] = "SAM with the decoder of round N, prompted by points that the activation map weighs",
        ["train.pseudo_masks.roundN"] = "pseudo masks that round N kept, of training images with a true mask; "
            + "initial_dice is of the initial masks of the same images",
        ["masks.all_tumour"] = "trivial: every pixel",
        ["masks.colour, masks.colour_pooled"] = "trivial: the one threshold on one smoothed colour channel with the "
            + "highest mean Dice, or the highest Dice of all pixels, chosen with the truth of the very images it is "
            + "judged on, which favours it",
    };

    // --- patches

    ColourDiscriminant? FitColour()
    {
        (List<double[]> colours, List<int> labels) = Colours(Split.Train);
        return ColourDiscriminant.Fit(colours, labels);
    }

    (List<double[]> Colours, List<int> Labels) Colours(Split split)
    {
        List<double[]> colours = [];
        List<int> labels = [];
        IGrouping<int, Patch>[] byImage = [.. set.PatchesOf(split).GroupBy(p => p.Image)];
        using IWorkProgress progress = observer.Begin($"colours of {Name(split)} patches", byImage.Length, "images");
        foreach ((int done, IGrouping<int, Patch> patches) in byImage.Index())
        {
            cancel.ThrowIfCancellationRequested();
            Picture image = files.ReadRgb(set.Images[patches.Key].Path);
            foreach (Patch patch in patches)
            {
                Crop crop = patch.Crop ?? new Crop(0, 0, image.Width, image.Height);
                colours.Add(ColourDiscriminant.MeanColour(image.Pixels, image.Width, crop));
                labels.Add(patch.Label);
            }
            progress.Report(done + 1);
        }
        return (colours, labels);
    }

    JsonObject Patches(Split split, ColourDiscriminant? colour, IReadOnlyDictionary<Patch, double> scores)
    {
        (List<double[]> colours, List<int> all) = Colours(split);
        int[] labels = [.. all];
        int tumour = labels.Count(l => l != 0);
        JsonObject result = new() { ["count"] = labels.Length, ["tumour"] = tumour };
        Patch[] patches = [.. set.PatchesOf(split).GroupBy(p => p.Image).SelectMany(g => g)];   // as the colours
        if (patches.Length > 0 && patches.All(scores.ContainsKey))
        {
            double[] ours = [.. patches.Select(p => scores[p])];
            result["classifier"] = Scores(ours, labels);
            Tell($"{Name(split)}_accuracy", Metrics.Accuracy(ours, labels));
            Tell($"{Name(split)}_auc", Metrics.Auc(ours, labels));
        }
        if (colour is not null)
            result["colour"] = Scores([.. colours.Select(c => colour.Score(c))], labels);
        if (labels.Length > 0)
        {
            result["majority"] = new JsonObject
            {
                ["accuracy"] = (double)Math.Max(tumour, labels.Length - tumour) / labels.Length,
            };
        }
        return result;
    }

    // An image is as suspicious as its most suspicious patch.
    JsonObject? WholeImages(Split split, IReadOnlyDictionary<Patch, double> scores)
    {
        (int Label, double Score)[] images = [.. set.PatchesOf(split).Where(scores.ContainsKey).GroupBy(p => p.Image)
            .Where(g => set.Images[g.Key].Label >= 0)
            .Select(g => (set.Images[g.Key].Label, g.Max(p => scores[p])))];
        if (images.Length == 0) return null;
        int[] labels = [.. images.Select(i => i.Label)];
        return new JsonObject
        {
            ["count"] = images.Length, ["tumour"] = labels.Count(l => l != 0),
            ["classifier"] = Scores([.. images.Select(i => i.Score)], labels),
        };
    }

    static JsonObject Scores(double[] scores, int[] labels) => new()
    {
        ["accuracy"] = MaskFigureText.Number(Metrics.Accuracy(scores, labels)),
        ["auc"] = MaskFigureText.Number(Metrics.Auc(scores, labels)),
    };

    // --- masks

    JsonObject Part(Split split, ColourDiscriminant? colour)
    {
        SourceImage[] images = [.. set.Of(split)], judged = [.. images.Where(i => i.MaskPath is not null)];
        IReadOnlyDictionary<Patch, double> scores = PatchScores.Read(folder, set, split);
        JsonObject part = new()
        {
            ["images"] = images.Length, ["images_with_mask"] = judged.Length,
            ["patches"] = Patches(split, colour, scores),
        };
        if (WholeImages(split, scores) is JsonObject whole) part["whole_images"] = whole;
        if (judged.Length < images.Length)
            _notes.Add($"{images.Length - judged.Length} of {images.Length} {Name(split)} images have no true mask and "
                + "are left out of Dice and IoU.");
        part["masks"] = Masks(split, judged);
        bool hasRounds = part["masks"]!.AsObject().Any(m => EvaluationKind.RoundOf(m.Key) is not null);
        if (split == Split.Val && hasRounds && config.Decoder.Validation == DecoderValidation.Truth)
            _notes.Add("The best epoch of each round was chosen by the true masks of the validation images, which "
                + "favours the rounds' figures on them (decoder.validation; a test set is free of it).");
        return part;
    }

    JsonObject Masks(Split split, SourceImage[] judged)
    {
        Dictionary<string, MaskTally> tallies = [];
        Dictionary<string, int> missing = [];
        ColourThresholdSearch search = new();
        using (IWorkProgress progress = observer.Begin($"masks of {Name(split)} images", judged.Length, "images"))
        {
            foreach ((int done, SourceImage image) in judged.Index())
            {
                cancel.ThrowIfCancellationRequested();
                (Picture picture, byte[] truth) = Read(image);
                search.Add(picture.Pixels, truth, picture.Height, picture.Width);
                Add(split, image, EvaluationKind.AllTumour, Ones(truth.Length), truth, tallies);
                foreach ((string kind, string path) in MaskFiles(split, image))
                {
                    if (File.Exists(path)) Add(split, image, kind, ReadMask(path, picture), truth, tallies);
                    else missing[kind] = missing.GetValueOrDefault(kind) + 1;
                }
                progress.Report(done + 1);
            }
        }
        JsonObject masks = [];
        Trivial(split, judged, search, tallies, masks);
        foreach ((string kind, MaskTally tally) in tallies)
        {
            JsonObject figures = MaskFigureText.Of(tally.Figures);
            if (masks[kind]?["what"]?.ToString() is string what) figures.Insert(0, "what", what);
            masks[kind] = figures;
            if (kind is not (EvaluationKind.AllTumour or EvaluationKind.ColourPooled))
                Tell($"{Name(split)}_{kind}_dice", tally.Figures.Dice);
        }
        foreach ((string kind, int count) in missing.Where(m => tallies.ContainsKey(m.Key)))
            _notes.Add($"{count} of {judged.Length} {Name(split)} images have no mask of {EvaluationKind.Title(kind)} "
                + "and are left out of its figures.");
        return masks;
    }

    // How good the masks were that the next round learned from; nothing was chosen by this.
    JsonObject? PseudoMasks()
    {
        SourceImage[] images = [.. set.Of(Split.Train).Where(i => i.MaskPath is not null && i.Label == 1)];
        Dictionary<int, (MaskTally Kept, MaskTally Initial)> rounds = [];
        foreach (SourceImage image in images)
        {
            cancel.ThrowIfCancellationRequested();
            int[] kept = [.. Enumerable.Range(0, config.Decoder.Rounds + 1)
                .Where(r => File.Exists(folder.PseudoMask(r, image.Name)))];
            if (kept.Length == 0 || !File.Exists(folder.InitialMask(image.Name))) continue;
            (Picture picture, byte[] truth) = Read(image);
            MaskOverlap initial = MaskOverlap.Of(ReadMask(folder.InitialMask(image.Name), picture), truth);
            foreach (int round in kept)
            {
                if (!rounds.TryGetValue(round, out var tallies)) rounds[round] = tallies = (new(), new());
                tallies.Kept.Add(MaskOverlap.Of(ReadMask(folder.PseudoMask(round, image.Name), picture), truth));
                tallies.Initial.Add(initial);
            }
        }
        if (rounds.Count == 0) return null;
        JsonObject result = [];
        foreach ((int round, (MaskTally kept, MaskTally initial)) in rounds.OrderBy(r => r.Key))
        {
            JsonObject figures = MaskFigureText.Of(kept.Figures);
            figures["initial_dice"] = MaskFigureText.Number(initial.Figures.Dice);
            result[EvaluationKind.OfRound(round)] = figures;
        }
        return result;
    }

    IEnumerable<(string Kind, string Path)> MaskFiles(Split split, SourceImage image)
    {
        yield return (EvaluationKind.Cam, folder.InitialMask(image.Name));
        for (int round = 0; round <= config.Decoder.Rounds; round++)
        {
            string kind = EvaluationKind.OfRound(round);
            yield return (kind, folder.Prediction(split, kind, image.Name));
        }
    }

    // A second time through the images: the threshold is known only after all of them.
    void Trivial(Split split, SourceImage[] judged, ColourThresholdSearch search,
        Dictionary<string, MaskTally> tallies, JsonObject masks)
    {
        (string Kind, ColourThreshold? Rule)[] rules =
        [
            (EvaluationKind.Colour, search.Best(pooled: false)),
            (EvaluationKind.ColourPooled, search.Best(pooled: true)),
        ];
        foreach (SourceImage image in judged)
        {
            cancel.ThrowIfCancellationRequested();
            (Picture picture, byte[] truth) = Read(image);
            foreach ((string kind, ColourThreshold? rule) in rules)
                Add(split, image, kind, rule!.Mask(picture.Pixels, picture.Height, picture.Width), truth, tallies);
        }
        foreach ((string kind, ColourThreshold? rule) in rules)
            if (rule is not null) masks[kind] = new JsonObject { ["what"] = rule.ToString() };
    }

    void Add(Split split, SourceImage image, string kind, byte[] mask, byte[] truth,
        Dictionary<string, MaskTally> tallies)
    {
        MaskOverlap o = MaskOverlap.Of(mask, truth);
        if (!tallies.TryGetValue(kind, out MaskTally? tally)) tallies[kind] = tally = new MaskTally();
        tally.Add(o);
        _lines.Append(CultureInfo.InvariantCulture, $"{Name(split)},{CsvText.Field(image.Name)},{image.Label},{kind},")
            .Append(CultureInfo.InvariantCulture, $"{o.Dice:R},{o.IoU:R},{o.Predicted},{o.True},{o.Both},{o.All}\n");
    }

    (Picture Image, byte[] Truth) Read(SourceImage image)
    {
        Picture picture = files.ReadRgb(image.Path);
        return (picture, TrueMask.Read(files, image.MaskPath!, picture.Height, picture.Width,
            config.Compat.NormalIsTumour));
    }

    byte[] ReadMask(string path, Picture image)
    {
        Picture mask = files.ReadGrey(path);
        return (mask.Height, mask.Width) == (image.Height, image.Width) ? mask.Pixels
            : throw new RunException($"mask {path} has {mask.Width} x {mask.Height} pixels, its image {image.Width} x "
                + $"{image.Height}: the image has changed since; run the stage that made the mask again");
    }

    static byte[] Ones(int count)
    {
        byte[] ones = new byte[count];
        Array.Fill(ones, (byte)1);
        return ones;
    }

    void Tell(string name, double value)
    {
        if (double.IsFinite(value)) _figures[name] = value;
    }
}
