// A data set as a table: image,label[,mask][,split][,x,y,w,h]. Names of columns may be followed by an explanation in
// parentheses, their case does not matter, other columns are ignored. Paths are relative to the table. A label of -1 or
// none is neither: not trained on. Where there is no column for masks, images/A.jpg has masks/A.png if there is one.
using System.Globalization;

namespace EpSam.Native.Pipeline;

internal static class PatchTable
{
    static readonly string[] CropColumns = ["x", "y", "w", "h"];

    /// <summary>The one table of a folder.</summary>
    public static string In(string folder)
    {
        string[] all = [.. Directory.GetFiles(folder, "*.csv").Order(StringComparer.Ordinal)];
        string[] tables = [.. all.Where(IsTable)];
        if (tables.Length == 1) return tables[0];
        if (tables.Length > 1)
            throw new RunException($"--data {folder} has several tables; name one of them: {PatchRows.Few(tables)}");
        string found = all.Length == 0 ? "" : $"; {PatchRows.Few(all)} have no columns image and label";
        throw new RunException($"--data {folder}: nothing found. Expected images train/image/NAME_0.png and "
            + $"NAME_1.png, val/image/…, or a CSV with the columns image and label{found}");
    }

    static bool IsTable(string path)
    {
        using StreamReader reader = new(path);
        List<string[]> header = CsvText.Rows(reader.ReadLine() ?? "");
        if (header.Count != 1) return false;
        Dictionary<string, int> columns = Columns(header[0]);
        return columns.ContainsKey("image") && columns.ContainsKey("label");
    }

    public static IReadOnlyList<PatchRow> Read(string path)
    {
        List<(int Line, string[] Fields)> lines = CsvText.Lines(Text(path));
        if (lines.Count == 0) throw new RunException($"{path} is empty; expected a CSV with image and label");
        Dictionary<string, int> columns = Columns(lines[0].Fields);
        foreach (string needed in new[] { "image", "label" })
        {
            if (!columns.ContainsKey(needed))
            {
                throw new RunException($"{path} has no column {needed}; its columns are "
                    + $"{PatchRows.Few(columns.Keys, 8)}. Expected image,label[,mask][,split][,x,y,w,h]");
            }
        }
        string[] crop = [.. CropColumns.Where(columns.ContainsKey)];
        if (crop.Length is not (0 or 4))
        {
            throw new RunException($"{path} has {string.Join(", ", crop)} of the columns x, y, w, h; expected "
                + "all four");
        }
        Table table = new(path, columns, crop.Length == 4);
        List<PatchRow> rows = [];
        int width = lines[0].Fields.Length;
        foreach ((int line, string[] fields) in lines.Skip(1))
        {
            if (fields.Length != width)
                throw new RunException($"{path}:{line}: {fields.Length} fields, the first line has {width}");
            rows.Add(table.Row(line, fields));
        }
        return rows;
    }

    static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"cannot read {path}: {e.Message}", e);
        }
    }

    // "label(1 tumour | 0 none)" is label; label_tumour is too when nothing else is.
    static Dictionary<string, int> Columns(string[] header)
    {
        Dictionary<string, int> columns = new(StringComparer.Ordinal);
        for (int i = 0; i < header.Length; i++)
            columns.TryAdd(header[i].Split('(')[0].Trim().ToLowerInvariant(), i);
        string[] labels = [.. columns.Keys.Where(c => c.StartsWith("label_", StringComparison.Ordinal))];
        if (labels.Length == 1) columns.TryAdd("label", columns[labels[0]]);
        return columns;
    }

    sealed class Table(string path, Dictionary<string, int> columns, bool hasCrops)
    {
        readonly string _folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        readonly Dictionary<string, Dictionary<string, string>> _masks = [];

        public PatchRow Row(int line, string[] fields)
        {
            string where = $"{path}:{line}", image = Field(fields, "image");
            if (image.Length == 0) throw new RunException($"{where}: no image");
            string full = Path.GetFullPath(Path.Combine(_folder, image));
            string mask = Field(fields, "mask");
            return new PatchRow(where, full, Label(where, Field(fields, "label")),
                mask.Length > 0 ? Path.GetFullPath(Path.Combine(_folder, mask))
                    : columns.ContainsKey("mask") ? null : Beside(full),
                Part(where, Field(fields, "split")), hasCrops ? Crop(where, fields) : null);
        }

        string Field(string[] fields, string name) =>
            columns.TryGetValue(name, out int column) ? fields[column].Trim() : "";

        static int? Label(string where, string text) => text switch
        {
            "1" => 1,
            "0" => 0,
            "" or "-1" => null,
            _ => throw new RunException($"{where}: label {text}; expected 1 (tumour), 0 (none), or -1 or nothing "
                + "(neither: not trained on)"),
        };

        Split? Part(string where, string text) => text.ToLowerInvariant() switch
        {
            "" => columns.ContainsKey("split") ? Split.Train : null,
            "train" or "training" => Split.Train,
            "val" or "valid" or "validation" => Split.Val,
            "test" => Split.Test,
            _ => throw new RunException($"{where}: split {text}; expected train, val or test"),
        };

        Crop? Crop(string where, string[] fields)
        {
            string[] texts = [.. CropColumns.Select(c => Field(fields, c))];
            if (texts.All(t => t.Length == 0)) return null;
            int[] numbers = new int[4];
            for (int i = 0; i < 4; i++)
            {
                if (!int.TryParse(texts[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i])
                    || (i >= 2 && numbers[i] == 0))
                {
                    throw new RunException($"{where}: {CropColumns[i]} {texts[i]}; a crop has x and y from 0 and w and "
                        + "h from 1, in pixels");
                }
            }
            return new Crop(numbers[0], numbers[1], numbers[2], numbers[3]);
        }

        // images/A.jpg: masks/A.png
        string? Beside(string image)
        {
            string folder = Path.GetDirectoryName(image)!;
            if (Path.GetFileName(folder) is not ("images" or "image") || Path.GetDirectoryName(folder) is not string up)
                return null;
            if (!_masks.TryGetValue(up, out Dictionary<string, string>? masks))
                _masks[up] = masks = PatchFolder.ByStem(Path.Combine(up, "masks"));
            return masks.GetValueOrDefault(Path.GetFileNameWithoutExtension(image));
        }
    }
}
