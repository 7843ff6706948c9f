// Instructions and their operands (PTX ISA 7.8, sections 4.3.2, 6.1 to 6.4): guard, opcode with dotted modifiers, and
// operands as registers, vectors, addresses, symbols, constants, labels, pairs d|p, and the lists of calls.
namespace EpSam.VirtualGpu.Ptx;

internal sealed partial class ModuleParser
{
    string instruction = "";                   // the opcode of the operands being read
    readonly List<string> modifiers = [];
    readonly List<PtxOperand> operands = [];
    readonly List<PtxOperand> elements = [];   // of the vector or list being read; these do not nest

    void GuardedInstruction()   // @p or @!p, then an instruction
    {
        Token at = token;
        Advance();
        bool negated = Accept('!');
        Token name = token;
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected("a predicate register after '@'");
        }
        PtxRegister guard = RegisterOnly("a predicate register");
        if (guard.Type != PtxType.Pred)
        {
            Fail($"the guard must be a predicate; '{Excerpt(guard.Name)}' is .{TypeName(guard.Type)}", name.Position);
        }
        Token opcode = token;
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected("an instruction after the guard");
        }
        CheckNameLength();
        Advance();
        Instruction(opcode, guard, negated, at.Position);
    }

    void Instruction(in Token first, PtxRegister? guard, bool negated, SourcePosition position)
    {
        string opcode = Intern(text.AsSpan(first.Start, first.Length));
        if (Instructions.CheckOpcode(opcode) is { } unknown)
        {
            Fail(unknown, first.Position);
        }
        modifiers.Clear();
        while (token.Kind == TokenKind.Word)
        {
            if (modifiers.Count == PtxLimits.Modifiers)
            {
                throw Error($"more than {PtxLimits.Modifiers} modifiers", token.Position);
            }
            CheckNameLength();
            modifiers.Add(Intern(Text[1..]));
            Advance();
        }
        operands.Clear();
        instruction = opcode;
        if (opcode == "call")
        {
            Call();
        }
        else if (!token.Is(';'))
        {
            Operands(opcode);
        }
        if (!Accept(';'))
        {
            throw Expected(operands.Count == 0 ? $"';' or an operand after '{Excerpt(opcode)}'"
                : "',' or ';' after the operand");
        }
        PtxStatement statement = new()
        {
            Position = position, Guard = guard, GuardNegated = negated, Opcode = opcode,
            Modifiers = modifiers.Count == 0 ? [] : [.. modifiers], Operands = operands.Count == 0 ? [] : [.. operands],
        };
        if (Instructions.Check(statement) is { } problem)
        {
            Fail(problem.Message, problem.Position);
        }
        function!.Body.Add(statement);
    }

    void Operands(string opcode)
    {
        do
        {
            if (operands.Count == PtxLimits.Operands)
            {
                throw Error($"more than {PtxLimits.Operands} operands", token.Position);
            }
            operands.Add(opcode == "bra" ? LabelOperand(LabelUse.Jump)
                : opcode == "brx" && operands.Count == 1 ? LabelOperand(LabelUse.BranchTable) : Operand());
        }
        while (Accept(','));
    }

    PtxOperand LabelOperand(LabelUse use)
    {
        Token at = token;
        string name = ExpectName("a label");
        PtxOperand operand = new() { Kind = OperandKind.Label, Name = name, Position = at.Position };
        (scope.Pending ??= []).Add(new(operand, name, use));
        return operand;
    }

    /// <summary>{(results),} function {, (arguments)} {, prototype or targets}.</summary>
    void Call()
    {
        if (token.Is('('))
        {
            operands.Add(CallList());
            Expect(',', "after the results");
        }
        Token at = token;
        PtxOperand callee = Operand();
        if (callee.Kind is not (OperandKind.Register or OperandKind.Symbol) || callee.Variable is not null)
        {
            Fail("a function, or a register that holds its address, expected", at.Position);
        }
        operands.Add(callee);
        if (!Accept(','))
        {
            return;
        }
        if (token.Is('('))
        {
            operands.Add(CallList());
            if (!Accept(','))
            {
                return;
            }
        }
        operands.Add(LabelOperand(LabelUse.Callee));
    }

    PtxOperand CallList()
    {
        Token at = token;
        Advance();
        elements.Clear();
        while (!token.Is(')'))
        {
            if (elements.Count == PtxLimits.CallArguments)
            {
                throw Error($"more than {PtxLimits.CallArguments} arguments", token.Position);
            }
            elements.Add(token.Kind == TokenKind.Identifier ? Named(allowPair: false)
                : StartsConstant ? Immediate() : throw Expected("an argument"));
            if (!Accept(',') && !token.Is(')'))
            {
                throw Expected("',' or ')' after the argument");
            }
        }
        Advance();
        return new() { Kind = OperandKind.CallList, Position = at.Position, Elements = [.. elements] };
    }

    PtxOperand Operand()
    {
        if (token.Kind == TokenKind.Identifier && !Text.SequenceEqual("WARP_SZ"))
        {
            return Named(allowPair: true);
        }
        if (token.Is('['))
        {
            return Address();
        }
        if (token.Is('{'))
        {
            return Vector();
        }
        if (token.Is('!'))
        {
            return Negated();
        }
        return StartsConstant ? Immediate() : throw Expected("an operand");
    }

    PtxOperand Immediate()
    {
        Token at = token;
        Constant value = ConstantExpression("a constant");
        return Immediate(value, at.Position);
    }

    static PtxOperand Immediate(Constant value, SourcePosition position) => new()
    {
        Kind = OperandKind.Immediate, Position = position, Bits = value.Bits, IsFloat = value.IsFloat,
        IsSingle = value.IsSingle,
    };

    PtxOperand Negated()   // !p, or a constant such as !0
    {
        Token at = token;
        Advance();
        if (token.Kind == TokenKind.Identifier && !Text.SequenceEqual("WARP_SZ"))
        {
            PtxRegister register = RegisterOnly("a predicate register");
            return register.Type == PtxType.Pred
                ? new() { Kind = OperandKind.NegatedPredicate, Position = at.Position, Register = register }
                : throw Error($"'!' needs a predicate; '{Excerpt(register.Name)}' is .{TypeName(register.Type)}",
                    at.Position);
        }
        Constant first = ApplyUnary(at, Unary("a predicate register or a constant"));
        return Immediate(BinaryAfter(first, 1, "a constant"), at.Position);
    }

    PtxOperand Vector()
    {
        Token at = token;
        Advance();
        elements.Clear();
        do
        {
            if (elements.Count == PtxLimits.VectorElements)
            {
                throw Error($"a vector of more than {PtxLimits.VectorElements} elements", token.Position);
            }
            elements.Add(token.Kind == TokenKind.Identifier && !Text.SequenceEqual("WARP_SZ") ? Named(allowPair: false)
                : StartsConstant ? Immediate() : throw Expected("an element of the vector"));
        }
        while (Accept(','));
        Expect('}', "after the vector's elements");
        return new() { Kind = OperandKind.Vector, Position = at.Position, Elements = [.. elements] };
    }

    /// <summary>[register + n], [symbol + n] or [n]: PTX ISA 7.8, 6.4.1.</summary>
    PtxOperand Address()
    {
        Token at = token;
        Advance();
        PtxRegister? register = null;
        PtxVariable? variable = null;
        string? name = null;
        long offset = 0;
        if (token.Kind == TokenKind.Identifier && !Text.SequenceEqual("WARP_SZ"))
        {
            Token first = token;
            PtxOperand start = Named(allowPair: false);
            register = start.Register;
            variable = start.Variable;
            name = start.Name;
            if (start.Kind == OperandKind.Register)
            {
                offset = OptionalOffset();
            }
            else if (start.Kind == OperandKind.Symbol)
            {
                offset = CheckOffset(start.Offset, first.Position);
            }
            else
            {
                Fail("an address is a register, a variable or a number", first.Position);
            }
        }
        else
        {
            offset = (long)ExpectUnsigned("an address");
        }
        Expect(']', "after the address");
        return new()
        {
            Kind = OperandKind.Address, Position = at.Position, Register = register, Variable = variable, Name = name,
            Offset = offset,
        };
    }

    ulong ExpectUnsigned(string what)
    {
        Token at = token;
        Constant value = StartsConstant ? ConstantExpression(what) : throw Expected(what);
        return value.IsFloat ? throw Error($"{what} must be an integer", at.Position) : value.Bits;
    }

    long OptionalOffset()
    {
        if (!token.Is('+') && !token.Is('-'))
        {
            return 0;
        }
        Token at = token;
        return CheckOffset((long)ExpectUnsigned("an offset"), at.Position);
    }

    /// <summary>Offsets within addresses are 32-bit signed numbers.</summary>
    long CheckOffset(long offset, SourcePosition position)
    {
        if (offset is < int.MinValue or > int.MaxValue)
        {
            Fail($"the offset {offset} does not fit in 32 bits", position);
        }
        return offset;
    }

    /// <summary>An operand that starts with a name: register (or pair), special register, symbol (+ n), sink.</summary>
    PtxOperand Named(bool allowPair)
    {
        Token at = token;
        PtxOperand operand;
        if (Text.SequenceEqual("_"))
        {
            Advance();
            operand = new() { Kind = OperandKind.Sink, Position = at.Position };
        }
        else
        {
            operand = Lookup(Text) switch
            {
                PtxRegister register => RegisterOperand(register, at.Position),
                VectorRegister vector => Components(vector, at.Position),
                PtxVariable variable => SymbolOperand(variable.Name, variable, at.Position),
                PtxFunction called => SymbolOperand(called.Name, null, at.Position),
                _ => Special(at),
            };
        }
        if (!allowPair || !token.Is('|') || operand.Kind is not (OperandKind.Register or OperandKind.Sink))
        {
            return operand;
        }
        Advance();
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected("a predicate register after '|'");
        }
        PtxOperand second = Named(allowPair: false);
        return second.Kind is OperandKind.Register or OperandKind.Sink
            ? new() { Kind = OperandKind.Pair, Position = at.Position, Elements = [operand, second] }
            : throw Error("a predicate register expected after '|'", second.Position);
    }

    PtxOperand RegisterOperand(PtxRegister register, SourcePosition position)
    {
        Advance();
        return token.Kind == TokenKind.Word
            ? throw Error($"'{Excerpt(register.Name)}' is not a vector; it has no component '{Excerpt(Text)}'",
                token.Position)
            : new() { Kind = OperandKind.Register, Position = position, Register = register };
    }

    /// <summary>%v.x is one register; %v alone is the vector of all.</summary>
    PtxOperand Components(VectorRegister vector, SourcePosition position)
    {
        Advance();
        if (token.Kind != TokenKind.Word)
        {
            return new()
            {
                Kind = OperandKind.Vector, Position = position,
                Elements = Array.ConvertAll(vector.Components,
                    c => new PtxOperand { Kind = OperandKind.Register, Position = position, Register = c }),
            };
        }
        int index = Text is [_, char component] ? Math.Max("xyzw".IndexOf(component), "rgba".IndexOf(component)) : -1;
        if (index < 0 || index >= vector.Components.Length)
        {
            throw Error($"'{Excerpt(vector.Name)}' has {vector.Components.Length} components, .x to " +
                        $".{"xyzw"[vector.Components.Length - 1]}, not '{Excerpt(Text)}'", token.Position);
        }
        Advance();
        return new() { Kind = OperandKind.Register, Position = position, Register = vector.Components[index] };
    }

    PtxOperand SymbolOperand(string name, PtxVariable? variable, SourcePosition position)
    {
        Advance();
        if (token.Is('[') && variable is not null)
        {
            return ElementOperand(name, variable, position);
        }
        long offset = 0;
        if (token.Is('+') || token.Is('-'))
        {
            offset = (long)ExpectUnsigned("an offset");
        }
        return new()
        {
            Kind = OperandKind.Symbol, Position = position, Name = name, Variable = variable, Offset = offset,
        };
    }

    /// <summary>array[n], n counting elements: an address in ld and st, a symbol in mov. PTX ISA 7.8, 6.4.2.</summary>
    PtxOperand ElementOperand(string name, PtxVariable variable, SourcePosition position)
    {
        Advance();
        Token at = token;
        long index = ExpectInteger("the index of the element", int.MinValue, int.MaxValue);
        Expect(']', "after the index");
        return new()
        {
            Kind = instruction is "mov" or "cvta" ? OperandKind.Symbol : OperandKind.Address, Position = position,
            Name = name, Variable = variable, Offset = CheckOffset(index * variable.Type.Size(), at.Position),
        };
    }

    PtxOperand Special(Token at)
    {
        ReadOnlySpan<char> name = Text;
        if (name[0] != '%')
        {
            throw Undeclared("variable or function", name.ToString(), at.Position);
        }
        bool isVector = SpecialRegisters.IsVector(name);
        Advance();
        if (isVector)
        {
            if (token.Kind != TokenKind.Word)
            {
                throw Error($"'{name}' has components: write {name}.x, {name}.y or {name}.z", at.Position);
            }
            name = text.AsSpan(at.Start, token.Start + token.Length - at.Start);
        }
        if (!SpecialRegisters.TryGet(name, out string found))
        {
            throw isVector ? Error($"'{Excerpt(name)}' is no special register", at.Position)
                : Undeclared("register", name.ToString(), at.Position);
        }
        if (isVector)
        {
            Advance();
        }
        return new() { Kind = OperandKind.SpecialRegister, Position = at.Position, Name = found };
    }

    PtxRegister RegisterOnly(string what)
    {
        Token at = token;
        PtxOperand operand = Named(allowPair: false);
        return operand.Kind == OperandKind.Register ? operand.Register!
            : throw Error($"{what} expected, found '{Excerpt(text.AsSpan(at.Start, at.Length))}'", at.Position);
    }

    /// <summary>The innermost thing of this name; a register of a range is made here, when it is first used.</summary>
    object? Lookup(ReadOnlySpan<char> name)
    {
        for (Scope? at = scope; at is not null; at = at.Parent)
        {
            if (at.FindHere(name) is { } found)
            {
                return found;
            }
            if (at.FindRange(name) is { } range)
            {
                string text = name.ToString();
                object register = NewRegister(text, range.Type, range.VectorWidth);
                (at.Names ??= []).Add(text, register);
                return register;
            }
        }
        return null;
    }

    PtxException Undeclared(string what, string name, SourcePosition position)
    {
        IEnumerable<string> known = name[0] == '%' ? SpecialRegisters.All : [];
        for (Scope? at = scope; at is not null; at = at.Parent)
        {
            if (name[0] == '%' && at.Ranges is not null)
            {
                foreach (RegisterRange range in at.Ranges.Values)
                {
                    ReadOnlySpan<char> rest = name.AsSpan(Math.Min(range.Prefix.Length, name.Length));
                    if (name.StartsWith(range.Prefix, StringComparison.Ordinal) && rest.Length > 0
                        && rest.IndexOfAnyExceptInRange('0', '9') < 0)
                    {
                        string prefix = Excerpt(range.Prefix);
                        return Error($"undeclared register '{Excerpt(name)}'; '{prefix}<{range.Count}>' declares " +
                                     $"{prefix}0 to {prefix}{range.Count - 1}", position);
                    }
                }
            }
            known = at.Names is null ? known : known.Concat(at.Names.Keys);
        }
        return Error($"undeclared {what} '{Excerpt(name)}'{Spelling.Nearest(name, known)}", position);
    }
}
