// From the syntax tree of an entry function to a Kernel: blocks at labels and branches, calls inlined, parameters of
// device functions turned into registers, shared and local variables placed. What an instruction means is looked up
// in the lane table by its key (the other parts of this class); an instruction that is not there is a load error
// with line and column. Recursion and indirect calls are refused: they need a stack that these kernels never have.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Ir;

internal sealed partial class Builder
{
    const int MaxOps = 1_000_000, MaxBlocks = 50_000;   // inlining may not grow a kernel past this

    readonly PtxModule module;
    readonly IReadOnlyDictionary<string, ulong> globals;
    readonly Kernel kernel;
    readonly Dictionary<PtxVariable, int> sharedOffsets = [];
    readonly List<PtxFunction> callStack = [];
    readonly Reg carry;             // the condition code register CC.CF
    int ops;

    Scope scope = null!;            // the function being built (an inlined one has its own)
    Block block = null!;            // where operations go
    PtxStatement statement = null!; // the one being built, for positions and guards

    /// <summary>One function, or one inlined copy of it.</summary>
    sealed class Scope(PtxFunction function, bool isEntry, Block? returnTo)
    {
        public PtxFunction Function { get; } = function;
        public bool IsEntry { get; } = isEntry;
        public Block? ReturnTo { get; } = returnTo;
        public Dictionary<PtxRegister, Reg> Regs { get; } = [];
        public Dictionary<string, Block> Labels { get; } = [];
        public Dictionary<PtxVariable, ParamRegs> Params { get; } = [];   // two scopes may both have a param0
        public Dictionary<PtxVariable, int> LocalOffsets { get; } = [];
    }

    /// <summary>A .param variable of a call: the values stored in it, by byte offset.</summary>
    sealed class ParamRegs
    {
        public Dictionary<int, (int Size, Reg Reg)> Values { get; } = [];
    }

    Builder(PtxModule module, PtxFunction entry, IReadOnlyDictionary<string, ulong> globals)
    {
        this.module = module;
        this.globals = globals;
        kernel = new Kernel { Name = entry.Name, Lines = module.Lines };
        for (int i = 0; i < 3; i++)
            kernel.Tid[i] = kernel.NewReg(RegClass.W32, "%tid." + "xyz"[i], special: true);
        kernel.LaneId = kernel.NewReg(RegClass.W32, "%laneid", special: true);
        carry = kernel.NewReg(RegClass.Pred, "%cc");
    }

    /// <summary>Builds an entry; <paramref name="globals"/> are device addresses of module-scope variables.</summary>
    public static Kernel Build(PtxModule module, PtxFunction entry, IReadOnlyDictionary<string, ulong> globals)
    {
        Builder builder = new(module, entry, globals);
        builder.PlaceShared(entry);
        builder.Body(entry, isEntry: true, returnTo: null, builder.NewBlock(entry.Position), []);
        return builder.kernel;
    }

    Block NewBlock(SourcePosition position)
    {
        Block made = new(kernel.Blocks.Count) { Position = position };
        kernel.Blocks.Add(made);
        return made;
    }

    void Body(
        PtxFunction function, bool isEntry, Block? returnTo, Block start,
        Dictionary<PtxVariable, ParamRegs> bound)
    {
        if (!function.HasBody)
            throw Error($"function {function.Name} is declared but has no body; linking is not supported");
        if (callStack.Contains(function))
            throw Error($"recursive call of {function.Name}; recursion is not supported");
        callStack.Add(function);
        Scope outer = scope;
        PtxStatement outerStatement = statement;
        scope = new Scope(function, isEntry, returnTo);
        foreach ((PtxVariable parameter, ParamRegs values) in bound)
        {
            scope.Params[parameter] = values;
            if (parameter.Register is { } register) scope.Regs[register] = ParamReg(values, 0, parameter.Type.Size());
        }
        foreach (PtxStatement s in function.Body)
            if (s.Label is not null) scope.Labels[s.Label] = new Block(-1) { Position = s.Position };
        block = start;
        foreach (PtxStatement s in function.Body) Statement(s);
        if (block.End == EndKind.Exit) JumpTo(returnTo);
        scope = outer;
        statement = outerStatement;
        callStack.RemoveAt(callStack.Count - 1);
    }

    void Statement(PtxStatement s)
    {
        statement = s;
        if (s.Label is not null)
        {
            Block target = scope.Labels[s.Label];
            kernel.Blocks.Add(target);   // layout order = order of the text, inlined bodies included
            JumpTo(target);
            block = target;
            return;
        }
        if (ops > MaxOps || kernel.Blocks.Count > MaxBlocks)
            throw Error($"kernel {kernel.Name} has more than {MaxOps} operations or {MaxBlocks} blocks after inlining");
        Instruction(s);
    }

