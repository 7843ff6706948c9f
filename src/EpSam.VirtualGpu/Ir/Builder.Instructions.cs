// Instructions to operations. Most go straight to the lane table by their key; this file holds the normalisations
// (.ftz and .sat wrapped round the operation, carries, compound predicates, register widths of cvt). Control flow is in
// Builder.Control.cs, memory in Builder.Memory.cs.
using System.Reflection;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Ir;

internal sealed partial class Builder
{
    static readonly string[] Types =
    [
        "pred", "b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64",
        "f16", "f16x2", "bf16", "bf16x2", "tf32", "f32", "f64",
    ];

    void Instruction(PtxStatement s)
    {
        switch (s.Opcode)
        {
            case "mov": MoveInstruction(s); break;
            case "cvta": ConvertAddress(s); break;
            case "ld" or "ldu": Load(s); break;
            case "st": Store(s); break;
            case "atom" or "red": Atomic(s); break;
            case "cp": AsyncCopy(s); break;
            case "ldmatrix": LoadMatrix(s); break;
            case "prefetch" or "prefetchu": Prefetch(s); break;
            case "setp": SetPredicate(s); break;
            case "set": Set(s); break;
            case "cvt": Convert(s); break;
            case "bra": BranchTo(LabelOf(s.Operands[0])); break;
            case "brx": BranchIndexed(s); break;
            case "call": Call(s); break;
            case "ret": BranchTo(scope.ReturnTo); break;
            case "exit": BranchTo(null); break;
            case "bar" or "barrier": Barrier(s); break;
            case "membar" or "fence": Fence(s); break;
            case "nanosleep" or "pragma": break;
            case "trap" or "brkpt": EmitWarp(s.Opcode, s, [], []); break;
            case "isspacep": Emit(s.Text, Destination(s.Operands[0]), true, Source(s.Operands[1], RegClass.W64)); break;
            default: General(s); break;
        }
    }

    // ---- the general case ----

    void General(PtxStatement s)
    {
        List<string> modifiers = [.. s.Modifiers];
        string type = modifiers.Count > 0 ? modifiers[^1] : "";
        bool isFloat = type is "f32" or "f64" or "f16" or "f16x2" or "bf16" or "bf16x2";
        bool flush = modifiers.Remove("ftz"), arithmetic = s.Opcode is "add" or "sub" or "mul" or "fma" or "mad";
        bool saturate = isFloat && arithmetic && modifiers.Remove("sat");
        if (s.Opcode is "add" or "sub" or "mul") modifiers.Remove("rn");
        bool setsCarry = modifiers.Remove("cc");
        bool usesCarry = s.Opcode is "addc" or "subc" or "madc";
        string key = modifiers.Count == 0 ? s.Opcode : s.Opcode + "." + string.Join('.', modifiers);
        if (flush && LaneTable.TryLane(s.Text, out _)) (key, flush) = (s.Text, false); // it flushes by itself

        if (LaneTable.TryLane(key, out LaneMethod? method))
            LaneInstruction(s, method, key, type, flush, saturate, setsCarry, usesCarry);
        else if (LaneTable.TryWarp(key, false, out _))
            WarpInstruction(s, key);
        else
            throw Unsupported(key);
    }

    void LaneInstruction(
        PtxStatement s, LaneMethod method, string key, string type,
        bool flush, bool saturate, bool setsCarry, bool usesCarry)
    {
        ParameterInfo[] parameters = method.Method.GetParameters();
        int count = parameters.Length - method.Choices.Length - (usesCarry ? 1 : 0);
        if (s.Operands.Length != count + 1)
            throw Error($"{s.Opcode} takes {count + 1} operands here, not {s.Operands.Length}");
        Src[] sources = new Src[count + (usesCarry ? 1 : 0)];
        bool selects = s.Opcode == "slct";   // its .ftz is for c alone, which the type names
        for (int i = 0; i < count; i++)
            sources[i] = Flushed(
                SourceFor(s.Operands[i + 1], parameters[i].ParameterType), type, flush && (!selects || i == 2),
                parameters[i].ParameterType);
        if (usesCarry) sources[count] = carry;
        flush &= !selects;

        Reg? carryOut = null;
        if (setsCarry) Emit(key + ".carry", carryOut = Temp(RegClass.Pred), false, sources);
        Reg? dst = Destination(s.Operands[0]);
        if (dst is not null && ResultClass(method) != dst.Class)
            throw Error($"register {dst.Name} is {Name(dst.Class)}, the result is {Name(ResultClass(method))}");
        if (flush || saturate)
        {
            Reg value = Temp(ResultClass(method));
            Emit(method, key, value, false, sources);
            if (flush && IsFlushed(type))
            {
                Reg flushed = saturate ? Temp(value.Class) : dst!;
                Emit("flush." + type, flushed, !saturate, value);
                value = flushed;
            }
            if (saturate) Emit("sat." + type, dst, true, value);
            else if (!IsFlushed(type)) Move(dst!, value);
        }
        else
        {
            Emit(method, key, dst, true, sources);
        }
        if (carryOut is not null) Move(carry, carryOut);
    }

