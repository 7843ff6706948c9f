using System.Globalization;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>The classifier's scores of labelled patches, on the disk: image,x,y,width,height,label,logit.</summary>
internal static class PatchScores
{
    const string Header = "image,x,y,width,height,label,logit\n";

    /// <summary>Scores in the order of the patches; fewer than those when it was interrupted.</summary>
    public static List<double> ReadInOrder(RunFolder folder, PatchSet set, Split split)
    {
        string path = folder.Scores(split);
        List<double> scores = [];
        if (!File.Exists(path)) return scores;
        foreach ((string[] row, Patch patch) in CsvText.Rows(File.ReadAllText(path)).Skip(1).Zip(set.PatchesOf(split)))
        {
            if (!row.AsSpan(0, row.Length - 1).SequenceEqual(Columns(set, patch)) || !double.TryParse(row[^1],
                CultureInfo.InvariantCulture, out double logit))
                return [];   // of other data
            scores.Add(logit);
        }
        return scores;
    }

    /// <summary>Scores by patch.</summary>
    public static IReadOnlyDictionary<Patch, double> Read(RunFolder folder, PatchSet set, Split split) =>
        set.PatchesOf(split).Zip(ReadInOrder(folder, set, split)).DistinctBy(p => p.First)
            .ToDictionary(p => p.First, p => p.Second);

    public static void Write(RunFolder folder, PatchSet set, Split split, IEnumerable<double> scores)
    {
        StringBuilder csv = new(Header);
        foreach ((Patch patch, double score) in set.PatchesOf(split).Zip(scores))
            csv.AppendJoin(',', Columns(set, patch).Select(CsvText.Field))
                .Append(CultureInfo.InvariantCulture, $",{score:R}\n");
        RunFolder.Write(folder.Scores(split), Encoding.UTF8.GetBytes(csv.ToString()));
    }

    static string[] Columns(PatchSet set, Patch patch)
    {
        Crop? crop = patch.Crop;
        return [set.Images[patch.Image].Name, Text(crop?.X), Text(crop?.Y), Text(crop?.Width), Text(crop?.Height),
            Text(patch.Label)];

        static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "";
    }
}