    /// <summary>
    /// Ends the current block with a jump (null: the kernel's end) and goes on in a new, unreachable one.
    /// </summary>
    void JumpTo(Block? target)
    {
        block.End = target is null ? EndKind.Exit : EndKind.Jump;
        block.Next = target;
    }

    /// <summary>
    /// Ends the block with a branch on the statement's guard, or a jump without one; goes on behind it.
    /// </summary>
    void BranchTo(Block? target)
    {
        Block behind = NewBlock(statement.Position);
        if (statement.Guard is null)
        {
            JumpTo(target);
        }
        else
        {
            target ??= NewBlock(statement.Position);
            Branch(RegOf(statement.Guard), statement.GuardNegated, target, behind);
        }
        block = behind;
    }

    void Branch(Reg condition, bool negated, Block taken, Block next)
    {
        block.End = EndKind.Branch;
        (block.Condition, block.Negated, block.Taken, block.Next) = (condition, negated, taken, next);
    }

    // ---- calls ----

    void Call(PtxStatement s)
    {
        int at = Array.FindIndex(s.Operands, o => o.Kind == OperandKind.Symbol);
        if (at < 0) throw Error("indirect call; only calls of named functions are supported");
        string name = s.Operands[at].Name!;
        PtxFunction callee = module.Find(name) ?? throw Error($"function {name} is not defined in this module");
        PtxOperand[] results = at > 0 ? s.Operands[0].Elements : [];
        PtxOperand[] arguments = s.Operands.Length > at + 1 && s.Operands[at + 1].Kind == OperandKind.CallList
            ? s.Operands[at + 1].Elements : [];
        if (arguments.Length != callee.Parameters.Count || results.Length != callee.Returns.Count)
            throw Error($"{name} takes {callee.Parameters.Count} arguments and returns {callee.Returns.Count} values; "
                + $"the call has {arguments.Length} and {results.Length}");

        Block after = NewBlock(s.Position), start = NewBlock(s.Position);
        if (s.Guard is null) JumpTo(start); else Branch(RegOf(s.Guard), s.GuardNegated, start, after);
        block = start;
        Dictionary<PtxVariable, ParamRegs> bound = [];
        List<(PtxOperand Result, ParamRegs Values, PtxVariable Declared)> returned = [];
        for (int i = 0; i < arguments.Length; i++)
            bound[callee.Parameters[i]] = Passed(arguments[i], callee.Parameters[i]);
        for (int i = 0; i < results.Length; i++)
        {
            ParamRegs values = results[i].Register is null ? ParamOf(results[i]) : new ParamRegs();
            bound[callee.Returns[i]] = values;
            if (results[i].Register is not null) returned.Add((results[i], values, callee.Returns[i]));
        }
        Block join = NewBlock(s.Position);
        Body(callee, isEntry: false, join, start, bound);
        MoveToEnd(join);
        block = join;
        foreach ((PtxOperand result, ParamRegs values, PtxVariable declared) in returned)
            Move(RegOf(result.Register!), ParamReg(values, 0, declared.Type.Size()));
        JumpTo(after);
        MoveToEnd(after);
        block = after;
    }

    void MoveToEnd(Block moved)
    {
        kernel.Blocks.Remove(moved);
        kernel.Blocks.Add(moved);
    }

    /// <summary>
    /// The values that an argument passes: a .param variable as it is, a register or immediate as one value.
    /// </summary>
    ParamRegs Passed(PtxOperand argument, PtxVariable declared)
    {
        if (argument.Kind == OperandKind.Symbol && argument.Variable is { Space: StateSpace.Param })
            return ParamOf(argument);
        ParamRegs values = new();
        int size = declared.Type.Size();
        Move(ParamReg(values, 0, size), Source(argument, ClassOf(size)));
        return values;
    }

    ParamRegs ParamOf(PtxOperand operand)
    {
        PtxVariable parameter = operand.Variable ?? throw Error($"{operand.Name} is not a parameter");
        if (!scope.Params.TryGetValue(parameter, out ParamRegs? values))
            scope.Params[parameter] = values = new ParamRegs();
        return values;
    }

    Reg ParamReg(ParamRegs values, int offset, int size)
    {
        if (!values.Values.TryGetValue(offset, out (int Size, Reg Reg) value))
            values.Values[offset] = value = (size, kernel.NewReg(ClassOf(size), $"param+{offset}"));
        if (value.Size != size)
            throw Error(
                $"call parameter accessed with {size} bytes at offset {offset}, but with {value.Size} elsewhere");
        return value.Reg;
    }

    static RegClass ClassOf(int bytes) => bytes == 8 ? RegClass.W64 : RegClass.W32;

