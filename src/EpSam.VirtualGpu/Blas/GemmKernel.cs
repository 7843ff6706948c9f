// The innermost loops of the matrix product: a tile of C, width x depth, is held in registers while k runs. p and q
// are packed panels (see GemmPack): per k, `width` consecutive elements of P and `depth` of Q. Each element of C is one
// chain of fused multiply-adds in order of k, whatever the tile's shape, so all variants give the same bits. The loops
// are written out because accumulators must be separate locals to stay in registers, and nothing may be called: that
// would move them to the stack.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Blas;

internal static unsafe class GemmKernel
{
    /// <summary>Elements along the vectors: two vectors.</summary>
    public static int Width<T>() where T : unmanaged => (Vector512.IsHardwareAccelerated ? 128 : 64) / sizeof(T);

    /// <summary>Elements across: 2 * 12 of 32 registers, or 2 * 6 of 16.</summary>
    public static int Depth => Vector512.IsHardwareAccelerated ? 12 : 6;

    public const int MaxTileBytes = 128 * 12;

    /// <summary>c[i + j * stride] = alpha * sum + beta * c; with beta = 0 c is not read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Tile<T>(T* p, T* q, int k, T* c, nint stride, T alpha, T beta) where T : unmanaged
    {
        if (typeof(T) == typeof(float))
        {
            if (Vector512.IsHardwareAccelerated)
                Wide((float*)p, (float*)q, k, (float*)c, stride, (float)(object)alpha, (float)(object)beta);
            else
                Narrow((float*)p, (float*)q, k, (float*)c, stride, (float)(object)alpha, (float)(object)beta);
        }
        else
        {
            if (Vector512.IsHardwareAccelerated)
                Wide((double*)p, (double*)q, k, (double*)c, stride, (double)(object)alpha, (double)(object)beta);
            else
                Narrow((double*)p, (double*)q, k, (double*)c, stride, (double)(object)alpha, (double)(object)beta);
        }
    }

    /// <summary>
    /// Has the tile of C fetched while its sums are made: their last step would wait for memory, column by column.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void PrefetchTile(byte* c, nint stride)
    {
        const int LineBytes = 64;
        if (!Sse.IsSupported) return;
        for (int j = 0; j < 12; j++, c += stride)
        {
            Sse.Prefetch0(c);
            Sse.Prefetch0(c + LineBytes);
        }
    }