    static bool IsFlushed(string type) => type is "f32" or "f16" or "f16x2";

    /// <summary>A source with subnormal values replaced by zeros where the instruction says .ftz.</summary>
    Src Flushed(Src source, string type, bool flush, Type parameter)
    {
        if (!flush || !IsFlushed(type) || parameter != typeof(U32) && parameter != typeof(H32)) return source;
        Reg t = Temp(RegClass.W32);
        Emit("flush." + type, t, false, source);
        return t;
    }

    Src SourceFor(PtxOperand operand, Type parameter)
    {
        if (parameter == typeof(byte))
        {
            if (operand.Kind != OperandKind.Immediate || operand.Bits > 255)
                throw Error("a constant from 0 to 255 was expected");
            return Src.Imm(operand.Bits);
        }
        return Source(operand, parameter == typeof(U64) ? RegClass.W64
            : parameter == typeof(uint) ? RegClass.Pred : RegClass.W32);
    }

    static RegClass ResultClass(LaneMethod method) =>
        method.Method.ReturnType == typeof(U64) ? RegClass.W64
        : method.Method.ReturnType == typeof(uint) ? RegClass.Pred : RegClass.W32;

    /// <summary>The destination register; null for the sink "_".</summary>
    Reg? Destination(PtxOperand operand) => operand.Kind switch
    {
        OperandKind.Register => RegOf(operand.Register!),
        OperandKind.Sink => null,
        _ => throw Error($"a destination register was expected, not {operand.Kind}"),
    };

    /// <summary>An instruction of the whole warp: operands flattened in PTX order, pairs d|p as two.</summary>
    void WarpInstruction(PtxStatement s, string key)
    {
        bool pair = s.Opcode == "shfl" || key.StartsWith("match.all", StringComparison.Ordinal);
        List<Reg?> dsts = [];
        PtxOperand first = s.Operands.Length > 0 ? s.Operands[0] : throw Error("operands are missing");
        if (first.Kind is OperandKind.Vector or OperandKind.Pair)
            foreach (PtxOperand element in first.Elements) dsts.Add(Destination(element));
        else
            dsts.Add(Destination(first));
        if (pair && dsts.Count == 1) dsts.Add(null);
        List<Src> sources = [];
        // The value of match may be 64 bits wide, that of vote is a predicate; membermasks are 32 bits.
        RegClass value = s.Opcode == "vote" ? RegClass.Pred
            : s.Opcode == "match" && key.EndsWith("b64", StringComparison.Ordinal) ? RegClass.W64 : RegClass.W32;
        foreach (PtxOperand operand in s.Operands.AsSpan(1))
        {
            if (operand.Kind == OperandKind.Vector)
                foreach (PtxOperand element in operand.Elements) sources.Add(WarpSource(element));
            else
                sources.Add(WarpSource(operand, sources.Count == 0 ? value : RegClass.W32));
        }
        if (s.Opcode == "mma") CheckFragments(s, key);
        EmitWarp(key, s, dsts, sources);
    }

    void CheckFragments(PtxStatement s, string key)
    {
        (int d, int a, int b, int c) = MmaShape.Registers(key);
        ReadOnlySpan<int> expected = [d, a, b, c];
        if (s.Operands.Length != 4) throw Error($"mma has 4 operands, not {s.Operands.Length}");
        for (int i = 0; i < 4; i++)
        {
            int actual = s.Operands[i].Kind == OperandKind.Vector ? s.Operands[i].Elements.Length : 0;
            if (actual != expected[i])
                throw Error($"operand {"dabc"[i]} must be a vector of {expected[i]} registers" +
                    (actual == 0 ? "" : $", not {actual}"));
        }
    }

    /// <summary>A source as a register: a constant one for an immediate of that class.</summary>
    Src WarpSource(PtxOperand operand, RegClass cls = RegClass.W32) => operand.Kind switch
    {
        OperandKind.Register => RegOf(operand.Register!),
        OperandKind.NegatedPredicate => NegatedSource(operand),
        _ => InRegister(Source(operand, cls), cls),
    };

