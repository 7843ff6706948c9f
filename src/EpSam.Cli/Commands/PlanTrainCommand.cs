// epsam plan train: how much device memory the stages of a run take, and what recomputation and smaller batches save,
// at which cost. The plans are the ones that training allocates by: its own code runs once on the null provider.
using System.CommandLine;
using System.Globalization;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using Spectre.Console;

namespace EpSam.Cli.Commands;

internal static class PlanTrainCommand
{
    const string Classifier = "classifier", Masks = "masks", Decoder = "decoder";

    static readonly Argument<string?> Stage = new("STAGE")
    {
        Arity = ArgumentArity.ZeroOrOne, Description = "classifier, masks or decoder; without it all",
    };
    static readonly Option<string?> Config = new("--config")
    {
        HelpName = "FILE.json", Description = "values other than the defaults, as epsam train takes them",
    };
    static readonly Option<string> Model = new("--model")
    {
        HelpName = ModelName.Forms, DefaultValueFactory = _ => "vit_b", Description = "the SAM that is trained",
    };
    static readonly Option<string?> Sam = new("--sam")
    {
        HelpName = "CKPT", Description = "the same, told by a checkpoint",
    };
    static readonly Option<int> ImageSize = new("--image-size")
    {
        HelpName = "PIXELS", DefaultValueFactory = _ => 512, Description = "side of the data's images",
    };
    static readonly Option<string?> Precision = new("--precision")
    {
        HelpName = "fp32|bf16", Description = "default: as configured, fp32",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "FILE.svg|FILE.html", Description = "write the timeline of the stage",
    };

    /// <summary>A way to train a stage; Work are the products for an image beside the first way's, which time follows.
    /// </summary>
    sealed record Way(string Name, bool IsChosen, Plan Plan, double? Work = null);

    public static Command Create()
    {
        Command command = new("train", "Show how much device memory training takes, and what takes less.")
        {
            Stage, Config, Model, Sam, ImageSize, Precision, SamFlags.MemoryBudget, Out, SamFlags.Json,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string? stage = parsed.GetValue(Stage), file = parsed.GetValue(Out);
        if (stage is not (null or Classifier or Masks or Decoder))
            throw UserError.Usage($"STAGE {stage}: expected {Classifier}, {Masks} or {Decoder}");
        if (file is not null) CheckTarget(file, stage);
        int side = parsed.GetValue(ImageSize);
        if (side is < 1 or > 16384) throw UserError.Usage($"--image-size {side}: expected 1 to 16384");
        RunConfig config = Read(parsed);
        long? budget = SamFlags.ReadBudget(parsed) ?? config.BudgetBytes;
        List<(string Stage, string Title, List<Way> Ways)> stages = [];
        try
        {
            if (stage is null or Classifier) stages.Add((Classifier, Title(config.Classifier), Ways(config)));
            if (stage is null or Masks)
                stages.Add((Masks, $"activation maps of images of {side} x {side}", Ways(config, side)));
            if (stage is null or Decoder)
            {
                (string name, SamConfig sam) = SamOf(parsed);
                string title = $"decoder of {name}, batch {config.Decoder.Batch}, {config.Decoder.Points} points, "
                    + $"images of {side} x {side}";
                stages.Add((Decoder, title, Ways(config, sam, side)));
            }
        }
        catch (Exception e) when (e is SamConfigException or ArgumentException or ArenaFullException
            or OverflowException)
        {
            throw new UserError($"training cannot be planned: {e.Message}");
        }
        if (file is not null) WriteTimeline(file, stages[0].Title, Chosen(stages[0].Ways).Plan);
        TextWriter output = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(SamFlags.Json))
            output.WriteLine(MaskFiles.Json(stages.ToDictionary(s => s.Stage, s => Report(s.Ways))));
        else
            foreach ((_, string title, List<Way> ways) in stages) Print(output, title, ways, file);
        foreach ((string name, _, List<Way> ways) in stages)
            if (budget is long most) Require(name, ways, most);
        return ExitCode.Ok;
    }

    static void CheckTarget(string file, string? stage)
    {
        if (stage is null)
            throw UserError.Usage($"--out {file}: name the stage to draw: {Classifier}, {Masks} or {Decoder}");
        if (Path.GetExtension(file).ToLowerInvariant() is not (".svg" or ".html"))
            throw UserError.Usage($"--out {file}: expected a name that ends with .svg or .html");
        OutputFiles.RequireWritable(file);
    }

    static RunConfig Read(ParseResult parsed)
    {
        string? path = parsed.GetValue(Config), precision = parsed.GetValue(Precision);
        try
        {
            RunConfig config = new();
            if (path is not null)
            {
                using StreamReader reader = new(InputFile.Open(path, "--config"));
                config = RunConfig.FromJson(reader.ReadToEnd());
            }
            config = config with { Precision = precision ?? config.Precision };
            config.Check();
            return config;
        }
        catch (RunException e)
        {
            throw new UserError(path is null ? e.Message : $"{path}: {e.Message}");
        }
    }

    static (string Name, SamConfig Config) SamOf(ParseResult parsed)
    {
        if (parsed.GetValue(Sam) is not string path)
            return (parsed.GetValue(Model)!, ModelName.Read(parsed.GetValue(Model)!));
        try
        {
            using StateDict file = Checkpoint.Open(path);
            return (path, SamConfig.Infer(new CheckpointParameters(file)));
        }
        catch (Exception e) when (e is CheckpointException or SamConfigException or IOException
            or UnauthorizedAccessException)
        {
            throw new UserError($"{path}: {e.Message}");
        }
    }

    static string Title(ClassifierConfig c) => string.Create(CultureInfo.InvariantCulture,
        $"classifier, blocks {string.Join("-", c.Blocks)}, width {c.Width}, batch {c.Batch}, {c.Size} x {c.Size}");

