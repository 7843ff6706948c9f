// Finds races, uninitialised reads and unfinished asynchronous copies in shared memory, byte by byte. A record keeps
// the last write and, of the reads since, one of the newest warp, one other lane of that warp, and one of any other
// warp: enough to decide exactly whether a write meets an unordered read.
// Two accesses are ordered when one thread makes both, when a block-wide barrier lies between (BlockState.Epoch), or
// inside a warp when a warp barrier does (Warp.Sequence). Unordered accesses race if one writes, unless both are atomic
// or both are plain writes of the same value (which changes nothing; compute-sanitizer lets it pass too).
// A cp.async counts as a write of its thread when issued and again when that thread waits for it.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Checks;

/// <summary>Shadow of one byte of shared memory. Accesses are AccessLog numbers with the lane; 0 = none.</summary>
[StructLayout(LayoutKind.Sequential, Size = Races.BytesPerSharedByte)]
internal struct SharedRecord
{
    public const byte Written = 1, Pending = 2;

    public uint Write;
    public uint Read;      // the last
    public uint OtherRead; // the last of another warp than Read's
    public uint Packed;    // the three below

    /// <summary>Lane + 1 of a read of Read's warp and sequence by another lane; 0 = none.</summary>
    public readonly uint ReadLane => Packed & 0xFF;

    /// <summary>Written; Pending and from bit 2 on the warp whose cp.async (in Write) fills the byte.</summary>
    public readonly uint State => Packed >> 8 & 0xFF;

    /// <summary>The cp.async group.</summary>
    public readonly ushort Group => (ushort)(Packed >> 16);

    public static uint Pack(uint readLane, uint state, uint group) => readLane | state << 8 | group << 16;
}

internal static class Races
{
    /// <summary>Bytes of BlockState.SharedShadow per byte of shared memory; the grid runner zeroes them.</summary>
    public const int BytesPerSharedByte = 16;
}

