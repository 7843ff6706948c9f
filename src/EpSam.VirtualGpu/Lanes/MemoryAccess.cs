// The bodies of ld and st, generic over state space and element type; Memory.cs gives them their PTX names.
// A full warp is first tried as one row (consecutive lanes at consecutive addresses) and, for loads, as one place for
// all lanes: then two scalar comparisons check the range and whole vectors move. Everything else goes lane by lane in
// lane order, so that of several lanes that store to one place the highest wins (MemoryLanes.cs).
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
    static bool IsRow(U64 a0, U64 a1, U64 a2, U64 a3, ulong size)
    {
        U64 step = Vector512.Create(8 * size);
        U64 r0 = Vector512.Create(a0.ToScalar()) + Vector512<ulong>.Indices * size;
        U64 r1 = r0 + step, r2 = r1 + step, r3 = r2 + step;
        return ((a0 ^ r0) | (a1 ^ r1) | ((a2 ^ r2) | (a3 ^ r3))) == U64.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsOne(U64 a0, U64 a1, U64 a2, U64 a3)
    {
        U64 first = Vector512.Create(a0.ToScalar());
        return ((a0 ^ first) | (a1 ^ first) | ((a2 ^ first) | (a3 ^ first))) == U64.Zero;
    }

    /// <summary>Host address of a full warp's row, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static byte* Row<TSpace>(Warp* w, U64 a0, U64 a1, U64 a2, U64 a3, int size) where TSpace : ISpace =>
        w->Active == uint.MaxValue && IsRow(a0, a1, a2, a3, (ulong)size) &&
        TSpace.Contains(w, a0.ToScalar(), 32 * (ulong)size)
            ? TSpace.Base(w) + a0.ToScalar()
            : null;

    /// <summary>Host address when all lanes of a full warp mean the same, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static byte* One<TSpace>(Warp* w, U64 a0, U64 a1, U64 a2, U64 a3, int size) where TSpace : ISpace =>
        w->Active == uint.MaxValue && IsOne(a0, a1, a2, a3) && TSpace.Contains(w, a0.ToScalar(), (ulong)size)
            ? TSpace.Base(w) + a0.ToScalar()
            : null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load1<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        byte* d = f + o[Address], p = Row<TSpace>(w, a0, a1, a2, a3, T.Size);
        if (p != null)
            T.LoadRow(p, d);
        else if ((p = One<TSpace>(w, a0, a1, a2, a3, T.Size)) != null)
            T.LoadAll(p, d);
        else
            MemoryLanes.Load<TSpace, T, LoadOne<T>>(w, f, o, 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load2<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        bool plain = o[Address] >= 0 && o[Address + 1] >= 0; // no sink "_"
        byte* p;
        if (plain && T.Size >= 4 && Avx512F.IsSupported && (p = Row<TSpace>(w, a0, a1, a2, a3, 2 * T.Size)) != null)
        {
            if (T.Size == 4)
                MemoryRows.Load2x32((uint*)p, (uint*)(f + o[Address]), (uint*)(f + o[Address + 1]));
            else
                MemoryRows.Load2x64((ulong*)p, (ulong*)(f + o[Address]), (ulong*)(f + o[Address + 1]));
        }
        else if (plain && (p = One<TSpace>(w, a0, a1, a2, a3, 2 * T.Size)) != null)
        {
            T.LoadAll(p, f + o[Address]);
            T.LoadAll(p + T.Size, f + o[Address + 1]);
        }
        else
        {
            MemoryLanes.Load<TSpace, T, LoadTwo<T>>(w, f, o, 2);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load4<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        bool plain = (o[Address] | o[Address + 1] | o[Address + 2] | o[Address + 3]) >= 0;
        byte* p;
        if (plain && T.Size == 4 && Avx512F.IsSupported && (p = Row<TSpace>(w, a0, a1, a2, a3, 4 * T.Size)) != null)
        {
            MemoryRows.Load4x32((uint*)p, (uint*)(f + o[Address]), (uint*)(f + o[Address + 1]),
                (uint*)(f + o[Address + 2]), (uint*)(f + o[Address + 3]));
        }
        else if (plain && (p = One<TSpace>(w, a0, a1, a2, a3, 4 * T.Size)) != null)
        {
            for (int i = 0; i < 4; i++)
                T.LoadAll(p + i * T.Size, f + o[Address + i]);
        }
        else
        {
            MemoryLanes.Load<TSpace, T, LoadFour<T>>(w, f, o, 4);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store1<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        byte* p = Row<TSpace>(w, a0, a1, a2, a3, T.Size);
        if (p != null)
            T.StoreRow(f + o[Address], p);
        else
            MemoryLanes.Store<TSpace, StoreOne<T>>(w, f, o, T.Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store2<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        byte* p;
        if (T.Size == 4 && Avx512F.IsSupported && (p = Row<TSpace>(w, a0, a1, a2, a3, 8)) != null)
            MemoryRows.Store2x32((uint*)(f + o[Address]), (uint*)(f + o[Address + 1]), (uint*)p);
        else
            MemoryLanes.Store<TSpace, StoreTwo<T>>(w, f, o, 2 * T.Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4<TSpace, T>(Warp* w, byte* f, int* o) where TSpace : ISpace where T : IElement =>
        Store4<TSpace, T>(w, f, o, streaming: false);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4<TSpace, T>(Warp* w, byte* f, int* o, bool streaming)
        where TSpace : ISpace where T : IElement
    {
        LaneAddress.Effective(f, o, out U64 a0, out U64 a1, out U64 a2, out U64 a3);
        byte* p;
        if (T.Size == 4 && Avx512F.IsSupported && (p = Row<TSpace>(w, a0, a1, a2, a3, 16)) != null)
        {
            MemoryRows.Store4x32((uint*)(f + o[Address]), (uint*)(f + o[Address + 1]),
                (uint*)(f + o[Address + 2]), (uint*)(f + o[Address + 3]), (uint*)p, streaming && ((nuint)p & 63) == 0);
        }
        else
        {
            MemoryLanes.Store<TSpace, StoreFour<T>>(w, f, o, 4 * T.Size);
        }
    }
}

/// <summary>Vectors of 32 consecutive lanes between memory order and registers, on AVX-512.</summary>
internal static unsafe class MemoryRows
{
    // Indices of a permute of two vectors a, b (elements 0-15 and 16-31).
    static U32 Even => Vector512<uint>.Indices * 2;
    static U32 Odd => Vector512<uint>.Indices * 2 + Vector512<uint>.One;

    // a[0], b[0], a[1], b[1], …: of the lower or the upper halves.
    static U32 ZipLow => (Vector512<uint>.Indices >>> 1) + ((Vector512<uint>.Indices & Vector512<uint>.One) << 4);
    static U32 ZipHigh => ZipLow + Vector512.Create(8u);

    public static void Load2x32(uint* p, uint* d0, uint* d1)
    {
        for (int half = 0; half < 32; half += 16, p += 32)
        {
            U32 a = Vector512.Load(p), b = Vector512.Load(p + 16);
            Avx512F.PermuteVar16x32x2(a, Even, b).Store(d0 + half);
            Avx512F.PermuteVar16x32x2(a, Odd, b).Store(d1 + half);
        }
    }

    public static void Store2x32(uint* s0, uint* s1, uint* p)
    {
        for (int half = 0; half < 32; half += 16, p += 32)
        {
            U32 a = Vector512.Load(s0 + half), b = Vector512.Load(s1 + half);
            Avx512F.PermuteVar16x32x2(a, ZipLow, b).Store(p);
            Avx512F.PermuteVar16x32x2(a, ZipHigh, b).Store(p + 16);
        }
    }

    public static void Load2x64(ulong* p, ulong* d0, ulong* d1)
    {
        U64 even = Vector512<ulong>.Indices * 2, odd = even + Vector512<ulong>.One;
        for (int lane = 0; lane < 32; lane += 8, p += 16)
        {
            U64 a = Vector512.Load(p), b = Vector512.Load(p + 8);
            Avx512F.PermuteVar8x64x2(a, even, b).Store(d0 + lane);
            Avx512F.PermuteVar8x64x2(a, odd, b).Store(d1 + lane);
        }
    }

    public static void Load4x32(uint* p, uint* d0, uint* d1, uint* d2, uint* d3)
    {
        // First (x y z w)(x y z w)… to x x… | y y… of 8 lanes, then the halves of two such are put together.
        U32 xy = Vector512.Create(0u, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
        U32 zw = xy + Vector512.Create(2u);
        for (int half = 0; half < 32; half += 16, p += 64)
        {
            U32 a = Vector512.Load(p), b = Vector512.Load(p + 16);
            U32 c = Vector512.Load(p + 32), d = Vector512.Load(p + 48);
            U64 xy0 = Avx512F.PermuteVar16x32x2(a, xy, b).AsUInt64();
            U64 xy1 = Avx512F.PermuteVar16x32x2(c, xy, d).AsUInt64();
            U64 zw0 = Avx512F.PermuteVar16x32x2(a, zw, b).AsUInt64();
            U64 zw1 = Avx512F.PermuteVar16x32x2(c, zw, d).AsUInt64();
            Avx512F.Shuffle4x128(xy0, xy1, 0b01_00_01_00).AsUInt32().Store(d0 + half);
            Avx512F.Shuffle4x128(xy0, xy1, 0b11_10_11_10).AsUInt32().Store(d1 + half);
            Avx512F.Shuffle4x128(zw0, zw1, 0b01_00_01_00).AsUInt32().Store(d2 + half);
            Avx512F.Shuffle4x128(zw0, zw1, 0b11_10_11_10).AsUInt32().Store(d3 + half);
        }
    }

    // Stores past the caches become visible to other threads with the locked operation that ends every launch.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Put(U32 value, uint* p, bool streaming)
    {
        if (streaming) value.StoreAlignedNonTemporal(p);
        else value.Store(p);
    }

    public static void Store4x32(uint* s0, uint* s1, uint* s2, uint* s3, uint* p, bool streaming)
    {
        U64 low = Vector512.Create(0ul, 8, 1, 9, 2, 10, 3, 11), high = low + Vector512.Create(4ul);
        for (int half = 0; half < 32; half += 16, p += 64)
        {
            U32 x = Vector512.Load(s0 + half), y = Vector512.Load(s1 + half);
            U32 z = Vector512.Load(s2 + half), w = Vector512.Load(s3 + half);
            U64 xy0 = Avx512F.PermuteVar16x32x2(x, ZipLow, y).AsUInt64();
            U64 xy1 = Avx512F.PermuteVar16x32x2(x, ZipHigh, y).AsUInt64();
            U64 zw0 = Avx512F.PermuteVar16x32x2(z, ZipLow, w).AsUInt64();
            U64 zw1 = Avx512F.PermuteVar16x32x2(z, ZipHigh, w).AsUInt64();
            Put(Avx512F.PermuteVar8x64x2(xy0, low, zw0).AsUInt32(), p, streaming);
            Put(Avx512F.PermuteVar8x64x2(xy0, high, zw0).AsUInt32(), p + 16, streaming);
            Put(Avx512F.PermuteVar8x64x2(xy1, low, zw1).AsUInt32(), p + 32, streaming);
            Put(Avx512F.PermuteVar8x64x2(xy1, high, zw1).AsUInt32(), p + 48, streaming);
        }
    }
}
