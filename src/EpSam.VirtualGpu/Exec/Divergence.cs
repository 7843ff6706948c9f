// The divergence stack of a warp. When a branch splits the active lanes, one part goes on, the other part and the
// place where both meet are stacked; a path that arrives at its reconvergence point, or exits, hands over to the top
// entry. Called by emitted code and by the interpreter, only when lanes really diverge.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Passes;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class Divergence
{
    /// <summary>
    /// Each split takes at least one lane off the running path and stacks at most two entries, so 32 nested splits of
    /// one loop fit twice over; deeper nesting of distinct branches is a fault, not an overrun.
    /// </summary>
    public const int StackCapacity = 256;

    /// <summary>
    /// Splits the active lanes: those in lanes go to taken, the others to next; both meet at meet.
    /// Returns where to go on.
    /// </summary>
    public static int Split(Warp* w, uint lanes, int taken, int next, int meet)
    {
        if (w->Depth + 2 > StackCapacity)
            throw Faults.OfWarp(FaultKind.StackOverflow, $"branches diverge more than {StackCapacity / 2} deep", w, 0);
        uint others = w->Active & ~lanes;
        if (w->Block->Counters != null) w->Block->Counters[(int)Counter.DivergentBranches]++;
        // Paths that may exit before they meet still stop where the running path stops: its join entry is below on the
        // stack, as it is when this path already runs towards meet.
        if (meet == ControlFlow.Exit) meet = w->Reconvergence;
        else if (w->Reconvergence != meet)
            w->Stack[w->Depth++] = new StackEntry { Pc = meet, Mask = w->Active, Reconvergence = w->Reconvergence };
        if (taken == meet)   // these lanes have nothing to run before meeting
            return Run(w, next, others, meet);
        if (next != meet)
            w->Stack[w->Depth++] = new StackEntry { Pc = next, Mask = others, Reconvergence = meet };
        return Run(w, taken, lanes, meet);
    }

    static int Run(Warp* w, int pc, uint lanes, int meet)
    {
        w->Active = lanes;
        w->Reconvergence = meet;
        return w->Pc = pc;
    }

    /// <summary>The active lanes have finished: goes on with the top entry, -1 when there is none.</summary>
    public static int Exit(Warp* w)
    {
        w->Live &= ~w->Active;
        return Join(w);
    }

    /// <summary>The running path has arrived at its reconvergence point: goes on with the top entry.</summary>
    public static int Join(Warp* w)
    {
        while (w->Depth > 0)
        {
            StackEntry top = w->Stack[--w->Depth];
            uint lanes = top.Mask & w->Live;
            w->Reconvergence = top.Reconvergence;
            if (lanes == 0) continue;
            w->Active = lanes;
            return w->Pc = top.Pc;
        }
        w->Active = 0;
        return w->Pc = ControlFlow.Exit;
    }
}
