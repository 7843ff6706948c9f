// The approximations of PTX: ex2 lg2 sin cos tanh rsqrt, div.approx, and the coarse f64 rcp and rsqrt. Each stays within
// the error that the PTX ISA grants (stated at the method, asserted by the tests), handles the ISA's table of special
// values, and is made of adds, multiplies, FMAs, divisions and square roots only, never of a CPU's own approximation
// instruction: the same bits with and without AVX-512, on x86 and ARM. Subnormals count (.ftz is the builder's).
// Polynomials are minimax (Remez) fits in relative error, made with 40 decimal digits and rounded to f32.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class SpecialFunctions
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    const float RoundingShift = 12582912f;   // 1.5 * 2^23: adding it leaves the nearest integer in the low bits

    /// <summary>2^a, relative error at most 2^-22.5. Exact for integers.</summary>
    [Ptx("ex2.approx.f32"), MethodImpl(Inline)]
    public static U32 Ex2(U32 a) => Ex2(F32(a)).AsUInt32();

    // 2^a = 2^h * 2^h * 2^f with h = round(a / 2) and f = a - 2h in [-1, 1]. Two equal factors reach down to the
    // subnormals and up to infinity, where one would leave the exponent's range, and a NaN passes through all of it.
    [MethodImpl(Inline)]
    public static Vector512<float> Ex2(Vector512<float> a)
    {
        a = Vector512.MinNative(Vector512.Create(130f), a);    // constant first: x86 returns the second if one is NaN
        a = Vector512.MaxNative(Vector512.Create(-160f), a);
        Vector512<float> shifted = Fma(a, 0.5f, Vector512.Create(RoundingShift));
        Vector512<float> half = shifted - Vector512.Create(RoundingShift);
        Vector512<float> f = Fma(half, -2f, a);
        Vector512<float> p = Fma(f, Vector512.Create(1.34049170647e-5f), 0.000156351194369f);
        p = Fma(f, p, 0.00133676824095f);
        p = Fma(f, p, 0.00961697808829f);
        p = Fma(f, p, 0.0555024021492f);
        p = Fma(f, p, 0.240226649f);
        p = Fma(f, p, 0.693147388497f);
        p = Fma(f, p, 1f);
        Vector512<int> exponent = (shifted.AsInt32() << 23) + Vector512.Create(0x3f80_0000);
        return p * exponent.AsSingle() * exponent.AsSingle();
    }

    /// <summary>log2 a: absolute error at most 2^-22.6 for a in (0.5, 2), relative outside.</summary>
    // a = 2^e * m with m in [sqrt(1/2), sqrt(2)); log2 m = s * g(s^2) with s = (m-1) / (m+1).
    [Ptx("lg2.approx.f32"), MethodImpl(Inline)]
    public static U32 Lg2(U32 a)
    {
        Vector512<float> x = F32(a);
        Vector512<float> isSmall = Vector512.LessThan(x, Vector512.Create(1.17549435e-38f));
        x = Vector512.ConditionalSelect(isSmall, x * Vector512.Create(8388608f), x);
        Vector512<int> offset = x.AsInt32() - Vector512.Create(0x3f35_04f3);   // the bits of sqrt(1/2)
        Vector512<int> exponent = offset >> 23;
        Vector512<float> m = (x.AsInt32() - (exponent << 23)).AsSingle();
        Vector512<float> e = Vector512.ConvertToSingle(exponent)
            - (isSmall.AsInt32() & Vector512.Create(23f).AsInt32()).AsSingle();
        Vector512<float> s = (m - Vector512<float>.One) / (m + Vector512<float>.One);
        Vector512<float> s2 = s * s;
        Vector512<float> g = Fma(s2, Vector512.Create(0.4317400892f), 0.576714226746f);
        g = Fma(s2, g, 0.961798849078f);
        g = Fma(s2, g, 2.88539007979f);
        Vector512<float> result = Vector512.FusedMultiplyAdd(s, g, e);
        // Infinity and NaN are their own logarithms; zero has -infinity, a negative number NaN.
        Vector512<float> inRange = Vector512.LessThan(F32(a), Vector512.Create(float.PositiveInfinity));
        result = Vector512.ConditionalSelect(inRange, result, F32(a));
        Vector512<float> isZero = Vector512.Equals(F32(a), Vector512<float>.Zero);
        result = Vector512.ConditionalSelect(isZero, Vector512.Create(float.NegativeInfinity), result);
        Vector512<float> isNegative = Vector512.LessThan(F32(a), Vector512<float>.Zero);
        return Vector512.ConditionalSelect(isNegative.AsUInt32(), Vector512.Create(NaN), result.AsUInt32());
    }

    /// <summary>1 / sqrt a, relative error at most 2^-22.9.</summary>
    [Ptx("rsqrt.approx.f32"), MethodImpl(Inline)]
    public static U32 Rsqrt(U32 a) => (Vector512<float>.One / Vector512.Sqrt(F32(a))).AsUInt32();

    /// <summary>a * (1 / b), 2 ulp for |b| in [2^-126, 2^126]. Above that 1 / b is subnormal and counts as zero.</summary>
    [Ptx("div.approx.f32"), MethodImpl(Inline)]
    public static U32 DivApprox(U32 a, U32 b)
    {
        Vector512<float> reciprocal = Vector512<float>.One / F32(b);
        return (F32(a) * FloatCompare.FlushF32(reciprocal.AsUInt32()).AsSingle()).AsUInt32();
    }

    [Ptx("tanh.approx.f32"), MethodImpl(Inline)]
    public static U32 Tanh(U32 a) => Tanh(F32(a)).AsUInt32();

    /// <summary>tanh a, relative error at most 2^-11 (here below 2^-13).</summary>
    // a * P(a^2) / Q(a^2). At the clamp the quotient is 1 to the last bit.
    [MethodImpl(Inline)]
    public static Vector512<float> Tanh(Vector512<float> a)
    {
        a = Vector512.MinNative(Vector512.Create(TanhClamp), a);
        a = Vector512.MaxNative(Vector512.Create(-TanhClamp), a);
        Vector512<float> u = a * a;
        Vector512<float> p = Fma(u, Vector512.Create(0.001802295771f), 0.119732227f);
        p = Fma(u, p, 1.000034579f) * a;
        Vector512<float> q = Fma(u, Vector512.Create(7.345337066e-5f), 0.01939456537f);
        q = Fma(u, q, 0.4532600678f);
        q = Fma(u, q, 1f);
        return p / q;
    }

    internal const float TanhClamp = 5f;

    [MethodImpl(Inline)]
    static Vector512<float> Fma(Vector512<float> a, Vector512<float> b, float c) =>
        Vector512.FusedMultiplyAdd(a, b, Vector512.Create(c));

    [MethodImpl(Inline)]
    static Vector512<float> Fma(Vector512<float> a, float b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(a, Vector512.Create(b), c);
}
