// One kernel argument as written on the command line.
//   TYPE:VALUE[,VALUE…]   by value: u8..u64 s8..s64 b8..b64 f16 bf16 f32 f64; several values fill an array or struct
//   in:FILE               a device buffer with the file's bytes
//   out:BYTES:FILE        a device buffer that nothing has written; saved to FILE when the kernel has succeeded
//   inout:FILE:FILE       a buffer read from the first file and saved to the second
// Integers are decimal or 0x hexadecimal. Floats are decimal, inf, -inf, nan, or 0x with the bits of the format.
// A value that does not fit its type is an error, never wrapped or clamped.
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;

namespace EpSam.Cli;

internal abstract record ArgumentSpec(string Text)
{
    const string Forms = "TYPE:VALUE, in:FILE, out:BYTES:FILE or inout:FILE:FILE";

    /// <summary>Values passed in the parameter itself.</summary>
    internal sealed record Value(string Text, byte[] Bytes) : ArgumentSpec(Text);

    /// <summary>A device buffer, passed as a 64-bit address. Size counts only where nothing is read.</summary>
    internal sealed record Buffer(string Text, string? Input, long Size, string? Output) : ArgumentSpec(Text);

    /// <summary>Throws <see cref="UserError"/> (usage) with the text, what is expected and what is wrong.</summary>
    public static ArgumentSpec Parse(string text)
    {
        int colon = text.IndexOf(':');
        if (colon <= 0) throw Wrong(text, $"expected {Forms}");
        string kind = text[..colon], rest = text[(colon + 1)..];
        switch (kind)
        {
            case "in":
                if (rest.Length == 0) throw Wrong(text, "expected in:FILE");
                return new Buffer(text, rest, 0, null);
            case "out":
                return ParseOut(text, rest);
            case "inout":
                (string from, string to) = SplitPaths(text, rest);
                return new Buffer(text, from, 0, to);
            default:
                return new Value(text, ParseValues(text, kind, rest));
        }
    }

    static Buffer ParseOut(string text, string rest)
    {
        int colon = rest.IndexOf(':');
        if (colon <= 0 || colon == rest.Length - 1) throw Wrong(text, "expected out:BYTES:FILE");
        string size = rest[..colon];
        if (!TryInteger(size, out BigInteger bytes)) throw Wrong(text, $"'{size}' is not a number of bytes");
        if (bytes < 1 || bytes > long.MaxValue) throw Wrong(text, $"the size must be 1 byte to 2^63-1, not {size}");
        return new Buffer(text, null, (long)bytes, rest[(colon + 1)..]);
    }

    // One colon parts the two paths; the colon of a Windows drive ("C:\…") does not count.
    static (string From, string To) SplitPaths(string text, string rest)
    {
        List<int> colons = [];
        int start = 0;
        for (int i = 0; i < rest.Length; i++)
        {
            if (rest[i] != ':') continue;
            bool isDrive = i == start + 1 && char.IsAsciiLetter(rest[start]) && i + 1 < rest.Length
                && rest[i + 1] is '\\' or '/';
            if (isDrive && OperatingSystem.IsWindows()) continue;
            colons.Add(i);
            start = i + 1;
        }
        if (colons.Count != 1 || colons[0] == 0 || colons[0] == rest.Length - 1)
            throw Wrong(text, "expected inout:INPUT:OUTPUT, two paths without a colon in them");
        return (rest[..colons[0]], rest[(colons[0] + 1)..]);
    }

    static byte[] ParseValues(string text, string type, string rest)
    {
        int bits = type switch
        {
            "u8" or "s8" or "b8" => 8,
            "u16" or "s16" or "b16" or "f16" or "bf16" => 16,
            "u32" or "s32" or "b32" or "f32" => 32,
            "u64" or "s64" or "b64" or "f64" => 64,
            _ => throw Wrong(text,
                $"unknown type '{type}'; types are u8 to u64, s8 to s64, b8 to b64, f16, bf16, f32, f64; "
                + $"expected {Forms}"),
        };
        string[] values = rest.Split(',');
        byte[] bytes = new byte[values.Length * bits / 8];
        Span<byte> eight = stackalloc byte[8];
        for (int i = 0; i < values.Length; i++)
        {
            ulong value = type.Contains('f') ? FloatBits(text, type, bits, values[i])
                : IntegerBits(text, type, bits, values[i]);
            BinaryPrimitives.WriteUInt64LittleEndian(eight, value);
            eight[..(bits / 8)].CopyTo(bytes.AsSpan(i * bits / 8));
        }
        return bytes;
    }

    static ulong IntegerBits(string text, string type, int bits, string value)
    {
        if (!TryInteger(value, out BigInteger integer)) throw Wrong(text, $"'{value}' is not an integer");
        BigInteger low = type[0] == 'u' ? 0 : -(BigInteger.One << (bits - 1));
        BigInteger high = (BigInteger.One << (type[0] == 's' ? bits - 1 : bits)) - 1;
        if (integer < low || integer > high)
            throw Wrong(text, $"{value} does not fit {type}, which holds {low} to {high}");
        return (ulong)(integer & ulong.MaxValue);
    }

    static ulong FloatBits(string text, string type, int bits, string value)
    {
        if (value.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return IntegerBits(text, "b" + bits, bits, value);
        double number = value switch
        {
            "inf" or "+inf" => double.PositiveInfinity,
            "-inf" => double.NegativeInfinity,
            "nan" => double.NaN,
            _ => double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double parsed)
                    && double.IsFinite(parsed) ? parsed : throw Wrong(text, $"'{value}' is not a number that fits f64"),
        };
        ulong result = type switch
        {
            "f64" => BitConverter.DoubleToUInt64Bits(number),
            // Finite values are read again from the text: over double they would be rounded twice.
            "f32" => BitConverter.SingleToUInt32Bits(
                double.IsFinite(number) ? float.Parse(value, NumberStyles.Float, CultureInfo.InvariantCulture)
                    : (float)number),
            "f16" => BitConverter.HalfToUInt16Bits(
                double.IsFinite(number) ? Half.Parse(value, NumberStyles.Float, CultureInfo.InvariantCulture)
                    : (Half)number),
            _ => BFloat16Bits(number),
        };
        ulong exponent = type switch
        {
            "f64" => 0x7FFul << 52,
            "f32" => 0xFFul << 23,
            "f16" => 0x1Ful << 10,
            _ => 0xFFul << 7,
        };
        if (double.IsFinite(number) && (result & exponent) == exponent)
            throw Wrong(text, $"{value} is too large for {type}");
        return result;
    }

    // To the nearest bfloat16, ties to even. The detour over float must not round twice: round it to odd.
    static ulong BFloat16Bits(double number)
    {
        if (double.IsNaN(number)) return 0x7FC0;
        float nearest = (float)number;
        uint bits = BitConverter.SingleToUInt32Bits(nearest);
        if (nearest != number && float.IsFinite(nearest))
        {
            if (Math.Abs(nearest) > Math.Abs(number)) bits--;
            bits |= 1;
        }
        return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    }

    static bool TryInteger(string value, out BigInteger integer)
    {
        integer = default;
        bool negative = value.StartsWith('-');
        string digits = negative ? value[1..] : value;
        if (digits.Length is 0 or > 40) return false;
        bool isHex = digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        bool ok = isHex    // the leading 0 keeps BigInteger from reading a sign into the top digit
            ? BigInteger.TryParse("0" + digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out integer)
              && digits.Length > 2
            : BigInteger.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out integer);
        if (negative) integer = -integer;
        return ok;
    }

    static UserError Wrong(string text, string what) => UserError.Usage($"--arg {text}: {what}");
}
