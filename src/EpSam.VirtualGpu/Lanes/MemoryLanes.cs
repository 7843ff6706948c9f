// Accesses that are no row: lane by lane. Where the space is linear the lanes' addresses are read straight from the
// register in the frame (storing vectors and reading them back in pieces costs more than the access); where it is not,
// or where a destination overlaps the address register, through a copy of resolved addresses.
// Lanes of 16 bytes are moved as blocks and transposed, whatever the addresses are.
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>Where each lane's host address comes from.</summary>
internal unsafe interface ILanes
{
    byte* this[int lane] { get; }
}

internal readonly unsafe struct WideLanes(byte* register, byte* start) : ILanes
{
    public byte* this[int lane]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => start + ((ulong*)register)[lane];
    }
}

/// <summary>
/// 32-bit addresses, which wrap: read as signed numbers they give the right sum, as long as both the constant offset in
/// start and the address that was checked are small (see RunLinear).
/// </summary>
internal readonly unsafe struct NarrowLanes(byte* register, byte* start) : ILanes
{
    public byte* this[int lane]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => start + ((int*)register)[lane];
    }
}

internal readonly unsafe struct HostLanes(LaneAddresses* host) : ILanes
{
    public byte* this[int lane]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ((byte**)host)[lane];
    }
}

/// <summary>What to do with the lanes; r are the instruction's registers.</summary>
internal unsafe interface ILaneBody
{
    static abstract void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes;
}

internal static unsafe class MemoryLanes
{
    const int Address = 3; // ints of the address operand

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Load<TSpace, T, TBody>(Warp* w, byte* f, int* o, int count)
        where TSpace : ISpace where T : IElement where TBody : ILaneBody
    {
        if (TSpace.Linear && o[0] >= 0 && IsSmall(o[1]) && !Overlaps(o, count, T.Size == 8 ? 256 : 128))
        {
            RunLinear<TSpace, TBody>(w, f, o, count * T.Size, write: false);
            return;
        }
        LaneAddresses host;
        TSpace.Resolve(w, f, o, count * T.Size, false, &host);
        TBody.Run(w->Active, f, o + Address, new HostLanes(&host));
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Store<TSpace, TBody>(Warp* w, byte* f, int* o, int bytes)
        where TSpace : ISpace where TBody : ILaneBody
    {
        if (TSpace.Linear && o[0] >= 0 && IsSmall(o[1]))
        {
            RunLinear<TSpace, TBody>(w, f, o, bytes, write: true);
            return;
        }
        LaneAddresses host;
        TSpace.Resolve(w, f, o, bytes, true, &host);
        TBody.Run(w->Active, f, o + Address, new HostLanes(&host));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void RunLinear<TSpace, TBody>(Warp* w, byte* f, int* o, int bytes, bool write)
        where TSpace : ISpace where TBody : ILaneBody
    {
        TSpace.Check(w, f, o, bytes, write);
        byte* start = TSpace.Base(w), register = f + o[0];
        if (o[2] != 0)
            TBody.Run(w->Active, f, o + Address, new WideLanes(register, start + o[1]));
        else
            TBody.Run(w->Active, f, o + Address, new NarrowLanes(register, start + o[1]));
    }

    /// <summary>True for constant offsets that NarrowLanes may add.</summary>
    public static bool IsSmall(int offset) => offset is > -(1 << 30) and < 1 << 30;

    /// <summary>True when a destination shares bytes of the frame with the address register.</summary>
    static bool Overlaps(int* o, int count, int bytes)
    {
        int start = o[0], end = start + (o[2] != 0 ? 256 : 128);
        for (int i = 0; i < count; i++)
        {
            int d = o[Address + i];
            if (d < end && d + bytes > start && d >= 0)
                return true;
        }
        return false;
    }
}

internal readonly unsafe struct LoadOne<T> : ILaneBody where T : IElement
{
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        byte* d = f + r[0];
        if (active == uint.MaxValue)
        {
            for (int lane = 0; lane < 32; lane += 4)
            {
                T.Load(p[lane], d, lane);
                T.Load(p[lane + 1], d, lane + 1);
                T.Load(p[lane + 2], d, lane + 2);
                T.Load(p[lane + 3], d, lane + 3);
            }
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Load(p[lane], d, lane);
        }
    }
}

internal readonly unsafe struct LoadTwo<T> : ILaneBody where T : IElement
{
    [SkipLocalsInit]
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        LaneAddresses sink; // for "_"
        byte* d0 = r[0] < 0 ? (byte*)&sink : f + r[0], d1 = r[1] < 0 ? (byte*)&sink : f + r[1];
        if (active == uint.MaxValue && T.Size == 8 && Avx512F.IsSupported)
        {
            Blocks.Load2x64(p, (ulong*)d0, (ulong*)d1);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            byte* from = p[lane];
            T.Load(from, d0, lane);
            T.Load(from + T.Size, d1, lane);
        }
    }
}

internal readonly unsafe struct LoadFour<T> : ILaneBody where T : IElement
{
    [SkipLocalsInit]
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        LaneAddresses sink; // for "_"
        byte* d0 = r[0] < 0 ? (byte*)&sink : f + r[0], d1 = r[1] < 0 ? (byte*)&sink : f + r[1];
        byte* d2 = r[2] < 0 ? (byte*)&sink : f + r[2], d3 = r[3] < 0 ? (byte*)&sink : f + r[3];
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported)
        {
            Blocks.Load4x32(p, (uint*)d0, (uint*)d1, (uint*)d2, (uint*)d3);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            byte* from = p[lane];
            T.Load(from, d0, lane);
            T.Load(from + T.Size, d1, lane);
            T.Load(from + 2 * T.Size, d2, lane);
            T.Load(from + 3 * T.Size, d3, lane);
        }
    }
}

