// epsam slide: whole slides, segmented with the models of a run. A folder for each slide, which appears when it is
// complete; what is done is kept, what fails is said and the rest go on. Several processes may share the slides.
using System.CommandLine;
using System.Globalization;
using System.Reflection;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;
using EpSam.Slides.Viewer;

namespace EpSam.Cli.Commands;

internal static class SlideCommand
{
    static readonly Argument<string[]> Files = new("SLIDE")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "slides, or folders of them; one that is called like a command below is given as ./merge",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "DIR", Description = "the folder of all results: made, or gone on with",
    };
    static readonly Option<string?> ShardOption = new("--shard")
    {
        HelpName = "i/n", Description =
            "work on the i-th of n parts of the slides, 1/4 to 4/4; auto: the task of a Slurm array; auto/n: also the "
            + "pod of a Kubernetes job with n indexed completions",
    };

    public static Command Create()
    {
        Command command = new("slide", "Segment whole slides with a trained run: masks, outlines, tables, a viewer.")
        {
            Files, Out,
        };
        SlideFlags.AddTo(command);
        foreach (Option option in new Option[]
        {
            ShardOption, GpuChoice.Gpu, GpuChoice.Check, SamFlags.PrecisionName, SamFlags.MemoryBudget, SamFlags.Json,
            SamFlags.Quiet,
        })
        {
            command.Add(option);
        }
        command.Add(SlideMergeCommand.Create());
        command.Add(SlideEvaluateCommand.Create());
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string[] paths = parsed.GetValue(Files) ?? [];
        if (paths.Length == 0) throw UserError.Usage("give slides, or a folder of them");
        string folder = parsed.GetValue(Out) ?? throw UserError.Usage("give --out DIR, the folder of the results");
        Shard shard = ReadShard(parsed.GetValue(ShardOption));
        GpuChoice choice = GpuChoice.Parse(parsed.GetValue(GpuChoice.Gpu)!, parsed.GetValue(GpuChoice.Check)!);
        if (choice.Kind == GpuKind.Null) throw UserError.Usage("--gpu null computes nothing");
        SlideFlags flags = SlideFlags.Read(parsed);
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        _ = ImageReader.LibraryVersion; // missing: said before anything is done
        CancellationToken cancel = Invocation.CancelOf(parsed);
        BatchFolder target = new(folder);
        try
        {
            IReadOnlyList<SlideFile> slides = SlideFiles.Find(paths);
            BatchSettings settings = new(BatchModels.Of(flags.Models), flags.Options);
            Refuse(target, slides);
            using SlideEngine engine = new(flags, choice, reporter);
            BatchRequest request = new(target, slides, settings, shard)
            {
                Version = Version, Device = () => engine.Device,
            };
            Begin(parsed, reporter, request, flags);
            return Work(request, engine, reporter, cancel);
        }
        catch (Exception e) when (e is BatchException or SlideException or RunException)
        {
            throw new UserError(e.Message);
        }
    }

    // What is wrong for all slides, before anything is written.
    static void Refuse(BatchFolder target, IReadOnlyList<SlideFile> slides)
    {
        if (!File.Exists(target.Manifest)) SlideFiles.RequireAny(slides);
        if (slides.Any(s => Path.GetDirectoryName(Path.GetFullPath(s.Path)) == target.Slides))
            throw UserError.Usage($"--out {target.Root}: results would go to {target.Slides}, where the slides are; "
                + "choose another");
    }

    static void Begin(ParseResult parsed, Reporter reporter, BatchRequest request, SlideFlags flags)
    {
        string part = request.Shard.Count > 1 ? $", shard {request.Shard} with {request.Own.Count} of them" : "";
        string slides = request.Slides.Count == 1 ? "slide" : "slides";
        reporter.Note($"{request.Slides.Count} {slides}{part}; {flags.Describe()}");
        if (parsed.GetValue(ShardOption) is null && Shard.Hint(Environment.GetEnvironmentVariable) is string variable)
            reporter.Note($"{variable} is set, but there is no --shard auto: this process works on all slides");
        if (flags.Options.Viewer && SlideViewer.FindOpenSeadragon() is null)
        {
            reporter.Note("viewers lack openseadragon.min.js and say so: fetch it with cmake/get-openseadragon DIR and "
                + $"set {ViewerOptions.OpenSeadragonVariable}=DIR");
        }
    }

    static int Work(BatchRequest request, SlideEngine engine, Reporter reporter, CancellationToken cancel)
    {
        IReadOnlyList<SlideOutcome> outcomes = [];
        MergedBatch? merged = null;
        bool isWhole = request.Shard.Count == 1;
        reporter.Work(() =>
        {
            outcomes = SlideBatch.Run(request, engine.Segment, new RunObserver(reporter),
                outcome => Tell(reporter, request, outcome), cancel);
            if (isWhole) merged = BatchMerge.Run([request.Folder], request.Folder, cancel);
        });
        int kept = outcomes.Count(o => o.State == SlideState.Kept);
        int failed = outcomes.Count(o => o.State == SlideState.Failed);
        if (kept > 0) reporter.Note($"{kept} of {outcomes.Count} slides were done before and stay as they are");
        if (failed > 0) reporter.Fail($"{failed} of {outcomes.Count} slides failed");
        if (!isWhole) reporter.Note($"when all shards are done: epsam slide merge {request.Folder.Root}");
        int code = merged is null ? ExitCode.Ok : SlideMergeCommand.Tell(reporter, merged);
        reporter.Json(() => MaskFiles.Json(new
        {
            Out = request.Folder.Root,
            Shard = request.Shard.ToString(),
            Gpu = engine.Kind,
            engine.Device,
            engine.DeviceMemoryBytes,
            Slides = outcomes.Select(o => new
            {
                Slide = o.File.Name, File = o.File.Path, State = o.State.ToString().ToLowerInvariant(), o.Error,
                Seconds = Math.Round(o.Seconds, 3), o.Summary,
            }),
            Missing = merged?.Missing,
        }));
        return failed > 0 ? ExitCode.Failure : code;
    }

    static void Tell(Reporter reporter, BatchRequest request, SlideOutcome outcome)
    {
        string name = outcome.File.Name;
        if (outcome.State == SlideState.Failed) reporter.Fail(outcome.Error!);
        if (outcome.State == SlideState.Busy) reporter.Note($"{name}: another process is at it");
        if (outcome is not { State: SlideState.Done, Summary: SlideSummary s }) return;
        reporter.Say(string.Create(CultureInfo.InvariantCulture,
            $"{request.Folder.Of(name).Root}: {s.TissueMm2:F2} mm² of tissue, {s.TumourMm2:F3} mm² of tumour "
            + $"({100 * s.TumourFraction:F1} %) in {s.Regions} region{(s.Regions == 1 ? "" : "s")}, "
            + $"{outcome.Seconds:F1} s"));
    }

    static Shard ReadShard(string? text)
    {
        if (text is null) return Shard.All;
        try
        {
            return Shard.Parse(text, Environment.GetEnvironmentVariable);
        }
        catch (FormatException e)
        {
            throw UserError.Usage($"--shard {e.Message}");
        }
    }

    static string Version => typeof(SlideCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
        ?.InformationalVersion ?? "";
}

