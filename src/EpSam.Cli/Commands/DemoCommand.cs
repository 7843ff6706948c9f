// epsam demo: the whole product in a few minutes on a fresh machine. It runs the command lines of DemoRecipe one after
// the other, in this process, and shows each: what it does a user can do. Each step keeps what it has done, so the same
// command goes on where another was stopped.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Slides;

namespace EpSam.Cli.Commands;

internal static class DemoCommand
{
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", DefaultValueFactory = _ => "epsam-demo",
        Description = "everything goes there: made, or gone on with",
    };
    static readonly Option<uint> Seed = new("--seed")
    {
        DefaultValueFactory = _ => 1, Description = "other seeds draw other slides",
    };

    public static Command Create()
    {
        Command command = new("demo",
            "Show everything at work: draws slides, trains on them, segments unseen ones, says what that is worth.")
        {
            Out, Seed,
        };
        command.SetAction(parsed =>
        {
            uint seed = parsed.GetValue(Seed);
            if (seed == uint.MaxValue) throw UserError.Usage($"--seed {seed}: give 0 to {uint.MaxValue - 1}");
            return Run(parsed.GetValue(Out)!, new DemoOptions { Seed = seed }, parsed.InvocationConfiguration.Output,
                parsed.InvocationConfiguration.Error, Invocation.CancelOf(parsed));
        });
        return command;
    }

    /// <summary>Runs all steps, then sums up.</summary>
    public static int Run(string folder, DemoOptions options, TextWriter output, TextWriter error,
        CancellationToken cancel)
    {
        DemoRecipe recipe = new(folder, options);
        _ = ImageReader.LibraryVersion; // missing: said before anything is done
        Begin(recipe);
        Stopwatch all = Stopwatch.StartNew();
        output.WriteLine("A demo on drawn slides. Its models learn them and nothing else: they are of no use for "
            + "real ones.");
        IReadOnlyList<DemoStep> steps = recipe.Steps;
        for (int i = 0; i < steps.Count; i++)
        {
            output.WriteLine();
            output.WriteLine($"[{i + 1}/{steps.Count}] {steps[i].Title}");
            output.WriteLine($"$ {steps[i].Text}");
            Stopwatch watch = Stopwatch.StartNew();
            TimeSpan cpu = Environment.CpuUsage.TotalTime;
            int code = Program.Run(steps[i].Arguments, output, error, cancel);
            if (code == ExitCode.Cancelled) throw new UserError($"the same command goes on: {Again(recipe)}", code);
            if (code != ExitCode.Ok)
                throw new UserError($"the demo ends here; when that is mended, it goes on with {Again(recipe)}", code);
            output.WriteLine(Seconds(watch.Elapsed, Environment.CpuUsage.TotalTime - cpu));
        }
        SumUp(recipe, output);
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"All of this took {all.Elapsed.TotalSeconds:F0} s on {Environment.ProcessorCount} threads."));
        return ExitCode.Ok;
    }

    static void SumUp(DemoRecipe recipe, TextWriter output)
    {
        try
        {
            DemoPicture.Write(recipe);
            output.WriteLine();
            DemoSummary.Write(recipe, output);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or AnnotationException
            or SlideException)
        {
            throw new UserError(e.Message);
        }
    }

    static string Seconds(TimeSpan wall, TimeSpan cpu) => string.Create(CultureInfo.InvariantCulture,
        $"({wall.TotalSeconds:F1} s, {cpu.TotalSeconds:F1} s of CPU time)");

    static string Again(DemoRecipe recipe) => $"epsam demo --out {recipe.Folder} --seed {recipe.Options.Seed}";

    // The folder is ours when it has the marker; then it must be of the same demo.
    static void Begin(DemoRecipe recipe)
    {
        string full = Path.GetFullPath(recipe.Folder);
        try
        {
            if (File.Exists(full)) throw new UserError($"--out {recipe.Folder} is a file; expected a folder");
            bool isThere = File.Exists(recipe.Marker);
            if (!isThere && Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any())
                throw new UserError($"--out {recipe.Folder} has something else in it; choose another");
            if (isThere && File.ReadAllText(recipe.Marker) != recipe.Mark)
            {
                throw new UserError($"{recipe.Folder} has a demo with another seed or of another version (see "
                    + $"{recipe.Marker}); choose another --out, or delete it");
            }
            Directory.CreateDirectory(full);
            OutputFiles.Write(
            [
                (recipe.ConfigFile, s => s.Write(Encoding.UTF8.GetBytes(recipe.Options.Config + "\n"))),
                (recipe.SamFile, s => s.Write(Encoding.UTF8.GetBytes(DemoRecipe.SamSizes + "\n"))),
                (recipe.Split, s => s.Write(Encoding.UTF8.GetBytes(recipe.SplitTable))),
                (recipe.Marker, s => s.Write(Encoding.UTF8.GetBytes(recipe.Mark))),
            ]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write to {recipe.Folder}: {e.Message}");
        }
    }
}
