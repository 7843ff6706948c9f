// Module level: .version, .target, .address_size, linkage, debug sections (PTX ISA 7.8, section 11).
namespace EpSam.VirtualGpu.Ptx;

internal sealed partial class ModuleParser
{
    const int NewestMajor = 7, NewestMinor = 8;
    const string ModuleDirectives =
        ".version .target .address_size .entry .func .global .const .shared .extern .visible .weak .common " +
        ".file .section .pragma";

    int constantBytes, initialisedBytes, numberedVariables;

    enum Linkage { None, Extern, Visible, Weak, Common }

    public PtxModule Module()
    {
        module.Source = text;
        Version();
        Target();
        AddressSize();
        while (token.Kind != TokenKind.End)
        {
            ModuleStatement();
        }
        CheckUndefined();
        return module;
    }

    void Version()
    {
        if (!AcceptWord(".version"))
        {
            throw Expected("'.version' at the start of the module");
        }
        Token at = token;
        string[] parts = Text.Length <= 20 ? Text.ToString().Split('.') : [];
        if (token.Kind != TokenKind.Float || parts.Length != 2 || !int.TryParse(parts[0], out int major)
            || !int.TryParse(parts[1], out int minor))
        {
            throw Expected("a version such as 7.0 after '.version'");
        }
        Advance();
        if (major > NewestMajor || (major == NewestMajor && minor > NewestMinor))
        {
            Fail($"PTX ISA {major}.{minor} is newer than {NewestMajor}.{NewestMinor}, the newest that the virtual " +
                 "GPU reads; compile for an older one", at.Position);
        }
        if (major == 0)
        {
            Fail($"there is no PTX ISA {major}.{minor}", at.Position);
        }
        module.VersionMajor = major;
        module.VersionMinor = minor;
    }

    void Target()
    {
        if (!AcceptWord(".target"))
        {
            throw Expected("'.target' after '.version'");
        }
        do
        {
            Token at = token;
            string name = ExpectName("a target such as sm_80");
            if (name.StartsWith("sm_", StringComparison.Ordinal))
            {
                Architecture(name, at);
            }
            else if (name is not ("texmode_unified" or "texmode_independent" or "debug" or "map_f64_to_f32"))
            {
                Fail($"unknown target option '{Excerpt(name)}'; known are sm_NN, texmode_unified, " +
                     "texmode_independent, debug, map_f64_to_f32", at.Position);
            }
        }
        while (Accept(','));
        if (module.Target.Length == 0)
        {
            throw Expected("a target such as sm_80 after '.target'");
        }
    }

    void Architecture(string name, Token at)
    {
        if (module.Target.Length != 0)
        {
            Fail($"a second target, {Excerpt(name)}; the module is for {module.Target}", at.Position);
        }
        // since which PTX version a target exists: PTX ISA 7.8, section 12, table of release notes
        int since = name switch
        {
            "sm_10" or "sm_11" or "sm_12" or "sm_13" or "sm_20" or "sm_21" or "sm_30" => 10,
            "sm_35" => 31, "sm_32" or "sm_50" => 40, "sm_37" or "sm_52" => 41, "sm_53" => 42,
            "sm_60" or "sm_61" or "sm_62" => 50, "sm_70" => 60, "sm_72" => 61, "sm_75" => 63,
            "sm_80" => 70, "sm_86" => 71, "sm_87" => 74, "sm_89" or "sm_90" => 78,
            _ => 0,
        };
        if (since == 0)
        {
            Fail($"unknown target '{Excerpt(name)}'; PTX ISA {NewestMajor}.{NewestMinor} knows sm_10 to sm_90",
                at.Position);
        }
        if (module.VersionMajor * 10 + module.VersionMinor < since)
        {
            Fail($"target {name} needs PTX ISA {since / 10}.{since % 10}; this module says .version " +
                 $"{module.VersionMajor}.{module.VersionMinor}", at.Position);
        }
        module.Target = name;
    }

    void AddressSize()
    {
        if (!AcceptWord(".address_size"))
        {
            return;
        }
        Token at = token;
        long size = ExpectInteger("the address size", 0, 1024);
        if (size != 64)
        {
            Fail(size == 32 ? "32-bit addresses are not supported; compile for 64 bits (.address_size 64)"
                            : $"the address size is 64, not {size}", at.Position);
        }
    }

