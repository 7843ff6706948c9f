// Cuts PTX text into tokens. A dotted word (".global", ".L1::no_allocate", ".x") is one token, so that "ld.global.f32"
// is an identifier and two words; "%r1", "$L__BB0_1" and "_" are identifiers. Numbers carry their value. Each token
// knows its line and column. Linear in the text, allocates nothing; what is not PTX is an error here (PTX ISA 7.8,
// section 4).
using System.Globalization;

namespace EpSam.VirtualGpu.Ptx;

internal enum TokenKind : byte { End, Identifier, Word, Integer, Float, Single, String, Symbol }

internal struct Token
{
    public TokenKind Kind;
    public bool IsUnsigned;    // Integer: suffix U, or too large for a signed number
    public char Symbol;        // Symbol: the character; two-character operators have codes, Lexer.ShiftLeft…
    public int Start, Length;
    public int Line, Column;
    public ulong Bits;         // Integer: value; Single: 32 bits of a float; Float: 64 bits of a double

    public readonly SourcePosition Position => new(Line, Column);
    public readonly bool Is(char symbol) => Kind == TokenKind.Symbol && Symbol == symbol;
}

internal sealed class Lexer(string text)
{
    // codes of two-character operators: outside of ASCII, which no symbol of PTX is
    public const char ShiftLeft = '\u0100', ShiftRight = '\u0101', Equal = '\u0102', NotEqual = '\u0103';
    public const char LessEqual = '\u0104', GreaterEqual = '\u0105', And = '\u0106', Or = '\u0107';

    readonly string text = text;
    int position;
    int line = 1;
    int lineStart;

    public void Next(ref Token token)
    {
        SkipBlank();
        token.Start = position;
        token.Line = line;
        token.Column = position - lineStart + 1;
        token.IsUnsigned = false;
        if (position >= text.Length)
        {
            token.Kind = TokenKind.End;
            token.Length = 0;
            return;
        }
        char c = text[position];
        if (char.IsAsciiDigit(c))
        {
            Number(ref token);
        }
        else if (c == '.' && position + 1 < text.Length && IsNameCharacter(text[position + 1]))
        {
            token.Kind = TokenKind.Word;
            Word();
        }
        else if (IsNameCharacter(c) || (c == '%' && position + 1 < text.Length && IsNameCharacter(text[position + 1])))
        {
            token.Kind = TokenKind.Identifier;
            position++;
            SkipName();
        }
        else if (c == '"')
        {
            token.Kind = TokenKind.String;
            String();
        }
        else
        {
            Symbol(ref token, c);
        }
        token.Length = position - token.Start;
    }

    public static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$';

    void SkipName()
    {
        while (position < text.Length && IsNameCharacter(text[position]))
        {
            position++;
        }
    }

    void Word()
    {
        position++;
        SkipName();
        while (position + 2 < text.Length && text[position] == ':' && text[position + 1] == ':'
               && IsNameCharacter(text[position + 2]))
        {
            position += 2;
            SkipName();
        }
    }

    void SkipBlank()
    {
        while (position < text.Length)
        {
            char c = text[position];
            if (c == '\n')
            {
                position++;
                line++;
                lineStart = position;
            }
            else if (c is ' ' or '\t' or '\r' or '\f' or '\v')
            {
                position++;
            }
            else if (c == '/' && position + 1 < text.Length && text[position + 1] == '/')
            {
                int end = text.IndexOf('\n', position);
                position = end < 0 ? text.Length : end;
            }
            else if (c == '/' && position + 1 < text.Length && text[position + 1] == '*')
            {
                BlockComment();
            }
            else if (c == '\0' && text.AsSpan(position).TrimEnd('\0').IsEmpty)
            {
                position = text.Length;   // the terminator that cuModuleLoadData's text ends with
            }
            else
            {
                return;
            }
        }
    }

    void BlockComment()
    {
        SourcePosition start = new(line, position - lineStart + 1);
        int end = text.IndexOf("*/", position + 2, StringComparison.Ordinal);
        if (end < 0)
        {
            throw new PtxException("this comment is never closed: '*/' expected before the end of the text", start);
        }
        for (int i = text.IndexOf('\n', position, end - position); i >= 0; i = text.IndexOf('\n', i + 1, end - i - 1))
        {
            line++;
            lineStart = i + 1;
        }
        position = end + 2;
    }

    void String()
    {
        int end = text.AsSpan(position + 1).IndexOfAny('"', '\n');
        if (end < 0 || text[position + 1 + end] == '\n')
        {
            throw Error("this string is never closed: '\"' expected before the end of the line", position);
        }
        position += end + 2;
    }

    void Symbol(ref Token token, char c)
    {
        token.Kind = TokenKind.Symbol;
        char next = position + 1 < text.Length ? text[position + 1] : '\0';
        char two = (c, next) switch
        {
            ('<', '<') => ShiftLeft,
            ('>', '>') => ShiftRight,
            ('=', '=') => Equal,
            ('!', '=') => NotEqual,
            ('<', '=') => LessEqual,
            ('>', '=') => GreaterEqual,
            ('&', '&') => And,
            ('|', '|') => Or,
            _ => '\0',
        };
        if (two == '\0' && !"{}[](),;:=<>|&^~!?+-*/%@.".Contains(c))
        {
            throw Error(c == '\0' ? "a NUL character stands in the middle of the text" : BadCharacter(c), position);
        }
        token.Symbol = two == '\0' ? c : two;
        position += two == '\0' ? 1 : 2;
    }

