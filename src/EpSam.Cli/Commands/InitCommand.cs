// epsam init: a checkpoint of a SAM that has learnt nothing. It has the names, shapes and sizes of a real one, so every
// command can be tried without a download; the masks mean nothing, and commands say so when they meet such a file.
using System.CommandLine;
using System.Globalization;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Cli.Commands;

internal static class InitCommand
{
    /// <summary>The entry of a file's metadata that says that its weights are untrained.</summary>
    public const string Untrained = "untrained";

    static readonly Option<string> Model = new("--model")
    {
        HelpName = ModelName.Forms, DefaultValueFactory = _ => "tiny",
        Description = "a published model, a small one, or a file of sizes",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "F.safetensors", Required = true, Description = "the file to write",
    };
    static readonly Option<string> Start = new("--start")
    {
        HelpName = "reference|local", DefaultValueFactory = _ => "reference", Description =
            "as the reference begins; or such that a mask decoder trained from nothing learns to use its points soon",
    };
    static readonly Option<int> Seed = new("--seed") { HelpName = "N", Description = "other seeds give other weights" };

    public static Command Create()
    {
        Command command = new("init", "Write an untrained SAM, to try commands with or to train from scratch.")
        {
            Model, Out, Start, Seed, SamFlags.Quiet,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string model = parsed.GetValue(Model)!, path = parsed.GetRequiredValue(Out), start = parsed.GetValue(Start)!;
        if (start is not ("reference" or "local"))
            throw UserError.Usage($"--start {start}: expected reference or local");
        int seed = parsed.GetValue(Seed);
        SamConfig config = ModelName.Read(model);
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            throw UserError.Usage($"--out {path}: expected a name that ends with .safetensors");
        OutputFiles.RequireWritable(path);
        IParameterSource source = Make(model, config, seed);
        if (start == "local") source = new LocalStart(source, config);
        CancellationToken cancel = Invocation.CancelOf(parsed);
        List<TensorEntry> entries = [];
        foreach (string name in source.Names)
        {
            cancel.ThrowIfCancellationRequested();
            source.TryGetShape(name, out Shape shape);
            float[] values = new float[shape.Count];
            source.Read(name, values);
            entries.Add(new TensorEntry(name, [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])], values));
        }
        string note = string.Create(CultureInfo.InvariantCulture,
            $"random initialisation of {model}, seed {seed}{(start == "local" ? ", local start" : "")}");
        using StateDict file = new(entries, [KeyValuePair.Create(Untrained, (object?)note)]);
        try
        {
            using (OutputFiles.Saving(path)) file.Save(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write {path}: {e.Message}");
        }
        if (!parsed.GetValue(SamFlags.Quiet))
        {
            parsed.InvocationConfiguration.Output.WriteLine($"{path}: {entries.Count} tensors, "
                + $"{entries.Sum(e => e.Count)} parameters, {entries.Sum(e => e.Bytes)} bytes, untrained");
        }
        return ExitCode.Ok;
    }

    static UntrainedSam Make(string model, SamConfig config, int seed)
    {
        try
        {
            return new UntrainedSam(config, seed);
        }
        catch (SamConfigException e)
        {
            throw new UserError($"{model}: {e.Message}");
        }
    }
}
