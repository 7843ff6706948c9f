// The intermediate representation of one kernel: basic blocks of operations on virtual registers. Calls are inlined,
// symbols are addresses, every operation is one lane method, one warp method or one of a few control operations.
// The passes compute facts about it (Passes/); the interpreter and the emitter (Exec/) run it.
using System.Text;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Ir;

internal enum RegClass : byte { W32, W64, Pred }

/// <summary>A virtual register of the kernel.</summary>
internal sealed class Reg(int index, RegClass cls, string name)
{
    public int Index { get; } = index;
    public RegClass Class { get; } = cls;
    public string Name { get; } = name;
    public bool IsSpecial { get; init; }   // tid.x, laneid, constants: written before the kernel starts, never by it
    public ulong? Constant { get; init; }  // a special register that holds this value in all lanes
    public int Bytes => Class switch { RegClass.W32 => 128, RegClass.W64 => 256, _ => 4 };
    public override string ToString() => Name;
}

/// <summary>
/// A source operand: a register, or an immediate (32 bits, 64 bits or a predicate mask, as the use asks).
/// </summary>
internal readonly record struct Src(Reg? Reg, ulong Bits)
{
    public static implicit operator Src(Reg reg) => new(reg, 0);
    public static Src Imm(ulong bits) => new(null, bits);
    public override string ToString() => Reg is null ? $"0x{Bits:x}" : Reg.Name;
}

internal enum OpKind
{
    Lane,      // Dst = Method(Sources), some lanes at a time
    Warp,      // Method(warp, frame, operands)
    Special,   // Dst = special register Raw[0], the same for the whole warp
}

/// <summary>One operation. Guard: it happens only in lanes whose predicate is true (false with GuardNegated).</summary>
internal sealed class Op
{
    public required OpKind Kind { get; init; }
    public required SourcePosition Position { get; init; }
    public LaneMethod? Method { get; init; }
    public LaneMethod? CheckedMethod { get; init; }  // Warp: to use when checks or counters are on
    public LaneMethod? Scalar { get; init; }         // Lane: the same on one value for all lanes
    public UniformLoad? Uniform { get; init; }       // Warp: a load that is one scalar load when its address is uniform
    public Reg?[] Dsts { get; init; } = [];          // null = sink
    public Src[] Sources { get; init; } = [];
    public Slot[] Layout { get; init; } = [];        // Warp: what goes into the operand list, in order
    public int[] Raw { get; init; } = [];
    public Reg? Guard { get; init; }
    public bool GuardNegated { get; init; }
    public Counter Class { get; init; }
    public Reg? Dst => Dsts.Length > 0 ? Dsts[0] : null;
}

internal enum SlotKind { Dst, Source, Raw }

/// <summary>An entry of a warp method's operand list.</summary>
internal readonly record struct Slot(SlotKind Kind, int Value)
{
    public static Slot D(int i) => new(SlotKind.Dst, i);
    public static Slot S(int i) => new(SlotKind.Source, i);
    public static Slot R(int value) => new(SlotKind.Raw, value);
}

/// <summary>A load of Dsts.Length elements of Bytes bytes at Sources[0] + Offset.</summary>
internal sealed record UniformLoad(StateSpace Space, int Bytes, bool Signed, int Offset);

/// <summary>How a block ends.</summary>
internal enum EndKind { Jump, Branch, Exit }

internal sealed class Block(int index)
{
    public int Index { get; set; } = index;
    public List<Op> Ops { get; } = [];
    public EndKind End { get; set; } = EndKind.Exit;
    public Reg? Condition { get; set; }        // Branch: to Taken where true (false when Negated), else to Next
    public bool Negated { get; set; }
    public Block? Taken { get; set; }
    public Block? Next { get; set; }           // Jump and Branch
    public bool Yields { get; set; }           // its last operation is a barrier: the warp stops, then goes on at Next
    public SourcePosition Position { get; set; }

    public int SuccessorCount => End switch { EndKind.Exit => 0, EndKind.Jump => 1, _ => 2 };
    public Block Successor(int i) => i == 0 ? Next! : Taken!;
}

/// <summary>A kernel ready for the passes.</summary>
internal sealed class Kernel
{
    public required string Name { get; init; }
    public required string[] Lines { get; init; }            // PTX source
    public List<Reg> Regs { get; } = [];
    public List<Block> Blocks { get; set; } = [];            // in layout order; [0] is the entry
    public Reg[] Tid { get; } = new Reg[3];
    public Reg LaneId { get; set; } = null!;
    public int StaticShared { get; set; }
    public int Local { get; set; }                           // bytes a lane

    readonly Dictionary<(RegClass, ulong), Reg> constants = [];

    public Reg NewReg(RegClass cls, string name, bool special = false, ulong? constant = null)
    {
        Reg reg = new(Regs.Count, cls, name) { IsSpecial = special, Constant = constant };
        Regs.Add(reg);
        return reg;
    }

    /// <summary>The register that holds this constant; the same one each time.</summary>
    public Reg Constant(RegClass cls, ulong bits)
    {
        if (cls == RegClass.W32) bits = (uint)bits;
        if (!constants.TryGetValue((cls, bits), out Reg? reg))
            constants[(cls, bits)] = reg = NewReg(cls, $"#{bits:x}", special: true, constant: bits);
        return reg;
    }

    public string LineText(int line) => line >= 1 && line <= Lines.Length ? Lines[line - 1].Trim() : "";

    /// <summary>PTX-like text, for tests and for reading.</summary>
    public string Dump()
    {
        StringBuilder text = new();
        foreach (Block block in Blocks)
        {
            text.Append($"B{block.Index}:\n");
            foreach (Op op in block.Ops)
                text.Append("    ").Append(Describe(op)).Append('\n');
            text.Append(block.End switch
            {
                EndKind.Exit => "    exit\n",
                EndKind.Jump => $"    goto B{block.Next!.Index}\n",
                _ => $"    if {(block.Negated ? "!" : "")}{block.Condition} goto B{block.Taken!.Index} " +
                    $"else B{block.Next!.Index}\n",
            });
        }
        return text.ToString();
    }

    static string Describe(Op op)
    {
        string guard = op.Guard is null ? "" : $"@{(op.GuardNegated ? "!" : "")}{op.Guard} ";
        string choices = op.Method is { Choices.Length: > 0 } m ? "<" + string.Join(',', m.Choices) + ">" : "";
        string name = op.Method?.Method.Name ?? op.Kind.ToString();
        string dsts = string.Join(", ", op.Dsts.Select(d => d?.Name ?? "_"));
        return $"{guard}{name}{choices} {dsts} = {string.Join(", ", op.Sources)}   // line {op.Position.Line}";
    }
}
