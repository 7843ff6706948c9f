// Whether one operand fits its slot (Instructions.cs): PTX ISA 7.8, sections 9.4 (types of operands), 9.4.1 (operands
// wider than the instruction's type), 6.4.2 (vectors), 9.7.8.3 and 9.7.8.4 (mov), 4.5 (constants).
namespace EpSam.VirtualGpu.Ptx;

internal readonly struct OperandCheck
{
    readonly PtxStatement statement;
    readonly PtxType? first, last;
    readonly int width;          // 1, or 2, 4, 8 for .v2 .v4 .v8
    readonly StateSpace? space;  // the one the opcode names

    public OperandCheck(PtxStatement statement, Dictionary<string, PtxType> types)
    {
        this.statement = statement;
        width = 1;
        foreach (string modifier in statement.Modifiers)
        {
            if (types.TryGetValue(modifier, out PtxType type))
            {
                first ??= type;
                last = type;
            }
            width = modifier switch { "v2" => 2, "v4" => 4, "v8" => 8, _ => width };
            space ??= modifier switch
            {
                "global" => StateSpace.Global, "shared" or "shared::cta" => StateSpace.Shared,
                "local" => StateSpace.Local, "const" => StateSpace.Const, "param" => StateSpace.Param, _ => null,
            };
        }
    }

    /// <summary>What is wrong with the operand; null when nothing is.</summary>
    public string? Problem(OperandSlot slot, PtxOperand operand)
    {
        switch (slot.Role)
        {
            case Role.Address: return AddressProblem(operand);
            case Role.Label: return operand.Kind == OperandKind.Label ? null : "a label expected";
            case Role.Immediate:
                return operand is { Kind: OperandKind.Immediate, IsFloat: false } ? null
                    : "an integer constant expected";
            case Role.Registers: return RegistersProblem(operand);
        }
        PtxType? type = slot.From switch
        {
            TypeFrom.First => first, TypeFrom.Fixed => slot.Fixed,
            TypeFrom.Doubled when last is { } t => Doubled(t), _ => last,
        };
        if (type is null)
        {
            return $"'{statement.Opcode}' needs a type such as .b32 at its end";
        }
        return slot.Role switch
        {
            Role.Destination => DestinationProblem(operand, type.Value, slot.IsWide),
            Role.DestinationOrSink => operand.Kind == OperandKind.Sink ? null
                : DestinationProblem(operand, type.Value, false),
            Role.DestinationPair => PairProblem(operand, type.Value),
            Role.DestinationVector or Role.SourceVector =>
                VectorProblem(operand, type.Value, slot.Role == Role.DestinationVector),
            Role.MoveDestination => MoveProblem(operand, type.Value, isDestination: true),
            Role.MoveSource => MoveProblem(operand, type.Value, isDestination: false),
            _ => SourceProblem(operand, type.Value, slot.IsWide),
        };
    }

    static PtxType Doubled(PtxType type) => type switch
    {
        PtxType.U16 => PtxType.U32, PtxType.S16 => PtxType.S32,
        PtxType.U32 => PtxType.U64, PtxType.S32 => PtxType.S64, _ => type,
    };

    static bool IsFloat(PtxType type) => type is PtxType.F16 or PtxType.F16x2 or PtxType.BF16 or PtxType.BF16x2
        or PtxType.TF32 or PtxType.F32 or PtxType.F64;

    static bool IsBits(PtxType type) => type is PtxType.B8 or PtxType.B16 or PtxType.B32 or PtxType.B64;

    /// <summary>Whether a register of one type may stand where an instruction's type is the other.</summary>
    static bool Fits(PtxType instruction, PtxType register, bool isWide)
    {
        if (instruction == PtxType.Pred || register == PtxType.Pred)
        {
            return instruction == register;
        }
        // the packed and alternate formats are exempt from 9.4.1
        isWide &= instruction is not (PtxType.BF16 or PtxType.BF16x2 or PtxType.TF32 or PtxType.F16x2);
        bool sizes = isWide ? register.Size() >= instruction.Size() : register.Size() == instruction.Size();
        // to integer instructions a register of two halves is a .b32 one
        return sizes && (IsBits(instruction) || IsBits(register)
            || (IsFloat(instruction) ? register == instruction : !IsFloat(register) || register == PtxType.F16x2));
    }

    static string Name(PtxType type) => "." + type.ToString().ToLowerInvariant();

    static string RegisterProblem(PtxRegister register, PtxType type, bool isWide)
    {
        string least = isWide && !IsFloat(type) ? " or wider" : "";
        string name = register.Name.Length <= 60 ? register.Name : register.Name[..60] + "…";
        return $"register '{name}' is {Name(register.Type)}, " +
               $"which does not fit where {Name(type)}{least} is expected";
    }

    static string? DestinationProblem(PtxOperand operand, PtxType type, bool isWide) => operand.Kind switch
    {
        OperandKind.Register => Fits(type, operand.Register!.Type, isWide) ? null
            : RegisterProblem(operand.Register, type, isWide),
        OperandKind.Sink => "the result of this instruction cannot be dropped with '_'",
        OperandKind.Pair => "this instruction has no second result after '|'",
        _ => "the destination must be a register",
    };

    string? PairProblem(PtxOperand operand, PtxType type)
    {
        if (operand.Kind != OperandKind.Pair)
        {
            return DestinationProblem(operand, type, false);
        }
        PtxOperand value = operand.Elements[0], predicate = operand.Elements[1];
        if (value.Kind == OperandKind.Sink && type != PtxType.Pred)
        {
            return "only the predicate of the pair may be '_'";
        }
        return (value.Kind == OperandKind.Sink ? null : DestinationProblem(value, type, false))
            ?? (predicate.Kind == OperandKind.Sink ? null : DestinationProblem(predicate, PtxType.Pred, false));
    }

    string? SourceProblem(PtxOperand operand, PtxType type, bool isWide)
    {
        switch (operand.Kind)
        {
            case OperandKind.Register:
                return Fits(type, operand.Register!.Type, isWide) ? null
                    : RegisterProblem(operand.Register, type, isWide);
            case OperandKind.NegatedPredicate:
                return type == PtxType.Pred ? null : $"a negated predicate where {Name(type)} is expected";
            case OperandKind.Immediate:
                return ImmediateProblem(operand, type);
            case OperandKind.SpecialRegister when statement.Opcode == "cvt":
                return SpecialProblem(operand.Name!, type);
            case OperandKind.SpecialRegister:
                return $"a special register can only be read with mov; mov '{operand.Name}' to a register first";
            case OperandKind.Symbol:
                return $"an address can only be taken with mov or cvta; mov '{operand.Name}' to a register first";
            default:
                return $"a register or a constant expected where {Name(type)} is read";
        }
    }

    static string? ImmediateProblem(PtxOperand operand, PtxType type)
    {
        if (type is PtxType.F32 or PtxType.F64)
        {
            return operand.IsFloat ? null
                : $"an integer constant where {Name(type)} is expected; write it with a decimal point";
        }
        if (IsFloat(type))   // f16 and its like
        {
            return $"there are no constants of type {Name(type)}; mov the bits to a register first";
        }
        if (!operand.IsFloat)
        {
            return null;
        }
        bool bits = (type == PtxType.B32 && operand.IsSingle) || (type == PtxType.B64 && !operand.IsSingle);
        return bits ? null : $"a floating-point constant where {Name(type)} is expected"
            + (type == PtxType.B32 ? "; write it as 0f…" : "");
    }

    string? AddressProblem(PtxOperand operand)
    {
        if (operand.Kind != OperandKind.Address)
        {
            return "an address in brackets expected, such as [%rd1+4]";
        }
        if (operand.Register is { } register && (IsFloat(register.Type) || register.Type.Size() < 4))
        {
            return $"an address register must be an integer of 32 or 64 bits; '{register.Name}' is " +
                   Name(register.Type);
        }
        StateSpace? named = statement.Opcode == "cp" ? null : space;
        if (operand.Variable is { Space: not StateSpace.Param } variable && named is { } expected
            && variable.Space != expected)
        {
            return $"'{variable.Name}' is a .{Lower(variable.Space)} variable; the instruction accesses " +
                   $".{Lower(expected)} memory";
        }
        return operand.Variable is { Space: StateSpace.Param } && named is not StateSpace.Param
            ? $"'{operand.Name}' is a parameter; it is read with ld.param" : null;
    }

    static string Lower(StateSpace space) => space.ToString().ToLowerInvariant();

    /// <summary>Matrix fragments: registers of 32 bits (64 for f64), in braces or alone.</summary>
    string? RegistersProblem(PtxOperand operand)
    {
        PtxOperand[] elements = operand.Kind == OperandKind.Vector ? operand.Elements : [operand];
        foreach (PtxOperand element in elements)
        {
            if (element.Kind != OperandKind.Register)
            {
                return "registers in braces expected";
            }
            int size = first == PtxType.F64 ? 8 : 4;
            if (element.Register!.Type == PtxType.Pred || element.Register.Type.Size() != size)
            {
                return $"register '{element.Register.Name}' is {Name(element.Register.Type)}; a fragment's registers " +
                       $"have {size * 8} bits";
            }
        }
        return null;
    }

    /// <summary>The register side of ld and st: one register, or as many in braces as .v2 or .v4 says.</summary>
    string? VectorProblem(PtxOperand operand, PtxType type, bool isDestination)
    {
        if (width == 1)
        {
            return operand.Kind == OperandKind.Vector ? "a vector in braces needs .v2 or .v4"
                : isDestination ? DestinationProblem(operand, type, true) : SourceProblem(operand, type, true);
        }
        if (operand.Kind != OperandKind.Vector || operand.Elements.Length != width)
        {
            string found = operand.Kind == OperandKind.Vector ? $", not {operand.Elements.Length}" : "";
            return $".v{width} needs a vector of {width} elements in braces{found}";
        }
        int size = 0;
        foreach (PtxOperand element in operand.Elements)
        {
            string? problem = !isDestination ? SourceProblem(element, type, true)
                : element.Kind == OperandKind.Sink ? null : DestinationProblem(element, type, true);
            if (problem is null && element.Register is { } register)
            {
                size = size == 0 ? register.Type.Size() : size;
                problem = register.Type.Size() == size ? null : "the registers of a vector must be of one size";
            }
            if (problem is not null)
            {
                return problem;
            }
        }
        return null;
    }

    string? MoveProblem(PtxOperand operand, PtxType type, bool isDestination)
    {
        if ((type.Size() == 1 && type != PtxType.Pred) || type is PtxType.F16 or PtxType.F16x2 or PtxType.BF16
            or PtxType.BF16x2)
        {
            return $"mov has no type {Name(type)}; use {(type.Size() == 4 ? ".b32" : ".b16")}";
        }
        if (operand.Kind == OperandKind.Vector)
        {
            return width == 1 ? PackProblem(operand, type, isDestination) : VectorProblem(operand, type, isDestination);
        }
        if (isDestination)
        {
            return DestinationProblem(operand, type, false);
        }
        switch (operand.Kind)
        {
            case OperandKind.SpecialRegister:
                return SpecialProblem(operand.Name!, type);
            case OperandKind.Symbol:
                return type.Size() >= 4 && !IsFloat(type) ? null : $"an address needs 32 or 64 bits, not {Name(type)}";
            default:
                return SourceProblem(operand, type, false);
        }
    }

    static string? SpecialProblem(string name, PtxType type)
    {
        bool is64 = name is "%clock64" or "%globaltimer" || name.EndsWith("_64", StringComparison.Ordinal);
        bool fits = name == "%gridid" ? type.Size() >= 4 : type.Size() == (is64 ? 8 : 4);
        return fits && !IsFloat(type) ? null : $"'{name}' is a {(is64 ? 64 : 32)}-bit integer, not {Name(type)}";
    }

    /// <summary>mov.b32 {a,b}, r and mov.b64 r, {a,b,c,d}: the elements' sizes add up to the type's.</summary>
    static string? PackProblem(PtxOperand operand, PtxType type, bool isDestination)
    {
        int count = operand.Elements.Length;
        // halves or quarters; of bytes only mov.b16 has two
        if (!IsBits(type) || count is not (2 or 4) || type.Size() < count * (type == PtxType.B16 ? 1 : 2))
        {
            return $"{Name(type)} cannot be packed from or unpacked to {count} elements";
        }
        int size = type.Size() / count;
        foreach (PtxOperand element in operand.Elements)
        {
            bool ok = element.Kind switch
            {
                OperandKind.Register => element.Register!.Type != PtxType.Pred && element.Register.Type.Size() == size,
                OperandKind.Sink => isDestination,
                OperandKind.Immediate => !isDestination && (!element.IsFloat || (size == 4 && element.IsSingle)),
                _ => false,
            };
            if (!ok)
            {
                string what = isDestination ? "a register" : "a register or constant";
                return $"each of the {count} elements of {Name(type)} must be {what} of {size * 8} bits";
            }
        }
        return null;
    }
}