    /// <summary>32 x 12 floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Wide(float* p, float* q, int k, float* c, nint stride, float alpha, float beta)
    {
        Vector512<float> s0a = default, s1a = default, s2a = default, s3a = default, s4a = default, s5a = default;
        Vector512<float> s6a = default, s7a = default, s8a = default, s9a = default, s10a = default, s11a = default;
        Vector512<float> s0b = default, s1b = default, s2b = default, s3b = default, s4b = default, s5b = default;
        Vector512<float> s6b = default, s7b = default, s8b = default, s9b = default, s10b = default, s11b = default;
        PrefetchTile((byte*)c, stride * sizeof(float));
        for (int step = 0; step < k; step++, p += 32, q += 12)
        {
            Vector512<float> a = Vector512.Load(p), b = Vector512.Load(p + 16);
            Vector512<float> x0 = Vector512.Create(q[0]);
            s0a = Vector512.FusedMultiplyAdd(a, x0, s0a);
            s0b = Vector512.FusedMultiplyAdd(b, x0, s0b);
            Vector512<float> x1 = Vector512.Create(q[1]);
            s1a = Vector512.FusedMultiplyAdd(a, x1, s1a);
            s1b = Vector512.FusedMultiplyAdd(b, x1, s1b);
            Vector512<float> x2 = Vector512.Create(q[2]);
            s2a = Vector512.FusedMultiplyAdd(a, x2, s2a);
            s2b = Vector512.FusedMultiplyAdd(b, x2, s2b);
            Vector512<float> x3 = Vector512.Create(q[3]);
            s3a = Vector512.FusedMultiplyAdd(a, x3, s3a);
            s3b = Vector512.FusedMultiplyAdd(b, x3, s3b);
            Vector512<float> x4 = Vector512.Create(q[4]);
            s4a = Vector512.FusedMultiplyAdd(a, x4, s4a);
            s4b = Vector512.FusedMultiplyAdd(b, x4, s4b);
            Vector512<float> x5 = Vector512.Create(q[5]);
            s5a = Vector512.FusedMultiplyAdd(a, x5, s5a);
            s5b = Vector512.FusedMultiplyAdd(b, x5, s5b);
            Vector512<float> x6 = Vector512.Create(q[6]);
            s6a = Vector512.FusedMultiplyAdd(a, x6, s6a);
            s6b = Vector512.FusedMultiplyAdd(b, x6, s6b);
            Vector512<float> x7 = Vector512.Create(q[7]);
            s7a = Vector512.FusedMultiplyAdd(a, x7, s7a);
            s7b = Vector512.FusedMultiplyAdd(b, x7, s7b);
            Vector512<float> x8 = Vector512.Create(q[8]);
            s8a = Vector512.FusedMultiplyAdd(a, x8, s8a);
            s8b = Vector512.FusedMultiplyAdd(b, x8, s8b);
            Vector512<float> x9 = Vector512.Create(q[9]);
            s9a = Vector512.FusedMultiplyAdd(a, x9, s9a);
            s9b = Vector512.FusedMultiplyAdd(b, x9, s9b);
            Vector512<float> x10 = Vector512.Create(q[10]);
            s10a = Vector512.FusedMultiplyAdd(a, x10, s10a);
            s10b = Vector512.FusedMultiplyAdd(b, x10, s10b);
            Vector512<float> x11 = Vector512.Create(q[11]);
            s11a = Vector512.FusedMultiplyAdd(a, x11, s11a);
            s11b = Vector512.FusedMultiplyAdd(b, x11, s11b);
        }
        Finish(c, s0a, s0b, alpha, beta);
        Finish(c + stride, s1a, s1b, alpha, beta);
        Finish(c + 2 * stride, s2a, s2b, alpha, beta);
        Finish(c + 3 * stride, s3a, s3b, alpha, beta);
        Finish(c + 4 * stride, s4a, s4b, alpha, beta);
        Finish(c + 5 * stride, s5a, s5b, alpha, beta);
        Finish(c + 6 * stride, s6a, s6b, alpha, beta);
        Finish(c + 7 * stride, s7a, s7b, alpha, beta);
        Finish(c + 8 * stride, s8a, s8b, alpha, beta);
        Finish(c + 9 * stride, s9a, s9b, alpha, beta);
        Finish(c + 10 * stride, s10a, s10b, alpha, beta);
        Finish(c + 11 * stride, s11a, s11b, alpha, beta);
    }

