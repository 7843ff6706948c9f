// The checks of one warp instruction that touches memory, for every state space: each lane's access is passed to Lane,
// which says where in host memory it goes or throws a KernelFault, and notes what is written. Count adds the traffic of
// the instruction to the counters. With all checks off Lane still keeps accesses inside their space.
// Lanes must be passed in lane order and each write done before the next lane is passed: two lanes that write different
// values to one place of shared memory are told apart from two that write the same.
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Checks;

internal unsafe ref struct AccessCheck
{
    readonly Warp* _warp;
    readonly int* _operands;
    readonly Space _space;
    readonly int _bytes;
    readonly AccessKind _kind;
    readonly CheckFlags _flags;
    readonly Heap? _heap;
    readonly bool _hasShadow;
    readonly SharedCheck _shared;
    ulong _liveStart, _liveBytes; // the allocation of the last global access

    public AccessCheck(Warp* w, int* o, Space space, int bytes, AccessKind kind, bool aligned = true)
    {
        _warp = w;
        _operands = o;
        _space = space;
        _bytes = bytes;
        _kind = kind;
        _flags = (CheckFlags)w->Block->Checks & (aligned ? CheckFlags.All : ~CheckFlags.Alignment);
        _heap = LaunchContext.Current?.Heap;
        _hasShadow = space is Space.Shared or Space.Generic && w->Block->SharedShadow != null;
        if (_hasShadow)
            _shared = new SharedCheck(w, o, bytes, kind);
    }

    readonly bool Writes => _kind != AccessKind.Read;
    readonly bool Reads => _kind is AccessKind.Read or AccessKind.Atomic;

    /// <summary>Checks one lane; value are the bytes a plain write is about to store, else null.</summary>
    public byte* Lane(int lane, ulong address, byte* value)
    {
        CheckAlignment(lane, address);
        switch (_space)
        {
            case Space.Shared:
                return Shared(lane, address, value);
            case Space.Local:
                return Local(lane, address);
            case Space.Param:
                CheckWindow("parameter", _warp->Block->ParamBytes, lane, address);
                return _warp->Block->Param + address;
            case Space.Generic when address - AddressSpace.SharedWindow < AddressSpace.WindowBytes:
                return Shared(lane, address - AddressSpace.SharedWindow, value);
            case Space.Generic when address - AddressSpace.LocalWindow < AddressSpace.WindowBytes:
                return Local(lane, address - AddressSpace.LocalWindow);
            default:
                return Global(lane, address);
        }
    }

    /// <summary>
    /// Checks a full warp's row in global memory at once. False: something may be wrong, pass the lanes one by one.
    /// </summary>
    public readonly bool TryRow(ulong* addresses)
    {
        ulong first = addresses[0], length = 32 * (ulong)_bytes;
        if (_warp->Active != uint.MaxValue || _space is Space.Shared or Space.Local or Space.Param || _heap == null)
            return false;
        for (int lane = 1; lane < 32; lane++)
        {
            if (addresses[lane] != first + (ulong)(lane * _bytes))
                return false;
        }
        if ((first & (ulong)(_bytes - 1)) != 0 || !AddressSpace.IsDevice(first, length))
            return false;
        if ((_flags & CheckFlags.Bounds) != 0 && !_heap.Contains(first, (long)length))
            return false;
        if ((_flags & CheckFlags.Initialised) != 0 && _heap.TracksInitialisation)
        {
            var written = new Span<byte>(AddressSpace.Shadow(first), (int)length);
            if (Reads && written.Contains((byte)0))
                return false;
            if (Writes)
                written.Fill(1);
        }
        return true;
    }

    public readonly void CheckAlignment(int lane, ulong address)
    {
        if ((_flags & CheckFlags.Alignment) != 0 && (address & (ulong)(_bytes - 1)) != 0)
            ThrowMisaligned(lane, address);
    }

    /// <summary>Counts the instruction's traffic; the addresses are those that Lane got.</summary>
    public readonly void Count(uint lanes, ulong* addresses)
    {
        ulong* counters = _warp->Block->Counters;
        if (counters == null || _space is Space.Local or Space.Param)
            return;
        uint shared = _space == Space.Shared ? lanes : 0, global = lanes & ~shared;
        if (_space == Space.Generic)
        {
            for (uint rest = lanes; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                if (AddressSpace.IsDevice(addresses[lane], 1))
                    continue;
                global &= ~(1u << lane);
                if (addresses[lane] - AddressSpace.SharedWindow < AddressSpace.WindowBytes)
                    shared |= 1u << lane;
            }
        }
        if (global != 0)
            Traffic.CountGlobal(counters, global, addresses, _bytes, Reads, Writes);
        if (shared != 0)
            Traffic.CountShared(counters, shared, addresses, _bytes);
    }

    readonly byte* Shared(int lane, ulong offset, byte* value)
    {
        BlockState* block = _warp->Block;
        CheckWindow("shared", block->SharedBytes, lane, offset);
        if (_hasShadow)
            _shared.Access(lane, offset, value);
        return block->Shared + offset;
    }

    readonly byte* Local(int lane, ulong offset)
    {
        CheckWindow("local", _warp->LocalBytes, lane, offset);
        if ((_flags & CheckFlags.Initialised) != 0)
        {
            Span<byte> written = WarpState.Of(_warp).LocalWritten(_warp, lane, offset, _bytes);
            int missing = Reads ? written.IndexOf((byte)0) : -1;
            if (missing >= 0)
                throw Fault(FaultKind.Uninitialised, lane, offset, $"{_bytes} bytes at local offset {offset} " +
                    $"(0x{offset:x}), but byte {offset + (ulong)missing} has not been written");
            if (Writes)
                written.Fill(1);
        }
        return _warp->Local + (long)lane * _warp->LocalBytes + offset;
    }

    readonly void CheckWindow(string space, int size, int lane, ulong offset)
    {
        if (size < _bytes || offset > (ulong)(size - _bytes))
            Faults.ThrowWindow(space, size, _warp, _operands[-1], lane, offset, _bytes, Writes);
    }

    byte* Global(int lane, ulong address)
    {
        if (!AddressSpace.IsDevice(address, (ulong)_bytes))
            Faults.ThrowGlobal(_warp, _operands[-1], lane, address, _bytes, Writes);
        if (_heap == null)
            return AddressSpace.ToHost(address);
        bool inside = (ulong)_bytes <= _liveBytes && address - _liveStart <= _liveBytes - (ulong)_bytes;
        if ((_flags & CheckFlags.Bounds) != 0 && !inside)
            FindAllocation(lane, address);
        if ((_flags & CheckFlags.Initialised) != 0 && _heap.TracksInitialisation)
        {
            var written = new Span<byte>(AddressSpace.Shadow(address), _bytes);
            if (Reads && written.IndexOf((byte)0) is >= 0 and int missing)
                throw Fault(FaultKind.Uninitialised, lane, address, $"{_bytes} bytes at 0x{address:x}, but byte " +
                    $"0x{address + (ulong)missing:x} has never been written; {_heap.Describe(address)}");
            if (Writes)
                written.Fill(1);
        }
        return AddressSpace.ToHost(address);
    }

    void FindAllocation(int lane, ulong address)
    {
        if (_heap!.TryFind(address, out Allocation? a) && (ulong)_bytes <= a.End - address)
        {
            (_liveStart, _liveBytes) = (a.Address, (ulong)a.Bytes);
            return;
        }
        bool freed = _heap.FindRange(address) is { Live: false };
        string crossing = a != null ? $", which it crosses by {address + (ulong)_bytes - a.End} bytes" : "";
        throw Fault(freed ? FaultKind.UseAfterFree : FaultKind.OutOfBounds, lane, address,
            $"{_bytes} bytes at 0x{address:x}, {_heap.Describe(address)}{crossing}");
    }

    [DoesNotReturn]
    public readonly void ThrowMisaligned(int lane, ulong address)
    {
        string near = AddressSpace.IsDevice(address, 1) && _heap != null ? $"; {_heap.Describe(address)}" : "";
        string what = _space is Space.Global or Space.Const or Space.Generic
            ? $"0x{address:x}"
            : $"{(_space == Space.Param ? "parameter" : _space.ToString().ToLowerInvariant())} offset {address} " +
              $"(0x{address:x})";
        throw Fault(FaultKind.Misaligned, lane, address,
            $"{_bytes} bytes at {what}, not a multiple of {_bytes}{near}");
    }

    readonly KernelFault Fault(FaultKind kind, int lane, ulong address, string what)
    {
        string verb = _kind == AccessKind.Atomic ? "atomic access" : Faults.Verb(Writes);
        return Faults.At(kind, $"{verb} of {what}", _warp, _operands[-1], lane, address);
    }
}

/// <summary>
/// Checks for instructions that read shared memory otherwise than by ld (ldmatrix): ask Wanted first, then pass the
/// byte offset that each lane provides. Bounds are always checked.
/// </summary>
internal static unsafe class SharedChecks
{
    public static bool Wanted(Warp* w) => w->Block->Checks != 0 || w->Block->Counters != null;

    /// <summary>Each of these lanes reads so many bytes (a power of two) from its offset. Throws KernelFault.</summary>
    public static void ReadRows(Warp* w, int* o, uint lanes, ulong* offsets, int bytes)
    {
        var check = new AccessCheck(w, o, Space.Shared, bytes, AccessKind.Read);
        for (uint rest = lanes; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            check.Lane(lane, offsets[lane], null);
        }
        check.Count(lanes, offsets);
    }
}
