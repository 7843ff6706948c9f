// Turns a kernel into .NET methods: one per group of blocks, void M(object, Warp* w, byte* frame, int* operands). Lane
// methods are spliced in on halves or quarters of a warp, warp methods are called, branches on uniform conditions are
// plain branches. A method runs until the warp exits, waits at a barrier or leaves for a block of another method; the
// caller loops. Control flow that diverges goes through Divergence and comes back by the dispatch switch at the
// method's head.
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Passes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Exec;

internal unsafe delegate void ChunkMethod(Warp* w, byte* frame, int* operands);

internal sealed unsafe partial class Emitter
{
    readonly Kernel kernel;
    readonly Homes homes;
    readonly Uniformity facts;
    readonly Liveness liveness;
    readonly int[] reconvergence;
    readonly bool checks, counting;
    readonly HashSet<int> joins = [];
    readonly List<int> operands = [];

    ILGenerator il = null!;
    Splicer splicer = null!;
    int first, end;                  // blocks of the method being emitted
    Label[] labels = [];
    Label dispatch;
    LocalBuilder active = null!;     // uint, equal to w->Active
    LocalBuilder target = null!;     // int, the block to dispatch to
    Dictionary<Reg, LocalBuilder[]> locals = [];

    Emitter(
        Kernel kernel, Homes homes, Liveness liveness, Uniformity facts, int[] reconvergence,
        bool checks, bool counting)
    {
        (this.kernel, this.homes, this.liveness, this.facts, this.reconvergence) =
            (kernel, homes, liveness, facts, reconvergence);
        (this.checks, this.counting) = (checks, counting);
        for (int b = 0; b < kernel.Blocks.Count; b++)
            if (facts.Divergent[b] && reconvergence[b] != ControlFlow.Exit) joins.Add(reconvergence[b]);
    }

    /// <summary>The emitted methods, the method of each block, and the operand lists of warp methods.</summary>
    public static (ChunkMethod[] Methods, int[] Operands) Emit(
        Kernel kernel, Homes homes, Liveness liveness, Uniformity facts, int[] reconvergence,
        bool checks, bool counting)
    {
        Emitter emitter = new(kernel, homes, liveness, facts, reconvergence, checks, counting);
        ChunkMethod[] methods = [.. homes.Chunks.Select((chunk, i) => emitter.EmitChunk(chunk.First, chunk.End, i))];
        return (methods, [.. emitter.operands]);
    }

    ChunkMethod EmitChunk(int first, int end, int index)
    {
        Type[] parameters = [typeof(object), typeof(Warp*), typeof(byte*), typeof(int*)];
        DynamicMethod method = new(
            $"{kernel.Name}#{index}", typeof(void), parameters, typeof(Emitter).Module, skipVisibility: true)
        {
            InitLocals = false,
        };
        il = method.GetILGenerator(64 * 1024);
        splicer = new Splicer(il);
        (this.first, this.end) = (first, end);
        locals = [];
        labels = new Label[end - first];
        for (int i = 0; i < labels.Length; i++) labels[i] = il.DefineLabel();
        dispatch = il.DefineLabel();
        active = il.DeclareLocal(typeof(uint));
        target = il.DeclareLocal(typeof(int));
        LoadField(nameof(Warp.Active));
        il.Emit(OpCodes.Stloc, active);
        LoadField(nameof(Warp.Pc));
        il.Emit(OpCodes.Stloc, target);
        il.MarkLabel(dispatch);
        il.Emit(OpCodes.Ldloc, target);
        il.Emit(OpCodes.Ldc_I4, first);
        il.Emit(OpCodes.Sub);
        il.Emit(OpCodes.Switch, labels);
        il.Emit(OpCodes.Ret);   // a block of another method, or -1: w->Pc says which
        for (int b = first; b < end; b++) EmitBlock(kernel.Blocks[b]);
        il.Emit(OpCodes.Ret);
        // Bound to some object: a delegate that is not goes through a thunk that shuffles its arguments.
        return method.CreateDelegate<ChunkMethod>(kernel);
    }

    void EmitBlock(Block block)
    {
        il.MarkLabel(labels[block.Index - first]);
        if (block.Index == 0) ClearUnwritten();
        if (joins.Contains(block.Index)) EmitJoin(block);
        if (counting) EmitCounts(block);
        foreach (Op op in block.Ops)
        {
            EmitOp(op, block);
            splicer.ReleaseAll();
        }
        EmitEnd(block);
        splicer.ReleaseAll();
    }

