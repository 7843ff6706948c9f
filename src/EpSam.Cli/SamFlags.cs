// The flags that commands with a model share, and the model's opening: sizes, GPU, precision, budget. What is wrong
// with a checkpoint or a file of sizes becomes one message that begins with the file.
using System.CommandLine;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cli;

internal sealed record SamFlags(string Checkpoint, string? Decoder, SamConfig? Config, GpuChoice Gpu,
    DType Precision, long? Budget, int Seed, bool IsJson, bool IsQuiet)
{
    static readonly Option<string> Sam = new("--sam")
    {
        HelpName = "CKPT", Required = true, Description =
            "a SAM checkpoint, .safetensors or .pth; its sizes are told by its shapes",
    };
    static readonly Option<string?> ConfigFile = new("--sam-config")
    {
        HelpName = "FILE.json", Description =
            "the model's sizes, where shapes do not tell them (other than 8 heads in the decoder)",
    };
    static readonly Option<string?> DecoderFile = new("--decoder")
    {
        HelpName = "CKPT", Description =
            "tensors that replace the checkpoint's: a mask decoder that was trained alone, or the folder of a run",
    };
    public static readonly Option<string> PrecisionName = new("--precision")
    {
        HelpName = "fp32|bf16", DefaultValueFactory = _ => "fp32",
            Description = "what is multiplied; sums are fp32 in both",
    };
    public static readonly Option<string?> MemoryBudget = new("--memory-budget")
    {
        HelpName = "12GiB", Description = "fail, before anything is allocated, when more device memory is needed",
    };
    public static readonly Option<bool> Json = new("--json") { Description = "print one JSON object" };
    public static readonly Option<bool> Quiet = new("--quiet") { Description = "print failures only" };
    static readonly Option<int> ColourSeed = new("--seed")
    {
        HelpName = "N", Description =
            "where the overlay's colours begin; masks do not depend on it, nothing here is random",
    };

    /// <summary>Adds all of these to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[]
        {
            Sam, DecoderFile, ConfigFile, GpuChoice.Gpu, GpuChoice.Check, PrecisionName, MemoryBudget, ColourSeed, Json,
            Quiet,
        })
        {
            command.Add(option);
        }
    }

    /// <summary>From the command line; throws usage errors.</summary>
    public static SamFlags Read(ParseResult parsed)
    {
        int seed = parsed.GetValue(ColourSeed);
        if (seed is < 0 or > 1_000_000) throw UserError.Usage($"--seed {seed}: expected 0 to 1000000");
        return new SamFlags(
            parsed.GetRequiredValue(Sam), DecoderOf(parsed.GetValue(DecoderFile)),
            parsed.GetValue(ConfigFile) is string file ? ReadSizes(file, "--sam-config") : null,
            GpuChoice.Parse(parsed.GetValue(GpuChoice.Gpu)!, parsed.GetValue(GpuChoice.Check)!),
            ReadPrecision(parsed), ReadBudget(parsed), seed, parsed.GetValue(Json), parsed.GetValue(Quiet));
    }

    // A run's folder means the decoder of its last round.
    static string? DecoderOf(string? path)
    {
        if (path is null || !Directory.Exists(path)) return path;
        return EpSam.Native.Pipeline.RunModels.LastDecoder(new(path))
            ?? throw new UserError($"--decoder {path} has no round0/decoder.safetensors: it is no run, or one that has "
                + "not come to the decoder yet");
    }

    /// <summary>Throws unless there is a checkpoint of some kind: before anything is opened.</summary>
    public void RequireCheckpoint()
    {
        foreach (string path in Decoder is null ? new[] { Checkpoint } : [Checkpoint, Decoder])
        {
            using FileStream stream = InputFile.Open(path, "checkpoint");
            if (stream.Length == 0) throw new UserError($"checkpoint {path} is empty");
        }
    }

    /// <summary>Plans, allocates and loads the model.</summary>
    public SamModel Open(Gpu gpu, SamOptions options, Action<string> tell)
    {
        try
        {
            using (StateDict file = EpSam.Native.Checkpoints.Checkpoint.Open(Checkpoint))
                if (file.Metadata.TryGetValue(Commands.InitCommand.Untrained, out object? what))
                    tell($"{Checkpoint}: untrained ({what}): its masks mean nothing");
            options = options with { Precision = Precision, MemoryBudget = Budget };
            return SamModel.Load(gpu, Checkpoint, Config, options, Decoder);
        }
        catch (BudgetException e)
        {
            throw new UserError($"--memory-budget: {e.Message}");
        }
        catch (Exception e) when (e is CheckpointException or SamConfigException or IOException
            or UnauthorizedAccessException)
        {
            bool isNamed = e.Message.Contains(Checkpoint, StringComparison.Ordinal)
                || (Decoder is not null && e.Message.Contains(Decoder, StringComparison.Ordinal));
            string advice = e is SamConfigException && Config is null ? " (--sam-config FILE.json)" : "";
            throw new UserError((isNamed ? "" : $"{Checkpoint}: ") + e.Message + advice);
        }
    }

    /// <summary>The sizes in a JSON file.</summary>
    public static SamConfig ReadSizes(string path, string what)
    {
        const int Longest = 1 << 20;
        using FileStream stream = InputFile.Open(path, what);
        if (stream.Length > Longest)
            throw new UserError($"{path} has {stream.Length} bytes; a file of sizes has at most {Longest}");
        using StreamReader reader = new(stream);
        try
        {
            return SamConfig.FromJson(reader.ReadToEnd());
        }
        catch (SamConfigException e)
        {
            throw new UserError($"{path}: {e.Message}");
        }
    }

    public static DType ReadPrecision(ParseResult parsed) => parsed.GetValue(PrecisionName) switch
    {
        "fp32" => DType.F32,
        "bf16" => DType.BF16,
        string other => throw UserError.Usage($"--precision {other}: expected fp32 or bf16"),
        null => DType.F32,
    };

    public static long? ReadBudget(ParseResult parsed)
    {
        try
        {
            return parsed.GetValue(MemoryBudget) is string text ? Sizes.Parse(text) : null;
        }
        catch (FormatException e)
        {
            throw UserError.Usage($"--memory-budget: {e.Message}");
        }
    }
}
