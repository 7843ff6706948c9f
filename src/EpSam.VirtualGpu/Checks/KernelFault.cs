// What stops a kernel. Thrown by lane methods and the grid runner, caught by the driver, which turns it into the
// CUresult that the hardware would give and keeps the report for cuGetErrorString.
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Checks;

internal enum FaultKind
{
    IllegalAddress, OutOfBounds, UseAfterFree, Misaligned, Uninitialised, Race, DivergentBarrier, MissingBarrier,
    Deadlock, Trap, StackOverflow, AsyncCopyNotWaited,
}

/// <summary>A fault of a running kernel, with everything that is known about it.</summary>
internal sealed class KernelFault(FaultKind kind, string detail) : Exception(detail)
{
    public FaultKind Kind { get; } = kind;
    /// <summary>
    /// What happened, in one sentence without place: "read of 4 bytes at 0x… is 4 bytes past the end of …".
    /// </summary>
    public string Detail { get; } = detail;
    public string Kernel { get; set; } = "";
    public int Line { get; init; }                // PTX line
    public string Instruction { get; set; } = ""; // its text
    public Dim3 Block { get; init; }
    public Dim3 Thread { get; init; }
    public ulong Address { get; init; }

    /// <summary>The whole report, several lines, as cuGetErrorString gives it.</summary>
    public string Report =>
        $"{Kind}: {Detail}\n  kernel {Kernel}, PTX line {Line}: {Instruction}\n  block {Block}, thread {Thread}";
}
