// Numbers the accesses to shared memory of the blocks that a thread runs, so that a shadow record can name an access
// in 32 bits: number * 32 + lane. All executions of one line by one warp between two synchronisations share a number.
// Numbers grow for ever; those below EpochStart were made before the last block-wide barrier and conflict with nothing.
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Checks;

internal enum AccessKind { Read, Write, Atomic, AsyncWrite }

internal sealed unsafe class AccessLog
{
    public readonly record struct Entry(int Warp, int Sequence, int Line, AccessKind Kind);

    const uint LastNumber = (1u << 27) - 1;
    const int KeptEntries = 1 << 16;

    readonly Dictionary<Entry, uint> _numbers = [];
    Entry[] _entries = new Entry[256];
    int _count;
    uint _first = 1; // number of _entries[0]; 0 means "no access"
    int _epoch;

    [ThreadStatic] static AccessLog? t_log;

    public static AccessLog Current => t_log ??= new AccessLog();

    /// <summary>First number since the last block-wide barrier.</summary>
    public uint EpochStart { get; private set; } = 1;

    /// <summary>The number, shifted to make room for the lane, of this warp's access from this line.</summary>
    public uint Number(Warp* w, int line, AccessKind kind)
    {
        if (w->Block->Epoch != _epoch)
        {
            _epoch = w->Block->Epoch;
            _numbers.Clear();
            if (_count > KeptEntries)
                (_first, _count) = (_first + (uint)_count, 0);
            EpochStart = _first + (uint)_count;
        }
        var entry = new Entry(w->Index, w->Sequence, line, kind);
        if (_numbers.TryGetValue(entry, out uint number))
            return number << 5;
        if (_first + (uint)_count >= LastNumber)
            StartAgain(w->Block);
        if (_count == _entries.Length)
            Array.Resize(ref _entries, 2 * _count);
        _entries[_count] = entry;
        number = _first + (uint)_count++;
        _numbers.Add(entry, number);
        return number << 5;
    }

    /// <summary>The access a record names; null when it is too long ago.</summary>
    public Entry? Find(uint access) => access >> 5 >= _first ? _entries[(access >> 5) - _first] : null;

    /// <summary>The entry of a recent access.</summary>
    public ref readonly Entry this[uint access] => ref _entries[(access >> 5) - _first];

    // Numbers have run out: forget all accesses, those in the records of this block too.
    void StartAgain(BlockState* block)
    {
        _numbers.Clear();
        (_first, _count, EpochStart) = (1, 0, 1);
        var records = (SharedRecord*)block->SharedShadow;
        for (int i = 0; records != null && i < block->SharedBytes; i++)
            records[i] = new SharedRecord { Packed = SharedRecord.Pack(0, records[i].State & SharedRecord.Written, 0) };
    }
}
