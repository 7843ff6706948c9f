// What a terminal shows while work goes on.
using EpSam.Cli;
using Spectre.Console;

namespace EpSam.Native.Tests.Cli;

public sealed class ReporterTests
{
    static string Shown(int width, Action<Reporter> work)
    {
        StringWriter screen = new();
        IAnsiConsole terminal = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes, Interactive = InteractionSupport.Yes, ColorSystem = ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(screen),
        });
        terminal.Profile.Width = width;
        Reporter reporter = new(TextWriter.Null, TextWriter.Null, isJson: false, isQuiet: false, terminal);
        reporter.Work(() => work(reporter));
        return screen.ToString();
    }

    [TestCase(120)]
    [TestCase(80)]
    [TestCase(50)]
    public void Bar_StaysALine(int width)
    {
        string screen = Shown(width, reporter =>
        {
            using Reporter.Stage stage = reporter.Begin("training the classifier", 272, "patches");
            stage.Report(0, "");
            stage.Report(8, "epoch 1 of 2, loss 0.6909");
            Thread.Sleep(300); // the bar is drawn ten times a second
        });
        Assert.That(screen, Does.Match(@"\S trai.* +3% \S+ patches/s \S+"));
    }

    [Test]
    public void Line_AboveTheBar_LeavesNothingOfTheBarBesideIt()
    {
        string screen = Shown(80, reporter =>
        {
            using Reporter.Stage stage = reporter.Begin("all slides", 3, "slides");
            reporter.Note("one: done");
        });
        Assert.That(screen, Does.Contain("\e[Jone: done\n"));
    }
}