/// <summary>GPU and models, opened when the first slide needs them: often all are done.</summary>
internal sealed class SlideEngine(SlideFlags flags, GpuChoice choice, Reporter reporter) : IDisposable
{
    OpenedGpu? _gpu;
    SlideModels? _models;

    /// <summary>What models run on; null: nothing was opened.</summary>
    public string? Device => _gpu?.Name;

    /// <summary>"native" or "virtual"; null: nothing was opened.</summary>
    public string? Kind => _gpu?.Kind;

    /// <summary>What was planned, of all models.</summary>
    public long? DeviceMemoryBytes => _models?.PlannedBytes;

    /// <summary>Segments one slide.</summary>
    public SlideSummary Segment(SlideFile file, string folder, IRunObserver observer, CancellationToken cancel)
    {
        SlideModels models = _models ??= Open();
        using (OutputFolder.Filling(folder))
            return SlideSegmenter.Run(models, flags.Options, file, folder, observer, cancel);
    }

    SlideModels Open()
    {
        SlideModelFiles files = flags.Models;
        try
        {
            _gpu = OpenedGpu.Open(choice, reporter.Note);
            SlideModels models = SlideModels.Load(_gpu.Gpu, files, flags.Options);
            reporter.Note($"{string.Join(", ", models.Inputs.Select(i => i.Path))}: "
                + $"{Sizes.Text(models.PlannedBytes)} of device memory; {_gpu.Name}");
            return models;
        }
        catch (BudgetException e)
        {
            throw new UserError($"--memory-budget: {e.Message}");
        }
        catch (Exception e) when (e is CheckpointException or SamConfigException or RunException or IOException
            or UnauthorizedAccessException)
        {
            throw new UserError(e.Message);
        }
    }

    public void Dispose()
    {
        _models?.Dispose();
        _gpu?.Dispose();
    }
}
