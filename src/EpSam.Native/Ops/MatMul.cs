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
        Multiply(gpu, (w, transposed), (x, false), (n, m, k), y, add);
    }

    /// <summary>
    /// dw (N, …) of K values a row = dyᵀ · x, the gradient of w from x (…, K) and dy (…, N); or that added to dw. Types
    /// as in <see cref="Forward"/>. Does not synchronise.
    /// </summary>
    public static void BackwardWeight(Gpu gpu, Tensor x, Tensor dy, Tensor dw, bool add = false)
    {
        Expect.Type("MatMul", "x", x, DType.F32, DType.BF16);
        int m = Expect.Int("MatMul", "rows of x", x.Shape.Rows), k = Expect.Int("MatMul", "columns of x", x.Shape[^1]);
        int n = Expect.Int("MatMul", "columns of dy", dy.Shape[^1]);
        Expect.Shape("MatMul", "dy", dy.Reshape(new Shape(dy.Shape.Rows, n)), x.DType, m, n);
        DType output = x.DType == DType.BF16 && dw.DType == DType.F32 ? DType.F32 : x.DType;
        long rows = dw.Shape[0];
        Expect.Shape("MatMul", "dw", dw.Reshape(new Shape(rows, dw.Shape.Count / Math.Max(1, rows))), output, n, k);
        Multiply(gpu, (x, false), (dy, true), (k, n, m), dw, add);
    }

    // c (Columns, Rows) in memory = b · a, each as it lies in memory, or turned.
    static void Multiply(Gpu gpu, (Tensor Matrix, bool Turned) a, (Tensor Matrix, bool Turned) b,
        (int Rows, int Columns, int Depth) size, Tensor c, bool add)
    {
        (int m, int n, int k) = size;
        cudaDataType_t type = Type(a.Matrix.DType);
        float one = 1, beta = add ? 1 : 0;
        CuBlas blas = gpu.Blas
            ?? throw new InvalidOperationException("MatMul: this Gpu was opened without a cuBLAS table");
        cublasOperation_t turnA = a.Turned ? cublasOperation_t.CUBLAS_OP_T : cublasOperation_t.CUBLAS_OP_N;
        cublasOperation_t turnB = b.Turned ? cublasOperation_t.CUBLAS_OP_T : cublasOperation_t.CUBLAS_OP_N;
        blas.Check(
            blas.cublasGemmEx(gpu.BlasHandle, turnA, turnB, m, n, k, &one,
                (void*)a.Matrix.Address.Value, type, a.Turned ? k : m,
                (void*)b.Matrix.Address.Value, type, b.Turned ? n : k, &beta, (void*)c.Address.Value, Type(c.DType), m,
                cublasComputeType_t.CUBLAS_COMPUTE_32F, cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT),
            $"{a.Matrix}, {b.Matrix}, {c}");
    }

    static cudaDataType_t Type(DType type) =>
        type == DType.F32 ? cudaDataType_t.CUDA_R_32F : cudaDataType_t.CUDA_R_16BF;

    /// <summary>Multiplications and additions.</summary>
    public static long Flops(Tensor x, Tensor y) => 2 * x.Shape.Count * y.Shape[^1];

    /// <summary>Every matrix once.</summary>
    public static long Bytes(Tensor x, Tensor w, Tensor y) => x.Bytes + w.Bytes + y.Bytes;
}
