// The entries of the null provider. State hangs on handles: a context is the device's number, a module or function the
// number of an object in a table; the current context is per thread, as in the driver.
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static EpSam.Cuda.CUresult;

namespace EpSam.Cuda;

/// <summary>cu* and cublas* entries that do nothing but count.</summary>
internal static unsafe class CuNullDriver
{
    sealed record Function(CuNullModule Module, string Name);

    static readonly ConcurrentDictionary<nint, object> Objects = new(); // modules, functions, streams, events
    static readonly ConcurrentDictionary<nint, long> HostBlocks = new();
    static readonly Lazy<nint> EmptyText = new(() => (nint)CuText.Pointer("null provider"));
    static long s_lastHandle = 0x6000_0000;

    [ThreadStatic] static Stack<int>? t_contexts;

    static CuNull? Current => t_contexts is { Count: > 0 } stack ? CuNull.Find(stack.Peek()) : null;

    public static CuDriver Table(int device)
    {
        CuDriver table = new()
        {
            cuGetErrorString = &GetErrorString, cuGetErrorName = &GetErrorName, cuDriverGetVersion = &DriverGetVersion,
            cuDeviceGetName = &DeviceGetName, cuDeviceGetUuid = &DeviceGetUuid, cuDeviceTotalMem_v2 = &DeviceTotalMem,
            cuDeviceGetAttribute = &DeviceGetAttribute,
            cuDevicePrimaryCtxRetain = &PrimaryCtxRetain, cuDevicePrimaryCtxRelease_v2 = &PrimaryCtxRelease,
            cuDevicePrimaryCtxReset_v2 = &PrimaryCtxReset,
            cuCtxPushCurrent_v2 = &CtxPush, cuCtxPopCurrent_v2 = &CtxPop, cuCtxSetCurrent = &CtxSetCurrent,
            cuCtxGetCurrent = &CtxGetCurrent, cuCtxGetDevice = &CtxGetDevice, cuCtxSynchronize = &CtxSynchronize,
            cuModuleLoadData = &ModuleLoadData, cuModuleLoadDataEx = &ModuleLoadDataEx, cuModuleUnload = &ModuleUnload,
            cuModuleGetFunction = &ModuleGetFunction, cuModuleGetGlobal_v2 = &ModuleGetGlobal,
            cuMemGetInfo_v2 = &MemGetInfo, cuMemAlloc_v2 = &MemAlloc, cuMemFree_v2 = &MemFree,
            cuMemHostAlloc = &MemHostAlloc, cuMemFreeHost = &MemFreeHost, cuPointerGetAttribute = &PointerGetAttribute,
            cuMemcpyHtoD_v2 = &HtoD, cuMemcpyDtoH_v2 = &DtoH, cuMemcpyDtoD_v2 = &DtoD,
            cuMemcpyHtoDAsync_v2 = &HtoDAsync, cuMemcpyDtoHAsync_v2 = &DtoHAsync, cuMemcpyDtoDAsync_v2 = &DtoDAsync,
            cuMemsetD8_v2 = &Set8, cuMemsetD16_v2 = &Set16, cuMemsetD32_v2 = &Set32,
            cuMemsetD8Async = &Set8Async, cuMemsetD16Async = &Set16Async, cuMemsetD32Async = &Set32Async,
            cuStreamCreate = &StreamCreate, cuStreamWaitEvent = &StreamWaitEvent, cuStreamQuery = &StreamDone,
            cuStreamSynchronize = &StreamDone, cuStreamDestroy_v2 = &StreamDestroy,
            cuEventCreate = &EventCreate, cuEventRecord = &EventRecord, cuEventQuery = &EventDone,
            cuEventSynchronize = &EventDone, cuEventDestroy_v2 = &EventDestroy, cuEventElapsedTime = &EventElapsedTime,
            cuFuncGetAttribute = &FuncGetAttribute, cuFuncSetAttribute = &FuncSetAttribute,
            cuLaunchKernel = &LaunchKernel, cuOccupancyMaxActiveBlocksPerMultiprocessor = &Occupancy,
        };
        CuEntry.Bind(ref table, new CUdevice(device));
        return table;
    }

    public static CuBlas BlasTable() => new()
    {
        cublasCreate_v2 = &BlasCreate, cublasDestroy_v2 = &BlasDestroy, cublasGetVersion_v2 = &BlasGetVersion,
        cublasSetWorkspace_v2 = &BlasSetWorkspace, cublasSetStream_v2 = &BlasSetStream,
        cublasSetMathMode = &BlasSetMathMode, cublasGetStatusString = &BlasStatusString,
        cublasGemmEx = &GemmEx, cublasGemmStridedBatchedEx = &GemmStridedBatchedEx,
    };

