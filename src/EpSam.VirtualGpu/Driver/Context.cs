// A context owns everything made in it: device memory, modules, streams, events. Each device has one, its primary
// context, which lives from the first retain to the last release or a reset. A kernel fault is sticky: as on hardware
// every later call in the context answers with the same code until it is reset. Which context is current is a matter
// of the calling thread (cuCtx*).
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe class Context
{
    [ThreadStatic] static List<Context>? t_stack;

    readonly Lock _lock = new();
    readonly HashSet<nint> _owned = []; // handles that end with the context
    readonly HashSet<ulong> _moduleVariables = []; // device memory that cuMemFree must not free
    readonly CUcontext _handle;
    Heap? _heap;                        // null: not alive
    int _retained;
    DriverError? _fault;

    public Context(VirtualGpu gpu)
    {
        Gpu = gpu;
        _handle = new CUcontext(Handles.Add(this));
    }

    public VirtualGpu Gpu { get; }
    public CUcontext Handle => _handle;

    /// <summary>One launch at a time: a launch uses all cores by itself.</summary>
    public Lock LaunchLock { get; } = new();

    /// <summary>Page-locked host memory, bytes by start; freed with the context.</summary>
    public ConcurrentDictionary<nint, nuint> HostBlocks { get; } = new();

    public Heap Heap => _heap ?? throw Destroyed();

    /// <summary>Live allocations, module variables included; 0 when the context does not exist.</summary>
    public long LiveAllocations => _heap?.AllocationCount ?? 0;

    public CUcontext Retain()
    {
        lock (_lock)
        {
            _heap ??= new Heap(Gpu.MemoryBytes, Gpu.Options.Checks);
            _retained++;
            return _handle;
        }
    }

    public void Release()
    {
        lock (_lock)
        {
            if (_retained == 0)
                throw new DriverError(CUDA_ERROR_INVALID_CONTEXT,
                    "the primary context is released more often than retained");
            if (--_retained == 0) Destroy();
        }
    }

    /// <summary>Frees all at once and forgets the fault; who retained it before must retain it again.</summary>
    public void Reset()
    {
        lock (LaunchLock)
        lock (_lock)
        {
            _retained = 0;
            Destroy();
        }
    }

    void Destroy()
    {
        foreach (nint handle in _owned) Handles.Remove(handle);
        _owned.Clear();
        _moduleVariables.Clear();
        foreach (nint block in HostBlocks.Keys)
        {
            if (HostBlocks.TryRemove(block, out _)) NativeMemory.AlignedFree((void*)block);
        }
        _heap?.Dispose();
        _heap = null;
        _fault = null;
    }

    /// <summary>A handle that becomes invalid with the context.</summary>
    public nint Own(object value)
    {
        lock (_lock)
        {
            nint handle = Handles.Add(value);
            _owned.Add(handle);
            return handle;
        }
    }

    public void Disown(nint handle)
    {
        lock (_lock)
        {
            Handles.Remove(handle);
            _owned.Remove(handle);
        }
    }

    public void AddModuleVariable(ulong address)
    {
        lock (_lock) _moduleVariables.Add(address);
    }

    public void RemoveModuleVariable(ulong address)
    {
        lock (_lock) _moduleVariables.Remove(address);
    }

    public bool IsModuleVariable(ulong address)
    {
        lock (_lock) return _moduleVariables.Contains(address);
    }

    /// <summary>The sticky error of a kernel fault: the code is the one the hardware reports.</summary>
    public DriverError Fail(KernelFault fault) => Fail(CodeOf(fault.Kind), fault.Report);

    public DriverError Fail(CUresult code, string report)
    {
        _fault = new DriverError(code,
            $"{report}\n  (reported by an earlier call; the context is unusable until cuDevicePrimaryCtxReset)");
        return new DriverError(code, report);
    }

    // The checks for races, uninitialised reads and missing barriers have no counterpart in hardware, which would go on
    // with wrong results: they are launch failures.
    static CUresult CodeOf(FaultKind kind) => kind switch
    {
        FaultKind.IllegalAddress or FaultKind.OutOfBounds or FaultKind.UseAfterFree => CUDA_ERROR_ILLEGAL_ADDRESS,
        FaultKind.Misaligned => CUDA_ERROR_MISALIGNED_ADDRESS,
        FaultKind.StackOverflow => CUDA_ERROR_HARDWARE_STACK_ERROR,
        FaultKind.Deadlock => CUDA_ERROR_LAUNCH_TIMEOUT,
        _ => CUDA_ERROR_LAUNCH_FAILED,
    };

    /// <summary>The current context, fit for use; otherwise the error that a call in it gives.</summary>
    public static Context Require()
    {
        Context context = t_stack is { Count: > 0 } stack
            ? stack[^1]
            : throw new DriverError(CUDA_ERROR_INVALID_CONTEXT, "no context is current on this thread");
        context.RequireUsable();
        return context;
    }

    public void RequireUsable()
    {
        if (_heap is null) throw Destroyed();
        if (_fault is { } fault) throw fault;
    }

    static DriverError Destroyed() => new(CUDA_ERROR_CONTEXT_IS_DESTROYED,
        "the current context was released or reset; retain the primary context again");

    // ---- the thread's stack of contexts

    static List<Context> Stack => t_stack ??= [];

    [UnmanagedCallersOnly]
    public static CUresult cuCtxPushCurrent_v2(CUcontext context) =>
        Guard.Run(() => Stack.Add(Handles.Get<Context>(context.Value, CUDA_ERROR_INVALID_CONTEXT)));

    [UnmanagedCallersOnly]
    public static CUresult cuCtxPopCurrent_v2(CUcontext* context) => Guard.Run(() =>
    {
        if (Stack.Count == 0) throw new DriverError(CUDA_ERROR_INVALID_CONTEXT, "no context is current on this thread");
        if (context != null) *context = Stack[^1]._handle;
        Stack.RemoveAt(Stack.Count - 1);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuCtxSetCurrent(CUcontext context) => Guard.Run(() =>
    {
        Context? next = context.Value == 0 ? null : Handles.Get<Context>(context.Value, CUDA_ERROR_INVALID_CONTEXT);
        if (Stack.Count > 0) Stack.RemoveAt(Stack.Count - 1);
        if (next is not null) Stack.Add(next);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuCtxGetCurrent(CUcontext* context) => Guard.Run(() =>
    {
        Guard.NotNull(context);
        *context = Stack.Count > 0 ? Stack[^1]._handle : default;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuCtxGetDevice(CUdevice* device) => Guard.Run(() =>
    {
        Guard.NotNull(device);
        if (Stack.Count == 0) throw new DriverError(CUDA_ERROR_INVALID_CONTEXT, "no context is current on this thread");
        *device = Stack[^1].Gpu.Device;
    });

    // Launches are done when they return; what is left to report is a fault.
    [UnmanagedCallersOnly]
    public static CUresult cuCtxSynchronize() => Guard.Run(() => Require());
}
