// Which registers hold a value that may still be read, at the start and end of each block. A guarded write does not
// end the life of the old value: lanes whose guard is false keep it.
using EpSam.VirtualGpu.Ir;

namespace EpSam.VirtualGpu.Passes;

internal sealed class Liveness
{
    public BitSet[] In { get; }
    public BitSet[] Out { get; }

    Liveness(int blocks, int regs)
    {
        In = new BitSet[blocks];
        Out = new BitSet[blocks];
        for (int i = 0; i < blocks; i++) (In[i], Out[i]) = (new BitSet(regs), new BitSet(regs));
    }

    public static Liveness Run(Kernel kernel)
    {
        int n = kernel.Blocks.Count;
        Liveness result = new(n, kernel.Regs.Count);
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int b = n - 1; b >= 0; b--)
            {
                Block block = kernel.Blocks[b];
                for (int i = 0; i < block.SuccessorCount; i++) result.Out[b].Unite(result.In[block.Successor(i).Index]);
                BitSet live = result.Out[b].Copy();
                if (block.Condition is not null) live.Add(block.Condition.Index);
                for (int i = block.Ops.Count - 1; i >= 0; i--) Step(block.Ops[i], live);
                changed |= result.In[b].Unite(live);
            }
        }
        return result;
    }

    /// <summary>From live-after to live-before one operation.</summary>
    public static void Step(Op op, BitSet live)
    {
        if (op.Guard is null)
            foreach (Reg? dst in op.Dsts)
                if (dst is not null) live.Remove(dst.Index);
        foreach (Src source in op.Sources)
            if (source.Reg is not null) live.Add(source.Reg.Index);
        if (op.Guard is not null) live.Add(op.Guard.Index);
    }
}
