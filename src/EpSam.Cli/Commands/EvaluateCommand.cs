// epsam evaluate: how good masks are. With --predictions and --truth: two folders of masks, put together by their names
// without endings; with --classifier and --data: models (EvaluateModels). Prints a line for each image and the means;
// with --out NAME.csv and NAME.json are written.
using System.CommandLine;
using System.Globalization;
using System.Text;
using EpSam.Imaging;
using EpSam.Native.Pipeline;

namespace EpSam.Cli.Commands;

internal static class EvaluateCommand
{
    static readonly Option<string?> Predictions = new("--predictions")
    {
        HelpName = "DIR", Description = "masks: any value but 0 is set",
    };
    static readonly Option<string?> Truth = new("--truth")
    {
        HelpName = "DIR", Description = "true masks with the same names; value 2 is normal tissue inside of a tumour",
    };
    static readonly Option<bool> NormalIsTumour = new("--normal-is-tumour")
    {
        Description = "value 2 of a true mask counts as tumour, as EP-SAM's published code has it",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "NAME", Description = "write NAME.csv, by image, and NAME.json, with the means",
    };

    public static Command Create()
    {
        Command command = new("evaluate",
            "Compare masks with the truth, or models on a data set: Dice, IoU, accuracy, AUC, by image and on average.")
        {
            Predictions, Truth, NormalIsTumour, Out, SamFlags.Json, SamFlags.Quiet,
        };
        EvaluateModels.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string? predictions = parsed.GetValue(Predictions), truth = parsed.GetValue(Truth);
        bool isOfModels = EvaluateModels.IsMeant(parsed);
        if (isOfModels && (predictions is not null || truth is not null))
            throw UserError.Usage("give masks (--predictions, --truth) or models (--classifier, --data), not both");
        if (!isOfModels && (predictions is null || truth is null))
            throw UserError.Usage("give --predictions DIR and --truth DIR, or --classifier C and --data DIR");
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        _ = ImageReader.LibraryVersion;
        string? target = Base(parsed.GetValue(Out));
        if (isOfModels) return EvaluateModels.Run(parsed, reporter, target);
        MaskPairs pairs = MaskPairs.Of(predictions!, truth!);
        foreach (string note in pairs.Notes()) reporter.Note(note);
        CancellationToken cancel = Invocation.CancelOf(parsed);
        List<(string Image, MaskOverlap Overlap)> images = [];
        List<(string Image, string Error)> failed = [];
        reporter.Work(() => Compare(pairs, parsed.GetValue(NormalIsTumour), reporter, images, failed, cancel));
        MaskTally tally = new();
        foreach ((_, MaskOverlap overlap) in images) tally.Add(overlap);
        string json = MaskFiles.Json(Result(predictions!, truth!, pairs, images, failed, tally.Figures));
        if (target is not null)
        {
            OutputFiles.Write(
            [
                (target + ".csv", stream => stream.Write(Encoding.UTF8.GetBytes(Csv(images)))),
                (target + ".json", stream => stream.Write(Encoding.UTF8.GetBytes(json + "\n"))),
            ]);
        }
        Summary(reporter, tally.Figures);
        reporter.Json(() => json);
        return failed.Count > 0 ? ExitCode.Failure : ExitCode.Ok;
    }

    // --out results, results.csv and results.json all mean results.csv and results.json.
    public static string? Base(string? path)
    {
        if (path is null) return null;
        string name = Path.GetExtension(path) is ".csv" or ".json" ? path[..path.LastIndexOf('.')] : path;
        OutputFiles.RequireWritable(name + ".csv");
        OutputFiles.RequireWritable(name + ".json");
        return name;
    }

    static void Compare(MaskPairs pairs, bool normalIsTumour, Reporter reporter,
        List<(string Image, MaskOverlap Overlap)> images, List<(string Image, string Error)> failed,
        CancellationToken cancel)
    {
        using Reporter.Stage stage = reporter.Begin("masks", pairs.Both.Count, "masks");
        foreach ((string name, string prediction, string truth) in pairs.Both)
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                Raster mask = ImageReader.ReadGrey(prediction), expected = ImageReader.ReadGrey(truth);
                if ((mask.Width, mask.Height) != (expected.Width, expected.Height))
                    throw new UserError($"{prediction} is {mask.Width} x {mask.Height} pixels, {truth} is "
                        + $"{expected.Width} x {expected.Height}; both must have the same size");
                MaskOverlap overlap = MaskOverlap.Of(mask.Pixels, TrueMask.Of(expected.Pixels, normalIsTumour));
                images.Add((name, overlap));
                reporter.Say(string.Create(CultureInfo.InvariantCulture,
                    $"{name}: Dice {overlap.Dice:F4}, IoU {overlap.IoU:F4}"));
            }
            catch (Exception e) when (e is UserError or IOException or UnauthorizedAccessException
                or ImagingException { Kind: not ImagingError.LibraryMissing })
            {
                failed.Add((name, e.Message));
                reporter.Fail(e.Message);
            }
            stage.Report((double)(images.Count + failed.Count) / pairs.Both.Count);
        }
    }

    static string Csv(List<(string Image, MaskOverlap Overlap)> images)
    {
        StringBuilder csv = new("image,dice,iou,predicted_pixels,true_pixels,both_pixels,pixels\n");
        foreach ((string image, MaskOverlap o) in images)
            csv.Append(CultureInfo.InvariantCulture,
                $"{CsvText.Field(image)},{o.Dice:R},{o.IoU:R},{o.Predicted},{o.True},{o.Both},{o.All}\n");
        return csv.ToString();
    }

    static object Result(string predictions, string truth, MaskPairs pairs,
        List<(string Image, MaskOverlap Overlap)> images, List<(string Image, string Error)> failed,
        MaskFigures figures) => new
    {
        Predictions = predictions, Truth = truth, Figures = MaskFigureText.Of(figures),
        Images = images.Select(i => new { i.Image, i.Overlap.Dice, IoU = i.Overlap.IoU }),
        Failed = failed.Select(f => new { f.Image, f.Error }),
        pairs.WithoutTruth, pairs.WithoutPrediction,
    };

    static void Summary(Reporter reporter, MaskFigures f)
    {
        if (f.Images == 0) return;
        string empty = f.Empty == 0 ? ""
            : string.Create(CultureInfo.InvariantCulture,
                $"; {f.Empty} with an empty truth, without them {f.DiceOfTumour:F4} and {f.IoUOfTumour:F4}");
        reporter.Say(string.Create(CultureInfo.InvariantCulture,
            $"mean of {f.Images}: Dice {f.Dice:F4}, IoU {f.IoU:F4}{empty}"));
        reporter.Say(string.Create(CultureInfo.InvariantCulture,
            $"all pixels together: Dice {f.PooledDice:F4}, IoU {f.PooledIoU:F4}, right {f.PixelAccuracy:F4}"));
    }
}
