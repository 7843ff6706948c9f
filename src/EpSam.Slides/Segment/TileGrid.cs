// Where the tiles of a slide lie, and how much each says about a pixel. Tiles are spread evenly from edge to edge, with
// the wanted overlap at least; a slide that is smaller than a tile has one, which reaches beyond it. Where tiles
// overlap, the answer goes linearly from one to the next. Weights are whole numbers and sum up to Whole at every pixel,
// however many tiles there are: along an axis tile i has S(i) - S(i + 1), where S(i) rises from 0 where tile i begins
// to all where tile i - 1 ends. So sums do not depend on the order of tiles, and are exact.
namespace EpSam.Slides.Segment;

/// <summary>Tiles along one axis.</summary>
internal sealed class TileAxis
{
    /// <summary>What the weights of a pixel sum up to.</summary>
    public const int Whole = 256;

    readonly long _length;
    readonly int _tile;
    readonly int[]?[] _weights;

    public TileAxis(long length, int tile, int overlap)
    {
        (_length, _tile) = (length, tile);
        int stride = tile - overlap;
        Count = length <= tile ? 1 : checked((int)((length - tile + stride - 1) / stride) + 1);
        _weights = new int[Count][];
    }

    /// <summary>Tiles.</summary>
    public int Count { get; }

    /// <summary>The first pixel of a tile.</summary>
    public long Start(int index) => Count == 1 ? 0 : (_length - _tile) * index / (Count - 1);

    /// <summary>The weights of a tile's pixels; not to be changed.</summary>
    public int[] Weights(int index) => _weights[index] ??= WeightsOf(index);

    int[] WeightsOf(int index)
    {
        int[] weights = new int[_tile];
        long start = Start(index);
        for (int i = 0; i < _tile; i++) weights[i] = Share(index, start + i) - Share(index + 1, start + i);
        return weights;
    }

    int Share(int index, long at)
    {
        if (index == 0) return Whole;
        if (index == Count) return 0;
        long from = Start(index), to = Start(index - 1) + _tile; // the overlap; it may be empty
        if (at < from || at >= to) return at < from ? 0 : Whole;
        return (int)((Whole * (2 * (at - from) + 1) + (to - from)) / (2 * (to - from)));
    }
}

/// <summary>The tiles of a picture.</summary>
/// <param name="width">Its pixels in a row.</param>
/// <param name="height">Its rows.</param>
/// <param name="tile">Pixels of a tile's sides.</param>
/// <param name="overlap">Pixels that neighbours have in common, at least.</param>
internal sealed class TileGrid(long width, long height, int tile, int overlap)
{
    /// <summary>From left to right.</summary>
    public TileAxis Columns { get; } = new(width, tile, overlap);

    /// <summary>From top to bottom.</summary>
    public TileAxis Rows { get; } = new(height, tile, overlap);

    /// <summary>Pixels of a tile's sides.</summary>
    public int Tile => tile;

    /// <summary>All tiles.</summary>
    public int Count => checked(Columns.Count * Rows.Count);
}
