// Loads, stores, atomics and asynchronous copies. Operand lists as Lanes/Memory.cs expects them: an address is three
// entries (register, constant offset, 1 when the register has 64 bits), data registers follow. Modifiers that only
// steer caches or the order among threads are checked and dropped: blocks run one warp at a time between barriers.
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Ir;

internal sealed partial class Builder
{
    static readonly HashSet<string> CacheModifiers =
    [
        "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "volatile", "relaxed", "acquire", "release", "acq_rel", "weak",
        "gpu", "cta", "sys", "cluster", "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
        "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B", "mmio", "noftz",
    ];

    static readonly string[] Spaces = ["global", "shared", "shared::cta", "local", "param", "const"];

    /// <summary>The instruction's modifiers, less those that change nothing here; the state space taken out.</summary>
    List<string> Essential(PtxStatement s, out string space)
    {
        List<string> kept = [.. s.Modifiers.Where(m => !CacheModifiers.Contains(m))];
        int at = kept.FindIndex(m => Array.IndexOf(Spaces, m) >= 0);
        space = at < 0 ? "generic" : kept[at] == "shared::cta" ? "shared" : kept[at];
        if (at >= 0) kept.RemoveAt(at);
        return kept;
    }

    static string? MemoryType(string type) => type switch
    {
        "b8" or "u8" => "b8", "s8" => "s8", "b16" or "u16" or "f16" or "bf16" => "b16", "s16" => "s16",
        "b32" or "u32" or "s32" or "f32" or "f16x2" or "bf16x2" => "b32", "b64" or "u64" or "s64" or "f64" => "b64",
        _ => null,
    };

    static int TypeBytes(string memoryType) => memoryType is "b8" or "s8" ? 1 : memoryType is "b16" or "s16" ? 2
        : memoryType == "b32" ? 4 : 8;

    (string Key, string Type, int Elements) AccessKey(PtxStatement s, out string space)
    {
        List<string> kept = Essential(s, out space);
        int elements = kept.Count > 1 ? kept[0] switch { "v2" => 2, "v4" => 4, _ => 0 } : 1;
        string? type = kept.Count == 0 ? null : MemoryType(kept[^1]);
        if (type is null || elements == 0 || kept.Count > 2) throw Unsupported(s.Text);
        string opcode = s.Opcode == "ldu" ? "ld" : s.Opcode;
        return ($"{opcode}.{space}{(elements > 1 ? ".v" + elements : "")}.{type}", type, elements);
    }

    /// <summary>The base register and the constant offset of an address operand.</summary>
    (Reg Base, int Offset) Address(PtxOperand operand)
    {
        if (operand.Kind != OperandKind.Address) throw Error("an address in brackets was expected");
        if (operand.Offset != (int)operand.Offset) throw Error("an address offset must fit 32 bits");
        if (operand.Register is not null)
        {
            Reg reg = RegOf(operand.Register);
            return reg.Class == RegClass.Pred ? throw Error("a predicate is no address") : (reg, (int)operand.Offset);
        }
        // AddressOf has the operand's offset added already.
        return (kernel.Constant(RegClass.W64, operand.Name is null ? (ulong)operand.Offset : AddressOf(operand)), 0);
    }

    static PtxOperand[] Elements(PtxOperand operand) =>
        operand.Kind == OperandKind.Vector ? operand.Elements : [operand];

    bool IsCallParameter(PtxOperand address) =>
        address is { Register: null, Name: not null }
            && (!scope.IsEntry || !scope.Function.Parameters.Contains(address.Variable!));

