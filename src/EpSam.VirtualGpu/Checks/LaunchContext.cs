using System.Diagnostics.CodeAnalysis;

namespace EpSam.VirtualGpu.Checks;

/// <summary>What checked memory methods must know of the launch they run in.</summary>
internal sealed class LaunchContext(Heap heap, CheckFlags checks, string kernel, bool counting = false)
{
    public Heap Heap { get; } = heap;
    public CheckFlags Checks { get; } = checks;
    public string Kernel { get; } = kernel;
    public bool Counting { get; } = counting;

    /// <summary>Launch whose blocks this thread runs; set by the grid runner.</summary>
    [ThreadStatic]
    [SuppressMessage("Usage", "CA2211", Justification = "thread-static")]
    public static LaunchContext? Current;
}
