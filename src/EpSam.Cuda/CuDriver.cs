// The CUDA driver API as a table of function pointers: the whole boundary between the library and a GPU. Names,
// signatures and order as in cuda.h (the _v2 names are what its macros expand to). Providers: CuNative (libcuda),
// CuNull (counts only), and the virtual GPU in its own project. Nothing managed crosses; every call answers a CUresult,
// and every CUresult goes through Check. Contexts are current per thread; memory copies named Async may return before
// they are done, all others are done on return.
using System.Runtime.CompilerServices;

namespace EpSam.Cuda;

/// <summary>The driver API's entries. All fields are set: a provider leaves none null.</summary>
public unsafe struct CuDriver
{
    // ---- errors, start

    /// <summary>(code, out text): static text for a code; on the virtual GPU the last report with that code.</summary>
    public delegate* unmanaged<CUresult, byte**, CUresult> cuGetErrorString;
    /// <summary>(code, out name): the code's name in cuda.h.</summary>
    public delegate* unmanaged<CUresult, byte**, CUresult> cuGetErrorName;
    /// <summary>(flags = 0): must come before all else; may be repeated.</summary>
    public delegate* unmanaged<uint, CUresult> cuInit;
    /// <summary>(out version): 11080 = CUDA 11.8; needs no cuInit.</summary>
    public delegate* unmanaged<int*, CUresult> cuDriverGetVersion;

    // ---- devices

    /// <summary>(out device, ordinal).</summary>
    public delegate* unmanaged<CUdevice*, int, CUresult> cuDeviceGet;
    /// <summary>(out count).</summary>
    public delegate* unmanaged<int*, CUresult> cuDeviceGetCount;
    /// <summary>(name buffer, its size, device): zero-terminated, cut to fit.</summary>
    public delegate* unmanaged<byte*, int, CUdevice, CUresult> cuDeviceGetName;
    /// <summary>(out uuid, device).</summary>
    public delegate* unmanaged<CUuuid*, CUdevice, CUresult> cuDeviceGetUuid;
    /// <summary>(out bytes, device).</summary>
    public delegate* unmanaged<nuint*, CUdevice, CUresult> cuDeviceTotalMem_v2;
    /// <summary>(out value, attribute, device).</summary>
    public delegate* unmanaged<int*, CUdevice_attribute, CUdevice, CUresult> cuDeviceGetAttribute;

    // ---- primary context

    /// <summary>(out context, device): made on first use, counted; not made current.</summary>
    public delegate* unmanaged<CUcontext*, CUdevice, CUresult> cuDevicePrimaryCtxRetain;
    /// <summary>(device): the last release frees everything in the context.</summary>
    public delegate* unmanaged<CUdevice, CUresult> cuDevicePrimaryCtxRelease_v2;
    /// <summary>(device): frees everything at once and ends a sticky error; retain again afterwards.</summary>
    public delegate* unmanaged<CUdevice, CUresult> cuDevicePrimaryCtxReset_v2;

    // ---- current context

    /// <summary>(context): makes it current, keeps the one before on this thread's stack.</summary>
    public delegate* unmanaged<CUcontext, CUresult> cuCtxPushCurrent_v2;
    /// <summary>(out context, may be null): takes the current one off the stack.</summary>
    public delegate* unmanaged<CUcontext*, CUresult> cuCtxPopCurrent_v2;
    /// <summary>(context, or default for none): replaces the top of the stack.</summary>
    public delegate* unmanaged<CUcontext, CUresult> cuCtxSetCurrent;
    /// <summary>(out context): default when none is current; never an error.</summary>
    public delegate* unmanaged<CUcontext*, CUresult> cuCtxGetCurrent;
    /// <summary>(out device) of the current context.</summary>
    public delegate* unmanaged<CUdevice*, CUresult> cuCtxGetDevice;
    /// <summary>(): waits for all work; faults of kernels come out here at the latest.</summary>
    public delegate* unmanaged<CUresult> cuCtxSynchronize;

    // ---- modules

