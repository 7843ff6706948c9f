// epsam plan: how much device memory a model takes, without a device and without weights: peak, by phase, by use, the
// largest tensors; with --out the timeline as a picture. The plan is the one that a model is loaded with: its own code
// encodes a batch of images and answers prompts on the null provider.
using System.CommandLine;
using System.Globalization;
using System.Text;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using Spectre.Console;

namespace EpSam.Cli.Commands;

internal static class PlanCommand
{
    static readonly Option<string> Model = new("--model")
    {
        HelpName = ModelName.Forms, DefaultValueFactory = _ => "vit_b",
        Description = "a published model, a small one, or a file of sizes",
    };
    static readonly Option<int?> Resolution = new("--resolution")
    {
        HelpName = "PIXELS", Description = "side of the input; default: the model's",
    };
    static readonly Option<int> Batch = new("--batch")
    {
        HelpName = "N", DefaultValueFactory = _ => 1, Description = "images that are encoded at a time",
    };
    static readonly Option<int> Prompts = new("--prompts")
    {
        HelpName = "N", DefaultValueFactory = _ => new SamOptions().PromptsPerPass,
        Description = "prompts that are decoded at a time",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "FILE.svg|FILE.html", Description = "write the timeline",
    };

    const int Largest = 8, Most = 4096;

    public static Command Create()
    {
        Command command = new("plan", "Show how much device memory a model needs, before anything is allocated.")
        {
            Model, Resolution, Batch, Prompts, SamFlags.PrecisionName, SamFlags.MemoryBudget, Out, SamFlags.Json,
            PlanTrainCommand.Create(),
        };
        command.SetAction(parsed => Run(parsed, parsed.InvocationConfiguration.Output));
        return command;
    }