internal readonly unsafe struct StoreOne<T> : ILaneBody where T : IElement
{
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        byte* s = f + r[0];
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Store(s, lane, p[lane]);
        }
    }
}

internal readonly unsafe struct StoreTwo<T> : ILaneBody where T : IElement
{
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        byte* s0 = f + r[0], s1 = f + r[1];
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            byte* to = p[lane];
            T.Store(s0, lane, to);
            T.Store(s1, lane, to + T.Size);
        }
    }
}

internal readonly unsafe struct StoreFour<T> : ILaneBody where T : IElement
{
    public static void Run<TLanes>(uint active, byte* f, int* r, TLanes p) where TLanes : struct, ILanes
    {
        byte* s0 = f + r[0], s1 = f + r[1], s2 = f + r[2], s3 = f + r[3];
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported)
        {
            Blocks.Store4x32((uint*)s0, (uint*)s1, (uint*)s2, (uint*)s3, p);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            byte* to = p[lane];
            T.Store(s0, lane, to);
            T.Store(s1, lane, to + T.Size);
            T.Store(s2, lane, to + 2 * T.Size);
            T.Store(s3, lane, to + 3 * T.Size);
        }
    }
}

/// <summary>
/// Accesses of 16 bytes a lane on AVX-512. A vector is made of the blocks of lanes k, k+4, k+8, k+12, four of them
/// (k = 0..3) are transposed inside their 128-bit quarters, and the results are the registers in lane order.
/// </summary>
internal static unsafe class Blocks
{
    public static void Load4x32<TLanes>(TLanes p, uint* d0, uint* d1, uint* d2, uint* d3) where TLanes : struct, ILanes
    {
        for (int lane = 0; lane < 32; lane += 16)
        {
            U32 a = Quarters(p, lane, 4), b = Quarters(p, lane + 1, 4);
            U32 c = Quarters(p, lane + 2, 4), d = Quarters(p, lane + 3, 4);
            Transpose(ref a, ref b, ref c, ref d);
            a.Store(d0 + lane);
            b.Store(d1 + lane);
            c.Store(d2 + lane);
            d.Store(d3 + lane);
        }
    }

    public static void Store4x32<TLanes>(uint* s0, uint* s1, uint* s2, uint* s3, TLanes p) where TLanes : struct, ILanes
    {
        for (int lane = 0; lane < 32; lane += 16)
        {
            U32 a = Vector512.Load(s0 + lane), b = Vector512.Load(s1 + lane);
            U32 c = Vector512.Load(s2 + lane), d = Vector512.Load(s3 + lane);
            Transpose(ref a, ref b, ref c, ref d);
            StoreQuarters(a, b, c, d, p, lane, 0);
            StoreQuarters(a, b, c, d, p, lane, 1);
            StoreQuarters(a, b, c, d, p, lane, 2);
            StoreQuarters(a, b, c, d, p, lane, 3);
        }
    }

    public static void Load2x64<TLanes>(TLanes p, ulong* d0, ulong* d1) where TLanes : struct, ILanes
    {
        for (int lane = 0; lane < 32; lane += 8)
        {
            U64 even = Quarters(p, lane, 2).AsUInt64(), odd = Quarters(p, lane + 1, 2).AsUInt64();
            Avx512F.UnpackLow(even, odd).Store(d0 + lane);
            Avx512F.UnpackHigh(even, odd).Store(d1 + lane);
        }
    }

    /// <summary>The blocks of four lanes, so many lanes apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static U32 Quarters<TLanes>(TLanes p, int lane, int apart) where TLanes : struct, ILanes
    {
        U32 v = Vector128.Load((uint*)p[lane]).ToVector256Unsafe().ToVector512Unsafe();
        v = Avx512F.InsertVector128(v, Vector128.Load((uint*)p[lane + apart]), 1);
        v = Avx512F.InsertVector128(v, Vector128.Load((uint*)p[lane + 2 * apart]), 2);
        return Avx512F.InsertVector128(v, Vector128.Load((uint*)p[lane + 3 * apart]), 3);
    }

    /// <summary>Lanes lane + 4q to lane + 4q + 3, in this order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreQuarters<TLanes>(U32 a, U32 b, U32 c, U32 d, TLanes p, int lane, [ConstantExpected] byte q)
        where TLanes : struct, ILanes
    {
        Avx512F.ExtractVector128(a, q).Store((uint*)p[lane + 4 * q]);
        Avx512F.ExtractVector128(b, q).Store((uint*)p[lane + 4 * q + 1]);
        Avx512F.ExtractVector128(c, q).Store((uint*)p[lane + 4 * q + 2]);
        Avx512F.ExtractVector128(d, q).Store((uint*)p[lane + 4 * q + 3]);
    }

    /// <summary>4 x 4 transpose in each 128-bit quarter; its own inverse.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transpose(ref U32 a, ref U32 b, ref U32 c, ref U32 d)
    {
        U64 ab = Avx512F.UnpackLow(a, b).AsUInt64(), abHigh = Avx512F.UnpackHigh(a, b).AsUInt64();
        U64 cd = Avx512F.UnpackLow(c, d).AsUInt64(), cdHigh = Avx512F.UnpackHigh(c, d).AsUInt64();
        a = Avx512F.UnpackLow(ab, cd).AsUInt32();
        b = Avx512F.UnpackHigh(ab, cd).AsUInt32();
        c = Avx512F.UnpackLow(abHigh, cdHigh).AsUInt32();
        d = Avx512F.UnpackHigh(abHigh, cdHigh).AsUInt32();
    }
}