    /// <summary>Adds a warp operation whose operand list is the destinations, then the sources.</summary>
    void EmitWarp(string key, PtxStatement s, List<Reg?> dsts, List<Src> sources, params ReadOnlySpan<Slot> layout) =>
        EmitWarp(key, key, s, dsts, sources, layout, uniform: null);

    void EmitWarp(
        string key, string checkedKey, PtxStatement s, IReadOnlyList<Reg?> dsts, List<Src> sources,
        ReadOnlySpan<Slot> layout, UniformLoad? uniform)
    {
        if (!LaneTable.TryWarp(key, false, out LaneMethod? method)) throw Unsupported(key);
        LaneTable.TryWarp(checkedKey, true, out LaneMethod? checkedMethod);
        List<Slot> slots = [.. layout];
        if (layout.Length == 0)
        {
            for (int i = 0; i < dsts.Count; i++) slots.Add(Slot.D(i));
            for (int i = 0; i < sources.Count; i++) slots.Add(Slot.S(i));
        }
        Add(new Op
        {
            Kind = OpKind.Warp, Position = s.Position,
            Method = method, CheckedMethod = checkedMethod, Uniform = uniform,
            Dsts = [.. dsts], Sources = [.. sources], Layout = [.. slots], Class = ClassOf(key),
            Guard = s.Guard is null ? null : RegOf(s.Guard), GuardNegated = s.GuardNegated,
        });
    }

    // ---- mov ----

    void MoveInstruction(PtxStatement s)
    {
        PtxOperand to = s.Operands[0], from = s.Operands[1];
        if (to.Kind == OperandKind.Vector) Unpack(to.Elements, from);
        else if (from.Kind == OperandKind.Vector) Pack(Destination(to), from.Elements);
        else if (Destination(to) is { } dst) Move(dst, Source(from, dst.Class));
    }

    void Pack(Reg? dst, PtxOperand[] parts)
    {
        if (dst is null) return;
        Src[] values = [.. parts.Select(p => Source(p, RegClass.W32))];
        switch (dst.Class, values.Length)
        {
            case (RegClass.W32, 2): Emit("pack.b32.b16", dst, true, values); break;
            case (RegClass.W64, 2): Emit("pack.b64.b32", dst, true, values); break;
            case (RegClass.W64, 4):
                Reg low = Temp(RegClass.W32), high = Temp(RegClass.W32);
                Emit("pack.b32.b16", low, false, values[0], values[1]);
                Emit("pack.b32.b16", high, false, values[2], values[3]);
                Emit("pack.b64.b32", dst, true, low, high);
                break;
            default: throw Error($"{values.Length} values cannot be packed into {dst.Name}");
        }
    }

    void Unpack(PtxOperand[] parts, PtxOperand from)
    {
        bool wide = from.Kind == OperandKind.Register && RegOf(from.Register!).Class == RegClass.W64
            || from.Kind == OperandKind.Immediate && statement.Modifiers[^1] is "b64" or "u64" or "s64" or "f64";
        Src source = Source(from, wide ? RegClass.W64 : RegClass.W32);
        // A part may be the source's own register: read everything before writing anything.
        Reg[] values = new Reg[parts.Length];
        for (int i = 0; i < parts.Length; i++) values[i] = Temp(RegClass.W32);
        switch (wide, parts.Length)
        {
            case (false, 2): UnpackTwo("b32.b16", source, values[0], values[1]); break;
            case (true, 2): UnpackTwo("b64.b32", source, values[0], values[1]); break;
            case (true, 4):
                Reg low = Temp(RegClass.W32), high = Temp(RegClass.W32);
                UnpackTwo("b64.b32", source, low, high);
                UnpackTwo("b32.b16", low, values[0], values[1]);
                UnpackTwo("b32.b16", high, values[2], values[3]);
                break;
            default: throw Error($"a value cannot be unpacked into {parts.Length} registers here");
        }
        for (int i = 0; i < parts.Length; i++)
            if (Destination(parts[i]) is { } dst) Move(dst, values[i]);
    }

    void UnpackTwo(string types, Src source, Reg low, Reg high)
    {
        Emit("unpack0." + types, low, false, source);
        Emit("unpack1." + types, high, false, source);
    }

    // ---- special registers ----

