// What compilers emit, parsed and printed again, is what they emitted: every instruction and label, in the same line.
using System.Text.RegularExpressions;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Ptx;

[TestFixture, Category("Quick")]
public sealed partial class RoundTripTests
{
    [TestCase("functions.ptx")]
    [TestCase("warp.ptx")]
    [TestCase("numeric.ptx")]
    [TestCase("debug.ptx")]
    public void Parse_CompilerOutput_PrintsAsWritten(string file)
    {
        string source = SyntaxDump.Data(file);
        List<string> expected = SourceStatements(source);
        List<string> actual = [];
        foreach (PtxFunction function in Parser.Parse(source).Functions)
        {
            foreach (PtxStatement statement in function.Body)
            {
                actual.Add($"{statement.Position.Line}: {Normal(SyntaxDump.Text(statement))}");
            }
        }
        Assert.That(actual, Is.EqualTo(expected));
        Assert.That(actual, Has.Count.GreaterThan(30));
    }

    /// <summary>The declarations of functions.ptx, read off functions.cu: 1, 2, 3, -4.5 as floats, addresses, a
    /// struct of 16 bytes.</summary>
    [Test]
    public void Parse_CompilerOutput_HasTheSourcesDeclarations()
    {
        PtxModule module = Parser.Parse(SyntaxDump.Data("functions.ptx"));
        Assert.That(module.Variables.Select(SyntaxDump.Text), Is.EqualTo(new[]
        {
            "Const B8 table x16 align 4 array = 0000803F0000004000004040000090C0",
            "Global U32 counter x1 align 4 = 07000000",
            "Global U64 pointer x1 align 8 = 0000000000000000 @0:generic counter",
            "Global U64 functions x2 align 8 array = 00000000000000000000000000000000 @0:power @8:subtract",
            "Shared B8 buffer x0 align 4 array external",
        }));
        PtxFunction kernel = module.Find("apply")!;
        Assert.That(kernel.Parameters.Select(SyntaxDump.Text), Is.EqualTo(new[]
        {
            "Param U64 apply_param_0 x1 align 8", "Param U64 apply_param_1 x1 align 8",
                "Param B8 apply_param_2 x16 align 8 array",
        }));
        Assert.That(kernel.Variables.Where(v => v.Space == StateSpace.Shared).Select(SyntaxDump.Text),
            Is.EqualTo(new[] { "Shared B8 _ZZ5applyE4tile x128 align 4 array" }));
        Assert.That(module.Functions.Where(f => f.HasBody).Select(f => f.Name),
            Is.EqualTo(new[] { "power", "subtract", "apply" }));
        Assert.That(kernel.Prototypes.Values.Single().Parameters, Has.Count.EqualTo(2));
    }

    /// <summary>Instructions and labels with their lines, found in the text with nothing but string
    /// operations.</summary>
    static List<string> SourceStatements(string source)
    {
        List<string> statements = [];
        string[] lines = Comment().Replace(source, m => new string('\n', m.Value.Count(c => c == '\n'))).Split('\n');
        int depth = 0;
        string pending = "";
        int start = 0;
        for (int i = 0; i < lines.Length; i++)
        {
            string trimmed = lines[i].Trim();
            if (trimmed.StartsWith(".section", StringComparison.Ordinal))
            {
                while (!lines[i].Contains('}'))
                {
                    i++;
                }
                continue;
            }
            if (trimmed.StartsWith(".loc", StringComparison.Ordinal)
                || trimmed.StartsWith(".file", StringComparison.Ordinal))
            {
                continue;
            }
            foreach (Match token in Token().Matches(depth == 0 && !trimmed.StartsWith('{') ? "" : lines[i]))
            {
                string text = token.Value.Trim();
                depth += text == "{" ? 1 : text == "}" ? -1 : 0;
                if (text is "{" or "}" or "")
                {
                    continue;
                }
                start = pending.Length == 0 ? i + 1 : start;
                pending += " " + text;
                bool isLabel = text.EndsWith(':');
                bool isDirective = pending.TrimStart().StartsWith('.') || pending.Contains(".callprototype");
                if (isLabel && !text.Contains("prototype"))
                {
                    statements.Add($"{start}: {Normal(pending)}");
                }
                else if (!isLabel && text.EndsWith(';') && !isDirective)
                {
                    statements.Add($"{start}: {Normal(pending)}");
                }
                pending = (isLabel && !text.Contains("prototype")) || text.EndsWith(';') ? "" : pending;
            }
        }
        return statements;
    }

    static string Normal(string statement) => Blank().Replace(statement, "").Replace("+0]", "]").Replace("+-", "-");

    [GeneratedRegex(@"//[^\n]*|/\*.*?\*/", RegexOptions.Singleline)]
    private static partial Regex Comment();

    // a label, a statement's end, a scope's brace alone, or (part of) a statement with its vectors in braces
    [GeneratedRegex(@"[\w$]+\s*:|(?:[^;{}:]|\{[^;{}]*\})+;|^\s*[{}]\s*|[{}]\s*$|\{(?=\s*\.)|(?:[^;{}:]|\{[^;{}]*\})+$")]
    private static partial Regex Token();

    [GeneratedRegex(@"\s+|#\d+")]   // #n: the parser's mark on labels of the same name
    private static partial Regex Blank();
}
