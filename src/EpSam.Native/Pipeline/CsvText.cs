using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>Comma-separated values: what is written can be read back, whatever is in a name.</summary>
public static class CsvText
{
    /// <summary>A value, in quotes when it needs them.</summary>
    public static string Field(string value) => value.AsSpan().IndexOfAny(",\"\r\n") < 0 ? value
        : $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    /// <summary>All rows of a text, the header too. Empty lines are left out.</summary>
    public static List<string[]> Rows(string text) => [.. Lines(text).Select(l => l.Fields)];

    /// <summary>The same with the number of the line that a row begins on.</summary>
    public static List<(int Line, string[] Fields)> Lines(string text)
    {
        List<(int, string[])> rows = [];
        int line = 1, first = 1;
        List<string> row = [];
        StringBuilder field = new();
        bool isQuoted = false, wasQuoted = false;
        for (int i = 0; i <= text.Length; i++)
        {
            char c = i < text.Length ? text[i] : '\n';
            if (c == '\n') line++;
            if (isQuoted && i < text.Length)
            {
                if (c != '"') field.Append(c);
                else if (i + 1 < text.Length && text[i + 1] == '"') field.Append(text[++i]);
                else isQuoted = false;
            }
            else if (c == '"' && field.Length == 0 && !wasQuoted) isQuoted = wasQuoted = true;
            else if (c is ',' or '\n')
            {
                if (c == '\n' && field.Length > 0 && field[^1] == '\r' && !wasQuoted) field.Length--;
                row.Add(field.ToString());
                field.Clear();
                (isQuoted, bool quoted) = (false, wasQuoted);
                wasQuoted = false;
                if (c == ',') continue;
                if (row.Count > 1 || row[0].Length > 0 || quoted) rows.Add((first, [.. row]));
                row.Clear();
                first = line;
            }
            else if (!(wasQuoted && c == '\r')) field.Append(c);
        }
        return rows;
    }
}
