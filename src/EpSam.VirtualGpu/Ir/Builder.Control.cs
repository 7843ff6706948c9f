// Control flow that ends a block or waits: indexed branches, fences and barriers. A barrier ends its block and yields
// the warp, which goes on in the next block once the block runner finds the barrier complete; a guard on it becomes a
// branch round it. Of fences only the form is checked: the warps of a block run one at a time.
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Ir;

internal sealed partial class Builder
{
    Block LabelOf(PtxOperand operand) =>
        operand.Name is not null && scope.Labels.TryGetValue(operand.Name, out Block? target) ? target
            : throw Error($"label {operand.Name} is not defined in this function");

    /// <summary>brx.idx: a chain of comparisons; an index past the end goes to the last target.</summary>
    void BranchIndexed(PtxStatement s)
    {
        PtxOperand[] targets = s.Operands[1].Name is { } table
            && scope.Function.BranchTargets.TryGetValue(table, out PtxOperand[]? named)
            ? named
            : s.Operands[1].Elements;
        if (targets.Length == 0) throw Error("brx.idx needs its list of targets");
        Block? after = null;
        if (s.Guard is not null)
        {
            Block taken = NewBlock(s.Position);
            after = NewBlock(s.Position);
            Branch(RegOf(s.Guard), s.GuardNegated, taken, after);
            block = taken;
        }
        Src index = Source(s.Operands[0], RegClass.W32);
        for (int i = 0; i < targets.Length - 1; i++)
        {
            Reg hit = Temp(RegClass.Pred);
            Emit("setp.eq.u32", hit, false, index, Src.Imm((ulong)i));
            Block behind = NewBlock(s.Position);
            Branch(hit, false, LabelOf(targets[i]), behind);
            block = behind;
        }
        JumpTo(LabelOf(targets[^1]));
        if (after is not null) MoveToEnd(after);
        block = after ?? NewBlock(s.Position);
    }

    void Fence(PtxStatement s)
    {
        string[] known = ["membar.cta", "membar.gl", "membar.sys"];
        if (s.Opcode == "membar" && Array.IndexOf(known, s.Text) < 0) throw Unsupported(s.Text);
        if (s.Opcode == "fence" && !s.Modifiers.All(m => m is "sc" or "acq_rel" or "cta" or "gpu" or "sys"))
            throw Unsupported(s.Text);
    }

    void Barrier(PtxStatement s)
    {
        string[] modifiers = [.. s.Modifiers.Where(m => m is not ("cta" or "aligned"))];
        string form = string.Join('.', modifiers);
        if (form == "warp.sync")
        {
            EmitWarp("bar.warp.sync", s, [], [WarpSource(s.Operands[0])]);
            return;
        }
        BarrierKind kind = form switch
        {
            "sync" => BarrierKind.Sync, "arrive" => BarrierKind.Arrive, "red.popc.u32" => BarrierKind.ReducePopc,
            "red.and.pred" => BarrierKind.ReduceAnd, "red.or.pred" => BarrierKind.ReduceOr,
            _ => throw Unsupported(s.Text),
        };
        bool reduces = kind >= BarrierKind.ReducePopc;
        PtxOperand[] operands = s.Operands;
        int at = reduces ? 1 : 0, last = operands.Length - (reduces ? 1 : 0);
        if (at >= last || last - at > 2) throw Error("a barrier takes its number, and optionally a count of threads");
        Src id = WarpSource(operands[at]),
            count = last - at == 2 ? WarpSource(operands[at + 1]) : kernel.Constant(RegClass.W32, 0);
        Src predicate = reduces ? WarpSource(operands[^1], RegClass.Pred) : kernel.Constant(RegClass.W32, 0);

        Block wait = block, behind = NewBlock(s.Position);
        if (s.Guard is not null)
        {
            wait = NewBlock(s.Position);
            Branch(RegOf(s.Guard), s.GuardNegated, wait, behind);
            block = wait;
            MoveToEnd(behind);
        }
        PtxStatement unguarded = new()
        {
            Position = s.Position, Opcode = s.Opcode, Modifiers = s.Modifiers, Operands = s.Operands,
        };
        EmitWarp("barrier.arrive", unguarded, reduces ? [Destination(operands[0])] : [null], [id, count, predicate],
            Slot.R((int)kind), Slot.S(0), Slot.S(1), Slot.S(2), Slot.D(0));
        block.Yields = true;
        JumpTo(behind);
        block = behind;
    }
}
