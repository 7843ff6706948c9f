// cublas*: checks what cuBLAS checks, then what hardware would fault on, then hands host pointers to the managed GEMM.
// Products are always computed in f32 (f64 for doubles), whatever cheaper type the compute type would allow; so results
// are at least as exact as cuBLAS's. A matrix that leaves its allocation is the illegal address it is on hardware.
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Blas;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.cublasStatus_t;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe class BlasHandle(Context context)
{
    const int Version = 110_800; // goes with the driver's 11.8

    Context Context { get; } = context;

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) => Guard.RunBlas(() =>
    {
        Context context = Context.Require();
        NotNull(handle, "handle");
        *handle = new cublasHandle_t(context.Own(new BlasHandle(context)));
    });

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) =>
        Guard.RunBlas(() => Get(handle).Context.Disown(handle.Value));

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int* version) => Guard.RunBlas(() =>
    {
        NotNull(version, "version");
        *version = Version;
    });

    // No workspace is needed; the range is checked all the same, as cuBLAS would write to it.
    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, nuint bytes) =>
        Guard.RunBlas(() =>
        {
            BlasHandle blas = Get(handle);
            if (bytes == 0) return;
            Require((nuint)workspace % 256 == 0, $"the workspace 0x{(nint)workspace:x} is not aligned to 256 bytes");
            Require(blas.Context.Heap.Contains((ulong)workspace, (long)bytes),
                $"the workspace of {bytes} bytes is not inside one allocation: "
                + blas.Context.Heap.Describe((ulong)workspace));
        });

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, CUstream stream) => Guard.RunBlas(() =>
    {
        BlasHandle blas = Get(handle);
        Stream.Require(blas.Context, stream);
    });

    // Every mode is served by full precision.
    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) => Guard.RunBlas(() =>
    {
        Get(handle);
        int basic = (int)mode & ~(int)cublasMath_t.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
        Require(basic is >= 0 and <= 3, $"unknown math mode {(int)mode}");
    });

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasGemmEx(
        cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
        void* alpha, void* a, cudaDataType_t aType, int lda, void* b, cudaDataType_t bType, int ldb,
        void* beta, void* c, cudaDataType_t cType, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) =>
        Guard.RunBlas(() => Get(handle).Run("cublasGemmEx", new Shape(transA, transB, m, n, k, 1, compute),
            new Matrix("A", a, aType, lda, 0), new Matrix("B", b, bType, ldb, 0), new Matrix("C", c, cType, ldc, 0),
            alpha, beta));

    [UnmanagedCallersOnly]
    public static cublasStatus_t cublasGemmStridedBatchedEx(
        cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
        void* alpha, void* a, cudaDataType_t aType, int lda, long strideA,
        void* b, cudaDataType_t bType, int ldb, long strideB,
        void* beta, void* c, cudaDataType_t cType, int ldc, long strideC, int batch,
        cublasComputeType_t compute, cublasGemmAlgo_t algorithm) =>
        Guard.RunBlas(() => Get(handle).Run(
            "cublasGemmStridedBatchedEx", new Shape(transA, transB, m, n, k, batch, compute),
            new Matrix("A", a, aType, lda, strideA), new Matrix("B", b, bType, ldb, strideB),
            new Matrix("C", c, cType, ldc, strideC), alpha, beta));

    // ---- one product

    sealed record Shape(
        cublasOperation_t TransA, cublasOperation_t TransB, int M, int N, int K, int Batch, cublasComputeType_t Compute)
    {
        public bool TransposesA => TransA != cublasOperation_t.CUBLAS_OP_N;
        public bool TransposesB => TransB != cublasOperation_t.CUBLAS_OP_N;
        public bool InDouble => Compute is cublasComputeType_t.CUBLAS_COMPUTE_64F
            or cublasComputeType_t.CUBLAS_COMPUTE_64F_PEDANTIC;
    }

    sealed record Matrix(string Name, nint Address, cudaDataType_t Type, int Ld, long Stride)
    {
        public Matrix(string name, void* address, cudaDataType_t type, int ld, long stride)
            : this(name, (nint)address, type, ld, stride)
        {
        }

        public GemmType Element => Type switch
        {
            cudaDataType_t.CUDA_R_32F => GemmType.F32,
            cudaDataType_t.CUDA_R_16F => GemmType.F16,
            cudaDataType_t.CUDA_R_16BF => GemmType.BF16,
            cudaDataType_t.CUDA_R_64F => GemmType.F64,
            _ => throw new BlasError(CUBLAS_STATUS_NOT_SUPPORTED, $"matrix {Name} of type {Type}"),
        };

        public int Size => Element switch { GemmType.F32 => 4, GemmType.F64 => 8, _ => 2 };

        public void* Host => AddressSpace.ToHost((ulong)Address);
    }

    void Run(string call, Shape s, Matrix a, Matrix b, Matrix c, void* alpha, void* beta)
    {
        CheckArguments(s, a, b, c, alpha, beta);
        if (s.M == 0 || s.N == 0 || s.Batch == 0) return;
        double alphaValue = s.InDouble ? *(double*)alpha : *(float*)alpha;
        double betaValue = s.InDouble ? *(double*)beta : *(float*)beta;
        lock (Context.LaunchLock)
        {
            Context.RequireUsable();
            if (s.K > 0 && alphaValue != 0)
            {
                Touch(call, s, a, s.TransposesA ? s.K : s.M, s.TransposesA ? s.M : s.K, reads: true, writes: false);
                Touch(call, s, b, s.TransposesB ? s.N : s.K, s.TransposesB ? s.K : s.N, reads: true, writes: false);
            }
            Touch(call, s, c, s.M, s.N, reads: betaValue != 0, writes: true);
            Gemm.StridedBatched(s.TransposesA, s.TransposesB, s.M, s.N, s.K,
                alphaValue, a.Host, a.Element, a.Ld, a.Stride, b.Host, b.Element, b.Ld, b.Stride,
                betaValue, c.Host, c.Element, c.Ld, c.Stride, s.Batch);
            Count(call, s);
        }
    }

    static void CheckArguments(Shape s, Matrix a, Matrix b, Matrix c, void* alpha, void* beta)
    {
        Require((uint)s.TransA <= 2 && (uint)s.TransB <= 2, $"operations {(int)s.TransA} and {(int)s.TransB}");
        Require(s is { M: >= 0, N: >= 0, K: >= 0, Batch: >= 0 }, $"m {s.M}, n {s.N}, k {s.K}, batch {s.Batch}");
        NotNull(alpha, "alpha");
        NotNull(beta, "beta");
        CheckTypes(s, a, b, c);
        CheckLeading(a, s.TransposesA ? s.K : s.M);
        CheckLeading(b, s.TransposesB ? s.N : s.K);
        CheckLeading(c, s.M);
    }

    static void CheckLeading(Matrix matrix, int rows) => Require(matrix.Ld >= Math.Max(1, rows),
        $"the leading dimension of {matrix.Name} is {matrix.Ld}; it has {rows} rows");

    // cuBLAS documentation, table of supported types of cublasGemmEx; integer and f16-compute products are left out.
    static void CheckTypes(Shape s, Matrix a, Matrix b, Matrix c)
    {
        bool supported = (s.InDouble, a.Element, c.Element) switch
        {
            (true, GemmType.F64, GemmType.F64) => true,
            (false, GemmType.F32, GemmType.F32) => true,
            (false, GemmType.F16, GemmType.F16 or GemmType.F32) => true,
            (false, GemmType.BF16, GemmType.BF16 or GemmType.F32) => true,
            _ => false,
        };
        bool computes = s.InDouble || s.Compute is cublasComputeType_t.CUBLAS_COMPUTE_32F
            or cublasComputeType_t.CUBLAS_COMPUTE_32F_PEDANTIC or cublasComputeType_t.CUBLAS_COMPUTE_32F_FAST_16F
            or cublasComputeType_t.CUBLAS_COMPUTE_32F_FAST_16BF or cublasComputeType_t.CUBLAS_COMPUTE_32F_FAST_TF32;
        if (!supported || !computes || a.Element != b.Element)
        {
            throw new BlasError(CUBLAS_STATUS_NOT_SUPPORTED,
                $"A {a.Type}, B {b.Type}, C {c.Type} computed in {s.Compute}");
        }
    }

    // What a kernel would meet: ranges outside of an allocation, misaligned pointers, memory that nothing has written.
    void Touch(string call, Shape s, Matrix matrix, int rows, int columns, bool reads, bool writes)
    {
        CheckFlags checks = Context.Gpu.Options.Checks;
        ulong start = (ulong)matrix.Address;
        long column = (long)matrix.Ld * matrix.Size;
        long span = ((columns - 1) * column) + ((long)rows * matrix.Size);
        if (start % (ulong)matrix.Size != 0)
            throw Fault(CUresult.CUDA_ERROR_MISALIGNED_ADDRESS, $"is not aligned to {matrix.Size} bytes");
        for (int i = 0; i < s.Batch; i++)
        {
            ulong at = start + (ulong)(i * matrix.Stride * matrix.Size);
            if (!Context.Heap.Contains(at, span))
            {
                throw Fault(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
                    $"needs {span} bytes from 0x{at:x} on (product {i}), which is {Context.Heap.Describe(at)}");
            }
            for (int j = 0; j < columns && (writes || (reads && (checks & CheckFlags.Initialised) != 0)); j++)
            {
                ulong top = at + (ulong)(j * column);
                long unwritten = reads ? Context.Heap.FirstUninitialised(top, (long)rows * matrix.Size) : -1;
                if (unwritten >= 0)
                {
                    throw Fault(CUresult.CUDA_ERROR_LAUNCH_FAILED,
                        $"is read at row {unwritten / matrix.Size}, column {j} (product {i}), never written: "
                        + Context.Heap.Describe(top + (ulong)unwritten));
                }
                if (writes) Context.Heap.MarkInitialised(top, (long)rows * matrix.Size);
            }
        }

        BlasError Fault(CUresult code, string what)
        {
            string report = $"{call}: matrix {matrix.Name}, {rows} by {columns} at 0x{start:x}, {what}";
            return new BlasError(CUBLAS_STATUS_EXECUTION_FAILED, Context.Fail(code, report).Message);
        }
    }

    void Count(string call, Shape s)
    {
        Span<ulong> counts = stackalloc ulong[(int)Counter.Count];
        counts.Clear();
        counts[(int)Counter.MmaFlops] = (ulong)(2.0 * s.M * s.N * s.K * s.Batch);
        Context.Gpu.Count(call, counts);
    }

    static BlasHandle Get(cublasHandle_t handle)
    {
        try
        {
            return Handles.Get<BlasHandle>(handle.Value);
        }
        catch (DriverError e)
        {
            throw new BlasError(CUBLAS_STATUS_NOT_INITIALIZED, e.Message);
        }
    }

    static void NotNull(void* pointer, string name)
    {
        if (pointer == null) throw new BlasError(CUBLAS_STATUS_INVALID_VALUE, $"{name} is a null pointer");
    }

    static void Require(bool condition, string message)
    {
        if (!condition) throw new BlasError(CUBLAS_STATUS_INVALID_VALUE, message);
    }
}
