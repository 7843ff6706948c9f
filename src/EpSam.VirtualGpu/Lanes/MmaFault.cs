using System.Numerics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class MmaFault
{
    /// <summary>
    /// Called when some lanes are missing. PTX leaves the result undefined then; with barrier checks it is a fault,
    /// otherwise the caller goes on as if all lanes were there.
    /// </summary>
    public static void Divergent(Warp* w, int* o, string instruction)
    {
        if (((CheckFlags)w->Block->Checks & CheckFlags.Barriers) == 0) return;
        int lane = BitOperations.TrailingZeroCount(~w->Active);
        throw Faults.At(FaultKind.DivergentBarrier,
            $"{instruction} needs all 32 lanes of the warp; the lanes that execute it are 0x{w->Active:x8}",
            w, o[-1], lane);
    }
}
