// epsam slide merge: the results of all slides, of one folder or several, in a few files.
using System.CommandLine;
using EpSam.Slides.Batch;

namespace EpSam.Cli.Commands;

internal static class SlideMergeCommand
{
    const int Named = 10; // missing slides

    static readonly Argument<string[]> Folders = new("OUT")
    {
        Arity = ArgumentArity.OneOrMore, Description = "folders that epsam slide has written to (its --out)",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "DIR", Description = "where the merged files go; default: into OUT, when there is one",
    };

    public static Command Create()
    {
        Command command = new("merge", "Put the results of all slides together: tables, outlines, a page.")
        {
            Folders, Out, SamFlags.Json, SamFlags.Quiet,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string[] folders = parsed.GetRequiredValue(Folders);
        string? target = parsed.GetValue(Out);
        if (target is null && folders.Length > 1)
            throw UserError.Usage("give --out DIR, where the results of several folders go");
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        try
        {
            MergedBatch merged = BatchMerge.Run([.. folders.Select(f => new BatchFolder(f))],
                new BatchFolder(target ?? folders[0]), Invocation.CancelOf(parsed));
            foreach (SlideFailure failure in merged.Failed) reporter.Fail(failure.Error);
            if (merged.Failed.Count > 0)
                reporter.Fail($"{merged.Failed.Count} of {Count(merged)} slides failed; a rerun tries them again");
            int code = Tell(reporter, merged);
            reporter.Json(() => MaskFiles.Json(new
            {
                Out = merged.Folder.Root, Slides = merged.Done, merged.Failed, merged.Missing,
            }));
            return merged.Failed.Count > 0 ? ExitCode.Failure : code;
        }
        catch (BatchException e)
        {
            throw new UserError(e.Message);
        }
    }

    static int Count(MergedBatch merged) => merged.Done.Count + merged.Failed.Count + merged.Missing.Count;

    /// <summary>Says what was put together and what is missing: then the exit code is that of a failure.</summary>
    public static int Tell(Reporter reporter, MergedBatch merged)
    {
        reporter.Say($"{merged.Folder.Root}: {merged.Done.Count} of {Count(merged)} slides in slides.csv, tiles.csv "
            + "and tumour.geojson");
        if (merged.Missing.Count == 0) return ExitCode.Ok;
        string[] names = [.. merged.Missing.Take(Named)];
        string more = merged.Missing.Count > Named ? $" and {merged.Missing.Count - Named} more" : "";
        reporter.Fail($"{merged.Missing.Count} of {Count(merged)} slides are missing: {string.Join(", ", names)}{more}"
            + "; they are in the list of run.json, but were not segmented yet");
        return ExitCode.Failure;
    }
}
