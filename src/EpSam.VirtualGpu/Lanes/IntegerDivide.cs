// Integer division and remainder (PTX ISA 9.7.1). The quotient is truncated and the remainder has the dividend's sign.
// PTX leaves division by zero open; what ptxas generates gives all ones for div and for rem, in every type, and so do
// these. INT_MIN / -1 wraps to INT_MIN, INT_MIN rem -1 is 0, also as ptxas generates it.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.IntegerWide;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class IntegerDivide
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("div.u16")]
    [MethodImpl(Inline)] public static U32 DivU16(U32 a, U32 b) => Low16(DivU32(Low16(a), Low16(b)));
    [Ptx("div.s16")]
    [MethodImpl(Inline)] public static U32 DivS16(U32 a, U32 b) => Low16(DivS32(Extend16(a), Extend16(b)));
    [Ptx("rem.u16")]
    [MethodImpl(Inline)] public static U32 RemU16(U32 a, U32 b) => Low16(RemU32(Low16(a), Low16(b)));
    [Ptx("rem.s16")]
    [MethodImpl(Inline)] public static U32 RemS16(U32 a, U32 b) => Low16(RemS32(Extend16(a), Extend16(b)));

    [Ptx("div.u32")]
    [MethodImpl(Inline)]
    public static U32 DivU32(U32 a, U32 b) => Quotient(a, b) | Vector512.Equals(b, U32.Zero);

    [Ptx("rem.u32")]
    [MethodImpl(Inline)]
    public static U32 RemU32(U32 a, U32 b) => (a - Quotient(a, b) * b) | Vector512.Equals(b, U32.Zero);

    [Ptx("div.s32")]
    [MethodImpl(Inline)]
    public static U32 DivS32(U32 a, U32 b)
    {
        U32 negative = SignMask(a ^ b);
        U32 quotient = Quotient(Integer.Abs(a), Integer.Abs(b));
        return ((quotient ^ negative) - negative) | Vector512.Equals(b, U32.Zero);
    }

    [Ptx("rem.s32")]
    [MethodImpl(Inline)]
    public static U32 RemS32(U32 a, U32 b)
    {
        U32 negative = SignMask(a), x = Integer.Abs(a), y = Integer.Abs(b);
        U32 remainder = x - Quotient(x, y) * y;
        return ((remainder ^ negative) - negative) | Vector512.Equals(b, U32.Zero);
    }

    [Ptx("div.u64")]
    [MethodImpl(Inline)] public static U64 DivU64(U64 a, U64 b) => ScalarLoop.Map(a, b, &Scalar.DivU64);
    [Ptx("div.s64")]
    [MethodImpl(Inline)] public static U64 DivS64(U64 a, U64 b) => ScalarLoop.Map(a, b, &Scalar.DivS64);
    [Ptx("rem.u64")]
    [MethodImpl(Inline)] public static U64 RemU64(U64 a, U64 b) => ScalarLoop.Map(a, b, &Scalar.RemU64);
    [Ptx("rem.s64")]
    [MethodImpl(Inline)] public static U64 RemS64(U64 a, U64 b) => ScalarLoop.Map(a, b, &Scalar.RemS64);

    /// <summary>Unsigned quotient; anything where b is 0.</summary>
    [MethodImpl(Inline)]
    static U32 Quotient(U32 a, U32 b) =>
        Vector512.Create(Quotient(a.GetLower(), b.GetLower()), Quotient(a.GetUpper(), b.GetUpper()));

    // In double: a quotient that is no integer is at least 1/b from the next one, and the rounding error is at most
    // 2^-53 · 2^32/b, so rounding never reaches it and Floor is exact. 2^52 + n holds the integer n in its low bits.
    [MethodImpl(Inline)]
    static H32 Quotient(H32 a, H32 b)
    {
        Vector512<double> magic = Vector512.Create(4503599627370496.0);
        Vector512<double> x = (Widen(a) | magic.AsUInt64()).AsDouble() - magic;
        Vector512<double> y = (Widen(b) | magic.AsUInt64()).AsDouble() - magic;
        return Narrow((Vector512.Floor(x / y) + magic).AsUInt64());
    }
}
