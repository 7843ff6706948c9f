namespace EpSam.VirtualGpu.Checks;

/// <summary>What the virtual GPU verifies while a kernel runs.</summary>
[Flags]
public enum CheckFlags
{
    /// <summary>Only what keeps the process safe: accesses outside of device memory still fail.</summary>
    None = 0,
    /// <summary>Every access lies inside one live allocation, with red zones between allocations.</summary>
    Bounds = 1,
    /// <summary>Every access is aligned to its size.</summary>
    Alignment = 2,
    /// <summary>No read of memory that nothing has written.</summary>
    Initialised = 4,
    /// <summary>No two threads touch the same shared memory without a barrier between, one of them writing.</summary>
    Races = 8,
    /// <summary>Barriers are reached by whole warps and by all of the block.</summary>
    Barriers = 16,
    /// <summary>All of them.</summary>
    All = 31,
}
