using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.cublasComputeType_t;
using static EpSam.Cuda.cublasOperation_t;
using static EpSam.Cuda.cublasStatus_t;
using static EpSam.Cuda.cudaDataType_t;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class BlasTests
{
    VirtualDevice _gpu = null!;
    CuBlas _blas;
    cublasHandle_t _handle;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice();
        _blas = _gpu.Gpu.Blas;
        cublasHandle_t handle;
        _blas.Check(_blas.cublasCreate_v2(&handle));
        _handle = handle;
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    void Fails(cublasStatus_t expected, cublasStatus_t actual, params string[] words)
    {
        string text = CuText.Read(_blas.cublasGetStatusString(actual))!;
        Assert.That(actual, Is.EqualTo(expected), text);
        foreach (string word in words) Assert.That(text, Does.Contain(word));
    }

    cublasStatus_t Multiply(
        CUdeviceptr a, CUdeviceptr b, CUdeviceptr c, int m, int n, int k, int lda, int ldb, int ldc,
        cublasOperation_t transA = CUBLAS_OP_N, cublasOperation_t transB = CUBLAS_OP_N, float beta = 0,
        cudaDataType_t type = CUDA_R_32F, cublasComputeType_t compute = CUBLAS_COMPUTE_32F)
    {
        float alpha = 2;
        return _blas.cublasGemmEx(_handle, transA, transB, m, n, k,
            &alpha, (void*)a.Value, type, lda, (void*)b.Value, type, ldb, &beta, (void*)c.Value, CUDA_R_32F, ldc,
            compute, cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT);
    }

    [Test]
    public void Gemm_IsColumnMajor()
    {
        // A = [1 3; 2 4], B = [5 7; 6 8], column by column; 2·A·B = [46 62; 68 92]
        CUdeviceptr a = _gpu.Upload(1f, 2, 3, 4), b = _gpu.Upload(5f, 6, 7, 8), c = _gpu.Allocate(16);
        _blas.Check(Multiply(a, b, c, 2, 2, 2, 2, 2, 2));
        Assert.That(_gpu.Download<float>(c, 4), Is.EqualTo(new[] { 46f, 68, 62, 92 }));
        // A transposed is [1 2; 3 4]: 2·A'·B + 1·C = [34 46; 78 106] + C
        _blas.Check(Multiply(a, b, c, 2, 2, 2, 2, 2, 2, transA: CUBLAS_OP_T, beta: 1));
        Assert.That(_gpu.Download<float>(c, 4), Is.EqualTo(new[] { 46f + 34, 68 + 78, 62 + 46, 92 + 106 }));
        Assert.That(_gpu.Gpu.LastLaunch!.MmaFlops, Is.EqualTo(16));
    }

    [Test]
    public void Gemm_StridedBatch_InDouble()
    {
        CUdeviceptr a = _gpu.Upload(2.0, 3.0), b = _gpu.Upload(10.0, 100.0), c = _gpu.Allocate(16);
        double alpha = 1, beta = 0;
        _blas.Check(_blas.cublasGemmStridedBatchedEx(_handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &alpha, (void*)a.Value,
            CUDA_R_64F, 1, 1, (void*)b.Value, CUDA_R_64F, 1, 1, &beta, (void*)c.Value, CUDA_R_64F, 1, 1, 2,
            CUBLAS_COMPUTE_64F, cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT));
        Assert.That(_gpu.Download<double>(c, 2), Is.EqualTo(new[] { 20.0, 300.0 }));
    }

    [Test]
    public void Arguments_AreChecked()
    {
        CUdeviceptr a = _gpu.Upload(1f, 2, 3, 4), c = _gpu.Allocate(16);
        Fails(CUBLAS_STATUS_INVALID_VALUE, Multiply(a, a, c, -1, 2, 2, 2, 2, 2), "m -1");
        Fails(CUBLAS_STATUS_INVALID_VALUE, Multiply(a, a, c, 2, 2, 2, 1, 2, 2), "leading dimension of A is 1");
        Fails(CUBLAS_STATUS_INVALID_VALUE, Multiply(a, a, c, 2, 2, 2, 2, 2, 1), "leading dimension of C");
        Fails(CUBLAS_STATUS_NOT_SUPPORTED, Multiply(a, a, c, 2, 2, 2, 2, 2, 2, type: CUDA_R_8I), "CUDA_R_8I");
        Fails(CUBLAS_STATUS_NOT_SUPPORTED, Multiply(a, a, c, 2, 2, 2, 2, 2, 2, compute: CUBLAS_COMPUTE_64F),
            "COMPUTE_64F");
        Fails(CUBLAS_STATUS_INVALID_VALUE, _blas.cublasSetStream_v2(_handle, new(4242)), "stream");
        Fails(CUBLAS_STATUS_INVALID_VALUE, _blas.cublasSetWorkspace_v2(_handle, (void*)a.Value, 4096), "workspace");
        Fails(CUBLAS_STATUS_INVALID_VALUE, _blas.cublasSetMathMode(_handle, (cublasMath_t)9), "9");
        _blas.Check(_blas.cublasSetMathMode(_handle, cublasMath_t.CUBLAS_TF32_TENSOR_OP_MATH));
        _blas.Check(_blas.cublasSetStream_v2(_handle, default));
        _blas.Check(Multiply(a, a, c, 0, 2, 2, 1, 2, 1));
        _blas.Check(Multiply(a, a, c, 2, 2, 2, 2, 2, 2));
    }

    [Test]
    public void Handles_AreChecked()
    {
        int version;
        _blas.Check(_blas.cublasGetVersion_v2(_handle, &version));
        Assert.That(version, Is.EqualTo(110800));
        _blas.Check(_blas.cublasDestroy_v2(_handle));
        Fails(CUBLAS_STATUS_NOT_INITIALIZED, _blas.cublasDestroy_v2(_handle), "destroyed");
        _gpu.Cu.Check(_gpu.Cu.cuCtxSetCurrent(default));
        cublasHandle_t handle;
        Fails(CUBLAS_STATUS_NOT_INITIALIZED, _blas.cublasCreate_v2(&handle), "no context is current");
    }

    [Test]
    public void MatrixBeyondItsAllocation_IsAStickyIllegalAddress()
    {
        CUdeviceptr a = _gpu.Upload(1f, 2, 3, 4), c = _gpu.Allocate(12);
        Fails(CUBLAS_STATUS_EXECUTION_FAILED, Multiply(a, a, c, 2, 2, 2, 2, 2, 2), "matrix C, 2 by 2", "16 bytes");
        _gpu.Fails(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, _gpu.Cu.cuCtxSynchronize(), "cublasGemmEx");
        _gpu.Reset();
        _gpu.AssertUsable();
    }

    [Test]
    public void UnwrittenMatrix_IsReported()
    {
        CUdeviceptr a = _gpu.Allocate(16), c = _gpu.Allocate(16);
        _gpu.Cu.Check(_gpu.Cu.cuMemsetD32_v2(a, 0, 3));
        Fails(CUBLAS_STATUS_EXECUTION_FAILED, Multiply(a, a, c, 2, 2, 2, 2, 2, 2), "matrix A", "row 1, column 1");
        using VirtualDevice lax = new("rtx-3060", CheckFlags.All & ~CheckFlags.Initialised);
        _blas.Check(_blas.cublasDestroy_v2(_handle), $"destroying needs no usable context");
    }

    [Test]
    public void Padding_BetweenColumnsNeedNotBeWritten()
    {
        CUdeviceptr a = _gpu.Allocate(16), c = _gpu.Allocate(16);
        _gpu.Cu.Check(_gpu.Cu.cuMemsetD32_v2(a, 0x3f800000, 1));
        _gpu.Cu.Check(_gpu.Cu.cuMemsetD32_v2(a + 8, 0x3f800000, 1)); // 1 by 2 with a leading dimension of 2
        _blas.Check(Multiply(a, a, c, 1, 1, 2, 2, 2, 2, transB: CUBLAS_OP_T));
        Assert.That(_gpu.Download<float>(c, 1), Is.EqualTo(new[] { 4f }));
    }
}
