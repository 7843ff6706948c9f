// Large matrix products: cuBLAS of the provider. cuBLAS is column-major; a row-major y (M, N) = x (M, K) · wᵀ is its
// product of w transposed and x, both as they lie in memory.
using EpSam.Cuda;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Matrix products by cuBLAS.</summary>
public static unsafe class MatMul
{
    /// <summary>
    /// y (…, N) = x (…, K) · wᵀ with w (N, …) of K values a row, as a layer has its weight; or y += x · wᵀ when
    /// <paramref name="add"/> is set; or x · w with w (K, …) of N values a row, as a transposed convolution has its
    /// weight, when <paramref name="transposed"/> is not. All f32, all bf16, or bf16 with y in f32; sums in f32. y may
    /// not overlap x or w. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor w, Tensor y, bool add = false, bool transposed = true)
    {
        Expect.Type("MatMul", "x", x, DType.F32, DType.BF16);
        int m = Expect.Int("MatMul", "rows of x", x.Shape.Rows), k = Expect.Int("MatMul", "columns of x", x.Shape[^1]);
        long rows = w.Shape[0], columns = w.Shape.Count / Math.Max(1, rows);
        int n = Expect.Int("MatMul", transposed ? "rows of w" : "columns of w", transposed ? rows : columns);
        Tensor matrix = w.Reshape(new Shape(rows, columns));
        Expect.Shape("MatMul", "w", matrix, x.DType, transposed ? n : k, transposed ? k : n);
        DType output = x.DType == DType.BF16 && y.DType == DType.F32 ? DType.F32 : x.DType;
        Expect.Shape("MatMul", "y", y.Reshape(new Shape(y.Shape.Rows, y.Shape[^1])), output, m, n);
        cudaDataType_t type = Type(x.DType);
        float one = 1, beta = add ? 1 : 0;
        CuBlas blas = gpu.Blas
            ?? throw new InvalidOperationException("MatMul: this Gpu was opened without a cuBLAS table");
        cublasOperation_t turn = transposed ? cublasOperation_t.CUBLAS_OP_T : cublasOperation_t.CUBLAS_OP_N;
        blas.Check(
            blas.cublasGemmEx(gpu.BlasHandle, turn, cublasOperation_t.CUBLAS_OP_N, n, m, k, &one,
                (void*)w.Address.Value, type, transposed ? k : n, (void*)x.Address.Value, type, k, &beta,
                (void*)y.Address.Value, Type(output), n,
                cublasComputeType_t.CUBLAS_COMPUTE_32F, cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT),
            $"x {x}, w {w}, y {y}");
    }

    static cudaDataType_t Type(DType type) =>
        type == DType.F32 ? cudaDataType_t.CUDA_R_32F : cudaDataType_t.CUDA_R_16BF;

    /// <summary>Multiplications and additions.</summary>
    public static long Flops(Tensor x, Tensor y) => 2 * x.Shape.Count * y.Shape[^1];

    /// <summary>Every matrix once.</summary>
    public static long Bytes(Tensor x, Tensor w, Tensor y) => x.Bytes + w.Bytes + y.Bytes;
}
