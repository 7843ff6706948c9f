// Kernels and functions (PTX ISA 7.8, sections 5.1.6, 7.1, 11.3, 11.4): headers, parameters, performance directives,
// and bodies with their nested scopes. Bodies are read by a loop, not by recursion.
namespace EpSam.VirtualGpu.Ptx;

internal sealed partial class ModuleParser
{
    const string BodyDirectives =
        ".reg .local .shared .param .global .const .pragma .loc .branchtargets .calltargets .callprototype";

    const string PerformanceNames = ".maxntid .reqntid .minnctapersm .maxnctapersm .maxnreg .noreturn .pragma";

    readonly Dictionary<string, PtxFunction> defined = [];   // functions with bodies
    readonly HashSet<string> labels = [];                    // of the current function, made unique
    int renamedLabels;

    /// <summary>.entry or .func; the current token is that word.</summary>
    void Function(Linkage linkage, bool isEntry)
    {
        Advance();
        function = new() { Name = "", Position = token.Position };   // registers of .reg parameters go to the real one
        registersDeclared = 0;
        scope = new Scope(globals, token.Position);
        List<PtxVariable> returns = [];
        if (!isEntry && token.Is('('))
        {
            Parameters(returns, isEntry);
        }
        Token at = token;
        string name = ExpectName(isEntry ? "the kernel's name" : "the function's name");
        List<PtxVariable> parameters = [];
        if (token.Is('('))
        {
            Parameters(parameters, isEntry);
        }
        PtxFunction header = new() { Name = name, Position = at.Position, IsEntry = isEntry };
        header.Registers.AddRange(function.Registers);
        header.Returns.AddRange(returns);
        header.Parameters.AddRange(parameters);
        function = header;
        CheckParameters(header, at);
        PerformanceDirectives(header);
        DeclareFunction(header);
        if (token.Is('{') && linkage != Linkage.Extern)
        {
            header.HasBody = true;
            if (!defined.TryAdd(name, header))
            {
                Fail($"'{Excerpt(name)}' is defined twice, first in line {defined[name].Position.Line}", at.Position);
            }
            Body();
        }
        else if (!Accept(';'))
        {
            throw Expected(linkage == Linkage.Extern ? "';' after an external declaration"
                : "'{' or ';' after the header");
        }
        module.Functions.Add(header);
        scope = globals;
        function = null;
    }

    /// <summary>A name may be declared often and defined once, always with the same parameters.</summary>
    void DeclareFunction(PtxFunction header)
    {
        globals.Names ??= [];
        if (globals.Names.TryAdd(header.Name, header))
        {
            return;
        }
        if (globals.Names[header.Name] is not PtxFunction earlier)
        {
            Fail($"'{Excerpt(header.Name)}' is already the name of a variable", header.Position);
            return;
        }
        if (earlier.IsEntry != header.IsEntry || !SameSignature(earlier.Parameters, header.Parameters)
            || !SameSignature(earlier.Returns, header.Returns))
        {
            Fail($"'{Excerpt(header.Name)}' differs from its declaration in line {earlier.Position.Line}",
                header.Position);
        }
    }

    static bool SameSignature(List<PtxVariable> a, List<PtxVariable> b)
    {
        bool same = a.Count == b.Count;
        for (int i = 0; same && i < a.Count; i++)
        {
            same = a[i].Space == b[i].Space && a[i].Size == b[i].Size;
        }
        return same;
    }

    void CheckParameters(PtxFunction header, Token at)
    {
        if (!header.IsEntry)
        {
            return;
        }
        long offset = 0;
        foreach (PtxVariable parameter in header.Parameters)
        {
            offset = ((offset + parameter.Align - 1) & -parameter.Align) + parameter.Size;
            if (offset > PtxLimits.ParameterBytes)
            {
                Fail($"the parameters of '{Excerpt(header.Name)}' need more than {PtxLimits.ParameterBytes} bytes",
                    at.Position);
            }
        }
    }

    /// <summary>( .param .type name, … ) or .reg parameters of functions.</summary>
    void Parameters(List<PtxVariable> into, bool isEntry)
    {
        Advance();
        if (Accept(')'))
        {
            return;
        }
        do
        {
            into.Add(Parameter(isEntry));
            if (into.Count > PtxLimits.CallArguments)
            {
                throw Error($"more than {PtxLimits.CallArguments} parameters", token.Position);
            }
        }
        while (Accept(','));
        Expect(')', "after the parameters");
    }

