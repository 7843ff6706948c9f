// HTML and SVG by interpolation: what is written in the text is markup, what is put in is text and escaped, numbers are
// written the same everywhere. Nothing a file, a name or a message contains can become markup.
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>Markup that may be put into other markup as it is.</summary>
internal readonly record struct Markup(string Text)
{
    /// <summary>From an interpolated text whose values are escaped.</summary>
    public static Markup Of(MarkupText text) => new(text.ToString());

    /// <summary>Several, one after the other.</summary>
    public static Markup Join(IEnumerable<Markup> parts, string between = "") =>
        new(string.Join(between, parts.Select(p => p.Text)));

    /// <summary>As text: nothing in it can be meant as markup, what XML does not allow is replaced.</summary>
    public static void Escape(StringBuilder to, ReadOnlySpan<char> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            bool isPair = char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            if (isPair) to.Append(c).Append(text[++i]);
            else if (char.IsSurrogate(c) || c is '\uFFFE' or '\uFFFF' || (c < ' ' && c is not ('\t' or '\n' or '\r')))
                to.Append('\uFFFD');
            else to.Append(c switch
            {
                '<' => "&lt;", '>' => "&gt;", '&' => "&amp;", '"' => "&quot;", '\'' => "&#39;", _ => null,
            } ?? c.ToString());
        }
    }

    public override string ToString() => Text;
}

/// <summary>Takes an interpolated text apart.</summary>
[InterpolatedStringHandler]
internal readonly struct MarkupText
{
    readonly StringBuilder _to;

    public MarkupText(int literalLength, int formattedCount) => _to = new(literalLength + 16 * formattedCount);

    public MarkupText(int literalLength, int formattedCount, StringBuilder to) => _to = to;

    public void AppendLiteral(string markup) => _to.Append(markup);

    public void AppendFormatted(Markup markup) => _to.Append(markup.Text);

    public void AppendFormatted<T>(T value, string? format = null) => Markup.Escape(_to, value is IFormattable number
        ? number.ToString(format, CultureInfo.InvariantCulture) : value?.ToString());

    public override string ToString() => _to.ToString();
}

/// <summary>A page as it grows.</summary>
internal sealed class MarkupPage
{
    public StringBuilder Text { get; } = new();

    /// <summary>Adds a line.</summary>
    public void Add([InterpolatedStringHandlerArgument("")] MarkupLine line) => _ = line;
}

/// <summary>Goes straight into the page.</summary>
[InterpolatedStringHandler]
internal readonly struct MarkupLine
{
    readonly MarkupText _text;
    readonly StringBuilder _to;

    public MarkupLine(int literalLength, int formattedCount, MarkupPage page)
    {
        _to = page.Text;
        if (_to.Length > 0) _to.Append('\n');
        _text = new MarkupText(literalLength, formattedCount, _to);
    }

    public void AppendLiteral(string markup) => _text.AppendLiteral(markup);

    public void AppendFormatted(Markup markup) => _text.AppendFormatted(markup);

    public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);
}
