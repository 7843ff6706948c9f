// tiles.csv: a row for each tile of the grid, written as they come.
using System.Globalization;
using System.Text;

namespace EpSam.Slides.Segment;

/// <summary>Writes and reads a slide's tiles.</summary>
public sealed class TileTable : IDisposable
{
    /// <summary>The first line.</summary>
    public const string Header = "x,y,width,height,state,tissue,probability,tumour";

    readonly StreamWriter _file;

    /// <summary>Begins a file.</summary>
    public TileTable(string path)
    {
        _file = new StreamWriter(path, append: false, new UTF8Encoding(false)) { NewLine = "\n" };
        _file.WriteLine(Header);
    }

    /// <summary>The next row.</summary>
    public void Add(TileResult tile) => _file.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{tile.X:0.##},{tile.Y:0.##},{tile.Width:0.##},{tile.Height:0.##},{Text(tile.State)},{tile.Tissue:0.####},"
        + $"{tile.Probability:0.######},{tile.Tumour:0.######}"));

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Reads a file row by row.</summary>
    /// <exception cref="SlideException">It is damaged, or none.</exception>
    public static IEnumerable<TileResult> Read(string path)
    {
        int line = 0;
        foreach (string text in File.ReadLines(path))
        {
            line++;
            if (line == 1 && text == Header) continue;
            yield return line > 1 && Parse(text) is TileResult tile ? tile
                : throw new SlideException($"{path}, line {line}: no row of a table of tiles; delete its folder, and "
                    + "the slide is segmented again");
        }
    }

    static TileResult? Parse(string text)
    {
        const int X = 0, Y = 1, Width = 2, Height = 3, State = 4, Tissue = 5, Probability = 6, Tumour = 7, Fields = 8;
        string[] fields = text.Split(',');
        if (fields.Length != Fields) return null;
        double[] numbers = new double[Fields];
        for (int i = 0; i < Fields; i++)
        {
            bool isNumber = i == State || (i == Probability && fields[i].Length == 0)
                || double.TryParse(fields[i], NumberStyles.Float, CultureInfo.InvariantCulture, out numbers[i]);
            if (!isNumber) return null;
        }
        TileState[] states = [.. Enum.GetValues<TileState>().Where(s => Text(s) == fields[State])];
        return states.Length == 0 ? null : new TileResult(numbers[X], numbers[Y], numbers[Width], numbers[Height],
            states[0], numbers[Tissue], fields[Probability].Length == 0 ? null : numbers[Probability], numbers[Tumour]);
    }

    static string Text(TileState state) => state.ToString().ToLowerInvariant();
}
