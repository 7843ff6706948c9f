// The oracle: runs a kernel operation by operation, every register in a frame slot of its own, every write blended by
// the active lanes, nothing uniform, nothing shared between slots. It calls the same lane methods as emitted code, so
// that the two can be compared bit for bit; what they do not share is everything the emitter and the passes decide.
using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Emit;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Passes;

namespace EpSam.VirtualGpu.Exec;

internal sealed unsafe class InterpretedVariant : Variant
{
    /// <summary>
    /// Executes a lane method on frame registers: destination, then sources; result written where mask has bits.
    /// </summary>
    delegate void LaneThunk(byte* frame, int* operands, uint mask);

    delegate void WarpThunk(Warp* w, byte* frame, int* operands);

    sealed record Step(Op Op, LaneThunk? Lane, WarpThunk? Warp, int Operands);

    static readonly ConcurrentDictionary<(MethodInfo, string), LaneThunk> thunks = [];

    readonly int[] offsets, reconvergence;
    readonly int frameBytes;
    readonly Step[][] steps;
    readonly int[] operands;
    readonly HashSet<int> joins = [];

    public InterpretedVariant(Kernel kernel, bool checks) : base(kernel)
    {
        reconvergence = ControlFlow.PostDominators(kernel);
        offsets = new int[kernel.Regs.Count];
        foreach (Reg reg in kernel.Regs)
        {
            offsets[reg.Index] = frameBytes;
            frameBytes += Math.Max(64, reg.Bytes);
        }
        List<int> list = [];
        steps = [.. kernel.Blocks.Select(b => b.Ops.Select(op => Prepare(op, list, checks)).ToArray())];
        operands = GC.AllocateUninitializedArray<int>(Math.Max(1, list.Count), pinned: true);
        list.CopyTo(operands);
        foreach (Block block in kernel.Blocks)
            if (block.End == EndKind.Branch) joins.Add(reconvergence[block.Index]);
    }

    public override int FrameBytes => frameBytes;
    protected override int OffsetOf(Reg special) => offsets[special.Index];

    Step Prepare(Op op, List<int> list, bool checks)
    {
        list.Add(op.Position.Line);
        int at = list.Count;
        if (op.Kind == OpKind.Lane)
        {
            ParameterInfo[] parameters = op.Method!.Method.GetParameters();
            list.Add(offsets[op.Dst!.Index]);
            for (int i = 0; i < op.Sources.Length; i++)
            {
                Src s = op.Sources[i];
                Type type = parameters[i].ParameterType;
                RegClass cls = type == typeof(U64) ? RegClass.W64 : type == typeof(uint) ? RegClass.Pred : RegClass.W32;
                list.Add(type == typeof(byte) ? (int)s.Bits
                    : s.Reg is null ? ConstantOffset(cls, s.Bits)
                    : offsets[s.Reg.Index]);
            }
            string choices = string.Join(',', op.Method.Choices);
            return new Step(op, thunks.GetOrAdd((op.Method.Method, choices), _ => Thunk(op.Method)), null, at);
        }
        if (op.Kind == OpKind.Special) return new Step(op, null, null, at);
        LaneMethod method = checks ? op.CheckedMethod ?? op.Method! : op.Method!;
        foreach (Slot slot in op.Layout)
            list.Add(slot.Kind switch
            {
                SlotKind.Raw => slot.Value,
                SlotKind.Dst => op.Dsts[slot.Value] is { } dst ? offsets[dst.Index] : -1,
                _ => offsets[op.Sources[slot.Value].Reg!.Index],
            });
        list.AddRange(method.Choices);
        return new Step(op, null, method.Method.CreateDelegate<WarpThunk>(), at);
    }

    /// <summary>
    /// Immediates are constants of the kernel: the constructor's caller has made registers for all of them.
    /// </summary>
    int ConstantOffset(RegClass cls, ulong bits) => offsets[Kernel.Constant(cls, bits).Index];

    /// <summary>Gives every immediate of lane operations a constant register, before the frame is laid out.</summary>
    public static void MakeConstants(Kernel kernel)
    {
        foreach (Block block in kernel.Blocks)
        foreach (Op op in block.Ops)
        {
            if (op.Kind != OpKind.Lane) continue;
            ParameterInfo[] parameters = op.Method!.Method.GetParameters();
            for (int i = 0; i < op.Sources.Length; i++)
            {
                Type type = parameters[i].ParameterType;
                if (op.Sources[i].Reg is null && type != typeof(byte))
                    kernel.Constant(
                        type == typeof(U64) ? RegClass.W64 : type == typeof(uint) ? RegClass.Pred : RegClass.W32,
                        op.Sources[i].Bits);
            }
        }
    }

    static LaneThunk Thunk(LaneMethod lane)
    {
        MethodInfo method = lane.Method;
        Pieces pieces = Pieces.Of(method);
        DynamicMethod thunk = new($"thunk:{method.Name}", typeof(void), [typeof(byte*), typeof(int*), typeof(uint)],
            typeof(InterpretedVariant).Module, skipVisibility: true);
        ILGenerator il = thunk.GetILGenerator();
        ParameterInfo[] parameters = method.GetParameters();
        LocalBuilder value = il.DeclareLocal(method.ReturnType), gathered = il.DeclareLocal(typeof(uint));

        void Operand(int k)   // operands[k]
        {
            il.Emit(OpCodes.Ldarg_1);
            il.Emit(OpCodes.Ldc_I4, k * sizeof(int));
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldind_I4);
        }

