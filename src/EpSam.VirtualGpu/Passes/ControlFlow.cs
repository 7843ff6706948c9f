// Puts the blocks in order: unreachable ones go, jumps to the next block merge, results nobody reads are not computed,
// and blocks too long for one emitted method are cut. Then finds where diverged lanes meet again: the immediate
// post-dominator (Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm", on the reversed graph).
using EpSam.VirtualGpu.Ir;

namespace EpSam.VirtualGpu.Passes;

internal static class ControlFlow
{
    public const int Exit = -1;
    const int MaxBlocksForSides = 4000;   // beyond, the search for early exits (quadratic) is left out

    public static void Clean(Kernel kernel, Func<Op, int> weight, int maxWeight)
    {
        Prune(kernel);
        Merge(kernel);
        CopyExits(kernel);
        RemoveUnread(kernel);
        Split(kernel, weight, maxWeight);
        for (int i = 0; i < kernel.Blocks.Count; i++) kernel.Blocks[i].Index = i;
    }

    static void Prune(Kernel kernel)
    {
        HashSet<Block> reached = [];
        Stack<Block> pending = new([kernel.Blocks[0]]);
        while (pending.TryPop(out Block? block))
        {
            if (!reached.Add(block)) continue;
            for (int i = 0; i < block.SuccessorCount; i++) pending.Push(block.Successor(i));
        }
        kernel.Blocks.RemoveAll(b => !reached.Contains(b));
    }

    /// <summary>Joins a block with its only successor when that has no other predecessor.</summary>
    static void Merge(Kernel kernel)
    {
        Dictionary<Block, int> predecessors = [];
        foreach (Block block in kernel.Blocks)
            for (int i = 0; i < block.SuccessorCount; i++)
                predecessors[block.Successor(i)] = predecessors.GetValueOrDefault(block.Successor(i)) + 1;
        HashSet<Block> gone = [];
        foreach (Block block in kernel.Blocks)
        {
            if (gone.Contains(block)) continue;
            while (block is { End: EndKind.Jump, Yields: false } && block.Next is { } next && next != block
                && next != kernel.Blocks[0] && predecessors[next] == 1)
            {
                block.Ops.AddRange(next.Ops);
                (block.End, block.Condition, block.Negated) = (next.End, next.Condition, next.Negated);
                (block.Taken, block.Next, block.Yields) = (next.Taken, next.Next, next.Yields);
                gone.Add(next);
            }
        }
        kernel.Blocks.RemoveAll(gone.Contains);
    }

    /// <summary>
    /// Every branch to a bare "ret" gets one of its own, as if the instruction were a predicated exit.
    /// </summary>
    static void CopyExits(Kernel kernel)
    {
        static bool IsBare(Block? b) => b is { Ops.Count: 0, End: EndKind.Exit };
        Block Copy(Block b)
        {
            Block copy = new(-1) { Position = b.Position };
            kernel.Blocks.Add(copy);
            return copy;
        }

        foreach (Block block in kernel.Blocks.ToArray())
        {
            if (block is { End: EndKind.Jump, Yields: false } && IsBare(block.Next))
                (block.End, block.Next) = (EndKind.Exit, null);
            if (block.End != EndKind.Branch) continue;
            if (IsBare(block.Taken)) block.Taken = Copy(block.Taken!);
            if (IsBare(block.Next)) block.Next = Copy(block.Next!);
        }
        Prune(kernel);
    }

