// From the address operand of a memory instruction to 32 host addresses, one struct per state space. Every space keeps
// the process safe: an active lane outside of the space is a KernelFault. Inactive lanes may hold anything; their host
// address is never used. Address operand (3 ints): frame offset of the register or -1, constant offset, 1 if W64.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>32 addresses in lane order, on the stack.</summary>
[InlineArray(32)]
internal struct LaneAddresses
{
    ulong _first;
}

/// <summary>State spaces, in the order of the patterns' groups.</summary>
internal enum Space { Global, Const, Shared, Local, Param, Generic }

internal unsafe interface ISpace
{
    /// <summary>True when every active lane's host address is Base + its address.</summary>
    static abstract bool Linear { get; }

    static abstract byte* Base(Warp* w);

    /// <summary>True when Base + [address, address + bytes) is all in this space.</summary>
    static abstract bool Contains(Warp* w, ulong address, ulong bytes);

    /// <summary>Faults when an active lane is outside (linear spaces).</summary>
    static abstract void Check(Warp* w, byte* f, int* o, int bytes, bool write);

    /// <summary>Host addresses of the active lanes. Faults when one of them is outside.</summary>
    static abstract void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host);
}

internal static unsafe class LaneAddress
{
    public static U64 Iota => Vector512<ulong>.Indices;

    /// <summary>Addresses as the instruction states them: register + offset; 32-bit ones wrap at 32 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Effective(byte* f, int* a, out U64 a0, out U64 a1, out U64 a2, out U64 a3)
    {
        if (a[2] != 0)
        {
            U64 offset = Vector512.Create((ulong)a[1]);
            byte* r = f + a[0];
            a0 = Vector512.Load((ulong*)r) + offset;
            a1 = Vector512.Load((ulong*)(r + 64)) + offset;
            a2 = Vector512.Load((ulong*)(r + 128)) + offset;
            a3 = Vector512.Load((ulong*)(r + 192)) + offset;
            return;
        }
        U32 low = Vector512.Create((uint)a[1]), high = low;
        if (a[0] >= 0)
        {
            low += Vector512.Load((uint*)(f + a[0]));
            high += Vector512.Load((uint*)(f + a[0] + 64));
        }
        a0 = Vector512.WidenLower(low);
        a1 = Vector512.WidenUpper(low);
        a2 = Vector512.WidenLower(high);
        a3 = Vector512.WidenUpper(high);
    }

