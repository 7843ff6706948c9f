namespace EpSam.VirtualGpu.Checks;

/// <summary>
/// What is counted while a kernel runs. Instructions count once per warp. Requests are warp instructions that access
/// the space; sectors are 32-byte pieces of global memory that a request touches; conflicts are wavefronts of shared
/// memory beyond the fewest the access width needs; bytes are those of global memory that the active lanes ask for.
/// </summary>
internal enum Counter
{
    Integer, Float, Special, Convert, Memory, Control, Tensor,
    GlobalRequests, GlobalSectors, BytesRead, BytesWritten,
    SharedRequests, SharedConflicts,
    DivergentBranches, MmaFlops,
    Count,
}
