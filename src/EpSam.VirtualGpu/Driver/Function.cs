// cuFunc*, cuLaunchKernel and occupancy. A launch is checked against the limits of the card before anything runs; those
// errors leave the context usable. A fault of the running kernel does not (Context.Fail). The launch has ended when the
// call returns, so a fault comes out here, where hardware may show it at the next synchronisation.
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;
using static EpSam.Cuda.CUfunction_attribute;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe class Function(Module module, PtxFunction entry, Program program)
{
    // Without opt-in static and dynamic shared memory share 48 KiB.
    int _maxDynamicShared = Limits.SharedBytes - program.StaticSharedBytes;
    int _carveout = -1;

    public Program Program { get; } = program;
    public Module Module { get; } = module;
    public nint Handle { get; set; }

    Card Card => Module.Context.Gpu.Card;

    /// <summary>The most threads a block may have: .maxntid and .reqntid lower the card's limit.</summary>
    int MaxThreads => Program.RequiredThreads is { } r ? Count(r)
        : Program.MaxThreads > 0 ? Math.Min(Program.MaxThreads, Limits.BlockThreads)
        : Limits.BlockThreads;

    // Physical registers are the assembler's business; this is an estimate from what is alive at once, cut to what the
    // kernel allows (.maxnreg) or, as ptxas does, to what lets the declared block run (.maxntid, .reqntid).
    int RegistersPerThread => Math.Clamp(Program.Registers, 1, Math.Min(Limits.RegistersPerThread,
        entry.MaxRegisters > 0 ? entry.MaxRegisters
        : DeclaresThreads ? Limits.Registers / RoundUp(MaxThreads, 32) / 8 * 8
        : Limits.RegistersPerThread));

    bool DeclaresThreads => Program.RequiredThreads is not null || Program.MaxThreads > 0;

    // Registers are given out to warps, 256 at a time.
    static long RegistersOf(int threads, int each) => (long)RoundUp(threads, 32) / 32 * RoundUp(each * 32, 256);

    static int Count(int[] dimensions) => dimensions.Aggregate(1, (a, b) => a * Math.Max(1, b));

    static int RoundUp(int value, int step) => (value + step - 1) / step * step;

    // ---- attributes

    [UnmanagedCallersOnly]
    public static CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) =>
        Guard.Run(() =>
        {
            Context.Require();
            Function f = Handles.Get<Function>(function.Value);
            Guard.NotNull(value);
            *value = attribute switch
            {
                CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK => f.MaxThreads,
                CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES => f.Program.StaticSharedBytes,
                CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES => 0,
                CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES => f.Program.LocalBytes,
                CU_FUNC_ATTRIBUTE_NUM_REGS => f.RegistersPerThread,
                CU_FUNC_ATTRIBUTE_PTX_VERSION => f.Module.Ptx.VersionMajor * 10 + f.Module.Ptx.VersionMinor,
                CU_FUNC_ATTRIBUTE_BINARY_VERSION => f.Card.ComputeCapability,
                CU_FUNC_ATTRIBUTE_CACHE_MODE_CA => 0,
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES => f._maxDynamicShared,
                CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT => f._carveout,
                _ => throw new DriverError(CUDA_ERROR_INVALID_VALUE, $"{(int)attribute} is no function attribute"),
            };
        });

    [UnmanagedCallersOnly]
    public static CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) =>
        Guard.Run(() =>
        {
            Context.Require();
            Function f = Handles.Get<Function>(function.Value);
            switch (attribute)
            {
                case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
                    int most = f.Card.SharedPerBlockOptIn - f.Program.StaticSharedBytes;
                    Guard.Require(value >= 0 && value <= most,
                        $"{value} bytes of dynamic shared memory: {f.Program.Name} can have {most} on {f.Card.Name}");
                    f._maxDynamicShared = value;
                    break;
                case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
                    Guard.Require(value is >= -1 and <= 100, $"a carveout of {value} per cent");
                    f._carveout = value;
                    break;
                default:
                    throw new DriverError(CUDA_ERROR_INVALID_VALUE,
                        $"function attribute {(int)attribute} cannot be set");
            }
        });

    [UnmanagedCallersOnly]
    public static CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(
        int* blocks, CUfunction function, int threads, nuint dynamicShared) => Guard.Run(() =>
    {
        Context.Require();
        Function f = Handles.Get<Function>(function.Value);
        Guard.NotNull(blocks);
        Guard.Require(threads > 0 && threads <= f.MaxThreads,
            $"{threads} threads a block; {f.MaxThreads} is the limit");
        *blocks = f.ActiveBlocks(threads, (long)Math.Min(dynamicShared, int.MaxValue));
    });

    // Four pools bound it: threads, block slots, shared memory, registers.
    int ActiveBlocks(int threads, long dynamicShared)
    {
        if (dynamicShared > _maxDynamicShared) return 0;
        int warps = RoundUp(threads, 32) / 32;
        long shared = Program.StaticSharedBytes + dynamicShared + Card.ReservedShared;
        long byThreads = Card.ThreadsPerMultiprocessor / (warps * 32);
        long byShared = shared == 0 ? int.MaxValue : Card.SharedPerMultiprocessor / shared;
        long byRegisters = Limits.Registers / RegistersOf(threads, RegistersPerThread);
        return (int)Math.Min(Math.Min(byThreads, byShared), Math.Min(byRegisters, Card.BlocksPerMultiprocessor));
    }

    // ---- launch

    [UnmanagedCallersOnly]
    public static CUresult cuLaunchKernel(
        CUfunction function, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint dynamicShared, CUstream stream,
        void** parameters, void** extra) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Function f = Handles.Get<Function>(function.Value);
        if (f.Module.Context != context)
            throw new DriverError(CUDA_ERROR_INVALID_HANDLE, "the function belongs to another context");
        Stream.Require(context, stream);
        f.CheckShape(gx, gy, gz, bx, by, bz, dynamicShared);
        Span<byte> bytes = stackalloc byte[f.Program.ParamBytes];
        f.GatherParameters(parameters, extra, bytes);
        f.Launch(new Dim3((int)gx, (int)gy, (int)gz), new Dim3((int)bx, (int)by, (int)bz), (int)dynamicShared, bytes);
    });

    void CheckShape(uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint dynamicShared)
    {
        string name = Program.Name;
        Guard.Require(gx > 0 && gy > 0 && gz > 0, $"{name}: grid ({gx},{gy},{gz}) is empty");
        Guard.Require(bx > 0 && by > 0 && bz > 0, $"{name}: block ({bx},{by},{bz}) is empty");
        Guard.Require(gx <= Limits.GridX && gy <= Limits.GridYZ && gz <= Limits.GridYZ,
            $"{name}: grid ({gx},{gy},{gz}) exceeds ({Limits.GridX},{Limits.GridYZ},{Limits.GridYZ})");
        Guard.Require(bx <= Limits.BlockX && by <= Limits.BlockY && bz <= Limits.BlockZ,
            $"{name}: block ({bx},{by},{bz}) exceeds ({Limits.BlockX},{Limits.BlockY},{Limits.BlockZ})");
        ulong threads = (ulong)bx * by * bz;
        Guard.Require(threads <= Limits.BlockThreads,
            $"{name}: block ({bx},{by},{bz}) has {threads} threads; {Limits.BlockThreads} is the limit");
        CheckDeclaredShape(bx, by, bz, (int)threads);
        Guard.Require(dynamicShared <= (uint)_maxDynamicShared,
            $"{name}: too much shared memory: {dynamicShared} bytes dynamic, {Program.StaticSharedBytes} static; "
            + $"{_maxDynamicShared} dynamic are allowed, on {Card.Name} up to "
            + $"{Card.SharedPerBlockOptIn - Program.StaticSharedBytes} after "
            + $"cuFuncSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)");
    }

    // What the kernel says of its own blocks: it was compiled for no more.
    void CheckDeclaredShape(uint bx, uint by, uint bz, int threads)
    {
        if (Program.RequiredThreads is { } required)
        {
            int x = required[0], y = Math.Max(1, required.ElementAtOrDefault(1)),
                z = Math.Max(1, required.ElementAtOrDefault(2));
            Guard.Require(bx == x && by == y && bz == z,
                $"{Program.Name}: block ({bx},{by},{bz}) is not the ({x},{y},{z}) that .reqntid requires");
        }
        else if (threads > MaxThreads)
        {
            throw new DriverError(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
                $"{Program.Name}: {threads} threads a block; .maxntid allows {MaxThreads}");
        }
        if (RegistersOf(threads, RegistersPerThread) > Limits.Registers)
        {
            throw new DriverError(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
                $"{Program.Name}: {threads} threads of about {RegistersPerThread} registers exceed the "
                + $"{Limits.Registers} of a multiprocessor; .maxntid makes the assembler use fewer");
        }
    }

    void GatherParameters(void** parameters, void** extra, Span<byte> bytes)
    {
        bytes.Clear();
        if (parameters == null)
        {
            GatherExtra(extra, bytes);
            return;
        }
        Guard.Require(extra == null, $"{Program.Name}: parameters are given twice, as kernelParams and as extra");
        for (int i = 0; i < Program.Parameters.Length; i++)
        {
            (int offset, int size) = Program.Parameters[i];
            Guard.Require(parameters[i] != null, $"{Program.Name}: the pointer to parameter {i} is null");
            new ReadOnlySpan<byte>(parameters[i], size).CopyTo(bytes[offset..]);
        }
    }

    // All parameters in one buffer: {POINTER, buffer, SIZE, &size, END}.
    void GatherExtra(void** extra, Span<byte> bytes)
    {
        byte* buffer = null;
        nuint size = 0;
        for (int i = 0; extra != null && (nint)extra[i] != CuConstants.CU_LAUNCH_PARAM_END; i += 2)
        {
            switch ((nint)extra[i])
            {
                case CuConstants.CU_LAUNCH_PARAM_BUFFER_POINTER: buffer = (byte*)extra[i + 1]; break;
                case CuConstants.CU_LAUNCH_PARAM_BUFFER_SIZE: size = *(nuint*)extra[i + 1]; break;
                default: throw new DriverError(CUDA_ERROR_INVALID_VALUE, $"{Program.Name}: unknown marker in extra");
            }
        }
        Guard.Require(bytes.IsEmpty || buffer != null,
            $"{Program.Name} has {Program.Parameters.Length} parameters and none is given");
        Guard.Require(buffer == null || size == (nuint)bytes.Length,
            $"{Program.Name}: {size} bytes of parameters are given; it has {bytes.Length}");
        if (!bytes.IsEmpty) new ReadOnlySpan<byte>(buffer, bytes.Length).CopyTo(bytes);
    }

    void Launch(Dim3 grid, Dim3 block, int dynamicShared, ReadOnlySpan<byte> parameters)
    {
        Context context = Module.Context;
        VirtualGpu gpu = context.Gpu;
        LaunchContext launch = new(context.Heap, gpu.Options.Checks, Program.Name, gpu.Options.Counters);
        ulong[] totals = new ulong[(int)Counter.Count];
        lock (context.LaunchLock)
        {
            context.RequireUsable(); // another thread's launch may have failed while this one waited
            using StrayPages.Watch watch = StrayPages.During(launch.Checks);
            try
            {
                Grid.Launch(Program, grid, block, dynamicShared, parameters, launch,
                    gpu.LaunchOptions with { Counters = totals });
            }
            catch (KernelFault fault)
            {
                throw context.Fail(fault);
            }
            gpu.Count(Program.Name, totals);
        }
    }
}
