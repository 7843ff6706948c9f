// Declarations of variables and registers (PTX ISA 7.8, sections 5.1, 5.2, 5.4): type, alignment, vectors,
// arrays, ranges.
namespace EpSam.VirtualGpu.Ptx;

internal sealed partial class ModuleParser
{
    /// <summary>What stands before the name: alignment, vector width, type and, for parameters, the .ptr
    /// hint.</summary>
    struct TypePart
    {
        public PtxType? Type;
        public int VectorWidth;   // 1, 2, 4
        public int Align;         // 0: not given
    }

    static PtxType? FundamentalType(ReadOnlySpan<char> word) => word switch
    {
        ".pred" => PtxType.Pred,
        ".b8" => PtxType.B8, ".b16" => PtxType.B16, ".b32" => PtxType.B32, ".b64" => PtxType.B64,
        ".u8" => PtxType.U8, ".u16" => PtxType.U16, ".u32" => PtxType.U32, ".u64" => PtxType.U64,
        ".s8" => PtxType.S8, ".s16" => PtxType.S16, ".s32" => PtxType.S32, ".s64" => PtxType.S64,
        ".f16" => PtxType.F16, ".f16x2" => PtxType.F16x2, ".f32" => PtxType.F32, ".f64" => PtxType.F64,
        _ => null,
    };

    const string TypeNames = ".pred .b8 .b16 .b32 .b64 .u8 .u16 .u32 .u64 .s8 .s16 .s32 .s64 .f16 .f16x2 .f32 .f64";

    TypePart ParseType()
    {
        TypePart part = new() { VectorWidth = 1 };
        while (token.Kind == TokenKind.Word)
        {
            if (FundamentalType(Text) is { } type)
            {
                if (part.Type is not null)
                {
                    throw Error($"a second type, '{Text}'", token.Position);
                }
                part.Type = type;
                Advance();
                continue;
            }
            switch (Text)
            {
                case ".align": part.Align = Alignment(); break;
                case ".v2": part.VectorWidth = 2; Advance(); break;
                case ".v4": part.VectorWidth = 4; Advance(); break;
                case ".attribute": Attribute(); break;
                case ".ptr": PointerHint(); break;
                default: throw BadType();
            }
        }
        return part.Type is null ? throw Expected("a type such as .b32") : part;
    }

    PtxException BadType() => Text switch
    {
        ".bf16" or ".bf16x2" or ".tf32" => Error($"'{Text}' is no type of variables; declare it " +
            (IsWord(".bf16") ? ".b16" : ".b32"), token.Position),
        ".texref" or ".surfref" or ".samplerref" =>
            Error("textures and surfaces are not supported by the virtual GPU", token.Position),
        ".v8" or ".v16" or ".v3" => Error($"vectors have 2 or 4 elements, not '{Text}'", token.Position),
        _ => Error($"unknown type '{Excerpt(Text)}'{Spelling.Nearest(Text, TypeNames.Split(' '))}", token.Position),
    };

    int Alignment()
    {
        Advance();
        Token at = token;
        long align = ExpectInteger("the alignment", 1, PtxLimits.Alignment);
        if ((align & (align - 1)) != 0)
        {
            Fail($"the alignment must be a power of two, not {align}", at.Position);
        }
        return (int)align;
    }

    void Attribute()   // .attribute(.managed), .attribute(.unified(a, b)): where memory lives, all the same here
    {
        Advance();
        Expect('(', "after '.attribute'");
        do
        {
            if (!IsWord(".managed") && !IsWord(".unified"))
            {
                throw Expected("'.managed' or '.unified'");
            }
            Advance();
            if (Accept('('))
            {
                ExpectInteger("the first half of the identifier", 0, long.MaxValue);
                Expect(',', "between the halves of the identifier");
                ExpectInteger("the second half of the identifier", 0, long.MaxValue);
                Expect(')', "after the identifier");
            }
        }
        while (Accept(','));
        Expect(')', "after the attribute");
    }

    void PointerHint()   // .ptr {.space} {.align n}: what a pointer parameter points to; a hint
    {
        Advance();
        if (Text is ".const" or ".global" or ".local" or ".shared")
        {
            Advance();
        }
        if (IsWord(".align"))
        {
            Alignment();
        }
    }

    /// <summary>A variable of module scope; the current token is its state space.</summary>
    void ModuleVariable(StateSpace space, Linkage linkage)
    {
        Advance();
        if (token.Is('['))
        {
            throw Error("constant banks (.const[n]) are not supported; use plain .const", token.Position);
        }
        Variables(space, linkage, module.Variables);
    }

    void Variables(StateSpace space, Linkage linkage, List<PtxVariable> into)
    {
        TypePart type = ParseType();
        if (type.Type == PtxType.Pred)
        {
            throw Expected("a type that lies in memory (predicates are registers); the name");
        }
        do
        {
            Token name = token;
            string text = ExpectName("the variable's name");
            if (Accept('<'))
            {
                NumberedVariables(space, linkage, type, text, name.Position, into);
                continue;
            }
            PtxVariable variable = Variable(space, linkage == Linkage.Extern, type, text, name.Position);
            Declare(text, variable, name.Position);
            into.Add(variable);
        }
        while (Accept(','));
        Expect(';', "after the declaration");
    }

