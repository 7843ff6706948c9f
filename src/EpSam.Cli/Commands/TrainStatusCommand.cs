// epsam train status: a run's stages, from its files alone; it may be running meanwhile.
using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using Spectre.Console;

namespace EpSam.Cli.Commands;

internal static class TrainStatusCommand
{
    static readonly Argument<string> Folder = new("RUN") { Description = "the run's folder" };

    public static Command Create()
    {
        Command command = new("status", "Show how far a run is: stages, epochs, figures, time.")
        {
            Folder, SamFlags.Json,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string given = parsed.GetRequiredValue(Folder);
        TextWriter output = parsed.InvocationConfiguration.Output;
        RunStatus status;
        try
        {
            status = RunStatus.Of(new RunFolder(given));
        }
        catch (RunException e)
        {
            throw new UserError(e.Message);
        }
        if (parsed.GetValue(SamFlags.Json)) output.WriteLine(MaskFiles.Json(status));
        else Print(output, status);
        return ExitCode.Ok;
    }

    static void Print(TextWriter output, RunStatus status)
    {
        output.WriteLine($"{status.Folder}: {(status.IsActive ? "running now" : "not running now")}; "
            + $"data {status.Data}, sam {status.Sam}");
        Table table = new Table().Border(TableBorder.Minimal)
            .AddColumns("stage", "state", "epoch", "time", "device memory", "figures");
        foreach (StageStatus stage in status.Stages)
        {
            table.AddRow(stage.Name, stage.State, stage.Epoch?.ToString(CultureInfo.InvariantCulture) ?? "",
                stage.Seconds > 0 ? Time(stage.Seconds) : "", stage.PeakBytes > 0 ? Sizes.Text(stage.PeakBytes) : "",
                Markup.Escape(string.Join(", ", stage.Figures.Select(f => StageProgress.Figure(f.Key, f.Value)))));
        }
        Terminal.Write(output, table);
    }

    static string Time(double seconds) => seconds < 120
        ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s")
        : TimeSpan.FromSeconds(Math.Round(seconds)).ToString("c", CultureInfo.InvariantCulture);
}

/// <summary>A stage as it is told.</summary>
internal sealed record StageStatus(string Name, string State, long? Epoch, double Seconds, long PeakBytes,
    [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    IReadOnlyDictionary<string, double> Figures);

/// <summary>A run as it is told.</summary>
internal sealed record RunStatus(string Folder, bool IsActive, string Data, string Sam,
    IReadOnlyList<StageStatus> Stages)
{
    /// <exception cref="RunException">There is none.</exception>
    public static RunStatus Of(RunFolder folder)
    {
        RunProgress progress = RunProgress.Read(folder)
            ?? throw new RunException($"there is no run in {folder.Root}: it has no stages.json");
        bool isActive = RunLock.IsTaken(folder);
        ILookup<string, string[]> figures = Rows(folder).ToLookup(r => r[0]);
        return new RunStatus(folder.Root, isActive, progress.Data.Path, progress.Sam.Path,
            [.. progress.Stages.Select(s => Of(s, figures[s.Name], isActive))]);
    }

    static IEnumerable<string[]> Rows(RunFolder folder) => !File.Exists(folder.Metrics) ? []
        : CsvText.Rows(File.ReadAllText(folder.Metrics)).Skip(1).Where(r => r.Length == 5);

    // Of a stage that is not done the last value of each figure is told, and the best of those on the validation set.
    static StageStatus Of(StageProgress stage, IEnumerable<string[]> rows, bool isActive)
    {
        string state = stage.State == StageState.Running && !isActive ? "interrupted"
            : stage.State.ToString().ToLowerInvariant();
        Dictionary<string, double> figures = new(stage.Figures);
        long? epoch = null;
        foreach (string[] row in rows)
        {
            if (!long.TryParse(row[1], CultureInfo.InvariantCulture, out long at)
                || !double.TryParse(row[4], CultureInfo.InvariantCulture, out double value))
            {
                continue;   // a line that is being written
            }
            epoch = Math.Max(epoch ?? 0, at);
            if (stage.State != StageState.Running) continue;
            figures[row[3]] = value;
            if (!row[3].StartsWith("val", StringComparison.Ordinal)) continue;
            bool isLoss = row[3].Contains("loss", StringComparison.Ordinal);
            double best = figures.GetValueOrDefault("best_" + row[3], isLoss ? double.MaxValue : double.MinValue);
            figures["best_" + row[3]] = isLoss ? Math.Min(best, value) : Math.Max(best, value);
        }
        return new StageStatus(stage.Name, state, epoch, stage.Seconds, stage.PeakBytes, figures);
    }
}