    /// <summary>(out module, image): PTX text, zero-terminated (Native takes cubin and fatbin too).</summary>
    public delegate* unmanaged<CUmodule*, void*, CUresult> cuModuleLoadData;
    /// <summary>(out module, image, number of options, options, values): with an error log, for instance.</summary>
    public delegate* unmanaged<CUmodule*, void*, uint, CUjit_option*, void**, CUresult> cuModuleLoadDataEx;
    /// <summary>(module): its functions and variables are gone afterwards.</summary>
    public delegate* unmanaged<CUmodule, CUresult> cuModuleUnload;
    /// <summary>(out function, module, entry name).</summary>
    public delegate* unmanaged<CUfunction*, CUmodule, byte*, CUresult> cuModuleGetFunction;
    /// <summary>(out address or null, out bytes or null, module, variable name).</summary>
    public delegate* unmanaged<CUdeviceptr*, nuint*, CUmodule, byte*, CUresult> cuModuleGetGlobal_v2;

    // ---- memory

    /// <summary>(out free, out total), bytes.</summary>
    public delegate* unmanaged<nuint*, nuint*, CUresult> cuMemGetInfo_v2;
    /// <summary>(out address, bytes &gt; 0): aligned to 256 at least; content undefined.</summary>
    public delegate* unmanaged<CUdeviceptr*, nuint, CUresult> cuMemAlloc_v2;
    /// <summary>(address as cuMemAlloc gave it).</summary>
    public delegate* unmanaged<CUdeviceptr, CUresult> cuMemFree_v2;
    /// <summary>(out pointer, bytes, flags): page-locked host memory.</summary>
    public delegate* unmanaged<void**, nuint, CUmemhostalloc_flags, CUresult> cuMemHostAlloc;
    /// <summary>(pointer as cuMemHostAlloc gave it).</summary>
    public delegate* unmanaged<void*, CUresult> cuMemFreeHost;
    /// <summary>(out value, attribute, address): size of the value depends on the attribute.</summary>
    public delegate* unmanaged<void*, CUpointer_attribute, CUdeviceptr, CUresult> cuPointerGetAttribute;

    /// <summary>(destination, host source, bytes).</summary>
    public delegate* unmanaged<CUdeviceptr, void*, nuint, CUresult> cuMemcpyHtoD_v2;
    /// <summary>(host destination, source, bytes).</summary>
    public delegate* unmanaged<void*, CUdeviceptr, nuint, CUresult> cuMemcpyDtoH_v2;
    /// <summary>(destination, source, bytes): must not overlap.</summary>
    public delegate* unmanaged<CUdeviceptr, CUdeviceptr, nuint, CUresult> cuMemcpyDtoD_v2;
    /// <summary>(destination, host source, bytes, stream): the source must live until the copy is done.</summary>
    public delegate* unmanaged<CUdeviceptr, void*, nuint, CUstream, CUresult> cuMemcpyHtoDAsync_v2;
    /// <summary>(host destination, source, bytes, stream).</summary>
    public delegate* unmanaged<void*, CUdeviceptr, nuint, CUstream, CUresult> cuMemcpyDtoHAsync_v2;
    /// <summary>(destination, source, bytes, stream).</summary>
    public delegate* unmanaged<CUdeviceptr, CUdeviceptr, nuint, CUstream, CUresult> cuMemcpyDtoDAsync_v2;

    /// <summary>(address, value, number of bytes).</summary>
    public delegate* unmanaged<CUdeviceptr, byte, nuint, CUresult> cuMemsetD8_v2;
    /// <summary>(address, aligned to 2; value; number of values).</summary>
    public delegate* unmanaged<CUdeviceptr, ushort, nuint, CUresult> cuMemsetD16_v2;
    /// <summary>(address, aligned to 4; value; number of values).</summary>
    public delegate* unmanaged<CUdeviceptr, uint, nuint, CUresult> cuMemsetD32_v2;
    /// <summary>As cuMemsetD8, in a stream.</summary>
    public delegate* unmanaged<CUdeviceptr, byte, nuint, CUstream, CUresult> cuMemsetD8Async;
    /// <summary>As cuMemsetD16, in a stream.</summary>
    public delegate* unmanaged<CUdeviceptr, ushort, nuint, CUstream, CUresult> cuMemsetD16Async;
    /// <summary>As cuMemsetD32, in a stream.</summary>
    public delegate* unmanaged<CUdeviceptr, uint, nuint, CUstream, CUresult> cuMemsetD32Async;

    // ---- streams

