// Tiles' probabilities to one picture of the whole slide. Sums are kept for small squares that a tile with tumour has
// touched and that a later row of tiles may still touch; once it cannot, a row of squares becomes probabilities, which
// go to the file's tiles and to the outlines of what is tumour, and is forgotten. A tile that shows no tumour says 0;
// one that was not looked at says nothing, and what it has in common with others is theirs alone.
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Segment;

/// <summary>Writes a slide's probabilities and outlines its tumour. Tiles come row by row.</summary>
internal sealed class Stitcher
{
    const int Side = 64; // of the squares: memory is of what tiles touch, hardly more
    const int InTile = FileTile / Side;
    const int Whole = TileAxis.Whole * TileAxis.Whole;

    readonly TileGrid _grid;
    readonly int _width, _height, _level;
    readonly PyramidWriter _probability;
    readonly OutlineTracer _outlines;
    readonly Dictionary<int, Dictionary<int, int[]>> _sums = []; // by row and column of squares
    readonly Stack<int[]> _spare = new();
    readonly SortedDictionary<int, byte[]> _tiles = []; // of the file's row that is not complete, by column
    readonly byte[] _levels, _set; // a row of the picture
    readonly Dictionary<int, bool[]> _skipped = []; // by row of tiles, for each column: not looked at
    int _next;                                      // the first row of squares that is not written

    /// <param name="grid">The tiles.</param>
    /// <param name="width">Pixels in a row of the picture.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="threshold">A pixel is tumour from this probability on.</param>
    /// <param name="probability">Where probabilities go, in squares of <see cref="FileTile"/>.</param>
    /// <param name="least">Pixels of a region, or of a hole in one, that is not left out.</param>
    public Stitcher(TileGrid grid, int width, int height, double threshold, PyramidWriter probability, double least)
    {
        (_grid, _width, _height, _probability) = (grid, width, height, probability);
        _level = LevelOf(threshold);
        _outlines = new OutlineTracer(width, height, least);
        (_levels, _set) = (new byte[width], new byte[width]);
    }

    /// <summary>The files' tiles must have this side.</summary>
    public const int FileTile = 256;

    /// <summary>The least 8-bit probability that is tumour.</summary>
    public static int LevelOf(double threshold) => Math.Max(1, (int)Math.Ceiling(threshold * 255));

    /// <summary>A tile's probabilities (tile, tile), 0 to 255.</summary>
    public void Add(int column, int row, ReadOnlySpan<byte> probability)
    {
        long left = _grid.Columns.Start(column), top = _grid.Rows.Start(row);
        int[] across = _grid.Columns.Weights(column), down = _grid.Rows.Weights(row);
        int columns = (int)Math.Min(_grid.Tile, _width - left), rows = (int)Math.Min(_grid.Tile, _height - top);
        for (int y = 0; y < rows; y++)
        {
            if (down[y] == 0) continue;
            int square = (int)((top + y) / Side), inside = (int)((top + y) % Side);
            for (int x = 0; x < columns;)
            {
                int at = (int)((left + x) / Side), from = (int)((left + x) % Side);
                int count = Math.Min(Side - from, columns - x);
                ReadOnlySpan<byte> values = probability.Slice(y * _grid.Tile + x, count);
                if (values.ContainsAnyExcept((byte)0))
                    Add(values, across.AsSpan(x, count), down[y], Sums(square, at).AsSpan(inside * Side + from, count));
                x += count;
            }
        }
    }

    /// <summary>A tile that was not looked at.</summary>
    public void Skip(int column, int row)
    {
        if (!_skipped.TryGetValue(row, out bool[]? columns)) _skipped[row] = columns = new bool[_grid.Columns.Count];
        columns[column] = true;
    }

    static void Add(ReadOnlySpan<byte> values, ReadOnlySpan<int> across, int down, Span<int> sums)
    {
        for (int i = 0; i < sums.Length; i++) sums[i] += down * across[i] * values[i];
    }

