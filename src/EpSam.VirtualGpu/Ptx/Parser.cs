// PTX text to syntax tree (Syntax.cs), for PTX ISA 1.0 to 7.8 as compilers emit it and people write it. One pass by
// recursive descent whose depth is bounded (PtxLimits), linear in the text, memory in proportion to the text.
// Names are resolved as they are read; only labels wait for the end of their scope. The first error ends it, as a
// PtxException with line and column. Which instructions exist is checked by Instructions.cs and the lane table.
using System.Diagnostics.CodeAnalysis;

namespace EpSam.VirtualGpu.Ptx;

internal static class Parser
{
    /// <summary>The module that the text describes; trailing NULs are ignored.</summary>
    /// <exception cref="PtxException">The text is not a module that this virtual GPU can load.</exception>
    public static PtxModule Parse(string text)
    {
        if (text.Length > PtxLimits.SourceLength)
        {
            throw new PtxException($"a module of {text.Length} characters; at most {PtxLimits.SourceLength} are read",
                new(1, 1));
        }
        return new ModuleParser(text).Module();
    }
}

/// <summary>The parser's state and what all parts of it use: the current token, expectations, errors.</summary>
internal sealed partial class ModuleParser
{
    readonly string text;
    readonly Lexer lexer;
    readonly HashSet<string> strings = [];
    readonly PtxModule module = new();
    readonly Scope globals = new(null, new(1, 1));
    Token token;       // the current one, not yet consumed
    Scope scope;       // the innermost
    PtxFunction? function;

    public ModuleParser(string text)
    {
        this.text = text;
        lexer = new Lexer(text);
        scope = globals;
        lexer.Next(ref token);
    }

    void Advance() => lexer.Next(ref token);

    ReadOnlySpan<char> Text => text.AsSpan(token.Start, token.Length);

    /// <summary>One string object per spelling: opcodes, modifiers and labels repeat a lot.</summary>
    string Intern(ReadOnlySpan<char> span)
    {
        HashSet<string>.AlternateLookup<ReadOnlySpan<char>> lookup = strings.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!lookup.TryGetValue(span, out string? found))
        {
            found = span.ToString();
            strings.Add(found);
        }
        return found;
    }

    bool IsWord(string word) => token.Kind == TokenKind.Word && Text.SequenceEqual(word);

    bool Accept(char symbol)
    {
        if (!token.Is(symbol))
        {
            return false;
        }
        Advance();
        return true;
    }

    bool AcceptWord(string word)
    {
        if (!IsWord(word))
        {
            return false;
        }
        Advance();
        return true;
    }

    void Expect(char symbol, string where)
    {
        if (!Accept(symbol))
        {
            throw Expected($"'{symbol}' {where}");
        }
    }

    string ExpectName(string what)
    {
        if (token.Kind != TokenKind.Identifier)
        {
            throw Expected(what);
        }
        CheckNameLength();
        string name = Intern(Text);
        Advance();
        return name;
    }

    void CheckNameLength()
    {
        if (token.Length > PtxLimits.NameLength)
        {
            throw Error($"a name of {token.Length} characters; at most {PtxLimits.NameLength} are allowed",
                token.Position);
        }
    }

    /// <summary>A plain integer in a directive, within bounds.</summary>
    long ExpectInteger(string what, long low, long high)
    {
        Token start = token;
        Constant value = ConstantExpression(what);
        if (value.IsFloat || (value.IsUnsigned && value.Bits > long.MaxValue) || (long)value.Bits < low
            || (long)value.Bits > high)
        {
            throw Error($"{what} must be a whole number from {low} to {high}, not {value}", start.Position);
        }
        return (long)value.Bits;
    }

    /// <summary>The error "X expected, Y found" at the current token.</summary>
    PtxException Expected(string what) => Error($"{what} expected, found {Found()}", token.Position);

    string Found() => token.Kind switch
    {
        TokenKind.End => "the end of the text",
        TokenKind.String => "a string",
        _ => $"'{Excerpt(Text)}'",
    };

    static string Excerpt(ReadOnlySpan<char> span) => span.Length <= 60 ? span.ToString()
        : string.Concat(span[..60], "…");

    PtxException Error(string message, SourcePosition position) => new(message, position, SourceLine(position));

    /// <summary>The line an error is in, for the message; long lines are cut round the place.</summary>
    string? SourceLine(SourcePosition position)
    {
        int start = 0;
        for (int line = 1; line < position.Line; line++)
        {
            start = text.IndexOf('\n', start) + 1;
        }
        int end = text.IndexOf('\n', start);
        ReadOnlySpan<char> all = text.AsSpan(start, (end < 0 ? text.Length : end) - start);
        if (all.Length > 160)
        {
            int first = Math.Clamp(position.Column - 80, 0, all.Length - 160);
            all = all.Slice(first, 160);
        }
        all = all.Trim(" \t\r\0");
        return all.IsEmpty ? null : all.ToString();
    }

    [DoesNotReturn]
    void Fail(string message, SourcePosition position) => throw Error(message, position);
}
