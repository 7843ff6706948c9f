// A table that is printed row by row as it is measured, and kept as markdown with the machine's description.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;

namespace EpSam.Bench;

internal sealed class Report
{
    readonly List<string[]> rows = [];
    readonly List<string> notes = [];
    readonly string title;
    readonly string[] columns;
    readonly int[] widths;

    public Report(string title, params (string Name, int Width)[] columns)
    {
        this.title = title;
        this.columns = [.. columns.Select(c => c.Name)];
        widths = [.. columns.Select(c => Math.Max(c.Width, c.Name.Length))];
        Console.WriteLine(title);
        foreach (string line in Machine()) Console.WriteLine("  " + line);
        Console.WriteLine(Line(this.columns));
    }

    public void Add(params string[] cells)
    {
        rows.Add(cells);
        Console.WriteLine(Line(cells));
    }

    /// <summary>A line below the table.</summary>
    public void Note(string text)
    {
        notes.Add(text);
        Console.WriteLine("  " + text);
    }

    /// <summary>Writes bench/results/MACHINE/name.md; the file appears whole.</summary>
    public void Save(string name)
    {
        StringBuilder text = new($"# {title}\n\n");
        foreach (string line in Machine()) text.Append($"* {line}\n");
        text.Append($"\n| {string.Join(" | ", columns)} |\n|");
        foreach (string _ in columns) text.Append(" --- |");
        text.Append('\n');
        foreach (string[] row in rows) text.Append($"| {string.Join(" | ", row)} |\n");
        if (notes.Count > 0) text.Append('\n');
        foreach (string note in notes) text.Append($"* {note}\n");
        string directory = Path.Combine(Root(), "bench", "results", MachineName());
        Directory.CreateDirectory(directory);
        string path = Path.Combine(directory, name + ".md");
        File.WriteAllText(path + ".tmp", text.ToString());
        File.Move(path + ".tmp", path, overwrite: true);
        Console.WriteLine($"written to {Path.GetRelativePath(Environment.CurrentDirectory, path)}");
    }

    string Line(string[] cells) =>
        string.Join("  ", cells.Select((c, i) => i == 0 ? c.PadRight(widths[i]) : c.PadLeft(widths[i]))).TrimEnd();

    static IEnumerable<string> Machine()
    {
        string vectors = Vector512.IsHardwareAccelerated ? "512" : Vector256.IsHardwareAccelerated ? "256" : "128";
        yield return $"{CpuName()}, {Environment.ProcessorCount} threads, vectors of {vectors} bits";
        yield return $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}, "
                     + $"EpSam.Native {typeof(Report).Assembly.GetName().Version?.ToString(3)}";
        yield return DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
    }

    static string CpuName()
    {
        const string CpuInfo = "/proc/cpuinfo";
        string? line = File.Exists(CpuInfo)
            ? File.ReadLines(CpuInfo).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString()
            : line[(line.IndexOf(':') + 1)..].Trim();
    }

    // "amd-epyc-2-threads": results of unlike machines must not overwrite each other.
    static string MachineName()
    {
        StringBuilder name = new();
        foreach (char c in CpuName().ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(c)) name.Append(c);
            else if (name.Length > 0 && name[^1] != '-') name.Append('-');
        }
        return $"{name.ToString().Trim('-')}-{Environment.ProcessorCount}-threads";
    }

    /// <summary>The repository's folder.</summary>
    public static string Root()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "EpSam.Native.sln"))) return at.FullName;
        return Environment.CurrentDirectory;
    }
}
