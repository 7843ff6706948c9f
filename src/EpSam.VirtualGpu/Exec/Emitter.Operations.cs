// One operation at a time: scalar, lane by pieces, or warp.
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Passes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Exec;

internal sealed unsafe partial class Emitter
{
    static readonly MethodInfo Broadcast32 = typeof(Vector512).GetMethod(nameof(Vector512.Create), [typeof(uint)])!;
    static readonly MethodInfo Broadcast64 = typeof(Vector512).GetMethod(nameof(Vector512.Create), [typeof(ulong)])!;
    static readonly MethodInfo BroadcastHalf = typeof(Vector256).GetMethod(nameof(Vector256.Create), [typeof(uint)])!;
    static readonly MethodInfo JoinHalves = typeof(Vector512).GetMethods()
        .Single(m => m.Name == nameof(Vector512.Create)
            && m.GetParameters() is [var p, _] && p.ParameterType == typeof(Vector256<uint>));
    static readonly MethodInfo Lower =
        typeof(Vector512).GetMethod(nameof(Vector512.GetLower))!.MakeGenericMethod(typeof(uint));
    static readonly MethodInfo FirstLane =
        typeof(Vector512).GetMethod(nameof(Vector512.ToScalar))!.MakeGenericMethod(typeof(uint));
    static readonly MethodInfo Upper =
        typeof(Vector512).GetMethod(nameof(Vector512.GetUpper))!.MakeGenericMethod(typeof(uint));

    void EmitOp(Op op, Block block)
    {
        bool uniform = facts.RunsUniform(op, block);
        bool uniformGuard = op.Guard is not null && facts.Uniform[op.Guard.Index];
        Label skip = default;
        if (uniformGuard)
        {
            skip = il.DefineLabel();
            PushPredicate(op.Guard!);
            il.Emit(op.GuardNegated ? OpCodes.Brtrue : OpCodes.Brfalse, skip);
        }
        bool laneGuard = op.Guard is not null && !uniformGuard;
        switch (op.Kind)
        {
            case OpKind.Special: EmitSpecial(op, block, laneGuard); break;
            case OpKind.Lane when uniform: EmitScalar(op); break;
            case OpKind.Lane: EmitLanes(op, block, laneGuard); break;
            default:
                if (uniform) EmitUniformLoad(op);
                else EmitWarpCall(op, laneGuard);
                break;
        }
        if (uniformGuard) il.MarkLabel(skip);
    }

    // ---- scalars ----

