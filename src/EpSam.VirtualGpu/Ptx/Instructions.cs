// What the operands of each instruction must look like (PTX ISA 7.8, section 9.7): how many there are, which is a
// destination, and which register types go with the instruction's type (section 9.4, tables 26 and 27). The table has
// one row per family; which combinations of modifiers exist is decided by the lane table when a module is loaded.
// The rules were compared with NVIDIA's assembler, whose answers are the tests' expected values.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>How one operand must look.</summary>
internal enum Role : byte
{
    Destination, DestinationOrSink, DestinationPair, DestinationVector, Source, SourceVector, Address, Label, Immediate,
    MoveDestination, MoveSource, Registers,
}

/// <summary>Where an operand's type comes from: the instruction's first or last type, its last one doubled, or
/// fixed.</summary>
internal enum TypeFrom : byte { Last, First, Doubled, Fixed }

internal readonly record struct OperandSlot(Role Role, TypeFrom From, PtxType Fixed, bool IsWide);

internal static class Instructions
{
    // One letter an operand, then what it takes:
    //   d destination, D destination or "_", P destination with an optional predicate "d|p", s source, a address,
    //   L label, i constant, l loaded register or vector, v stored one, V registers in braces or one, m and M mov's
    //   no suffix: the instruction's last type; 1: its first type; w: twice as wide as the last; :t a fixed type
    //   + wider registers are allowed (section 9.4.1); "/" separates forms with different numbers of operands
    static readonly (string Opcodes, string Form)[] Table =
    [
        // 9.7.1 integer arithmetic, 9.7.2 extended precision, 9.7.3 floating point, 9.7.4 half precision
        ("add sub mul div rem min max addc subc mul24 copysign", "d s s"),
        ("mul.wide", "dw s s"),
        ("mad fma madc mad24", "d s s s"),
        ("mad.wide", "dw s s sw"),
        ("sad", "d s s s"),
        ("abs neg rcp sqrt rsqrt sin cos lg2 ex2 tanh brev", "d s"),
        ("popc clz bfind", "d:u32 s"),
        ("bfe", "d s s:u32 s:u32"),
        ("bfi", "d s s s:u32 s:u32"),
        ("fns", "d:b32 s:b32 s:b32 s:b32"),
        ("szext", "d s s:u32"),
        ("bmsk", "d s:u32 s:u32"),
        ("dp4a dp2a", "d:u32 s:u32 s:u32 s:u32"),
        ("testp", "d:pred s"),
        // 9.7.5 comparison and selection, 9.7.6 half precision comparison
        ("set", "d1 s s"),
        ("set.and set.or set.xor", "d1 s s s:pred"),
        ("setp", "P:pred s s"),
        ("setp.and setp.or setp.xor", "P:pred s s s:pred"),
        ("selp", "d s s s:pred"),
        ("slct", "d1 s1 s1 s"),
        // 9.7.7 logic and shift
        ("and or xor", "d s s"),
        ("not cnot", "d s"),
        ("shl shr", "d s s:u32"),
        ("shf", "d s s s:u32"),
        ("lop3", "d s s s i"),
        ("prmt", "d:b32 s:b32 s:b32 s:b32"),
        // 9.7.8 data movement and conversion
        ("mov", "m M"),
        ("ld", "l a"),
        ("ldu", "l a"),
        ("st", "a v"),
        ("prefetch prefetchu", "a"),
        ("isspacep", "d:pred s:b64"),
        ("cvta", "d M"),
        ("cvta.to", "d s"),
        ("cvt", "d1+ s+"),
        ("cvt.f16x2 cvt.bf16x2", "d1 s s"),
        ("cvt.pack", "d:b32 s1 s1 / d:b32 s1 s1 s:b32"),
        ("shfl", "P:b32 s:b32 s:b32 s:b32 s:b32"),
        ("cp.async", "a a i / a a i s:u32"),
        ("cp.commit_group cp.wait_all", ""),
        ("cp.wait_group", "i"),
        // 9.7.12 parallel synchronisation and communication
        ("bar barrier", "s:u32 / s:u32 s:u32"),
        ("bar.arrive barrier.arrive", "s:u32 s:u32"),
        ("bar.red barrier.red", "d s:u32 s:pred / d s:u32 s:u32 s:pred"),
        ("bar.warp", "s:u32"),
        ("membar fence", ""),
        ("atom", "D a s"),
        ("atom.cas", "D a s s"),
        ("red", "a s"),
        ("vote", "d:pred s:pred s:u32"),
        ("vote.ballot", "d:b32 s:pred s:u32"),
        ("match", "P:u32 s s:u32"),
        ("activemask", "d:b32"),
        ("redux", "d s s:u32"),
        // 9.7.13, 9.7.14 matrices
        ("mma", "V V V V"),
        ("ldmatrix", "V a"),
        ("movmatrix", "d:b32 s:b32"),
        // 9.7.11 control flow (call has a grammar of its own), 9.7.17 others
        ("bra", "L"),
        ("brx", "s:u32 L"),
        ("ret exit trap brkpt", ""),
        ("nanosleep", "s:u32"),
        ("pmevent", "i"),
    ];

