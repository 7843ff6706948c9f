// What the parser takes although no user can have meant it: where several files may be given, a mistyped option is one
// more file; and "0,5" is 5, for a comma parts thousands. An empty value is that of a script's unset variable. The
// parser's messages for values that are none name types of .NET; these say what is expected.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;

namespace EpSam.Cli;

internal static class Misreading
{
    /// <summary>What is wrong with a command line that the parser has nothing against; null: nothing.</summary>
    public static string? Of(ParseResult parsed) => parsed.Action is HelpAction ? null
        : parsed.CommandResult.Children.Select(OfOne).FirstOrDefault(wrong => wrong is not null);

    static string? OfOne(SymbolResult given)
    {
        Type? type = given is OptionResult option ? option.Option.ValueType : null;
        string begin = type is null ? "-" : "--";   // values of options may be negative
        bool isFree = type is null || type.IsArray;
        foreach (string value in given.Tokens.Select(t => t.Value))
        {
            if (value.Length == 0) return $"{Name(given)}: an empty value";
            if (isFree && value.StartsWith(begin, StringComparison.Ordinal) && !Path.Exists(value))
                return $"unknown option {value} (a file of that name is ./{value})";
            if ((Nullable.GetUnderlyingType(type ?? typeof(string)) ?? type) == typeof(double) && value.Contains(','))
                return $"{Name(given)} {value}: expected a number with a point, as {value.Replace(',', '.')}";
        }
        return null;
    }

    /// <summary>The parser's message, or one of ours where that names a type.</summary>
    public static string Message(ParseError error)
    {
        Type? type = error.SymbolResult switch
        {
            OptionResult option => option.Option.ValueType,
            ArgumentResult { Parent: OptionResult option } => option.Option.ValueType,
            _ => null,
        };
        if (type is null || !error.Message.StartsWith("Cannot parse", StringComparison.Ordinal)) return error.Message;
        type = Nullable.GetUnderlyingType(type) ?? type;
        string expected = type == typeof(double) ? "a number"
            : type == typeof(int) ? $"a whole number, at most {int.MaxValue}"
            : type == typeof(uint) ? $"a whole number, 0 to {uint.MaxValue}"
            : type == typeof(ulong) ? $"a whole number, 0 to {ulong.MaxValue}" : "another value";
        string? value = error.SymbolResult!.Tokens.FirstOrDefault()?.Value;
        return $"{Name(error.SymbolResult)} '{value}': expected {expected}";
    }

    static string Name(SymbolResult given) => given switch
    {
        OptionResult option => option.Option.Name,
        { Parent: OptionResult option } => option.Option.Name,
        ArgumentResult argument => argument.Argument.Name,
        _ => "",
    };
}
