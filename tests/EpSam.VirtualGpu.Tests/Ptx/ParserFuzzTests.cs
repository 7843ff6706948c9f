// Broken and hostile modules: only a PtxException may come out, in bounded time and memory. Mutations are drawn from
// seeds, so that a failure names the seed that repeats it.
using System.Text;
using System.Text.RegularExpressions;
using EpSam.VirtualGpu.Ptx;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace EpSam.VirtualGpu.Tests.Ptx;

[TestFixture]
public sealed partial class ParserFuzzTests
{
    const string Header = ".version 7.8\n.target sm_86\n.address_size 64\n";

    // What a module may cost: per character, for anything, and for what PtxLimits allows beyond the text's size
    // (zeros of initialised arrays, numbered variables).
    const long BytesPerCharacter = 512, BytesForAnything = 1 << 20, BytesAtMost = 3L * PtxLimits.InitialisedBytes;
    // of this process's work, so that a busy or sleeping machine cannot reach it; far above the milliseconds needed
    static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    // Fixed, so that one commit gives one result; 60,000 draws from other seeds have passed too.
    static readonly Replay SameEveryTime = new(new Rnd(1), FSharpOption<int>.None);

    static readonly string[] Corpus =
        [.. new[] { "everything.ptx", "everything.ptx", "functions.ptx", "warp.ptx", "numeric.ptx",
            "debug.ptx" }.Select(SyntaxDump.Data)];

    static readonly string[] HostileNumbers =
    [
        "0", "-1", "1", "2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "4000000000", "999999",
            "1000001",
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
            "18446744073709551616",
        "99999999999999999999999999999999999999", "0xFFFFFFFFFFFFFFFF", "0x", "0b", "08", "0b2", "1e308", "1e309",
            "1e-400", "1.",
        "0f7FC00000", "0f", "0fZZZZZZZZ", "0d7FF0000000000000", "1099511627776", "1U", "65536", "16385", "67108865",
    ];

    static readonly string[] Words =
    [
        "{", "}", "(", ")", "[", "]", ",", ";", ":", "<", ">", "|", "!", "@", "=", "+", "-", "?", "~", "%", "/*",
            "*/", "//", "\"", "\0", "_",
        "é", "%r1", "%tid.x", "%", ".reg", ".b32", ".align", ".global", ".func", ".entry", ".param", ".version",
            ".section", ".loc",
        ".callprototype", ".branchtargets", "L:", "bra", "call", "mov.b32", "ret;", "%r<10>", "WARP_SZ", "generic(",
            "\n", "{{{{{{{{",
        "((((((((", "[][]", "[2][3]", "= {", ".v4", "$", ".", "..", "::",
    ];

    [Test, Category("Quick")]
    public void Mutated_TenThousand_FailCleanly() => Fuzz(seed: 1_000_000, count: 10_000);

    [Test, Category("Slow")]
    public void Mutated_HundredThousand_FailCleanly() => Fuzz(seed: 2_000_000, count: 100_000);

    /// <summary>Two threads share the seeds; this one watches that none of them stands still.</summary>
    static void Fuzz(int seed, int count)
    {
        int next = 0, accepted = 0, costly = 0;
        string? failure = null;
        (int Seed, TimeSpan Since)[] state = new (int, TimeSpan)[2];
        Thread[] threads = new Thread[2];
        for (int t = 0; t < threads.Length; t++)
        {
            int me = t;
            threads[t] = new Thread(() => Work(me)) { IsBackground = true };
            threads[t].Start();
        }
        while (!threads[0].Join(50) || !threads[1].Join(50))
        {
            foreach ((int current, TimeSpan since) in state)
            {
                if (since != default && Environment.CpuUsage.TotalTime - since > Hang)
                {
                    Assert.Fail($"seed {current} has been parsed for more than {Hang.TotalSeconds} s of CPU time");
                }
            }
        }
        Assert.That(failure, Is.Null);
        TestContext.Out.WriteLine(
            $"{count} modules, {accepted} of them accepted, {costly} above {BytesPerCharacter} bytes a character");
        Assert.That(accepted, Is.InRange(count / 1000, count * 9 / 10),
            "the mutations are too harsh or too mild to mean anything");
        Assert.That(costly, Is.LessThanOrEqualTo(count / 500));

        void Work(int me)
        {
            for (int i = Interlocked.Increment(ref next); i <= count && failure is null;
                i = Interlocked.Increment(ref next))
            {
                string text = Mutate(new Random(seed + i));
                state[me] = (seed + i, Environment.CpuUsage.TotalTime);
                (bool isModule, long bytes, Exception? wrong) = Try(text);
                state[me] = default;
                Interlocked.Add(ref accepted, isModule ? 1 : 0);
                Interlocked.Add(ref costly, bytes > BytesPerCharacter * text.Length + BytesForAnything ? 1 : 0);
                if (wrong is not null)
                {
                    failure = $"seed {seed + i}: {wrong}\n{text}";
                }
                else if (bytes > BytesPerCharacter * text.Length + BytesAtMost)
                {
                    failure = $"seed {seed + i}: {bytes} bytes allocated for {text.Length} characters\n{text}";
                }
            }
        }
    }