    /// <summary>(out stream, flags).</summary>
    public delegate* unmanaged<CUstream*, CUstream_flags, CUresult> cuStreamCreate;
    /// <summary>(stream, event, 0): later work of the stream waits for the event.</summary>
    public delegate* unmanaged<CUstream, CUevent, uint, CUresult> cuStreamWaitEvent;
    /// <summary>(stream): CUDA_ERROR_NOT_READY while work is left.</summary>
    public delegate* unmanaged<CUstream, CUresult> cuStreamQuery;
    /// <summary>(stream): waits until its work is done.</summary>
    public delegate* unmanaged<CUstream, CUresult> cuStreamSynchronize;
    /// <summary>(stream).</summary>
    public delegate* unmanaged<CUstream, CUresult> cuStreamDestroy_v2;

    // ---- events

    /// <summary>(out event, flags).</summary>
    public delegate* unmanaged<CUevent*, CUevent_flags, CUresult> cuEventCreate;
    /// <summary>(event, stream): happens when the stream's work so far is done.</summary>
    public delegate* unmanaged<CUevent, CUstream, CUresult> cuEventRecord;
    /// <summary>(event): CUDA_ERROR_NOT_READY while it has not happened.</summary>
    public delegate* unmanaged<CUevent, CUresult> cuEventQuery;
    /// <summary>(event): waits for it.</summary>
    public delegate* unmanaged<CUevent, CUresult> cuEventSynchronize;
    /// <summary>(event).</summary>
    public delegate* unmanaged<CUevent, CUresult> cuEventDestroy_v2;
    /// <summary>(out milliseconds, start, end): both recorded, with timing.</summary>
    public delegate* unmanaged<float*, CUevent, CUevent, CUresult> cuEventElapsedTime;

    // ---- functions

    /// <summary>(out value, attribute, function).</summary>
    public delegate* unmanaged<int*, CUfunction_attribute, CUfunction, CUresult> cuFuncGetAttribute;
    /// <summary>(function, attribute, value): only the last two attributes can be set.</summary>
    public delegate* unmanaged<CUfunction, CUfunction_attribute, int, CUresult> cuFuncSetAttribute;
    /// <summary>
    /// (function, grid x y z, block x y z, dynamic shared bytes, stream, pointers to the parameters, extra): either one
    /// pointer a parameter, or all parameters in one buffer by way of extra (CuConstants.CU_LAUNCH_PARAM_…).
    /// </summary>
    public delegate* unmanaged<CUfunction, uint, uint, uint, uint, uint, uint, uint, CUstream, void**, void**, CUresult>
        cuLaunchKernel;
    /// <summary>(out blocks, function, threads of a block, dynamic shared bytes).</summary>
    public delegate* unmanaged<int*, CUfunction, int, nuint, CUresult> cuOccupancyMaxActiveBlocksPerMultiprocessor;

    /// <summary>Throws <see cref="CuException"/> unless <paramref name="result"/> is CUDA_SUCCESS.</summary>
    /// <param name="result">The call itself: <c>cu.Check(cu.cuMemFree_v2(p))</c>.</param>
    /// <param name="call">Left out: the compiler puts the text of the call here, for the message.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Check(CUresult result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != CUresult.CUDA_SUCCESS) throw Failure(result, call, "");
    }

    /// <summary>As the shorter form, with the values of the arguments; they are formatted only on failure.</summary>
    /// <param name="result">The call itself.</param>
    /// <param name="arguments">An interpolated string: <c>$"bytes {n}"</c>.</param>
    /// <param name="call">Left out.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Check(
        CUresult result,
        [InterpolatedStringHandlerArgument(nameof(result))] ref CuArguments arguments,
        [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != CUresult.CUDA_SUCCESS) throw Failure(result, call, arguments.ToString());
    }

    /// <summary>The exception for a failed call: asks the provider for name and text.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public readonly CuException Failure(CUresult result, string call, string arguments)
    {
        byte* name = null, text = null;
        cuGetErrorName(result, &name);
        cuGetErrorString(result, &text);
        return new CuException(
            CuException.NameOfCall(call), arguments, (int)result,
            CuText.Read(name) ?? result.ToString(),
            CuText.Read(text) ?? CuErrors.Text(result) ?? "unknown code",
            CuErrors.Advice(result));
    }
}
