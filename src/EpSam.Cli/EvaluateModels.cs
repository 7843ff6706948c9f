// epsam evaluate with --classifier: models judged on a data set as a run judges its own.
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;

namespace EpSam.Cli;

internal static class EvaluateModels
{
    public static readonly Option<string?> Classifier = new("--classifier")
    {
        HelpName = "C", Description = "a patch classifier: its patches are scored, its activation maps become masks",
    };
    static readonly Option<string?> Sam = new("--sam")
    {
        HelpName = "S", Description = "a SAM checkpoint, prompted by points of the activation maps",
    };
    static readonly Option<string?> Decoder = new("--decoder")
    {
        HelpName = "D", Description = "a mask decoder that was trained alone, in place of the SAM checkpoint's",
    };
    static readonly Option<string?> Data = new("--data")
    {
        HelpName = "DIR|CSV", Description = "a data set as for epsam train; it needs no training images",
    };
    static readonly Option<string> Part = new("--split")
    {
        HelpName = "train|val|test|all", DefaultValueFactory = _ => "",
        Description = "which images; default: test, where there are none val, else all",
    };
    static readonly Option<string?> ConfigFile = new("--config")
    {
        HelpName = "run.json", Description =
            "values that the models were trained with; default: the run.json of the classifier's run, if it is in one",
    };

    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[]
        {
            Classifier, Sam, Decoder, Data, Part, ConfigFile, GpuChoice.Gpu, GpuChoice.Check, SamFlags.PrecisionName,
            SamFlags.MemoryBudget,
        })
        {
            command.Add(option);
        }
    }

    /// <summary>Whether a command line asks for models and not for folders of masks.</summary>
    public static bool IsMeant(ParseResult parsed) =>
        new Option[] { Classifier, Sam, Decoder, Data }.Any(o => parsed.GetResult(o) is not null);

    public static int Run(ParseResult parsed, Reporter reporter, string? target)
    {
        string classifier = parsed.GetValue(Classifier) ?? throw UserError.Usage("give --classifier C");
        string data = parsed.GetValue(Data) ?? throw UserError.Usage("give --data, what the models are judged on");
        (string? sam, string? decoder) = (parsed.GetValue(Sam), parsed.GetValue(Decoder));
        if (decoder is not null && sam is null)
            throw UserError.Usage("--decoder needs --sam, whose encoders it is for");
        foreach (string? path in new[] { classifier, sam, decoder })
            if (path is not null) InputFile.Open(path, "checkpoint").Dispose();
        GpuChoice choice = GpuChoice.Parse(parsed.GetValue(GpuChoice.Gpu)!, parsed.GetValue(GpuChoice.Check)!);
        if (choice.Kind == GpuKind.Null) throw UserError.Usage("--gpu null computes nothing");
        SamFlags.ReadPrecision(parsed);   // for their messages
        SamFlags.ReadBudget(parsed);
        string work = Directory.CreateTempSubdirectory("epsam-evaluate-").FullName;
        try
        {
            RunConfig config = Config(parsed, classifier, reporter) with
            {
                Precision = parsed.GetValue(SamFlags.PrecisionName)!,
                MemoryBudget = parsed.GetValue(SamFlags.MemoryBudget),
            };
            VipsFiles files = new();
            PatchSet set = PatchSet.OpenJudged(data, files);
            Split[] splits = Splits(parsed.GetValue(Part)!, set, data);
            using OpenedGpu gpu = OpenedGpu.Open(choice, reporter.Note);
            (JsonObject figures, string lines) = (new JsonObject(), "");
            reporter.Work(() => (figures, lines) = ModelEvaluation.Run(gpu.Gpu, work,
                new JudgedModel(classifier, sam, decoder, config), set, splits, files, new RunObserver(reporter),
                Invocation.CancelOf(parsed)));
            return Tell(reporter, target, Whole(figures, classifier, sam, decoder, data, splits, gpu.Name), lines);
        }
        catch (Exception e) when (e is RunException or ImageFileException or CheckpointException or BudgetException)
        {
            throw new UserError(e.Message);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    static RunConfig Config(ParseResult parsed, string classifier, Reporter reporter)
    {
        string? path = parsed.GetValue(ConfigFile);
        if (path is null)
        {
            string? run = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(classifier)));
            string beside = run is null ? "" : new RunFolder(run).Config;
            if (!File.Exists(beside)) return new RunConfig();
            reporter.Note($"values of {beside} (--config for others)");
            path = beside;
        }
        using StreamReader reader = new(InputFile.Open(path, "--config"));
        return RunConfig.FromJson(reader.ReadToEnd());
    }

    static Split[] Splits(string part, PatchSet set, string data)
    {
        Split[] all = Enum.GetValues<Split>();
        Split[] wanted = part switch
        {
            "" => set.Of(Split.Test).Any() ? [Split.Test] : set.Of(Split.Val).Any() ? [Split.Val] : all,
            "all" => all,
            _ => Array.Exists(all, s => s.ToString().ToLowerInvariant() == part)
                ? [Enum.Parse<Split>(part, ignoreCase: true)]
                : throw UserError.Usage($"--split {part}: expected train, val, test or all"),
        };
        return wanted.Any(s => set.Of(s).Any()) ? wanted
            : throw new UserError($"--data {data} has no {part} images");
    }

    static JsonObject Whole(JsonObject figures, string classifier, string? sam, string? decoder, string data,
        Split[] splits, string device)
    {
        JsonObject whole = new()
        {
            ["classifier"] = classifier, ["sam"] = sam, ["decoder"] = decoder, ["data"] = data,
            ["splits"] = new JsonArray([.. splits.Select(s => (JsonNode)s.ToString().ToLowerInvariant())]),
            ["device"] = device,
        };
        foreach ((string name, JsonNode? value) in figures["parts"]?["test"] as JsonObject ?? [])
            whole[name] = value?.DeepClone();
        whole["definitions"] = figures["definitions"]?.DeepClone();
        return whole;
    }

    static int Tell(Reporter reporter, string? target, JsonObject figures, string lines)
    {
        string json = figures.ToJsonString(MaskFiles.Layout);
        if (target is not null)
        {
            OutputFiles.Write(
            [
                (target + ".csv", stream => stream.Write(Encoding.UTF8.GetBytes(lines))),
                (target + ".json", stream => stream.Write(Encoding.UTF8.GetBytes(json + "\n"))),
            ]);
        }
        foreach (string[] line in CsvText.Rows(lines).Skip(1))
            if (!line[3].StartsWith("colour", StringComparison.Ordinal) && line[3] != EvaluationKind.AllTumour)
                reporter.Say($"{line[1]}, {Title(line[3])}: Dice {Short(line[4])}, IoU {Short(line[5])}");
        JsonNode? patches = figures["patches"];
        reporter.Say($"{Text(patches?["count"], "F0")} patches: accuracy {Text(patches?["classifier"]?["accuracy"])}, "
            + $"AUC {Text(patches?["classifier"]?["auc"])} (by colour alone "
            + $"{Text(patches?["colour"]?["accuracy"])} and {Text(patches?["colour"]?["auc"])}, "
            + $"always the more frequent label {Text(patches?["majority"]?["accuracy"])})");
        foreach ((string kind, JsonNode? m) in figures["masks"] as JsonObject ?? [])
            reporter.Say($"mean of {Text(m?["images"], "F0")}, {Title(kind)}: Dice {Text(m?["dice"])}, IoU "
                + $"{Text(m?["iou"])}; all pixels together {Text(m?["dice_pooled"])}, {Text(m?["iou_pooled"])}");
        reporter.Json(() => json);
        return ExitCode.Ok;
    }

    static string Title(string kind) => EvaluationKind.Title(kind);

    static string Short(string number) =>
        double.Parse(number, CultureInfo.InvariantCulture).ToString("F4", CultureInfo.InvariantCulture);

    static string Text(JsonNode? node, string format = "F4") => MaskFigureText.Read(node) is double value
        && double.IsFinite(value) ? value.ToString(format, CultureInfo.InvariantCulture) : "–";
}