/// <summary>The shared-memory checks of one warp instruction.</summary>
internal unsafe ref struct SharedCheck
{
    readonly Warp* _warp;
    readonly int* _operands;
    readonly AccessKind _kind;
    readonly bool _races, _initialised;
    readonly AccessLog _log;
    readonly uint _number;
    readonly uint _recent; // accesses from here on were made since the last block-wide barrier
    readonly int _bytes;

    public SharedCheck(Warp* w, int* o, int bytes, AccessKind kind)
    {
        var flags = (CheckFlags)w->Block->Checks;
        _warp = w;
        _operands = o;
        _kind = kind;
        _bytes = bytes;
        _races = (flags & CheckFlags.Races) != 0;
        _initialised = (flags & CheckFlags.Initialised) != 0;
        _log = AccessLog.Current;
        _number = _log.Number(w, o[-1], kind);
        _recent = _log.EpochStart << 5;
    }

    readonly bool Reads => _kind is AccessKind.Read or AccessKind.Atomic;

    /// <summary>
    /// Checks and records one lane's access, made right after. For plain writes value points to the new bytes.
    /// </summary>
    public readonly void Access(int lane, ulong offset, byte* value)
    {
        SharedRecord* r = (SharedRecord*)_warp->Block->SharedShadow + offset;
        ulong end = offset + (ulong)_bytes;
        for (ulong at = offset; at < end;)
        {
            // Most often the four bytes of a word have the same history.
            if ((at & 3) == 0 && at + 4 <= end && SameHistory(r) && !HasConflict(r, lane))
            {
                Vector128<uint> next = Record(r, lane);
                next.Store((uint*)r);
                next.Store((uint*)(r + 1));
                next.Store((uint*)(r + 2));
                next.Store((uint*)(r + 3));
                r += 4;
                at += 4;
                continue;
            }
            if (HasConflict(r, lane))
                Explain(r, lane, offset, at, value);
            Record(r, lane).Store((uint*)r);
            r++;
            at++;
        }
    }

    static bool SameHistory(SharedRecord* r)
    {
        Vector128<byte> first = Vector128.Load((byte*)r), second = Vector128.Load((byte*)(r + 1));
        Vector128<byte> third = Vector128.Load((byte*)(r + 2)), fourth = Vector128.Load((byte*)(r + 3));
        return ((first ^ second) | (first ^ third) | (first ^ fourth)) == Vector128<byte>.Zero;
    }

    /// <summary>True when something may be wrong; Explain decides.</summary>
    readonly bool HasConflict(SharedRecord* r, int lane)
    {
        if ((r->State & SharedRecord.Pending) != 0 || (_initialised && Reads && r->State == 0))
            return true;
        bool old = r->Write < _recent && (_kind == AccessKind.Read || Math.Max(r->Read, r->OtherRead) < _recent);
        return _races && !old && (WriteConflicts(r, lane) || (_kind != AccessKind.Read && FindRead(r, lane) != 0));
    }

    readonly bool WriteConflicts(SharedRecord* r, int lane) =>
        IsUnordered(r->Write, lane) && !(_kind == AccessKind.Atomic && _log[r->Write].Kind == AccessKind.Atomic);

    /// <summary>A recorded read that is not ordered before an access of this lane; 0 = none.</summary>
    readonly uint FindRead(SharedRecord* r, int lane)
    {
        if (IsUnordered(r->Read, lane))
            return r->Read;
        if (r->ReadLane != 0 && r->Read >= _recent)
        {
            uint sibling = r->Read & ~31u | (r->ReadLane - 1);
            if (IsUnordered(sibling, lane))
                return sibling;
        }
        return IsUnordered(r->OtherRead, lane) ? r->OtherRead : 0;
    }

    readonly bool IsUnordered(uint access, int lane)
    {
        if (access < _recent)
            return false;
        ref readonly AccessLog.Entry e = ref _log[access];
        return e.Warp != _warp->Index || ((access & 31) != lane && e.Sequence == _warp->Sequence);
    }

    /// <summary>
    /// The record after this lane's access. As one vector: parts stored one by one are slow to read back whole.
    /// </summary>
    readonly Vector128<uint> Record(SharedRecord* r, int lane)
    {
        uint me = _number | (uint)lane;
        if (_kind == AccessKind.Read)
            return r->Read == me ? Vector128.Load((uint*)r) : RecordRead(r, me);
        uint packed = SharedRecord.Pack(0, SharedRecord.Written, 0);
        if (_kind == AccessKind.AsyncWrite)
        {
            uint state = SharedRecord.Written | SharedRecord.Pending | (uint)_warp->Index << 2;
            packed = SharedRecord.Pack(0, state, (ushort)WarpState.Of(_warp).Lanes[lane].Committed);
        }
        return Vector128.Create(me, 0, 0, packed);
    }

    readonly Vector128<uint> RecordRead(SharedRecord* r, uint me)
    {
        uint last = r->Read, other = r->OtherRead, readLane = 0;
        if (last >= _recent)
        {
            ref readonly AccessLog.Entry e = ref _log[last];
            if (e.Warp != _warp->Index)
                other = last;
            else if (e.Sequence == _warp->Sequence)
                readLane = (last & 31) != (me & 31) ? (last & 31) + 1 : r->ReadLane;
        }
        return Vector128.Create(r->Write, me, other, r->Packed & ~0xFFu | readLane);
    }

    /// <summary>Throws the fault, or returns when the conflict is none after all.</summary>
    readonly void Explain(SharedRecord* r, int lane, ulong offset, ulong at, byte* value)
    {
        if ((r->State & SharedRecord.Pending) != 0)
            CheckCopy(r, lane, offset, at);
        if (_initialised && Reads && r->State == 0)
            throw Fault(FaultKind.Uninitialised, lane, offset,
                $"but byte {at} has not been written since the block started");
        if (!_races)
            return;
        uint read = _kind == AccessKind.Read ? 0 : FindRead(r, lane);
        if (read != 0)
            throw Race(lane, offset, at, read);
        if (!WriteConflicts(r, lane))
            return;
        bool sameValue = _kind == AccessKind.Write && _log[r->Write].Kind == AccessKind.Write &&
            value[at - offset] == _warp->Block->Shared[at];
        if (!sameValue)
            throw Race(lane, offset, at, r->Write);
    }

    /// <summary>For the destination of a cp.async: has it been waited for, and does this lane know?</summary>
    readonly void CheckCopy(SharedRecord* r, int lane, ulong offset, ulong at)
    {
        int ownerWarp = (int)(r->State >> 2), ownerLane = (int)(r->Write & 31);
        WarpState? state = WarpState.Of(ownerWarp);
        if (state == null)
            return;
        ref WarpState.Lane owner = ref state.Lanes[ownerLane];
        bool IsDone(int completed, ushort group) => (short)(ushort)(completed - group) > 0;
        Dim3 thread = Faults.ThreadOf(_warp->Block, ownerWarp * 32 + ownerLane);
        string line = _log.Find(r->Write) is { } entry ? $" in PTX line {entry.Line}" : "";
        if (!IsDone(owner.Completed, r->Group))
            throw Fault(FaultKind.AsyncCopyNotWaited, lane, offset, $"but byte {at} is the destination of the " +
                $"cp.async{line} by thread {thread}, which has not waited for it");
        bool sameThread = ownerWarp == _warp->Index && ownerLane == lane;
        int visible = owner.Completed;
        if (owner.Epoch == _warp->Block->Epoch && !sameThread)
        {
            visible = owner.BeforeEpoch;
            if (ownerWarp == _warp->Index)
                visible = owner.Sequence == _warp->Sequence ? owner.BeforeSequence : owner.Completed;
        }
        if (!IsDone(visible, r->Group) && _races)
            throw Fault(FaultKind.Race, lane, offset, $"races with the cp.async{line} by thread {thread} into byte " +
                $"{at}: no barrier since that thread waited for it");
        if (owner.Epoch != _warp->Block->Epoch || IsDone(owner.BeforeEpoch, r->Group))
            r->Packed = SharedRecord.Pack(r->ReadLane, SharedRecord.Written, 0); // from now on the byte is everybody's
    }

    readonly KernelFault Race(int lane, ulong offset, ulong at, uint other)
    {
        AccessLog.Entry e = _log[other];
        string verb = e.Kind switch
        {
            AccessKind.Read => "read",
            AccessKind.Write => "write",
            AccessKind.Atomic => "atomic",
            _ => "cp.async",
        };
        Dim3 thread = Faults.ThreadOf(_warp->Block, e.Warp * 32 + (int)(other & 31));
        string missing = e.Warp == _warp->Index ? "bar.warp.sync or block-wide barrier" : "block-wide barrier";
        return Fault(FaultKind.Race, lane, offset,
            $"races with the {verb} in PTX line {e.Line} by thread {thread} at byte {at}: no {missing} between them");
    }

    readonly KernelFault Fault(FaultKind kind, int lane, ulong offset, string what)
    {
        string verb = _kind switch
        {
            AccessKind.Read => "read",
            AccessKind.Atomic => "atomic access",
            AccessKind.Write => "write",
            _ => "cp.async",
        };
        Dim3 thread = Faults.ThreadOf(_warp, lane);
        return Faults.At(kind, $"{verb} of {_bytes} bytes at shared offset {offset} (0x{offset:x}) by thread " +
            $"{thread} {what}", _warp, _operands[-1], lane, offset);
    }
}
