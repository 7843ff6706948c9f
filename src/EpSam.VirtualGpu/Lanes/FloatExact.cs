// Exact scalar arithmetic with one rounding at the end, in any of PTX's four rounding modes and any of its
// floating-point formats: a value is sign, 128-bit integer significand and power of two. It executes what vector
// units cannot: directed rounding (add.rz.f32, fma.rm.f64 ...) and the rare conversions. Bits that fall off the 128
// are kept as "something was below" by setting the lowest bit; with at least 20 spare bits that never changes a
// rounding. Results that are NaN are canonical: PTX does not preserve payloads (ISA, "Floating-Point Instructions").
using System.Numerics;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>In the order of the patterns: .rn .rz .rm .rp, and for integral results .rni .rzi .rmi .rpi.</summary>
internal enum Rounding { Nearest, Zero, Down, Up }

/// <summary>An IEEE binary interchange format by its significand and exponent fields.</summary>
internal readonly record struct FloatFormat(int SignificandBits, int ExponentBits)
{
    public static readonly FloatFormat F16 = new(10, 5), BF16 = new(7, 8), F32 = new(23, 8), F64 = new(52, 11);

    public int Bias => (1 << (ExponentBits - 1)) - 1;
    public int LeastExponent => 1 - Bias - SignificandBits;      // of the last bit of a subnormal number
    public ulong SignBit => 1UL << (SignificandBits + ExponentBits);
    public ulong Infinity => SignBit - (1UL << SignificandBits);
    public ulong NaN => this == F64 ? 0x7ff8_0000_0000_0000 : SignBit - 1;   // f32: 0x7fffffff, f16: 0x7fff
}

