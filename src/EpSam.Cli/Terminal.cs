using Spectre.Console;

namespace EpSam.Cli;

internal static class Terminal
{
    const int WideEnough = 240;

    /// <summary>Tables on a writer: coloured and fitted on a terminal, plain and never wrapped in a file or pipe.</summary>
    public static IAnsiConsole On(TextWriter writer)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        bool isTerminal = ReferenceEquals(writer, Console.Out) && !Console.IsOutputRedirected;
        if (!isTerminal)
        {
            console.Profile.Width = WideEnough;
            console.Profile.Capabilities.Ansi = false;
        }
        return console;
    }
}
