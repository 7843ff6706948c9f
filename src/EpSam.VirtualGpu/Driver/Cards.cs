// The cards the virtual GPU can pose as. Figures are the public ones: data sheets, and what cuDeviceGetAttribute
// answers on the real card (clocks in kHz as it gives them). Memory is the nominal size; a real driver keeps a few
// hundred MiB of it for itself. Tensor rate: dense 16-bit products accumulated in f32, from the data sheet.
using EpSam.Cuda;
using static EpSam.Cuda.CUdevice_attribute;

namespace EpSam.VirtualGpu.Driver;

/// <summary>What a card is made of, as far as programs can see.</summary>
public sealed record Card
{
    /// <summary>Short name, "rtx-3060".</summary>
    public required string Key { get; init; }
    /// <summary>Name as the driver gives it.</summary>
    public required string Name { get; init; }
    /// <summary>86 = sm_86.</summary>
    public required int ComputeCapability { get; init; }
    /// <summary>Device memory in bytes.</summary>
    public required long MemoryBytes { get; init; }
    /// <summary>Streaming multiprocessors.</summary>
    public required int Multiprocessors { get; init; }
    /// <summary>Resident threads of one multiprocessor.</summary>
    public required int ThreadsPerMultiprocessor { get; init; }
    /// <summary>Resident blocks of one multiprocessor.</summary>
    public required int BlocksPerMultiprocessor { get; init; }
    /// <summary>Shared memory of one multiprocessor in bytes.</summary>
    public required int SharedPerMultiprocessor { get; init; }
    /// <summary>The most shared memory one block can have, with opt-in.</summary>
    public required int SharedPerBlockOptIn { get; init; }
    /// <summary>Level 2 cache in bytes.</summary>
    public required int L2Bytes { get; init; }
    /// <summary>Boost clock in kHz.</summary>
    public required int ClockKHz { get; init; }
    /// <summary>Memory clock in kHz; data moves on both edges.</summary>
    public required int MemoryClockKHz { get; init; }
    /// <summary>Width of the memory bus in bits.</summary>
    public required int BusBits { get; init; }
    /// <summary>f32 FMA units of one multiprocessor.</summary>
    public int Fp32Units { get; init; } = 128;
    /// <summary>f32 rate over f64 rate.</summary>
    public required int DoubleRatio { get; init; }
    /// <summary>16-bit tensor products accumulated in f32, TFLOP/s, dense; 0 = no tensor cores.</summary>
    public required double TensorTflops { get; init; }

    /// <summary>Shared memory the system keeps of each block.</summary>
    public int ReservedShared => ComputeCapability >= 80 ? 1024 : 0;
    /// <summary>f32 TFLOP/s.</summary>
    public double Fp32Tflops => 2e-9 * Multiprocessors * Fp32Units * ClockKHz;
    /// <summary>Memory traffic in GB/s.</summary>
    public double MemoryGBs => 2e-6 * MemoryClockKHz * BusBits / 8;

    /// <summary>What cuDeviceGetAttribute answers; null for an attribute this driver does not know.</summary>
    internal int? Attribute(CUdevice_attribute attribute) => attribute switch
    {
        CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK => Limits.BlockThreads,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X => Limits.BlockX,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y => Limits.BlockY,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z => Limits.BlockZ,
        CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X => Limits.GridX,
        CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y or CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z => Limits.GridYZ,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK => Limits.SharedBytes,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN => SharedPerBlockOptIn,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR => SharedPerMultiprocessor,
        CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK => ReservedShared,
        CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY => Limits.ConstantBytes,
        CU_DEVICE_ATTRIBUTE_WARP_SIZE => 32,
        CU_DEVICE_ATTRIBUTE_MAX_PITCH => int.MaxValue,
        CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT => 512,
        CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK or CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR =>
            Limits.Registers,
        CU_DEVICE_ATTRIBUTE_CLOCK_RATE => ClockKHz,
        CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE => MemoryClockKHz,
        CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH => BusBits,
        CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE => L2Bytes,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT => Multiprocessors,
        CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR => ThreadsPerMultiprocessor,
        CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR => BlocksPerMultiprocessor,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR => ComputeCapability / 10,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR => ComputeCapability % 10,
        CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO => DoubleRatio,
        CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT => 2,
        CU_DEVICE_ATTRIBUTE_GPU_OVERLAP or CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS
            or CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING or CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED
            or CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED or CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED => 1,
        // What the real card has and the virtual one does not is answered with what the virtual one does.
        _ => Enum.IsDefined(attribute) ? 0 : null,
    };
}

/// <summary>Limits that all these cards share (CUDA C++ Programming Guide, technical specifications).</summary>
internal static class Limits
{
    public const int BlockThreads = 1024, BlockX = 1024, BlockY = 1024, BlockZ = 64;
    public const int GridX = int.MaxValue, GridYZ = 65535;
    public const int SharedBytes = 48 << 10; // of a block, static or without opt-in
    public const int ConstantBytes = 64 << 10;
    public const int ParameterBytes = 4096;
    public const int LocalBytes = 512 << 10; // of a thread
    public const int Registers = 65536;      // of a block
    public const int RegistersPerThread = 255;
}

