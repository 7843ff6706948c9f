// Tiles of coarser levels of which not all quarters are there. Row by row from the top that is a row of them for each
// level, and where a slide is written in patches, every tile at a patch's rim. Beyond a limit those that were touched
// least recently wait in the spool.
using System.Buffers;

namespace EpSam.Imaging.Slides;

/// <summary>Thread-safe.</summary>
internal sealed class PartialTiles(TileSpool spool, int tile, int channels, byte background, int mostBytes)
{
    sealed class Partial
    {
        public byte[]? Pixels; // null: in the spool
        public long Slot = -1;
        public int Missing;
        public LinkedListNode<Partial>? Node;
    }

    readonly Lock _lock = new();
    readonly Dictionary<(int Level, int Column, int Row), Partial> _all = [];
    readonly LinkedList<Partial> _inMemory = new(); // the one that was touched last is last
    readonly Stack<long> _freeSlots = [];
    readonly int _bytes = tile * tile * channels;

    /// <summary>Of a level, what is left.</summary>
    public List<(int Column, int Row)> Left(int level)
    {
        lock (_lock) return [.. _all.Keys.Where(k => k.Level == level).Select(k => (k.Column, k.Row))];
    }

    /// <summary>
    /// Adds the halved pixels of a finer tile to the tile that it is a part of. Returns that one's pixels when it was
    /// the last; they are then the caller's, from the pool.
    /// </summary>
    /// <param name="level">The coarser level.</param>
    /// <param name="column">Of the finer tile.</param>
    /// <param name="row">Of the finer tile.</param>
    /// <param name="quarters">How many there are.</param>
    /// <param name="quarter">(tile / 2, tile / 2, channels); empty: background.</param>
    public byte[]? Add(int level, int column, int row, int quarters, ReadOnlySpan<byte> quarter)
    {
        (int, int, int) key = (level, column / 2, row / 2);
        lock (_lock)
        {
            if (!_all.TryGetValue(key, out Partial? partial)) _all.Add(key, partial = Begin(quarters));
            else if (quarter.Length > 0 || partial.Missing == 1) Touch(partial);
            if (quarter.Length > 0)
            {
                int side = tile / 2 * channels, left = column % 2 * side, top = row % 2 * (tile / 2);
                for (int y = 0; y < tile / 2; y++)
                {
                    quarter.Slice(y * side, side)
                        .CopyTo(partial.Pixels.AsSpan((top + y) * tile * channels + left, side));
                }
            }
            return --partial.Missing == 0 ? Remove(key, partial) : null;
        }
    }

    /// <summary>Takes a tile as it is.</summary>
    public byte[] Take(int level, int column, int row)
    {
        lock (_lock)
        {
            Partial partial = _all[(level, column, row)];
            Touch(partial);
            return Remove((level, column, row), partial);
        }
    }

    Partial Begin(int quarters)
    {
        Partial partial = new() { Pixels = ArrayPool<byte>.Shared.Rent(_bytes), Missing = quarters };
        partial.Pixels.AsSpan(0, _bytes).Fill(background);
        partial.Node = _inMemory.AddLast(partial);
        Spill();
        return partial;
    }

    void Touch(Partial partial)
    {
        if (partial.Pixels is not null)
        {
            _inMemory.Remove(partial.Node!);
            _inMemory.AddLast(partial.Node!);
            return;
        }
        partial.Pixels = ArrayPool<byte>.Shared.Rent(_bytes);
        spool.Read(partial.Pixels.AsSpan(0, _bytes), partial.Slot);
        _freeSlots.Push(partial.Slot);
        partial.Node = _inMemory.AddLast(partial);
        Spill();
    }

    void Spill()
    {
        while (_inMemory.Count > 1 && (long)_inMemory.Count * _bytes > mostBytes)
        {
            Partial oldest = _inMemory.First!.Value;
            oldest.Slot = _freeSlots.TryPop(out long slot) ? slot : spool.Reserve(_bytes);
            spool.Write(oldest.Pixels.AsSpan(0, _bytes), oldest.Slot);
            _inMemory.RemoveFirst();
            ArrayPool<byte>.Shared.Return(oldest.Pixels!);
            oldest.Pixels = null;
        }
    }

    byte[] Remove((int, int, int) key, Partial partial)
    {
        _all.Remove(key);
        _inMemory.Remove(partial.Node!);
        return partial.Pixels!;
    }
}