    // ---- variables ----

    /// <summary>
    /// Places the shared variables that the entry and the functions it calls use; the dynamic ones last.
    /// </summary>
    void PlaceShared(PtxFunction entry)
    {
        List<PtxVariable> found = [];
        HashSet<PtxFunction> seen = [];
        FindShared(entry, seen, found);
        foreach (PtxVariable v in found.Where(v => !IsDynamic(v))) PlaceOne(v);
        int end = kernel.StaticShared;
        foreach (PtxVariable v in found.Where(IsDynamic))
        {
            int align = Math.Max(v.Align, 16);
            sharedOffsets[v] = (end + align - 1) / align * align;
        }
        if (found.Exists(IsDynamic)) kernel.StaticShared = (end + 15) / 16 * 16;
    }

    static bool IsDynamic(PtxVariable v) => v.IsExternal && v.IsArray && v.Count == 0;

    void PlaceOne(PtxVariable v)
    {
        int align = Math.Max(v.Align, 1);
        long offset = ((long)kernel.StaticShared + align - 1) / align * align;
        if (offset + v.Size > 1 << 24)
            throw new PtxException($"shared variables of {kernel.Name} need more than 16 MiB", v.Position);
        sharedOffsets[v] = (int)offset;
        kernel.StaticShared = (int)(offset + v.Size);
    }

    void FindShared(PtxFunction function, HashSet<PtxFunction> seen, List<PtxVariable> found)
    {
        if (!seen.Add(function)) return;
        foreach (PtxStatement s in function.Body)
        foreach (PtxOperand operand in s.Operands)
            FindShared(operand, seen, found, s.Opcode == "call");
    }

    void FindShared(PtxOperand operand, HashSet<PtxFunction> seen, List<PtxVariable> found, bool isCall)
    {
        if (operand.Variable is { Space: StateSpace.Shared } v && !found.Contains(v)) found.Add(v);
        if (isCall && operand.Kind == OperandKind.Symbol && module.Find(operand.Name!) is { } callee
            && seen.Count < 1000)
            FindShared(callee, seen, found);
        foreach (PtxOperand element in operand.Elements) FindShared(element, seen, found, isCall: false);
    }

    int LocalOffset(PtxVariable v)
    {
        if (scope.LocalOffsets.TryGetValue(v, out int offset)) return offset;
        int align = Math.Max(v.Align, 1);
        long start = ((long)kernel.Local + align - 1) / align * align;
        if (start + v.Size > 512 * 1024)
            throw new PtxException($"local variables of {kernel.Name} need more than 512 KiB a thread", v.Position);
        kernel.Local = (int)(start + v.Size);
        return scope.LocalOffsets[v] = (int)start;
    }

    /// <summary>The address of a symbol in its own space.</summary>
    ulong AddressOf(PtxOperand operand)
    {
        PtxVariable v = operand.Variable
            ?? throw Error($"{operand.Name} is not a variable; addresses of functions are not supported");
        ulong at = v.Space switch
        {
            StateSpace.Shared => (ulong)sharedOffsets[v],
            StateSpace.Local => (ulong)LocalOffset(v),
            StateSpace.Param => (ulong)ParamOffset(v),
            _ => globals.TryGetValue(v.Name, out ulong address) ? address
                : throw Error($"variable {v.Name} has no storage: it is external, and linking is not supported"),
        };
        return at + (ulong)operand.Offset;
    }

    int ParamOffset(PtxVariable v)
    {
        PtxFunction entry = callStack[0];
        int index = entry.Parameters.IndexOf(v);
        if (index < 0 || !scope.IsEntry)
            throw Error($"the address of call parameter {v.Name} is taken; that is not supported");
        return ParameterLayout(entry).Offsets[index];
    }

    /// <summary>Byte offsets of an entry's parameters in the parameter buffer, and the buffer's size.</summary>
    public static (int[] Offsets, int Bytes) ParameterLayout(PtxFunction entry)
    {
        int[] offsets = new int[entry.Parameters.Count];
        long end = 0;
        for (int i = 0; i < offsets.Length; i++)
        {
            PtxVariable p = entry.Parameters[i];
            int align = Math.Max(p.Align, p.Type.Size());
            end = (end + align - 1) / align * align;
            offsets[i] = (int)end;
            end += p.Size;
            if (end > 4096) throw new PtxException($"parameters of {entry.Name} need more than 4096 bytes", p.Position);
        }
        return (offsets, (int)end);
    }

    // ---- operands ----

    Reg RegOf(PtxRegister register)
    {
        if (scope.Regs.TryGetValue(register, out Reg? reg)) return reg;
        RegClass cls = register.Type == PtxType.Pred ? RegClass.Pred : ClassOf(register.Type.Size());
        return scope.Regs[register] = kernel.NewReg(cls, register.Name);
    }

