// CUresult with cuda.h's names and values (CUDA 12.2). The text beside each value is what the real driver's
// cuGetErrorString answers; a test compares names and texts with libcuda.so.1 where one is present. Values that a
// newer driver may add are passed on as numbers.
using System.Collections.Frozen;
using System.Reflection;

namespace EpSam.Cuda;

/// <summary>The driver's own words for a result code.</summary>
[AttributeUsage(AttributeTargets.Field)]
internal sealed class CuTextAttribute(string text) : Attribute
{
    public string Text { get; } = text;
}

#pragma warning disable CS1591 // the text beside each value is its documentation

/// <summary>What a driver call returns. Names and values as in cuda.h.</summary>
public enum CUresult
{
    [CuText("no error")] CUDA_SUCCESS = 0,
    [CuText("invalid argument")] CUDA_ERROR_INVALID_VALUE = 1,
    [CuText("out of memory")] CUDA_ERROR_OUT_OF_MEMORY = 2,
    [CuText("initialization error")] CUDA_ERROR_NOT_INITIALIZED = 3,
    [CuText("driver shutting down")] CUDA_ERROR_DEINITIALIZED = 4,
    [CuText("profiler disabled while using external profiling tool")] CUDA_ERROR_PROFILER_DISABLED = 5,
    [CuText("profiler not initialized: call cudaProfilerInitialize()")] CUDA_ERROR_PROFILER_NOT_INITIALIZED = 6,
    [CuText("profiler already started")] CUDA_ERROR_PROFILER_ALREADY_STARTED = 7,
    [CuText("profiler already stopped")] CUDA_ERROR_PROFILER_ALREADY_STOPPED = 8,
    [CuText("CUDA driver is a stub library")] CUDA_ERROR_STUB_LIBRARY = 34,
    [CuText("CUDA-capable device(s) is/are busy or unavailable")] CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
    [CuText("no CUDA-capable device is detected")] CUDA_ERROR_NO_DEVICE = 100,
    [CuText("invalid device ordinal")] CUDA_ERROR_INVALID_DEVICE = 101,
    [CuText("device doesn't have valid Grid license")] CUDA_ERROR_DEVICE_NOT_LICENSED = 102,
    [CuText("device kernel image is invalid")] CUDA_ERROR_INVALID_IMAGE = 200,
    [CuText("invalid device context")] CUDA_ERROR_INVALID_CONTEXT = 201,
    [CuText("context already current")] CUDA_ERROR_CONTEXT_ALREADY_CURRENT = 202,
    [CuText("mapping of buffer object failed")] CUDA_ERROR_MAP_FAILED = 205,
    [CuText("unmapping of buffer object failed")] CUDA_ERROR_UNMAP_FAILED = 206,
    [CuText("array is mapped")] CUDA_ERROR_ARRAY_IS_MAPPED = 207,
    [CuText("resource already mapped")] CUDA_ERROR_ALREADY_MAPPED = 208,
    [CuText("no kernel image is available for execution on the device")] CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    [CuText("resource already acquired")] CUDA_ERROR_ALREADY_ACQUIRED = 210,
    [CuText("resource not mapped")] CUDA_ERROR_NOT_MAPPED = 211,
    [CuText("resource not mapped as array")] CUDA_ERROR_NOT_MAPPED_AS_ARRAY = 212,
    [CuText("resource not mapped as pointer")] CUDA_ERROR_NOT_MAPPED_AS_POINTER = 213,
    [CuText("uncorrectable ECC error encountered")] CUDA_ERROR_ECC_UNCORRECTABLE = 214,
    [CuText("limit is not supported on this architecture")] CUDA_ERROR_UNSUPPORTED_LIMIT = 215,
    [CuText("exclusive-thread device already in use by a different thread")] CUDA_ERROR_CONTEXT_ALREADY_IN_USE = 216,
    [CuText("peer access is not supported between these two devices")] CUDA_ERROR_PEER_ACCESS_UNSUPPORTED = 217,
    [CuText("a PTX JIT compilation failed")] CUDA_ERROR_INVALID_PTX = 218,
    [CuText("invalid OpenGL or DirectX context")] CUDA_ERROR_INVALID_GRAPHICS_CONTEXT = 219,
    [CuText("uncorrectable NVLink error detected during the execution")] CUDA_ERROR_NVLINK_UNCORRECTABLE = 220,
    [CuText("PTX JIT compiler library not found")] CUDA_ERROR_JIT_COMPILER_NOT_FOUND = 221,
    [CuText("the provided PTX was compiled with an unsupported toolchain.")] CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
    [CuText("PTX JIT compilation was disabled")] CUDA_ERROR_JIT_COMPILATION_DISABLED = 223,
    [CuText("the provided execution affinity is not supported")] CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY = 224,
    [CuText("the provided PTX contains unsupported call to cudaDeviceSynchronize")]
    CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC = 225,
    [CuText("device kernel image is invalid")] CUDA_ERROR_INVALID_SOURCE = 300,
    [CuText("file not found")] CUDA_ERROR_FILE_NOT_FOUND = 301,
    [CuText("shared object symbol not found")] CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND = 302,
    [CuText("shared object initialization failed")] CUDA_ERROR_SHARED_OBJECT_INIT_FAILED = 303,
    [CuText("OS call failed or operation not supported on this OS")] CUDA_ERROR_OPERATING_SYSTEM = 304,
    [CuText("invalid resource handle")] CUDA_ERROR_INVALID_HANDLE = 400,
    [CuText("the operation cannot be performed in the present state")] CUDA_ERROR_ILLEGAL_STATE = 401,
    [CuText("named symbol not found")] CUDA_ERROR_NOT_FOUND = 500,
    [CuText("device not ready")] CUDA_ERROR_NOT_READY = 600,
    [CuText("an illegal memory access was encountered")] CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    [CuText("too many resources requested for launch")] CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    [CuText("the launch timed out and was terminated")] CUDA_ERROR_LAUNCH_TIMEOUT = 702,
    [CuText("launch uses incompatible texturing mode")] CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING = 703,
    [CuText("peer access is already enabled")] CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704,
    [CuText("peer access has not been enabled")] CUDA_ERROR_PEER_ACCESS_NOT_ENABLED = 705,
    [CuText("cannot set while device is active in this process")] CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE = 708,
    [CuText("context is destroyed")] CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
    [CuText("device-side assert triggered")] CUDA_ERROR_ASSERT = 710,
    [CuText("peer mapping resources exhausted")] CUDA_ERROR_TOO_MANY_PEERS = 711,
    [CuText("part or all of the requested memory range is already mapped")]
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
    [CuText("pointer does not correspond to a registered memory region")] CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
    [CuText("hardware stack error")] CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
    [CuText("an illegal instruction was encountered")] CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
    [CuText("misaligned address")] CUDA_ERROR_MISALIGNED_ADDRESS = 716,
    [CuText("operation not supported on global/shared address space")] CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
    [CuText("invalid program counter")] CUDA_ERROR_INVALID_PC = 718,
    [CuText("unspecified launch failure")] CUDA_ERROR_LAUNCH_FAILED = 719,
    [CuText("too many blocks in cooperative launch")] CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    [CuText("operation not permitted")] CUDA_ERROR_NOT_PERMITTED = 800,
    [CuText("operation not supported")] CUDA_ERROR_NOT_SUPPORTED = 801,
    [CuText("system not yet initialized")] CUDA_ERROR_SYSTEM_NOT_READY = 802,
    [CuText("system has unsupported display driver / cuda driver combination")] CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
    [CuText("forward compatibility was attempted on non supported HW")] CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE = 804,
    [CuText("MPS client failed to connect to the MPS control daemon or the MPS server")]
    CUDA_ERROR_MPS_CONNECTION_FAILED = 805,
    [CuText("the remote procedural call between the MPS server and the MPS client failed")]
    CUDA_ERROR_MPS_RPC_FAILURE = 806,
    [CuText("MPS server is not ready to accept new MPS client requests")] CUDA_ERROR_MPS_SERVER_NOT_READY = 807,
    [CuText("the hardware resources required to create MPS client have been exhausted")]
    CUDA_ERROR_MPS_MAX_CLIENTS_REACHED = 808,
    [CuText("the hardware resources required to support device connections have been exhausted")]
    CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED = 809,
    [CuText("the MPS client has been terminated by the server")] CUDA_ERROR_MPS_CLIENT_TERMINATED = 810,
    [CuText("is using CUDA Dynamic Parallelism, but the current configuration, like MPS, does not support it")]
    CUDA_ERROR_CDP_NOT_SUPPORTED = 811,
    [CuText("unsupported interaction between different versions of CUDA Dynamic Parallelism")]
    CUDA_ERROR_CDP_VERSION_MISMATCH = 812,
    [CuText("operation not permitted when stream is capturing")] CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    [CuText("operation failed due to a previous error during capture")] CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    [CuText("operation would result in a merge of separate capture sequences")] CUDA_ERROR_STREAM_CAPTURE_MERGE = 902,
    [CuText("capture was not ended in the same stream as it began")] CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
    [CuText("capturing stream has unjoined work")] CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
    [CuText("dependency created on uncaptured work in another stream")] CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    [CuText("operation would make the legacy stream depend on a capturing blocking stream")]
    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
    [CuText("operation not permitted on an event last recorded in a capturing stream")] CUDA_ERROR_CAPTURED_EVENT = 907,
    [CuText("attempt to terminate a thread-local capture sequence from another thread")]
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
    [CuText("wait operation timed out")] CUDA_ERROR_TIMEOUT = 909,
    [CuText("the graph update was not performed because it included changes which violated constraints "
        + "specific to instantiated graph update")]
    CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE = 910,
    [CuText("an async error has occured in external entity outside of CUDA")] CUDA_ERROR_EXTERNAL_DEVICE = 911,
    [CuText("a kernel launch error has occurred due to cluster misconfiguration")]
    CUDA_ERROR_INVALID_CLUSTER_SIZE = 912,
    [CuText("unknown error")] CUDA_ERROR_UNKNOWN = 999,
}

