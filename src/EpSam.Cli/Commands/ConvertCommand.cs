// epsam convert: any checkpoint that is read, written as safetensors or, for code that reads nothing else, as
// torch.save does, with the same names and shapes. Nested dictionaries become names with dots, plain values become
// metadata, for which a .pth has no place. Where the input has checksums they are verified first.
using System.CommandLine;
using EpSam.Native.Checkpoints;

namespace EpSam.Cli.Commands;

internal static class ConvertCommand
{
    static readonly Argument<string> In =
        new("IN") { Description = "a safetensors file, or a file of torch.save (.pth, .pt, .th, .pth.tar)" };
    static readonly Argument<string> Out =
        new("OUT") { Description = "the file to write: safetensors, or .pth as torch.save does" };
    static readonly Option<bool> Quiet = new("--quiet") { Description = "print nothing" };

    public static Command Create()
    {
        Command command =
            new("convert", "Convert a checkpoint to safetensors or .pth; nothing in it is executed.")
            {
                In, Out, Quiet,
            };
        command.SetAction(parsed =>
            Run(parsed.GetRequiredValue(In), parsed.GetRequiredValue(Out), parsed.GetValue(Quiet),
            parsed.InvocationConfiguration.Output));
        return command;
    }

    static int Run(string from, string to, bool isQuiet, TextWriter writer)
    {
        bool isTorch = Path.GetExtension(to) is ".pth" or ".pt" or ".th";
        if (Path.GetExtension(to) is ".tar" or ".pkl" or ".bin")
            throw UserError.Usage(
                $"OUT {to}: safetensors and .pth are written; call it {Path.ChangeExtension(to, ".safetensors")}");
        OutputFiles.RequireWritable(to);
        InputFile.Open(from, "checkpoint").Dispose();
        try
        {
            using StateDict tensors = Checkpoint.Open(from);
            tensors.Verify();
            using (OutputFiles.Saving(to))
            {
                if (isTorch) tensors.SaveTorch(to);
                else tensors.Save(to);
            }
            if (!isQuiet) writer.WriteLine(Summary(to, tensors, isTorch));
            return ExitCode.Ok;
        }
        catch (CheckpointException e)
        {
            throw new UserError(e.Message.Contains(from, StringComparison.Ordinal) ? e.Message
                : $"{from}: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot convert {from} to {to}: {e.Message}");
        }
    }

    static string Summary(string to, StateDict tensors, bool isTorch)
    {
        string types = string.Join(", ", tensors.GroupBy(t => t.Type).OrderByDescending(g => g.Count())
            .Select(g => $"{g.Count()} {g.Key.Name()}"));
        string place = isTorch ? "left out" : "as metadata";
        string values = tensors.Metadata.Count > 0 ? $", {tensors.Metadata.Count} other values {place}" : "";
        return $"{to}: {tensors.Count} tensors ({types}), {tensors.Sum(t => t.Count)} elements, "
            + $"{tensors.Sum(t => t.Bytes)} bytes{values}";
    }
}
