// The arithmetic of floating-point mma.sync for Vector512: D (16 x 8) = A (16 x k) * B (k x 8) + C in f32.
//
// Order of accumulation, the same on every path and machine: d = c; for k ascending: d = fma(a[k], b[k], d), each step
// rounded to nearest even. Products and sums of subnormals are kept. A NaN result is 0x7fffffff. (The PTX ISA leaves
// order and intermediate rounding open.)
//
// Registers as tiles (PTX ISA, "Matrix Fragments for mma.m16n8k16"): thread l = 4*group + t. An A register is an 8 x 4
// row-major tile of 32-bit words (row = group, word = t), so each 128-bit lane of its two vectors is one row and holds
// consecutive k. A B register is the same with n for the row. A C register has one parity of the columns: word t of row
// group is column 2t or 2t+1. Hence an accumulator vector is 4 rows x 4 columns of one parity, 8 of them are D, and
// one k is: broadcast word k of A inside the 128-bit lanes, repeat the 4 even (odd) columns of B's row k in all lanes.
// B's rows are laid out for that once, in a small buffer, and come back as broadcasting loads, which cost no shuffles.
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class MmaTile
{
    /// <summary>NaN results of PTX's f32 instructions are this one value.</summary>
    public const uint CanonicalNaN = 0x7fff_ffff;

    /// <summary>Whether the Vector512 path is to be used; the other one gives the same bits.</summary>
    public static bool Wide => Avx512F.IsSupported && Vector512.IsHardwareAccelerated;

    const int RegisterHalf = 64;     // bytes from rows 0-3 to rows 4-7 of a register
    const int ChunkFloats = 64;      // B buffer: 8 k x 8 columns, per register of 16-bit elements
    const int Alignment = 64;

    /// <summary>16-bit elements, k = 16. a, b, c, d hold frame offsets of their registers.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void K16<T>(byte* f, int* a, int* b, byte* cBase, int* c, byte* dBase, int* d)
        where T : struct, IMmaElement
    {
        byte* buffer = stackalloc byte[2 * ChunkFloats * sizeof(float) + Alignment];
        float* rows = (float*)(((nuint)buffer + (Alignment - 1)) & ~(nuint)(Alignment - 1));
        LayRows<T>(f + b[0], rows);
        LayRows<T>(f + b[1], rows + ChunkFloats);

        Load(cBase + c[0], out Vector512<float> even0, out Vector512<float> even1);
        Load(cBase + c[1], out Vector512<float> odd0, out Vector512<float> odd1);
        Load(cBase + c[2], out Vector512<float> even2, out Vector512<float> even3);
        Load(cBase + c[3], out Vector512<float> odd2, out Vector512<float> odd3);

        Chunk<T>(f + a[0], f + a[1], rows,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Chunk<T>(f + a[2], f + a[3], rows + ChunkFloats,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);

        Store(dBase, d, even0, odd0, even1, odd1, even2, odd2, even3, odd3);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void K8<T>(byte* f, int* a, int* b, byte* cBase, int* c, byte* dBase, int* d)
        where T : struct, IMmaElement
    {
        byte* buffer = stackalloc byte[ChunkFloats * sizeof(float) + Alignment];
        float* rows = (float*)(((nuint)buffer + (Alignment - 1)) & ~(nuint)(Alignment - 1));
        LayRows<T>(f + b[0], rows);

        Load(cBase + c[0], out Vector512<float> even0, out Vector512<float> even1);
        Load(cBase + c[1], out Vector512<float> odd0, out Vector512<float> odd1);
        Load(cBase + c[2], out Vector512<float> even2, out Vector512<float> even3);
        Load(cBase + c[3], out Vector512<float> odd2, out Vector512<float> odd3);

        Chunk<T>(f + a[0], f + a[1], rows,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);

        Store(dBase, d, even0, odd0, even1, odd1, even2, odd2, even3, odd3);
    }

    /// <summary>tf32, k = 4 or 8: one element per word; the 13 bits that tf32 does not have are ignored.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Tf32(byte* f, int* a, int* b, int k, byte* cBase, int* c, byte* dBase, int* d)
    {
        byte* buffer = stackalloc byte[ChunkFloats * sizeof(float) + Alignment];
        float* rows = (float*)(((nuint)buffer + (Alignment - 1)) & ~(nuint)(Alignment - 1));

        Load(cBase + c[0], out Vector512<float> even0, out Vector512<float> even1);
        Load(cBase + c[1], out Vector512<float> odd0, out Vector512<float> odd1);
        Load(cBase + c[2], out Vector512<float> even2, out Vector512<float> even3);
        Load(cBase + c[3], out Vector512<float> odd2, out Vector512<float> odd3);

        for (int i = 0; i < k; i += 4, a += 2, b++)
        {
            LayRows<MmaTf32>(f + b[0], rows);   // k = 0 1 2 3 at 0, 8, 32, 40
            Load(f + a[0], out Vector512<float> a0, out Vector512<float> a1);
            Load(f + a[1], out Vector512<float> a2, out Vector512<float> a3);
            a0 = MmaTf32.Even(a0.AsUInt32());
            a1 = MmaTf32.Even(a1.AsUInt32());
            a2 = MmaTf32.Even(a2.AsUInt32());
            a3 = MmaTf32.Even(a3.AsUInt32());
            Step(a0, a1, a2, a3, 0x00, rows,
                ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
            Step(a0, a1, a2, a3, 0x55, rows + 8,
                ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
            Step(a0, a1, a2, a3, 0xaa, rows + 32,
                ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
            Step(a0, a1, a2, a3, 0xff, rows + 40,
                ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        }
        Store(dBase, d, even0, odd0, even1, odd1, even2, odd2, even3, odd3);
    }

    /// <summary>8 k of 16-bit elements: even k are the lower halves of A's words, odd k the upper ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Chunk<T>(byte* upperRows, byte* lowerRows, float* rows,
        ref Vector512<float> even0, ref Vector512<float> odd0, ref Vector512<float> even1, ref Vector512<float> odd1,
        ref Vector512<float> even2, ref Vector512<float> odd2, ref Vector512<float> even3, ref Vector512<float> odd3)
        where T : struct, IMmaElement
    {
        Vector512<uint> pairs0 = Vector512.Load((uint*)upperRows);
        Vector512<uint> pairs1 = Vector512.Load((uint*)(upperRows + RegisterHalf));
        Vector512<uint> pairs2 = Vector512.Load((uint*)lowerRows);
        Vector512<uint> pairs3 = Vector512.Load((uint*)(lowerRows + RegisterHalf));
        Vector512<float> low0 = T.Even(pairs0), low1 = T.Even(pairs1), low2 = T.Even(pairs2), low3 = T.Even(pairs3);
        Vector512<float> high0 = T.Odd(pairs0), high1 = T.Odd(pairs1), high2 = T.Odd(pairs2), high3 = T.Odd(pairs3);

        Step(low0, low1, low2, low3, 0x00, rows,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(high0, high1, high2, high3, 0x00, rows + 16,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(low0, low1, low2, low3, 0x55, rows + 8,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(high0, high1, high2, high3, 0x55, rows + 24,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(low0, low1, low2, low3, 0xaa, rows + 32,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(high0, high1, high2, high3, 0xaa, rows + 48,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(low0, low1, low2, low3, 0xff, rows + 40,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
        Step(high0, high1, high2, high3, 0xff, rows + 56,
            ref even0, ref odd0, ref even1, ref odd1, ref even2, ref odd2, ref even3, ref odd3);
    }

    /// <summary>One k: one word of each row of A times a row of B (4 even columns, then 4 odd ones).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Step(Vector512<float> a0, Vector512<float> a1, Vector512<float> a2, Vector512<float> a3,
        [ConstantExpected] byte control, float* row,
        ref Vector512<float> even0, ref Vector512<float> odd0, ref Vector512<float> even1, ref Vector512<float> odd1,
        ref Vector512<float> even2, ref Vector512<float> odd2, ref Vector512<float> even3, ref Vector512<float> odd3)
    {
        Vector512<float> even = Avx512F.BroadcastVector128ToVector512(row);
        Vector512<float> odd = Avx512F.BroadcastVector128ToVector512(row + 4);
        a0 = Avx512F.Permute4x32(a0, control);
        even0 = Avx512F.FusedMultiplyAdd(a0, even, even0);
        odd0 = Avx512F.FusedMultiplyAdd(a0, odd, odd0);
        a1 = Avx512F.Permute4x32(a1, control);
        even1 = Avx512F.FusedMultiplyAdd(a1, even, even1);
        odd1 = Avx512F.FusedMultiplyAdd(a1, odd, odd1);
        a2 = Avx512F.Permute4x32(a2, control);
        even2 = Avx512F.FusedMultiplyAdd(a2, even, even2);
        odd2 = Avx512F.FusedMultiplyAdd(a2, odd, odd2);
        a3 = Avx512F.Permute4x32(a3, control);
        even3 = Avx512F.FusedMultiplyAdd(a3, even, even3);
        odd3 = Avx512F.FusedMultiplyAdd(a3, odd, odd3);
    }

    /// <summary>
    /// One register of B to rows of 8 floats (columns 0 2 4 6 1 3 5 7), for k = 0 2 1 3 4 6 5 7: two vectors hold
    /// columns 0-3 and 4-7 with 4 words each; a permutation collects two words of all columns at a time.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void LayRows<T>(byte* register, float* rows) where T : struct, IMmaElement
    {
        Vector512<uint> words01 = Vector512.Create(0u, 8, 16, 24, 4, 12, 20, 28, 1, 9, 17, 25, 5, 13, 21, 29);
        Vector512<uint> words23 = Vector512.Create(2u, 10, 18, 26, 6, 14, 22, 30, 3, 11, 19, 27, 7, 15, 23, 31);
        Vector512<uint> columns0 = Vector512.Load((uint*)register);
        Vector512<uint> columns4 = Vector512.Load((uint*)(register + RegisterHalf));
        Vector512<uint> first = Avx512F.PermuteVar16x32x2(columns0, words01, columns4);
        Vector512<uint> second = Avx512F.PermuteVar16x32x2(columns0, words23, columns4);
        T.Even(first).StoreAligned(rows);
        T.Odd(first).StoreAligned(rows + 16);
        T.Even(second).StoreAligned(rows + 32);
        T.Odd(second).StoreAligned(rows + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Load(byte* register, out Vector512<float> upper, out Vector512<float> lower)
    {
        upper = Vector512.Load((float*)register);
        lower = Vector512.Load((float*)(register + RegisterHalf));
    }

    /// <summary>Writes D. All operands have been read by now, so D may share registers with any of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(byte* dBase, int* d,
        Vector512<float> even0, Vector512<float> odd0, Vector512<float> even1, Vector512<float> odd1,
        Vector512<float> even2, Vector512<float> odd2, Vector512<float> even3, Vector512<float> odd3)
    {
        even0.Store((float*)(dBase + d[0]));
        even1.Store((float*)(dBase + d[0] + RegisterHalf));
        odd0.Store((float*)(dBase + d[1]));
        odd1.Store((float*)(dBase + d[1] + RegisterHalf));
        even2.Store((float*)(dBase + d[2]));
        even3.Store((float*)(dBase + d[2] + RegisterHalf));
        odd2.Store((float*)(dBase + d[3]));
        odd3.Store((float*)(dBase + d[3] + RegisterHalf));
        // Unordered compares two vectors at once: true where either is NaN.
        Vector512<float> unordered = Avx512F.CompareUnordered(even0, odd0) | Avx512F.CompareUnordered(even1, odd1)
            | Avx512F.CompareUnordered(even2, odd2) | Avx512F.CompareUnordered(even3, odd3);
        if (unordered.AsUInt32() != Vector512<uint>.Zero) CanonicaliseNaN(dBase, d);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void CanonicaliseNaN(byte* dBase, int* d)
    {
        for (int i = 0; i < 4; i++)
        {
            var words = new Span<float>(dBase + d[i], 32);
            foreach (ref float word in words)
                if (float.IsNaN(word)) word = BitConverter.UInt32BitsToSingle(CanonicalNaN);
        }
    }
}
