// epsam demo from the outside, all of its steps at the smallest size that they can have: which files it leaves, what it
// says, that it keeps what is done, and what it refuses.
using EpSam.Cli;
using EpSam.Cli.Commands;

namespace EpSam.Native.Tests.Cli;

public sealed class DemoCommandTests : CommandTests
{
    const string Config = """
        {
          "classifier": {
            "blocks": [1, 1, 1, 1], "width": 4, "size": 64, "batch": 4, "epochs": 1, "rate": 1e-3,
            "recompute": "nothing"
          },
          "cam": { "rule": "general", "general": { "percentile": 50, "opening": 1, "at_map_resolution": true } },
          "decoder": { "rounds": 1, "epochs": 1, "points": 4, "batch": 2, "rate": 1e-3, "validation": "cam" }
        }
        """;

    static readonly DemoOptions Small = new()
    {
        Slides = 4, SlideSize = "800x700", UnseenSize = "700x600", Patches = "4,2,0", Config = Config,
    };

    string Out => Path.Combine(_folder, "demo");

    CommandLine Demo(DemoOptions options, CancellationToken cancel = default)
    {
        StringWriter output = new(), error = new();
        int code;
        try
        {
            code = DemoCommand.Run(Out, options, output, error, cancel);
        }
        catch (UserError e)
        {
            error.WriteLine(e.Message);
            code = e.Code;
        }
        return new CommandLine(code, output.ToString(), error.ToString());
    }

    [Test, Category("Slow")]
    public void Steps_LeaveTheirFiles_AndAreKept()
    {
        CommandLine run = Demo(Small);
        Assert.That(run.Code, Is.Zero, run.Error);
        string[] files =
        [
            "picture.jpg", "results/index.html", "results/tumour.geojson", "results/evaluation.json",
            "results/slides/synth_0001/mask.tif", "results/slides/synth_0002/overlay.png", "maps/evaluation.csv",
            "run/report.html", "run/round1/decoder.safetensors", "patches/sheets/index.html", "slides/synth_0004.xml",
        ];
        foreach (string file in files) Assert.That(Path.Combine(Out, file), Does.Exist);
        string[] lines = run.Output.Split('\n');
        Assert.That(lines, Has.Some.StartsWith("[9/9]").And.Some.StartsWith("$ epsam train --data"));
        Assert.That(lines, Has.Some.Contains("segmented (last round)").And.Some.Contains("all tissue"));
        Assert.That(lines, Has.Some.Contains("epsam prepare SLIDES"));

        DateTime made = File.GetLastWriteTimeUtc(Path.Combine(Out, "results/slides/synth_0001/mask.tif"));
        CommandLine again = Demo(Small);
        Assert.That(again.Code, Is.Zero, again.Error);
        Assert.That(Table(again), Is.EqualTo(Table(run)));
        Assert.That(File.GetLastWriteTimeUtc(Path.Combine(Out, "results/slides/synth_0001/mask.tif")),
            Is.EqualTo(made));

        CommandLine other = Demo(Small with { Seed = 2 });
        Assert.That((other.Code, other.Error), Is.EqualTo((1, other.Error)));
        Assert.That(other.Error, Does.Contain("another seed"));

        static string[] Table(CommandLine of) =>
            [.. of.Output.Split('\n').SkipWhile(l => !l.StartsWith("WHAT")).TakeWhile(l => !l.StartsWith("LOOK"))];
    }

    [Test]
    public void Cancelled_SaysWhatGoesOn()
    {
        CommandLine run = Demo(Small, new CancellationToken(canceled: true));
        Assert.That(run.Code, Is.EqualTo(ExitCode.Cancelled));
        Assert.That(run.Error, Does.Contain($"epsam demo --out {Out}"));
    }

    [Test]
    public void Folder_OfSomethingElse_IsRefused()
    {
        Directory.CreateDirectory(Out);
        File.WriteAllText(Path.Combine(Out, "thesis.txt"), "");
        CommandLine run = CommandLine.Run("demo", "--out", Out);
        Assert.That((run.Code, Directory.GetFiles(Out)), Is.EqualTo((1, new[] { Path.Combine(Out, "thesis.txt") })));
        Assert.That(run.Error, Does.Contain("something else"));
        File.Delete(Path.Combine(Out, "thesis.txt"));
        run = CommandLine.Run("demo", "--out", Out, "--seed", "4294967295");
        Assert.That(run.Code, Is.EqualTo(2), run.Error);
    }
}