    static int Run(ParseResult parsed, TextWriter writer)
    {
        string model = parsed.GetValue(Model)!;
        SamConfig config = ModelName.Read(model);
        if (parsed.GetValue(Resolution) is int resolution) config = config with { ImageSize = resolution };
        int batch = Between(parsed, Batch), prompts = Between(parsed, Prompts);
        SamOptions options = For(SamFlags.ReadPrecision(parsed), batch, prompts);
        long? budget = SamFlags.ReadBudget(parsed);
        string? file = parsed.GetValue(Out);
        if (file is not null)
        {
            if (Path.GetExtension(file).ToLowerInvariant() is not (".svg" or ".html"))
                throw UserError.Usage($"--out {file}: expected a name that ends with .svg or .html");
            OutputFiles.RequireWritable(file);
        }

        Plan plan;
        try
        {
            plan = SamModel.PlanOf(config, options);
        }
        catch (Exception e) when (e is SamConfigException or ArgumentException or ArenaFullException
            or OverflowException)
        {
            throw new UserError($"{model} with {config.ImageSize} pixels, batch {batch}, {prompts} prompts, "
                + $"cannot be planned: {e.Message}");
        }
        string title = string.Create(CultureInfo.InvariantCulture,
            $"{model}, {config.ImageSize} × {config.ImageSize}, {Name(options.Precision)}, batch {batch}, "
            + $"{prompts} prompt{(prompts == 1 ? "" : "s")}");
        if (file is not null)
        {
            string text = Path.GetExtension(file).Equals(".html", StringComparison.OrdinalIgnoreCase)
                ? PlanTimeline.Html(plan, title) : PlanTimeline.Svg(plan, title);
            OutputFiles.Write([(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)))]);
        }
        if (parsed.GetValue(SamFlags.Json)) writer.WriteLine(MaskFiles.Json(Report(plan)));
        else Print(writer, plan, title, file);
        if (budget is long most) Require(plan, most, config, options);
        return ExitCode.Ok;
    }

    static string Name(DType type) => type == DType.F32 ? "fp32" : "bf16";

    static SamOptions For(DType type, int batch, int prompts) =>
        new() { Precision = type, ImagesPerEncoding = batch, ImagesPerPass = batch, PromptsPerPass = prompts };

    static int Between(ParseResult parsed, Option<int> option)
    {
        int value = parsed.GetValue(option);
        return value is >= 1 and <= Most ? value
            : throw UserError.Usage($"{option.Name} {value}: expected 1 to {Most}");
    }

    // What else might fit: smaller batches, fewer prompts, then half the precision.
    static void Require(Plan plan, long budget, SamConfig config, SamOptions options)
    {
        (DType type, int batch, int prompts) = (options.Precision, options.ImagesPerEncoding, options.PromptsPerPass);
        IEnumerable<(string, Func<Plan>)> Alternatives()
        {
            for (int b = batch / 2; b >= 1; b /= 2) yield return Try($"--batch {b}", type, b, prompts);
            for (int p = prompts / 4; p >= 1; p /= 4)
                yield return Try((batch > 1 ? "--batch 1 " : "") + $"--prompts {p}", type, 1, p);
            if (type == DType.BF16) yield break;
            yield return Try("--precision bf16", DType.BF16, batch, prompts);
            if (batch > 1) yield return Try("--precision bf16 --batch 1", DType.BF16, 1, prompts);
            yield return Try("--precision bf16 --batch 1 --prompts 1", DType.BF16, 1, 1);
        }
        (string, Func<Plan>) Try(string what, DType t, int b, int p) =>
            (what, () => SamModel.PlanOf(config, For(t, b, p)));
        try
        {
            plan.Require(budget, Alternatives());
        }
        catch (BudgetException e)
        {
            throw new UserError(e.Message);
        }
    }

    static object Report(Plan plan) => new
    {
        PeakBytes = plan.Peak,
        WeightBytes = plan.AtPeak(ArenaUse.Weight),
        ActivationBytes = plan.AtPeak(ArenaUse.Activation),
        WorkspaceBytes = plan.AtPeak(ArenaUse.Workspace),
        plan.Launches,
        plan.GemmFlops,
        Phases = Stages(plan).Select(s => new { s.Name, PeakBytes = s.Peak }),
        Largest = LargestPieces(plan).Select(p => new { p.Name, Use = p.Use.ToString().ToLowerInvariant(), p.Bytes }),
    };

    static void Print(TextWriter writer, Plan plan, string title, string? file)
    {
        writer.WriteLine(title);
        writer.WriteLine($"peak {Sizes.Text(plan.Peak)} ({plan.Peak:N0} bytes), one allocation");
        foreach (ArenaUse use in Enum.GetValues<ArenaUse>())
            writer.WriteLine($"  {use.ToString().ToLowerInvariant(),-12}{Sizes.Text(plan.AtPeak(use)),12}");
        writer.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{plan.Launches} kernels, {plan.GemmFlops / 1e12:F3} TFLOP in matrix products"));
        Table phases = new Table().Border(TableBorder.Minimal).AddColumns("phase", "peak");
        foreach ((string name, long peak) in Stages(plan)) phases.AddRow(Markup.Escape(name), Sizes.Text(peak));
        Terminal.Write(writer, phases);
        Table largest = new Table().Border(TableBorder.Minimal).AddColumns("largest", "use", "size");
        foreach (ArenaPiece piece in LargestPieces(plan))
            largest.AddRow(Markup.Escape(piece.Name), piece.Use.ToString().ToLowerInvariant(), Sizes.Text(piece.Bytes));
        Terminal.Write(writer, largest);
        if (file is not null) writer.WriteLine($"timeline: {file}");
    }

    // Neighbours with the same peak are one line: "encode: blocks.0 … blocks.1".
    static List<(string Name, long Peak)> Stages(Plan plan)
    {
        List<(string Part, string First, string Last, long Peak)> stages = [];
        foreach ((PlanPhase part, IReadOnlyList<PlanPhase> inside) in plan.Outline())
            foreach (PlanPhase phase in inside.Count == 0 ? [part] : inside)
            {
                string name = phase == part ? "" : phase.Name[(phase.Name.LastIndexOf('/') + 1)..];
                if (stages.Count > 0 && stages[^1].Peak == phase.Peak && stages[^1].Part == part.Name)
                    stages[^1] = stages[^1] with { Last = name };
                else stages.Add((part.Name, name, name, phase.Peak));
            }
        return [.. stages.Select(s =>
            (s.Part + (s.First == "" ? "" : ": ") + (s.First == s.Last ? s.First : $"{s.First} … {s.Last}"), s.Peak))];
    }

    static IEnumerable<ArenaPiece> LargestPieces(Plan plan) =>
        plan.Pieces.DistinctBy(p => (LastName(p.Name), p.Use, p.Bytes)).OrderByDescending(p => p.Bytes).Take(Largest);

    // The same tensor of another block is not news.
    static string LastName(string name) =>
        System.Text.RegularExpressions.Regex.Replace(name, @"blocks\.\d+", "blocks.*");
}