    Reg Temp(RegClass cls) => kernel.NewReg(cls, $"t{kernel.Regs.Count}");

    /// <summary>A source as a value of the class: register of that class, immediate, address of a symbol.</summary>
    Src Source(PtxOperand operand, RegClass cls) => operand.Kind switch
    {
        OperandKind.Register => Checked(RegOf(operand.Register!), cls),
        OperandKind.Immediate => Src.Imm(ImmediateBits(operand, cls)),
        OperandKind.Symbol => Src.Imm(AddressOf(operand)),
        OperandKind.NegatedPredicate => NegatedSource(operand),
        OperandKind.SpecialRegister => ReadSpecial(operand.Name!, cls),
        _ => throw Error($"a register or an immediate was expected, not {operand.Kind}"),
    };

    Reg Checked(Reg reg, RegClass cls) => reg.Class == cls ? reg
        : throw Error($"register {reg.Name} is {Name(reg.Class)}, the instruction takes {Name(cls)}");

    static string Name(RegClass cls) => cls switch
    {
        RegClass.W32 => "32 bits or less", RegClass.W64 => "64 bits", _ => "a predicate",
    };

    Src NegatedSource(PtxOperand operand)
    {
        Reg t = Temp(RegClass.Pred);
        Emit("not.pred", t, guarded: false, RegOf(operand.Register!));
        return t;
    }

    static ulong ImmediateBits(PtxOperand operand, RegClass cls)
    {
        if (cls == RegClass.Pred) return operand.Bits != 0 ? uint.MaxValue : 0u;
        if (!operand.IsFloat) return cls == RegClass.W64 ? operand.Bits : (uint)operand.Bits;
        if (operand.IsSingle)
            return cls == RegClass.W32 ? (uint)operand.Bits
                : BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)operand.Bits));
        return cls == RegClass.W64 ? operand.Bits
            : BitConverter.SingleToUInt32Bits((float)BitConverter.UInt64BitsToDouble(operand.Bits));
    }

    // ---- operations ----

    /// <summary>Adds Dst = key(sources). Guarded operations get the statement's guard; temporaries need none.</summary>
    void Emit(string key, Reg? dst, bool guarded, params ReadOnlySpan<Src> sources)
    {
        if (!LaneTable.TryLane(key, out LaneMethod? method)) throw Unsupported(key);
        Emit(method, key, dst, guarded, sources);
    }

    void Emit(LaneMethod method, string key, Reg? dst, bool guarded, ReadOnlySpan<Src> sources)
    {
        if (dst is null) return;
        LaneTable.TryScalar(key, out LaneMethod? scalar);
        Add(new Op
        {
            Kind = OpKind.Lane, Position = statement.Position, Method = method, Scalar = scalar, Dsts = [dst],
            Sources = sources.ToArray(), Class = ClassOf(key),
            Guard = guarded && statement.Guard is { } g ? RegOf(g) : null, GuardNegated = statement.GuardNegated,
        });
    }

    void Move(Reg dst, Src source) => Emit(MoveKey(dst.Class), dst, guarded: true, source);

    static string MoveKey(RegClass cls) => cls switch
    {
        RegClass.W32 => "mov.b32", RegClass.W64 => "mov.b64", _ => "mov.pred",
    };

    void Add(Op op)
    {
        ops++;
        block.Ops.Add(op);
    }

    static Counter ClassOf(string key)
    {
        string opcode = key.AsSpan().IndexOf('.') is > 0 and var dot ? key[..dot] : key;
        return opcode switch
        {
            "mma" => Counter.Tensor,
            "cvt" => Counter.Convert,
            "rcp" or "sqrt" or "rsqrt" or "sin" or "cos" or "ex2" or "lg2" or "tanh" => Counter.Special,
            "ld" or "st" or "atom" or "red" or "ldmatrix" or "cp" => Counter.Memory,
            "bar" or "shfl" or "vote" or "match" or "redux" or "activemask" => Counter.Control,
            _ => key.EndsWith("f32") || key.EndsWith("f64") || key.EndsWith("f16") || key.EndsWith("f16x2")
                || key.EndsWith("bf16x2") ? Counter.Float : Counter.Integer,
        };
    }

    // ---- errors ----

    string InstructionText => statement is null ? "" : kernel.LineText(statement.Position.Line);

    PtxException Error(string message) =>
        new(message, statement?.Position ?? module.Find(kernel.Name)!.Position, InstructionText);

    PtxException Unsupported(string key) =>
        Error($"instruction {statement.Text} is not supported (nearest that is: {LaneTable.Nearest(key)})");
}
