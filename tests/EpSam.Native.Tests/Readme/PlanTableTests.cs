// The README's table of planned memory is what epsam plan says, figure for figure.
using System.Text.Json;
using System.Text.RegularExpressions;
using EpSam.Native.Runtime;
using EpSam.Native.Tests.Cli;

namespace EpSam.Native.Tests.Readme;

public sealed partial class PlanTableTests
{
    static readonly string Text = File.ReadAllText(RepositoryRoot.File("README.md"));

    [Test]
    public void Table_EveryFigure_IsThatOfEpsamPlan()
    {
        int[] batches = [.. HeaderPattern().Match(Text).Groups[1].Value.Split('|', StringSplitOptions.TrimEntries)
            .Select(h => int.Parse(h.Split(' ')[1]))];
        Assert.That(batches, Is.EqualTo(new[] { 1, 4, 8 }));
        MatchCollection rows = RowPattern().Matches(Text);
        Assert.That(rows.Select(r => $"{r.Groups[1]} {r.Groups[2]}"), Is.EqualTo(new[]
            { "vit_b fp32", "vit_b bf16", "vit_l fp32", "vit_l bf16", "vit_h fp32", "vit_h bf16" }));
        foreach (Match row in rows)
        {
            string[] figures = row.Groups[3].Value.Split('|', StringSplitOptions.TrimEntries);
            Assert.That(figures, Is.EqualTo(batches.Select(b => Planned(row.Groups[1].Value, row.Groups[2].Value, b))),
                row.Value);
        }
    }

    static string Planned(string model, string precision, int batch)
    {
        CommandLine result = CommandLine.Run("plan", "--model", model, "--precision", precision, "--batch", $"{batch}",
            "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        return Sizes.Text(JsonDocument.Parse(result.Output).RootElement.GetProperty("peak_bytes").GetInt64());
    }

    [GeneratedRegex(@"^\| model \| precision \| (batch 1 .*) \|$", RegexOptions.Multiline)]
    private static partial Regex HeaderPattern();

    [GeneratedRegex(@"^\| (vit_\w) \| (fp32|bf16) \| (.*) \|$", RegexOptions.Multiline)]
    private static partial Regex RowPattern();
}