    // instructions of PTX ISA 7.8 that this virtual GPU does not execute
    const string Unsupported =
        "tex tld4 txq istypep suld sust sured suq wmma mbarrier createpolicy discard applypriority stacksave " +
        "stackrestore alloca griddepcontrol getctarank mapa stmatrix wgmma setmaxnreg elect multimem " +
        "vadd vsub vabsdiff vmin vmax vshl vshr vmad vset " +
        "vadd2 vsub2 vavrg2 vabsdiff2 vmin2 vmax2 vset2 vadd4 vsub4 vavrg4 vabsdiff4 vmin4 vmax4 vset4";

    sealed record Family(string Name, OperandSlot[][] Forms, List<(string Modifier, Family Family)> Variants);

    static readonly Dictionary<string, Family> families = Make();
    static readonly HashSet<string> unsupported = [.. Unsupported.Split(' ')];

    static readonly Dictionary<string, PtxType> types = MakeTypes();

    static Dictionary<string, PtxType> MakeTypes()
    {
        Dictionary<string, PtxType> result = [];
        foreach (PtxType type in Enum.GetValues<PtxType>())
        {
            result.Add(type.ToString().ToLowerInvariant(), type);
        }
        return result;
    }

    static Dictionary<string, Family> Make()
    {
        Dictionary<string, Family> result = [];
        foreach ((string opcodes, string form) in Table)
        {
            OperandSlot[][] forms = Array.ConvertAll(form.Split('/'), ParseForm);
            foreach (string opcode in opcodes.Split(' '))
            {
                string[] parts = opcode.Split('.');
                Family family = new(opcode, forms, []);
                if (parts.Length == 1)
                {
                    result.Add(opcode, family);
                    continue;
                }
                if (!result.TryGetValue(parts[0], out Family? general))
                {
                    general = new(parts[0], [], []);
                    result.Add(parts[0], general);
                }
                general.Variants.Add((parts[1], family));
            }
        }
        return result;
    }

    static OperandSlot[] ParseForm(string form) =>
        Array.ConvertAll(form.Split(' ', StringSplitOptions.RemoveEmptyEntries), ParseSlot);

    static OperandSlot ParseSlot(string text)
    {
        Role role = text[0] switch
        {
            'd' => Role.Destination, 'D' => Role.DestinationOrSink, 'P' => Role.DestinationPair,
            'l' => Role.DestinationVector, 's' => Role.Source, 'v' => Role.SourceVector, 'a' => Role.Address,
            'L' => Role.Label, 'i' => Role.Immediate, 'm' => Role.MoveDestination, 'M' => Role.MoveSource,
            'V' => Role.Registers,
            _ => throw new InvalidOperationException($"no role '{text}'"),
        };
        bool wide = text.EndsWith('+') || role is Role.DestinationVector or Role.SourceVector;
        string type = text[1..].TrimEnd('+');
        return type switch
        {
            "" => new(role, TypeFrom.Last, default, wide),
            "1" => new(role, TypeFrom.First, default, wide),
            "w" => new(role, TypeFrom.Doubled, default, wide),
            _ => new(role, TypeFrom.Fixed, Enum.Parse<PtxType>(type[1..], ignoreCase: true), wide),
        };
    }

    /// <summary>Whether the opcode exists; otherwise the message that says what is wrong with it.</summary>
    public static string? CheckOpcode(string opcode)
    {
        if (families.ContainsKey(opcode) || opcode == "call")
        {
            return null;
        }
        return unsupported.Contains(opcode) ? $"'{opcode}' is not supported by the virtual GPU"
            : $"unknown instruction '{(opcode.Length <= 60 ? opcode : opcode[..60] + "…")}'"
              + Spelling.Nearest(opcode, families.Keys);
    }

    /// <summary>What is wrong with the statement's operands and where; null when they are in order.</summary>
    public static (string Message, SourcePosition Position)? Check(PtxStatement statement)
    {
        if (statement.Opcode == "call")
        {
            return null;
        }
        Family family = families[statement.Opcode];
        foreach ((string modifier, Family variant) in family.Variants)
        {
            // the last in the table wins, as in cp.async.wait_group
            family = Array.IndexOf(statement.Modifiers, modifier) >= 0 ? variant : family;
        }
        PtxOperand[] operands = statement.Operands;
        OperandSlot[]? form = Array.Find(family.Forms, f => f.Length == operands.Length);
        if (form is null)
        {
            string counts = string.Join(" or ", family.Forms.Select(f => f.Length));
            string policy = Array.IndexOf(statement.Modifiers, "L2::cache_hint") >= 0
                ? "; cache policies are not supported" : "";
            string plural = counts == "1" ? "" : "s";
            return ($"'{Short(statement)}' takes {counts} operand{plural}, not {operands.Length}{policy}",
                statement.Position);
        }
        OperandCheck check = new(statement, types);
        for (int i = 0; i < form.Length; i++)
        {
            if (check.Problem(form[i], operands[i]) is { } problem)
            {
                return (problem, operands[i].Position);
            }
        }
        return null;
    }

    static string Short(PtxStatement statement) =>
        statement.Text.Length <= 60 ? statement.Text : statement.Text[..60] + "…";
}
