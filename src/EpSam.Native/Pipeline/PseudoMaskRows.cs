using System.Globalization;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>
/// The scores of a round's pseudo masks by image, as a file (image,score,kept). It is written again with more rows
/// while the round goes on; what it names has been done.
/// </summary>
public sealed class PseudoMaskRows
{
    const string Header = "image,score,kept";

    readonly OrderedDictionary<string, (double Score, bool Kept)> _rows = new(StringComparer.Ordinal);

    /// <summary>Images in the order in which they were done.</summary>
    public IEnumerable<(string Image, double Score, bool Kept)> Rows =>
        _rows.Select(r => (r.Key, r.Value.Score, r.Value.Kept));

    /// <summary>How many.</summary>
    public int Count => _rows.Count;

    /// <summary>How many became labels.</summary>
    public int Kept => _rows.Values.Count(r => r.Kept);

    /// <summary>Whether an image has been done.</summary>
    public bool Contains(string image) => _rows.ContainsKey(image);

    /// <summary>Adds an image.</summary>
    public void Add(string image, double score, bool kept) => _rows.Add(image, (score, kept));

    /// <summary>Reads a file; none when it is not there.</summary>
    /// <exception cref="RunException">It is something else.</exception>
    public static PseudoMaskRows Load(string path)
    {
        PseudoMaskRows rows = new();
        if (!File.Exists(path)) return rows;
        List<string[]> lines = CsvText.Rows(File.ReadAllText(path));
        foreach (string[] line in lines.Skip(1))
        {
            if (line.Length != 3 || line[2] is not ("0" or "1") || rows.Contains(line[0])
                || !double.TryParse(line[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double score))
                throw new RunException($"{path} is damaged in the row of {line[0]}: delete it, and it is made anew");
            rows.Add(line[0], score, line[2] == "1");
        }
        return rows;
    }

    /// <summary>Writes a file that appears complete or not at all.</summary>
    public void Save(string path)
    {
        StringBuilder text = new(Header + "\n");
        foreach ((string image, double score, bool kept) in Rows)
            text.Append(CultureInfo.InvariantCulture, $"{CsvText.Field(image)},{score:R},{(kept ? 1 : 0)}\n");
        RunFolder.Write(path, Encoding.UTF8.GetBytes(text.ToString()));
    }
}
