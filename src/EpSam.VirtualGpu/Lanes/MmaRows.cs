// mma.sync on any hardware, with Vector256 and Vector128: operands are first unpacked from fragments to plain matrices
// of 32-bit words, A (16 x steps), B (steps x 8) and C (16 x 8), columns of B and C in the order 0 2 4 6 1 3 5 7; then
// each row of C is one Vector256 and one step is a broadcast word of A times a row of B. Same order of the same
// operations as MmaTile, hence the same bits. The integer shapes always run here: one step is a pair of 16-bit
// values (two k), whose two products are exact in 32 bits, so that order does not matter.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>What one step does to a row of C: accumulator + a * b, on 32-bit words.</summary>
internal interface IMmaStep
{
    static abstract Vector256<uint> Accumulate(Vector256<uint> a, Vector256<uint> b, Vector256<uint> sum);
}

internal readonly struct MmaFloatStep : IMmaStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Accumulate(Vector256<uint> a, Vector256<uint> b, Vector256<uint> sum) =>
        Fma.IsSupported
            ? Fma.MultiplyAdd(a.AsSingle(), b.AsSingle(), sum.AsSingle()).AsUInt32()
            : Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), sum.AsSingle()).AsUInt32();
}

internal readonly struct MmaPairStep : IMmaStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Accumulate(Vector256<uint> a, Vector256<uint> b, Vector256<uint> sum)
    {
        if (Avx2.IsSupported) return sum + Avx2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsUInt32();
        Vector256<int> low = ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);
        Vector256<int> high = (a.AsInt32() >> 16) * (b.AsInt32() >> 16);
        return sum + (low + high).AsUInt32();
    }
}

internal static unsafe class MmaRows
{
    public const int MaxSteps = 16;
    public const int Columns = 8;

    /// <summary>Where column n of B or C stands in a row: even columns first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int Position(int column) => (column >> 1) + (column & 1) * 4;

    /// <summary>c[row] += sum over steps of a[row, step] * b[step], steps ascending; rows is 8 or 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Multiply<T>(uint* a, uint* b, uint* c, int rows, int steps) where T : struct, IMmaStep
    {
        for (int row = 0; row < rows; row += 8, a += 8 * steps, c += 8 * Columns)
        {
            Vector256<uint> c0 = Vector256.Load(c), c1 = Vector256.Load(c + 8), c2 = Vector256.Load(c + 16);
            Vector256<uint> c3 = Vector256.Load(c + 24), c4 = Vector256.Load(c + 32), c5 = Vector256.Load(c + 40);
            Vector256<uint> c6 = Vector256.Load(c + 48), c7 = Vector256.Load(c + 56);
            for (int step = 0; step < steps; step++)
            {
                Vector256<uint> row8 = Vector256.Load(b + step * Columns);
                uint* word = a + step;
                c0 = T.Accumulate(Vector256.Create(word[0]), row8, c0);
                c1 = T.Accumulate(Vector256.Create(word[steps]), row8, c1);
                c2 = T.Accumulate(Vector256.Create(word[2 * steps]), row8, c2);
                c3 = T.Accumulate(Vector256.Create(word[3 * steps]), row8, c3);
                c4 = T.Accumulate(Vector256.Create(word[4 * steps]), row8, c4);
                c5 = T.Accumulate(Vector256.Create(word[5 * steps]), row8, c5);
                c6 = T.Accumulate(Vector256.Create(word[6 * steps]), row8, c6);
                c7 = T.Accumulate(Vector256.Create(word[7 * steps]), row8, c7);
            }
            c0.Store(c);
            c1.Store(c + 8);
            c2.Store(c + 16);
            c3.Store(c + 24);
            c4.Store(c + 32);
            c5.Store(c + 40);
            c6.Store(c + 48);
            c7.Store(c + 56);
        }
    }

    /// <summary>D = A * B + C for 16 rows of 16-bit elements or, with one element a word, of tf32.</summary>
    [SkipLocalsInit]
    public static void Run<T>(byte* f, int* a, int* b, int k, bool paired, byte* cBase, int* c, byte* dBase, int* d)
        where T : struct, IMmaElement
    {
        uint* aRows = stackalloc uint[16 * MaxSteps];
        uint* bRows = stackalloc uint[MaxSteps * Columns];
        uint* cRows = stackalloc uint[16 * Columns];
        int perRegister = paired ? 8 : 4;   // k that one register covers
        for (int i = 0; i < k / perRegister; i++)
        {
            UnpackA<T>((uint*)(f + a[2 * i]), aRows + i * perRegister, k, paired);
            UnpackA<T>((uint*)(f + a[2 * i + 1]), aRows + i * perRegister + 8 * k, k, paired);
            UnpackB<T>((uint*)(f + b[i]), bRows + i * perRegister * Columns, paired);
        }
        for (int i = 0; i < 4; i++) UnpackC((uint*)(cBase + c[i]), cRows, i);
        Multiply<MmaFloatStep>(aRows, bRows, cRows, 16, k);
        for (int i = 0; i < 4; i++) PackD(cRows, (uint*)(dBase + d[i]), i);
        MmaTile.CanonicaliseNaN(dBase, d);
    }

