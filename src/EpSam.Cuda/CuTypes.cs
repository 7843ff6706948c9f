// Handles, attributes and flags of the CUDA driver API, with the names and values of cuda.h. Handles are one pointer
// wide and blittable, so they cross the boundary as they are; distinct types keep a stream from passing as an event.
// Only what the tables use is here: a longer list would be one more thing to keep right.
namespace EpSam.Cuda;

/// <summary>A device: an ordinal as far as cuda.h says, to be treated as opaque.</summary>
public readonly record struct CUdevice(int Value);

/// <summary>An address in device memory.</summary>
public readonly record struct CUdeviceptr(ulong Value)
{
    /// <summary>The address <paramref name="bytes"/> further on.</summary>
    public static CUdeviceptr operator +(CUdeviceptr address, long bytes) => new(address.Value + (ulong)bytes);

    /// <summary>Hexadecimal, as tools and reports print it.</summary>
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A context: what owns memory, modules, streams and events of one process on one device.</summary>
public readonly record struct CUcontext(nint Value);

/// <summary>A loaded module (PTX or machine code).</summary>
public readonly record struct CUmodule(nint Value);

/// <summary>A kernel of a loaded module.</summary>
public readonly record struct CUfunction(nint Value);

/// <summary>A stream; the default value is the default stream.</summary>
public readonly record struct CUstream(nint Value);

/// <summary>An event.</summary>
public readonly record struct CUevent(nint Value);

/// <summary>16 bytes that name a device.</summary>
public unsafe struct CUuuid
{
    /// <summary>The bytes.</summary>
    public fixed byte bytes[16];
}

#pragma warning disable CS1591 // names and values are NVIDIA's, documented in the CUDA Driver API manual

/// <summary>What cuDeviceGetAttribute can be asked. Values as in cuda.h.</summary>
public enum CUdevice_attribute
{
    CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
    CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY = 9,
    CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
    CU_DEVICE_ATTRIBUTE_MAX_PITCH = 11,
    CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
    CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,                         // kHz
    CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT = 14,
    CU_DEVICE_ATTRIBUTE_GPU_OVERLAP = 15,
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT = 17,
    CU_DEVICE_ATTRIBUTE_INTEGRATED = 18,
    CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
    CU_DEVICE_ATTRIBUTE_COMPUTE_MODE = 20,
    CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
    CU_DEVICE_ATTRIBUTE_ECC_ENABLED = 32,
    CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
    CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
    CU_DEVICE_ATTRIBUTE_TCC_DRIVER = 35,
    CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,                  // kHz
    CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,            // bits
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,                      // bytes
    CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
    CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
    CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
    CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID = 50,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED = 78,
    CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED = 79,
    CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED = 80,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
    CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY = 83,
    CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD = 84,
    CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO = 87,
    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS = 88,
    CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
    CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED = 90,
    CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
    CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR = 106,
    CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK = 111,
    CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
}

/// <summary>What cuFuncGetAttribute and cuFuncSetAttribute know. Values as in cuda.h.</summary>
public enum CUfunction_attribute
{
    CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
    CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,                     // static
    CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2,
    CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,                      // per thread
    CU_FUNC_ATTRIBUTE_NUM_REGS = 4,                              // per thread
    CU_FUNC_ATTRIBUTE_PTX_VERSION = 5,                           // 78 = 7.8
    CU_FUNC_ATTRIBUTE_BINARY_VERSION = 6,                        // 86 = sm_86
    CU_FUNC_ATTRIBUTE_CACHE_MODE_CA = 7,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,         // may be set
    CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9,      // may be set; per cent, -1 = the driver's choice
}

/// <summary>What cuPointerGetAttribute can be asked. Values as in cuda.h.</summary>
public enum CUpointer_attribute
{
    CU_POINTER_ATTRIBUTE_CONTEXT = 1,                            // CUcontext
    CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,                        // CUmemorytype
    CU_POINTER_ATTRIBUTE_DEVICE_POINTER = 3,                     // CUdeviceptr
    CU_POINTER_ATTRIBUTE_HOST_POINTER = 4,                       // void*
    CU_POINTER_ATTRIBUTE_BUFFER_ID = 7,                          // unsigned long long
    CU_POINTER_ATTRIBUTE_IS_MANAGED = 8,                         // bool
    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,                     // int
    CU_POINTER_ATTRIBUTE_RANGE_START_ADDR = 11,                  // CUdeviceptr
    CU_POINTER_ATTRIBUTE_RANGE_SIZE = 12,                        // size_t
    CU_POINTER_ATTRIBUTE_MAPPED = 13,                            // bool
}

/// <summary>Where memory lies. Values as in cuda.h.</summary>
public enum CUmemorytype
{
    CU_MEMORYTYPE_HOST = 1,
    CU_MEMORYTYPE_DEVICE = 2,
    CU_MEMORYTYPE_ARRAY = 3,
    CU_MEMORYTYPE_UNIFIED = 4,
}

/// <summary>Flags of cuStreamCreate.</summary>
[Flags]
public enum CUstream_flags : uint
{
    CU_STREAM_DEFAULT = 0,
    CU_STREAM_NON_BLOCKING = 1,
}

/// <summary>Flags of cuEventCreate.</summary>
[Flags]
public enum CUevent_flags : uint
{
    CU_EVENT_DEFAULT = 0,
    CU_EVENT_BLOCKING_SYNC = 1,
    CU_EVENT_DISABLE_TIMING = 2,
    CU_EVENT_INTERPROCESS = 4,
}

/// <summary>Flags of cuMemHostAlloc.</summary>
[Flags]
public enum CUmemhostalloc_flags : uint
{
    CU_MEMHOSTALLOC_DEFAULT = 0,
    CU_MEMHOSTALLOC_PORTABLE = 1,
    CU_MEMHOSTALLOC_DEVICEMAP = 2,
    CU_MEMHOSTALLOC_WRITECOMBINED = 4,
}

/// <summary>Options of cuModuleLoadDataEx, those of use with PTX. Values as in cuda.h.</summary>
public enum CUjit_option
{
    CU_JIT_MAX_REGISTERS = 0,
    CU_JIT_THREADS_PER_BLOCK = 1,
    CU_JIT_WALL_TIME = 2,
    CU_JIT_INFO_LOG_BUFFER = 3,                                  // char*
    CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,                       // in: room, out: used
    CU_JIT_ERROR_LOG_BUFFER = 5,                                 // char*
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,                      // in: room, out: used
    CU_JIT_OPTIMIZATION_LEVEL = 7,
    CU_JIT_TARGET_FROM_CUCONTEXT = 8,
    CU_JIT_TARGET = 9,
    CU_JIT_FALLBACK_STRATEGY = 10,
    CU_JIT_GENERATE_DEBUG_INFO = 11,
    CU_JIT_LOG_VERBOSE = 12,
    CU_JIT_GENERATE_LINE_INFO = 13,
    CU_JIT_CACHE_MODE = 14,
}

#pragma warning restore CS1591

/// <summary>The markers of cuLaunchKernel's last argument and the two special streams. Values as in cuda.h.</summary>
public static class CuConstants
{
    /// <summary>Ends the list of extra launch arguments.</summary>
    public const nint CU_LAUNCH_PARAM_END = 0;
    /// <summary>Followed by a pointer to all parameters, laid out as the kernel declares them.</summary>
    public const nint CU_LAUNCH_PARAM_BUFFER_POINTER = 1;
    /// <summary>Followed by a pointer to the size (size_t) of that buffer.</summary>
    public const nint CU_LAUNCH_PARAM_BUFFER_SIZE = 2;
    /// <summary>The default stream that waits for all others.</summary>
    public const nint CU_STREAM_LEGACY = 1;
    /// <summary>The default stream of the calling thread.</summary>
    public const nint CU_STREAM_PER_THREAD = 2;
}