    void Load(PtxStatement s)
    {
        (string key, string type, int elements) = AccessKey(s, out string space);
        PtxOperand[] to = Elements(s.Operands[0]);
        if (to.Length != elements) throw Error($"{elements} destination registers were expected, not {to.Length}");
        int bytes = TypeBytes(type);
        RegClass cls = ClassOf(bytes);
        if (space == "param" && IsCallParameter(s.Operands[1]))
        {
            ParamRegs values = ParamOf(s.Operands[1]);
            for (int i = 0; i < elements; i++)
                if (Destination(to[i]) is { } d)
                    Filled(d, ParamReg(values, (int)s.Operands[1].Offset + i * bytes, bytes), type, to[i]);
            return;
        }
        (Reg address, int offset) = Address(s.Operands[1]);
        // A destination wider than the type, or narrower than a sign-extended value, is filled by a second operation.
        Reg?[] direct = new Reg?[elements];
        for (int i = 0; i < elements; i++)
        {
            Reg? d = Destination(to[i]);
            direct[i] = d is null || NeedsFill(d, type, to[i]) ? d is null ? null : Temp(cls) : d;
        }
        List<Slot> layout = AddressSlots(0, offset, address);
        for (int i = 0; i < elements; i++) layout.Add(Slot.D(i));
        EmitWarp(key, key, s, direct, [address], layout.ToArray(), Uniform(space, type, bytes, offset));
        for (int i = 0; i < elements; i++)
            if (Destination(to[i]) is { } d && d != direct[i]) Filled(d, direct[i]!, type, to[i]);
    }

    static UniformLoad? Uniform(string space, string type, int bytes, int offset) => space switch
    {
        "global" or "const" => new UniformLoad(StateSpace.Global, bytes, type[0] == 's', offset),
        "shared" => new UniformLoad(StateSpace.Shared, bytes, type[0] == 's', offset),
        "param" => new UniformLoad(StateSpace.Param, bytes, type[0] == 's', offset),
        _ => null,
    };

    static List<Slot> AddressSlots(int source, int offset, Reg address) =>
        [Slot.S(source), Slot.R(offset), Slot.R(address.Class == RegClass.W64 ? 1 : 0)];

    static bool NeedsFill(Reg dst, string type, PtxOperand operand) =>
        (dst.Class == RegClass.W64) != (type == "b64")
        || type == "s8" && operand.Register!.Type.Size() <= 2 || type == "s16" && operand.Register!.Type.Size() == 2;

    void Filled(Reg dst, Reg value, string type, PtxOperand operand)
    {
        if (dst.Class == RegClass.W64 && value.Class == RegClass.W32)
            Emit(type[0] == 's' ? "cvt.s64.s32" : "cvt.u64.u32", dst, true, value);
        else if (dst.Class == RegClass.W32 && value.Class == RegClass.W32 && NeedsFill(dst, type, operand))
            Emit("and.b32", dst, true, value, Src.Imm(operand.Register!.Type.Size() == 1 ? 0xffu : 0xffffu));
        else
            Move(dst, Checked(value, dst.Class));
    }

    void Store(PtxStatement s)
    {
        (string key, string type, int elements) = AccessKey(s, out string space);
        PtxOperand[] from = Elements(s.Operands[1]);
        if (from.Length != elements) throw Error($"{elements} source registers were expected, not {from.Length}");
        int bytes = TypeBytes(type);
        if (space == "param")
        {
            ParamRegs values = ParamOf(s.Operands[0]);
            for (int i = 0; i < elements; i++)
                Move(ParamReg(values, (int)s.Operands[0].Offset + i * bytes, bytes), StoredValue(from[i], bytes));
            return;
        }
        (Reg address, int offset) = Address(s.Operands[0]);
        List<Src> sources = [address];
        List<Slot> layout = AddressSlots(0, offset, address);
        foreach (PtxOperand operand in from)
        {
            layout.Add(Slot.S(sources.Count));
            sources.Add(InRegister(StoredValue(operand, bytes), ClassOf(bytes)));
        }
        string streaming = key.Replace("st.global.", "st.global.cs.", StringComparison.Ordinal);
        bool streams = s.Modifiers.Contains("cs") && LaneTable.TryWarp(streaming, false, out _);
        EmitWarp(streams ? streaming : key, key, s, [], sources, layout.ToArray(), uniform: null);
    }

    /// <summary>The low bytes of the operand, whatever the width of its register.</summary>
    Src StoredValue(PtxOperand operand, int bytes) =>
        bytes < 8 && operand.Kind == OperandKind.Register && RegOf(operand.Register!).Class == RegClass.W64
            ? Truncated(RegOf(operand.Register!)) : Source(operand, ClassOf(bytes));

    Src InRegister(Src source, RegClass cls) => source.Reg is null ? kernel.Constant(cls, source.Bits) : source;