    PtxVariable Parameter(bool isEntry)
    {
        bool isRegister = !isEntry && IsWord(".reg");
        if (!isRegister && !IsWord(".param"))
        {
            throw Expected(isEntry ? "'.param'" : "'.param' or '.reg'");
        }
        Advance();
        TypePart type = ParseType();
        Token at = token;
        string name = ExpectName("the parameter's name");
        if (!isRegister)
        {
            if (type.Type == PtxType.Pred)
            {
                Fail("a parameter cannot be a predicate", at.Position);
            }
            PtxVariable variable = Variable(StateSpace.Param, isExternal: false, type, name, at.Position);
            DeclareUnlessAnonymous(name, variable, at);
            return variable;
        }
        if (type.VectorWidth != 1)
        {
            Fail("a register parameter cannot be a vector", at.Position);
        }
        CountRegisters(1, at.Position);
        PtxRegister register = (PtxRegister)NewRegister(name, type.Type!.Value, 1);
        DeclareUnlessAnonymous(name, register, at);
        return new()
        {
            Name = name, Space = StateSpace.Reg, Type = register.Type, Position = at.Position,
            Align = register.Type.Size(), Register = register,
        };
    }

    void DeclareUnlessAnonymous(string name, object thing, Token at)
    {
        if (name != "_")
        {
            Declare(name, thing, at.Position);
        }
    }

    void PerformanceDirectives(PtxFunction header)
    {
        while (token.Kind == TokenKind.Word)
        {
            switch (Text)
            {
                case ".maxntid": header.MaxThreads = Extent(); break;
                case ".reqntid": header.RequiredThreads = Extent(); break;
                case ".minnctapersm": header.MinBlocks = Count("the number of blocks", 1024); break;
                case ".maxnctapersm": Count("the number of blocks", 1024); break;
                case ".maxnreg": header.MaxRegisters = Count("the number of registers", 65_536); break;
                case ".noreturn": Advance(); header.IsNoReturn = true; break;
                case ".pragma": Pragma(); break;
                case ".reqnctapercluster" or ".explicitcluster" or ".maxclusterrank":
                    throw Error($"'{Text}': clusters of blocks are not supported by the virtual GPU", token.Position);
                default:
                    string known = Spelling.Nearest(Text, PerformanceNames.Split(' '));
                    throw Error($"unknown directive '{Excerpt(Text)}' after a function's header{known}",
                        token.Position);
            }
        }
    }

    int Count(string what, int most)
    {
        Advance();
        return (int)ExpectInteger(what, 1, most);
    }

    int[] Extent()   // n {, n {, n}}
    {
        Advance();
        int[] extent = [1, 1, 1];
        int i = 0;
        do
        {
            if (i == 3)
            {
                throw Error("at most three extents", token.Position);
            }
            extent[i++] = (int)ExpectInteger("the number of threads", 1, int.MaxValue);
        }
        while (Accept(','));
        return extent;
    }

    void Body()
    {
        labels.Clear();
        renamedLabels = 0;
        Scope parameters = scope;
        do
        {
            if (token.Is('{'))
            {
                OpenScope();
            }
            else if (token.Is('}'))
            {
                CloseScope();
            }
            else if (token.Kind == TokenKind.End)
            {
                Fail($"the end of the text inside of '{Excerpt(function!.Name)}': this '{{' is never closed",
                    scope.Start);
            }
            else
            {
                BodyStatement();
            }
        }
        while (scope != parameters);
    }

    void OpenScope()
    {
        if (scope.Depth - 1 >= PtxLimits.NestedScopes)
        {
            throw Error($"scopes nest deeper than {PtxLimits.NestedScopes}", token.Position);
        }
        scope = new Scope(scope, token.Position);
        Advance();
    }

    /// <summary>Labels named in the scope are bound to its own, else handed on to the scope around it.</summary>
    void CloseScope()
    {
        Scope closed = scope;
        CheckRanges(closed);
        scope = closed.Parent!;
        Advance();
        if (closed.Pending is null)
        {
            return;
        }
        bool last = scope.Depth == 1;
        foreach (LabelReference reference in closed.Pending)
        {
            if (closed.Labels is not null && closed.Labels.TryGetValue(reference.Name, out string? unique))
            {
                Bind(reference, unique);
            }
            else if (last)
            {
                throw UndeclaredLabel(closed, reference);
            }
            else
            {
                (scope.Pending ??= []).Add(reference);
            }
        }
    }

    void Bind(LabelReference reference, string unique)
    {
        LabelUse found = function!.BranchTargets.ContainsKey(unique) ? LabelUse.BranchTable
            : function.Prototypes.ContainsKey(unique) || function.CallTargets.ContainsKey(unique) ? LabelUse.Callee
            : LabelUse.Jump;
        if (found != reference.Use)
        {
            string needed = reference.Use switch
            {
                LabelUse.BranchTable => "the label of a '.branchtargets'",
                LabelUse.Callee => "the label of a '.callprototype' or '.calltargets'",
                _ => "the label of an instruction",
            };
            Fail($"'{Excerpt(reference.Name)}' must be {needed}", reference.Operand.Position);
        }
        reference.Operand.Name = unique;
    }

