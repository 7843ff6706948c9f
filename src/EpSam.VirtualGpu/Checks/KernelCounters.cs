// Counts of one kernel, and the time they would take on a card at the least. The time is a roofline: the slowest of
// five units that work side by side, each at its peak. It says which unit bounds a kernel and how two versions compare;
// it is no measurement and never quoted as one. Caches are not modelled: every sector counts as memory traffic.
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Checks;

/// <summary>What launches of one kernel did. Instructions count once a warp.</summary>
public sealed class KernelCounters
{
    readonly ulong[] _counts = new ulong[(int)Counter.Count];

    internal KernelCounters(string kernel, ReadOnlySpan<ulong> counts)
    {
        Kernel = kernel;
        Launches = 1;
        counts[..Math.Min(counts.Length, _counts.Length)].CopyTo(_counts);
    }

    /// <summary>The entry's name.</summary>
    public string Kernel { get; }
    /// <summary>Launches that these counts add up.</summary>
    public long Launches { get; private init; }

    /// <summary>Integer and logic instructions.</summary>
    public long IntegerInstructions => this[Counter.Integer];
    /// <summary>Floating-point arithmetic.</summary>
    public long FloatInstructions => this[Counter.Float];
    /// <summary>Special functions: rcp, sqrt, sin, ex2 and their like.</summary>
    public long SpecialInstructions => this[Counter.Special];
    /// <summary>Conversions.</summary>
    public long ConvertInstructions => this[Counter.Convert];
    /// <summary>Loads, stores, atomics.</summary>
    public long MemoryInstructions => this[Counter.Memory];
    /// <summary>Branches, barriers, moves between lanes.</summary>
    public long ControlInstructions => this[Counter.Control];
    /// <summary>mma instructions.</summary>
    public long TensorInstructions => this[Counter.Tensor];
    /// <summary>All instructions.</summary>
    public long Instructions => IntegerInstructions + FloatInstructions + SpecialInstructions + ConvertInstructions
        + MemoryInstructions + ControlInstructions + TensorInstructions;
    /// <summary>Warp accesses to global memory.</summary>
    public long GlobalRequests => this[Counter.GlobalRequests];
    /// <summary>32-byte pieces that they touch; 4 a request when 32 lanes read 4 bytes each side by side.</summary>
    public long GlobalSectors => this[Counter.GlobalSectors];
    /// <summary>Bytes of global memory that lanes read.</summary>
    public long BytesRead => this[Counter.BytesRead];
    /// <summary>Bytes of global memory that lanes wrote.</summary>
    public long BytesWritten => this[Counter.BytesWritten];
    /// <summary>Warp accesses to shared memory.</summary>
    public long SharedRequests => this[Counter.SharedRequests];
    /// <summary>Passes beyond the fewest, caused by lanes that meet in a bank.</summary>
    public long SharedConflicts => this[Counter.SharedConflicts];
    /// <summary>Branches that split a warp.</summary>
    public long DivergentBranches => this[Counter.DivergentBranches];
    /// <summary>Floating-point operations of mma instructions.</summary>
    public long MmaFlops => this[Counter.MmaFlops];

    long this[Counter counter] => (long)_counts[(int)counter];

    /// <summary>The least time on a card in seconds, and the unit that takes it.</summary>
    public (double Seconds, string Bound) Roofline(Card card)
    {
        double hertz = card.ClockKHz * 1e3, units = (double)card.Multiprocessors;
        (double Seconds, string Bound)[] times =
        [
            (Instructions / (4 * units * hertz), "issue"), // four schedulers, one warp instruction a cycle each
            (32.0 * FloatInstructions / (card.Fp32Units * units * hertz), "f32"),
            (card.TensorTflops > 0 ? MmaFlops / (card.TensorTflops * 1e12) : 0, "tensor"),
            (32.0 * GlobalSectors / (card.MemoryGBs * 1e9), "memory"),
            ((SharedRequests + SharedConflicts) / (units * hertz), "shared"),
        ];
        return times.MaxBy(t => t.Seconds);
    }

    internal KernelCounters Plus(KernelCounters other)
    {
        KernelCounters sum = new(Kernel, _counts) { Launches = Launches + other.Launches };
        for (int i = 0; i < _counts.Length; i++) sum._counts[i] += other._counts[i];
        return sum;
    }
}
