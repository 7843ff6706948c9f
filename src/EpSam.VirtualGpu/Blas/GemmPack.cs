// Copies a part of an operand into panels: `width` neighbouring indices (rows of A, columns of B) at a time, and within
// a panel all indices of k = 0, then of k = 1, … as the kernels read them. What a last panel lacks is filled with
// zeros. 16-bit elements become floats on the way. An operand is an address and two strides, one of which is 1.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Blas;

/// <summary>op(A) or op(B): element (index, k) is at Data + (index * IndexStride + k * KStride) * size.</summary>
internal readonly unsafe struct GemmOperand(void* data, GemmType type, long indexStride, long kStride)
{
    public readonly byte* Data = (byte*)data;
    public readonly GemmType Type = type;
    public readonly long IndexStride = indexStride, KStride = kStride;
}

internal static unsafe class GemmPack
{
    /// <summary>Packs indices from index on, k from `from` on, to panels that are panelStride elements apart.</summary>
    public static void Panels<T>(
        in GemmOperand x, int index, int count, int from, int k, int width, T* to, nint panelStride)
        where T : unmanaged
    {
        for (int i = 0; i < count; i += width, to += panelStride)
        {
            int some = Math.Min(width, count - i);
            if (typeof(T) == typeof(double)) Doubles(x, index + i, some, from, k, width, (double*)to);
            else if (x.Type == GemmType.F32) Floats<GemmF32>(x, index + i, some, from, k, width, (float*)to);
            else if (x.Type == GemmType.BF16) Floats<GemmBf16>(x, index + i, some, from, k, width, (float*)to);
            else Floats<GemmF16>(x, index + i, some, from, k, width, (float*)to);
        }
    }

    static void Floats<E>(in GemmOperand x, int index, int count, int from, int k, int width, float* to)
        where E : struct, IGemmElement
    {
        byte* source = x.Data + (index * x.IndexStride + from * x.KStride) * E.Size;
        nint indexStride = (nint)x.IndexStride * E.Size, kStride = (nint)x.KStride * E.Size;
        int whole = count / 4 * 4;
        if (x.IndexStride == 1) Copied<E>(source, kStride, whole, k, width, to);
        else Transposed<E>(source, indexStride, whole, k, width, to);
        for (int i = whole; i < width; i++)
        {
            byte* at = source + i * indexStride;
            if (i >= count)
                for (int l = 0; l < k; l++) to[l * width + i] = 0;
            else
                for (int l = 0; l < k; l++, at += kStride) to[l * width + i] = E.Load(at);
        }
    }

    /// <summary>Indices are neighbours in memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Copied<E>(byte* source, nint kStride, int count, int k, int width, float* to)
        where E : struct, IGemmElement
    {
        for (int l = 0; l < k; l++, source += kStride, to += width)
            for (int i = 0; i < count; i += 4) E.Load4(source + i * E.Size).Store(to + i);
    }

    /// <summary>k is contiguous in memory: blocks of 4 x 4 are transposed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Transposed<E>(byte* source, nint indexStride, int count, int k, int width, float* to)
        where E : struct, IGemmElement
    {
        for (int i = 0; i < count; i += 4)
        {
            byte* row0 = source + i * indexStride, row1 = row0 + indexStride;
            byte* row2 = row1 + indexStride, row3 = row2 + indexStride;
            float* column = to + i;
            int l = 0;
            for (; Avx2.IsSupported && l + 8 <= k; l += 8, column += 8 * width)
            {
                int offset = l * E.Size;
                TransposeEight(E.Load8(row0 + offset), E.Load8(row1 + offset), E.Load8(row2 + offset),
                    E.Load8(row3 + offset), column, width);
            }
            for (; l + 4 <= k; l += 4, column += 4 * width)
            {
                int offset = l * E.Size;
                Vector128<float> a = E.Load4(row0 + offset), b = E.Load4(row1 + offset);
                Vector128<float> c = E.Load4(row2 + offset), d = E.Load4(row3 + offset);
                Transpose(ref a, ref b, ref c, ref d);
                a.Store(column);
                b.Store(column + width);
                c.Store(column + 2 * width);
                d.Store(column + 3 * width);
            }
            for (; l < k; l++, column += width)
            {
                column[0] = E.Load(row0 + l * E.Size);
                column[1] = E.Load(row1 + l * E.Size);
                column[2] = E.Load(row2 + l * E.Size);
                column[3] = E.Load(row3 + l * E.Size);
            }
        }
    }

    /// <summary>Two blocks of 4 x 4 side by side, one in each half of the vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void TransposeEight(
        Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d, float* column, int width)
    {
        Vector256<double> ab0 = Avx.UnpackLow(a, b).AsDouble(), ab2 = Avx.UnpackHigh(a, b).AsDouble();
        Vector256<double> cd0 = Avx.UnpackLow(c, d).AsDouble(), cd2 = Avx.UnpackHigh(c, d).AsDouble();
        Vector256<float> k0 = Avx.UnpackLow(ab0, cd0).AsSingle(), k1 = Avx.UnpackHigh(ab0, cd0).AsSingle();
        Vector256<float> k2 = Avx.UnpackLow(ab2, cd2).AsSingle(), k3 = Avx.UnpackHigh(ab2, cd2).AsSingle();
        k0.GetLower().Store(column);
        k1.GetLower().Store(column + width);
        k2.GetLower().Store(column + 2 * width);
        k3.GetLower().Store(column + 3 * width);
        column += 4 * width;
        k0.GetUpper().Store(column);
        k1.GetUpper().Store(column + width);
        k2.GetUpper().Store(column + 2 * width);
        k3.GetUpper().Store(column + 3 * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transpose(
        ref Vector128<float> a, ref Vector128<float> b, ref Vector128<float> c, ref Vector128<float> d)
    {
        if (Sse.IsSupported)
        {
            Vector128<float> ab0 = Sse.UnpackLow(a, b), ab2 = Sse.UnpackHigh(a, b);
            Vector128<float> cd0 = Sse.UnpackLow(c, d), cd2 = Sse.UnpackHigh(c, d);
            a = Sse.MoveLowToHigh(ab0, cd0);
            b = Sse.MoveHighToLow(cd0, ab0);
            c = Sse.MoveLowToHigh(ab2, cd2);
            d = Sse.MoveHighToLow(cd2, ab2);
            return;
        }
        Vector128<float> e = a, f = b, g = c, h = d;
        a = Vector128.Create(e[0], f[0], g[0], h[0]);
        b = Vector128.Create(e[1], f[1], g[1], h[1]);
        c = Vector128.Create(e[2], f[2], g[2], h[2]);
        d = Vector128.Create(e[3], f[3], g[3], h[3]);
    }

    static void Doubles(in GemmOperand x, int index, int count, int from, int k, int width, double* to)
    {
        double* source = (double*)x.Data + index * x.IndexStride + from * x.KStride;
        for (int l = 0; l < k; l++, to += width, source += x.KStride)
            for (int i = 0; i < width; i++) to[i] = i < count ? source[i * x.IndexStride] : 0;
    }
}
