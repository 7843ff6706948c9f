// cp.async: copies from global to shared memory that the hardware makes in the background. Here the bytes are copied at
// once; with checks on the destination is marked pending, and reading it before the copying thread has waited for the
// group is a fault. Operands: destination address (3 ints), source address (3 ints), size in bytes, and the frame
// offset of the register with the number of bytes really read (the rest becomes zero) or -1.
// https://docs.nvidia.com/cuda/parallel-thread-execution/#data-movement-and-conversion-instructions-cp-async
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class AsyncCopy
{
    const int Source = 3, Size = 6, Read = 7; // in the operand list

    [PtxWarp("cp.async.{ca,cg}")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy(Warp* w, byte* f, int* o)
    {
        bool registers = o[0] >= 0 && o[Source] >= 0 && o[Source + 2] != 0;
        // Kernels that mask their tails give a source size to every copy; in all tiles but the last it is
        // the whole size.
        bool whole = o[Read] < 0 || ReadsWhole(f + o[Read], (uint)o[Size]);
        if (!whole || !registers || !MemoryLanes.IsSmall(o[1]))
        {
            if (!registers || !MemoryLanes.IsSmall(o[1]) || !TryCopySome(w, f, o)) CopyPart(w, f, o);
            return;
        }
        SharedSpace.Check(w, f, o, o[Size], write: true);
        LaneAddress.CheckDevice(w, f, o, o + Source, o[Size], write: false);
        byte* shared = SharedSpace.Base(w) + o[1];
        var from = new WideLanes(f + o[Source], GlobalSpace.Base(w) + o[Source + 1]);
        if (o[2] == 0)
            Move(w->Active, o[Size], from, new NarrowLanes(f + o[0], shared));
        else
            Move(w->Active, o[Size], from, new WideLanes(f + o[0], shared));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool ReadsWhole(byte* register, uint bytes) =>
        Vector512.GreaterThanOrEqualAll(
            Vector512.Min(Vector512.Load((uint*)register), Vector512.Load((uint*)register + 16)),
            Vector512.Create(bytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Move<TTo>(uint active, int bytes, WideLanes from, TTo to) where TTo : struct, ILanes
    {
        if (active == uint.MaxValue && bytes == 16)
        {
            // Four at a time: the fewer instructions a copy takes, the more of them wait for memory together.
            for (int lane = 0; lane < 32; lane += 4)
            {
                Vector128<byte> a = Vector128.Load(from[lane]), b = Vector128.Load(from[lane + 1]);
                Vector128<byte> c = Vector128.Load(from[lane + 2]), d = Vector128.Load(from[lane + 3]);
                a.Store(to[lane]);
                b.Store(to[lane + 1]);
                c.Store(to[lane + 2]);
                d.Store(to[lane + 3]);
            }
            return;
        }
        if (active == uint.MaxValue && bytes == 8)
        {
            for (int lane = 0; lane < 32; lane++) *(ulong*)to[lane] = *(ulong*)from[lane];
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            Unsafe.CopyBlockUnaligned(to[lane], from[lane], (uint)bytes);
        }
    }

    /// <summary>Full warps that copy 16 or 8 bytes a lane, or zeros where nothing is read: tails of tiles.</summary>
    static bool TryCopySome(Warp* w, byte* f, int* o)
    {
        int bytes = o[Size];
        if (bytes is not (8 or 16) || w->Active != uint.MaxValue || o[2] != 0) return false;
        uint* read = (uint*)(f + o[Read]);
        uint taken = Lanes(read, (uint)bytes), partly = Lanes(read, 1) & ~taken;
        LaneAddress.Effective(f, o + Source, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        // A lane that reads nothing may have any address; here all of them have to be good ones.
        if (partly != 0
            || !LaneAddress.AllWithin(a0, a1, a2, a3, AddressSpace.DeviceBase, AddressSpace.Accessible - 16))
            return false;
        SharedSpace.Check(w, f, o, bytes, write: true);
        var from = new WideLanes(f + o[Source], GlobalSpace.Base(w) + o[Source + 1]);
        var to = new NarrowLanes(f + o[0], SharedSpace.Base(w) + o[1]);
        for (int lane = 0; bytes == 8 && lane < 32; lane++)
        {
            ulong value = 0;
            if ((taken >> lane & 1) != 0) value = *(ulong*)from[lane];
            *(ulong*)to[lane] = value;
        }
        for (int lane = 0; bytes == 16 && lane < 32; lane++)
        {
            Vector128<byte> value = Vector128<byte>.Zero;
            if ((taken >> lane & 1) != 0) value = Vector128.Load(from[lane]);
            value.Store(to[lane]);
        }
        return true;
    }

    /// <summary>The lanes that have at least so many bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static uint Lanes(uint* read, uint bytes)
    {
        U32 least = Vector512.Create(bytes);
        return (uint)Vector512.GreaterThanOrEqual(Vector512.Load(read), least).ExtractMostSignificantBits()
            | (uint)Vector512.GreaterThanOrEqual(Vector512.Load(read + 16), least).ExtractMostSignificantBits() << 16;
    }

    [PtxWarp("cp.async.commit_group")]
    [PtxWarp("cp.async.wait_group")]
    [PtxWarp("cp.async.wait_all")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Nothing(Warp* w, byte* f, int* o)
    {
        // The copies are complete already.
    }

    [PtxWarp("cp.async.{ca,cg}", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void CopyChecked(Warp* w, byte* f, int* o)
    {
        int bytes = o[Size];
        LaneAddresses destinations, sources;
        LaneAddress.Effective(f, o, &destinations);
        LaneAddress.Effective(f, o + Source, &sources);
        ulong* to = (ulong*)&destinations, from = (ulong*)&sources;
        byte* value = stackalloc byte[16];
        var write = new AccessCheck(w, o, Space.Shared, bytes, AccessKind.AsyncWrite);
        var whole = new AccessCheck(w, o, Space.Global, bytes, AccessKind.Read);
        uint readers = 0;
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            int read = ReadBytes(f, o, lane);
            *(Vector128<byte>*)value = default;
            if (read > 0)
            {
                whole.CheckAlignment(lane, from[lane]); // by the size of the copy, however little is read
                // Only what is read has to exist.
                var part = new AccessCheck(w, o, Space.Global, read, AccessKind.Read, aligned: false);
                byte* source = read == bytes ? whole.Lane(lane, from[lane], null) : part.Lane(lane, from[lane], null);
                Unsafe.CopyBlockUnaligned(value, source, (uint)read);
                readers |= 1u << lane;
            }
            Unsafe.CopyBlockUnaligned(write.Lane(lane, to[lane], null), value, (uint)bytes);
        }
        whole.Count(readers, from);
        write.Count(w->Active, to);
    }

    [PtxWarp("cp.async.commit_group", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Commit(Warp* w, byte* f, int* o)
    {
        WarpState.Lane[] lanes = WarpState.Of(w).Lanes;
        for (uint rest = w->Active; rest != 0; rest &= rest - 1)
            lanes[BitOperations.TrailingZeroCount(rest)].Committed++;
    }

    [PtxWarp("cp.async.wait_group", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Wait(Warp* w, byte* f, int* o) => Wait(w, o[0]);

    // wait_all also waits for copies of the group that has not been committed.
    [PtxWarp("cp.async.wait_all", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WaitAll(Warp* w, byte* f, int* o)
    {
        Commit(w, f, o);
        Wait(w, 0);
    }

    static void Wait(Warp* w, int pending)
    {
        WarpState.Lane[] lanes = WarpState.Of(w).Lanes;
        for (uint rest = w->Active; rest != 0; rest &= rest - 1)
        {
            ref WarpState.Lane lane = ref lanes[BitOperations.TrailingZeroCount(rest)];
            lane.Complete(lane.Committed - pending, w->Block->Epoch, w->Sequence);
        }
    }

    /// <summary>Each lane reads a part, possibly nothing; then its source address may be anything.</summary>
    static void CopyPart(Warp* w, byte* f, int* o)
    {
        int bytes = o[Size];
        LaneAddresses destinations, sources;
        SharedSpace.Resolve(w, f, o, bytes, true, &destinations);
        LaneAddress.Effective(f, o + Source, &sources);
        byte** to = (byte**)&destinations;
        var from = (ulong*)&sources;
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            int read = ReadBytes(f, o, lane);
            if (read > 0)
            {
                byte* source = LaneAddress.ResolveDevice(w, o, lane, from[lane], read);
                Unsafe.CopyBlockUnaligned(to[lane], source, (uint)read);
            }
            if (read < bytes)
                Unsafe.InitBlockUnaligned(to[lane] + read, 0, (uint)(bytes - read));
        }
    }

    static int ReadBytes(byte* f, int* o, int lane) => o[Read] < 0
        ? o[Size]
        : (int)Math.Min(((uint*)(f + o[Read]))[lane], (uint)o[Size]);
}
