// epsam: the command-line tool. One file a verb in Commands/; this one puts them together and turns every error
// into one message and an exit code: 0 done, 1 failed, 2 wrong command line, 130 cancelled.
// Output goes to the writers given, so that tests run the tool in their own process.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using EpSam.Cli.Commands;
using EpSam.Cuda;
using EpSam.Imaging;

namespace EpSam.Cli;

internal static class Program
{
    static int Main(string[] arguments)
    {
        using Interrupt interrupt = new();
        return Run(arguments, Console.Out, Console.Error, interrupt.Token);
    }

    /// <summary>Runs one command line; never throws for anything a user can do.</summary>
    public static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error,
        CancellationToken cancel = default)
    {
        ParseResult? parsed = null;
        try
        {
            parsed = Root().Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
            if (parsed.Action is ParseErrorAction || (parsed.Action is null && parsed.Errors.Count > 0))
                return UsageError(parsed, parsed.Errors.Select(Misreading.Message), error);
            if (Misreading.Of(parsed) is string wrong) return UsageError(parsed, [wrong], error);
            Interrupt.Hint ??= Hint(parsed);
            return parsed.Invoke(new Invocation
            {
                Output = output,
                Error = error,
                Cancel = cancel,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,   // Ctrl-C is Interrupt's
            });
        }
        catch (UserError e)
        {
            error.WriteLine($"epsam: {e.Message}");
            return e.Code;
        }
        catch (Exception e) when (e is CuUnavailableException or CuException or ImagingException or IOException
            or UnauthorizedAccessException)
        {
            error.WriteLine($"epsam: {e.Message}");
            return ExitCode.Failure;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            error.WriteLine($"epsam: cancelled{Hint(parsed!)}");
            return ExitCode.Cancelled;
        }
    }

    // Commands that keep what is done. (train says more.)
    static string Hint(ParseResult parsed) => parsed.CommandResult.Command.Name is "demo" or "prepare" or "slide"
        or "synth" or "train" ? "; the same command goes on" : "";

    /// <summary>All commands.</summary>
    internal static RootCommand Root() => new(
        "Segments medical images with SAM-based models; runs PTX on a GPU or without one.")
    {
        DoctorCommand.Create(),
        SegmentCommand.Create(),
        AmgCommand.Create(),
        EncodeCommand.Create(),
        InitCommand.Create(),
        ConvertCommand.Create(),
        PlanCommand.Create(),
        ClassifyCommand.Create(),
        CamCommand.Create(),
        EvaluateCommand.Create(),
        TrainCommand.Create(),
        SynthCommand.Create(),
        DemoCommand.Create(),
        PrepareCommand.Create(),
        SlideCommand.Create(),
        new Command("ptx", "Check and run PTX files.") { PtxCheckCommand.Create(), PtxRunCommand.Create() },
    };

    static int UsageError(ParseResult parsed, IEnumerable<string> wrong, TextWriter error)
    {
        foreach (string one in wrong) error.WriteLine($"epsam: {one}");
        List<string> path = [];
        for (System.CommandLine.Parsing.SymbolResult? at = parsed.CommandResult; at is not null; at = at.Parent)
            if (at is System.CommandLine.Parsing.CommandResult { Command: not RootCommand } command)
                path.Insert(0, command.Command.Name);
        error.WriteLine($"epsam: see epsam {string.Join(' ', path.Append("--help"))}");
        return ExitCode.Usage;
    }
}

/// <summary>What a command is run with: the writers, and the token that Ctrl-C cancels.</summary>
internal sealed class Invocation : InvocationConfiguration
{
    public CancellationToken Cancel { get; init; }

    /// <summary>The token of a command line that is being run.</summary>
    public static CancellationToken CancelOf(ParseResult parsed) =>
        parsed.InvocationConfiguration is Invocation invocation ? invocation.Cancel : default;
}
