// Writes a slide as other programs open it (QuPath, ASAP, OpenSlide, libvips): a tiled BigTIFF with levels halved down
// to one tile. Tiles come in any order; a tile of a coarser level is made as soon as its four are there, so memory
// holds what is half done, not the slide. Compressed tiles go to a file beside the target and from there to the target
// in one fixed order: the same tiles give the same bytes, whoever wrote them when.
using System.Buffers;
using static EpSam.Imaging.Slides.PyramidCompression;

namespace EpSam.Imaging.Slides;

/// <summary>How the tiles are compressed.</summary>
public enum PyramidCompression
{
    /// <summary>Without loss: masks, probabilities.</summary>
    Deflate,
    /// <summary>For pictures; needs libvips.</summary>
    Jpeg,
}

/// <summary>How a pyramid is written.</summary>
public sealed record PyramidOptions
{
    /// <summary>Of the tiles.</summary>
    public PyramidCompression Compression { get; init; } = Deflate;
    /// <summary>JPEG's quality, 1 to 100; colours have half the resolution below 90.</summary>
    public int Quality { get; init; } = 85;
    /// <summary>Sides of the tiles, a multiple of 16.</summary>
    public int Tile { get; init; } = 256;
    /// <summary>Micrometres a pixel; null: not told.</summary>
    public double? Mpp { get; init; }
    /// <summary>
    /// Coarser levels take the third of four pixels' values in order (classes; of two and two the higher), not their
    /// mean.
    /// </summary>
    public bool IsClasses { get; init; }
    /// <summary>Every sample of the tiles that are never written.</summary>
    public byte Background { get; init; }

    /// <summary>Memory for tiles of coarser levels that are half done; beyond it they wait on the disk.</summary>
    internal int PartialBytes { get; init; } = 8 << 20;
}

/// <summary>
/// A pyramid that is being written. Tiles may be written by several threads at once. Without <see cref="Complete"/>
/// no file appears.
/// </summary>
public sealed class PyramidWriter : IDisposable
{
    readonly string _path, _beside;
    readonly PyramidOptions _options;
    readonly int _channels, _bytes;
    readonly List<PyramidLevel> _levels = [];
    readonly Lock _lock = new(); // over the levels' tables
    readonly TileSpool _spool;
    readonly PartialTiles _partials;
    volatile bool _isOver, _isBroken;

    /// <summary>Begins a file of (height, width, channels), channels 1 or 3.</summary>
    /// <exception cref="ImagingException">JPEG, and libvips is missing.</exception>
    /// <exception cref="IOException">Its folder is not there or cannot be written to.</exception>
    public PyramidWriter(string path, long width, long height, int channels, PyramidOptions? options = null)
    {
        _options = options ?? new();
        Check(width, height, channels, _options);
        if (_options.Compression == Jpeg) Vips.Require();
        int tile = _options.Tile;
        (_channels, _bytes) = (channels, tile * tile * channels);
        _levels.Add(new PyramidLevel(width, height, tile));
        while (_levels[^1].NextCoarser() is PyramidLevel next) _levels.Add(next);
        _path = Path.GetFullPath(path);
        string name = $".{Path.GetFileName(_path)}.{Guid.NewGuid():N}";
        _beside = Path.Combine(Path.GetDirectoryName(_path)!, name + ".tmp");
        _spool = new TileSpool(Path.Combine(Path.GetDirectoryName(_path)!, name + ".tiles.tmp"));
        _partials = new PartialTiles(_spool, tile, channels, _options.Background, _options.PartialBytes);
    }

    /// <summary>Tiles in a row.</summary>
    public int Columns => _levels[0].Columns;

    /// <summary>Rows of tiles.</summary>
    public int Rows => _levels[0].Rows;

    /// <summary>
    /// One tile, (tile, tile, channels); what lies beyond the slide's edges is ignored. Each tile once, at most.
    /// </summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void WriteTile(int column, int row, ReadOnlySpan<byte> pixels)
    {
        PyramidLevel level = _levels[0];
        if (column < 0 || column >= level.Columns || row < 0 || row >= level.Rows)
        {
            throw new ArgumentOutOfRangeException(nameof(column),
                $"tile {column}, {row} of {level.Columns} x {level.Rows}");
        }
        if (pixels.Length != _bytes)
            throw new ArgumentException($"a tile has {_bytes} bytes, got {pixels.Length}", nameof(pixels));
        if (_isOver) throw new InvalidOperationException("the pyramid is complete");
        lock (_lock)
        {
            if (!level.Take(column, row))
                throw new InvalidOperationException($"tile {column}, {row} has been written already");
        }
        byte[] own = ArrayPool<byte>.Shared.Rent(_bytes);
        pixels.CopyTo(own);
        Guarded(() => Put(0, column, row, own));
    }

