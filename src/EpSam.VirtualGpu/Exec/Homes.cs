// Where each register of a kernel lives in emitted code, and how blocks are grouped into methods. A register used
// inside one method only is a set of IL locals; one that crosses methods or a barrier, or that a warp method reads or
// writes, lives in the warp's frame; a uniform one is a scalar, with a vector image in the frame if a warp
// method reads it, or one vector local (Splats).
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Passes;

namespace EpSam.VirtualGpu.Exec;

internal enum HomeKind { Locals, Frame, Scalar, ScalarFrame, Splat, Constant }

internal struct Home
{
    public HomeKind Kind;
    public int Offset;      // Frame, ScalarFrame, and a Constant's vector
    public int Image;       // Scalar and ScalarFrame: frame offset of the vector image, -1 = none
}

internal sealed class Homes
{
    // RyuJIT drops to unoptimised code past 60,000 IL bytes, 2,000 locals or 8,000 uses of locals (its own temporaries
    // included), and tracks at most 1,024 locals.
    const int MaxWeight = 3000, MaxLocals = 850;

    readonly Kernel kernel;
    readonly Liveness liveness;
    readonly Uniformity facts;
    readonly Home[] homes;
    readonly int[] chunkOf;          // by block

    public List<(int First, int End)> Chunks { get; } = [];
    public int FrameBytes { get; private set; }

    public Homes(Kernel kernel, Liveness liveness, Uniformity facts)
    {
        (this.kernel, this.liveness, this.facts) = (kernel, liveness, facts);
        homes = new Home[kernel.Regs.Count];
        chunkOf = new int[kernel.Blocks.Count];
        Partition();
        PlaceSpecial();
        Choose();
        PlaceInFrame();
    }

    public ref Home this[Reg reg] => ref homes[reg.Index];
    public int ChunkOf(Block block) => chunkOf[block.Index];

    bool RunsAsWarp(Op op, Block block) => op.Kind == OpKind.Warp && !facts.RunsUniform(op, block);

    // ---- grouping blocks into methods ----

    void Partition()
    {
        int n = kernel.Blocks.Count;
        int[] weight = new int[n], loopEnd = new int[n];
        for (int b = 0; b < n; b++)
        {
            loopEnd[b] = b;
            weight[b] = 16;
            foreach (Op op in kernel.Blocks[b].Ops) weight[b] += Weight(op);
        }
        foreach (Block block in kernel.Blocks)
            for (int i = 0; i < block.SuccessorCount; i++)
                if (block.Successor(i).Index <= block.Index)
                    loopEnd[block.Successor(i).Index] = Math.Max(loopEnd[block.Successor(i).Index], block.Index);
        int first = 0, sum = 0;
        for (int b = 0; b < n; b++)
        {
            int loop = 0;
            for (int i = b; i <= loopEnd[b]; i++) loop += weight[i];
            bool loopFitsAlone = loopEnd[b] > b && sum + loop > MaxWeight && loop <= MaxWeight;
            if (b > first && (sum + weight[b] > MaxWeight || loopFitsAlone))
            {
                Chunks.Add((first, b));
                first = b;
                sum = 0;
            }
            sum += weight[b];
        }
        Chunks.Add((first, n));
        for (int c = 0; c < Chunks.Count; c++)
            for (int b = Chunks[c].First; b < Chunks[c].End; b++) chunkOf[b] = c;
    }

    /// <summary>About how many uses of locals an operation becomes.</summary>
    public static int Weight(Op op)
    {
        if (op.Kind != OpKind.Lane) return 8;
        MethodIl body = MethodIl.Of(op.Method!.Method);
        return (4 + op.Sources.Length + (body.CanSplice ? body.References : 0)) * Pieces.Of(op.Method.Method).Count;
    }

    // ---- choosing homes ----

    void PlaceSpecial()
    {
        foreach (Reg reg in kernel.Regs)
        {
            if (!reg.IsSpecial) continue;
            homes[reg.Index] = new Home
            {
                Kind = reg.Constant is null ? HomeKind.Frame : HomeKind.Constant,
                Offset = Reserve(reg.Bytes),
            };
        }
    }

    int Reserve(int bytes)
    {
        int offset = (FrameBytes + 63) / 64 * 64;
        if (bytes < 64) offset = (FrameBytes + bytes - 1) / bytes * bytes;
        FrameBytes = offset + bytes;
        return offset;
    }