    PtxException UndeclaredLabel(Scope body, LabelReference reference)
    {
        string near = labels.Contains(reference.Name)
            ? "; a label of this name lies inside of a { } that cannot be jumped into"
            : Spelling.Nearest(reference.Name, body.Labels?.Keys ?? Enumerable.Empty<string>());
        return Error($"undeclared label '{Excerpt(reference.Name)}'{near}", reference.Operand.Position);
    }

    void BodyStatement()
    {
        if (token.Kind == TokenKind.Word)
        {
            BodyDirective();
            return;
        }
        if (token.Is('@'))
        {
            GuardedInstruction();
            return;
        }
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected("an instruction, a label or '}'");
        }
        Token first = token;
        CheckNameLength();
        Advance();
        if (Accept(':'))
        {
            Label(first);
        }
        else
        {
            Instruction(first, null, false, first.Position);
        }
    }

    void BodyDirective()
    {
        switch (Text)
        {
            case ".reg": Registers(); break;
            case ".local": Advance(); Variables(StateSpace.Local, Linkage.None, function!.Variables); break;
            case ".shared": Advance(); Variables(StateSpace.Shared, Linkage.None, function!.Variables); break;
            case ".param": Advance(); Variables(StateSpace.Param, Linkage.None, function!.Variables); break;
            case ".global": Advance(); Variables(StateSpace.Global, Linkage.None, function!.Variables); break;
            case ".const": Advance(); Variables(StateSpace.Const, Linkage.None, function!.Variables); break;
            case ".extern" when Shared(): Variables(StateSpace.Shared, Linkage.Extern, function!.Variables); break;
            case ".branchtargets" or ".calltargets" or ".callprototype":
                throw Error($"'{Text}' needs a label before it", token.Position);
            default:
                if (!SkipDebugDirective())
                {
                    string near = Spelling.Nearest(Text, BodyDirectives.Split(' '));
                    throw Error($"unknown directive '{Excerpt(Text)}'{near}", token.Position);
                }
                break;
        }

        bool Shared()
        {
            Advance();
            return AcceptWord(".shared") ? true : throw Expected("'.shared' after '.extern'");
        }
    }

    /// <summary>A label, or a labelled table: .branchtargets, .calltargets, .callprototype.</summary>
    void Label(in Token at)
    {
        string name = Intern(text.AsSpan(at.Start, at.Length));
        if (name == "_")
        {
            Fail("'_' cannot be a label", at.Position);
        }
        scope.Labels ??= [];
        if (scope.Labels.ContainsKey(name) || scope.FindHere(name) is not null)
        {
            Fail($"'{Excerpt(name)}' is declared twice in this scope", at.Position);
        }
        string unique = name;
        while (!labels.Add(unique))
        {
            unique = $"{name}#{++renamedLabels}";   // the same label in two scopes: inline assembly does that
        }
        scope.Labels.Add(name, unique);
        if (AcceptWord(".branchtargets"))
        {
            function!.BranchTargets.Add(unique, BranchTargets());
        }
        else if (AcceptWord(".calltargets"))
        {
            function!.CallTargets.Add(unique, CallTargets());
        }
        else if (AcceptWord(".callprototype"))
        {
            function!.Prototypes.Add(unique, Prototype(name, at.Position));
        }
        else
        {
            function!.Body.Add(new() { Position = at.Position, Label = unique });
        }
    }

    PtxOperand[] BranchTargets()
    {
        List<PtxOperand> targets = [];
        do
        {
            targets.Add(LabelOperand(LabelUse.Jump));
        }
        while (Accept(','));
        Expect(';', "after the labels");
        return [.. targets];
    }

    string[] CallTargets()
    {
        List<string> names = [];
        do
        {
            Token at = token;
            string name = ExpectName("a function");
            if (globals.FindHere(name) is not PtxFunction)
            {
                throw Undeclared("function", name, at.Position);
            }
            names.Add(name);
        }
        while (Accept(','));
        Expect(';', "after the functions");
        return [.. names];
    }

    PtxFunction Prototype(string name, SourcePosition position)   // (ret) _ (params) {.noreturn};
    {
        PtxFunction prototype = new() { Name = name, Position = position };
        PtxFunction outer = function!;
        Scope around = scope;
        function = prototype;   // names and registers of the prototype are its own
        scope = new Scope(globals, position);
        if (token.Is('('))
        {
            Parameters(prototype.Returns, isEntry: false);
        }
        ExpectName("'_' or a name");
        if (token.Is('('))
        {
            Parameters(prototype.Parameters, isEntry: false);
        }
        if (AcceptWord(".noreturn"))
        {
            prototype.IsNoReturn = true;
        }
        Expect(';', "after the prototype");
        function = outer;
        scope = around;
        return prototype;
    }
}