    /// <summary>The effective addresses as numbers.</summary>
    public static void Effective(byte* f, int* a, LaneAddresses* to)
    {
        Effective(f, a, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        Store(a0, a1, a2, a3, to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(U64 a0, U64 a1, U64 a2, U64 a3, LaneAddresses* to)
    {
        a0.Store((ulong*)to);
        a1.Store((ulong*)to + 8);
        a2.Store((ulong*)to + 16);
        a3.Store((ulong*)to + 24);
    }

    /// <summary>True when all 32 values - start are at most limit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AllWithin(U64 a0, U64 a1, U64 a2, U64 a3, ulong start, ulong limit)
    {
        U64 s = Vector512.Create(start), l = Vector512.Create(limit);
        U64 highest = Vector512.Max(Vector512.Max(a0 - s, a1 - s), Vector512.Max(a2 - s, a3 - s));
        return Vector512.LessThanOrEqualAll(highest, l);
    }

    /// <summary>Faults when an active lane is not in [0, size - bytes].</summary>
    public static void CheckWindow(string space, int size, Warp* w, byte* f, int* o, int bytes, bool write)
    {
        Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        if (size < bytes || !AllWithin(a0, a1, a2, a3, 0, (ulong)(size - bytes)))
            FindOutside(space, size, w, f, o, bytes, write);
    }

    /// <summary>Faults when an active lane is not a device address; a is the address operand.</summary>
    public static void CheckDevice(Warp* w, byte* f, int* o, int* a, int bytes, bool write)
    {
        Effective(f, a, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        if (!AllWithin(a0, a1, a2, a3, AddressSpace.DeviceBase, AddressSpace.Accessible - (ulong)bytes))
            FindOutsideDevice(w, f, o, a, bytes, write);
    }

    /// <summary>Effective addresses + start; a is the address operand.</summary>
    public static void Add(byte* f, int* a, byte* start, LaneAddresses* host)
    {
        Effective(f, a, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        U64 h = Vector512.Create((ulong)start);
        Store(a0 + h, a1 + h, a2 + h, a3 + h, host);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void FindOutside(string space, int size, Warp* w, byte* f, int* o, int bytes, bool write)
    {
        LaneAddresses buffer;
        Effective(f, o, &buffer);
        var offsets = (ulong*)&buffer;
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            if (size < bytes || offsets[lane] > (ulong)(size - bytes))
                Faults.ThrowWindow(space, size, w, o[-1], lane, offsets[lane], bytes, write);
        }
    }

    /// <summary>Host address of one device address; faults when it is none.</summary>
    public static byte* ResolveDevice(Warp* w, int* o, int lane, ulong address, int bytes)
    {
        if (!AddressSpace.IsDevice(address, (ulong)bytes))
            Faults.ThrowGlobal(w, o[-1], lane, address, bytes, write: false);
        return AddressSpace.ToHost(address);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void FindOutsideDevice(Warp* w, byte* f, int* o, int* a, int bytes, bool write)
    {
        LaneAddresses buffer;
        Effective(f, a, &buffer);
        var addresses = (ulong*)&buffer;
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            if (!AddressSpace.IsDevice(addresses[lane], (ulong)bytes))
                Faults.ThrowGlobal(w, o[-1], lane, addresses[lane], bytes, write);
        }
    }

    /// <summary>Host address of one generic address; faults when it is none.</summary>
    public static byte* ResolveGeneric(Warp* w, int* o, int lane, ulong address, int bytes, bool write)
    {
        if (AddressSpace.IsDevice(address, (ulong)bytes))
            return AddressSpace.ToHost(address);
        BlockState* block = w->Block;
        ulong shared = address - AddressSpace.SharedWindow, local = address - AddressSpace.LocalWindow;
        if (shared < AddressSpace.WindowBytes)
        {
            if (shared + (ulong)bytes > (ulong)block->SharedBytes)
                Faults.ThrowWindow("shared", block->SharedBytes, w, o[-1], lane, shared, bytes, write);
            return block->Shared + shared;
        }
        if (local < AddressSpace.WindowBytes)
        {
            if (local + (ulong)bytes > (ulong)w->LocalBytes)
                Faults.ThrowWindow("local", w->LocalBytes, w, o[-1], lane, local, bytes, write);
            return w->Local + (long)lane * w->LocalBytes + local;
        }
        Faults.ThrowGlobal(w, o[-1], lane, address, bytes, write);
        return null;
    }
}

/// <summary>.global and .const: device addresses.</summary>
internal readonly unsafe struct GlobalSpace : ISpace
{
    public static bool Linear => true;
    public static byte* Base(Warp* w) => (byte*)AddressSpace.ToHostOffset;
    public static bool Contains(Warp* w, ulong address, ulong bytes) => AddressSpace.IsDevice(address, bytes);

    public static void Check(Warp* w, byte* f, int* o, int bytes, bool write) =>
        LaneAddress.CheckDevice(w, f, o, o, bytes, write);

    public static void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host)
    {
        Check(w, f, o, bytes, write);
        LaneAddress.Add(f, o, Base(w), host);
    }
}

/// <summary>.shared: offsets in the block's shared memory.</summary>
internal readonly unsafe struct SharedSpace : ISpace
{
    public static bool Linear => true;
    public static byte* Base(Warp* w) => w->Block->Shared;

    public static bool Contains(Warp* w, ulong address, ulong bytes)
    {
        var size = (ulong)w->Block->SharedBytes;
        return bytes <= size && address <= size - bytes;
    }

    public static void Check(Warp* w, byte* f, int* o, int bytes, bool write) =>
        LaneAddress.CheckWindow("shared", w->Block->SharedBytes, w, f, o, bytes, write);

    public static void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host)
    {
        Check(w, f, o, bytes, write);
        LaneAddress.Add(f, o, Base(w), host);
    }
}

/// <summary>.param: offsets in the launch's parameters.</summary>
internal readonly unsafe struct ParamSpace : ISpace
{
    public static bool Linear => true;
    public static byte* Base(Warp* w) => w->Block->Param;

    public static bool Contains(Warp* w, ulong address, ulong bytes)
    {
        var size = (ulong)w->Block->ParamBytes;
        return bytes <= size && address <= size - bytes;
    }

    public static void Check(Warp* w, byte* f, int* o, int bytes, bool write) =>
        LaneAddress.CheckWindow("parameter", w->Block->ParamBytes, w, f, o, bytes, write);

    public static void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host)
    {
        Check(w, f, o, bytes, write);
        LaneAddress.Add(f, o, Base(w), host);
    }
}

/// <summary>.local: each lane has LocalBytes of its own.</summary>
internal readonly unsafe struct LocalSpace : ISpace
{
    public static bool Linear => false;
    public static byte* Base(Warp* w) => null;
    public static bool Contains(Warp* w, ulong address, ulong bytes) => false;

    public static void Check(Warp* w, byte* f, int* o, int bytes, bool write) =>
        LaneAddress.CheckWindow("local", w->LocalBytes, w, f, o, bytes, write);

    public static void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host)
    {
        Check(w, f, o, bytes, write);
        LaneAddress.Add(f, o, w->Local, host);
        for (int lane = 0; lane < 32; lane++)
            ((ulong*)host)[lane] += (ulong)((long)lane * w->LocalBytes);
    }
}

/// <summary>Generic addresses: each lane may mean another space.</summary>
internal readonly unsafe struct GenericSpace : ISpace
{
    public static bool Linear => false;
    public static byte* Base(Warp* w) => (byte*)AddressSpace.ToHostOffset;
    public static bool Contains(Warp* w, ulong address, ulong bytes) => AddressSpace.IsDevice(address, bytes);

    public static void Check(Warp* w, byte* f, int* o, int bytes, bool write)
    {
        // Resolve does.
    }

    public static void Resolve(Warp* w, byte* f, int* o, int bytes, bool write, LaneAddresses* host)
    {
        LaneAddress.Effective(f, o, host);
        var h = (ulong*)host;
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            h[lane] = (ulong)LaneAddress.ResolveGeneric(w, o, lane, h[lane], bytes, write);
        }
    }
}