    /// <summary>16 x 12 doubles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Wide(double* p, double* q, int k, double* c, nint stride, double alpha, double beta)
    {
        Vector512<double> s0a = default, s1a = default, s2a = default, s3a = default, s4a = default, s5a = default;
        Vector512<double> s6a = default, s7a = default, s8a = default, s9a = default, s10a = default, s11a = default;
        Vector512<double> s0b = default, s1b = default, s2b = default, s3b = default, s4b = default, s5b = default;
        Vector512<double> s6b = default, s7b = default, s8b = default, s9b = default, s10b = default, s11b = default;
        PrefetchTile((byte*)c, stride * sizeof(double));
        for (int step = 0; step < k; step++, p += 16, q += 12)
        {
            Vector512<double> a = Vector512.Load(p), b = Vector512.Load(p + 8);
            Vector512<double> x0 = Vector512.Create(q[0]);
            s0a = Vector512.FusedMultiplyAdd(a, x0, s0a);
            s0b = Vector512.FusedMultiplyAdd(b, x0, s0b);
            Vector512<double> x1 = Vector512.Create(q[1]);
            s1a = Vector512.FusedMultiplyAdd(a, x1, s1a);
            s1b = Vector512.FusedMultiplyAdd(b, x1, s1b);
            Vector512<double> x2 = Vector512.Create(q[2]);
            s2a = Vector512.FusedMultiplyAdd(a, x2, s2a);
            s2b = Vector512.FusedMultiplyAdd(b, x2, s2b);
            Vector512<double> x3 = Vector512.Create(q[3]);
            s3a = Vector512.FusedMultiplyAdd(a, x3, s3a);
            s3b = Vector512.FusedMultiplyAdd(b, x3, s3b);
            Vector512<double> x4 = Vector512.Create(q[4]);
            s4a = Vector512.FusedMultiplyAdd(a, x4, s4a);
            s4b = Vector512.FusedMultiplyAdd(b, x4, s4b);
            Vector512<double> x5 = Vector512.Create(q[5]);
            s5a = Vector512.FusedMultiplyAdd(a, x5, s5a);
            s5b = Vector512.FusedMultiplyAdd(b, x5, s5b);
            Vector512<double> x6 = Vector512.Create(q[6]);
            s6a = Vector512.FusedMultiplyAdd(a, x6, s6a);
            s6b = Vector512.FusedMultiplyAdd(b, x6, s6b);
            Vector512<double> x7 = Vector512.Create(q[7]);
            s7a = Vector512.FusedMultiplyAdd(a, x7, s7a);
            s7b = Vector512.FusedMultiplyAdd(b, x7, s7b);
            Vector512<double> x8 = Vector512.Create(q[8]);
            s8a = Vector512.FusedMultiplyAdd(a, x8, s8a);
            s8b = Vector512.FusedMultiplyAdd(b, x8, s8b);
            Vector512<double> x9 = Vector512.Create(q[9]);
            s9a = Vector512.FusedMultiplyAdd(a, x9, s9a);
            s9b = Vector512.FusedMultiplyAdd(b, x9, s9b);
            Vector512<double> x10 = Vector512.Create(q[10]);
            s10a = Vector512.FusedMultiplyAdd(a, x10, s10a);
            s10b = Vector512.FusedMultiplyAdd(b, x10, s10b);
            Vector512<double> x11 = Vector512.Create(q[11]);
            s11a = Vector512.FusedMultiplyAdd(a, x11, s11a);
            s11b = Vector512.FusedMultiplyAdd(b, x11, s11b);
        }
        Finish(c, s0a, s0b, alpha, beta);
        Finish(c + stride, s1a, s1b, alpha, beta);
        Finish(c + 2 * stride, s2a, s2b, alpha, beta);
        Finish(c + 3 * stride, s3a, s3b, alpha, beta);
        Finish(c + 4 * stride, s4a, s4b, alpha, beta);
        Finish(c + 5 * stride, s5a, s5b, alpha, beta);
        Finish(c + 6 * stride, s6a, s6b, alpha, beta);
        Finish(c + 7 * stride, s7a, s7b, alpha, beta);
        Finish(c + 8 * stride, s8a, s8b, alpha, beta);
        Finish(c + 9 * stride, s9a, s9b, alpha, beta);
        Finish(c + 10 * stride, s10a, s10b, alpha, beta);
        Finish(c + 11 * stride, s11a, s11b, alpha, beta);
    }

    /// <summary>16 x 6 floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Narrow(float* p, float* q, int k, float* c, nint stride, float alpha, float beta)
    {
        Vector256<float> s0a = default, s1a = default, s2a = default, s3a = default, s4a = default, s5a = default;
        Vector256<float> s0b = default, s1b = default, s2b = default, s3b = default, s4b = default, s5b = default;
        for (int step = 0; step < k; step++, p += 16, q += 6)
        {
            Vector256<float> a = Vector256.Load(p), b = Vector256.Load(p + 8);
            Vector256<float> x0 = Vector256.Create(q[0]);
            s0a = Vector256.FusedMultiplyAdd(a, x0, s0a);
            s0b = Vector256.FusedMultiplyAdd(b, x0, s0b);
            Vector256<float> x1 = Vector256.Create(q[1]);
            s1a = Vector256.FusedMultiplyAdd(a, x1, s1a);
            s1b = Vector256.FusedMultiplyAdd(b, x1, s1b);
            Vector256<float> x2 = Vector256.Create(q[2]);
            s2a = Vector256.FusedMultiplyAdd(a, x2, s2a);
            s2b = Vector256.FusedMultiplyAdd(b, x2, s2b);
            Vector256<float> x3 = Vector256.Create(q[3]);
            s3a = Vector256.FusedMultiplyAdd(a, x3, s3a);
            s3b = Vector256.FusedMultiplyAdd(b, x3, s3b);
            Vector256<float> x4 = Vector256.Create(q[4]);
            s4a = Vector256.FusedMultiplyAdd(a, x4, s4a);
            s4b = Vector256.FusedMultiplyAdd(b, x4, s4b);
            Vector256<float> x5 = Vector256.Create(q[5]);
            s5a = Vector256.FusedMultiplyAdd(a, x5, s5a);
            s5b = Vector256.FusedMultiplyAdd(b, x5, s5b);
        }
        Finish(c, s0a, s0b, alpha, beta);
        Finish(c + stride, s1a, s1b, alpha, beta);
        Finish(c + 2 * stride, s2a, s2b, alpha, beta);
        Finish(c + 3 * stride, s3a, s3b, alpha, beta);
        Finish(c + 4 * stride, s4a, s4b, alpha, beta);
        Finish(c + 5 * stride, s5a, s5b, alpha, beta);
    }

