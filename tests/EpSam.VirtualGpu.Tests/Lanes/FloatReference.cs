// The independent reference for floating-point lane methods: exact numbers m * 2^e with BigInteger m, and rounding by
// bisection over a format's bit patterns (which are ordered like the magnitudes they stand for). It shares nothing with
// the code under test, neither the arithmetic nor the way of rounding.
using System.Numerics;

namespace EpSam.VirtualGpu.Tests.Lanes;

/// <summary>An exact binary number.</summary>
internal readonly record struct Exact(BigInteger M, int E)
{
    public int Sign => M.Sign;

    public static Exact operator +(Exact a, Exact b)
    {
        int e = Math.Min(a.E, b.E);
        return new((a.M << (a.E - e)) + (b.M << (b.E - e)), e);
    }

    public static Exact operator -(Exact a) => new(-a.M, a.E);
    public static Exact operator *(Exact a, Exact b) => new(a.M * b.M, a.E + b.E);
    public static Exact Abs(Exact a) => new(BigInteger.Abs(a.M), a.E);
    public static int Compare(Exact a, Exact b) => (a + -b).Sign;
    public static implicit operator Exact(BigInteger a) => new(a, 0);
}

internal enum Mode { Rn, Rz, Rm, Rp }

/// <summary>One of f16, bf16, f32, f64.</summary>
internal sealed record Format(string Name, int Mantissa, int Exponent)
{
    public static readonly Format F16 = new("f16", 10, 5), BF16 = new("bf16", 7, 8), F32 = new("f32", 23, 8),
        F64 = new("f64", 52, 11);

    public static Format Named(string name) => name switch
    {
        "f16" => F16, "bf16" => BF16, "f32" => F32, "f64" => F64, _ => throw new ArgumentException(name),
    };

    public int Width => 1 + Mantissa + Exponent;
    public ulong Sign => 1UL << (Width - 1);
    public ulong Infinity => ((1UL << Exponent) - 1) << Mantissa;
    public ulong One => ((1UL << (Exponent - 1)) - 1) << Mantissa;
    public ulong LeastNormal => 1UL << Mantissa;
    public ulong CanonicalNaN => this == F64 ? 0x7ff8_0000_0000_0000UL : Sign - 1;

    public bool IsNaN(ulong bits) => (bits & (Sign - 1)) > Infinity;
    public bool IsInfinite(ulong bits) => (bits & (Sign - 1)) == Infinity;
    public bool IsNegative(ulong bits) => (bits & Sign) != 0;
    public bool IsZero(ulong bits) => (bits & (Sign - 1)) == 0;

    /// <summary>The value; an infinity counts as the next power of two after the largest number.</summary>
    public Exact Value(ulong bits)
    {
        ulong fraction = bits & (LeastNormal - 1);
        int field = (int)((bits & (Sign - 1)) >> Mantissa);
        int bias = (1 << (Exponent - 1)) - 1;
        BigInteger m = field == 0 ? fraction : fraction + LeastNormal;
        return new(IsNegative(bits) ? -m : m, Math.Max(field, 1) - bias - Mantissa);
    }

    public ulong Round(Exact x, Mode mode, bool negativeZero = false)
    {
        if (x.Sign == 0) return negativeZero ? Sign : 0;
        Exact magnitude = Exact.Abs(x);
        return Round(x.Sign < 0, candidate => Exact.Compare(candidate, magnitude), mode);
    }

    /// <summary>Rounds a magnitude given by how numbers compare with it: the sign of candidate - magnitude.</summary>
    public ulong Round(bool negative, Func<Exact, int> compare, Mode mode)
    {
        ulong low = 0, high = Infinity + 1;     // value(low) <= magnitude < value(high)
        while (high - low > 1)
        {
            ulong middle = low + (high - low) / 2;
            if (compare(Value(middle)) <= 0) low = middle; else high = middle;
        }
        ulong sign = negative ? Sign : 0;
        bool away = mode == (negative ? Mode.Rm : Mode.Rp);
        if (low == Infinity) return sign | (mode == Mode.Rn || away ? Infinity : Infinity - 1);
        if (compare(Value(low)) == 0) return sign | low;
        if (mode != Mode.Rn) return sign | (away ? low + 1 : low);
        Exact sum = Value(low) + Value(low + 1);
        int half = compare(new Exact(sum.M, sum.E - 1));
        return sign | (half > 0 || half == 0 && (low & 1) == 0 ? low : low + 1);
    }

    /// <summary>Edge values of both signs: zeros, subnormals, the normals' ends, ties, infinities, NaNs.</summary>
    public ulong[] Edges()
    {
        ulong[] magnitudes =
        [
            0, 1, 2, 3, LeastNormal / 2, LeastNormal - 1, LeastNormal, LeastNormal + 1, LeastNormal * 2 - 1, One / 2,
            One - LeastNormal, One - 1, One, One + 1, One + 2, One + LeastNormal / 2, One + LeastNormal,
            One + LeastNormal + 1, One + 2 * LeastNormal - 1, One + LeastNormal * (ulong)Mantissa,
            One + LeastNormal * (ulong)(Mantissa + 1), One + LeastNormal * (ulong)(Mantissa + 1) + 1,
            Infinity - LeastNormal, Infinity - 2, Infinity - 1, Infinity, Infinity + 1, Infinity + LeastNormal / 2,
            Sign - 1,
        ];
        return [.. magnitudes.Distinct(), .. magnitudes.Distinct().Select(m => m | Sign)];
    }