    static nint Add(object value)
    {
        nint handle = (nint)Interlocked.Add(ref s_lastHandle, 16);
        Objects[handle] = value;
        return handle;
    }

    static T? Find<T>(nint handle) where T : class => Objects.GetValueOrDefault(handle) as T;

    static CUresult Remove<T>(nint handle) where T : class =>
        Find<T>(handle) is not null && Objects.TryRemove(handle, out _) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;

    static bool IsStream(CUstream stream) => stream.Value is >= 0 and <= 2 || Find<Stream>(stream.Value) is not null;

    static bool IsEvent(CUevent e) => Find<Event>(e.Value) is not null;

    // ---- errors, devices

    [UnmanagedCallersOnly]
    static CUresult GetErrorString(CUresult code, byte** text)
    {
        string? words = CuErrors.Text(code);
        *text = words is null ? null : CuText.Pointer(words);
        return words is null ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult GetErrorName(CUresult code, byte** text)
    {
        bool known = CuErrors.Text(code) is not null;
        *text = known ? CuText.Pointer(code.ToString()) : null;
        return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }

    [UnmanagedCallersOnly]
    static CUresult DriverGetVersion(int* version) => Set(version, 11080);

    [UnmanagedCallersOnly]
    static CUresult DeviceGetName(byte* name, int size, CUdevice device)
    {
        if (CuNull.Find(device.Value) is null) return CUDA_ERROR_INVALID_DEVICE;
        if (name == null || size <= 0) return CUDA_ERROR_INVALID_VALUE;
        ReadOnlySpan<byte> text = "Null device"u8;
        int length = Math.Min(text.Length, size - 1);
        text[..length].CopyTo(new Span<byte>(name, length));
        name[length] = 0;
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult DeviceGetUuid(CUuuid* uuid, CUdevice device)
    {
        if (CuNull.Find(device.Value) is null) return CUDA_ERROR_INVALID_DEVICE;
        CUuuid value = default;
        *(int*)value.bytes = device.Value;
        return Set(uuid, value);
    }

    [UnmanagedCallersOnly]
    static CUresult DeviceTotalMem(nuint* bytes, CUdevice device) =>
        CuNull.Find(device.Value) is { } gpu ? Set(bytes, (nuint)gpu.Options.TotalBytes) : CUDA_ERROR_INVALID_DEVICE;

    [UnmanagedCallersOnly]
    static CUresult DeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device)
    {
        if (CuNull.Find(device.Value) is not { } gpu) return CUDA_ERROR_INVALID_DEVICE;
        return Set(value, attribute switch
        {
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK
                or CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X
                or CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y => 1024,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z => 64,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X => int.MaxValue,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y
                or CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z => 65535,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK => 49152,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN => gpu.Options.MaxSharedBytes,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_WARP_SIZE => 32,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT => gpu.Options.Multiprocessors,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR => gpu.Options.ComputeCapability / 10,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR => gpu.Options.ComputeCapability % 10,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK
                or CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR => 65536,
            CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR => 1536,
            _ => 0,
        });
    }

    // ---- contexts

    [UnmanagedCallersOnly]
    static CUresult PrimaryCtxRetain(CUcontext* context, CUdevice device) =>
        CuNull.Find(device.Value) is null ? CUDA_ERROR_INVALID_DEVICE : Set(context, new CUcontext(device.Value));

    [UnmanagedCallersOnly]
    static CUresult PrimaryCtxRelease(CUdevice device) =>
        CuNull.Find(device.Value) is null ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;

    [UnmanagedCallersOnly]
    static CUresult PrimaryCtxReset(CUdevice device)
    {
        if (CuNull.Find(device.Value) is not { } gpu) return CUDA_ERROR_INVALID_DEVICE;
        gpu.FreeAll();
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult CtxPush(CUcontext context)
    {
        if (CuNull.Find((int)context.Value) is null) return CUDA_ERROR_INVALID_CONTEXT;
        (t_contexts ??= new()).Push((int)context.Value);
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult CtxPop(CUcontext* context)
    {
        if (t_contexts is not { Count: > 0 } stack) return CUDA_ERROR_INVALID_CONTEXT;
        int top = stack.Pop();
        if (context != null) *context = new CUcontext(top);
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult CtxSetCurrent(CUcontext context)
    {
        if (context.Value != 0 && CuNull.Find((int)context.Value) is null) return CUDA_ERROR_INVALID_CONTEXT;
        t_contexts ??= new();
        if (t_contexts.Count > 0) t_contexts.Pop();
        if (context.Value != 0) t_contexts.Push((int)context.Value);
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult CtxGetCurrent(CUcontext* context) =>
        Set(context, new CUcontext(t_contexts is { Count: > 0 } stack ? stack.Peek() : 0));

    [UnmanagedCallersOnly]
    static CUresult CtxGetDevice(CUdevice* device) =>
        Current is { } gpu ? Set(device, new CUdevice(gpu.Device)) : CUDA_ERROR_INVALID_CONTEXT;

    [UnmanagedCallersOnly]
    static CUresult CtxSynchronize() => Current is null ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;

    // ---- modules

    [UnmanagedCallersOnly]
    static CUresult ModuleLoadData(CUmodule* module, void* image) => LoadModule(module, image);

    [UnmanagedCallersOnly]
    static CUresult ModuleLoadDataEx(CUmodule* module, void* image, uint count, CUjit_option* options, void** values) =>
        LoadModule(module, image);

    static CUresult LoadModule(CUmodule* module, void* image)
    {
        if (Current is not { } gpu) return CUDA_ERROR_INVALID_CONTEXT;
        if (module == null || image == null) return CUDA_ERROR_INVALID_VALUE;
        return Set(module, new CUmodule(Add(new CuNullModule(gpu, CuText.Read((byte*)image)!))));
    }

    [UnmanagedCallersOnly]
    static CUresult ModuleUnload(CUmodule module) => Remove<CuNullModule>(module.Value);

    [UnmanagedCallersOnly]
    static CUresult ModuleGetFunction(CUfunction* function, CUmodule module, byte* name)
    {
        if (Find<CuNullModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        if (function == null || name == null) return CUDA_ERROR_INVALID_VALUE;
        string text = CuText.Read(name)!;
        return m.HasEntry(text)
            ? Set(function, new CUfunction(Add(new Function(m, text))))
            : CUDA_ERROR_NOT_FOUND;
    }

    [UnmanagedCallersOnly]
    static CUresult ModuleGetGlobal(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name)
    {
        if (Find<CuNullModule>(module.Value) is not { } m) return CUDA_ERROR_INVALID_HANDLE;
        if (name == null) return CUDA_ERROR_INVALID_VALUE;
        if (m.Variable(CuText.Read(name)!) is not { } variable) return CUDA_ERROR_NOT_FOUND;
        ModuleData[variable.Address] = variable.Value;
        if (address != null) *address = new CUdeviceptr(variable.Address);
        if (bytes != null) *bytes = (nuint)variable.Value.Length;
        return CUDA_SUCCESS;
    }

    static readonly ConcurrentDictionary<ulong, byte[]> ModuleData = new();

    // ---- memory

    [UnmanagedCallersOnly]
    static CUresult MemGetInfo(nuint* free, nuint* total)
    {
        if (Current is not { } gpu) return CUDA_ERROR_INVALID_CONTEXT;
        Set(free, (nuint)(gpu.Options.TotalBytes - gpu.LiveBytes));
        return Set(total, (nuint)gpu.Options.TotalBytes);
    }

    [UnmanagedCallersOnly]
    static CUresult MemAlloc(CUdeviceptr* address, nuint bytes)
    {
        if (Current is not { } gpu) return CUDA_ERROR_INVALID_CONTEXT;
        if (address == null) return CUDA_ERROR_INVALID_VALUE;
        CUresult result = gpu.Allocate((long)Math.Min(bytes, long.MaxValue), out ulong value);
        *address = new CUdeviceptr(value);
        return result;
    }

    [UnmanagedCallersOnly]
    static CUresult MemFree(CUdeviceptr address) => Current?.Free(address.Value) ?? CUDA_ERROR_INVALID_CONTEXT;

    [UnmanagedCallersOnly]
    static CUresult MemHostAlloc(void** pointer, nuint bytes, CUmemhostalloc_flags flags)
    {
        if (Current is null) return CUDA_ERROR_INVALID_CONTEXT;
        if (pointer == null || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
        try
        {
            *pointer = NativeMemory.AlignedAlloc(bytes, 4096);
        }
        catch (OutOfMemoryException)
        {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        HostBlocks[(nint)(*pointer)] = (long)bytes;
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult MemFreeHost(void* pointer)
    {
        if (!HostBlocks.TryRemove((nint)pointer, out _)) return CUDA_ERROR_INVALID_VALUE;
        NativeMemory.AlignedFree(pointer);
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult PointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) =>
        CUDA_ERROR_NOT_SUPPORTED;

    [UnmanagedCallersOnly]
    static CUresult HtoD(CUdeviceptr target, void* source, nuint bytes) =>
        Count(g => g.BytesToDevice += (long)bytes);

    [UnmanagedCallersOnly]
    static CUresult HtoDAsync(CUdeviceptr target, void* source, nuint bytes, CUstream stream) =>
        IsStream(stream) ? Count(g => g.BytesToDevice += (long)bytes) : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult DtoH(void* target, CUdeviceptr source, nuint bytes) => CopyToHost(target, source, bytes);

    [UnmanagedCallersOnly]
    static CUresult DtoHAsync(void* target, CUdeviceptr source, nuint bytes, CUstream stream) =>
        IsStream(stream) ? CopyToHost(target, source, bytes) : CUDA_ERROR_INVALID_HANDLE;

    static CUresult CopyToHost(void* target, CUdeviceptr source, nuint bytes)
    {
        if (bytes > 0 && target == null) return CUDA_ERROR_INVALID_VALUE;
        NativeMemory.Clear(target, bytes);
        if (ModuleData.TryGetValue(source.Value, out byte[]? value))
            value.AsSpan(0, (int)Math.Min((ulong)value.Length, bytes)).CopyTo(new Span<byte>(target, value.Length));
        return Count(g => g.BytesToHost += (long)bytes);
    }

    [UnmanagedCallersOnly]
    static CUresult DtoD(CUdeviceptr target, CUdeviceptr source, nuint bytes) =>
        Count(g => g.BytesOnDevice += (long)bytes);

    [UnmanagedCallersOnly]
    static CUresult DtoDAsync(CUdeviceptr target, CUdeviceptr source, nuint bytes, CUstream stream) =>
        IsStream(stream) ? Count(g => g.BytesOnDevice += (long)bytes) : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult Set8(CUdeviceptr target, byte value, nuint count) => Count(g => g.BytesSet += (long)count);

    [UnmanagedCallersOnly]
    static CUresult Set16(CUdeviceptr target, ushort value, nuint count) => Count(g => g.BytesSet += 2 * (long)count);

    [UnmanagedCallersOnly]
    static CUresult Set32(CUdeviceptr target, uint value, nuint count) => Count(g => g.BytesSet += 4 * (long)count);

    [UnmanagedCallersOnly]
    static CUresult Set8Async(CUdeviceptr target, byte value, nuint count, CUstream stream) =>
        IsStream(stream) ? Count(g => g.BytesSet += (long)count) : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult Set16Async(CUdeviceptr target, ushort value, nuint count, CUstream stream) =>
        IsStream(stream) ? Count(g => g.BytesSet += 2 * (long)count) : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult Set32Async(CUdeviceptr target, uint value, nuint count, CUstream stream) =>
        IsStream(stream) ? Count(g => g.BytesSet += 4 * (long)count) : CUDA_ERROR_INVALID_HANDLE;

    static CUresult Count(Action<CuNull> count)
    {
        if (Current is not { } gpu) return CUDA_ERROR_INVALID_CONTEXT;
        gpu.Count(count);
        return CUDA_SUCCESS;
    }

    // ---- streams, events

    sealed class Stream;

    sealed class Event;

    [UnmanagedCallersOnly]
    static CUresult StreamCreate(CUstream* stream, CUstream_flags flags) =>
        Current is null ? CUDA_ERROR_INVALID_CONTEXT : Set(stream, new CUstream(Add(new Stream())));

    [UnmanagedCallersOnly]
    static CUresult StreamWaitEvent(CUstream stream, CUevent e, uint flags) =>
        IsStream(stream) && IsEvent(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult StreamDone(CUstream stream) => IsStream(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult StreamDestroy(CUstream stream) => Remove<Stream>(stream.Value);

    [UnmanagedCallersOnly]
    static CUresult EventCreate(CUevent* e, CUevent_flags flags) =>
        Current is null ? CUDA_ERROR_INVALID_CONTEXT : Set(e, new CUevent(Add(new Event())));

    [UnmanagedCallersOnly]
    static CUresult EventRecord(CUevent e, CUstream stream) =>
        IsStream(stream) && IsEvent(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult EventDone(CUevent e) => IsEvent(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;

    [UnmanagedCallersOnly]
    static CUresult EventDestroy(CUevent e) => Remove<Event>(e.Value);

    [UnmanagedCallersOnly]
    static CUresult EventElapsedTime(float* milliseconds, CUevent start, CUevent end) =>
        IsEvent(start) && IsEvent(end)
            ? Set(milliseconds, 0f)
            : CUDA_ERROR_INVALID_HANDLE;

    // ---- functions

    [UnmanagedCallersOnly]
    static CUresult FuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function)
    {
        if (Find<Function>(function.Value) is null) return CUDA_ERROR_INVALID_HANDLE;
        return Set(value, attribute == CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0);
    }

    [UnmanagedCallersOnly]
    static CUresult FuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) =>
        Find<Function>(function.Value) is null ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;

    [UnmanagedCallersOnly]
    static CUresult LaunchKernel(
        CUfunction function, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream,
        void** parameters, void** extra)
    {
        if (Current is not { } gpu) return CUDA_ERROR_INVALID_CONTEXT;
        if (Find<Function>(function.Value) is not { } f || !IsStream(stream)) return CUDA_ERROR_INVALID_HANDLE;
        ulong blocks = (ulong)gx * gy * gz, threads = (ulong)bx * by * bz;
        if (blocks == 0 || threads is 0 or > 1024 || gx > int.MaxValue || gy > 65535 || gz > 65535
            || shared > gpu.Options.MaxSharedBytes)
        {
            return CUDA_ERROR_INVALID_VALUE;
        }
        gpu.CountLaunch(f.Name, (long)blocks, (long)(blocks * threads));
        return CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult Occupancy(int* blocks, CUfunction function, int threads, nuint shared) =>
        threads is > 0 and <= 1024 ? Set(blocks, 1536 / threads) : CUDA_ERROR_INVALID_VALUE;

    // ---- cuBLAS: a handle is the context

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasCreate(cublasHandle_t* handle)
    {
        if (Current is not { } gpu) return cublasStatus_t.CUBLAS_STATUS_NOT_INITIALIZED;
        *handle = new cublasHandle_t(gpu.Device);
        return cublasStatus_t.CUBLAS_STATUS_SUCCESS;
    }

    static cublasStatus_t Known(cublasHandle_t handle) => CuNull.Find((int)handle.Value) is null
        ? cublasStatus_t.CUBLAS_STATUS_NOT_INITIALIZED
        : cublasStatus_t.CUBLAS_STATUS_SUCCESS;

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasDestroy(cublasHandle_t handle) => Known(handle);

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasGetVersion(cublasHandle_t handle, int* version)
    {
        *version = 110800;
        return cublasStatus_t.CUBLAS_STATUS_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasSetWorkspace(cublasHandle_t handle, void* workspace, nuint bytes) => Known(handle);

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasSetStream(cublasHandle_t handle, CUstream stream) => Known(handle);

    [UnmanagedCallersOnly]
    static cublasStatus_t BlasSetMathMode(cublasHandle_t handle, cublasMath_t mode) => Known(handle);

    [UnmanagedCallersOnly]
    static byte* BlasStatusString(cublasStatus_t status) => (byte*)EmptyText.Value;

    [UnmanagedCallersOnly]
    static cublasStatus_t GemmEx(
        cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
        void* alpha, void* a, cudaDataType_t aType, int lda, void* b, cudaDataType_t bType, int ldb,
        void* beta, void* c, cudaDataType_t cType, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) =>
        CountGemm(handle, m, n, k, 1);

    [UnmanagedCallersOnly]
    static cublasStatus_t GemmStridedBatchedEx(
        cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
        void* alpha, void* a, cudaDataType_t aType, int lda, long strideA,
        void* b, cudaDataType_t bType, int ldb, long strideB,
        void* beta, void* c, cudaDataType_t cType, int ldc, long strideC, int batch,
        cublasComputeType_t compute, cublasGemmAlgo_t algorithm) => CountGemm(handle, m, n, k, batch);

    static cublasStatus_t CountGemm(cublasHandle_t handle, int m, int n, int k, int batch)
    {
        if (CuNull.Find((int)handle.Value) is not { } gpu) return cublasStatus_t.CUBLAS_STATUS_NOT_INITIALIZED;
        if (m < 0 || n < 0 || k < 0 || batch < 0) return cublasStatus_t.CUBLAS_STATUS_INVALID_VALUE;
        gpu.Count(g =>
        {
            g.Gemms += batch;
            g.GemmFlops += 2.0 * m * n * k * batch;
        });
        return cublasStatus_t.CUBLAS_STATUS_SUCCESS;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static CUresult Set<T>(T* place, T value) where T : unmanaged
    {
        if (place == null) return CUDA_ERROR_INVALID_VALUE;
        *place = value;
        return CUDA_SUCCESS;
    }
}
