// add sub mul fma mad div rcp sqrt of f32 and f64, in all roundings. Nearest-even is the vector unit's own; the other
// three modes go lane by lane through FloatExact. NaN results: PTX says payloads are not preserved, so the vector
// unit's quiet NaN stands (replacing it by 0x7fffffff would cost two operations more per add); FloatExact gives the
// canonical one.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class FloatArithmetic
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("add.f32"), MethodImpl(Inline)]
    public static U32 Add(U32 a, U32 b) => (F32(a) + F32(b)).AsUInt32();

    [Ptx("sub.f32"), MethodImpl(Inline)]
    public static U32 Sub(U32 a, U32 b) => (F32(a) - F32(b)).AsUInt32();

    [Ptx("mul.f32"), MethodImpl(Inline)]
    public static U32 Mul(U32 a, U32 b) => (F32(a) * F32(b)).AsUInt32();

    // mad.f32 has been fma.f32 since sm_20; the form without rounding is sm_1x's and means the same there.
    [Ptx("{fma,mad}.rn.f32"), Ptx("mad.f32"), MethodImpl(Inline)]
    public static U32 Fma(U32 a, U32 b, U32 c) => Vector512.FusedMultiplyAdd(F32(a), F32(b), F32(c)).AsUInt32();

    // div.full may be 2 ulp wrong; the exact quotient is as cheap here.
    [Ptx("div.{rn,full}.f32"), MethodImpl(Inline)]
    public static U32 Div(U32 a, U32 b) => (F32(a) / F32(b)).AsUInt32();

    [Ptx("rcp.{rn,approx}.f32"), MethodImpl(Inline)]
    public static U32 Rcp(U32 a) => (Vector512<float>.One / F32(a)).AsUInt32();

    [Ptx("sqrt.{rn,approx}.f32"), MethodImpl(Inline)]
    public static U32 Sqrt(U32 a) => Vector512.Sqrt(F32(a)).AsUInt32();

    [Ptx("add.f64"), MethodImpl(Inline)]
    public static U64 Add(U64 a, U64 b) => (F64(a) + F64(b)).AsUInt64();

    [Ptx("sub.f64"), MethodImpl(Inline)]
    public static U64 Sub(U64 a, U64 b) => (F64(a) - F64(b)).AsUInt64();

    [Ptx("mul.f64"), MethodImpl(Inline)]
    public static U64 Mul(U64 a, U64 b) => (F64(a) * F64(b)).AsUInt64();

    [Ptx("{fma,mad}.rn.f64"), MethodImpl(Inline)]
    public static U64 Fma(U64 a, U64 b, U64 c) => Vector512.FusedMultiplyAdd(F64(a), F64(b), F64(c)).AsUInt64();

    [Ptx("div.rn.f64"), MethodImpl(Inline)]
    public static U64 Div(U64 a, U64 b) => (F64(a) / F64(b)).AsUInt64();

    [Ptx("rcp.rn.f64"), MethodImpl(Inline)]
    public static U64 Rcp(U64 a) => (Vector512<double>.One / F64(a)).AsUInt64();

    [Ptx("sqrt.rn.f64"), MethodImpl(Inline)]
    public static U64 Sqrt(U64 a) => Vector512.Sqrt(F64(a)).AsUInt64();

    // Directed rounding. The option is Rounding - 1 (the pattern starts at .rz), plus 4 for f64.

    [Ptx("add.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 AddDirected(U32 a, U32 b, int mode) => Each(a, b, mode, &ExactAdd);

    [Ptx("sub.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 SubDirected(U32 a, U32 b, int mode) => Each(a, b, mode, &ExactSub);

    [Ptx("mul.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 MulDirected(U32 a, U32 b, int mode) => Each(a, b, mode, &ExactMul);

    [Ptx("{fma,mad}.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 FmaDirected(U32 a, U32 b, U32 c, int mode) => Each(a, b, c, mode, &ExactFma);

    [Ptx("div.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 DivDirected(U32 a, U32 b, int mode) => Each(a, b, mode, &ExactDiv);

    [Ptx("rcp.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 RcpDirected(U32 a, int mode) =>
        Each(Vector512<float>.One.AsUInt32(), a, mode, &ExactDiv);

    [Ptx("sqrt.<rz,rm,rp>.f32"), MethodImpl(Inline)]
    public static U32 SqrtDirected(U32 a, int mode) => Each(a, mode, &ExactSqrt);

    [Ptx("add.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 AddDirected(U64 a, U64 b, int mode) => Each(a, b, mode + 4, &ExactAdd);

    [Ptx("sub.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 SubDirected(U64 a, U64 b, int mode) => Each(a, b, mode + 4, &ExactSub);

    [Ptx("mul.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 MulDirected(U64 a, U64 b, int mode) => Each(a, b, mode + 4, &ExactMul);

    [Ptx("{fma,mad}.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 FmaDirected(U64 a, U64 b, U64 c, int mode) => Each(a, b, c, mode + 4, &ExactFma);

    [Ptx("div.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 DivDirected(U64 a, U64 b, int mode) => Each(a, b, mode + 4, &ExactDiv);

    [Ptx("rcp.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 RcpDirected(U64 a, int mode) =>
        Each(Vector512<double>.One.AsUInt64(), a, mode + 4, &ExactDiv);

    [Ptx("sqrt.<rz,rm,rp>.f64"), MethodImpl(Inline)]
    public static U64 SqrtDirected(U64 a, int mode) => Each(a, mode + 4, &ExactSqrt);

    static FloatFormat FormatOf(int option) => option >= 4 ? FloatFormat.F64 : FloatFormat.F32;
    static Rounding RoundingOf(int option) => (Rounding)((option & 3) + 1);

    static ulong ExactAdd(ulong a, ulong b, int option)
    {
        (FloatFormat format, Rounding rounding) = (FormatOf(option), RoundingOf(option));
        FloatExact sum = FloatExact.Add(FloatExact.Decode(a, format), FloatExact.Decode(b, format), rounding);
        return sum.Encode(format, rounding);
    }

    static ulong ExactSub(ulong a, ulong b, int option) => ExactAdd(a, b ^ FormatOf(option).SignBit, option);

    static ulong ExactMul(ulong a, ulong b, int option)
    {
        FloatFormat format = FormatOf(option);
        FloatExact product = FloatExact.Multiply(FloatExact.Decode(a, format), FloatExact.Decode(b, format));
        return product.Encode(format, RoundingOf(option));
    }

    static ulong ExactFma(ulong a, ulong b, ulong c, int option)
    {
        (FloatFormat format, Rounding rounding) = (FormatOf(option), RoundingOf(option));
        FloatExact product = FloatExact.Multiply(FloatExact.Decode(a, format), FloatExact.Decode(b, format));
        return FloatExact.Add(product, FloatExact.Decode(c, format), rounding).Encode(format, rounding);
    }

    static ulong ExactDiv(ulong a, ulong b, int option)
    {
        FloatFormat format = FormatOf(option);
        FloatExact quotient = FloatExact.Divide(FloatExact.Decode(a, format), FloatExact.Decode(b, format));
        return quotient.Encode(format, RoundingOf(option));
    }

    static ulong ExactSqrt(ulong a, int option)
    {
        FloatFormat format = FormatOf(option);
        return FloatExact.SquareRoot(FloatExact.Decode(a, format)).Encode(format, RoundingOf(option));
    }
}
