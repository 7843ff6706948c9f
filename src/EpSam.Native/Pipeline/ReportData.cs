// What the report tells, read from a run's folder as it is: a run that has just begun has little of it. Files that are
// missing are left out, files that cannot be read are said to be so; a report is never the reason that a run fails.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace EpSam.Native.Pipeline;

/// <summary>A line of metrics.csv.</summary>
internal sealed record ReportMetric(string Stage, long Epoch, long Step, string Name, double Value);

/// <summary>A line of evaluation.csv.</summary>
internal sealed record EvaluationLine(Split Split, string Image, string Kind, double Dice, double IoU, long True);

/// <summary>What a round has made of its pseudo masks.</summary>
internal sealed record PseudoMaskLine(int Round, string Image, double Score, bool IsKept);

internal sealed class ReportData
{
    const int MostRounds = 100;

    ReportData(RunFolder folder, RunConfig config) => (Folder, Config) = (folder, config);

    public RunFolder Folder { get; }
    public RunConfig Config { get; }
    public IReadOnlyList<ReportMetric> Metrics { get; private set; } = [];
    public RunProgress? Progress { get; private set; }
    public JsonNode? Evaluation { get; private set; }
    public IReadOnlyList<EvaluationLine> Images { get; private set; } = [];
    public IReadOnlyList<PseudoMaskLine> PseudoMasks { get; private set; } = [];

    /// <summary>All but the report's own, which is not done while it is written.</summary>
    public IReadOnlyList<StageProgress> Stages =>
        [.. (Progress?.Stages ?? []).Where(s => s is not null && s.Name != new ReportStage().Name)];

    /// <summary>What could not be read.</summary>
    public List<string> Problems { get; } = [];

    public static ReportData Read(RunFolder folder, RunConfig config)
    {
        ReportData data = new(folder, config);
        data.Metrics = data.Lines(folder.Metrics, 5, r => new ReportMetric(r[0], Whole(r[1]), Whole(r[2]), r[3],
            Number(r[4])));
        data.Images = data.Lines(folder.EvaluationCsv, 8, r => new EvaluationLine(
            Enum.Parse<Split>(r[0], ignoreCase: true), r[1], r[3], Number(r[4]), Number(r[5]), Whole(r[7])));
        List<PseudoMaskLine> masks = [];
        for (int round = 0; round <= Math.Min(config.Decoder.Rounds, MostRounds); round++)
            masks.AddRange(data.Lines(folder.PseudoMasks(round), 3, r => new PseudoMaskLine(
                round, r[0], Number(r[1]), r[2] is "1" or "true" or "True")));
        data.PseudoMasks = masks;
        data.Evaluation = data.Json(folder.EvaluationJson);
        try
        {
            data.Progress = RunProgress.Read(folder);
        }
        catch (RunException e)
        {
            data.Problems.Add(e.Message);
        }
        return data;
    }

    List<T> Lines<T>(string path, int fields, Func<string[], T> read)
    {
        if (!File.Exists(path)) return [];
        List<T> lines = [];
        int wrong = 0;
        try
        {
            foreach (string[] row in CsvText.Rows(File.ReadAllText(path)).Skip(1))
            {
                try
                {
                    if (row.Length >= fields) lines.Add(read(row));
                    else wrong++;
                }
                catch (Exception e) when (e is FormatException or ArgumentException or OverflowException)
                {
                    wrong++;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Problems.Add(e.Message);
        }
        if (wrong > 0) Problems.Add($"{Path.GetFileName(path)}: {wrong} lines cannot be read and are left out");
        return lines;
    }

    JsonNode? Json(string path)
    {
        try
        {
            return File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path)) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            Problems.Add($"{Path.GetFileName(path)}: {e.Message}");
            return null;
        }
    }

    static long Whole(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    /// <summary>
    /// Kinds of masks in the order of their making: cam, round0, round1, …; the trivial ones are not among them.
    /// </summary>
    public IReadOnlyList<string> Kinds(Split split) =>
        [.. Images.Where(i => i.Split == split).Select(i => i.Kind).Distinct()
            .Where(k => k == EvaluationKind.Cam || EvaluationKind.RoundOf(k) is not null)
            .OrderBy(k => EvaluationKind.RoundOf(k) ?? -1)];

    /// <summary>Figures of masks of a kind, as evaluation.json has them: "dice", "iou", …; NaN for what is not there.
    /// </summary>
    public double Mask(Split split, string kind, string figure) =>
        MaskFigureText.Read(Part(split)?["masks"]?[kind]?[figure]);

    /// <summary>What evaluation.json has of a part of the data.</summary>
    public JsonObject? Part(Split split) =>
        Evaluation?["parts"]?[split.ToString().ToLowerInvariant()] as JsonObject;
}