    static (bool IsModule, long Bytes, Exception? Wrong) Try(string text)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            Parser.Parse(text);
            return (true, GC.GetAllocatedBytesForCurrentThread() - before, null);
        }
        catch (PtxException error)
        {
            long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            bool placed = error.Position is { Line: >= 1, Column: >= 1 } && error.Message.Length < 2_000;
            return (false, bytes, placed ? null : new InvalidOperationException("an error without place, or endless",
                error));
        }
        catch (Exception error)
        {
            return (false, 0, error);
        }
    }

    /// <summary>One module of the corpus with one to four things wrong, or none.</summary>
    static string Mutate(Random random)
    {
        string text = Corpus[random.Next(Corpus.Length)];
        for (int n = random.Next(1, 5); n > 0 && text.Length > 0; n--)
        {
            text = random.Next(9) switch
            {
                0 => FlipCharacter(text, random),
                1 => text[..random.Next(text.Length)],
                2 => DuplicatePart(text, random),
                3 => RemovePart(text, random),
                4 => ReplaceNumber(text, random),
                5 => InsertWord(text, random),
                6 => SwapTokens(text, random),
                7 => Splice(text, random),
                _ => ReplaceToken(text, random),
            };
        }
        return text;
    }

    static string FlipCharacter(string text, Random random)
    {
        int at = random.Next(text.Length);
        char flipped = (char)(text[at] ^ (1 << random.Next(8)));
        return string.Concat(text.AsSpan(0, at), [flipped], text.AsSpan(at + 1));
    }

    static (int Start, int Length) Part(string text, Random random)
    {
        int start = random.Next(text.Length);
        return (start, random.Next(Math.Min(text.Length - start, random.Next(2) == 0 ? 20 : 1000)));
    }

    static string DuplicatePart(string text, Random random)
    {
        (int start, int length) = Part(text, random);
        string part = text.Substring(start, length);
        return text.Insert(start, string.Concat(Enumerable.Repeat(part, random.Next(10) == 0
            ? Math.Min(100, 10_000 / (length + 1)) : 1)));
    }

    static string RemovePart(string text, Random random)
    {
        (int start, int length) = Part(text, random);
        return text.Remove(start, length);
    }

    static string InsertWord(string text, Random random) =>
        text.Insert(random.Next(text.Length), $" {Words[random.Next(Words.Length)]} ");

    static string Splice(string text, Random random)
    {
        string other = Corpus[random.Next(Corpus.Length)];
        (int start, int length) = Part(other, random);
        return text.Insert(random.Next(text.Length), other.Substring(start, length));
    }

    static string ReplaceNumber(string text, Random random)
    {
        Match match = Number().Match(text, random.Next(text.Length));
        return match.Success
            ? text.Remove(match.Index, match.Length).Insert(match.Index,
                HostileNumbers[random.Next(HostileNumbers.Length)])
            : text;
    }

    static string ReplaceToken(string text, Random random)
    {
        Match match = Token().Match(text, random.Next(text.Length));
        Match other = Token().Match(text, random.Next(text.Length));
        return match.Success && other.Success ? text.Remove(match.Index, match.Length).Insert(match.Index,
            other.Value) : text;
    }

    static string SwapTokens(string text, Random random)
    {
        Match first = Token().Match(text, random.Next(text.Length));
        Match second = first.Success ? Token().Match(text, first.Index + first.Length) : first;
        if (!second.Success)
        {
            return text;
        }
        int between = first.Index + first.Length;
        return string.Concat(text.AsSpan(0, first.Index), second.Value, text.AsSpan(between, second.Index - between))
            + string.Concat(first.Value, text.AsSpan(second.Index + second.Length));
    }

    [GeneratedRegex(@"\b[0-9][0-9a-zA-Z.]*")]
    private static partial Regex Number();

    [GeneratedRegex(@"[.%]?[\w$]+|[^\s\w]")]
    private static partial Regex Token();

    [Test, Category("Quick")]
    public void ArbitraryText_FailsCleanly()
    {
        Prop.ForAll<string>(text => Try(text ?? "").Wrong is null && Try(Header + text).Wrong is null)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(2_000).WithReplay(SameEveryTime));
    }

    [Test, Category("Quick")]
    public void ArbitraryTokens_FailCleanly()
    {
        Gen<string> token = Gen.Elements(Words.Concat(HostileNumbers).Concat(["%p1", "add.s32", "a", "f", "%v.x",
            "0f3F800000"]).ToArray());
        Arbitrary<string> body = token.ListOf().Select(tokens => string.Join(' ', tokens)).ToArbitrary();
        Prop.ForAll(body, text => Try($"{Header}{text}").Wrong is null
                && Try($"{Header}.global .b32 a[2] = {text}").Wrong is null
                && Try($"{Header}.func f;.entry k {{ .reg .b32 %r<4>; .reg .pred %p<2>; {text}").Wrong is null
                && Try($"{Header}.entry k {{ .reg .b32 %r<4>; mov.b32 %r1, {text}").Wrong is null)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(3_000).WithReplay(SameEveryTime));
    }

    /// <summary>Much of one thing takes time and memory in proportion: eight times the text, at most about eight
    /// times the cost.</summary>
    [TestCase(".reg .b32 x#;", "")]
    [TestCase(".reg .b32 x#, y#, z#;", "")]
    [TestCase(".reg .b32 x#_<9>;", "")]
    [TestCase("{ .reg .b32 x; L: bra L; mov.b32 x, 1; }", "")]
    [TestCase("L#: bra END;", "END: ret;")]
    [TestCase("bra END;", "END: ret;")]
    [TestCase("/*\n*/", "")]
    [TestCase("// \n", "")]
    [TestCase(".local .b32 v#;", "")]
    [TestCase("mov.b32 a, -(1+2*3);", "")]
    [TestCase("T#: .branchtargets END, END;", "END: ret;")]
    [TestCase("P#: .callprototype _ (.param .b32 _);", "")]
    [TestCase("mov.b32 a, %r12345;", "")]
    [Category("Quick")]
    public void MuchOfOneThing_IsLinear(string piece, string end)
    {
        (TimeSpan time, long bytes) small = Cost(Text(4_000)), large = Cost(Text(32_000));
        Assert.That(large.bytes, Is.LessThan(10 * small.bytes + (1 << 20)));
        Assert.That(large.bytes, Is.LessThan(BytesPerCharacter * Text(32_000).Length + BytesForAnything));
        Assert.That(large.time, Is.LessThan(40 * small.time + TimeSpan.FromSeconds(1)));

        string Text(int count)
        {
            string open = string.Concat(Enumerable.Repeat("{", 60)), close = open.Replace('{', '}');
            StringBuilder text = new($"{Header}.entry k {{ .reg .b32 a; .reg .b32 %r<20000>; {open}\n");
            for (int i = 0; i < count; i++)
            {
                text.Append(piece.Replace("#", i.ToString())).Append('\n');
            }
            return text.Append($"{close}\n{end} }}").ToString();
        }
    }

    /// <summary>The time is the process's, so that other programs do not count.</summary>
    static (TimeSpan Time, long Bytes) Cost(string text)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        TimeSpan start = Environment.CpuUsage.TotalTime;
        Parser.Parse(text);
        return (Environment.CpuUsage.TotalTime - start, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
