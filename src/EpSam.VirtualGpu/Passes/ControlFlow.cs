// Puts the blocks in order: unreachable ones go, jumps to the next block merge, results nobody reads are not computed,
// and blocks too long for one emitted method are cut. Then finds where diverged lanes meet again: the immediate
// post-dominator (Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm", on the reversed graph).
using EpSam.VirtualGpu.Ir;

namespace EpSam.VirtualGpu.Passes;

internal static class ControlFlow
{
    public const int Exit = -1;

    public static void Clean(Kernel kernel, Func<Op, int> weight, int maxWeight)
    {
        Prune(kernel);
        Merge(kernel);
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
            (rest.End, rest.Condition, rest.Negated, rest.Taken) = (block.End, block.Condition, block.Negated, block.Taken);
            (rest.Next, rest.Yields) = (block.Next, block.Yields);
            (block.End, block.Condition, block.Next, block.Taken, block.Yields) = (EndKind.Jump, null, rest, null, false);
            kernel.Blocks.Insert(i + 1, rest);
        }
    }

    /// <summary>For each block its immediate post-dominator; Exit where that is the end of the kernel.</summary>
    public static int[] PostDominators(Kernel kernel)
    {
        int n = kernel.Blocks.Count;
        int[] order = new int[n + 1];      // position in a postorder of the reversed graph; the exit n comes last
        List<int> sequence = ReversedOrder(kernel, order);
        int[] ipdom = new int[n + 1];
        Array.Fill(ipdom, -2);             // -2 = not known yet
        ipdom[n] = n;
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (int b in sequence)
            {
                int best = kernel.Blocks[b].End == EndKind.Exit ? n : -2;
                for (int i = 0; i < kernel.Blocks[b].SuccessorCount; i++)
                {
                    int s = kernel.Blocks[b].Successor(i).Index;
                    if (ipdom[s] != -2) best = best == -2 ? s : Intersect(best, s, ipdom, order);
                }
                if (best == ipdom[b]) continue;
                ipdom[b] = best;
                changed = true;
            }
        }
        int[] result = new int[n];
        for (int b = 0; b < n; b++) result[b] = ipdom[b] < 0 || ipdom[b] == n ? Exit : ipdom[b];
        return result;
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
    static List<int> ReversedOrder(Kernel kernel, int[] order)
    {
        int n = kernel.Blocks.Count;
        List<int>[] predecessors = new List<int>[n + 1];
        for (int i = 0; i <= n; i++) predecessors[i] = [];
        foreach (Block block in kernel.Blocks)
        {
            if (block.End == EndKind.Exit) predecessors[n].Add(block.Index);
            for (int i = 0; i < block.SuccessorCount; i++) predecessors[block.Successor(i).Index].Add(block.Index);
        }
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