        void Address(int k, int extra)   // frame + operands[k] + extra
        {
            il.Emit(OpCodes.Ldarg_0);
            Operand(k);
            il.Emit(OpCodes.Conv_I);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldc_I4, extra);
            il.Emit(OpCodes.Add);
        }

        void Piece(int k, Type type, int piece)
        {
            if (type == typeof(byte)) { Operand(k); il.Emit(OpCodes.Conv_U1); return; }
            if (type != typeof(uint))
            {
                Address(k, piece * (type == typeof(H32) ? 32 : 64));
                il.Emit(OpCodes.Ldobj, type);
                return;
            }
            Address(k, 0);
            il.Emit(OpCodes.Ldind_U4);
            Shifted(piece);
            il.Emit(OpCodes.Ldc_I4, unchecked((int)pieces.Mask));
            il.Emit(OpCodes.And);
        }

        void Shifted(int piece)
        {
            il.Emit(OpCodes.Ldc_I4, pieces.Count == 1 ? 0 : piece * pieces.Lanes);
            il.Emit(OpCodes.Shr_Un);
        }

        for (int piece = 0; piece < pieces.Count; piece++)
        {
            for (int p = 0; p < parameters.Length - lane.Choices.Length; p++)
                Piece(p + 1, parameters[p].ParameterType, piece);
            foreach (int choice in lane.Choices) il.Emit(OpCodes.Ldc_I4, choice);
            il.Emit(OpCodes.Call, method);
            if (method.ReturnType == typeof(uint))
            {
                il.Emit(OpCodes.Ldc_I4, pieces.Count == 1 ? 0 : piece * pieces.Lanes);
                il.Emit(OpCodes.Shl);
                il.Emit(OpCodes.Ldloc, gathered);
                il.Emit(OpCodes.Or);
                il.Emit(OpCodes.Stloc, gathered);
                continue;
            }
            Piece(0, method.ReturnType, piece);
            il.Emit(OpCodes.Ldarg_2);
            Shifted(piece);
            il.Emit(OpCodes.Call, typeof(Moves).GetMethod(method.ReturnType == typeof(U64) ? nameof(Moves.Blend64)
                : method.ReturnType == typeof(U32) ? nameof(Moves.Blend32) : nameof(Moves.BlendHalf))!);
            il.Emit(OpCodes.Stloc, value);
            Address(0, piece * (method.ReturnType == typeof(H32) ? 32 : 64));
            il.Emit(OpCodes.Ldloc, value);
            il.Emit(OpCodes.Stobj, method.ReturnType);
        }
        if (method.ReturnType == typeof(uint))   // (gathered & mask) | (old & ~mask)
        {
            Address(0, 0);
            il.Emit(OpCodes.Ldloc, gathered);
            il.Emit(OpCodes.Ldarg_2);
            il.Emit(OpCodes.And);
            Address(0, 0);
            il.Emit(OpCodes.Ldind_U4);
            il.Emit(OpCodes.Ldarg_2);
            il.Emit(OpCodes.Not);
            il.Emit(OpCodes.And);
            il.Emit(OpCodes.Or);
            il.Emit(OpCodes.Stind_I4);
        }
        il.Emit(OpCodes.Ret);
        return thunk.CreateDelegate<LaneThunk>();
    }

    // ---- running ----

    public override void Run(Warp* w)
    {
        fixed (int* list = operands)
            while (w->Pc >= 0)
            {
                Block block = Kernel.Blocks[w->Pc];
                while (w->Reconvergence == block.Index && joins.Contains(block.Index))
                {
                    int pc = Divergence.Join(w);
                    if (pc != block.Index) break;
                }
                if (w->Pc != block.Index) continue;
                if (block.Index == 0) ClearRegisters(w);
                foreach (Step step in steps[block.Index]) Execute(w, step, list);
                End(w, block);
                if (w->BarrierId >= 0) return;
            }
    }

    /// <summary>Registers start as zero, as in emitted code. Block 0 is never a branch target.</summary>
    void ClearRegisters(Warp* w)
    {
        foreach (Reg reg in Kernel.Regs)
            if (!reg.IsSpecial) new Span<byte>(w->Frame + offsets[reg.Index], reg.Bytes).Clear();
    }

    void Execute(Warp* w, Step step, int* list)
    {
        Op op = step.Op;
        uint mask = w->Active;
        if (op.Guard is not null)
        {
            uint guard = *(uint*)(w->Frame + offsets[op.Guard.Index]);
            mask &= op.GuardNegated ? ~guard : guard;
            if (mask == 0) return;
        }
        if (step.Lane is not null)
        {
            step.Lane(w->Frame, list + step.Operands, mask);
        }
        else if (step.Warp is not null)
        {
            uint active = w->Active;
            w->Active = mask;
            step.Warp(w, w->Frame, list + step.Operands);
            w->Active = active;
        }
        else
        {
            ReadSpecial(w, op, mask);
        }
    }

    void ReadSpecial(Warp* w, Op op, uint mask)
    {
        ulong value = SpecialValues.Read(w, op.Raw[0]);
        byte* at = w->Frame + offsets[op.Dst!.Index];
        for (int lane = 0; lane < 32; lane++)
        {
            if ((mask >> lane & 1) == 0) continue;
            if (op.Dst.Class == RegClass.W64) ((ulong*)at)[lane] = value;
            else ((uint*)at)[lane] = (uint)value;
        }
    }

    void End(Warp* w, Block block)
    {
        switch (block.End)
        {
            case EndKind.Exit: Divergence.Exit(w); return;
            case EndKind.Jump: w->Pc = block.Next!.Index; return;
        }
        uint condition = *(uint*)(w->Frame + offsets[block.Condition!.Index]);
        uint taking = (block.Negated ? ~condition : condition) & w->Active;
        if (taking == w->Active) w->Pc = block.Taken!.Index;
        else if (taking == 0) w->Pc = block.Next!.Index;
        else Divergence.Split(w, taking, block.Taken!.Index, block.Next!.Index, reconvergence[block.Index]);
    }
}