    /// <summary>8 x 6 doubles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Narrow(double* p, double* q, int k, double* c, nint stride, double alpha, double beta)
    {
        Vector256<double> s0a = default, s1a = default, s2a = default, s3a = default, s4a = default, s5a = default;
        Vector256<double> s0b = default, s1b = default, s2b = default, s3b = default, s4b = default, s5b = default;
        for (int step = 0; step < k; step++, p += 8, q += 6)
        {
            Vector256<double> a = Vector256.Load(p), b = Vector256.Load(p + 4);
            Vector256<double> x0 = Vector256.Create(q[0]);
            s0a = Vector256.FusedMultiplyAdd(a, x0, s0a);
            s0b = Vector256.FusedMultiplyAdd(b, x0, s0b);
            Vector256<double> x1 = Vector256.Create(q[1]);
            s1a = Vector256.FusedMultiplyAdd(a, x1, s1a);
            s1b = Vector256.FusedMultiplyAdd(b, x1, s1b);
            Vector256<double> x2 = Vector256.Create(q[2]);
            s2a = Vector256.FusedMultiplyAdd(a, x2, s2a);
            s2b = Vector256.FusedMultiplyAdd(b, x2, s2b);
            Vector256<double> x3 = Vector256.Create(q[3]);
            s3a = Vector256.FusedMultiplyAdd(a, x3, s3a);
            s3b = Vector256.FusedMultiplyAdd(b, x3, s3b);
            Vector256<double> x4 = Vector256.Create(q[4]);
            s4a = Vector256.FusedMultiplyAdd(a, x4, s4a);
            s4b = Vector256.FusedMultiplyAdd(b, x4, s4b);
            Vector256<double> x5 = Vector256.Create(q[5]);
            s5a = Vector256.FusedMultiplyAdd(a, x5, s5a);
            s5b = Vector256.FusedMultiplyAdd(b, x5, s5b);
        }
        Finish(c, s0a, s0b, alpha, beta);
        Finish(c + stride, s1a, s1b, alpha, beta);
        Finish(c + 2 * stride, s2a, s2b, alpha, beta);
        Finish(c + 3 * stride, s3a, s3b, alpha, beta);
        Finish(c + 4 * stride, s4a, s4b, alpha, beta);
        Finish(c + 5 * stride, s5a, s5b, alpha, beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Finish(float* c, Vector512<float> a, Vector512<float> b, float alpha, float beta)
    {
        a *= alpha;
        b *= alpha;
        if (beta != 0)
        {
            a = Vector512.FusedMultiplyAdd(Vector512.Create(beta), Vector512.Load(c), a);
            b = Vector512.FusedMultiplyAdd(Vector512.Create(beta), Vector512.Load(c + Vector512<float>.Count), b);
        }
        a.Store(c);
        b.Store(c + Vector512<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Finish(double* c, Vector512<double> a, Vector512<double> b, double alpha, double beta)
    {
        a *= alpha;
        b *= alpha;
        if (beta != 0)
        {
            a = Vector512.FusedMultiplyAdd(Vector512.Create(beta), Vector512.Load(c), a);
            b = Vector512.FusedMultiplyAdd(Vector512.Create(beta), Vector512.Load(c + Vector512<double>.Count), b);
        }
        a.Store(c);
        b.Store(c + Vector512<double>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Finish(float* c, Vector256<float> a, Vector256<float> b, float alpha, float beta)
    {
        a *= alpha;
        b *= alpha;
        if (beta != 0)
        {
            a = Vector256.FusedMultiplyAdd(Vector256.Create(beta), Vector256.Load(c), a);
            b = Vector256.FusedMultiplyAdd(Vector256.Create(beta), Vector256.Load(c + Vector256<float>.Count), b);
        }
        a.Store(c);
        b.Store(c + Vector256<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Finish(double* c, Vector256<double> a, Vector256<double> b, double alpha, double beta)
    {
        a *= alpha;
        b *= alpha;
        if (beta != 0)
        {
            a = Vector256.FusedMultiplyAdd(Vector256.Create(beta), Vector256.Load(c), a);
            b = Vector256.FusedMultiplyAdd(Vector256.Create(beta), Vector256.Load(c + Vector256<double>.Count), b);
        }
        a.Store(c);
        b.Store(c + Vector256<double>.Count);
    }
}