    void Atomic(PtxStatement s)
    {
        List<string> kept = Essential(s, out string space);
        if (kept.Count != 2) throw Unsupported(s.Text);
        bool isAtom = s.Opcode == "atom";
        string key = $"{s.Opcode}.{space}.{kept[0]}.{kept[1]}";
        int at = isAtom ? 1 : 0;
        int operands = at + 2 + (kept[0] == "cas" ? 1 : 0);
        if (s.Operands.Length != operands) throw Error($"{s.Text} takes {operands} operands, not {s.Operands.Length}");
        RegClass cls = kept[1] is "b64" or "u64" or "s64" or "f64" ? RegClass.W64 : RegClass.W32;
        (Reg address, int offset) = Address(s.Operands[at]);
        List<Src> sources = [address, InRegister(Source(s.Operands[at + 1], cls), cls)];
        List<Slot> layout = AddressSlots(0, offset, address);
        if (isAtom) layout.Add(Slot.D(0));
        layout.Add(Slot.S(1));
        if (kept[0] == "cas")
        {
            layout.Add(Slot.S(2));
            sources.Add(InRegister(Source(s.Operands[at + 2], cls), cls));
        }
        else if (isAtom)
        {
            layout.Add(Slot.R(-1));
        }
        EmitWarp(key, s, isAtom ? [Destination(s.Operands[0])] : [], sources, layout.ToArray());
    }

    void AsyncCopy(PtxStatement s)
    {
        List<string> kept = [.. s.Modifiers.Where(m => !m.StartsWith("L2::", StringComparison.Ordinal))];
        string form = string.Join('.', kept);
        switch (form)
        {
            case "async.commit_group" or "async.wait_all":
                EmitWarp("cp." + form, s, [], [], Slot.R(0));
                return;
            case "async.wait_group":
                EmitWarp("cp." + form, s, [], [], Slot.R((int)Constant(s.Operands[0], int.MaxValue)));
                return;
            case "async.ca.shared.global" or "async.cg.shared.global": break;
            default: throw Unsupported(s.Text);
        }
        string key = "cp.async." + kept[1];
        (Reg to, int toOffset) = Address(s.Operands[0]);
        (Reg from, int fromOffset) = Address(s.Operands[1]);
        ulong size = Constant(s.Operands[2], 16);
        if (size is not (4 or 8 or 16) || kept[1] == "cg" && size != 16)
            throw Error("cp.async copies 4, 8 or 16 bytes, with .cg 16");
        List<Src> sources = [to, from];
        List<Slot> layout = AddressSlots(0, toOffset, to);
        layout.AddRange(AddressSlots(1, fromOffset, from));
        layout.Add(Slot.R((int)size));
        if (s.Operands.Length > 3)
        {
            layout.Add(Slot.S(2));
            sources.Add(InRegister(Source(s.Operands[3], RegClass.W32), RegClass.W32));
        }
        else
        {
            layout.Add(Slot.R(-1));
        }
        EmitWarp(key, s, [], sources, layout.ToArray());
    }

    ulong Constant(PtxOperand operand, ulong max) =>
        operand.Kind == OperandKind.Immediate && operand.Bits <= max ? operand.Bits
            : throw Error($"a constant of at most {max} was expected");

    void LoadMatrix(PtxStatement s)
    {
        string key = s.Text.Replace("shared::cta", "shared", StringComparison.Ordinal);
        PtxOperand[] to = Elements(s.Operands[0]);
        int expected = key.Contains(".x4", StringComparison.Ordinal) ? 4
            : key.Contains(".x2", StringComparison.Ordinal) ? 2
            : 1;
        if (to.Length != expected) throw Error($"{expected} destination registers were expected, not {to.Length}");
        (Reg address, int offset) = Address(s.Operands[1]);
        List<Slot> layout = AddressSlots(0, offset, address);
        for (int i = 0; i < to.Length; i++) layout.Add(Slot.D(i));
        EmitWarp(key, s, [.. to.Select(Destination)], [address], layout.ToArray());
    }

    void Prefetch(PtxStatement s)
    {
        if (s.Text is not ("prefetch.L1" or "prefetch.L2" or "prefetch.global.L1" or "prefetch.global.L2"
            or "prefetch.local.L1" or "prefetch.local.L2" or "prefetchu.L1"
            or "prefetch.global.L2::evict_last" or "prefetch.global.L2::evict_normal"))
            throw Unsupported(s.Text);
        Address(s.Operands[0]);
    }
}