    /// <summary>
    /// Registers that a path may read before writing start as zero, so that results never depend on what ran before.
    /// Block 0 is never a branch target: the builder starts each body with a block of its own.
    /// </summary>
    void ClearUnwritten()
    {
        foreach (int r in liveness.In[0].Members())
        {
            Reg reg = kernel.Regs[r];
            if (reg.IsSpecial) continue;
            if (facts.Uniform[r])
            {
                PushScalar(Src.Imm(0), reg.Class);
                StoreScalar(reg);
            }
            else if (reg.Class == RegClass.Pred)
            {
                LocalBuilder zero = splicer.Take(typeof(uint));
                il.Emit(OpCodes.Ldc_I4_0);
                il.Emit(OpCodes.Stloc, zero);
                StoreMask(reg, zero, lanes: null);
            }
            else
            {
                Pieces pieces = new(reg.Class == RegClass.W32 ? 2 : 4);
                for (int i = 0; i < pieces.Count; i++)
                {
                    PushScalar(Src.Imm(0), reg.Class);
                    il.Emit(OpCodes.Call, reg.Class == RegClass.W32 ? Broadcast32 : Broadcast64);
                    StorePiece(reg, i, pieces, lanes: null);
                }
            }
            splicer.ReleaseAll();
        }
    }

    /// <summary>
    /// if (w->Reconvergence == block) { target = Join(w); active = w->Active; if (target != block) dispatch }
    /// </summary>
    void EmitJoin(Block block)
    {
        Label go = il.DefineLabel(), again = il.DefineLabel();
        il.MarkLabel(again);
        LoadField(nameof(Warp.Reconvergence));
        il.Emit(OpCodes.Ldc_I4, block.Index);
        il.Emit(OpCodes.Bne_Un, go);
        il.Emit(OpCodes.Ldarg_1);
        CallStatic(typeof(Divergence), nameof(Divergence.Join));
        AfterDivergence();
        il.Emit(OpCodes.Ldloc, target);
        il.Emit(OpCodes.Ldc_I4, block.Index);
        il.Emit(OpCodes.Beq, again);
        il.Emit(OpCodes.Br, dispatch);
        il.MarkLabel(go);
    }

    /// <summary>Takes the block to go on with from the stack, and the lanes that do.</summary>
    void AfterDivergence()
    {
        il.Emit(OpCodes.Stloc, target);
        LoadField(nameof(Warp.Active));
        il.Emit(OpCodes.Stloc, active);
    }