    /// <summary>A register of A: 8 rows of 4 words, to rows of f32 that are <paramref name="stride"/> apart.</summary>
    static void UnpackA<T>(uint* register, uint* rows, int stride, bool paired) where T : struct, IMmaElement
    {
        for (int row = 0; row < 8; row++)
            Unpack<T>(Vector128.Load(register + row * 4), (float*)rows + row * stride, paired);
    }

    static void UnpackB<T>(uint* register, uint* rows, bool paired) where T : struct, IMmaElement
    {
        uint* column = stackalloc uint[8];
        for (int n = 0; n < Columns; n++)
        {
            Unpack<T>(Vector128.Load(register + n * 4), (float*)column, paired);
            for (int k = 0; k < (paired ? 8 : 4); k++) rows[k * Columns + Position(n)] = column[k];
        }
    }

    /// <summary>Four words to 8 (paired) or 4 f32 in order of k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Unpack<T>(Vector128<uint> words, float* to, bool paired) where T : struct, IMmaElement
    {
        Vector128<float> even = T.Even(words);
        if (!paired)
        {
            even.Store(to);
            return;
        }
        Vector128<float> odd = T.Odd(words);
        Interleave(even, odd, out Vector128<float> low, out Vector128<float> high);
        low.Store(to);
        high.Store(to + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Interleave(
        Vector128<float> even, Vector128<float> odd, out Vector128<float> low, out Vector128<float> high)
    {
        if (Sse.IsSupported)
        {
            low = Sse.UnpackLow(even, odd);
            high = Sse.UnpackHigh(even, odd);
            return;
        }
        low = Vector128.Create(even[0], odd[0], even[1], odd[1]);
        high = Vector128.Create(even[2], odd[2], even[3], odd[3]);
    }

    /// <summary>Register i of C: rows 8 * (i / 2) + group, columns of parity i % 2.</summary>
    public static void UnpackC(uint* register, uint* rows, int i)
    {
        uint* to = rows + (i >> 1) * 8 * Columns + (i & 1) * 4;
        for (int row = 0; row < 8; row++) Vector128.Load(register + row * 4).Store(to + row * Columns);
    }

    public static void PackD(uint* rows, uint* register, int i)
    {
        uint* from = rows + (i >> 1) * 8 * Columns + (i & 1) * 4;
        for (int row = 0; row < 8; row++) Vector128.Load(from + row * Columns).Store(register + row * 4);
    }

    /// <summary>
    /// Four 8-bit elements a word to two steps of 16-bit pairs: bytes 0 and 2, then 1 and 3, widened by sign or zero.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Widen(Vector128<uint> bytes, bool signed, out Vector128<uint> even, out Vector128<uint> odd)
    {
        if (signed)
        {
            even = ((bytes.AsInt16() << 8) >> 8).AsUInt32();
            odd = (bytes.AsInt16() >> 8).AsUInt32();
        }
        else
        {
            even = (bytes.AsUInt16() & Vector128.Create((ushort)0xff)).AsUInt32();
            odd = (bytes.AsUInt16() >> 8).AsUInt32();
        }
    }

    /// <summary>8 rows of one register of 8-bit elements: 16 k, which are 8 steps.</summary>
    public static void UnpackBytesA(uint* register, uint* rows, int stride, bool signed)
    {
        for (int row = 0; row < 8; row++)
        {
            Widen(Vector128.Load(register + row * 4), signed, out Vector128<uint> even, out Vector128<uint> odd);
            even.Store(rows + row * stride);
            odd.Store(rows + row * stride + 4);
        }
    }

    public static void UnpackBytesB(uint* register, uint* rows, bool signed)
    {
        for (int n = 0; n < Columns; n++)
        {
            Widen(Vector128.Load(register + n * 4), signed, out Vector128<uint> even, out Vector128<uint> odd);
            for (int step = 0; step < 4; step++)
            {
                rows[step * Columns + Position(n)] = even[step];
                rows[(step + 4) * Columns + Position(n)] = odd[step];
            }
        }
    }
}