    int[] Sums(int row, int column)
    {
        if (!_sums.TryGetValue(row, out Dictionary<int, int[]>? squares)) _sums[row] = squares = [];
        if (squares.TryGetValue(column, out int[]? sums)) return sums;
        if (_spare.TryPop(out sums)) Array.Clear(sums);
        return squares[column] = sums ?? new int[Side * Side];
    }

    /// <summary>All tiles of this row, and of those before, have been added.</summary>
    public void EndRow(int row)
    {
        bool isLast = row + 1 == _grid.Rows.Count;
        long done = isLast ? _height : _grid.Rows.Start(row + 1);
        for (; isLast ? (long)_next * Side < _height : (_next + 1L) * Side <= done; _next++) Write(_next);
        foreach (int past in _skipped.Keys.Where(r => _grid.Rows.Start(r) + _grid.Tile <= (long)_next * Side).ToArray())
            _skipped.Remove(past);
    }

    void Write(int row)
    {
        int rows = Math.Min(Side, _height - row * Side), top = row % InTile * Side; // in the file's tiles
        if (_sums.Remove(row, out Dictionary<int, int[]>? squares))
        {
            foreach ((int column, int[] sums) in squares)
            {
                if (!_tiles.TryGetValue(column / InTile, out byte[]? tile))
                    _tiles[column / InTile] = tile = new byte[FileTile * FileTile];
                Fill(tile.AsSpan(top * FileTile + column % InTile * Side), sums, Weights(column, row));
                _spare.Push(sums);
            }
            for (int y = 0; y < rows; y++) Trace(top + y);
        }
        else _outlines.EmptyRows(rows);
        if ((row + 1) % InTile != 0 && row * Side + rows < _height) return;
        foreach ((int column, byte[] tile) in _tiles) _probability.WriteTile(column, row / InTile, tile);
        _tiles.Clear();
    }

    static void Fill(Span<byte> levels, int[] sums, int[]? weights)
    {
        for (int p = 0; p < sums.Length; p++)
        {
            int whole = weights is null ? Whole : weights[p];
            levels[p / Side * FileTile + p % Side] = whole == 0 ? (byte)0 : (byte)((sums[p] + whole / 2) / whole);
        }
    }

    // What weights of tiles that were looked at sum up to in a square; null: to the whole everywhere.
    int[]? Weights(int column, int row)
    {
        int[]? weights = null;
        foreach ((int tileRow, bool[] skipped) in _skipped)
        {
            long top = _grid.Rows.Start(tileRow) - (long)row * Side;
            if (top >= Side || top + _grid.Tile <= 0) continue;
            for (int tile = 0; tile < skipped.Length; tile++)
            {
                long left = _grid.Columns.Start(tile) - (long)column * Side;
                if (!skipped[tile] || left >= Side || left + _grid.Tile <= 0) continue;
                if (weights is null) Array.Fill(weights = new int[Side * Side], Whole);
                Subtract(weights, _grid.Columns.Weights(tile), (int)left, _grid.Rows.Weights(tileRow), (int)top);
            }
        }
        return weights;
    }

    void Subtract(int[] weights, int[] across, int left, int[] down, int top)
    {
        (int from, int end) = (Math.Max(0, left), Math.Min(Side, left + _grid.Tile));
        for (int y = Math.Max(0, top); y < Math.Min(Side, top + _grid.Tile); y++)
            for (int x = from; x < end; x++) weights[y * Side + x] -= down[y - top] * across[x - left];
    }

    // A row of the file's tiles.
    void Trace(int y)
    {
        Array.Clear(_levels);
        foreach ((int column, byte[] tile) in _tiles)
        {
            int left = column * FileTile, count = Math.Min(FileTile, _width - left);
            tile.AsSpan(y * FileTile, count).CopyTo(_levels.AsSpan(left));
        }
        for (int x = 0; x < _levels.Length; x++) _set[x] = _levels[x] >= _level ? (byte)1 : (byte)0;
        _outlines.Row(_set);
    }

    /// <summary>The tumour's outlines in pixels of the picture. The file is still to be completed.</summary>
    public IReadOnlyList<SlidePolygon> Finish()
    {
        _spare.Clear();
        return _outlines.Finish();
    }
}