    void EmitSpecial(Op op, Block block, bool laneGuard)
    {
        Reg dst = op.Dst!;
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldc_I4, op.Raw[0]);
        CallStatic(typeof(SpecialValues), nameof(SpecialValues.Read));
        if (dst.Class == RegClass.W32) il.Emit(OpCodes.Conv_U4);
        LocalBuilder value = splicer.Take(ScalarType(dst.Class));
        il.Emit(OpCodes.Stloc, value);
        if (facts.Uniform[dst.Index])
        {
            il.Emit(OpCodes.Ldloc, value);
            StoreScalar(dst);
            return;
        }
        LocalBuilder? lanes = BlendLanes(op, block, laneGuard);
        int count = dst.Class == RegClass.W32 ? 2 : 4;
        for (int i = 0; i < count; i++)
        {
            il.Emit(OpCodes.Ldloc, value);
            il.Emit(OpCodes.Call, dst.Class == RegClass.W32 ? Broadcast32 : Broadcast64);
            StorePiece(dst, i, new Pieces(count), lanes);
        }
    }

    void EmitScalar(Op op)
    {
        if (homes[op.Dst!].Kind == HomeKind.Splat)
        {
            ParameterInfo[] taken = op.Method!.Method.GetParameters();
            IEnumerable<Arg> sources =
                op.Sources.Select((s, i) => PieceArg(s, taken[i].ParameterType, 0, new Pieces(2)));
            splicer.Splice(op.Method.Method, [.. sources, .. Choices(op.Method)]);
            il.Emit(OpCodes.Stloc, LocalsOf(op.Dst!)[0]);
            return;
        }
        if (op.Scalar is null)   // predicate logic: its operands are whole masks already
        {
            splicer.Splice(op.Method!.Method,
                [.. op.Sources.Select(s => new Arg(() => PushMask(s), true)), .. Choices(op.Method)]);
            StoreScalar(op.Dst!);
            return;
        }
        MethodInfo method = op.Scalar.Method;
        ParameterInfo[] parameters = method.GetParameters();
        List<Arg> arguments = [];
        for (int i = 0; i < op.Sources.Length; i++)
        {
            Src source = op.Sources[i];
            Type type = parameters[i].ParameterType;
            arguments.Add(new Arg(() => PushScalarAs(source, type), true));
        }
        arguments.AddRange(Choices(op.Scalar));
        splicer.Splice(method, arguments.ToArray());
        if (method.ReturnType == typeof(bool))   // a predicate is a mask: 0 or all ones
        {
            LocalBuilder flag = splicer.Take(typeof(int));
            il.Emit(OpCodes.Stloc, flag);
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Ldloc, flag);
            il.Emit(OpCodes.Sub);
        }
        StoreScalar(op.Dst!);
    }

    Arg[] Choices(LaneMethod method) =>
        [.. method.Choices.Select(c => new Arg(() => il.Emit(OpCodes.Ldc_I4, c), true))];

    void PushScalarAs(Src source, Type type)
    {
        if (type == typeof(bool))
        {
            PushMask(source);
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Cgt_Un);
        }
        else if (type == typeof(byte))
        {
            il.Emit(OpCodes.Ldc_I4, (int)source.Bits);
        }
        else
        {
            PushScalar(source, type == typeof(ulong) ? RegClass.W64 : RegClass.W32);
        }
    }

    void PushMask(Src source)
    {
        if (source.Reg is null) il.Emit(OpCodes.Ldc_I4, unchecked((int)source.Bits));
        else PushPredicate(source.Reg);
    }

    /// <summary>A predicate register's mask (uniform: 0 or all ones).</summary>
    void PushPredicate(Reg reg)
    {
        switch (homes[reg].Kind)
        {
            case HomeKind.Frame or HomeKind.ScalarFrame:
                FrameAddress(homes[reg].Offset);
                il.Emit(OpCodes.Ldind_U4);
                break;
            case HomeKind.Constant: il.Emit(OpCodes.Ldc_I4, unchecked((int)reg.Constant!.Value)); break;
            default: il.Emit(OpCodes.Ldloc, LocalsOf(reg)[0]); break;
        }
    }

    void PushScalar(Src source, RegClass cls)
    {
        ulong? bits = source.Reg is null ? source.Bits : source.Reg.Constant;
        if (bits is { } constant)
        {
            if (cls == RegClass.W64) il.Emit(OpCodes.Ldc_I8, unchecked((long)constant));
            else il.Emit(OpCodes.Ldc_I4, unchecked((int)constant));
            return;
        }
        Reg reg = source.Reg!;
        if (homes[reg].Kind is HomeKind.ScalarFrame or HomeKind.Frame) // of a register with 32 values: lane 0's
        {
            FrameAddress(homes[reg].Offset);
            il.Emit(reg.Class == RegClass.W64 ? OpCodes.Ldind_I8 : OpCodes.Ldind_U4);
            return;
        }
        il.Emit(OpCodes.Ldloc, LocalsOf(reg)[0]);
        if (homes[reg].Kind == HomeKind.Locals) il.Emit(OpCodes.Call, FirstLane);
    }

    /// <summary>Stores the scalar on the stack in a uniform register, and in its image if it has one.</summary>
    void StoreScalar(Reg dst)
    {
        Home home = homes[dst];
        if (home.Kind == HomeKind.Splat)
        {
            il.Emit(OpCodes.Call, Broadcast32);
            il.Emit(OpCodes.Stloc, LocalsOf(dst)[0]);
            return;
        }
        LocalBuilder value = home.Kind == HomeKind.Scalar ? LocalsOf(dst)[0] : splicer.Take(ScalarType(dst.Class));
        il.Emit(OpCodes.Stloc, value);
        if (home.Kind == HomeKind.ScalarFrame)
        {
            FrameAddress(home.Offset);
            il.Emit(OpCodes.Ldloc, value);
            il.Emit(dst.Class == RegClass.W64 ? OpCodes.Stind_I8 : OpCodes.Stind_I4);
        }
        if (home.Image < 0) return;
        int count = dst.Class switch { RegClass.W32 => 2, RegClass.W64 => 4, _ => 1 };
        for (int i = 0; i < count; i++)
        {
            FrameAddress(home.Image + i * 64);
            il.Emit(OpCodes.Ldloc, value);
            if (dst.Class == RegClass.Pred) { il.Emit(OpCodes.Stind_I4); continue; }
            il.Emit(OpCodes.Call, dst.Class == RegClass.W64 ? Broadcast64 : Broadcast32);
            il.Emit(OpCodes.Stobj, VectorType(dst.Class));
        }
    }

    // ---- lanes ----

    /// <summary>The lanes that may be written when that is not simply all of them.</summary>
    LocalBuilder? BlendLanes(Op op, Block block, bool laneGuard)
    {
        bool held = facts.Held[block.Index][op.Dst!.Index];
        if (!held && !laneGuard) return null;
        LocalBuilder lanes = splicer.Take(typeof(uint));
        if (laneGuard)
        {
            PushPredicate(op.Guard!);
            if (op.GuardNegated) il.Emit(OpCodes.Not);
        }
        if (held) il.Emit(OpCodes.Ldloc, active);
        if (held && laneGuard) il.Emit(OpCodes.And);
        il.Emit(OpCodes.Stloc, lanes);
        return lanes;
    }

    void EmitLanes(Op op, Block block, bool laneGuard)
    {
        MethodInfo method = op.Method!.Method;
        ParameterInfo[] parameters = method.GetParameters();
        Pieces pieces = Pieces.Of(method);
        LocalBuilder? lanes = BlendLanes(op, block, laneGuard);
        LocalBuilder? mask = null;
        if (op.Dst!.Class == RegClass.Pred)
        {
            mask = splicer.Take(typeof(uint));
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Stloc, mask);
        }
        LocalBuilder? lowHalf = null;
        for (int i = 0; i < pieces.Count; i++)
        {
            int piece = i;
            Arg[] arguments = new Arg[parameters.Length];
            for (int p = 0; p < op.Sources.Length; p++)
                arguments[p] = PieceArg(op.Sources[p], parameters[p].ParameterType, piece, pieces);
            Choices(op.Method).CopyTo(arguments, op.Sources.Length);
            splicer.Splice(method, arguments);
            if (mask is not null) GatherMask(mask, piece, pieces);
            else if (method.ReturnType == typeof(H32)) StoreHalf(op.Dst, piece, lanes, ref lowHalf);
            else StorePiece(op.Dst, piece, pieces, lanes);
        }
        if (mask is not null) StoreMask(op.Dst, mask, lanes);
    }

    Arg PieceArg(Src source, Type type, int piece, Pieces pieces)
    {
        if (type == typeof(byte)) return new Arg(() => il.Emit(OpCodes.Ldc_I4, (int)source.Bits), true);
        if (type == typeof(uint)) return new Arg(() => PushMaskPiece(source, piece, pieces), false);
        Reg? reg = source.Reg;
        if (reg is not null && homes[reg].Kind == HomeKind.Splat)
            return new Arg(() => il.Emit(OpCodes.Ldloc, LocalsOf(reg)[0]), true);
        bool constant = reg is null || reg.Constant is not null;
        if (constant || facts.Uniform[reg!.Index])
        {
            MethodInfo broadcast = type == typeof(U64) ? Broadcast64
                : type == typeof(U32) ? Broadcast32
                : BroadcastHalf;
            return new Arg(() =>
            {
                PushScalar(source, type == typeof(U64) ? RegClass.W64 : RegClass.W32);
                il.Emit(OpCodes.Call, broadcast);
            }, constant);
        }
        if (homes[reg!].Kind == HomeKind.Frame)
        {
            int bytes = type == typeof(H32) ? 32 : 64;
            return new Arg(() =>
            {
                FrameAddress(homes[reg].Offset + piece * bytes);
                il.Emit(OpCodes.Ldobj, type);
            }, false);
        }
        if (type != typeof(H32)) return new Arg(() => il.Emit(OpCodes.Ldloc, LocalsOf(reg)[piece]), true);
        return new Arg(() =>
        {
            il.Emit(OpCodes.Ldloc, LocalsOf(reg)[piece / 2]);
            il.Emit(OpCodes.Call, piece % 2 == 0 ? Lower : Upper);
        }, false);
    }

    void PushMaskPiece(Src source, int piece, Pieces pieces)
    {
        PushMask(source);
        if (pieces.Count == 1) return;
        if (piece > 0)
        {
            il.Emit(OpCodes.Ldc_I4, piece * pieces.Lanes);
            il.Emit(OpCodes.Shr_Un);
        }
        il.Emit(OpCodes.Ldc_I4, (int)pieces.Mask);
        il.Emit(OpCodes.And);
    }

    void GatherMask(LocalBuilder mask, int piece, Pieces pieces)
    {
        if (piece > 0)
        {
            il.Emit(OpCodes.Ldc_I4, piece * pieces.Lanes);
            il.Emit(OpCodes.Shl);
        }
        il.Emit(OpCodes.Ldloc, mask);
        il.Emit(OpCodes.Or);
        il.Emit(OpCodes.Stloc, mask);
    }

    void StoreMask(Reg dst, LocalBuilder mask, LocalBuilder? lanes)
    {
        if (lanes is not null)   // (new & lanes) | (old & ~lanes)
        {
            il.Emit(OpCodes.Ldloc, mask);
            il.Emit(OpCodes.Ldloc, lanes);
            il.Emit(OpCodes.And);
            PushPredicate(dst);
            il.Emit(OpCodes.Ldloc, lanes);
            il.Emit(OpCodes.Not);
            il.Emit(OpCodes.And);
            il.Emit(OpCodes.Or);
            il.Emit(OpCodes.Stloc, mask);
        }
        if (homes[dst].Kind == HomeKind.Frame)
        {
            FrameAddress(homes[dst].Offset);
            il.Emit(OpCodes.Ldloc, mask);
            il.Emit(OpCodes.Stind_I4);
            return;
        }
        il.Emit(OpCodes.Ldloc, mask);
        il.Emit(OpCodes.Stloc, LocalsOf(dst)[0]);
    }

    /// <summary>
    /// Stores the vector on the stack in one piece of a register, blended with the old value where lanes say so.
    /// </summary>
    void StorePiece(Reg dst, int piece, Pieces pieces, LocalBuilder? lanes)
    {
        Type type = VectorType(dst.Class);
        if (lanes is not null)
        {
            Arg old = PieceArg(dst, type, piece, pieces);
            Blend(dst.Class == RegClass.W64 ? nameof(Moves.Blend64) : nameof(Moves.Blend32),
                type, old, lanes, piece, pieces);
        }
        if (homes[dst].Kind != HomeKind.Frame)
        {
            il.Emit(OpCodes.Stloc, LocalsOf(dst)[piece]);
            return;
        }
        StoreInFrame(homes[dst].Offset + piece * 64, type);
    }

    void StoreInFrame(int offset, Type type)
    {
        LocalBuilder value = splicer.Take(type);
        il.Emit(OpCodes.Stloc, value);
        FrameAddress(offset);
        il.Emit(OpCodes.Ldloc, value);
        il.Emit(OpCodes.Stobj, type);
    }

    void Blend(string method, Type type, Arg old, LocalBuilder lanes, int piece, Pieces pieces)
    {
        LocalBuilder now = splicer.Take(type);
        il.Emit(OpCodes.Stloc, now);
        splicer.Splice(typeof(Moves).GetMethod(method)!,
            [new Arg(() => il.Emit(OpCodes.Ldloc, now), true), old,
             new Arg(() => PushLanes(lanes, piece, pieces), false)]);
    }

    void PushLanes(LocalBuilder lanes, int piece, Pieces pieces)
    {
        il.Emit(OpCodes.Ldloc, lanes);
        if (piece == 0) return;
        il.Emit(OpCodes.Ldc_I4, piece * pieces.Lanes);
        il.Emit(OpCodes.Shr_Un);
    }

    /// <summary>A 32-bit result of a 64-bit operation comes eight lanes at a time.</summary>
    void StoreHalf(Reg dst, int piece, LocalBuilder? lanes, ref LocalBuilder? lowHalf)
    {
        if (lanes is not null)
        {
            Arg old = PieceArg(dst, typeof(H32), piece, new Pieces(4));
            Blend(nameof(Moves.BlendHalf), typeof(H32), old, lanes, piece, new Pieces(4));
        }
        if (homes[dst].Kind == HomeKind.Frame)
        {
            StoreInFrame(homes[dst].Offset + piece * 32, typeof(H32));
            return;
        }
        if (piece % 2 == 0)
        {
            lowHalf = splicer.Take(typeof(H32));
            il.Emit(OpCodes.Stloc, lowHalf);
            return;
        }
        LocalBuilder high = splicer.Take(typeof(H32));
        il.Emit(OpCodes.Stloc, high);
        il.Emit(OpCodes.Ldloc, lowHalf!);
        il.Emit(OpCodes.Ldloc, high);
        il.Emit(OpCodes.Call, JoinHalves);
        il.Emit(OpCodes.Stloc, LocalsOf(dst)[piece / 2]);
    }

    // ---- warp methods ----

    void EmitUniformLoad(Op op)
    {
        UniformLoad load = op.Uniform!;
        OpCode element = (load.Bytes, load.Signed) switch // narrow ones are extended to 32 bits
        {
            (1, false) => OpCodes.Ldind_U1, (1, true) => OpCodes.Ldind_I1,
            (2, false) => OpCodes.Ldind_U2, (2, true) => OpCodes.Ldind_I2,
            (4, _) => OpCodes.Ldind_U4, _ => OpCodes.Ldind_I8,
        };
        string space = load.Space switch
        {
            StateSpace.Global => nameof(UniformMemory.Global), StateSpace.Shared => nameof(UniformMemory.Shared),
            _ => nameof(UniformMemory.Param),
        };
        // The address register may be one of the destinations: take the address first.
        Reg address = op.Sources[0].Reg!;
        LocalBuilder at = splicer.Take(typeof(byte*));
        il.Emit(OpCodes.Ldarg_1);
        PushScalar(address, address.Class);
        if (address.Class != RegClass.W64) il.Emit(OpCodes.Conv_U8);
        il.Emit(OpCodes.Ldc_I8, (long)load.Offset);
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Ldc_I4, op.Dsts.Length * load.Bytes);
        il.Emit(OpCodes.Ldc_I4, op.Position.Line);
        CallStatic(typeof(UniformMemory), space);
        il.Emit(OpCodes.Stloc, at);
        for (int i = 0; i < op.Dsts.Length; i++)
        {
            if (op.Dsts[i] is not { } dst) continue;
            il.Emit(OpCodes.Ldloc, at);
            if (i > 0)
            {
                il.Emit(OpCodes.Ldc_I4, i * load.Bytes);
                il.Emit(OpCodes.Add);
            }
            il.Emit(OpCodes.Unaligned, (byte)1);
            il.Emit(element);
            if (dst.Class == RegClass.W64 && load.Bytes < 8) il.Emit(OpCodes.Conv_U8);
            StoreScalar(dst);
        }
    }

    void EmitWarpCall(Op op, bool laneGuard)
    {
        int at = OperandList(op);
        Label skip = default;
        if (laneGuard)
        {
            skip = il.DefineLabel();
            LocalBuilder lanes = splicer.Take(typeof(uint));
            PushPredicate(op.Guard!);
            if (op.GuardNegated) il.Emit(OpCodes.Not);
            il.Emit(OpCodes.Ldloc, active);
            il.Emit(OpCodes.And);
            il.Emit(OpCodes.Stloc, lanes);
            il.Emit(OpCodes.Ldloc, lanes);
            il.Emit(OpCodes.Brfalse, skip);
            SetActive(lanes);
        }
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldarg_2);
        il.Emit(OpCodes.Ldarg_3);
        il.Emit(OpCodes.Ldc_I4, at * sizeof(int));
        il.Emit(OpCodes.Add);
        il.Emit(OpCodes.Call, WarpMethod(op).Method);
        if (!laneGuard) return;
        SetActive(active);
        il.MarkLabel(skip);
    }

    LaneMethod WarpMethod(Op op) => checks || counting ? op.CheckedMethod ?? op.Method! : op.Method!;

    void SetActive(LocalBuilder lanes)
    {
        il.Emit(OpCodes.Ldarg_1);
        il.Emit(OpCodes.Ldloc, lanes);
        il.Emit(OpCodes.Stfld, typeof(Warp).GetField(nameof(Warp.Active))!);
    }

    /// <summary>Adds the operand list of a warp method; entry -1 is the PTX line.</summary>
    int OperandList(Op op)
    {
        operands.Add(op.Position.Line);
        int at = operands.Count;
        foreach (Slot slot in op.Layout)
            operands.Add(slot.Kind switch
            {
                SlotKind.Raw => slot.Value,
                SlotKind.Dst => op.Dsts[slot.Value] is { } dst ? homes[dst].Offset : -1,
                _ => VectorOffset(op.Sources[slot.Value].Reg!),
            });
        operands.AddRange(WarpMethod(op).Choices);
        return at;
    }

    int VectorOffset(Reg reg)
    {
        Home home = homes[reg];
        return home.Kind is HomeKind.Frame or HomeKind.Constant ? home.Offset : home.Image;
    }
}
