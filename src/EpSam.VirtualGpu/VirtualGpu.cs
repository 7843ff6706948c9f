// The way in: Create makes one virtual card and hands out the driver's and cuBLAS's tables for it. Nothing else of this
// project is meant for callers, but the counters. Handles say to which card they belong, so several cards may live in
// one process; each table sees its own card as device 0.
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu;

/// <summary>What the virtual GPU poses as, and how it runs kernels.</summary>
public sealed record VirtualGpuOptions
{
    /// <summary>A name of <see cref="Cards"/>; the default has 12 GiB and sm_86.</summary>
    public string Card { get; init; } = "rtx-3060";
    /// <summary>What is verified while kernels run. Strict unless told otherwise; None for speed.</summary>
    public CheckFlags Checks { get; init; } = CheckFlags.All;
    /// <summary>Counts instructions, memory traffic and conflicts.</summary>
    public bool Counters { get; init; }
    /// <summary>Interprets kernels instead of compiling them: slow, for comparison.</summary>
    public bool Interpret { get; init; }
    /// <summary>Threads that run blocks; 0 = one a core.</summary>
    public int Workers { get; init; }
    /// <summary>Device memory in bytes, if not the card's.</summary>
    public long? MemoryBytes { get; init; }
}

/// <summary>A virtual CUDA device in this process: runs PTX on the CPU.</summary>
public sealed class VirtualGpu
{
    readonly Lock _countersLock = new();
    readonly Dictionary<string, KernelCounters> _kernels = [];
    KernelCounters? _last;

    VirtualGpu(VirtualGpuOptions options)
    {
        Options = options;
        Card = Cards.Find(options.Card);
        MemoryBytes = options.MemoryBytes ?? Card.MemoryBytes;
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(MemoryBytes, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.Workers, nameof(options));
        LaunchOptions = new LaunchOptions(options.Interpret, options.Workers);
        Primary = new Context(this);
        Device = global::EpSam.VirtualGpu.Driver.Device.Add(this);
        Driver = Tables.Driver(Device);
        Blas = Tables.Blas();
    }

    /// <summary>The driver's table.</summary>
    public CuDriver Driver { get; }
    /// <summary>cuBLAS's table.</summary>
    public CuBlas Blas { get; }
    /// <summary>The card it poses as.</summary>
    public Card Card { get; }
    /// <summary>What it was made with.</summary>
    public VirtualGpuOptions Options { get; }

    /// <summary>
    /// Allocations alive, module variables included: 0 when a program has freed all and unloaded its modules.
    /// </summary>
    public long LiveAllocations => Primary.LiveAllocations;

    internal CUdevice Device { get; }
    internal Context Primary { get; }
    internal long MemoryBytes { get; }
    internal LaunchOptions LaunchOptions { get; }

    /// <summary>Makes a virtual device. Throws ArgumentException for a card that does not exist.</summary>
    /// <param name="options">Left out: an RTX 3060 with all checks.</param>
    public static VirtualGpu Create(VirtualGpuOptions? options = null) => new(options ?? new VirtualGpuOptions());

    /// <summary><c>var (driver, blas) = VirtualGpu.Create();</c></summary>
    public void Deconstruct(out CuDriver driver, out CuBlas blas) => (driver, blas) = (Driver, Blas);

    // ---- counters

    /// <summary>Counts of the last launch; null before the first; all zero without Counters.</summary>
    public KernelCounters? LastLaunch
    {
        get
        {
            lock (_countersLock) return _last;
        }
    }

    /// <summary>Counts of all launches since the start or the last reset, one entry per kernel, by name.</summary>
    public IReadOnlyList<KernelCounters> Kernels()
    {
        lock (_countersLock) return [.. _kernels.Values.OrderBy(k => k.Kernel, StringComparer.Ordinal)];
    }

    /// <summary>Forgets all counts.</summary>
    public void ResetCounters()
    {
        lock (_countersLock)
        {
            _kernels.Clear();
            _last = null;
        }
    }

    internal void Count(string kernel, ReadOnlySpan<ulong> totals)
    {
        lock (_countersLock)
        {
            _last = new KernelCounters(kernel, totals);
            _kernels[kernel] = _kernels.TryGetValue(kernel, out KernelCounters? before) ? before.Plus(_last) : _last;
        }
    }
}
