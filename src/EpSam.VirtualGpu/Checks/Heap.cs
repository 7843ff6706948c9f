// Device memory of one virtual device: which address ranges are allocated, by what name, and what was freed. With
// bounds checks on, addresses are never used twice and freed allocations are remembered, so that a late access can
// be told whom it belonged to. Contents live in the AddressSpace window; the heap only keeps the books.
// Thread-safe. The capacity is that of the card: ranges are charged in granules of 256 bytes.
using System.Diagnostics.CodeAnalysis;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Checks;

/// <summary>A range of device memory that is or was allocated.</summary>
internal sealed class Allocation(ulong address, long bytes, string name, Heap heap)
{
    public readonly ulong Address = address;
    public readonly long Bytes = bytes;
    public readonly string Name = name;
    public readonly Heap Heap = heap;
    public volatile bool Live = true;

    public ulong End => Address + (ulong)Bytes;
    public override string ToString() => $"'{Name}' ({Bytes} bytes at 0x{Address:x})";
}

/// <summary>The card's memory is full.</summary>
internal sealed class OutOfDeviceMemory(long requested, long free, long total, long allocations) : Exception(
    $"out of device memory: {requested} bytes requested, {free} of {total} bytes free in {allocations} allocations")
{
    public long Requested { get; } = requested;
    public long Free { get; } = free;
}

internal sealed class Heap : IDisposable
{
    readonly object _lock = new();
    readonly List<Allocation> _ranges = []; // sorted by address; with bounds checks freed ones stay
    readonly bool _keepFreed, _shadow;
    long _used, _count;

    [ThreadStatic] static Allocation? t_recent; // kernels mostly stay in the allocation of their last access

    public Heap(long capacityBytes, CheckFlags checks)
    {
        AddressSpace.EnsureReserved();
        TotalBytes = capacityBytes;
        _keepFreed = (checks & CheckFlags.Bounds) != 0;
        _shadow = (checks & CheckFlags.Initialised) != 0;
        if (_shadow)
            AddressSpace.EnsureShadow();
    }

    public long TotalBytes { get; }
    public long FreeBytes => TotalBytes - Interlocked.Read(ref _used);
    public long AllocationCount => Interlocked.Read(ref _count);

    /// <summary>True when the heap knows which bytes have been written.</summary>
    public bool TracksInitialisation => _shadow;

    /// <summary>Allocates; the name is what faults call the range. Throws OutOfDeviceMemory.</summary>
    public ulong Allocate(long bytes, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        lock (_lock)
        {
            long free = TotalBytes - _used;
            if (bytes > free || Charge(bytes) > free)
                throw new OutOfDeviceMemory(bytes, free, TotalBytes, _count);
            ulong address = AddressSpace.Take(bytes);
            if (address == 0)
                throw new OutOfDeviceMemory(bytes, 0, TotalBytes, _count); // the window is full before the card is
            _used += Charge(bytes);
            _count++;
            _ranges.Insert(IndexAfter(address), new Allocation(address, bytes, name, this));
            return address;
        }
    }

    /// <summary>False when address is not the start of a live allocation.</summary>
    public bool Free(ulong address)
    {
        lock (_lock)
        {
            int i = IndexAfter(address) - 1;
            if (i < 0 || _ranges[i].Address != address || !_ranges[i].Live)
                return false;
            Release(_ranges[i]);
            if (!_keepFreed)
                _ranges.RemoveAt(i);
            return true;
        }
    }

    /// <summary>The live allocation that holds the byte at address.</summary>
    public bool TryFind(ulong address, [NotNullWhen(true)] out Allocation? allocation)
    {
        Allocation? recent = t_recent;
        if (recent != null && recent.Heap == this && recent.Live && address - recent.Address < (ulong)recent.Bytes)
        {
            allocation = recent;
            return true;
        }
        allocation = FindRange(address);
        if (allocation is not { Live: true })
            return false;
        t_recent = allocation;
        return true;
    }

    /// <summary>True when all of [address, address + bytes) lies in one live allocation.</summary>
    public bool Contains(ulong address, long bytes) =>
        TryFind(address, out Allocation? a) && (ulong)bytes <= a.End - address;

    /// <summary>Notes that something has written these bytes.</summary>
    public unsafe void MarkInitialised(ulong address, long bytes)
    {
        if (_shadow && AddressSpace.IsDevice(address, (ulong)bytes))
            new Span<byte>(AddressSpace.Shadow(address), checked((int)Math.Min(bytes, int.MaxValue))).Fill(1);
        if (bytes > int.MaxValue)
            MarkInitialised(address + int.MaxValue, bytes - int.MaxValue);
    }

    /// <summary>Offset of the first byte of [address, address + bytes) that nothing has written; -1 = none.</summary>
    public unsafe long FirstUninitialised(ulong address, long bytes)
    {
        const int Piece = 1 << 30;
        if (!_shadow)
            return -1;
        for (long at = 0; at < bytes; at += Piece)
        {
            var piece = new ReadOnlySpan<byte>(AddressSpace.Shadow(address) + at, (int)Math.Min(Piece, bytes - at));
            int zero = piece.IndexOf((byte)0);
            if (zero >= 0)
                return at + zero;
        }
        return -1;
    }

    /// <summary>Where address lies: in, before or behind the nearest allocation, live or freed.</summary>
    public string Describe(ulong address)
    {
        Allocation? below, above;
        lock (_lock)
        {
            int i = IndexAfter(address);
            below = i > 0 ? _ranges[i - 1] : null;
            above = i < _ranges.Count ? _ranges[i] : null;
        }
        if (below != null && address < below.End)
            return $"{address - below.Address} bytes into {State(below)} {below}";
        if (below != null && (above == null || address - below.End <= above.Address - address))
            return $"{address - below.End} bytes past the end of {State(below)} {below}";
        return above == null
            ? "no memory is allocated"
            : $"{above.Address - address} bytes before {State(above)} {above}";
    }

    /// <summary>The allocation, live or freed, that holds address; null when there is none.</summary>
    public Allocation? FindRange(ulong address)
    {
        lock (_lock)
        {
            int i = IndexAfter(address) - 1;
            return i >= 0 && address < _ranges[i].End ? _ranges[i] : null;
        }
    }

    /// <summary>Names of the live allocations, for leak reports.</summary>
    public string[] LiveAllocations()
    {
        lock (_lock)
            return [.. _ranges.Where(a => a.Live).Select(a => a.ToString())];
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (Allocation a in _ranges)
                if (a.Live)
                    Release(a);
            _ranges.Clear();
        }
    }

    void Release(Allocation a)
    {
        a.Live = false;
        _used -= Charge(a.Bytes);
        _count--;
        AddressSpace.Discard(a.Address, a.Bytes);
        if (_shadow)
            AddressSpace.ClearShadow(a.Address, a.Bytes);
        if (!_keepFreed)
            AddressSpace.Return(a.Address, a.Bytes);
    }

    static string State(Allocation a) => a.Live ? "live allocation" : "freed allocation";

    static long Charge(long bytes) => (bytes + AddressSpace.Granule - 1) / AddressSpace.Granule * AddressSpace.Granule;

    int IndexAfter(ulong address)
    {
        int low = 0, high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_ranges[middle].Address <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
}
