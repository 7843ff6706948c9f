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
    /// <paramref name="add"/> is set. All f32, all bf16, or bf16 with y in f32; sums in f32. y may not overlap x or w. Does not
    /// synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor w, Tensor y, bool add = false)
    {
        Expect.Type("MatMul", "x", x, DType.F32, DType.BF16);
        int m = Expect.Int("MatMul", "rows of x", x.Shape.Rows), k = Expect.Int("MatMul", "columns of x", x.Shape[^1]);
        int n = Expect.Int("MatMul", "rows of w", w.Shape[0]);
        Expect.Shape("MatMul", "w", w.Reshape(new Shape(n, w.Shape.Count / Math.Max(1, n))), x.DType, n, k);
        DType output = x.DType == DType.BF16 && y.DType == DType.F32 ? DType.F32 : x.DType;
        Expect.Shape("MatMul", "y", y.Reshape(new Shape(y.Shape.Rows, y.Shape[^1])), output, m, n);
        cudaDataType_t type = Type(x.DType);
        float one = 1, beta = add ? 1 : 0;
        CuBlas blas = gpu.Blas ?? throw new InvalidOperationException("MatMul: this Gpu was opened without a cuBLAS table");
        blas.Check(
            blas.cublasGemmEx(gpu.BlasHandle, cublasOperation_t.CUBLAS_OP_T, cublasOperation_t.CUBLAS_OP_N, n, m, k,
                &one, (void*)w.Address.Value, type, k, (void*)x.Address.Value, type, k, &beta, (void*)y.Address.Value, Type(output), n,
                cublasComputeType_t.CUBLAS_COMPUTE_32F, cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT),
            $"x {x}, w {w}, y {y}");
    }

    static cudaDataType_t Type(DType type) => type == DType.F32 ? cudaDataType_t.CUDA_R_32F : cudaDataType_t.CUDA_R_16BF;

    /// <summary>Multiplications and additions.</summary>
    public static long Flops(Tensor x, Tensor y) => 2 * x.Shape.Count * y.Shape[^1];

    /// <summary>Every matrix once.</summary>
    public static long Bytes(Tensor x, Tensor w, Tensor y) => x.Bytes + w.Bytes + y.Bytes;
}