    static string BadCharacter(char c) => c is > ' ' and < '\x7f'
        ? $"the character '{c}' has no meaning here in PTX"
        : $"the character U+{(int)c:X4} is not allowed in PTX outside of comments";

    void Number(ref Token token)
    {
        int start = position;
        char second = position + 1 < text.Length ? (char)(text[position + 1] | 0x20) : '\0';
        if (text[position] == '0' && (second is 'f' or 'd'))
        {
            ExactFloat(ref token, second == 'f' ? 8 : 16);
        }
        else if (text[position] == '0' && (second is 'x' or 'b'))
        {
            position += 2;
            Integer(ref token, start, second == 'x' ? 16u : 2u);
        }
        else if (!TryDecimalFloat(ref token))
        {
            bool octal = text[position] == '0' && position + 1 < text.Length && char.IsAsciiDigit(text[position + 1]);
            position += octal ? 1 : 0;
            Integer(ref token, start, octal ? 8u : 10u);
        }
        if (position < text.Length && IsNameCharacter(text[position]))
        {
            SkipName();
            throw Error($"'{Excerpt(start)}' is not a number", start);
        }
    }

    /// <summary>0f and 8 hexadecimal digits, or 0d and 16: the bits of the value.</summary>
    void ExactFloat(ref Token token, int digits)
    {
        int start = position;
        position += 2;
        SkipName();
        if (position - start - 2 != digits
            || !ulong.TryParse(text.AsSpan(start + 2, digits), NumberStyles.AllowHexSpecifier, null, out token.Bits))
        {
            throw Error($"'{Excerpt(start)}' is not a number: {text.Substring(start, 2)} and exactly {digits} " +
                        "hexadecimal digits expected", start);
        }
        token.Kind = digits == 8 ? TokenKind.Single : TokenKind.Float;
    }

    bool TryDecimalFloat(ref Token token)
    {
        int start = position, end = position;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }
        bool isFloat = false;
        if (end + 1 < text.Length && text[end] == '.'
            && !(IsNameCharacter(text[end + 1]) && !char.IsAsciiDigit(text[end + 1])))
        {
            isFloat = true;
            end++;
            while (end < text.Length && char.IsAsciiDigit(text[end]))
            {
                end++;
            }
        }
        if (end + 1 < text.Length && (text[end] | 0x20) == 'e')
        {
            int exponent = text[end + 1] is '+' or '-' ? end + 2 : end + 1;
            int last = exponent;
            while (last < text.Length && char.IsAsciiDigit(text[last]))
            {
                last++;
            }
            isFloat |= last > exponent;
            end = last > exponent ? last : end;
        }
        if (!isFloat)
        {
            return false;
        }
        position = end;
        if (end - start > PtxLimits.NumberLength)
        {
            throw Error($"a number of more than {PtxLimits.NumberLength} characters", start);
        }
        double value = double.Parse(text.AsSpan(start, end - start), NumberStyles.Float, CultureInfo.InvariantCulture);
        if (double.IsInfinity(value))
        {
            throw Error($"'{Excerpt(start)}' is out of the range of a 64-bit floating-point number", start);
        }
        token.Kind = TokenKind.Float;
        token.Bits = BitConverter.DoubleToUInt64Bits(value);
        return true;
    }

    void Integer(ref Token token, int start, uint radix)
    {
        ulong value = 0;
        bool overflow = false;
        int first = position;
        for (; position < text.Length; position++)
        {
            uint digit = Digit(text[position]);
            if (digit >= radix)
            {
                break;
            }
            UInt128 next = (UInt128)value * radix + digit;
            overflow |= next > ulong.MaxValue;
            value = (ulong)next;
        }
        bool empty = position == first;
        token.IsUnsigned = value > long.MaxValue;
        if (!empty && position < text.Length && text[position] == 'U')
        {
            token.IsUnsigned = true;
            position++;
        }
        if (empty || (position < text.Length && IsNameCharacter(text[position])))
        {
            SkipName();
            string kind = radix switch { 2 => "a binary number", 8 => "an octal number", 16 => "a hexadecimal number",
                _ => "a number" };
            throw Error($"'{Excerpt(start)}' is not {kind}", start);
        }
        if (overflow)
        {
            throw Error($"{Excerpt(start)} does not fit in 64 bits", start);
        }
        token.Kind = TokenKind.Integer;
        token.Bits = value;
    }

    static uint Digit(char c) => c switch
    {
        >= '0' and <= '9' => (uint)(c - '0'),
        >= 'a' and <= 'f' => (uint)(c - 'a' + 10),
        >= 'A' and <= 'F' => (uint)(c - 'A' + 10),
        _ => uint.MaxValue,
    };

    string Excerpt(int start) => position - start <= 40 ? text[start..position] : text.Substring(start, 40) + "…";

    PtxException Error(string message, int at) => new(message, new(line, at - lineStart + 1));
}