    void NumberedVariables(StateSpace space, Linkage linkage, TypePart type, string prefix, SourcePosition position,
        List<PtxVariable> into)
    {
        int count = RangeCount("the number of variables", PtxLimits.NumberedVariables);
        numberedVariables += count;
        if (numberedVariables > PtxLimits.NumberedVariables)
        {
            Fail($"more than {PtxLimits.NumberedVariables} numbered variables in one module", position);
        }
        for (int i = 0; i < count; i++)
        {
            PtxVariable variable = NewVariable(space, type, prefix + i, position, count: type.VectorWidth,
                isArray: false, linkage == Linkage.Extern, null, []);
            Declare(variable.Name, variable, position);
            into.Add(variable);
        }
    }

    /// <summary>The part after the name: dimensions and initialiser.</summary>
    PtxVariable Variable(StateSpace space, bool isExternal, TypePart type, string name, SourcePosition position)
    {
        List<long> dimensions = [];
        bool unsized = false;
        while (Accept('['))
        {
            if (Accept(']'))
            {
                if (dimensions.Count != 0 || unsized)
                {
                    Fail("only the first dimension may be left empty", position);
                }
                unsized = true;
                dimensions.Add(0);
                continue;
            }
            dimensions.Add(ExpectInteger("the array's size", 0, PtxLimits.VariableBytes));
            Expect(']', "after the array's size");
        }
        bool isArray = dimensions.Count != 0;
        if (type.VectorWidth > 1)
        {
            dimensions.Add(type.VectorWidth);
        }
        long row = Product(unsized ? dimensions.Skip(1) : dimensions, type.Type!.Value, position);
        if (!Accept('='))
        {
            if ((unsized || row == 0) && !isExternal && space != StateSpace.Param)
            {
                Fail($"the array '{Excerpt(name)}' has no size and no initialiser", position);
            }
            return NewVariable(space, type, name, position, unsized ? 0 : row, isArray, isExternal, null, []);
        }
        if (space is not (StateSpace.Global or StateSpace.Const) || isExternal)
        {
            throw Error(isExternal ? "an external variable cannot have an initialiser"
                : "only .global and .const variables can have an initialiser", position);
        }
        if (dimensions.Skip(unsized ? 1 : 0).Contains(0))
        {
            throw Error("an array without elements cannot have an initialiser", position);
        }
        byte[] bytes = Initialise(type.Type.Value, dimensions, unsized, name, position,
            out List<PtxRelocation> relocations);
        return NewVariable(space, type, name, position, bytes.Length / type.Type.Value.Size(), isArray, isExternal,
            bytes, relocations);
    }

    long Product(IEnumerable<long> dimensions, PtxType type, SourcePosition position)
    {
        Int128 product = 1;
        foreach (long dimension in dimensions)
        {
            product *= dimension;
            if (product * type.Size() > PtxLimits.VariableBytes)
            {
                Fail($"a variable of more than {PtxLimits.VariableBytes >> 30} GiB", position);
            }
        }
        return (long)product;
    }

    PtxVariable NewVariable(StateSpace space, TypePart type, string name, SourcePosition position, long count,
        bool isArray, bool isExternal, byte[]? initial, List<PtxRelocation> relocations)
    {
        PtxType element = type.Type!.Value;
        int natural = element.Size() * type.VectorWidth;
        PtxVariable variable = new()
        {
            Name = name, Space = space, Type = element, Position = position, Count = count, IsArray = isArray,
            IsExternal = isExternal, Initial = initial,
            Align = Math.Max(type.Align, type.Align == 0 ? natural : element.Size()),
        };
        variable.Relocations.AddRange(relocations);
        if (space == StateSpace.Const)
        {
            constantBytes = (int)Math.Min(constantBytes + variable.Size, int.MaxValue / 2);
            if (constantBytes > PtxLimits.ConstantBytes)
            {
                Fail($"the .const variables of the module need more than {PtxLimits.ConstantBytes >> 10} KiB",
                    position);
            }
        }
        return variable;
    }

    /// <summary>.reg type names; with %r&lt;n&gt;, vectors and lists. The current token is ".reg".</summary>
    void Registers()
    {
        Advance();
        TypePart part = ParseType();
        do
        {
            Token at = token;
            string name = ExpectName("the register's name");
            if (Accept('<'))
            {
                int count = RangeCount("the number of registers", PtxLimits.RegistersPerFunction);
                DeclareRange(new(name, count, part.Type!.Value, part.VectorWidth, at.Position));
            }
            else
            {
                CountRegisters(part.VectorWidth, at.Position);
                Declare(name, NewRegister(name, part.Type!.Value, part.VectorWidth), at.Position);
            }
            if (token.Is('='))
            {
                throw Error("registers cannot have an initialiser; use mov", token.Position);
            }
            if (token.Is('['))
            {
                throw Error("registers cannot be arrays; write %name<count> for many", token.Position);
            }
        }
        while (Accept(','));
        Expect(';', "after the declaration");
    }

