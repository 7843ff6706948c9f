// epsam slide evaluate: masks that epsam slide has made beside annotations, and beside what tissue and colour alone
// tell. Prints a line for each slide and the figures of all; with --out NAME.csv and NAME.json are written.
using System.CommandLine;
using System.Text;
using EpSam.Imaging;
using EpSam.Slides;
using EpSam.Slides.Evaluate;

namespace EpSam.Cli.Commands;

internal static class SlideEvaluateCommand
{
    static readonly Argument<string> Folder = new("OUT")
    {
        Description = "the folder that epsam slide has written to (its --out), or that of one slide in it",
    };
    static readonly Option<string?> Annotations = new("--annotations")
    {
        HelpName = "DIR|FILE", Description =
            "where NAME.xml (ASAP) or NAME.geojson (QuPath) of slide NAME is (default: beside the slides)",
    };
    static readonly Option<string[]> Slides = new("--slides")
    {
        HelpName = "DIR|FILE", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [], Description =
            "the slides themselves: what tissue and colour alone tell is given beside",
    };
    static readonly Option<bool> Normal = new("--unannotated-is-normal")
    {
        Description = "slides without annotations have no tumour; else they are left out",
    };
    static readonly Option<string?> Groups = new("--tumour-groups")
    {
        HelpName = "A,B", Description = "groups (classes) of annotations that are tumour (default: CAMELYON's names)",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "NAME", Description = "write NAME.csv, by slide, and NAME.json, with everything",
    };

    public static Command Create()
    {
        Command command = new("evaluate", "Compare segmented slides with annotations: Dice, IoU, areas, baselines.")
        {
            Folder, Annotations, Slides, Normal, Groups, Out, SamFlags.Json, SamFlags.Quiet,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string[] slides = parsed.GetValue(Slides) ?? [];
        if (parsed.GetValue(Annotations) is null && slides.Length == 0)
            throw UserError.Usage("give --annotations DIR, or --slides DIR when they lie beside the slides");
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        _ = ImageReader.LibraryVersion;
        string? target = EvaluateCommand.Base(parsed.GetValue(Out));
        SlidesToJudge found = Find(parsed, slides);
        foreach (string note in found.Notes) reporter.Note(note);
        SlideEvaluation? evaluation = null;
        reporter.Work(() =>
        {
            using Reporter.Stage stage = reporter.Begin("slides", 100, "%");
            evaluation = SlideEvaluation.Of(found.Slides, GroupsOf(parsed), stage, Invocation.CancelOf(parsed));
        });
        foreach (string note in evaluation!.Notes) reporter.Note(note);
        return Tell(reporter, evaluation with { Notes = [.. found.Notes, .. evaluation.Notes] }, target);
    }

    static SlidesToJudge Find(ParseResult parsed, string[] slides)
    {
        try
        {
            return SlidesToJudge.Find(parsed.GetRequiredValue(Folder), parsed.GetValue(Annotations), slides,
                parsed.GetValue(Normal));
        }
        catch (Exception e) when (e is SlideException or IOException or UnauthorizedAccessException)
        {
            throw new UserError(e.Message);
        }
    }

    static string[]? GroupsOf(ParseResult parsed) => parsed.GetValue(Groups)?
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    static int Tell(Reporter reporter, SlideEvaluation evaluation, string? target)
    {
        foreach ((string name, string error) in evaluation.Failed) reporter.Fail($"{name}: {error}");
        foreach (SlideFigures slide in evaluation.Slides) reporter.Say(SlideEvaluationText.Line(slide));
        foreach (string line in SlideEvaluationText.Lines(evaluation)) reporter.Say(line);
        string json = MaskFiles.Json(SlideEvaluationText.Json(evaluation));
        if (target is not null)
        {
            OutputFiles.Write(
            [
                (target + ".csv", s => s.Write(Encoding.UTF8.GetBytes(SlideEvaluationText.Csv(evaluation)))),
                (target + ".json", s => s.Write(Encoding.UTF8.GetBytes(json + "\n"))),
            ]);
        }
        reporter.Json(() => json);
        return evaluation.Failed.Count > 0 ? ExitCode.Failure : ExitCode.Ok;
    }
}
