using Spectre.Console;
using Spectre.Console.Rendering;

namespace EpSam.Cli;

internal static class Terminal
{
    const int WideEnough = 200;

    /// <summary>Writes a table: fitted to a terminal; never wrapped, coloured or padded in a file or pipe.</summary>
    public static void Write(TextWriter writer, IRenderable table)
    {
        if (ReferenceEquals(writer, Console.Out) && !Console.IsOutputRedirected)
        {
            AnsiConsole.Write(table);
            return;
        }
        StringWriter text = new();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(text), Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors,
        });
        console.Profile.Width = WideEnough;
        console.Write(table);
        foreach (string line in text.ToString().Split('\n').Select(l => l.TrimEnd()).Where(l => l.Length > 0))
            writer.WriteLine(line);
    }
}