#pragma warning restore CS1591

/// <summary>Names, texts and advice for the codes of both tables.</summary>
internal static class CuErrors
{
    static readonly FrozenDictionary<CUresult, string> Texts = typeof(CUresult)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .ToFrozenDictionary(
            f => (CUresult)f.GetRawConstantValue()!, f => f.GetCustomAttribute<CuTextAttribute>()!.Text);

    /// <summary>The driver's words for a code, or null for a code this version of cuda.h does not know.</summary>
    public static string? Text(CUresult code) => Texts.GetValueOrDefault(code);

    /// <summary>All codes, ascending.</summary>
    public static IEnumerable<CUresult> All => Enum.GetValues<CUresult>();

    /// <summary>What the person who sees the error can do about it; empty where the text says it all.</summary>
    public static string Advice(CUresult code) => code switch
    {
        CUresult.CUDA_ERROR_OUT_OF_MEMORY =>
            "Use a smaller batch or image, close other programs that hold device memory, or choose a larger card.",
        CUresult.CUDA_ERROR_NOT_INITIALIZED => "Call cuInit(0) first.",
        CUresult.CUDA_ERROR_STUB_LIBRARY =>
            "The CUDA toolkit's stub was loaded instead of the driver: remove .../stubs from the library path.",
        CUresult.CUDA_ERROR_NO_DEVICE =>
            "No NVIDIA GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use the virtual GPU.",
        CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE => "Another process holds the GPU exclusively: see nvidia-smi.",
        CUresult.CUDA_ERROR_INVALID_CONTEXT =>
            "No context is current on this thread: retain the primary context and call cuCtxSetCurrent.",
        CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU =>
            "The module's .target is newer than the GPU: build the kernels for its compute capability.",
        CUresult.CUDA_ERROR_INVALID_PTX => "The PTX is not valid: `epsam ptx check FILE` says where.",
        CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION =>
            "The driver is older than the PTX's .version: update the NVIDIA driver.",
        CUresult.CUDA_ERROR_NOT_FOUND => "Check the spelling of the entry or variable; C++ names must be extern \"C\".",
        CUresult.CUDA_ERROR_INVALID_HANDLE => "The handle was destroyed, or belongs to another context.",
        CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES =>
            "The block needs more registers or threads than the kernel was compiled for: use fewer threads.",
        CUresult.CUDA_ERROR_ILLEGAL_ADDRESS or CUresult.CUDA_ERROR_MISALIGNED_ADDRESS
            or CUresult.CUDA_ERROR_LAUNCH_FAILED or CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION
            or CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR or CUresult.CUDA_ERROR_ASSERT =>
            "A kernel failed; the context is unusable until it is reset. The virtual GPU names the PTX line.",
        CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH =>
            "The kernel module and libcuda are of different versions: reboot, or install matching driver packages.",
        CUresult.CUDA_ERROR_UNKNOWN => "Is the NVIDIA kernel module loaded (nvidia-smi)? Try nvidia-modprobe -u.",
        _ => "",
    };

    /// <summary>The same for cuBLAS.</summary>
    public static string Advice(cublasStatus_t code) => code switch
    {
        cublasStatus_t.CUBLAS_STATUS_NOT_INITIALIZED => "Make a context current before cublasCreate_v2.",
        cublasStatus_t.CUBLAS_STATUS_ALLOC_FAILED => "No device memory is left for cuBLAS: give it a workspace.",
        cublasStatus_t.CUBLAS_STATUS_INVALID_VALUE => "Check sizes, leading dimensions and pointers.",
        cublasStatus_t.CUBLAS_STATUS_ARCH_MISMATCH => "The GPU is too old for this data type.",
        cublasStatus_t.CUBLAS_STATUS_NOT_SUPPORTED => "This combination of data and compute types does not exist.",
        _ => "",
    };
}