    void EmitCounts(Block block)
    {
        foreach (IGrouping<Counter, Op> group in block.Ops.GroupBy(op => op.Class))
        {
            il.Emit(OpCodes.Ldarg_1);
            il.Emit(OpCodes.Ldc_I4, (int)group.Key);
            il.Emit(OpCodes.Ldc_I4, group.Count());
            CallStatic(typeof(Emitter), nameof(Count));
        }
        long flops = block.Ops.Sum(op => op.Class == Counter.Tensor ? MmaFlops(op) : 0);
        if (flops == 0) return;
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldc_I4, (int)Counter.MmaFlops);
        il.Emit(OpCodes.Ldc_I4, (int)flops);
        CallStatic(typeof(Emitter), nameof(Count));
    }

    public static void Count(Warp* w, int counter, int times)
    {
        if (w->Block->Counters != null) w->Block->Counters[counter] += (ulong)times;
    }

    /// <summary>2·M·N·K of the shape in the instruction's text, as "m16n8k16".</summary>
    long MmaFlops(Op op)
    {
        System.Text.RegularExpressions.Match shape = System.Text.RegularExpressions.Regex.Match(
            kernel.LineText(op.Position.Line), @"\bm(\d+)n(\d+)k(\d+)\b");
        return shape.Success
            ? 2L * int.Parse(shape.Groups[1].Value) * int.Parse(shape.Groups[2].Value)
                * int.Parse(shape.Groups[3].Value)
            : 0;
    }

    // ---- block ends ----

    void EmitEnd(Block block)
    {
        if (block.Yields)
        {
            SetPc(block.Next!);
            il.Emit(OpCodes.Ret);
            return;
        }
        switch (block.End)
        {
            case EndKind.Exit:
                il.Emit(OpCodes.Ldarg_1);
                CallStatic(typeof(Divergence), nameof(Divergence.Exit));
                AfterDivergence();
                il.Emit(OpCodes.Br, dispatch);
                break;
            case EndKind.Jump:
                GoTo(block.Next!, block);
                break;
            default:
                if (facts.Divergent[block.Index]) DivergentBranch(block);
                else UniformBranch(block);
                break;
        }
    }

    void SetPc(Block block)
    {
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldc_I4, block.Index);
        il.Emit(OpCodes.Stfld, typeof(Warp).GetField(nameof(Warp.Pc))!);
    }

    bool IsHere(Block block) => block.Index >= first && block.Index < end;

    void GoTo(Block block, Block from)
    {
        if (!IsHere(block))
        {
            SetPc(block);
            il.Emit(OpCodes.Ret);
        }
        else if (block.Index != from.Index + 1)
        {
            il.Emit(OpCodes.Br, labels[block.Index - first]);
        }
    }

    void UniformBranch(Block block)
    {
        PushPredicate(block.Condition!);
        if (IsHere(block.Taken!))
        {
            il.Emit(block.Negated ? OpCodes.Brfalse : OpCodes.Brtrue, labels[block.Taken!.Index - first]);
        }
        else
        {
            Label stay = il.DefineLabel();
            il.Emit(block.Negated ? OpCodes.Brtrue : OpCodes.Brfalse, stay);
            GoTo(block.Taken!, block);
            il.MarkLabel(stay);
        }
        GoTo(block.Next!, block);
    }

    /// <summary>All active lanes one way: a jump. Otherwise the warp splits.</summary>
    void DivergentBranch(Block block)
    {
        LocalBuilder taking = splicer.Take(typeof(uint));
        Label all = il.DefineLabel(), none = il.DefineLabel();
        PushPredicate(block.Condition!);
        if (block.Negated) il.Emit(OpCodes.Not);
        il.Emit(OpCodes.Ldloc, active);
        il.Emit(OpCodes.And);
        il.Emit(OpCodes.Stloc, taking);
        il.Emit(OpCodes.Ldloc, taking);
        il.Emit(OpCodes.Brfalse, none);
        il.Emit(OpCodes.Ldloc, taking);
        il.Emit(OpCodes.Ldloc, active);
        il.Emit(OpCodes.Beq, all);
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldloc, taking);
        il.Emit(OpCodes.Ldc_I4, block.Taken!.Index);
        il.Emit(OpCodes.Ldc_I4, block.Next!.Index);
        il.Emit(OpCodes.Ldc_I4, reconvergence[block.Index]);
        CallStatic(typeof(Divergence), nameof(Divergence.Split));
        AfterDivergence();
        il.Emit(OpCodes.Br, dispatch);
        il.MarkLabel(all);
        JumpAlways(block.Taken);
        il.MarkLabel(none);
        GoTo(block.Next, block);
    }

    void JumpAlways(Block block)
    {
        if (IsHere(block)) il.Emit(OpCodes.Br, labels[block.Index - first]);
        else GoTo(block, block);
    }

    // ---- small pieces ----

    void LoadField(string name)
    {
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldfld, typeof(Warp).GetField(name)!);
    }

    void CallStatic(Type type, string name) =>
        il.Emit(OpCodes.Call, type.GetMethod(name, BindingFlags.Public | BindingFlags.Static)!);

    void FrameAddress(int offset)
    {
        il.Emit(OpCodes.Ldarg_2);
        if (offset == 0) return;
        il.Emit(OpCodes.Ldc_I4, offset);
        il.Emit(OpCodes.Conv_I);
        il.Emit(OpCodes.Add);
    }

    static Type ScalarType(RegClass cls) => cls == RegClass.W64 ? typeof(ulong) : typeof(uint);

    static Type VectorType(RegClass cls) => cls switch
    {
        RegClass.W32 => typeof(U32), RegClass.W64 => typeof(U64), _ => typeof(uint),
    };

    LocalBuilder[] LocalsOf(Reg reg)
    {
        if (locals.TryGetValue(reg, out LocalBuilder[]? found)) return found;
        bool scalar = homes[reg].Kind is HomeKind.Scalar, one = scalar || homes[reg].Kind is HomeKind.Splat;
        int count = one ? 1 : reg.Class switch { RegClass.W32 => 2, RegClass.W64 => 4, _ => 1 };
        LocalBuilder[] made = new LocalBuilder[count];
        for (int i = 0; i < made.Length; i++)
            made[i] = il.DeclareLocal(scalar ? ScalarType(reg.Class) : VectorType(reg.Class));
        return locals[reg] = made;
    }
}