/// <summary>The cards by name.</summary>
public static class Cards
{
    const long GiB = 1L << 30;
    const int KiB = 1 << 10, MiB = 1 << 20;

    /// <summary>All of them; the first is the default.</summary>
    public static IReadOnlyList<Card> All { get; } =
    [
        Ampere("rtx-3060", "NVIDIA GeForce RTX 3060", 12 * GiB, 28, 2304 * KiB, 1_777_000, 7_501_000, 192, 25.5),
        Ampere("rtx-3090", "NVIDIA GeForce RTX 3090", 24 * GiB, 82, 6 * MiB, 1_695_000, 9_751_000, 384, 71),
        new()
        {
            Key = "rtx-4090", Name = "NVIDIA GeForce RTX 4090", ComputeCapability = 89, MemoryBytes = 24 * GiB,
            Multiprocessors = 128, ThreadsPerMultiprocessor = 1536, BlocksPerMultiprocessor = 24,
            SharedPerMultiprocessor = 100 * KiB, SharedPerBlockOptIn = 99 * KiB, L2Bytes = 72 * MiB,
            ClockKHz = 2_520_000, MemoryClockKHz = 10_501_000, BusBits = 384, DoubleRatio = 64, TensorTflops = 165.2,
        },
        A100("a100-40", "NVIDIA A100-SXM4-40GB", 40 * GiB, 1_215_000),
        A100("a100-80", "NVIDIA A100-SXM4-80GB", 80 * GiB, 1_593_000),
        Hopper("h100", "NVIDIA H100 80GB HBM3", 80 * GiB, 50 * MiB, 2_619_000, 5120),
        Hopper("h200", "NVIDIA H200", 143_771L * MiB, 60 * MiB, 3_201_000, 6144),
        new()
        {
            Key = "titan-xp", Name = "NVIDIA TITAN Xp", ComputeCapability = 61, MemoryBytes = 12 * GiB,
            Multiprocessors = 30, ThreadsPerMultiprocessor = 2048, BlocksPerMultiprocessor = 32,
            SharedPerMultiprocessor = 96 * KiB, SharedPerBlockOptIn = 48 * KiB, L2Bytes = 3 * MiB,
            ClockKHz = 1_582_000, MemoryClockKHz = 5_705_000, BusBits = 384, DoubleRatio = 32, TensorTflops = 0,
        },
        new()
        {
            Key = "t4", Name = "Tesla T4", ComputeCapability = 75, MemoryBytes = 15 * GiB, // 16 less what ECC takes
            Multiprocessors = 40, ThreadsPerMultiprocessor = 1024, BlocksPerMultiprocessor = 16,
            SharedPerMultiprocessor = 64 * KiB, SharedPerBlockOptIn = 64 * KiB, L2Bytes = 4 * MiB,
            ClockKHz = 1_590_000, MemoryClockKHz = 5_001_000, BusBits = 256, Fp32Units = 64, DoubleRatio = 32,
            TensorTflops = 65,
        },
    ];

    /// <summary>The card of that name; throws ArgumentException that lists the names.</summary>
    public static Card Find(string key)
    {
        foreach (Card card in All)
        {
            if (string.Equals(card.Key, key, StringComparison.OrdinalIgnoreCase)) return card;
        }
        throw new ArgumentException(
            $"There is no virtual card '{key}'; known are {string.Join(", ", All.Select(c => c.Key))}.", nameof(key));
    }

    static Card Ampere(string key, string name, long memory, int count, int l2, int clock, int memoryClock, int bus,
        double tensor) => new()
    {
        Key = key, Name = name, ComputeCapability = 86, MemoryBytes = memory, Multiprocessors = count,
        ThreadsPerMultiprocessor = 1536, BlocksPerMultiprocessor = 16, SharedPerMultiprocessor = 100 * KiB,
        SharedPerBlockOptIn = 99 * KiB, L2Bytes = l2, ClockKHz = clock, MemoryClockKHz = memoryClock, BusBits = bus,
        DoubleRatio = 64, TensorTflops = tensor,
    };

    static Card A100(string key, string name, long memory, int memoryClock) => new()
    {
        Key = key, Name = name, ComputeCapability = 80, MemoryBytes = memory, Multiprocessors = 108,
        ThreadsPerMultiprocessor = 2048, BlocksPerMultiprocessor = 32, SharedPerMultiprocessor = 164 * KiB,
        SharedPerBlockOptIn = 163 * KiB, L2Bytes = 40 * MiB, ClockKHz = 1_410_000, MemoryClockKHz = memoryClock,
        BusBits = 5120, Fp32Units = 64, DoubleRatio = 2, TensorTflops = 312,
    };

    static Card Hopper(string key, string name, long memory, int l2, int memoryClock, int bus) => new()
    {
        Key = key, Name = name, ComputeCapability = 90, MemoryBytes = memory, Multiprocessors = 132,
        ThreadsPerMultiprocessor = 2048, BlocksPerMultiprocessor = 32, SharedPerMultiprocessor = 228 * KiB,
        SharedPerBlockOptIn = 227 * KiB, L2Bytes = l2, ClockKHz = 1_980_000, MemoryClockKHz = memoryClock,
        BusBits = bus, DoubleRatio = 2, TensorTflops = 989,
    };
}