    static void RemoveUnread(Kernel kernel)
    {
        int[] reads = new int[kernel.Regs.Count];
        foreach (Block block in kernel.Blocks)
        {
            if (block.Condition is not null) reads[block.Condition.Index]++;
            foreach (Op op in block.Ops) CountReads(op, reads, 1);
        }
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (Block block in kernel.Blocks)
                changed |= block.Ops.RemoveAll(op => IsUnread(op, reads)) > 0;
        }
    }

    static bool IsUnread(Op op, int[] reads)
    {
        if (op.Kind == OpKind.Warp || reads[op.Dst!.Index] != 0) return false;
        CountReads(op, reads, -1);
        return true;
    }

    static void CountReads(Op op, int[] reads, int step)
    {
        foreach (Src source in op.Sources)
            if (source.Reg is not null) reads[source.Reg.Index] += step;
        if (op.Guard is not null) reads[op.Guard.Index] += step;
    }

    static void Split(Kernel kernel, Func<Op, int> weight, int maxWeight)
    {
        for (int i = 0; i < kernel.Blocks.Count; i++)
        {
            Block block = kernel.Blocks[i];
            int maxOps = 0;
            for (int sum = 0; maxOps < block.Ops.Count; maxOps++)
            {
                sum += weight(block.Ops[maxOps]);
                if (sum > maxWeight && maxOps > 0) break;
            }
            if (maxOps == block.Ops.Count) continue;
            Block rest = new(-1) { Position = block.Ops[maxOps].Position };
            rest.Ops.AddRange(block.Ops[maxOps..]);
            block.Ops.RemoveRange(maxOps, block.Ops.Count - maxOps);
            (rest.End, rest.Condition, rest.Negated, rest.Taken) =
                (block.End, block.Condition, block.Negated, block.Taken);
            (rest.Next, rest.Yields) = (block.Next, block.Yields);
            (block.End, block.Condition, block.Next, block.Taken, block.Yields) =
                (EndKind.Jump, null, rest, null, false);
            kernel.Blocks.Insert(i + 1, rest);
        }
    }

    /// <summary>
    /// For each block its immediate post-dominator; Exit where that is the end of the kernel. Lanes that leave the
    /// kernel early do not keep the others from meeting: the edge into such a side is left out.
    /// </summary>
    public static int[] PostDominators(Kernel kernel)
    {
        int n = kernel.Blocks.Count;
        int[][] successors = [.. kernel.Blocks.Select(b => Meeting(kernel, b))];
        int[] order = new int[n + 1];      // position in a postorder of the reversed graph; the exit n comes last
        List<int> sequence = ReversedOrder(successors, order);
        int[] ipdom = new int[n + 1];
        Array.Fill(ipdom, -2);             // -2 = not known yet
        ipdom[n] = n;
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (int b in sequence)
            {
                int best = -2;
                foreach (int s in successors[b])
                    if (ipdom[s] != -2) best = best == -2 ? s : Intersect(best, s, ipdom, order);
                if (best == ipdom[b]) continue;
                ipdom[b] = best;
                changed = true;
            }
        }
        int[] result = new int[n];
        for (int b = 0; b < n; b++) result[b] = ipdom[b] < 0 || ipdom[b] == n ? Exit : ipdom[b];
        return result;
    }

    /// <summary>
    /// Where the lanes of a block go on, the kernel's end being block n. When the two sides of a branch have no block
    /// in common, the one with fewer blocks is the early exit, and is left out.
    /// </summary>
    static int[] Meeting(Kernel kernel, Block block)
    {
        if (block.End == EndKind.Exit) return [kernel.Blocks.Count];
        if (block.End == EndKind.Jump) return [block.Next!.Index];
        if (kernel.Blocks.Count > MaxBlocksForSides) return [block.Next!.Index, block.Taken!.Index];
        HashSet<int> next = Reached(block.Next!), taken = Reached(block.Taken!);
        if (next.Overlaps(taken)) return [block.Next!.Index, block.Taken!.Index];
        return [next.Count < taken.Count ? block.Taken!.Index : block.Next!.Index];
    }

    static HashSet<int> Reached(Block from)
    {
        HashSet<int> reached = [];
        Stack<Block> pending = new([from]);
        while (pending.TryPop(out Block? block))
        {
            if (!reached.Add(block.Index)) continue;
            for (int i = 0; i < block.SuccessorCount; i++) pending.Push(block.Successor(i));
        }
        return reached;
    }

    static int Intersect(int a, int b, int[] ipdom, int[] order)
    {
        while (a != b)
        {
            while (order[a] < order[b]) a = ipdom[a];
            while (order[b] < order[a]) b = ipdom[b];
        }
        return a;
    }

    /// <summary>Blocks in reverse postorder of the reversed graph, from the exit.</summary>
    static List<int> ReversedOrder(int[][] successors, int[] order)
    {
        int n = successors.Length;
        List<int>[] predecessors = new List<int>[n + 1];
        for (int i = 0; i <= n; i++) predecessors[i] = [];
        for (int b = 0; b < n; b++)
            foreach (int s in successors[b]) predecessors[s].Add(b);
        List<int> postorder = [];
        bool[] seen = new bool[n + 1];
        Stack<(int Node, int Next)> stack = new([(n, 0)]);
        seen[n] = true;
        while (stack.TryPop(out (int Node, int Next) top))
        {
            if (top.Next == predecessors[top.Node].Count)
            {
                order[top.Node] = postorder.Count;
                postorder.Add(top.Node);
                continue;
            }
            stack.Push((top.Node, top.Next + 1));
            int p = predecessors[top.Node][top.Next];
            if (seen[p]) continue;
            seen[p] = true;
            stack.Push((p, 0));
        }
        postorder.Reverse();
        postorder.RemoveAt(0);   // the exit itself
        return postorder;
    }
}
