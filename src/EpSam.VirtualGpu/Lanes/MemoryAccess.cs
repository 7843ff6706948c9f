// The bodies of ld and st, generic over state space and element type; Memory.cs gives them their PTX names.
// A full warp is first tried as one row (consecutive lanes at consecutive addresses) and, for loads, as one element for
// all; else lane by lane in lane order, so that of several lanes that store to one place the highest wins. Vectors of
// 4 x 32 and 2 x 64 bits go through 16-byte blocks and a transpose whatever the addresses are.
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class MemoryAccess
{
    const int Address = 3; // ints of the address operand

    /// <summary>True when lane l's address is lane 0's + l * size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsRow(U64 h0, U64 h1, U64 h2, U64 h3, ulong size)
    {
        U64 step = Vector512.Create(8 * size);
        U64 r0 = Vector512.Create(h0.ToScalar()) + Vector512<ulong>.Indices * size;
        U64 r1 = r0 + step, r2 = r1 + step, r3 = r2 + step;
        return ((h0 ^ r0) | (h1 ^ r1) | ((h2 ^ r2) | (h3 ^ r3))) == U64.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsOne(U64 h0, U64 h1, U64 h2, U64 h3)
    {
        U64 first = Vector512.Create(h0.ToScalar());
        return ((h0 ^ first) | (h1 ^ first) | ((h2 ^ first) | (h3 ^ first))) == U64.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load1<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, T.Size, false, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        byte* d = f + o[Address];
        uint active = w->Active;
        if (active == uint.MaxValue)
        {
            if (IsRow(h0, h1, h2, h3, (ulong)T.Size))
            {
                T.LoadRow((byte*)h0.ToScalar(), d);
                return;
            }
            if (IsOne(h0, h1, h2, h3))
            {
                T.LoadAll((byte*)h0.ToScalar(), d);
                return;
            }
        }
        LoadLanes1<T>(active, h0, h1, h2, h3, d);
    }

    [SkipLocalsInit]
    static void LoadLanes1<T>(uint active, U64 h0, U64 h1, U64 h2, U64 h3, byte* d) where T : IElement
    {
        LaneAddresses host;
        var p = (byte**)&host;
        LaneAddress.Store(h0, h1, h2, h3, &host);
        if (active == uint.MaxValue)
        {
            for (int lane = 0; lane < 32; lane++)
                T.Load(p[lane], d, lane);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Load(p[lane], d, lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store1<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, T.Size, true, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        byte* s = f + o[Address];
        uint active = w->Active;
        if (active == uint.MaxValue && IsRow(h0, h1, h2, h3, (ulong)T.Size))
            T.StoreRow(s, (byte*)h0.ToScalar());
        else
            StoreLanes1<T>(active, h0, h1, h2, h3, s);
    }

    [SkipLocalsInit]
    static void StoreLanes1<T>(uint active, U64 h0, U64 h1, U64 h2, U64 h3, byte* s) where T : IElement
    {
        LaneAddresses host;
        var p = (byte**)&host;
        LaneAddress.Store(h0, h1, h2, h3, &host);
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Store(s, lane, p[lane]);
        }
    }

    [SkipLocalsInit]
    public static void Load2<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, 2 * T.Size, false, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        LaneAddresses host, sink;
        var p = (byte**)&host;
        byte* d0 = Register(f, o[Address], &sink), d1 = Register(f, o[Address + 1], &sink);
        uint active = w->Active;
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported && IsRow(h0, h1, h2, h3, 8))
        {
            SplitPairs((uint*)h0.ToScalar(), (uint*)d0, (uint*)d1);
            return;
        }
        LaneAddress.Store(h0, h1, h2, h3, &host);
        if (active == uint.MaxValue && T.Size == 8 && Avx512F.IsSupported)
        {
            Blocks.Load2x64(p, (ulong*)d0, (ulong*)d1);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Load(p[lane], d0, lane);
            T.Load(p[lane] + T.Size, d1, lane);
        }
    }

    [SkipLocalsInit]
    public static void Load4<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, 4 * T.Size, false, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        LaneAddresses host, sink;
        var p = (byte**)&host;
        byte* d0 = Register(f, o[Address], &sink), d1 = Register(f, o[Address + 1], &sink);
        byte* d2 = Register(f, o[Address + 2], &sink), d3 = Register(f, o[Address + 3], &sink);
        uint active = w->Active;
        LaneAddress.Store(h0, h1, h2, h3, &host);
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported)
        {
            Blocks.Load4x32(p, (uint*)d0, (uint*)d1, (uint*)d2, (uint*)d3);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Load(p[lane], d0, lane);
            T.Load(p[lane] + T.Size, d1, lane);
            T.Load(p[lane] + 2 * T.Size, d2, lane);
            T.Load(p[lane] + 3 * T.Size, d3, lane);
        }
    }

    [SkipLocalsInit]
    public static void Store2<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, 2 * T.Size, true, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        LaneAddresses host;
        var p = (byte**)&host;
        byte* s0 = f + o[Address], s1 = f + o[Address + 1];
        uint active = w->Active;
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported && IsRow(h0, h1, h2, h3, 8))
        {
            JoinPairs((uint*)s0, (uint*)s1, (uint*)h0.ToScalar());
            return;
        }
        LaneAddress.Store(h0, h1, h2, h3, &host);
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Store(s0, lane, p[lane]);
            T.Store(s1, lane, p[lane] + T.Size);
        }
    }

    [SkipLocalsInit]
    public static void Store4<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        TSpace.Resolve(w, f, o, 4 * T.Size, true, out U64 h0, out U64 h1, out U64 h2, out U64 h3);
        LaneAddresses host;
        var p = (byte**)&host;
        byte* s0 = f + o[Address], s1 = f + o[Address + 1], s2 = f + o[Address + 2], s3 = f + o[Address + 3];
        uint active = w->Active;
        LaneAddress.Store(h0, h1, h2, h3, &host);
        if (active == uint.MaxValue && T.Size == 4 && Avx512F.IsSupported)
        {
            Blocks.Store4x32((uint*)s0, (uint*)s1, (uint*)s2, (uint*)s3, p);
            return;
        }
        for (; active != 0; active &= active - 1)
        {
            int lane = BitOperations.TrailingZeroCount(active);
            T.Store(s0, lane, p[lane]);
            T.Store(s1, lane, p[lane] + T.Size);
            T.Store(s2, lane, p[lane] + 2 * T.Size);
            T.Store(s3, lane, p[lane] + 3 * T.Size);
        }
    }

    /// <summary>Where to put a destination; the sink "_" goes to scrap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static byte* Register(byte* f, int offset, LaneAddresses* sink) => offset < 0 ? (byte*)sink : f + offset;

    /// <summary>32 pairs in memory order to two registers.</summary>
    static void SplitPairs(uint* p, uint* d0, uint* d1)
    {
        U32 even = Vector512<uint>.Indices * 2, odd = even + Vector512<uint>.One;
        for (int half = 0; half < 2; half++, p += 32)
        {
            U32 a = Vector512.Load(p), b = Vector512.Load(p + 16);
            Avx512F.PermuteVar16x32x2(a, even, b).Store(d0 + 16 * half);
            Avx512F.PermuteVar16x32x2(a, odd, b).Store(d1 + 16 * half);
        }
    }

    /// <summary>Two registers to 32 pairs in memory order.</summary>
    static void JoinPairs(uint* s0, uint* s1, uint* p)
    {
        // Index l/2 of the first table for even l, of the second (16 + l/2) for odd l.
        U32 low = (Vector512<uint>.Indices >>> 1) + ((Vector512<uint>.Indices & Vector512<uint>.One) << 4);
        U32 high = low + Vector512.Create(8u);
        for (int half = 0; half < 2; half++, p += 32)
        {
            U32 a = Vector512.Load(s0 + 16 * half), b = Vector512.Load(s1 + 16 * half);
            Avx512F.PermuteVar16x32x2(a, low, b).Store(p);
            Avx512F.PermuteVar16x32x2(a, high, b).Store(p + 16);
        }
    }
}

