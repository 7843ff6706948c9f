// Barriers of a block. Warps have no threads of their own: a warp that arrives leaves its method, the block's runner
// counts arrivals and resumes the warps when the barrier is complete. PTX ISA "bar, barrier": 16 barriers a block, a
// count of threads (0 = all), arrivals that do not wait, reductions over the predicates of all arriving threads.
using System.Numerics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Lanes
{
    internal static unsafe class BarrierOps
    {
        /// <summary>o: kind, frame offsets of id, count and predicate, destination of a reduction.</summary>
        [PtxWarp("barrier.arrive")]
        public static void Arrive(Exec.Warp* w, byte* f, int* o)
        {
            int lane = BitOperations.TrailingZeroCount(w->Active);
            w->BarrierKind = (Exec.BarrierKind)o[0];
            w->BarrierId = (int)((uint*)(f + o[1]))[lane];
            w->BarrierCount = (int)((uint*)(f + o[2]))[lane];
            w->BarrierValue = *(uint*)(f + o[3]) & w->Active;
            w->BarrierResult = o[4];
            w->BarrierLine = o[-1];
            if (w->BarrierId is < 0 or > 15)
                throw Faults.OfWarp(FaultKind.DivergentBarrier,
                    $"barrier {w->BarrierId} does not exist; there are 0 to 15", w, o[-1]);
            if ((w->Block->Checks & (int)CheckFlags.Barriers) != 0 && w->Active != w->Live)
                throw Diverged(w, o[-1]);
        }

        static KernelFault Diverged(Exec.Warp* w, int line)
        {
            uint missing = w->Live & ~w->Active;
            int lane = BitOperations.TrailingZeroCount(missing);
            return Faults.OfWarp(FaultKind.DivergentBarrier,
                $"barrier reached by lanes 0x{w->Active:x8} of warp {w->Index} only; " +
                $"{BitOperations.PopCount(missing)} of its live threads are elsewhere, " +
                $"the first is thread {Faults.ThreadOf(w, lane)}", w, line);
        }

        [PtxWarp("bar.warp.sync")]
        public static void WarpSync(Exec.Warp* w, byte* f, int* o)
        {
            uint members = ((uint*)(f + o[0]))[BitOperations.TrailingZeroCount(w->Active)];
            if ((w->Block->Checks & (int)CheckFlags.Barriers) != 0 && (members & w->Live & ~w->Active) != 0)
                throw Diverged(w, o[-1]);
            w->Sequence++;
        }

        [PtxWarp("trap")]
        public static void Trap(Exec.Warp* w, byte* f, int* o) => throw Stop(w, "trap", o[-1]);

        [PtxWarp("brkpt")]
        public static void Breakpoint(Exec.Warp* w, byte* f, int* o) =>
            throw Stop(w, "brkpt (no debugger is attached)", o[-1]);

        static KernelFault Stop(Exec.Warp* w, string what, int line) =>
            Faults.OfWarp(FaultKind.Trap, $"the kernel executed {what}", w, line);
    }
}