    Src ReadSpecial(string name, RegClass cls)
    {
        int tid = name switch { "%tid.x" or "%tid" => 0, "%tid.y" => 1, "%tid.z" => 2, _ => -1 };
        if (tid >= 0) return Widened(kernel.Tid[tid], cls);
        if (name == "%laneid") return Widened(kernel.LaneId, cls);
        if (name.StartsWith("%lanemask_", StringComparison.Ordinal)) return LaneMask(name[10..]);
        if (!SpecialValues.TryFind(name, out int id, out bool is64))
            throw Error($"special register {name} is not supported");
        Reg value = Temp(is64 ? RegClass.W64 : RegClass.W32);
        Add(new Op
        {
            Kind = OpKind.Special, Position = statement.Position, Dsts = [value], Raw = [id],
            Class = Counter.Integer,
        });
        return is64 == (cls == RegClass.W64) ? value : is64 ? Truncated(value) : Widened(value, cls);
    }

    Src Widened(Reg value, RegClass cls)
    {
        if (cls != RegClass.W64) return value;
        Reg wide = Temp(RegClass.W64);
        Emit("cvt.u64.u32", wide, false, value);
        return wide;
    }

    Reg Truncated(Reg value)
    {
        Reg narrow = Temp(RegClass.W32);
        Emit("cvt.u32.u64", narrow, false, value);
        return narrow;
    }

    /// <summary>
    /// %lanemask_lt and its kin from the lane's number: eq = 1 &lt;&lt; lane, lt = eq - 1, ge = -eq, …
    /// </summary>
    Src LaneMask(string relation)
    {
        Reg equal = Temp(RegClass.W32), result = Temp(RegClass.W32);
        Emit("shl.b32", equal, false, Src.Imm(1), kernel.LaneId);
        switch (relation)
        {
            case "eq": return equal;
            case "lt": Emit("sub.u32", result, false, equal, Src.Imm(1)); return result;
            case "ge": Emit("sub.u32", result, false, Src.Imm(0), equal); return result;
            case "le" or "gt":
                Reg below = Temp(RegClass.W32), upTo = Temp(RegClass.W32);
                Emit("sub.u32", below, false, equal, Src.Imm(1));
                Emit("or.b32", upTo, false, below, equal);
                if (relation == "le") return upTo;
                Emit("not.b32", result, false, upTo);
                return result;
            default: throw Error($"special register %lanemask_{relation} does not exist");
        }
    }

    // ---- predicates ----

    void SetPredicate(PtxStatement s)
    {
        (Reg p, Reg q) = Compare(s, out _);
        PtxOperand to = s.Operands[0];
        PtxOperand[] pair = to.Kind == OperandKind.Pair ? to.Elements : [to];
        if (Destination(pair[0]) is { } first) Move(first, p);
        if (pair.Length > 1 && Destination(pair[1]) is { } second) Move(second, q);
    }

    /// <summary>
    /// The comparison of setp and set: p, and q = its complement (or, packed, the upper half's result).
    /// </summary>
    (Reg P, Reg Q) Compare(PtxStatement s, out string type)
    {
        List<string> modifiers = [.. s.Modifiers];
        bool flush = modifiers.Remove("ftz");
        type = modifiers[^1];
        string? combine = modifiers.Count > 2 && modifiers[1] is "and" or "or" or "xor" ? modifiers[1] : null;
        string key = $"setp.{modifiers[0]}.{type}";
        if (!LaneTable.TryLane(key, out LaneMethod? method)) throw Unsupported(key);
        int expected = combine is null ? 3 : 4;
        if (s.Operands.Length != expected)
            throw Error($"{s.Opcode} takes {expected} operands here, not {s.Operands.Length}");
        Type parameter = method.Method.GetParameters()[0].ParameterType;
        Src a = Flushed(SourceFor(s.Operands[1], parameter), type, flush, parameter);
        Src b = Flushed(SourceFor(s.Operands[2], parameter), type, flush, parameter);
        Reg p = Temp(RegClass.Pred), q = Temp(RegClass.Pred);
        Emit(method, key, p, false, [a, b]);
        if (LaneTable.TryLane(key + ".hi", out LaneMethod? high)) Emit(high, key + ".hi", q, false, [a, b]);
        else Emit("not.pred", q, false, p);
        if (combine is null) return (p, q);
        Src c = Source(s.Operands[3], RegClass.Pred);
        Reg pc = Temp(RegClass.Pred), qc = Temp(RegClass.Pred);
        Emit(combine + ".pred", pc, false, p, c);
        Emit(combine + ".pred", qc, false, q, c);
        return (pc, qc);
    }