/// <summary>
/// Accesses of 16 bytes a lane on AVX-512. A vector is made of the blocks of lanes k, k+4, k+8, k+12, four of them
/// (k = 0..3) are transposed inside their 128-bit quarters, and the results are the registers in lane order.
/// </summary>
internal static unsafe class Blocks
{
    public static void Load4x32(byte** p, uint* d0, uint* d1, uint* d2, uint* d3)
    {
        for (int half = 0; half < 32; half += 16, p += 16)
        {
            U32 a = Gather(p), b = Gather(p + 1), c = Gather(p + 2), d = Gather(p + 3);
            Transpose(ref a, ref b, ref c, ref d);
            a.Store(d0 + half);
            b.Store(d1 + half);
            c.Store(d2 + half);
            d.Store(d3 + half);
        }
    }

    public static void Store4x32(uint* s0, uint* s1, uint* s2, uint* s3, byte** p)
    {
        for (int half = 0; half < 32; half += 16, p += 16)
        {
            U32 a = Vector512.Load(s0 + half), b = Vector512.Load(s1 + half);
            U32 c = Vector512.Load(s2 + half), d = Vector512.Load(s3 + half);
            Transpose(ref a, ref b, ref c, ref d);
            Scatter(a, b, c, d, p, 0);
            Scatter(a, b, c, d, p, 1);
            Scatter(a, b, c, d, p, 2);
            Scatter(a, b, c, d, p, 3);
        }
    }

    public static void Load2x64(byte** p, ulong* d0, ulong* d1)
    {
        for (int lane = 0; lane < 32; lane += 8, p += 8)
        {
            U64 even = Quarters(p, p + 2, p + 4, p + 6).AsUInt64();
            U64 odd = Quarters(p + 1, p + 3, p + 5, p + 7).AsUInt64();
            Avx512F.UnpackLow(even, odd).Store(d0 + lane);
            Avx512F.UnpackHigh(even, odd).Store(d1 + lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static U32 Gather(byte** p) => Quarters(p, p + 4, p + 8, p + 12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static U32 Quarters(byte** p0, byte** p1, byte** p2, byte** p3)
    {
        U32 v = Vector128.Load((uint*)*p0).ToVector256Unsafe().ToVector512Unsafe();
        v = Avx512F.InsertVector128(v, Vector128.Load((uint*)*p1), 1);
        v = Avx512F.InsertVector128(v, Vector128.Load((uint*)*p2), 2);
        return Avx512F.InsertVector128(v, Vector128.Load((uint*)*p3), 3);
    }

    /// <summary>Lanes 4q .. 4q+3, in this order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Scatter(U32 a, U32 b, U32 c, U32 d, byte** p, [ConstantExpected] byte q)
    {
        Avx512F.ExtractVector128(a, q).Store((uint*)p[4 * q]);
        Avx512F.ExtractVector128(b, q).Store((uint*)p[4 * q + 1]);
        Avx512F.ExtractVector128(c, q).Store((uint*)p[4 * q + 2]);
        Avx512F.ExtractVector128(d, q).Store((uint*)p[4 * q + 3]);
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
