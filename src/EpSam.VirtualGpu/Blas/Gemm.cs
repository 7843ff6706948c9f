// The virtual GPU's cuBLAS matrix product: C = alpha * op(A) * op(B) + beta * C, column-major as in cuBLAS, computed
// in f32 (f64 for F64 matrices). See GemmProduct for how. beta = 0 does not read C, alpha = 0 does not read A and B, so
// that NaN there does not spread. The result does not depend on the number of workers: each element is computed by one
// of them, as a chain of fused multiply-adds in order of k that is cut at points which depend on k alone.
namespace EpSam.VirtualGpu.Blas;

internal static unsafe class Gemm
{
    /// <summary>Threads to use; 0 = all cores.</summary>
    internal static int Workers { get; set; }

    const double FlopsWorthThreads = 3e6;       // below it, starting a second thread costs more than it saves
    const double FlopsWorthSharing = 60e6;      // matrices of a batch that are smaller than this go one to a thread

    public static void Run(
        bool transA, bool transB, int m, int n, int k, double alpha, void* a, GemmType aType, int lda,
        void* b, GemmType bType, int ldb, double beta, void* c, GemmType cType, int ldc)
    {
        Validate(transA, transB, m, n, k, aType, lda, bType, ldb, cType, ldc);
        Run(transA, transB, m, n, k, alpha, a, aType, lda, b, bType, ldb, beta, c, cType, ldc, AvailableWorkers);
    }

    /// <summary>The same for a batch of matrices; strides count elements and may be 0 for A and B.</summary>
    public static void StridedBatched(
        bool transA, bool transB, int m, int n, int k, double alpha, void* a, GemmType aType, int lda, long strideA,
        void* b, GemmType bType, int ldb, long strideB,
        double beta, void* c, GemmType cType, int ldc, long strideC, int batch)
    {
        Validate(transA, transB, m, n, k, aType, lda, bType, ldb, cType, ldc);
        ArgumentOutOfRangeException.ThrowIfNegative(batch);
        bool together = batch == 1 || 2.0 * m * n * k >= FlopsWorthSharing;
        int workers = AvailableWorkers, inner = together ? workers : 1;
        if (together || 2.0 * m * n * k * batch < FlopsWorthThreads) workers = 1;
        GemmWorkers.ForEach(batch, workers, 0, (i, _) => Run(
            transA, transB, m, n, k, alpha, (byte*)a + i * strideA * SizeOf(aType), aType, lda,
            (byte*)b + i * strideB * SizeOf(bType), bType, ldb,
            beta, (byte*)c + i * strideC * SizeOf(cType), cType, ldc, inner));
    }

    public static int SizeOf(GemmType type) => type switch { GemmType.F64 => 8, GemmType.F32 => 4, _ => 2 };

    static int AvailableWorkers => Workers > 0 ? Workers : Environment.ProcessorCount;

    static void Run(
        bool transA, bool transB, int m, int n, int k, double alpha, void* a, GemmType aType, int lda,
        void* b, GemmType bType, int ldb, double beta, void* c, GemmType cType, int ldc, int workers)
    {
        if (m == 0 || n == 0) return;
        if (alpha == 0) k = 0;
        if (2.0 * m * n * k < FlopsWorthThreads) workers = 1;
        var opA = new GemmOperand(a, aType, transA ? lda : 1, transA ? 1 : lda);
        var opB = new GemmOperand(b, bType, transB ? 1 : ldb, transB ? ldb : 1);
        var target = new GemmOperand(c, cType, 1, ldc);
        if (cType == GemmType.F64) new GemmProduct<double>(opA, opB, target, m, n, k, alpha, beta, workers).Run();
        else new GemmProduct<float>(opA, opB, target, m, n, k, (float)alpha, (float)beta, workers).Run();
    }

    static void Validate(
        bool transA, bool transB, int m, int n, int k,
        GemmType aType, int lda, GemmType bType, int ldb, GemmType cType, int ldc)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(m);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfLessThan(lda, Math.Max(1, transA ? k : m));
        ArgumentOutOfRangeException.ThrowIfLessThan(ldb, Math.Max(1, transB ? n : k));
        ArgumentOutOfRangeException.ThrowIfLessThan(ldc, Math.Max(1, m));
        bool doubles = cType == GemmType.F64;
        if ((aType == GemmType.F64) != doubles || (bType == GemmType.F64) != doubles)
            throw new ArgumentException($"F64 matrices do not mix with others: A is {aType}, B {bType}, C {cType}");
    }
}
