// What the integer, bit, compare and select instructions give, worked out in BigInteger and bit by bit from the
// semantics sections of the PTX ISA, apart from the code under test. Operands are raw register contents: parts beyond
// the operand's type are ignored here, as they must be there.
using System.Numerics;

namespace EpSam.VirtualGpu.Tests.Lanes;

internal static class IntegerReference
{
    /// <summary>The result as raw bits, or null when the instruction is none of these.</summary>
    public static ulong? Evaluate(string key, ulong[] raw)
    {
        string[] parts = key.Split('.');
        bool carry = parts[^1] == "carry";
        string type = carry ? parts[^2] : parts[^1];
        string mode = parts[1];
        bool sat = parts.Contains("sat");
        if (parts[0] is "slct") type = parts[1];
        if (parts[0] is "shl" or "shr" or "and" or "or" or "xor" or "not" or "cnot" or "prmt") type = parts[1];
        if (!int.TryParse(type.AsSpan(1), out int width)) return null;
        bool signed = type[0] == 's';
        BigInteger U(int i, int w = 0) => Unsigned(raw[i], w == 0 ? width : w);
        BigInteger N(int i) => signed ? Signed(raw[i], width) : U(i);
        ulong Bits(BigInteger x, int w = 0) => (ulong)Unsigned(x, w == 0 ? width : w);
        BigInteger Clamp(BigInteger x) => BigInteger.Min(BigInteger.Max(x, -(1L << 31)), (1L << 31) - 1);

        switch (parts[0])
        {
            case "add":
                return carry ? Bits((U(0) + U(1)) >> width) : Bits(sat ? Clamp(N(0) + N(1)) : N(0) + N(1));
            case "addc":
                return Bits(carry ? (U(0) + U(1) + U(2, 1)) >> width : U(0) + U(1) + U(2, 1));
            case "sub":
                return carry ? (U(0) < U(1) ? 1u : 0) : Bits(sat ? Clamp(N(0) - N(1)) : N(0) - N(1));
            case "subc":
                BigInteger difference = U(0) - U(1) - U(2, 1);
                return carry ? (difference < 0 ? 1u : 0) : Bits(difference);
            case "mul":
                return mode == "wide" ? Bits(N(0) * N(1), 2 * width) : Bits(Part(mode, N(0) * N(1), width));
            case "mad" when mode == "wide":
                return Bits(N(0) * N(1) + Unsigned(raw[2], 2 * width), 2 * width);
            case "mad" or "madc":
                BigInteger product = Part(mode, N(0) * N(1), width);
                if (sat) return Bits(Clamp(product + N(2)));
                BigInteger sum = Unsigned(product, width) + U(2) + (parts[0] == "madc" ? U(3, 1) : 0);
                return Bits(carry ? sum >> width : sum);
            case "mul24" or "mad24":
                BigInteger p24 = signed ? Signed(raw[0], 24) * Signed(raw[1], 24) : U(0, 24) * U(1, 24);
                if (mode == "hi") p24 >>= 16;
                if (parts[0] == "mul24") return Bits(p24);
                return Bits(sat ? Clamp(Signed(p24, 32) + N(2)) : p24 + N(2));
            case "sad": return Bits(N(2) + BigInteger.Abs(N(0) - N(1)));
            case "div": return Bits(U(1) == 0 ? -1 : BigInteger.Divide(N(0), N(1)));
            case "rem": return Bits(U(1) == 0 ? -1 : BigInteger.Remainder(N(0), N(1)));
            case "abs": return Bits(BigInteger.Abs(N(0)));
            case "neg": return Bits(-N(0));
            case "min": return Bits(BigInteger.Min(N(0), N(1)));
            case "max": return Bits(BigInteger.Max(N(0), N(1)));
            case "and": return Bits(U(0) & U(1));
            case "or": return Bits(U(0) | U(1));
            case "xor": return Bits(U(0) ^ U(1));
            case "not": return Bits(-1 - U(0));
            case "cnot": return U(0) == 0 ? 1u : 0;
            case "shl": return Bits(U(0) << (int)BigInteger.Min(U(1, 32), 64));
            case "shr": return Bits(N(0) >> (int)BigInteger.Min(U(1, 32), 64));
            case "setp": return Compare(mode, N(0), N(1)) ? 1u : 0;
            case "selp": return (raw[2] & 1) != 0 ? Bits(U(0)) : Bits(U(1));
            case "slct":
                return Bits(U(Signed(raw[2], 32) >= 0 ? 0 : 1));
            case "cvt":
                string from = parts[2];
                int fromWidth = int.Parse(from.AsSpan(1));
                return (ulong)Unsigned(from[0] == 's' ? Signed(raw[0], fromWidth) : Unsigned(raw[0], fromWidth),
                    int.Parse(parts[1].AsSpan(1)));
            default: return BitField(parts, raw, width, signed);
        }
    }