    /// <summary>
    /// When all tiles are written: makes what is left of the coarser levels; the file appears when all of it is on the
    /// disk.
    /// </summary>
    /// <exception cref="IOException">The disk is full.</exception>
    /// <exception cref="InvalidOperationException">A tile could not be written.</exception>
    public void Complete()
    {
        if (_isOver) throw new InvalidOperationException("the pyramid is complete");
        if (_isBroken) throw new InvalidOperationException($"{_path}: a tile could not be written");
        Guarded(Finish);
        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isOver = true;
        _spool.Dispose();
    }

    void Finish()
    {
        for (int level = 1; level < _levels.Count; level++)
            foreach ((int column, int row) in _partials.Left(level))
                Put(level, column, row, _partials.Take(level, column, row));
        BigTiff tiff = new(_levels, _options, _channels, _spool, _levels.Any(l => l.HasBlank) ? Blank() : []);
        try
        {
            using (FileStream file = new(_beside, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 1 << 18))
            {
                tiff.Write(file);
                file.Flush(flushToDisk: true);
            }
            File.Move(_beside, _path, overwrite: true);
        }
        catch
        {
            File.Delete(_beside);
            throw;
        }
    }

    byte[] Blank()
    {
        byte[] pixels = new byte[_bytes];
        pixels.AsSpan().Fill(_options.Background);
        return TilePixels.Encode(pixels, _options, _channels);
    }

    // A tile, and every coarser one that it completes. The array goes back to the pool.
    void Put(int level, int column, int row, byte[] pixels)
    {
        byte[] quarter = ArrayPool<byte>.Shared.Rent(_bytes / 4);
        for (; ; level++, column /= 2, row /= 2)
        {
            PyramidLevel size = _levels[level];
            Span<byte> tile = pixels.AsSpan(0, _bytes);
            TilePixels.Pad(tile, _options.Tile, _channels, size.InnerWidth(column), size.InnerHeight(row));
            bool isBlank = tile.IndexOfAnyExcept(_options.Background) < 0;
            if (!isBlank) Store(size, column, row, TilePixels.Encode(tile, _options, _channels));
            byte[]? parent = null;
            if (level + 1 < _levels.Count && _levels[level + 1].ChildrenOf(column / 2, row / 2) is (> 0, > 0) children
                && column % 2 < children.Columns && row % 2 < children.Rows)
            {
                if (!isBlank) TilePixels.Halve(tile, quarter, _options.Tile, _channels, _options.IsClasses);
                parent = _partials.Add(level + 1, column, row, children.Columns * children.Rows,
                    isBlank ? [] : quarter.AsSpan(0, _bytes / 4));
            }
            ArrayPool<byte>.Shared.Return(pixels);
            if (parent is null) break;
            pixels = parent;
        }
        ArrayPool<byte>.Shared.Return(quarter);
    }

    void Store(PyramidLevel level, int column, int row, byte[] encoded)
    {
        long at = _spool.Append(encoded);
        lock (_lock) level.Set(column, row, at, encoded.Length);
    }

    void Guarded(Action work)
    {
        try
        {
            work();
        }
        catch (IOException e)
        {
            _isBroken = true;
            throw new IOException($"{_path} cannot be written: {e.Message}", e);
        }
        catch
        {
            _isBroken = true;
            throw;
        }
    }

    static void Check(long width, long height, int channels, PyramidOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(width, int.MaxValue);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(height, int.MaxValue);
        if (channels is not (1 or 3))
            throw new ArgumentException($"channels must be 1 or 3, got {channels}", nameof(channels));
        if (options.Tile is < 16 or > 4096 || options.Tile % 16 != 0) // TIFF 6.0, section 15
            throw new ArgumentException($"tiles have sides of 16 to 4096, a multiple of 16; got {options.Tile}");
        if (options.Quality is < 1 or > 100) throw new ArgumentException($"quality {options.Quality}: give 1 to 100");
        if (options.Mpp is double mpp && !(mpp is >= 1e-4 and <= 1e4))
            throw new ArgumentException($"{mpp} micrometres a pixel: give 0.0001 to 10000");
    }
}
