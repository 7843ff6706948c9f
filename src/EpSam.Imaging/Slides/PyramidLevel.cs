// A level of a pyramid that is being written: its size, and where each of its tiles lies in the spool. Rows of the
// table are made when their first tile comes.
namespace EpSam.Imaging.Slides;

/// <summary>Not thread-safe.</summary>
internal sealed class PyramidLevel
{
    const int Taken = -1; // its pixels are on their way, or it is background

    readonly long[]?[] _offsets; // by row
    readonly int[]?[] _lengths; // 0: not written

    public PyramidLevel(long width, long height, int tile)
    {
        (Width, Height, Tile) = (width, height, tile);
        (Columns, Rows) = ((int)((width + tile - 1) / tile), (int)((height + tile - 1) / tile));
        (_offsets, _lengths) = (new long[Rows][], new int[Rows][]);
    }

    public long Width { get; }
    public long Height { get; }
    public int Tile { get; }
    public int Columns { get; }
    public int Rows { get; }
    public long Count => (long)Columns * Rows;

    /// <summary>
    /// Half of this one, the last pixel of odd sides left out, as libvips and scanners have it; null after one tile. A
    /// side of one pixel cannot be halved: that level is the last.
    /// </summary>
    public PyramidLevel? NextCoarser() =>
        Count == 1 || Width == 1 || Height == 1 ? null : new PyramidLevel(Width / 2, Height / 2, Tile);

    /// <summary>Columns of a tile that are the slide's.</summary>
    public int InnerWidth(int column) => (int)Math.Min(Tile, Width - (long)column * Tile);

    /// <summary>Rows of a tile that are the slide's.</summary>
    public int InnerHeight(int row) => (int)Math.Min(Tile, Height - (long)row * Tile);

    /// <summary>How many tiles of the next finer level a tile is made of; not above 0: it does not exist.</summary>
    public (int Columns, int Rows) ChildrenOf(int column, int row)
    {
        return (Side(InnerWidth(column)), Side(InnerHeight(row)));

        int Side(int inner) => inner <= 0 ? 0 : inner <= Tile / 2 ? 1 : 2;
    }

    /// <summary>Marks a tile as written; false when it was.</summary>
    public bool Take(int column, int row)
    {
        int[] lengths = _lengths[row] ??= new int[Columns];
        if (lengths[column] != 0) return false;
        lengths[column] = Taken;
        return true;
    }

    public void Set(int column, int row, long offset, int length)
    {
        (_offsets[row] ??= new long[Columns])[column] = offset;
        (_lengths[row] ??= new int[Columns])[column] = length;
    }

    /// <summary>A tile at least is background.</summary>
    public bool HasBlank => _lengths.Any(row => row is null || Array.Exists(row, length => length <= 0));

    /// <summary>Where a tile is in the spool; length 0: it is background.</summary>
    public (long Offset, int Length) this[int column, int row] =>
        _lengths[row] is int[] lengths && lengths[column] > 0 ? (_offsets[row]![column], lengths[column]) : (0, 0);
}
