// The virtual driver's tables: which function answers which entry. The compiler checks every signature; a test checks
// that none is left out.
using EpSam.Cuda;

namespace EpSam.VirtualGpu.Driver;

internal static unsafe class Tables
{
    public static CuDriver Driver(CUdevice device)
    {
        CuDriver table = new()
        {
            cuGetErrorString = &Guard.cuGetErrorString,
            cuGetErrorName = &Guard.cuGetErrorName,
            cuDriverGetVersion = &Device.cuDriverGetVersion,
            cuDeviceGetName = &Device.cuDeviceGetName,
            cuDeviceGetUuid = &Device.cuDeviceGetUuid,
            cuDeviceTotalMem_v2 = &Device.cuDeviceTotalMem_v2,
            cuDeviceGetAttribute = &Device.cuDeviceGetAttribute,
            cuDevicePrimaryCtxRetain = &Device.cuDevicePrimaryCtxRetain,
            cuDevicePrimaryCtxRelease_v2 = &Device.cuDevicePrimaryCtxRelease_v2,
            cuDevicePrimaryCtxReset_v2 = &Device.cuDevicePrimaryCtxReset_v2,
            cuCtxPushCurrent_v2 = &Context.cuCtxPushCurrent_v2,
            cuCtxPopCurrent_v2 = &Context.cuCtxPopCurrent_v2,
            cuCtxSetCurrent = &Context.cuCtxSetCurrent,
            cuCtxGetCurrent = &Context.cuCtxGetCurrent,
            cuCtxGetDevice = &Context.cuCtxGetDevice,
            cuCtxSynchronize = &Context.cuCtxSynchronize,
            cuModuleLoadData = &Module.cuModuleLoadData,
            cuModuleLoadDataEx = &Module.cuModuleLoadDataEx,
            cuModuleUnload = &Module.cuModuleUnload,
            cuModuleGetFunction = &Module.cuModuleGetFunction,
            cuModuleGetGlobal_v2 = &Module.cuModuleGetGlobal_v2,
            cuMemGetInfo_v2 = &Memory.cuMemGetInfo_v2,
            cuMemAlloc_v2 = &Memory.cuMemAlloc_v2,
            cuMemFree_v2 = &Memory.cuMemFree_v2,
            cuMemHostAlloc = &Memory.cuMemHostAlloc,
            cuMemFreeHost = &Memory.cuMemFreeHost,
            cuPointerGetAttribute = &Memory.cuPointerGetAttribute,
            cuMemcpyHtoD_v2 = &Memory.cuMemcpyHtoD_v2,
            cuMemcpyDtoH_v2 = &Memory.cuMemcpyDtoH_v2,
            cuMemcpyDtoD_v2 = &Memory.cuMemcpyDtoD_v2,
            cuMemcpyHtoDAsync_v2 = &Memory.cuMemcpyHtoDAsync_v2,
            cuMemcpyDtoHAsync_v2 = &Memory.cuMemcpyDtoHAsync_v2,
            cuMemcpyDtoDAsync_v2 = &Memory.cuMemcpyDtoDAsync_v2,
            cuMemsetD8_v2 = &Memory.cuMemsetD8_v2,
            cuMemsetD16_v2 = &Memory.cuMemsetD16_v2,
            cuMemsetD32_v2 = &Memory.cuMemsetD32_v2,
            cuMemsetD8Async = &Memory.cuMemsetD8Async,
            cuMemsetD16Async = &Memory.cuMemsetD16Async,
            cuMemsetD32Async = &Memory.cuMemsetD32Async,
            cuStreamCreate = &Stream.cuStreamCreate,
            cuStreamWaitEvent = &Stream.cuStreamWaitEvent,
            cuStreamQuery = &Stream.cuStreamQuery,
            cuStreamSynchronize = &Stream.cuStreamSynchronize,
            cuStreamDestroy_v2 = &Stream.cuStreamDestroy_v2,
            cuEventCreate = &Event.cuEventCreate,
            cuEventRecord = &Event.cuEventRecord,
            cuEventQuery = &Event.cuEventQuery,
            cuEventSynchronize = &Event.cuEventSynchronize,
            cuEventDestroy_v2 = &Event.cuEventDestroy_v2,
            cuEventElapsedTime = &Event.cuEventElapsedTime,
            cuFuncGetAttribute = &Function.cuFuncGetAttribute,
            cuFuncSetAttribute = &Function.cuFuncSetAttribute,
            cuLaunchKernel = &Function.cuLaunchKernel,
            cuOccupancyMaxActiveBlocksPerMultiprocessor = &Function.cuOccupancyMaxActiveBlocksPerMultiprocessor,
        };
        CuEntry.Bind(ref table, device);
        return table;
    }

    public static CuBlas Blas() => new()
    {
        cublasCreate_v2 = &BlasHandle.cublasCreate_v2,
        cublasDestroy_v2 = &BlasHandle.cublasDestroy_v2,
        cublasGetVersion_v2 = &BlasHandle.cublasGetVersion_v2,
        cublasSetWorkspace_v2 = &BlasHandle.cublasSetWorkspace_v2,
        cublasSetStream_v2 = &BlasHandle.cublasSetStream_v2,
        cublasSetMathMode = &BlasHandle.cublasSetMathMode,
        cublasGetStatusString = &Guard.cublasGetStatusString,
        cublasGemmEx = &BlasHandle.cublasGemmEx,
        cublasGemmStridedBatchedEx = &BlasHandle.cublasGemmStridedBatchedEx,
    };
}
