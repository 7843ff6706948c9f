// Faults of the whole-warp matrix instructions.
using System.Diagnostics.CodeAnalysis;
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
        int lane = System.Numerics.BitOperations.TrailingZeroCount(~w->Active);
        Throw(w, o, lane, FaultKind.DivergentBarrier, 0,
            $"{instruction} needs all 32 lanes of the warp; the lanes that execute it are 0x{w->Active:x8}");
    }

    [DoesNotReturn]
    public static void Throw(Warp* w, int* o, int lane, FaultKind kind, ulong address, string detail)
    {
        BlockState* block = w->Block;
        int thread = w->Index * 32 + lane;
        int sizeX = Math.Max(1, block->ThreadsX), sizeY = Math.Max(1, block->ThreadsY);
        throw new KernelFault(kind, detail)
        {
            Line = o[-1],
            Block = new Dim3(block->BlockX, block->BlockY, block->BlockZ),
            Thread = new Dim3(thread % sizeX, thread / sizeX % sizeY, thread / (sizeX * sizeY)),
            Address = address,
        };
    }
}