    void Choose()
    {
        int regs = kernel.Regs.Count;
        BitSet crossing = new(regs), warpRead = new(regs), warpUsed = new(regs);
        int[] chunk = new int[regs];
        Array.Fill(chunk, -1);
        foreach (Block block in kernel.Blocks)
        {
            int c = chunkOf[block.Index];
            void Seen(int r) { if (chunk[r] >= 0 && chunk[r] != c) crossing.Add(r); chunk[r] = c; }
            foreach (int r in liveness.In[block.Index].Members()) Seen(r);
            foreach (int r in liveness.Out[block.Index].Members()) Seen(r);
            foreach (int r in facts.Held[block.Index].Members()) Seen(r);
            foreach (int r in facts.Joining[block.Index].Members()) Seen(r);
            if (block.Condition is not null) Seen(block.Condition.Index);
            foreach (Op op in block.Ops) Uses(op, block, Seen, warpRead, warpUsed);
            if (!block.Yields) continue;
            crossing.Unite(liveness.In[block.Next!.Index]);
            crossing.Unite(facts.Held[block.Next.Index]);
        }
        BitSet splats = new(regs);
        foreach (Reg reg in kernel.Regs)
        {
            int r = reg.Index;
            if (!reg.IsSpecial && facts.Uniform[r] && reg.Class == RegClass.W32 && !crossing[r] && !warpRead[r])
                splats.Add(r);
        }
        splats = Splats.Find(kernel, facts, splats);
        foreach (Reg reg in kernel.Regs)
        {
            if (reg.IsSpecial) continue;
            int r = reg.Index;
            HomeKind kind = splats[r] ? HomeKind.Splat
                : facts.Uniform[r] ? crossing[r] ? HomeKind.ScalarFrame : HomeKind.Scalar
                : crossing[r] || warpUsed[r] ? HomeKind.Frame : HomeKind.Locals;
            homes[r] = new Home { Kind = kind, Image = facts.Uniform[r] && warpRead[r] ? 0 : -1 };
        }
        SpillExcess(chunk);
    }

    void Uses(Op op, Block block, Action<int> seen, BitSet warpRead, BitSet warpUsed)
    {
        bool warp = RunsAsWarp(op, block);
        foreach (Reg? dst in op.Dsts)
        {
            if (dst is null) continue;
            seen(dst.Index);
            if (warp) warpUsed.Add(dst.Index);
        }
        foreach (Src source in op.Sources)
        {
            if (source.Reg is null) continue;
            seen(source.Reg.Index);
            if (warp) { warpRead.Add(source.Reg.Index); warpUsed.Add(source.Reg.Index); }
        }
        if (op.Guard is not null) seen(op.Guard.Index);
    }

    /// <summary>Registers beyond what the JIT keeps track of go to the frame, those named last first.</summary>
    void SpillExcess(int[] chunk)
    {
        int[] locals = new int[Chunks.Count];
        foreach (Reg reg in kernel.Regs)
        {
            if (reg.IsSpecial || homes[reg.Index].Kind != HomeKind.Locals || chunk[reg.Index] < 0) continue;
            int cost = reg.Class switch { RegClass.W32 => 2, RegClass.W64 => 4, _ => 1 };
            if (locals[chunk[reg.Index]] + cost > MaxLocals) homes[reg.Index].Kind = HomeKind.Frame;
            else locals[chunk[reg.Index]] += cost;
        }
    }

    // ---- frame slots ----

    /// <summary>
    /// Slots by linear scan over the blocks in layout order. An interval runs from the first to the last block where
    /// the register is live, held or used: lanes that wait keep their registers whatever the others run meanwhile.
    /// </summary>
    void PlaceInFrame()
    {
        int regs = kernel.Regs.Count;
        int[] start = new int[regs], end = new int[regs];
        Array.Fill(start, int.MaxValue);
        Array.Fill(end, -1);
        foreach (Block block in kernel.Blocks)
        {
            int b = block.Index;
            void Seen(int r) { start[r] = Math.Min(start[r], b); end[r] = Math.Max(end[r], b); }
            foreach (int r in liveness.In[b].Members()) Seen(r);
            foreach (int r in liveness.Out[b].Members()) Seen(r);
            foreach (int r in facts.Held[b].Members()) Seen(r);
            if (block.Condition is not null) Seen(block.Condition.Index);
            foreach (Op op in block.Ops)
            {
                foreach (Reg? dst in op.Dsts) if (dst is not null) Seen(dst.Index);
                foreach (Src source in op.Sources) if (source.Reg is not null) Seen(source.Reg.Index);
                if (op.Guard is not null) Seen(op.Guard.Index);
            }
        }
        Reg[] inOrder = [.. kernel.Regs.Where(r => !r.IsSpecial && end[r.Index] >= 0).OrderBy(r => start[r.Index])];
        Dictionary<int, List<(int FreeFrom, int Offset)>> free = [];
        foreach (Reg reg in inOrder)
        {
            ref Home home = ref homes[reg.Index];
            if (home.Kind == HomeKind.Frame) home.Offset = Slot(free, reg.Bytes, start[reg.Index], end[reg.Index]);
            if (home.Kind == HomeKind.ScalarFrame) home.Offset = Slot(free, 8, start[reg.Index], end[reg.Index]);
            if (home.Kind is HomeKind.Scalar or HomeKind.ScalarFrame && home.Image >= 0)
                home.Image = Slot(free, reg.Bytes, start[reg.Index], end[reg.Index]);
        }
        FrameBytes = (FrameBytes + 63) / 64 * 64;
    }

    int Slot(Dictionary<int, List<(int FreeFrom, int Offset)>> free, int bytes, int start, int end)
    {
        if (!free.TryGetValue(bytes, out var slots)) free[bytes] = slots = [];
        int at = slots.FindIndex(s => s.FreeFrom <= start);
        if (at < 0)
        {
            int offset = Reserve(bytes);
            slots.Add((end + 1, offset));
            return offset;
        }
        slots[at] = (end + 1, slots[at].Offset);
        return slots[at].Offset;
    }
}
