// epsam train: EP-SAM from image labels to a mask decoder, all stages in one folder; epsam train status tells how far a
// run is. The same command goes on with a run that was interrupted.
using System.CommandLine;
using EpSam.Imaging;
using EpSam.Native.Pipeline;

namespace EpSam.Cli.Commands;

internal static class TrainCommand
{
    const string Reference = "reference";

    static readonly Option<string?> Data = new("--data")
    {
        HelpName = "DIR|CSV", Description =
            "EP-SAM's folders (train|val|test / image/NAME_0.png, NAME_1.png, mask/), or a table image,label[,mask]"
            + "[,split][,x,y,w,h], or a folder with one; a run that is there knows its data",
    };
    static readonly Option<string?> Sam = new("--sam")
    {
        HelpName = "CKPT", Description = "a SAM checkpoint, .safetensors or .pth; a run that is there knows its own",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "RUN", Description = "the run's folder: made, or gone on with",
    };
    static readonly Option<string?> Config = new("--config")
    {
        HelpName = "FILE.json", Description =
            "values other than the defaults, as RUN/run.json has them all; unknown names are refused",
    };
    static readonly Option<string?> Stage = new("--stage")
    {
        HelpName = "NAME", Description =
            "run this stage only: anew when it is done (later ones are then not), else from where it is; "
            + "classifier, masks, round0 …, evaluate, report",
    };
    static readonly Option<bool> Resume = new("--resume")
    {
        Description = "go on with the run in RUN, which must be there (without it: go on when it is)",
    };
    static readonly Option<string?> Compat = new("--compat")
    {
        HelpName = Reference, Description =
            "do as EP-SAM's published code does where it does something else than it means to: sets all of compat.* "
            + "(unscaled_points, augmented_pseudo_masks, cosine_of_batches, sigmoid_validation_loss, swapped_red_blue, "
            + "decay_unused, normal_is_tumour)",
    };
    static readonly Option<string?> Precision = new("--precision")
    {
        HelpName = "fp32|bf16", Description = "what is multiplied; sums are fp32 (default: as configured, fp32)",
    };

    public static Command Create()
    {
        Command command = new("train",
            "Train EP-SAM from image labels: classifier, activation maps, mask decoder in rounds, evaluation, report.")
        {
            Data, Sam, Out, Config, Stage, Resume, Compat, GpuChoice.Gpu, GpuChoice.Check, Precision,
            SamFlags.MemoryBudget, SamFlags.Json, SamFlags.Quiet, TrainStatusCommand.Create(),
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string folder = parsed.GetValue(Out) ?? throw UserError.Usage("give --out RUN, the folder of the run");
        GpuChoice choice = GpuChoice.Parse(parsed.GetValue(GpuChoice.Gpu)!, parsed.GetValue(GpuChoice.Check)!);
        if (choice.Kind == GpuKind.Null)
            throw UserError.Usage("--gpu null trains nothing; epsam plan train shows the memory it would take");
        RunRequest request = Request(parsed, folder);
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        _ = ImageReader.LibraryVersion;   // missing: said before anything is done
        CancellationToken cancel = Invocation.CancelOf(parsed);
        RunFolder paths = new(folder);
        try
        {
            using Run run = EpSam.Native.Pipeline.Run.Open(request, new VipsFiles(), new RunObserver(reporter));
            reporter.Note(Describe(run));
            using OpenedGpu gpu = OpenedGpu.Open(choice, reporter.Note);
            Interrupt.Saving = () => reporter.Note("saves after the step at hand, then ends; again: ends at once");
            reporter.Work(() => run.Execute(gpu.Gpu, gpu.Name, parsed.GetValue(Stage), cancel));
        }
        catch (RunException e)
        {
            throw new UserError(e.Message);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            throw new UserError($"stopped, all is saved; epsam train --out {folder} goes on", ExitCode.Cancelled);
        }
        finally
        {
            Interrupt.Saving = null;
        }
        RunStatus status = RunStatus.Of(paths);
        if (File.Exists(paths.Report)) reporter.Say($"report: {paths.Report}");
        reporter.Json(() => MaskFiles.Json(status));
        return ExitCode.Ok;
    }

    static RunRequest Request(ParseResult parsed, string folder)
    {
        string? compat = parsed.GetValue(Compat), precision = parsed.GetValue(Precision);
        if (compat is not (null or Reference)) throw UserError.Usage($"--compat {compat}: expected {Reference}");
        if (precision is not (null or "fp32" or "bf16"))
            throw UserError.Usage($"--precision {precision}: expected fp32 or bf16");
        _ = SamFlags.ReadBudget(parsed);   // for its message
        string? budget = parsed.GetValue(SamFlags.MemoryBudget);
        if (parsed.GetValue(Resume) && !File.Exists(new RunFolder(folder).Config))
            throw new UserError($"--resume: there is no run in {folder}");
        return new RunRequest(folder)
        {
            Data = parsed.GetValue(Data), Sam = parsed.GetValue(Sam), ConfigFile = parsed.GetValue(Config),
            Overrides = config => config with
            {
                Compat = compat is null ? config.Compat : CompatConfig.Reference,
                Precision = precision ?? config.Precision, MemoryBudget = budget ?? config.MemoryBudget,
            },
        };
    }

    static string Describe(Run run)
    {
        string[] parts = [.. Enum.GetValues<Split>()
            .Select(s => (Split: s, Images: run.Data.Of(s).Count(), Patches: run.Data.PatchesOf(s).ToArray()))
            .Where(s => s.Images > 0)
            .Select(s => $"{s.Split.ToString().ToLowerInvariant()} {s.Images} images, {s.Patches.Length} labelled "
                + $"patches ({s.Patches.Count(p => p.Label == 1)} with tumour)")];
        return $"{run.Folder.Root}: {string.Join("; ", parts)}";
    }
}
