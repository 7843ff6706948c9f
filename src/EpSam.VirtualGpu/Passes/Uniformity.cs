// Which registers hold one value for the whole warp (they become scalars), which branches can diverge, and what must
// survive while some lanes wait. While a path of a divergent branch runs, the other lanes wait at the branch's other
// target or at its reconvergence point; registers live there belong to them too ("held"). A write to a held register
// must be blended by lane, so such a register cannot be uniform; any other write may do as it likes in waiting lanes.
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Passes;

internal sealed class Uniformity
{
    public required bool[] Uniform { get; init; }      // by register
    public required bool[] Divergent { get; init; }    // by block: its branch may diverge
    public required BitSet[] Held { get; init; }       // by block
    public required BitSet[] Joining { get; init; }    // by block: what waiting lanes hold while others join here
    public required bool Checks { get; init; }         // loads stay per lane, so that each access is checked
    public required Dictionary<Op, WarpSum[]> OfWarp { get; init; }   // see WarpRows

    public static Uniformity Run(
        Kernel kernel, Liveness liveness, int[] reconvergence, bool checks, bool wholeRows = false)
    {
        int n = kernel.Blocks.Count;
        bool[] uniform = new bool[kernel.Regs.Count], divergent = new bool[n];
        BitSet[] held = new BitSet[n], joining = new BitSet[n];
        for (int i = 0; i < n; i++)
            (held[i], joining[i]) = (new BitSet(kernel.Regs.Count), new BitSet(kernel.Regs.Count));
        foreach (Reg reg in kernel.Regs) uniform[reg.Index] = !reg.IsSpecial || reg.Constant is not null;
        uniform[kernel.Tid[1].Index] = uniform[kernel.Tid[2].Index] = wholeRows;
        Dictionary<Op, WarpSum[]> ofWarp = wholeRows ? WarpRows.Find(kernel, liveness) : [];
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (Block block in kernel.Blocks)
            {
                if (block.End != EndKind.Branch || divergent[block.Index] || uniform[block.Condition!.Index]) continue;
                divergent[block.Index] = changed = true;
                Hold(kernel, liveness, block, reconvergence[block.Index], held, joining);
            }
            foreach (Block block in kernel.Blocks)
            foreach (Op op in block.Ops)
                if (!IsUniform(op, block, uniform, held, checks, ofWarp)
                    || op.Kind == OpKind.Warp && !AllUniform(op, uniform))
                    foreach (Reg? dst in op.Dsts)
                        if (dst is not null && uniform[dst.Index]) { uniform[dst.Index] = false; changed = true; }
        }
        return new Uniformity
        {
            Uniform = uniform, Divergent = divergent, Held = held,
            Joining = joining, Checks = checks, OfWarp = ofWarp,
        };
    }

    /// <summary>Does this operation of the block run as a scalar one?</summary>
    public bool RunsUniform(Op op, Block block) =>
        IsUniform(op, block, Uniform, Held, Checks, OfWarp) && AllUniform(op, Uniform);

    static bool AllUniform(Op op, bool[] uniform)
    {
        foreach (Reg? dst in op.Dsts)
            if (dst is not null && !uniform[dst.Index]) return false;
        return true;
    }

    /// <summary>Marks the blocks that may run while lanes of this branch wait, and what those lanes hold.</summary>
    static void Hold(
        Kernel kernel, Liveness liveness, Block branch, int meet,
        BitSet[] held, BitSet[] joining)
    {
        BitSet waiting = liveness.In[branch.Next!.Index].Copy();
        waiting.Unite(liveness.In[branch.Taken!.Index]);
        if (meet != ControlFlow.Exit)
        {
            waiting.Unite(liveness.In[meet]);
            joining[meet].Unite(waiting);
        }
        Stack<int> pending = new([branch.Next.Index, branch.Taken.Index]);
        HashSet<int> seen = [];
        while (pending.TryPop(out int b))
        {
            if (b == meet || !seen.Add(b)) continue;
            held[b].Unite(waiting);
            Block block = kernel.Blocks[b];
            for (int i = 0; i < block.SuccessorCount; i++) pending.Push(block.Successor(i).Index);
        }
    }

    /// <summary>Can this operation be one scalar operation, its results the same in all lanes?</summary>
    static bool IsUniform(
        Op op, Block block, bool[] uniform, BitSet[] held, bool checks, Dictionary<Op, WarpSum[]> ofWarp)
    {
        if (op.Guard is not null && !uniform[op.Guard.Index]) return false;
        foreach (Reg? dst in op.Dsts)
            if (dst is not null && held[block.Index][dst.Index]) return false;
        bool ofLanes = false;
        foreach (Src source in op.Sources) ofLanes |= source.Reg is not null && !uniform[source.Reg.Index];
        if (ofLanes && !IsOfWarp(op, uniform, held, ofWarp)) return false;
        return op.Kind switch
        {
            OpKind.Special => true,
            OpKind.Lane => op.Scalar is not null || IsPredicateLogic(op.Method!),
            _ => op.Uniform is not null && (!checks || op.Uniform.Space == StateSpace.Param),
        };
    }

    static bool IsOfWarp(Op op, bool[] uniform, BitSet[] held, Dictionary<Op, WarpSum[]> ofWarp)
    {
        if (!ofWarp.TryGetValue(op, out WarpSum[]? sums)) return false;
        foreach (WarpSum sum in sums)
            if (!uniform[sum.Base.Index] || held[sum.Block][sum.Sum.Index]) return false;
        return true;
    }

    /// <summary>Methods of predicates alone work on the whole warp's mask; they are their own scalar form.</summary>
    public static bool IsPredicateLogic(LaneMethod method)
    {
        if (method.Method.ReturnType != typeof(uint)) return false;
        foreach (System.Reflection.ParameterInfo p in method.Method.GetParameters())
            if (p.ParameterType != typeof(uint) && p.ParameterType != typeof(int)) return false;
        return true;
    }
}
