// Which part of the data set a slide belongs to. All patches of a slide are in one part: patches of one slide are too
// much alike to be judged by what was learnt from the others.
using System.Globalization;
using EpSam.Native.Pipeline;
using EpSam.Native.Training;

namespace EpSam.Slides.Prepare;

/// <summary>A way to split slides.</summary>
public sealed class SlideSplit
{
    /// <summary>What is split where nothing else is said.</summary>
    public const string Default = "0.7,0.15,0.15";

    static readonly Split[] Parts = Enum.GetValues<Split>();

    readonly double[]? _shares;
    readonly Dictionary<string, Split>? _list;

    SlideSplit(string name, double[]? shares, Dictionary<string, Split>? list) =>
        (Name, _shares, _list) = (name, shares, list);

    /// <summary>What it is, as it is kept: shares, a published list's name, or that it is a table.</summary>
    public string Name { get; }

    /// <summary>Reads "camelyon16", "camelyon17", three shares, or a table with the columns slide and split.</summary>
    /// <exception cref="RunException">It is none of them; the message says what was expected.</exception>
    public static SlideSplit Parse(string text)
    {
        switch (text.ToLowerInvariant())
        {
            case "camelyon16": return new SlideSplit("camelyon16", null, CamelyonSplits.Camelyon16());
            case "camelyon17": return new SlideSplit("camelyon17", null, CamelyonSplits.Camelyon17());
        }
        if (File.Exists(text)) return new SlideSplit("table", null, Table(text));
        string[] parts = text.Split(',');
        double[] shares = new double[Parts.Length];
        bool isShares = parts.Length == Parts.Length;
        for (int i = 0; isShares && i < parts.Length; i++)
        {
            isShares = double.TryParse(parts[i], NumberStyles.Float, CultureInfo.InvariantCulture, out shares[i])
                && shares[i] is >= 0 and <= 1;
        }
        if (!isShares || Math.Abs(shares.Sum() - 1) > 1e-6)
        {
            throw new RunException($"--split {text}: expected shares of slides for train, val and test that add up to "
                + $"1 ({Default}), camelyon16, camelyon17, or a CSV that exists with the columns slide and split");
        }
        return new SlideSplit(string.Join(',', shares.Select(s => s.ToString("R", CultureInfo.InvariantCulture))),
            shares, null);
    }

    /// <summary>
    /// The part of each slide, null for those that a list does not have. By shares: of slides with tumour and of those
    /// without each, drawn by the seed and the slides' names.
    /// </summary>
    /// <exception cref="RunException">There are fewer slides than parts.</exception>
    public IReadOnlyList<Split?> Of(IReadOnlyList<(string Name, bool HasTumour)> slides, ulong seed)
    {
        if (_list is not null)
            return [.. slides.Select(s => _list.TryGetValue(s.Name, out Split split) ? split : (Split?)null)];
        int parts = _shares!.Count(s => s > 0);
        if (slides.Count < parts)
        {
            string one = slides.Count == 1 ? "1 slide" : $"{slides.Count} slides";
            throw new RunException($"{one} cannot be split by slide into {parts} parts ({Name}): patches of one slide "
                + "would be in several. Give more slides, or shares with zeros: with --split 1,0,0 all are for "
                + "training, and epsam train sets a share of their patches aside for validation");
        }
        Split?[] result = new Split?[slides.Count];
        int[] given = new int[Parts.Length];
        foreach (bool hasTumour in new[] { true, false })
        {
            CounterRandom random = new CounterRandom(seed).Child("split", hasTumour ? 1u : 0u);
            int[] members = [.. Enumerable.Range(0, slides.Count).Where(i => slides[i].HasTumour == hasTumour)
                .OrderBy(i => random.Child(slides[i].Name, 0).NextBits())];
            int[] counts = Counts(members.Length, given);
            int at = 0;
            for (int part = 0; part < Parts.Length; part++)
                for (int n = 0; n < counts[part]; n++) result[members[at++]] = Parts[part];
            for (int part = 0; part < Parts.Length; part++) given[part] += counts[part];
        }
        return result;
    }

    // By largest remainder; where there are enough, each part has one at least; where there are not, parts that have
    // none yet come first, then those with the larger share.
    int[] Counts(int slides, int[] given)
    {
        int[] counts = new int[Parts.Length];
        int[] wanted = [.. Enumerable.Range(0, Parts.Length).Where(p => _shares![p] > 0)
            .OrderBy(p => given[p] > 0).ThenByDescending(p => _shares![p])];
        if (slides <= wanted.Length)
        {
            foreach (int part in wanted.Take(slides)) counts[part] = 1;
            return counts;
        }
        foreach (int part in wanted) counts[part] = Math.Max(1, (int)Math.Floor(_shares![part] * slides + 1e-9));
        while (counts.Sum() > slides)
            counts[wanted.Where(p => counts[p] > 1).MaxBy(p => counts[p] - _shares![p] * slides)]--;
        while (counts.Sum() < slides) counts[wanted.MaxBy(p => _shares![p] * slides - counts[p])]++;
        return counts;
    }

    static Dictionary<string, Split> Table(string path)
    {
        List<(int Line, string[] Fields)> lines;
        try
        {
            lines = CsvText.Lines(File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"--split {path} cannot be read: {e.Message}", e);
        }
        string[] header = lines.Count == 0 ? [] : [.. lines[0].Fields.Select(f => f.Trim().ToLowerInvariant())];
        (int slide, int split) = (Array.IndexOf(header, "slide"), Array.IndexOf(header, "split"));
        if (slide < 0 || split < 0)
            throw new RunException($"--split {path}: expected a table with the columns slide and split");
        Dictionary<string, Split> splits = new(StringComparer.OrdinalIgnoreCase);
        foreach ((int line, string[] fields) in lines.Skip(1))
        {
            if (fields.Length != header.Length)
                throw new RunException($"{path}:{line}: {fields.Length} fields, the first line has {header.Length}");
            string name = fields[slide].Trim();
            Split? part = fields[split].Trim().ToLowerInvariant() switch
            {
                "train" or "training" => Split.Train,
                "val" or "valid" or "validation" => Split.Val,
                "test" => Split.Test,
                "" => null,
                string other => throw new RunException($"{path}:{line}: split {other}; expected train, val or test"),
            };
            if (part is not Split to) continue;
            // named as a file or as results are
            foreach (string key in new[] { name, SlideFiles.WithoutEnding(name) }.Distinct())
                if (!splits.TryAdd(key, to) && splits[key] != to)
                    throw new RunException($"{path}:{line}: {name} is in two parts, {splits[key]} and {to}");
        }
        return splits;
    }
}
