// Comparisons, selection, minimum and maximum, and sign and class operations of f32 and f64.
// min and max as in the PTX ISA: -0 < +0; one NaN operand is ignored, two give NaN; with .NaN one is enough, and the
// result is then the canonical NaN. With .xorsign.abs magnitudes are compared and the sign is the xor of the signs.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static class FloatCompare
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("setp.<eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan>.f32"), MethodImpl(Inline)]
    public static uint Setp(U32 a, U32 b, int comparison) => Compare(F32(a), F32(b), comparison);

    [Ptx("setp.<eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan>.f64"), MethodImpl(Inline)]
    public static uint Setp(U64 a, U64 b, int comparison) => Compare(F64(a), F64(b), comparison);

    /// <summary>The comparison as bits; an unordered one is the negation of the ordered opposite.</summary>
    [MethodImpl(Inline)]
    public static uint Compare(Vector512<float> a, Vector512<float> b, int comparison) => comparison switch
    {
        0 => Bits(Vector512.Equals(a, b)),
        1 => Bits(Vector512.LessThan(a, b) | Vector512.GreaterThan(a, b)),
        2 => Bits(Vector512.LessThan(a, b)),
        3 => Bits(Vector512.LessThanOrEqual(a, b)),
        4 => Bits(Vector512.GreaterThan(a, b)),
        5 => Bits(Vector512.GreaterThanOrEqual(a, b)),
        6 => 0xffff ^ Bits(Vector512.LessThan(a, b) | Vector512.GreaterThan(a, b)),
        7 => 0xffff ^ Bits(Vector512.Equals(a, b)),
        8 => 0xffff ^ Bits(Vector512.GreaterThanOrEqual(a, b)),
        9 => 0xffff ^ Bits(Vector512.GreaterThan(a, b)),
        10 => 0xffff ^ Bits(Vector512.LessThanOrEqual(a, b)),
        11 => 0xffff ^ Bits(Vector512.LessThan(a, b)),
        12 => Bits(Vector512.Equals(a, a) & Vector512.Equals(b, b)),
        _ => 0xffff ^ Bits(Vector512.Equals(a, a) & Vector512.Equals(b, b)),
    };

    [MethodImpl(Inline)]
    static uint Compare(Vector512<double> a, Vector512<double> b, int comparison) => comparison switch
    {
        0 => Bits(Vector512.Equals(a, b)),
        1 => Bits(Vector512.LessThan(a, b) | Vector512.GreaterThan(a, b)),
        2 => Bits(Vector512.LessThan(a, b)),
        3 => Bits(Vector512.LessThanOrEqual(a, b)),
        4 => Bits(Vector512.GreaterThan(a, b)),
        5 => Bits(Vector512.GreaterThanOrEqual(a, b)),
        6 => 0xff ^ Bits(Vector512.LessThan(a, b) | Vector512.GreaterThan(a, b)),
        7 => 0xff ^ Bits(Vector512.Equals(a, b)),
        8 => 0xff ^ Bits(Vector512.GreaterThanOrEqual(a, b)),
        9 => 0xff ^ Bits(Vector512.GreaterThan(a, b)),
        10 => 0xff ^ Bits(Vector512.LessThanOrEqual(a, b)),
        11 => 0xff ^ Bits(Vector512.LessThan(a, b)),
        12 => Bits(Vector512.Equals(a, a) & Vector512.Equals(b, b)),
        _ => 0xff ^ Bits(Vector512.Equals(a, a) & Vector512.Equals(b, b)),
    };

    // slct with a float c: a where c >= 0 (so also for -0), b where c < 0 or NaN. With an integer c: Predicate.

    [Ptx("slct.{b16,u16,s16}.f32"), MethodImpl(Inline)]
    public static U32 Slct16(U32 a, U32 b, U32 c) => Slct(a, b, c) & Vector512.Create(0xffffu);

    [Ptx("slct.{b32,u32,s32,f32}.f32"), MethodImpl(Inline)]
    public static U32 Slct(U32 a, U32 b, U32 c) =>
        Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(F32(c), Vector512<float>.Zero).AsUInt32(), a, b);

    [Ptx("slct.{b64,u64,s64,f64}.f32"), MethodImpl(Inline)]
    public static U64 Slct(U64 a, U64 b, H32 c) => Vector512.ConditionalSelect(
        Vector512.GreaterThanOrEqual(Widen(c.AsSingle()), Vector512<double>.Zero).AsUInt64(), a, b);

    [Ptx("min.f32"), MethodImpl(Inline)]
    public static U32 Min(U32 a, U32 b) => Vector512.MinNumber(F32(a), F32(b)).AsUInt32();

    [Ptx("max.f32"), MethodImpl(Inline)]
    public static U32 Max(U32 a, U32 b) => Vector512.MaxNumber(F32(a), F32(b)).AsUInt32();

    [Ptx("min.NaN.f32"), MethodImpl(Inline)]
    public static U32 MinNaN(U32 a, U32 b) => Canonical(Vector512.Min(F32(a), F32(b)));

    [Ptx("max.NaN.f32"), MethodImpl(Inline)]
    public static U32 MaxNaN(U32 a, U32 b) => Canonical(Vector512.Max(F32(a), F32(b)));

    [Ptx("<min,max>.xorsign.abs.f32"), MethodImpl(Inline)]
    public static U32 XorSign(U32 a, U32 b, int max)
    {
        (U32 x, U32 y) = (Abs(a), Abs(b));
        return WithXorSign(max != 0 ? Max(x, y) : Min(x, y), a, b);
    }

    [Ptx("<min,max>.NaN.xorsign.abs.f32"), MethodImpl(Inline)]
    public static U32 XorSignNaN(U32 a, U32 b, int max)
    {
        (U32 x, U32 y) = (Abs(a), Abs(b));
        return WithXorSign(max != 0 ? MaxNaN(x, y) : MinNaN(x, y), a, b);
    }

    /// <summary>The sign is only for numbers: a NaN stays the canonical one.</summary>
    [MethodImpl(Inline)]
    static U32 WithXorSign(U32 magnitude, U32 a, U32 b) =>
        Canonical((magnitude | (a ^ b) & Vector512.Create(SignBit)).AsSingle());

    [Ptx("min.f64"), MethodImpl(Inline)]
    public static U64 Min(U64 a, U64 b) => Vector512.MinNumber(F64(a), F64(b)).AsUInt64();

    [Ptx("max.f64"), MethodImpl(Inline)]
    public static U64 Max(U64 a, U64 b) => Vector512.MaxNumber(F64(a), F64(b)).AsUInt64();

    [Ptx("abs.f32"), MethodImpl(Inline)]
    public static U32 Abs(U32 a) => a & Vector512.Create(~SignBit);

    [Ptx("neg.f32"), MethodImpl(Inline)]
    public static U32 Neg(U32 a) => a ^ Vector512.Create(SignBit);

    [Ptx("abs.f64"), MethodImpl(Inline)]
    public static U64 Abs(U64 a) => a & Vector512.Create(~SignBit64);

    [Ptx("neg.f64"), MethodImpl(Inline)]
    public static U64 Neg(U64 a) => a ^ Vector512.Create(SignBit64);

    /// <summary>copysign d, a, b: the sign of a on the magnitude of b.</summary>
    [Ptx("copysign.f32"), MethodImpl(Inline)]
    public static U32 CopySign(U32 a, U32 b) => Vector512.ConditionalSelect(Vector512.Create(SignBit), a, b);

    [Ptx("copysign.f64"), MethodImpl(Inline)]
    public static U64 CopySign(U64 a, U64 b) => Vector512.ConditionalSelect(Vector512.Create(SignBit64), a, b);

    [Ptx("testp.<finite,infinite,number,notanumber,normal,subnormal>.f32"), MethodImpl(Inline)]
    public static uint Testp(U32 a, int property)
    {
        const uint Infinity = 0x7f80_0000, LeastNormal = 0x0080_0000;
        U32 magnitude = Abs(a);
        U32 mask = property switch
        {
            0 => Vector512.LessThan(magnitude, Vector512.Create(Infinity)),
            1 => Vector512.Equals(magnitude, Vector512.Create(Infinity)),
            2 => Vector512.LessThanOrEqual(magnitude, Vector512.Create(Infinity)),
            3 => Vector512.GreaterThan(magnitude, Vector512.Create(Infinity)),
            4 => Vector512.LessThan(
                magnitude - Vector512.Create(LeastNormal), Vector512.Create(Infinity - LeastNormal)),
            // Zero wraps round to the greatest value; a subnormal is 1 .. LeastNormal - 1.
            _ => Vector512.LessThan(magnitude - U32.One, Vector512.Create(LeastNormal - 1)),
        };
        return Bits(mask.AsSingle());
    }

    [Ptx("testp.<finite,infinite,number,notanumber,normal,subnormal>.f64"), MethodImpl(Inline)]
    public static uint Testp(U64 a, int property)
    {
        const ulong Infinity = 0x7ff0_0000_0000_0000, LeastNormal = 0x0010_0000_0000_0000;
        U64 magnitude = Abs(a);
        U64 mask = property switch
        {
            0 => Vector512.LessThan(magnitude, Vector512.Create(Infinity)),
            1 => Vector512.Equals(magnitude, Vector512.Create(Infinity)),
            2 => Vector512.LessThanOrEqual(magnitude, Vector512.Create(Infinity)),
            3 => Vector512.GreaterThan(magnitude, Vector512.Create(Infinity)),
            4 => Vector512.LessThan(
                magnitude - Vector512.Create(LeastNormal), Vector512.Create(Infinity - LeastNormal)),
            _ => Vector512.LessThan(magnitude - U64.One, Vector512.Create(LeastNormal - 1)),
        };
        return Bits(mask.AsDouble());
    }

    /// <summary>For .ftz, by the builder: subnormal numbers become zero, the sign stays.</summary>
    [Ptx("flush.f32"), MethodImpl(Inline)]
    public static U32 FlushF32(U32 a)
    {
        U32 exponent = a & Vector512.Create(0x7f80_0000u);
        return Vector512.ConditionalSelect(Vector512.Equals(exponent, U32.Zero), a & Vector512.Create(SignBit), a);
    }

    /// <summary>For .sat, by the builder: clamped to [0, 1]; NaN and -0 become +0.</summary>
    [Ptx("sat.f32"), MethodImpl(Inline)]
    public static U32 SatF32(U32 a)
    {
        Vector512<float> positive = (Vector512.GreaterThan(F32(a), Vector512<float>.Zero).AsUInt32() & a).AsSingle();
        return Vector512.MinNative(positive, Vector512<float>.One).AsUInt32();
    }

    [MethodImpl(Inline)]
    public static U32 Canonical(Vector512<float> a) =>
        Vector512.ConditionalSelect(Vector512.Equals(a, a).AsUInt32(), a.AsUInt32(), Vector512.Create(NaN));
}