/// <summary>±Significand · 2^Exponent; or an infinity; or NaN.</summary>
internal readonly record struct FloatExact(bool Negative, UInt128 Significand, int Exponent, FloatClass Class)
{
    public static readonly FloatExact NaN = new(false, 0, 0, FloatClass.NaN);

    public bool IsZero => Class == FloatClass.Finite && Significand == 0;
    public bool IsInfinite => Class == FloatClass.Infinite;
    public bool IsNaN => Class == FloatClass.NaN;

    public static FloatExact Zero(bool negative) => new(negative, 0, 0, FloatClass.Finite);
    public static FloatExact Infinity(bool negative) => new(negative, 0, 0, FloatClass.Infinite);
    public static FloatExact operator -(FloatExact a) => a with { Negative = !a.Negative };

    public static FloatExact Decode(ulong bits, FloatFormat format)
    {
        bool negative = (bits & format.SignBit) != 0;
        ulong magnitude = bits & (format.SignBit - 1);
        if (magnitude > format.Infinity) return NaN;
        if (magnitude == format.Infinity) return Infinity(negative);
        int exponent = (int)(magnitude >> format.SignificandBits);
        ulong significand = magnitude & ((1UL << format.SignificandBits) - 1);
        if (exponent > 0) significand |= 1UL << format.SignificandBits;
        return new(negative, significand, Math.Max(exponent, 1) - 1 + format.LeastExponent, FloatClass.Finite);
    }

    public static FloatExact FromInteger(Int128 value) =>
        new(value < 0, (UInt128)Int128.Abs(value), 0, FloatClass.Finite);

    /// <summary>The bits of this value rounded to a format.</summary>
    public ulong Encode(FloatFormat format, Rounding rounding)
    {
        if (IsNaN) return format.NaN;
        ulong sign = Negative ? format.SignBit : 0;
        if (IsInfinite) return sign | format.Infinity;
        if (Significand == 0) return sign;
        int top = Exponent + Length(Significand) - 1;
        int last = Math.Max(top - format.SignificandBits, format.LeastExponent);
        ulong kept = (ulong)RoundAt(last, rounding);
        // Adding instead of or-ing lets a significand that rounded up to the next power of two carry into the exponent.
        UInt128 bits = ((UInt128)(uint)(last - format.LeastExponent) << format.SignificandBits) + kept;
        if (bits < format.Infinity) return sign | (ulong)bits;
        return sign | (TowardsZero(rounding) ? format.Infinity - 1 : format.Infinity);
    }

    /// <summary>The integer nearest in the given direction, without sign; saturates at 2^127.</summary>
    public UInt128 RoundToInteger(Rounding rounding) => RoundAt(0, rounding);

    /// <summary>The significand as a whole number of 2^last.</summary>
    UInt128 RoundAt(int last, Rounding rounding)
    {
        int shift = last - Exponent;
        if (Significand == 0) return 0;
        if (shift <= 0) return Length(Significand) - shift > 127 ? UInt128.One << 127 : Significand << -shift;
        UInt128 kept = shift > 127 ? 0 : Significand >> shift;
        UInt128 rest = shift > 127 ? Significand : Significand & ((UInt128.One << shift) - 1);
        if (rest == 0) return kept;
        if (rounding != Rounding.Nearest) return TowardsZero(rounding) ? kept : kept + 1;
        if (shift > 128) return 0;
        UInt128 half = UInt128.One << (shift - 1);
        return rest > half || rest == half && (kept & 1) != 0 ? kept + 1 : kept;
    }

    bool TowardsZero(Rounding rounding) =>
        rounding is Rounding.Zero || rounding is Rounding.Down && !Negative || rounding is Rounding.Up && Negative;

    public static FloatExact Add(FloatExact a, FloatExact b, Rounding rounding)
    {
        if (a.IsNaN || b.IsNaN || a.IsInfinite && b.IsInfinite && a.Negative != b.Negative) return NaN;
        if (a.IsInfinite) return a;
        if (b.IsInfinite) return b;
        if (a.IsZero && b.IsZero && a.Negative == b.Negative) return a;
        if (a.IsZero && b.IsZero) return Zero(rounding == Rounding.Down);
        if (a.IsZero) return b;
        if (b.IsZero) return a;
        (a, b) = (a.Aligned(126), b.Aligned(126));   // one bit is left for the carry
        if (a.Exponent < b.Exponent || a.Exponent == b.Exponent && a.Significand < b.Significand) (a, b) = (b, a);
        UInt128 smaller = ShiftRightSticky(b.Significand, a.Exponent - b.Exponent);
        if (a.Negative == b.Negative) return a with { Significand = a.Significand + smaller };
        if (a.Significand == smaller) return Zero(rounding == Rounding.Down);
        return a with { Significand = a.Significand - smaller };
    }

    public static FloatExact Multiply(FloatExact a, FloatExact b)
    {
        bool negative = a.Negative != b.Negative;
        if (a.IsNaN || b.IsNaN || a.IsInfinite && b.IsZero || a.IsZero && b.IsInfinite) return NaN;
        if (a.IsInfinite || b.IsInfinite) return Infinity(negative);
        return new(negative, a.Significand * b.Significand, a.Exponent + b.Exponent, FloatClass.Finite);
    }

    public static FloatExact Divide(FloatExact a, FloatExact b)
    {
        bool negative = a.Negative != b.Negative;
        if (a.IsNaN || b.IsNaN || a.IsInfinite && b.IsInfinite || a.IsZero && b.IsZero) return NaN;
        if (a.IsInfinite || b.IsZero) return Infinity(negative);
        if (b.IsInfinite || a.IsZero) return Zero(negative);
        (a, b) = (a.Aligned(127), b.Aligned(53));
        (UInt128 quotient, UInt128 rest) = UInt128.DivRem(a.Significand, b.Significand);
        return new(negative, quotient << 1 | (rest == 0 ? 0u : 1u), a.Exponent - b.Exponent - 1, FloatClass.Finite);
    }

    public static FloatExact SquareRoot(FloatExact a)
    {
        if (a.IsNaN || a.IsZero) return a;
        if (a.Negative) return NaN;
        if (a.IsInfinite) return a;
        a = a.Aligned(126);
        if ((a.Exponent & 1) != 0) a = a with { Significand = a.Significand << 1, Exponent = a.Exponent - 1 };
        UInt128 root = 0;
        for (int bit = 63; bit >= 0; bit--)
        {
            UInt128 trial = root | UInt128.One << bit;
            if (trial * trial <= a.Significand) root = trial;
        }
        bool exact = root * root == a.Significand;
        return new(false, root << 1 | (exact ? 0u : 1u), a.Exponent / 2 - 1, FloatClass.Finite);
    }

    /// <summary>The same value with a significand of exactly <paramref name="length"/> bits; it has no more.</summary>
    FloatExact Aligned(int length)
    {
        int shift = length - Length(Significand);
        return this with { Significand = Significand << shift, Exponent = Exponent - shift };
    }

    static int Length(UInt128 value) => 128 - (int)UInt128.LeadingZeroCount(value);

    static UInt128 ShiftRightSticky(UInt128 value, int shift)
    {
        if (shift == 0) return value;
        if (shift > 127) return 1;
        return value >> shift | ((value & ((UInt128.One << shift) - 1)) == 0 ? 0u : 1u);
    }
}

internal enum FloatClass { Finite, Infinite, NaN }