    static ulong? BitField(string[] parts, ulong[] raw, int width, bool signed)
    {
        bool A(int i) => (raw[0] >> i & 1) != 0;
        int msb = width - 1;
        BigInteger d = 0;
        int Byte(int i) => (int)(raw[i] & 255);
        switch (parts[0])
        {
            case "popc": return (ulong)Enumerable.Range(0, width).Count(A);
            case "clz":
                int zeros = 0;
                while (zeros < width && !A(msb - zeros)) zeros++;
                return (ulong)zeros;
            case "bfind":
                bool sign = signed && A(msb);
                int found = Enumerable.Range(0, width).LastOrDefault(i => A(i) != sign, -1);
                return found < 0 ? uint.MaxValue : (ulong)(parts[1] == "shiftamt" ? msb - found : found);
            case "brev": return (ulong)Sum(width, i => A(msb - i));
            case "bfe":
                bool fill = signed && Byte(2) != 0 && A(Math.Min(Byte(1) + Byte(2) - 1, msb));
                return (ulong)Sum(width, i => i < Byte(2) && Byte(1) + i <= msb ? A(Byte(1) + i) : fill);
            case "bfi":
                return (ulong)Sum(width, i => i >= Byte(2) && i < Byte(2) + Byte(3)
                    ? A(i - Byte(2)) : (raw[1] >> i & 1) != 0);
            case "fns": return Fns((uint)raw[0], (int)raw[1], (int)raw[2]);
            case "lop3":
                return (ulong)Sum(32, i => (raw[3] >> (int)(4 * (raw[0] >> i & 1) + 2 * (raw[1] >> i & 1)
                    + (raw[2] >> i & 1)) & 1) != 0);
            case "prmt": return Prmt(parts.Length == 2 ? "" : parts[2], (uint)raw[0], (uint)raw[1], (uint)raw[2]);
            case "shf":
                uint amount = parts[2] == "wrap" ? (uint)raw[2] % 32 : Math.Min((uint)raw[2], 32);
                d = (Unsigned(raw[1], 32) << 32) + Unsigned(raw[0], 32);
                return (ulong)Unsigned(parts[1] == "l" ? (d << (int)amount) >> 32 : d >> (int)amount, 32);
            case "bmsk":
                long from = Limit(parts[1], raw[0]), count = Limit(parts[1], raw[1]);
                return (ulong)Sum(32, i => i >= from && i < from + count);
            case "szext":
                long n = Limit(parts[1], raw[1]);
                return n == 0 ? 0 : (ulong)Sum(32, i => i < n ? A(i) : signed && A((int)n - 1));
            case "dp4a":
                for (int i = 0; i < 4; i++) d += Element(raw[0], parts[1], i, 8) * Element(raw[1], parts[2], i, 8);
                return (ulong)Unsigned(d + raw[2], 32);
            case "dp2a":
                int half = parts[1] == "hi" ? 2 : 0;
                for (int i = 0; i < 2; i++)
                    d += Element(raw[0], parts[2], i, 16) * Element(raw[1], parts[3], half + i, 8);
                return (ulong)Unsigned(d + raw[2], 32);
            default: return null;
        }
    }

    static BigInteger Unsigned(BigInteger x, int width) => x & ((BigInteger.One << width) - 1);

    static BigInteger Signed(BigInteger x, int width)
    {
        x = Unsigned(x, width);
        return x >> (width - 1) == 0 ? x : x - (BigInteger.One << width);
    }

    static BigInteger Part(string mode, BigInteger product, int width) => mode == "hi" ? product >> width : product;

    static BigInteger Sum(int width, Func<int, bool> bit) =>
        Enumerable.Range(0, width).Where(bit).Aggregate(BigInteger.Zero, (sum, i) => sum + (BigInteger.One << i));

    static bool Compare(string op, BigInteger a, BigInteger b) => op switch
    {
        "eq" => a == b,
        "ne" => a != b,
        "lt" or "lo" => a < b,
        "le" or "ls" => a <= b,
        "gt" or "hi" => a > b,
        "ge" or "hs" => a >= b,
        _ => throw new ArgumentException(op),
    };

    static long Limit(string mode, ulong n) => mode == "wrap" ? (uint)n % 32 : Math.Min((uint)n, 32);

    static BigInteger Element(ulong x, string type, int i, int width) =>
        type[0] == 's' ? Signed(x >> width * i, width) : Unsigned(x >> width * i, width);

    static ulong Fns(uint mask, int start, int offset)
    {
        if (offset == 0) return start is >= 0 and < 32 && (mask >> start & 1) != 0 ? (uint)start : uint.MaxValue;
        int position = start, step = offset > 0 ? 1 : -1;
        long count = Math.Abs((long)offset) - 1;
        while (position is >= 0 and < 32)
        {
            if ((mask >> position & 1) != 0)
            {
                if (count == 0) return (uint)position;
                count--;
            }
            position += step;
        }
        return uint.MaxValue;
    }

    static ulong Prmt(string mode, uint a, uint b, uint c)
    {
        // The ISA's table: bytes of d from d.b3 down to d.b0, for c & 3 = 0, 1, 2, 3.
        string[]? table = mode switch
        {
            "f4e" => ["3210", "4321", "5432", "6543"],
            "b4e" => ["5670", "6701", "7012", "0123"],
            "rc8" => ["0000", "1111", "2222", "3333"],
            "ecl" => ["3210", "3211", "3222", "3333"],
            "ecr" => ["0000", "1110", "2210", "3210"],
            "rc16" => ["1010", "3232", "1010", "3232"],
            _ => null,
        };
        byte[] source = [.. BitConverter.GetBytes(a), .. BitConverter.GetBytes(b)];
        ulong d = 0;
        for (int i = 0; i < 4; i++)
        {
            uint selector = table is null ? c >> 4 * i & 15 : (uint)(table[c & 3][3 - i] - '0');
            byte value = source[selector & 7];
            if (selector >= 8) value = value >= 128 ? (byte)255 : (byte)0;
            d |= (ulong)value << 8 * i;
        }
        return d;
    }
}
