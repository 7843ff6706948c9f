// NVIDIA's assembler, when it is here: on PATH, or where cmake/get-ptxas puts it (build/ptxas). It needs no GPU.
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace EpSam.Cli;

/// <summary>What the assembler says of one entry; bytes but for the registers.</summary>
internal sealed record PtxasEntry(string Name, int Registers, int Shared, int SpillStores, int SpillLoads, int Stack);

internal static partial class Ptxas
{
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>The program's path, or null.</summary>
    public static string? Find()
    {
        string name = OperatingSystem.IsWindows() ? "ptxas.exe" : "ptxas";
        IEnumerable<string> folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Where(f => f.Length > 0).Concat(BuildFolders(Environment.CurrentDirectory))
            .Concat(BuildFolders(AppContext.BaseDirectory));
        return folders.Select(f => Path.Combine(f, name)).FirstOrDefault(File.Exists);
    }

    static IEnumerable<string> BuildFolders(string start)
    {
        for (DirectoryInfo? at = new(start); at is not null; at = at.Parent)
            yield return Path.Combine(at.FullName, "build", "ptxas", "bin");
    }

    /// <summary>"11.8.89", or null when the program does not answer.</summary>
    public static string? Version(string program)
    {
        (int status, string text) = Run(program, "--version");
        Match match = VersionPattern().Match(text);
        return status == 0 && match.Success ? match.Groups[1].Value : null;
    }

    /// <summary>Assembles for one architecture. Null and the assembler's words when it refuses.</summary>
    public static (List<PtxasEntry>? Entries, string Text) Assemble(string program, string file, string architecture)
    {
        string output = Path.GetTempFileName();
        try
        {
            (int status, string text) = Run(program, $"-arch={architecture}", "-v", file, "-o", output);
            return (status == 0 ? Parse(text) : null, text.Trim());
        }
        finally
        {
            File.Delete(output);
        }
    }

    internal static List<PtxasEntry> Parse(string text)
    {
        List<PtxasEntry> entries = [];
        foreach (string block in text.Split("Compiling entry function '").Skip(1))
        {
            // Device functions have properties of their own; the entry's numbers come first in its block.
            int Of(Regex pattern) => Number(pattern, block);
            entries.Add(new PtxasEntry(block[..block.IndexOf('\'')], Of(RegistersPattern()), Of(SharedPattern()),
                Of(StoresPattern()), Of(LoadsPattern()), Of(StackPattern())));
        }
        return entries;
    }

    static int Number(Regex pattern, string text)
    {
        Match match = pattern.Match(text);
        return match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
    }

    static (int Status, string Text) Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Limit))
            {
                process.Kill(entireProcessTree: true);
                return (-1, $"{program} was still running after {Limit.TotalSeconds} s");
            }
            return (process.ExitCode, output.Result + error.Result);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, $"{program} cannot be started: {e.Message}");
        }
    }

    [GeneratedRegex(@"release [\d.]+, V([\d.]+)")]
    private static partial Regex VersionPattern();
    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex RegistersPattern();
    [GeneratedRegex(@"(\d+) bytes smem")]
    private static partial Regex SharedPattern();
    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex StoresPattern();
    [GeneratedRegex(@"(\d+) bytes spill loads")]
    private static partial Regex LoadsPattern();
    [GeneratedRegex(@"(\d+) bytes stack frame")]
    private static partial Regex StackPattern();
}
