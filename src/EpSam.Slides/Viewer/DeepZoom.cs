// DeepZoom pyramids: NAME.dzi and NAME_files/LEVEL/COLUMN_ROW.ENDING, as OpenSeadragon and others read them. Level 0 is
// one pixel, each next one twice as wide, the last the picture itself. What is read is read once, at the finest level;
// a coarser tile is the mean of its four, made while these are still there. So memory is a few tiles for each level
// and thread, whatever the picture's size. Tiles without overlap: transparent layers would show it.
using System.Globalization;
using System.Runtime.ExceptionServices;

namespace EpSam.Slides.Viewer;

/// <summary>Sides and tiles of the levels.</summary>
/// <param name="Width">Pixels in a row of the finest level.</param>
/// <param name="Height">Rows of the finest level.</param>
internal sealed record DeepZoomLevels(long Width, long Height)
{
    public const int Tile = 256;

    /// <summary>The number of the finest level; there is one more than that.</summary>
    public int Finest { get; } = LevelOf(Math.Max(Width, Height));

    public long WidthOf(int level) => Side(Width, level);

    public long HeightOf(int level) => Side(Height, level);

    public int Columns(int level) => (int)((WidthOf(level) + Tile - 1) / Tile);

    public int Rows(int level) => (int)((HeightOf(level) + Tile - 1) / Tile);

    /// <summary>Pixels of a tile: fewer than <see cref="Tile"/> at the right and lower edge.</summary>
    public (int Width, int Height) Size(int level, int column, int row) =>
        ((int)Math.Min(Tile, WidthOf(level) - (long)column * Tile),
            (int)Math.Min(Tile, HeightOf(level) - (long)row * Tile));

    // The side halved and rounded up, (Finest - level) times.
    long Side(long side, int level) => ((side - 1) >> (Finest - level)) + 1;

    static int LevelOf(long side)
    {
        int level = 0;
        while (1L << level < side) level++;
        return level;
    }
}

/// <summary>
/// Values of a rectangle of the finest level, (height, width, channels); null: nothing is there, all values are 0.
/// </summary>
internal delegate byte[]? ReadTile(long x, long y, int width, int height);

/// <summary>A tile's file of its values, (height, width, channels); null: none is needed.</summary>
internal delegate byte[]? EncodeTile(byte[] values, int width, int height);

