// ldmatrix: 1, 2 or 4 matrices of 8 x 8 16-bit elements from shared memory into mma.sync fragments. Lanes 8i..8i+7 hold
// the addresses of the rows of matrix i; a row is 16 bytes, at an address that is a multiple of 16. Thread l receives
// elements 2*(l%4), 2*(l%4)+1 of row l/4: so a register, seen as 8 x 4 words, simply is the rows one after another, and
// with .trans the same of the transposed matrix.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class LdMatrix
{
    const int RowBytes = 16;

    // Operands: address (3 ints), destinations, then the choices of .trans and of the state space (none means generic).
    [PtxWarp("ldmatrix.sync.aligned.m8n8.x1<,.trans><.shared,.generic,>.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void X1(Warp* w, byte* f, int* o) => Run(w, f, o, 1);

    [PtxWarp("ldmatrix.sync.aligned.m8n8.x2<,.trans><.shared,.generic,>.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void X2(Warp* w, byte* f, int* o) => Run(w, f, o, 2);

    [PtxWarp("ldmatrix.sync.aligned.m8n8.x4<,.trans><.shared,.generic,>.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void X4(Warp* w, byte* f, int* o)
    {
        if (!TryFour(w, f, o)) Run(w, f, o, 4);
    }

    /// <summary>
    /// The frequent case in few instructions: four matrices, all of them wanted, at 32-bit shared addresses.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool TryFour(Warp* w, byte* f, int* o)
    {
        int* d = o + 3;
        int last = w->Block->SharedBytes - RowBytes;
        if ((d[0] | d[1] | d[2] | d[3] | o[0] | last) < 0 || (o[2] | d[5]) != 0 || w->Active != uint.MaxValue
            || SharedChecks.Wanted(w) || !MemoryLanes.IsSmall(o[1])
            || d[0] == o[0] || d[1] == o[0] || d[2] == o[0])
            return false;
        int* offsets = (int*)(f + o[0]);
        Vector512<uint> constant = Vector512.Create((uint)o[1]);
        Vector512<uint> low = Vector512.Load((uint*)offsets) + constant;
        Vector512<uint> high = Vector512.Load((uint*)offsets + 16) + constant;
        if (((low | high) & Vector512.Create(RowBytes - 1u)) != Vector512<uint>.Zero
            || !Vector512.LessThanOrEqualAll(Vector512.Max(low, high), Vector512.Create((uint)last)))
            return false;
        byte* shared = w->Block->Shared + o[1]; // offsets as signed numbers: see NarrowLanes
        if (d[4] != 0)
        {
            Transposed(shared, offsets, f + d[0]);
            Transposed(shared, offsets + 8, f + d[1]);
            Transposed(shared, offsets + 16, f + d[2]);
            Transposed(shared, offsets + 24, f + d[3]);
            return true;
        }
        Rows(shared, offsets, f + d[0]);
        Rows(shared, offsets + 8, f + d[1]);
        Rows(shared, offsets + 16, f + d[2]);
        Rows(shared, offsets + 24, f + d[3]);
        return true;
    }

    [SkipLocalsInit]
    static void Run(Warp* w, byte* f, int* o, int matrices)
    {
        if (w->Active != uint.MaxValue) MmaFault.Divergent(w, o, "ldmatrix");
        int* destinations = o + 3;
        bool transposed = destinations[matrices] != 0, generic = destinations[matrices + 1] != 0;
        if (SharedChecks.Wanted(w)) CheckRows(w, f, o, 8 * matrices, generic);
        uint* offsets = stackalloc uint[32];   // a copy: a destination may be the address register
        Offsets(w, f, o, 8 * matrices, generic, offsets);
        byte* shared = w->Block->Shared;
        for (int i = 0; i < matrices; i++)
        {
            if (destinations[i] < 0) continue;   // the sink "_"
            int* rows = (int*)offsets + 8 * i;   // inside the block's memory, so below 2^31
            if (transposed) Transposed(shared, rows, f + destinations[i]);
            else Rows(shared, rows, f + destinations[i]);
        }
    }

    /// <summary>The rows' places in the block's shared memory: inside it and aligned, or a fault.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Offsets(Warp* w, byte* f, int* o, int lanes, bool generic, uint* offsets)
    {
        int last = w->Block->SharedBytes - RowBytes;   // the largest offset that is inside
        bool wrong = last < 0;
        if (o[0] >= 0 && o[2] == 0 && !generic)
        {
            Vector256<uint> constant = Vector256.Create((uint)o[1]), bits = default;
            for (int lane = 0; lane < lanes; lane += 8)
            {
                Vector256<uint> offset = Vector256.Load((uint*)(f + o[0]) + lane) + constant;
                offset.Store(offsets + lane);
                bits |= Vector256.GreaterThan(offset, Vector256.Create((uint)last))
                    | (offset & Vector256.Create(RowBytes - 1u));
            }
            wrong |= bits != Vector256<uint>.Zero;
        }
        else
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                ulong offset = Offset(f, o, lane, generic);
                offsets[lane] = (uint)offset;
                wrong |= offset > (ulong)last || offset % RowBytes != 0;
            }
        }
        if (wrong) Fail(w, f, o, lanes, generic);
    }

    /// <summary>Uninitialised reads, races and counters; a row is read by the lane that has its address.</summary>
    static void CheckRows(Warp* w, byte* f, int* o, int lanes, bool generic)
    {
        ulong* offsets = stackalloc ulong[32];
        for (int lane = 0; lane < lanes; lane++) offsets[lane] = Offset(f, o, lane, generic);
        SharedChecks.ReadRows(w, o, (uint)((1UL << lanes) - 1), offsets, RowBytes);
    }

    static ulong Offset(byte* f, int* o, int lane, bool generic)
    {
        ulong address = o[0] < 0 ? 0 : o[2] != 0 ? ((ulong*)(f + o[0]))[lane] : ((uint*)(f + o[0]))[lane];
        address += (ulong)(long)o[1];
        if (o[2] == 0) address = (uint)address;   // 32-bit addresses wrap round
        return generic ? address - AddressSpace.SharedWindow : address;
    }

    /// <summary>Finds the first lane at fault.</summary>
    static void Fail(Warp* w, byte* f, int* o, int lanes, bool generic)
    {
        int size = w->Block->SharedBytes;
        for (int lane = 0; lane < lanes; lane++)
        {
            ulong offset = Offset(f, o, lane, generic);
            if (offset % RowBytes != 0)
                throw Faults.At(FaultKind.Misaligned,
                    $"ldmatrix reads a row at shared offset {offset} (0x{offset:x}), not a multiple of {RowBytes}",
                    w, o[-1], lane, offset);
            if (size < RowBytes || offset > (ulong)(size - RowBytes))
                Faults.ThrowWindow("shared", size, w, o[-1], lane, offset, RowBytes, write: false);
        }
    }

    // Whole vectors are stored: mma reads such, and a vector made of four stores would have to wait for the cache.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Rows(byte* shared, int* offsets, byte* to)
    {
        if (!Avx512F.IsSupported)
        {
            for (int row = 0; row < 8; row++) Row(shared, offsets[row]).Store((ushort*)(to + row * RowBytes));
            return;
        }
        FourRows(shared, offsets).Store((ushort*)to);
        FourRows(shared, offsets + 4).Store((ushort*)to + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transposed(byte* shared, int* offsets, byte* to)
    {
        if (!Avx512BW.IsSupported)
        {
            for (int row = 0; row < 8; row++)
                for (int column = 0; column < 8; column++)
                    ((ushort*)to)[column * 8 + row] = ((ushort*)(shared + offsets[row]))[column];
            return;
        }
        // Element 8 * column + row of the result is element 8 * row + column of the 64 in both vectors.
        Vector512<ushort> index = Vector512.Create(
            (ushort)0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49, 57,
            2, 10, 18, 26, 34, 42, 50, 58, 3, 11, 19, 27, 35, 43, 51, 59);
        Vector512<ushort> lower = FourRows(shared, offsets), upper = FourRows(shared, offsets + 4);
        Avx512BW.PermuteVar32x16x2(lower, index, upper).Store((ushort*)to);
        Avx512BW.PermuteVar32x16x2(lower, index + Vector512.Create((ushort)4), upper).Store((ushort*)to + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<ushort> FourRows(byte* shared, int* offsets)
    {
        Vector512<ushort> rows = Row(shared, offsets[0]).ToVector256Unsafe().ToVector512Unsafe();
        rows = Avx512F.InsertVector128(rows, Row(shared, offsets[1]), 1);
        rows = Avx512F.InsertVector128(rows, Row(shared, offsets[2]), 2);
        return Avx512F.InsertVector128(rows, Row(shared, offsets[3]), 3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<ushort> Row(byte* shared, int offset) => Vector128.Load((ushort*)(shared + offset));
}
