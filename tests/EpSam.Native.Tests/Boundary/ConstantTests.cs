using EpSam.Cuda;

namespace EpSam.Native.Tests.Boundary;

/// <summary>Values written down from cuda.h, cublas_api.h and library_types.h.</summary>
public sealed class ConstantTests
{
    static readonly (Enum Constant, int Value)[] Headers =
    [
        (CUresult.CUDA_ERROR_INVALID_VALUE, 1),
        (CUresult.CUDA_ERROR_OUT_OF_MEMORY, 2),
        (CUresult.CUDA_ERROR_NO_DEVICE, 100),
        (CUresult.CUDA_ERROR_INVALID_IMAGE, 200),
        (CUresult.CUDA_ERROR_INVALID_CONTEXT, 201),
        (CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU, 209),
        (CUresult.CUDA_ERROR_INVALID_PTX, 218),
        (CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222),
        (CUresult.CUDA_ERROR_INVALID_HANDLE, 400),
        (CUresult.CUDA_ERROR_NOT_FOUND, 500),
        (CUresult.CUDA_ERROR_NOT_READY, 600),
        (CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, 700),
        (CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701),
        (CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED, 709),
        (CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR, 714),
        (CUresult.CUDA_ERROR_MISALIGNED_ADDRESS, 716),
        (CUresult.CUDA_ERROR_LAUNCH_FAILED, 719),
        (CUresult.CUDA_ERROR_UNKNOWN, 999),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 8),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_WARP_SIZE, 10),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 13),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 20),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 38),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 82),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 106),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 111),
        (CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 115),
        (CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS, 4),
        (CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8),
        (CUpointer_attribute.CU_POINTER_ATTRIBUTE_RANGE_SIZE, 12),
        (CUmemorytype.CU_MEMORYTYPE_DEVICE, 2),
        (CUjit_option.CU_JIT_ERROR_LOG_BUFFER, 5),
        (cublasStatus_t.CUBLAS_STATUS_EXECUTION_FAILED, 13),
        (cublasStatus_t.CUBLAS_STATUS_NOT_SUPPORTED, 15),
        (cublasOperation_t.CUBLAS_OP_T, 1),
        (cublasComputeType_t.CUBLAS_COMPUTE_32F, 68),
        (cublasComputeType_t.CUBLAS_COMPUTE_64F, 70),
        (cublasComputeType_t.CUBLAS_COMPUTE_32F_FAST_TF32, 77),
        (cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT, -1),
        (cublasMath_t.CUBLAS_TF32_TENSOR_OP_MATH, 3),
        (cudaDataType_t.CUDA_R_16F, 2),
        (cudaDataType_t.CUDA_R_16BF, 14),
    ];

    [Test]
    public void Constants_HaveTheHeadersValues() => Assert.Multiple(() =>
    {
        foreach ((Enum constant, int value) in Headers)
            Assert.That(Convert.ToInt32(constant), Is.EqualTo(value), constant.ToString());
    });

    [Test]
    public unsafe void Handles_AreOnePointerWide()
    {
        Assert.Multiple(() =>
        {
            Assert.That(sizeof(CUcontext), Is.EqualTo(sizeof(nint)));
            Assert.That(sizeof(CUstream), Is.EqualTo(sizeof(nint)));
            Assert.That(sizeof(cublasHandle_t), Is.EqualTo(sizeof(nint)));
            Assert.That(sizeof(CUdeviceptr), Is.EqualTo(8));
            Assert.That(sizeof(CUdevice), Is.EqualTo(4));
            Assert.That(sizeof(CUuuid), Is.EqualTo(16));
        });
    }

    [Test]
    public void Codes_AllHaveAText()
    {
        foreach (CUresult code in CuErrors.All) Assert.That(CuErrors.Text(code), Is.Not.Empty, code.ToString());
    }
}