/// <summary>Writes one pyramid.</summary>
/// <param name="folder">Where it goes.</param>
/// <param name="name">What it is called.</param>
/// <param name="levels">Its levels.</param>
/// <param name="ending">Of the tiles: "jpg", "png".</param>
/// <param name="channels">Of the values.</param>
/// <param name="read">Reads what it shows; called by several threads.</param>
/// <param name="encode">Makes files of it; called by several threads.</param>
internal sealed class DeepZoom(string folder, string name, DeepZoomLevels levels, string ending, int channels,
    ReadTile read, EncodeTile encode)
{
    const int MostParts = 64; // so many quarters of quarters are shared out to the cores

    readonly bool[][] _written = [.. Enumerable.Range(0, levels.Finest + 1)
        .Select(level => new bool[(long)levels.Columns(level) * levels.Rows(level)])];
    readonly Lazy<string>[] _folders = [.. Enumerable.Range(0, levels.Finest + 1)
        .Select(level => new Lazy<string>(() => Directory.CreateDirectory(Path.Combine(folder, $"{name}_files",
            level.ToString(CultureInfo.InvariantCulture))).FullName))];
    byte[]?[] _parts = [];
    int _partLevel;

    /// <summary>Writes all tiles and the description.</summary>
    /// <exception cref="OperationCanceledException">Some tiles are there then.</exception>
    public void Write(CancellationToken cancel)
    {
        _partLevel = levels.Finest;
        while ((long)levels.Columns(_partLevel) * levels.Rows(_partLevel) > MostParts) _partLevel--;
        (int columns, int rows) = (levels.Columns(_partLevel), levels.Rows(_partLevel));
        _parts = new byte[]?[columns * rows];
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel,
        };
        try
        {
            Parallel.For(0, _parts.Length, parallel,
                i => _parts[i] = Make(_partLevel, i % columns, i / columns, cancel));
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Capture(e.InnerExceptions[0]).Throw(); // what went wrong, not that threads met it
        }
        if (_partLevel > 0) Make(0, 0, 0, cancel);
        File.WriteAllText(Path.Combine(folder, $"{name}.dzi"), FormattableString.Invariant(
            $"""
            <?xml version="1.0" encoding="utf-8"?>
            <Image xmlns="http://schemas.microsoft.com/deepzoom/2008" TileSize="{DeepZoomLevels.Tile}" Overlap="0"
              Format="{ending}"><Size Width="{levels.Width}" Height="{levels.Height}"/></Image>

            """).ReplaceLineEndings("\n"));
    }

    /// <summary>
    /// Which tiles of a level were written, as lengths of runs in reading order: so many not, so many, so many not, …
    /// </summary>
    public IReadOnlyList<int> Runs(int level)
    {
        List<int> runs = [];
        bool isRun = false;
        int length = 0;
        foreach (bool isThere in _written[level])
        {
            if (isThere != isRun)
            {
                runs.Add(length);
                (isRun, length) = (isThere, 0);
            }
            length++;
        }
        if (isRun) runs.Add(length);
        return runs;
    }

    // The values of a tile, when its file and those of all that it is made of are written.
    byte[]? Make(int level, int column, int row, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        (int width, int height) = levels.Size(level, column, row);
        byte[]? values = level == levels.Finest
            ? read((long)column * DeepZoomLevels.Tile, (long)row * DeepZoomLevels.Tile, width, height)
            : Mean(level, column, row, width, height, cancel);
        if (values is not null && encode(values, width, height) is byte[] file)
        {
            File.WriteAllBytes(Path.Combine(_folders[level].Value,
                FormattableString.Invariant($"{column}_{row}.{ending}")), file);
            _written[level][row * levels.Columns(level) + column] = true;
        }
        return values;
    }

    byte[]? Mean(int level, int column, int row, int width, int height, CancellationToken cancel)
    {
        byte[]? values = null;
        for (int part = 0; part < 4; part++)
        {
            (int right, int down) = (part & 1, part >> 1);
            (int c, int r) = (2 * column + right, 2 * row + down);
            if (c >= levels.Columns(level + 1) || r >= levels.Rows(level + 1)) continue;
            if (MakeBelow(level + 1, c, r, cancel) is not byte[] fine) continue;
            values ??= new byte[height * width * channels];
            (int fineWidth, int fineHeight) = levels.Size(level + 1, c, r);
            const int Half = DeepZoomLevels.Tile / 2;
            Halve(fine, fineWidth, fineHeight, channels,
                values.AsSpan((down * Half * width + right * Half) * channels), width * channels);
        }
        return values;
    }

    // Parts are made already, also those of nothing.
    byte[]? MakeBelow(int level, int column, int row, CancellationToken cancel) =>
        level == _partLevel ? _parts[row * levels.Columns(level) + column] : Make(level, column, row, cancel);

    // Means of 2 x 2, at an odd edge of what there is.
    internal static void Halve(ReadOnlySpan<byte> fine, int width, int height, int channels, Span<byte> to, int stride)
    {
        for (int y = 0; y < height; y += 2)
        {
            ReadOnlySpan<byte> upper = fine.Slice(y * width * channels, width * channels);
            ReadOnlySpan<byte> lower = y + 1 < height
                ? fine.Slice((y + 1) * width * channels, width * channels) : upper;
            Span<byte> row = to[(y / 2 * stride)..];
            for (int x = 0; x < width; x += 2)
            {
                (int left, int right) = (x * channels, (x + 1 < width ? x + 1 : x) * channels);
                for (int c = 0; c < channels; c++)
                {
                    int sum = upper[left + c] + upper[right + c] + lower[left + c] + lower[right + c];
                    row[x / 2 * channels + c] = (byte)((sum + 2) >> 2);
                }
            }
        }
    }
}
