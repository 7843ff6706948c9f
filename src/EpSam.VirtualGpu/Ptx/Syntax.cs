// The syntax tree of a PTX module, as the parser leaves it: names resolved, scopes flattened, nothing interpreted.
// Instructions keep their text form (opcode and modifiers); what they mean is decided by the lane table when the
// intermediate representation is built (Ir/Builder.cs). PTX ISA 7.8.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>A place in the source text; both numbers start at 1.</summary>
internal readonly record struct SourcePosition(int Line, int Column);

internal enum StateSpace { Generic, Reg, SReg, Const, Global, Local, Param, Shared }

internal enum PtxType
{
    Pred, B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64, F16, F16x2, BF16, BF16x2, TF32, F32, F64,
}

internal static class PtxTypes
{
    /// <summary>Size in bytes of one element; a predicate counts as one.</summary>
    public static int Size(this PtxType type) => type switch
    {
        PtxType.Pred or PtxType.B8 or PtxType.U8 or PtxType.S8 => 1,
        PtxType.B16 or PtxType.U16 or PtxType.S16 or PtxType.F16 or PtxType.BF16 => 2,
        PtxType.B64 or PtxType.U64 or PtxType.S64 or PtxType.F64 => 8,
        _ => 4,
    };
}

/// <summary>A virtual register of one function. Registers of nested scopes get indices of their own.</summary>
internal sealed class PtxRegister(string name, PtxType type, int index)
{
    public string Name { get; } = name;
    public PtxType Type { get; } = type;
    public int Index { get; } = index;
    public override string ToString() => Name;
}

/// <summary>A variable of any space but .reg: module scope, function scope, or a parameter.</summary>
internal sealed class PtxVariable
{
    public required string Name { get; init; }
    public required StateSpace Space { get; init; }
    public required PtxType Type { get; init; }
    public required SourcePosition Position { get; init; }
    public int Align { get; init; }               // bytes; at least the element's size
    public long Count { get; init; } = 1;         // elements, vectors and array dimensions multiplied out
    public bool IsArray { get; init; }            // declared with [..]; Count 0 with IsExternal = dynamic shared memory
    public bool IsExternal { get; init; }
    public PtxRegister? Register { get; init; }   // Space Reg only: the register that holds the parameter
    public byte[]? Initial { get; init; }         // null = not initialised; else Size bytes
    public List<PtxRelocation> Relocations { get; } = [];   // addresses of symbols inside Initial
    public long Size => Count * Type.Size();      // bytes
}

/// <summary>Initial[Offset..Offset+8) is the address of Symbol plus Addend (generic when IsGeneric).</summary>
internal sealed record PtxRelocation(int Offset, string Symbol, long Addend, bool IsGeneric);

internal enum OperandKind
{
    Register, NegatedPredicate, Immediate, Symbol, SpecialRegister, Vector, Address, Label, Sink, Pair,
    CallList,
}

/// <summary>One operand of an instruction; which members are set depends on <see cref="Kind"/>.</summary>
internal sealed class PtxOperand
{
    public required OperandKind Kind { get; init; }
    public SourcePosition Position { get; init; }
    public PtxRegister? Register { get; init; }     // Register, NegatedPredicate; base of an Address (or null)
    public string? Name { get; set; }               // Symbol, SpecialRegister ("%tid.x"), Label; base of an Address
    public PtxVariable? Variable { get; init; }     // the variable a Symbol or Address names, if it is a variable
    public ulong Bits { get; init; }                // Immediate: two's complement, or the bits as IsFloat says
    public bool IsFloat { get; init; }              // Immediate written as a floating-point literal
    public bool IsSingle { get; init; }             // 0f… literal: Bits are the 32 of a float, else the 64 of a double
    public long Offset { get; init; }               // Address: + constant; Symbol: + constant (symbol+4)
    public PtxOperand[] Elements { get; init; } = [];  // Vector {a,b}; Pair d|p; CallList (a,b)
}

/// <summary>An instruction or a label; labels have an empty Opcode.</summary>
internal sealed class PtxStatement
{
    public required SourcePosition Position { get; init; }
    public string? Label { get; init; }             // set: this statement is the label itself, nothing else
    public PtxRegister? Guard { get; init; }        // @p or @!p
    public bool GuardNegated { get; init; }
    public string Opcode { get; init; } = "";       // "ld"
    public string[] Modifiers { get; init; } = [];  // "global", "v4", "f32"; "L1::no_allocate" is one modifier
    public PtxOperand[] Operands { get; init; } = [];
    public string Text => Modifiers.Length == 0 ? Opcode : Opcode + "." + string.Join('.', Modifiers);
}

internal sealed class PtxFunction
{
    public required string Name { get; init; }
    public required SourcePosition Position { get; init; }
    public bool IsEntry { get; init; }
    public bool HasBody { get; set; }               // false: a declaration only
    public List<PtxVariable> Parameters { get; } = [];   // Space Param, or Reg for .reg parameters of functions
    public List<PtxVariable> Returns { get; } = [];
    public List<PtxRegister> Registers { get; } = [];
    public List<PtxVariable> Variables { get; } = [];   // function-scope .local .shared .param .const .global variables
    public List<PtxStatement> Body { get; } = [];
    public int[]? MaxThreads { get; set; }          // .maxntid x,y,z
    public int[]? RequiredThreads { get; set; }     // .reqntid x,y,z
    public int MinBlocks { get; set; }              // .minnctapersm
    public int MaxRegisters { get; set; }           // .maxnreg
    public bool IsNoReturn { get; set; }            // .noreturn
    public Dictionary<string, PtxOperand[]> BranchTargets { get; } = [];  // .branchtargets: table's label -> labels
    public Dictionary<string, string[]> CallTargets { get; } = [];        // .calltargets: table's label -> functions
    public Dictionary<string, PtxFunction> Prototypes { get; } = [];      // .callprototype: its label -> signature
}

internal sealed class PtxModule
{
    public int VersionMajor { get; set; }
    public int VersionMinor { get; set; }
    public string Target { get; set; } = "";        // "sm_80"
    public int AddressSize { get; set; } = 64;
    public List<PtxVariable> Variables { get; } = [];
    public List<PtxFunction> Functions { get; } = [];
    public string Source { get; set; } = "";
    string[]? lines;   // of the source, for messages; Lines[0] is line 1
    public string[] Lines { get => lines ??= Source.Split('\n'); set => lines = value; }
    public PtxFunction? Find(string name) =>
        Functions.Find(f => f.Name == name && f.HasBody)
        ?? Functions.Find(f => f.Name == name);
}

/// <summary>A module that cannot be loaded: what is wrong, and where.</summary>
internal sealed class PtxException(string message, SourcePosition position, string? instruction = null)
    : Exception(instruction is null
        ? $"PTX line {position.Line}, column {position.Column}: {message}"
        : $"PTX line {position.Line}, column {position.Column}: {message}\n    {instruction}")
{
    public SourcePosition Position { get; } = position;
    public string? Instruction { get; } = instruction;
}