    /// <summary>Random bit patterns: a third any, a third near one, a third near the ends of the range.</summary>
    public ulong[] Random(Random random, int count)
    {
        var bits = new ulong[count];
        for (int i = 0; i < count; i++)
        {
            ulong raw = (ulong)random.NextInt64() << 1 ^ (ulong)random.NextInt64();
            bits[i] = raw & (Sign | Sign - 1);
            ulong fraction = bits[i] & (Sign | LeastNormal - 1);
            if (i % 3 == 1) bits[i] = fraction | (One + LeastNormal * (ulong)random.Next(5) - 2 * LeastNormal);
            if (i % 6 == 2) bits[i] = fraction | LeastNormal * (ulong)random.Next(3);
            if (i % 6 == 5) bits[i] = fraction | (Infinity - LeastNormal * (ulong)random.Next(1, 3));
        }
        return bits;
    }
}

/// <summary>What PTX instructions must give, for any format and rounding mode. A NaN is any NaN.</summary>
internal static class FloatReference
{
    public static ulong Add(Format f, ulong a, ulong b, Mode mode)
    {
        if (f.IsNaN(a) || f.IsNaN(b) || f.IsInfinite(a) && f.IsInfinite(b) && a != b) return f.CanonicalNaN;
        if (f.IsInfinite(a)) return a;
        if (f.IsInfinite(b)) return b;
        bool negativeZero = f.IsNegative(a) && f.IsNegative(b) && f.IsZero(a) && f.IsZero(b)
            || mode == Mode.Rm && !(f.IsZero(a) && f.IsZero(b) && !f.IsNegative(a) && !f.IsNegative(b));
        return f.Round(f.Value(a) + f.Value(b), mode, negativeZero);
    }

    public static ulong Sub(Format f, ulong a, ulong b, Mode mode) => Add(f, a, b ^ f.Sign, mode);

    public static ulong Mul(Format f, ulong a, ulong b, Mode mode)
    {
        bool negative = f.IsNegative(a) != f.IsNegative(b);
        ulong sign = negative ? f.Sign : 0;
        if (f.IsNaN(a) || f.IsNaN(b)) return f.CanonicalNaN;
        if (f.IsInfinite(a) || f.IsInfinite(b))
            return f.IsZero(a) || f.IsZero(b) ? f.CanonicalNaN : sign | f.Infinity;
        return f.Round(f.Value(a) * f.Value(b), mode, negative);
    }

    public static ulong Fma(Format f, ulong a, ulong b, ulong c, Mode mode)
    {
        bool negative = f.IsNegative(a) != f.IsNegative(b);
        if (f.IsNaN(a) || f.IsNaN(b) || f.IsNaN(c)) return f.CanonicalNaN;
        if (f.IsInfinite(a) || f.IsInfinite(b))
        {
            if (f.IsZero(a) || f.IsZero(b) || f.IsInfinite(c) && f.IsNegative(c) != negative) return f.CanonicalNaN;
            return f.Infinity | (negative ? f.Sign : 0);
        }
        if (f.IsInfinite(c)) return c;
        Exact product = f.Value(a) * f.Value(b);
        bool bothZero = product.Sign == 0 && f.IsZero(c);
        bool negativeZero = bothZero && negative == f.IsNegative(c) ? negative : mode == Mode.Rm;
        return f.Round(product + f.Value(c), mode, negativeZero);
    }

    public static ulong Div(Format f, ulong a, ulong b, Mode mode)
    {
        bool negative = f.IsNegative(a) != f.IsNegative(b);
        ulong sign = negative ? f.Sign : 0;
        if (f.IsNaN(a) || f.IsNaN(b) || f.IsZero(a) && f.IsZero(b) || f.IsInfinite(a) && f.IsInfinite(b))
            return f.CanonicalNaN;
        if (f.IsInfinite(a) || f.IsZero(b)) return sign | f.Infinity;
        if (f.IsInfinite(b) || f.IsZero(a)) return sign;
        (Exact x, Exact y) = (Exact.Abs(f.Value(a)), Exact.Abs(f.Value(b)));
        return f.Round(negative, candidate => Exact.Compare(candidate * y, x), mode);
    }

    public static ulong Sqrt(Format f, ulong a, Mode mode)
    {
        if (f.IsNaN(a) || f.IsNegative(a) && !f.IsZero(a)) return f.CanonicalNaN;
        if (f.IsZero(a) || f.IsInfinite(a)) return a;
        Exact x = f.Value(a);
        return f.Round(false, candidate => Exact.Compare(candidate * candidate, x), mode);
    }

    /// <summary>-0 is below +0; a NaN is ignored, or with propagate wins; xorSign compares magnitudes.</summary>
    public static ulong MinMax(Format f, ulong a, ulong b, bool max, bool propagate, bool xorSign)
    {
        ulong sign = (a ^ b) & f.Sign;
        if (xorSign) (a, b) = (a & ~f.Sign, b & ~f.Sign);
        if (f.IsNaN(a) || f.IsNaN(b))
        {
            if (propagate || f.IsNaN(a) && f.IsNaN(b)) return f.CanonicalNaN;
            ulong number = f.IsNaN(a) ? b : a;
            return xorSign ? number | sign : number;
        }
        int order = Exact.Compare(f.Value(a), f.Value(b));
        if (order == 0) order = f.IsNegative(b).CompareTo(f.IsNegative(a));
        ulong result = order > 0 == max ? a : b;
        return xorSign ? result | sign : result;
    }
}