    /// <summary>The n of name&lt;n&gt;: a plain number, as '&gt;' would be an operator in an expression.</summary>
    int RangeCount(string what, int most)
    {
        Token at = token;
        if (token.Kind != TokenKind.Integer)
        {
            throw Expected(what);
        }
        if (token.Bits > (ulong)most)
        {
            Fail($"{what} is {token.Bits}; at most {most} are allowed", at.Position);
        }
        Advance();
        Expect('>', $"after {what}");
        return (int)at.Bits;
    }

    int registersDeclared;

    void CountRegisters(long more, SourcePosition position)
    {
        if (registersDeclared + more > PtxLimits.RegistersPerFunction)
        {
            Fail($"more than {PtxLimits.RegistersPerFunction} registers in one function", position);
        }
        registersDeclared += (int)more;
    }

    void DeclareRange(RegisterRange range)
    {
        CountRegisters((long)range.Count * range.VectorWidth, range.Position);
        scope.Ranges ??= [];
        if (!scope.Ranges.TryAdd(range.Prefix, range))
        {
            Fail($"'{Excerpt(range.Prefix)}<…>' is declared twice in this scope, first in line " +
                 $"{scope.Ranges[range.Prefix].Position.Line}", range.Position);
        }
    }

    /// <summary>A PtxRegister, or a VectorRegister of components.</summary>
    object NewRegister(string name, PtxType type, int width)
    {
        if (width == 1)
        {
            PtxRegister register = new(name, type, function!.Registers.Count);
            function.Registers.Add(register);
            return register;
        }
        PtxRegister[] components = new PtxRegister[width];
        for (int i = 0; i < width; i++)
        {
            components[i] = (PtxRegister)NewRegister($"{name}.{"xyzw"[i]}", type, 1);
        }
        return new VectorRegister(name, components);
    }

    /// <summary>Adds a name to the current scope; twice is an error, but for an external variable and its
    /// definition.</summary>
    void Declare(string name, object thing, SourcePosition position)
    {
        scope.Names ??= [];
        if (scope.Labels is not null && scope.Labels.ContainsKey(name))
        {
            Fail($"'{Excerpt(name)}' is already a label in this scope", position);
        }
        if (char.IsAsciiDigit(name[^1]) && scope != globals)
        {
            (scope.Numbered ??= []).Add((name, position));
        }
        if (scope.Names.TryAdd(name, thing))
        {
            return;
        }
        if (thing is PtxVariable definition && scope.Names[name] is PtxVariable earlier
            && (earlier.IsExternal || definition.IsExternal)
            && earlier.Space == definition.Space && earlier.Type == definition.Type)
        {
            Redeclare(name, earlier, definition);
            return;
        }
        string first = scope.Names[name] is PtxVariable variable ? $", first in line {variable.Position.Line}"
            : scope.Names[name] is PtxFunction known ? $", first in line {known.Position.Line}" : "";
        Fail($"'{Excerpt(name)}' is declared twice in this scope{first}", position);
    }

    /// <summary>At the end of a scope: no name, and no range, may lie within a range. Here, for time linear in the
    /// text.</summary>
    void CheckRanges(Scope closed)
    {
        if (closed.Ranges is null)
        {
            return;
        }
        foreach ((string name, SourcePosition position) in closed.Numbered ?? [])
        {
            if (closed.FindRange(name) is { } range)
            {
                FailOverlap(name, position, range);
            }
        }
        foreach (RegisterRange range in closed.Ranges.Values)
        {
            if (char.IsAsciiDigit(range.Prefix[^1]) && range.Count > 0
                && closed.FindRange(range.Prefix + "0", range) is { } other)
            {
                FailOverlap(range.Prefix + "0", range.Position, other);
            }
        }
    }

    void FailOverlap(string name, SourcePosition position, RegisterRange range)
    {
        bool rangeFirst = range.Position.Line < position.Line
            || (range.Position.Line == position.Line && range.Position.Column < position.Column);
        int first = (rangeFirst ? range.Position : position).Line;
        Fail($"'{Excerpt(name)}' is declared twice: it is one of '{Excerpt(range.Prefix)}<{range.Count}>' too, see " +
             $"line {first}", rangeFirst ? position : range.Position);
    }

    /// <summary>Of an external declaration and a definition the definition stays, whichever comes first.</summary>
    void Redeclare(string name, PtxVariable earlier, PtxVariable definition)
    {
        if (!definition.IsExternal)
        {
            scope.Names![name] = definition;
        }
        hidden.Add(definition.IsExternal ? definition : earlier);
    }

    readonly HashSet<PtxVariable> hidden = [];   // external declarations that have a definition too
}
