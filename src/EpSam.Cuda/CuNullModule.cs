// What the null provider knows of a module: its text. Entries are looked up so that a misspelt kernel is found without
// a GPU; module variables are given fake addresses and their initial values, integers only, as tile sizes need.
using System.Globalization;
using System.Text.RegularExpressions;

namespace EpSam.Cuda;

/// <summary>A module of the null provider.</summary>
internal sealed class CuNullModule(CuNull owner, string text)
{
    readonly Dictionary<string, (ulong Address, byte[] Value)?> _variables = [];

    public CuNull Owner { get; } = owner;

    public bool HasEntry(string name) =>
        Regex.IsMatch(text, $@"\.entry\s+{Regex.Escape(name)}(?![\w$])", RegexOptions.CultureInvariant);

    /// <summary>Address and initial bytes of a .global or .const variable; null when there is none.</summary>
    public (ulong Address, byte[] Value)? Variable(string name)
    {
        lock (_variables)
        {
            if (!_variables.TryGetValue(name, out (ulong Address, byte[] Value)? variable))
                _variables[name] = variable = Find(name);
            return variable;
        }
    }

    (ulong Address, byte[] Value)? Find(string name)
    {
        Match match = Regex.Match(text,
            $@"\.(?:global|const)\b[^;={{]*?\.[busf](?<bits>8|16|32|64)\s+{Regex.Escape(name)}(?![\w$])"
            + @"\s*(?<count>\[\d*\])?\s*(?:=\s*(?<value>[^;]+))?;", RegexOptions.CultureInvariant);
        if (!match.Success) return null;
        int size = int.Parse(match.Groups["bits"].ValueSpan, CultureInfo.InvariantCulture) / 8;
        string[] items = match.Groups["value"].Value.Split(['{', '}', ',', ' ', '\t', '\r', '\n'],
            StringSplitOptions.RemoveEmptyEntries);
        int count = int.TryParse(match.Groups["count"].ValueSpan.Trim("[]"), out int n) ? n : Math.Max(1, items.Length);
        byte[] value = new byte[(long)size * count];
        for (int i = 0; i < Math.Min(items.Length, count); i++)
        {
            for (int b = 0; b < size; b++) value[(i * size) + b] = (byte)(Integer(items[i]) >> (8 * b));
        }
        return Owner.Allocate(Math.Max(1, value.Length), out ulong address) == CUresult.CUDA_SUCCESS
            ? (address, value)
            : null;
    }

    // PTX integers: 12, -3, 0x1F, 017, 0b101, with an optional U at the end. Anything else counts as 0.
    static long Integer(string literal)
    {
        string digits = literal.TrimEnd('U').TrimStart('-');
        long value = digits switch
        {
            _ when digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase) => Parse(digits[2..], 16),
            _ when digits.StartsWith("0b", StringComparison.OrdinalIgnoreCase) => Parse(digits[2..], 2),
            _ when digits.Length > 1 && digits[0] == '0' => Parse(digits[1..], 8),
            _ => Parse(digits, 10),
        };
        return literal.StartsWith('-') ? -value : value;
    }

    static long Parse(string digits, int radix)
    {
        long value = 0;
        foreach (char c in digits)
        {
            int digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : radix;
            if (digit >= radix) return 0;
            value = unchecked((value * radix) + digit);
        }
        return value;
    }
}
