// The null provider: takes every call, moves no byte, and counts. Allocations are fake addresses, so running the
// model's code on it once tells how much memory it needs and what it launches: the memory planner and the FLOP counter.
// It still refuses what a careful caller must not do: free twice, launch a kernel that the module lacks, exceed the
// capacity. Copies to the host give zeros, except from module variables, whose initial values are read from the PTX
// text (tile sizes are exported that way). The entries themselves are in CuNullDriver.cs.
using System.Collections.Concurrent;

namespace EpSam.Cuda;

/// <summary>What the null provider pretends to be.</summary>
/// <param name="TotalBytes">Device memory; allocations beyond it fail as on a card.</param>
/// <param name="Multiprocessors">What the device says about itself; grids may depend on it.</param>
/// <param name="MaxSharedBytes">Shared memory of a block with opt-in.</param>
/// <param name="ComputeCapability">86 = sm_86.</param>
public sealed record CuNullOptions(
    long TotalBytes = 1L << 40, int Multiprocessors = 28, int MaxSharedBytes = 101376, int ComputeCapability = 86);

/// <summary>Launches of one kernel.</summary>
/// <param name="Kernel">The entry's name.</param>
/// <param name="Launches">How often.</param>
/// <param name="Blocks">Blocks of all launches together.</param>
/// <param name="Threads">Threads of all launches together.</param>
public sealed record CuNullLaunches(string Kernel, long Launches, long Blocks, long Threads);

/// <summary>A provider without a device, and its counts. Create one, run, read.</summary>
public sealed class CuNull
{
    static readonly ConcurrentDictionary<int, CuNull> Devices = new();
    static int s_lastDevice = 0x1000;

    readonly Lock _lock = new();
    readonly Dictionary<ulong, long> _allocations = [];
    readonly Dictionary<string, CuNullLaunches> _launches = [];
    ulong _nextAddress;

    /// <summary>The driver's table.</summary>
    public CuDriver Driver { get; }
    /// <summary>cuBLAS's table.</summary>
    public CuBlas Blas { get; }
    /// <summary>What it pretends to be.</summary>
    public CuNullOptions Options { get; }

    /// <summary>Bytes allocated now.</summary>
    public long LiveBytes { get; private set; }
    /// <summary>The most bytes allocated at any time.</summary>
    public long PeakBytes { get; private set; }
    /// <summary>Allocations alive now.</summary>
    public int LiveAllocations => _allocations.Count;
    /// <summary>Calls of cuMemAlloc.</summary>
    public long Allocations { get; private set; }
    /// <summary>Bytes copied from host to device.</summary>
    public long BytesToDevice { get; internal set; }
    /// <summary>Bytes copied from device to host.</summary>
    public long BytesToHost { get; internal set; }
    /// <summary>Bytes copied within the device.</summary>
    public long BytesOnDevice { get; internal set; }
    /// <summary>Bytes written by cuMemset.</summary>
    public long BytesSet { get; internal set; }
    /// <summary>Kernel launches.</summary>
    public long Launches { get; private set; }
    /// <summary>Matrix products, each of a batch counted.</summary>
    public long Gemms { get; internal set; }
    /// <summary>2·M·N·K over all matrix products.</summary>
    public double GemmFlops { get; internal set; }

    internal int Device { get; }

    CuNull(CuNullOptions options)
    {
        Options = options;
        Device = Interlocked.Increment(ref s_lastDevice);
        // Device addresses of their own for every instance, so that a pointer of one is not one of another.
        _nextAddress = ((ulong)Device & 0xffff) << 44;
        Driver = CuNullDriver.Table(Device);
        Blas = CuNullDriver.BlasTable();
        Devices[Device] = this;
    }

    /// <summary>A new null device. Tables stay valid for the life of the process.</summary>
    public static CuNull Create(CuNullOptions? options = null) => new(options ?? new CuNullOptions());

    /// <summary>Launches by kernel, in order of first launch.</summary>
    public IReadOnlyList<CuNullLaunches> Kernels()
    {
        lock (_lock) return [.. _launches.Values];
    }

    internal static CuNull? Find(int device) => Devices.GetValueOrDefault(device);

    internal CUresult Allocate(long bytes, out ulong address)
    {
        address = 0;
        if (bytes <= 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        lock (_lock)
        {
            if (bytes > Options.TotalBytes - LiveBytes) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
            address = _nextAddress;
            _nextAddress += ((ulong)bytes + 511) & ~255UL; // 256 bytes apart at least: neighbours never touch
            _allocations.Add(address, bytes);
            Allocations++;
            LiveBytes += bytes;
            PeakBytes = Math.Max(PeakBytes, LiveBytes);
            return CUresult.CUDA_SUCCESS;
        }
    }

    internal CUresult Free(ulong address)
    {
        lock (_lock)
        {
            if (!_allocations.Remove(address, out long bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            LiveBytes -= bytes;
            return CUresult.CUDA_SUCCESS;
        }
    }

    internal void CountLaunch(string kernel, long blocks, long threads)
    {
        lock (_lock)
        {
            CuNullLaunches before = _launches.GetValueOrDefault(kernel) ?? new(kernel, 0, 0, 0);
            _launches[kernel] = new(kernel, before.Launches + 1, before.Blocks + blocks, before.Threads + threads);
            Launches++;
        }
    }

    internal void Count(Action<CuNull> count)
    {
        lock (_lock) count(this);
    }

    internal void FreeAll()
    {
        lock (_lock)
        {
            _allocations.Clear();
            LiveBytes = 0;
        }
    }
}