    void ModuleStatement()
    {
        if (token.Kind != TokenKind.Word)
        {
            throw token.Is('}') ? Error("this '}' closes nothing", token.Position)
                : Expected("a directive such as .entry, .func or .global");
        }
        Linkage linkage = ParseLinkage();
        switch (Text)
        {
            case ".entry": Function(linkage, isEntry: true); break;
            case ".func": Function(linkage, isEntry: false); break;
            case ".global": ModuleVariable(StateSpace.Global, linkage); break;
            case ".const": ModuleVariable(StateSpace.Const, linkage); break;
            case ".shared": ModuleVariable(StateSpace.Shared, linkage); break;
            case ".local": throw Error("'.local' variables stand inside of functions", token.Position);
            default:
                if (linkage != Linkage.None)
                {
                    throw Expected($"a variable or function after '.{linkage.ToString().ToLowerInvariant()}'");
                }
                OtherDirective();
                break;
        }
    }

    Linkage ParseLinkage()
    {
        Linkage linkage = Text switch
        {
            ".extern" => Linkage.Extern,
            ".visible" => Linkage.Visible,
            ".weak" => Linkage.Weak,
            ".common" => Linkage.Common,
            _ => Linkage.None,
        };
        if (linkage != Linkage.None)
        {
            Advance();
        }
        return linkage;
    }

    void OtherDirective()
    {
        if (SkipDebugDirective())
        {
            return;
        }
        string known = Spelling.Nearest(Text, ModuleDirectives.Split(' '));
        throw Text switch
        {
            ".version" or ".target" or ".address_size" =>
                Error($"'{Text}' stands at the start of the module, once", token.Position),
            ".reg" => Error("'.reg' stands inside of a function", token.Position),
            ".alias" => Error("'.alias' is not supported by the virtual GPU", token.Position),
            ".tex" or ".texref" or ".surfref" or ".samplerref" =>
                Error("textures and surfaces are not supported by the virtual GPU", token.Position),
            _ => Error($"unknown directive '{Excerpt(Text)}'{known}", token.Position),
        };
    }

    /// <summary>.file, .loc, .section, .pragma: say nothing that matters to execution. False: it is another
    /// directive.</summary>
    bool SkipDebugDirective()
    {
        switch (Text)
        {
            case ".file": File(); return true;
            case ".loc": Location(); return true;
            case ".section": Section(); return true;
            case ".pragma": Pragma(); return true;
            case ".dwarf" or "@@DWARF": throw Error("DWARF in PTX 1.x form is not supported", token.Position);
            default: return false;
        }
    }

    void File()   // .file index "name" {, timestamp, size}
    {
        Advance();
        ExpectInteger("the file's number", 0, int.MaxValue);
        if (token.Kind != TokenKind.String)
        {
            throw Expected("the file's name in quotes");
        }
        Advance();
        if (Accept(','))
        {
            ExpectInteger("the file's time", 0, long.MaxValue);
            Expect(',', "before the file's size");
            ExpectInteger("the file's size", 0, long.MaxValue);
        }
    }

    void Location()   // .loc file line column {, function_name label {+ n}, inlined_at file line column}
    {
        Advance();
        Place();
        if (!Accept(','))
        {
            return;
        }
        ExpectPlainWord("function_name");
        ExpectName("a label");
        if (Accept('+'))
        {
            ExpectInteger("an offset", 0, long.MaxValue);
        }
        Expect(',', "before 'inlined_at'");
        ExpectPlainWord("inlined_at");
        Place();

        void Place()
        {
            for (int i = 0; i < 3; i++)
            {
                if (token.Kind != TokenKind.Integer)
                {
                    throw Expected("three numbers (file, line, column)");
                }
                Advance();
            }
        }

        void ExpectPlainWord(string word)
        {
            if (token.Kind != TokenKind.Identifier || !Text.SequenceEqual(word))
            {
                throw Expected($"'{word}'");
            }
            Advance();
        }
    }

    void Section()   // .section name { … }: debug information
    {
        Advance();
        if (token.Kind is not (TokenKind.Word or TokenKind.Identifier))
        {
            throw Expected("the section's name");
        }
        Advance();
        Token open = token;
        Expect('{', "after the section's name");
        while (!token.Is('}'))
        {
            if (token.Kind == TokenKind.End)
            {
                Fail("this '{' is never closed", open.Position);
            }
            if (token.Is('{'))
            {
                throw Expected("'}' that ends the section");
            }
            Advance();
        }
        Advance();
    }

    void Pragma()   // .pragma "…" {, "…"};
    {
        do
        {
            Advance();
            if (token.Kind != TokenKind.String)
            {
                throw Expected("a string after '.pragma'");
            }
            Advance();
        }
        while (token.Is(','));
        Expect(';', "after '.pragma'");
    }

    void CheckUndefined()
    {
        module.Variables.RemoveAll(hidden.Contains);
        foreach (PtxVariable variable in module.Variables)
        {
            if (variable.IsExternal && variable.Space != StateSpace.Shared)
            {
                Fail($"the external variable '{Excerpt(variable.Name)}' is not defined in this module, and there is " +
                     "no other to link", variable.Position);
            }
        }
    }
}