    // All settings of recompute with the batch, then the chosen one with less.
    static List<Way> Ways(RunConfig config)
    {
        ClassifierTrainerOptions options = ClassifierStage.Options(config);
        ResNetAdlConfig model = config.Classifier.Model;
        List<Way> ways = [];
        double first = 0;
        void Add(string name, bool isChosen, ResNetAdlConfig model, ClassifierTrainerOptions options)
        {
            Plan plan = ClassifierTrainer.PlanOf(model, options);
            double work = plan.GemmFlops / options.Batch;
            if (ways.Count == 0) first = work;
            ways.Add(new Way(name, isChosen, plan, first > 0 ? work / first : null));
        }
        foreach (Recompute recompute in Enum.GetValues<Recompute>())
        {
            Add($"recompute {recompute.ToString().ToLowerInvariant()}", recompute == model.Recompute,
                model with { Recompute = recompute }, options);
        }
        for (int batch = options.Batch / 2, times = 2; batch >= 1 && batch * times == options.Batch; batch /= 2)
        {
            Add($"recompute {model.Recompute.ToString().ToLowerInvariant()}, batch {batch}", false, model,
                options with { Batch = batch });
            times *= 2;
        }
        if (options.Precision == DType.F32)
            Add("precision bf16", false, model, options with { Precision = DType.BF16 });
        return ways;
    }

    // Patches are taken to be whole images, as EP-SAM's are.
    static List<Way> Ways(RunConfig config, int side)
    {
        double scale = config.Cam.Scale ?? (double)config.Classifier.Size / side;
        List<Way> ways = [];
        foreach (string precision in config.Precision == "bf16" ? ["bf16"] : new[] { "fp32", "bf16" })
        {
            RunConfig with = config with { Precision = precision, MemoryBudget = null };
            ways.Add(new Way($"precision {precision}", precision == config.Precision,
                PatchClassifier.PlanOf(config.Classifier.Model, CamStage.Options(with, [(side, side)], scale))));
        }
        return ways;
    }

    static List<Way> Ways(RunConfig config, SamConfig sam, int side)
    {
        DecoderTrainerOptions options =
            DecoderStage.Options(config with { MemoryBudget = null }, [(side, side)]);
        List<Way> ways = [new($"batch {options.Batch}", true, DecoderTrainer.PlanOf(sam, options))];
        for (int batch = options.Batch / 2; batch >= 1; batch /= 2)
            ways.Add(new Way($"batch {batch}", false, DecoderTrainer.PlanOf(sam, options with { Batch = batch })));
        if (options.Precision == DType.F32)
        {
            ways.Add(new Way("precision bf16", false,
                DecoderTrainer.PlanOf(sam, options with { Precision = DType.BF16 })));
        }
        return ways;
    }

    static Way Chosen(List<Way> ways) => ways.First(w => w.IsChosen);

    static void WriteTimeline(string file, string title, Plan plan)
    {
        string text = Path.GetExtension(file).Equals(".html", StringComparison.OrdinalIgnoreCase)
            ? PlanTimeline.Html(plan, title) : PlanTimeline.Svg(plan, title);
        OutputFiles.Write([(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)))]);
    }

    static void Print(TextWriter output, string title, List<Way> ways, string? file)
    {
        Way chosen = Chosen(ways);
        output.WriteLine(title);
        output.WriteLine($"peak {Sizes.Text(chosen.Plan.Peak)} ({chosen.Plan.Peak:N0} bytes), one allocation: "
            + string.Join(", ", Enum.GetValues<ArenaUse>()
                .Select(u => $"{u.ToString().ToLowerInvariant()} {Sizes.Text(chosen.Plan.AtPeak(u))}")));
        bool hasWork = ways.Any(w => w.Work is not null);
        Table table = new Table().Border(TableBorder.Minimal).AddColumns("way", "peak", "kernels", "products");
        if (hasWork) table.AddColumn("work for a patch");
        foreach (Way way in ways)
        {
            List<string> row =
            [
                way.Name + (way.IsChosen ? " (chosen)" : ""), Sizes.Text(way.Plan.Peak),
                way.Plan.Launches.ToString(CultureInfo.InvariantCulture),
                string.Create(CultureInfo.InvariantCulture, $"{way.Plan.GemmFlops / 1e12:F3} TFLOP"),
            ];
            if (hasWork) row.Add(string.Create(CultureInfo.InvariantCulture, $"x {way.Work:F2}"));
            table.AddRow([.. row]);
        }
        Terminal.Write(output, table);
        if (file is not null) output.WriteLine($"timeline: {file}");
    }

    static object Report(List<Way> ways) => new
    {
        PeakBytes = Chosen(ways).Plan.Peak,
        WeightBytes = Chosen(ways).Plan.AtPeak(ArenaUse.Weight),
        ActivationBytes = Chosen(ways).Plan.AtPeak(ArenaUse.Activation),
        WorkspaceBytes = Chosen(ways).Plan.AtPeak(ArenaUse.Workspace),
        Ways = ways.Select(w => new
        {
            w.Name, Chosen = w.IsChosen, PeakBytes = w.Plan.Peak, w.Plan.Launches, w.Plan.GemmFlops,
            RelativeWork = w.Work,
        }),
    };

    static void Require(string stage, List<Way> ways, long budget)
    {
        try
        {
            Chosen(ways).Plan.Require(budget, ways.Where(w => !w.IsChosen).OrderByDescending(w => w.Plan.Peak)
                .Select(w => (w.Name, (Func<Plan>)(() => w.Plan))));
        }
        catch (BudgetException e)
        {
            throw new UserError($"{stage}: {e.Message}");
        }
    }
}
