// The names visible at one place of a module: the module itself, a function's parameters, its body, and each { }
// within. Ranges such as %r<1000000> are kept as ranges; a register object is made when a register is first used.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>.reg .v2/.v4: a name that stands for several registers, %v.x … %v.w.</summary>
internal sealed record VectorRegister(string Name, PtxRegister[] Components);

internal sealed record RegisterRange(string Prefix, int Count, PtxType Type, int VectorWidth, SourcePosition Position);

/// <summary>What a label must stand before: an instruction, a .branchtargets, or a .callprototype or
/// .calltargets.</summary>
internal enum LabelUse : byte { Jump, BranchTable, Callee }

/// <summary>A label that an instruction names; which label it is shows when the scope ends.</summary>
internal readonly record struct LabelReference(PtxOperand Operand, string Name, LabelUse Use);

internal sealed class Scope(Scope? parent, SourcePosition start)
{
    public Scope? Parent { get; } = parent;
    public SourcePosition Start { get; } = start;
    public int Depth { get; } = parent is null ? 0 : parent.Depth + 1;

    /// <summary>PtxRegister, VectorRegister, PtxVariable or PtxFunction by name.</summary>
    public Dictionary<string, object>? Names { get; set; }
    public Dictionary<string, RegisterRange>? Ranges { get; set; }
    /// <summary>Labels as written, and the name that is unique in the function.</summary>
    public Dictionary<string, string>? Labels { get; set; }
    public List<LabelReference>? Pending { get; set; }
    /// <summary>Declared names that end in a digit: compared with the ranges when the scope ends.</summary>
    public List<(string Name, SourcePosition Position)>? Numbered { get; set; }

    public object? FindHere(ReadOnlySpan<char> name) =>
        Names is not null && Names.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out object? found)
            ? found : null;

    /// <summary>The range that holds this name: %r&lt;10&gt; holds %r0 … %r9. A prefix may itself end in
    /// digits.</summary>
    public RegisterRange? FindRange(ReadOnlySpan<char> name, RegisterRange? other = null)
    {
        if (Ranges is null)
        {
            return null;
        }
        Dictionary<string, RegisterRange>.AlternateLookup<ReadOnlySpan<char>> lookup =
            Ranges.GetAlternateLookup<ReadOnlySpan<char>>();
        long number = 0, scale = 1;
        for (int i = name.Length - 1; i > 0 && char.IsAsciiDigit(name[i]) && scale <= PtxLimits.RegistersPerFunction;
            i--)
        {
            number += (name[i] - '0') * scale;
            scale *= 10;
            bool leadingZero = name[i] == '0' && i < name.Length - 1;
            if (!leadingZero && lookup.TryGetValue(name[..i], out RegisterRange? range) && number < range.Count
                && range != other)
            {
                return range;
            }
        }
        return null;
    }
}