    void Set(PtxStatement s)
    {
        string[] types = [.. s.Modifiers.Where(m => Array.IndexOf(Types, m) >= 0)];
        if (types.Length != 2) throw Error("set needs a destination and a source type");
        PtxStatement comparison = new()
        {
            Position = s.Position, Opcode = "set", Operands = s.Operands,
            Modifiers =
            [
                .. s.Modifiers.Take(Array.LastIndexOf(s.Modifiers, types[1])).Where(m => m != types[0]), types[1],
            ],
        };
        (Reg p, Reg q) = Compare(comparison, out _);
        if (Destination(s.Operands[0]) is not { } dst) return;
        ulong one = types[0] switch
        {
            "f32" => 0x3f800000u, "f16" or "f16x2" => 0x3c00, "bf16" or "bf16x2" => 0x3f80,
            "u16" or "s16" => 0xffff, _ => uint.MaxValue,
        };
        if (types[1] is not ("f16x2" or "bf16x2"))
        {
            Emit("selp.b32", dst, true, Src.Imm(one), Src.Imm(0), p);
            return;
        }
        Reg low = Temp(RegClass.W32), high = Temp(RegClass.W32);
        Emit("selp.b32", low, false, Src.Imm(one & 0xffff), Src.Imm(0), p);
        Emit("selp.b32", high, false, Src.Imm(one & 0xffff), Src.Imm(0), q);
        Emit("pack.b32.b16", dst, true, low, high);
    }

    // ---- cvt and cvta ----

    void Convert(PtxStatement s)
    {
        List<string> modifiers = [.. s.Modifiers];
        bool flush = modifiers.Remove("ftz");
        string[] types = [.. modifiers.Where(m => Array.IndexOf(Types, m) >= 0)];
        string key = "cvt." + string.Join('.', modifiers);
        if (types.Length < 2 || !LaneTable.TryLane(key, out LaneMethod? method)) throw Unsupported(key);
        ParameterInfo[] parameters = method.Method.GetParameters();
        int count = parameters.Length - method.Choices.Length;
        if (s.Operands.Length != count + 1)
            throw Error($"cvt takes {count + 1} operands here, not {s.Operands.Length}");
        Src[] sources = new Src[count];
        for (int i = 0; i < count; i++)
        {
            // The source register may be wider than the source type: its low bits count.
            PtxOperand operand = s.Operands[i + 1];
            bool wider = parameters[i].ParameterType != typeof(U64) && operand.Kind == OperandKind.Register
                && RegOf(operand.Register!).Class == RegClass.W64;
            Src source = wider ? Truncated(RegOf(operand.Register!)) : SourceFor(operand, parameters[i].ParameterType);
            sources[i] = types[1] == "f32" ? Flushed(source, "f32", flush, parameters[i].ParameterType) : source;
        }
        if (Destination(s.Operands[0]) is not { } dst) return;
        RegClass result = ResultClass(method);
        int width = s.Operands[0].Register!.Type.Size();
        string? extend = ExtensionOf(types[0], width);
        bool flushResult = flush && types[0] == "f32";
        if (extend is null && !flushResult && result == dst.Class) { Emit(method, key, dst, true, sources); return; }
        Reg value = Temp(result);
        Emit(method, key, value, false, sources);
        if (flushResult) Emit("flush.f32", dst, true, value);
        else if (extend is not null) Emit(extend, dst, true, value);
        else throw Error($"the result of {s.Text} does not fit register {dst.Name}");
    }

    /// <summary>
    /// The conversion that fills a destination register wider than the destination type; null if none is.
    /// </summary>
    static string? ExtensionOf(string type, int registerBytes)
    {
        int bytes = type is "u8" or "s8" or "b8" ? 1 : type is "u16" or "s16" or "b16" or "f16" or "bf16" ? 2
            : type is "u64" or "s64" or "b64" or "f64" ? 8 : 4;
        if (registerBytes <= bytes) return null;
        char sign = type[0] == 's' ? 's' : 'u';
        if (sign == 'u' && registerBytes <= 4) return null;   // narrow results are zero-extended already
        return $"cvt.{sign}{registerBytes * 8}.{sign}{bytes * 8}";
    }

    void ConvertAddress(PtxStatement s)
    {
        bool to = s.Modifiers[0] == "to";
        string space = s.Modifiers[to ? 1 : 0];
        if (s.Modifiers[^1] is not "u64") throw Error("only 64-bit addresses are supported");
        if (Destination(s.Operands[0]) is not { } dst) return;
        Src source = Source(s.Operands[1], RegClass.W64);
        ulong window = space switch
        {
            "global" or "const" => 0,
            "shared" or "shared::cta" => Driver.AddressSpace.SharedWindow,
            "local" => Driver.AddressSpace.LocalWindow,
            _ => throw Unsupported(s.Text),
        };
        if (window == 0) Move(dst, source);
        else Emit(to ? "sub.u64" : "add.u64", dst, true, source, Src.Imm(window));
    }
}
