// The part of cuBLAS that is used, as a table of function pointers: names, signatures and values as in cublas_api.h and
// library_types.h (11.4 to 13). Matrices are column-major; alpha and beta are host pointers of the compute type's
// scale type. The handle works on the context that was current when it was made.
using System.Runtime.CompilerServices;

namespace EpSam.Cuda;

/// <summary>A cuBLAS handle.</summary>
public readonly record struct cublasHandle_t(nint Value);

#pragma warning disable CS1591 // names and values are NVIDIA's, documented in the cuBLAS manual

/// <summary>What a cuBLAS call returns. Values as in cublas_api.h.</summary>
public enum cublasStatus_t
{
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_MAPPING_ERROR = 11,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_INTERNAL_ERROR = 14,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
    CUBLAS_STATUS_LICENSE_ERROR = 16,
}

/// <summary>Whether a matrix is taken as it is, transposed, or conjugated and transposed.</summary>
public enum cublasOperation_t
{
    CUBLAS_OP_N = 0,
    CUBLAS_OP_T = 1,
    CUBLAS_OP_C = 2,
}

/// <summary>What the products are computed in.</summary>
public enum cublasComputeType_t
{
    CUBLAS_COMPUTE_16F = 64,
    CUBLAS_COMPUTE_16F_PEDANTIC = 65,
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32F_PEDANTIC = 69,
    CUBLAS_COMPUTE_64F = 70,
    CUBLAS_COMPUTE_64F_PEDANTIC = 71,
    CUBLAS_COMPUTE_32I = 72,
    CUBLAS_COMPUTE_32I_PEDANTIC = 73,
    CUBLAS_COMPUTE_32F_FAST_16F = 74,
    CUBLAS_COMPUTE_32F_FAST_16BF = 75,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
}

/// <summary>Leave to use tensor cores; the last is a flag to be added.</summary>
[Flags]
public enum cublasMath_t
{
    CUBLAS_DEFAULT_MATH = 0,
    CUBLAS_TENSOR_OP_MATH = 1,
    CUBLAS_PEDANTIC_MATH = 2,
    CUBLAS_TF32_TENSOR_OP_MATH = 3,
    CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16,
}

/// <summary>Which of cuBLAS's algorithms; only the default has a meaning on sm_80 and later.</summary>
public enum cublasGemmAlgo_t
{
    CUBLAS_GEMM_DEFAULT = -1,
    CUBLAS_GEMM_DEFAULT_TENSOR_OP = 99,
}

/// <summary>Type of a matrix's elements. Values as in library_types.h.</summary>
public enum cudaDataType_t
{
    CUDA_R_32F = 0,
    CUDA_R_64F = 1,
    CUDA_R_16F = 2,
    CUDA_R_8I = 3,
    CUDA_R_8U = 8,
    CUDA_R_32I = 10,
    CUDA_R_32U = 12,
    CUDA_R_16BF = 14,
}

#pragma warning restore CS1591

/// <summary>The entries of cuBLAS. All fields are set: a provider leaves none null.</summary>
public unsafe struct CuBlas
{
    /// <summary>(out handle): for the current context; slow, and allocates a workspace.</summary>
    public delegate* unmanaged<cublasHandle_t*, cublasStatus_t> cublasCreate_v2;
    /// <summary>(handle).</summary>
    public delegate* unmanaged<cublasHandle_t, cublasStatus_t> cublasDestroy_v2;
    /// <summary>(handle, may be null; out version): 110503 = 11.5.3.</summary>
    public delegate* unmanaged<cublasHandle_t, int*, cublasStatus_t> cublasGetVersion_v2;
    /// <summary>(handle, device memory aligned to 256, bytes): instead of cuBLAS's own; setStream undoes it.</summary>
    public delegate* unmanaged<cublasHandle_t, void*, nuint, cublasStatus_t> cublasSetWorkspace_v2;
    /// <summary>(handle, stream): later calls go there.</summary>
    public delegate* unmanaged<cublasHandle_t, CUstream, cublasStatus_t> cublasSetStream_v2;
    /// <summary>(handle, mode).</summary>
    public delegate* unmanaged<cublasHandle_t, cublasMath_t, cublasStatus_t> cublasSetMathMode;
    /// <summary>(status): static text; on the virtual GPU the last report with that status.</summary>
    public delegate* unmanaged<cublasStatus_t, byte*> cublasGetStatusString;

    /// <summary>
    /// C = alpha op(A) op(B) + beta C: (handle, op A, op B, m, n, k, alpha, A, type, lda, B, type, ldb, beta, C, type,
    /// ldc, compute type, algorithm). C may not overlap A or B.
    /// </summary>
    public delegate* unmanaged<
        cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
        void*, void*, cudaDataType_t, int, void*, cudaDataType_t, int,
        void*, void*, cudaDataType_t, int, cublasComputeType_t, cublasGemmAlgo_t, cublasStatus_t> cublasGemmEx;

    /// <summary>
    /// The same for a batch of matrices at fixed distances: after each leading dimension comes the distance in
    /// elements, after the last one the number of products.
    /// </summary>
    public delegate* unmanaged<
        cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
        void*, void*, cudaDataType_t, int, long, void*, cudaDataType_t, int, long,
        void*, void*, cudaDataType_t, int, long, int, cublasComputeType_t, cublasGemmAlgo_t, cublasStatus_t>
        cublasGemmStridedBatchedEx;

    /// <summary>Throws <see cref="CuException"/> unless <paramref name="status"/> is CUBLAS_STATUS_SUCCESS.</summary>
    /// <param name="status">The call itself.</param>
    /// <param name="call">Left out: the compiler puts the text of the call here, for the message.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Check(cublasStatus_t status, [CallerArgumentExpression(nameof(status))] string call = "")
    {
        if (status != cublasStatus_t.CUBLAS_STATUS_SUCCESS) throw Failure(status, call, "");
    }

    /// <summary>As the shorter form, with the values of the arguments; they are formatted only on failure.</summary>
    /// <param name="status">The call itself.</param>
    /// <param name="arguments">An interpolated string: <c>$"m {m}, n {n}, k {k}"</c>.</param>
    /// <param name="call">Left out.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Check(
        cublasStatus_t status,
        [InterpolatedStringHandlerArgument(nameof(status))] ref CuArguments arguments,
        [CallerArgumentExpression(nameof(status))] string call = "")
    {
        if (status != cublasStatus_t.CUBLAS_STATUS_SUCCESS) throw Failure(status, call, arguments.ToString());
    }

    /// <summary>The exception for a failed call.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public readonly CuException Failure(cublasStatus_t status, string call, string arguments) => new(
        CuException.NameOfCall(call), arguments, (int)status, status.ToString(),
        CuText.Read(cublasGetStatusString(status)) ?? status.ToString(), CuErrors.Advice(status));
}
