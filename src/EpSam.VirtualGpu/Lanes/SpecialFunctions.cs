// The approximations of PTX: ex2 lg2 sin cos tanh rsqrt, div.approx, and the coarse f64 rcp and rsqrt. Each stays
// within the error that the PTX ISA grants (stated at the method, asserted by the tests), handles the ISA's table of
// special values, and is made of adds, multiplies, FMAs, divisions and square roots only, never of a CPU's own
// approximation instruction: the same bits with and without AVX-512, on x86 and ARM. Subnormals count (.ftz is the
// builder's). Polynomials are minimax (Remez) fits in relative error, made with 40 decimal digits and rounded to f32.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class SpecialFunctions
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    const float RoundingShift = 12582912f;   // 1.5 * 2^23: adding it leaves the nearest integer in the low bits

    /// <summary>2^a, relative error at most 2^-22.5. Exact for integers.</summary>
    [Ptx("ex2.approx.f32"), MethodImpl(Inline)]
    public static U32 Ex2(U32 a) => Ex2(F32(a)).AsUInt32();

    /// <summary>
    /// The same with results below 2^-126 zero: those of a below -126, since the polynomial is 1 or more from there on.
    /// A subnormal operand gives 1 whether it is flushed or not.
    /// </summary>
    [Ptx("ex2.approx.ftz.f32"), MethodImpl(Inline)]
    public static U32 Ex2Flushed(U32 a)
    {
        Vector512<float> isSmall = Vector512.LessThan(F32(a), Vector512.Create(-126f));
        return Vector512.AndNot(Ex2(F32(a)), isSmall).AsUInt32();
    }

    // 2^a = 2^n * 2^f with n = round(a) and f in [-1/2, 1/2]; 2^n in two factors of half the exponent, which reach from
    // the least subnormal to infinity where one would not, and let a NaN pass through.
    [MethodImpl(Inline)]
    public static Vector512<float> Ex2(Vector512<float> a)
    {
        a = Vector512.MinNative(Vector512.Create(130f), a);    // constant first: x86 returns the second if one is NaN
        a = Vector512.MaxNative(Vector512.Create(-160f), a);
        Vector512<float> shifted = a + Vector512.Create(RoundingShift), n = shifted - Vector512.Create(RoundingShift);
        Vector512<float> f = a - n;
        Vector512<float> p = Fma(f, Vector512.Create(0.000155946720957f), 0.00134066435875f);
        p = Fma(f, p, 0.00961769299263f);
        p = Fma(f, p, 0.05550310552f);
        p = Fma(f, p, 0.240226527827f);
        p = Fma(f, p, 0.693147214967f);
        p = Fma(f, p, 1f);
        if (Avx512F.IsSupported) return Avx512F.Scale(p, n); // one rounding either way: p times one half is exact
        Vector512<int> one = Vector512.Create(0x3f80_0000), whole = shifted.AsInt32();
        Vector512<int> half = (whole >> 1 << 23) + one;
        Vector512<int> rest = (whole << 23) - half + (one + one);
        return p * half.AsSingle() * rest.AsSingle();
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

    /// <summary>a * (1 / b), 2 ulp for |b| in [2^-126, 2^126]; above that 1 / b is subnormal and counts as 0.</summary>
    [Ptx("div.approx.f32"), MethodImpl(Inline)]
    public static U32 DivApprox(U32 a, U32 b)
    {
        Vector512<float> reciprocal = Vector512<float>.One / F32(b);
        return (F32(a) * FloatCompare.FlushF32(reciprocal.AsUInt32()).AsSingle()).AsUInt32();
    }

    [Ptx("tanh.approx.f32"), MethodImpl(Inline)]
    public static U32 Tanh(U32 a) => Tanh(F32(a)).AsUInt32();

    /// <summary>tanh a, relative error at most 2^-11 (here 2^-14).</summary>
    // a * P(a^2) / Q(a^2), fitted to rise to exactly 1 at the clamp, so that infinity gives 1.
    [MethodImpl(Inline)]
    public static Vector512<float> Tanh(Vector512<float> a)
    {
        const float Clamp = 5.4133143f;
        a = Vector512.MinNative(Vector512.Create(Clamp), a);
        a = Vector512.MaxNative(Vector512.Create(-Clamp), a);
        Vector512<float> u = a * a;
        Vector512<float> p = Fma(u, Vector512.Create(0.001802317399f), 0.1197336638f);
        p = Fma(u, p, 1.000046579f) * a;
        Vector512<float> q = Fma(u, Vector512.Create(7.345337066e-5f), 0.01939456537f);
        q = Fma(u, q, 0.4532600678f);
        q = Fma(u, q, 1f);
        return p / q;
    }

    /// <summary>sin a (choice 0) and cos a, absolute error at most 2^-20.9 in [-pi, pi]; here up to 2^40.</summary>
    // a = k * pi/2 + r, reduced in f64; k mod 4 chooses between the polynomials of sin r and cos r, and the sign.
    [Ptx("<sin,cos>.approx.f32"), MethodImpl(Inline)]
    public static U32 SinCos(U32 a, int cos)
    {
        (Vector256<float> lowRest, H32 lowQuadrant) = Reduce(F32(a).GetLower());
        (Vector256<float> highRest, H32 highQuadrant) = Reduce(F32(a).GetUpper());
        Vector512<float> r = Vector512.Create(lowRest, highRest), u = r * r;
        U32 quadrant = Vector512.Create(lowQuadrant, highQuadrant) + Vector512.Create((uint)cos);

        Vector512<float> s = Fma(u, Vector512.Create(-0.000195149581007f), 0.0083321584141f);
        s = Fma(u, s, -0.166666545732f);
        s = Fma(u, s, 1f) * r;      // this way -0 stays -0
        Vector512<float> c = Fma(u, Vector512.Create(2.44327858903e-5f), -0.00138873130708f);
        c = Fma(u, c, 0.041666645619f);
        c = Fma(u, c, -0.5f);
        c = Fma(u, c, 1f);

        U32 isCosine = Vector512.Equals(quadrant & U32.One, U32.One);
        U32 magnitude = Vector512.ConditionalSelect(isCosine, c.AsUInt32(), s.AsUInt32());
        return magnitude ^ (quadrant & Vector512.Create(2u)) << 30;
    }

    [MethodImpl(Inline)]
    static (Vector256<float> R, H32 Quadrant) Reduce(Vector256<float> a)
    {
        const double Shift = 6755399441055744.0;   // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
        Vector512<double> x = Widen(a);
        Vector512<double> shifted = Vector512.FusedMultiplyAdd(
            x, Vector512.Create(2 / Math.PI), Vector512.Create(Shift));
        Vector512<double> k = shifted - Vector512.Create(Shift);
        Vector512<double> r = Vector512.FusedMultiplyAdd(k, Vector512.Create(-Math.PI / 2), x);
        r = Vector512.FusedMultiplyAdd(k, Vector512.Create(-6.123233995736766e-17), r);   // pi/2 - (double)(pi/2)
        // Numbers too large to be reduced give some value of the function's range; infinity and NaN give NaN.
        r = Vector512.MaxNative(Vector512.Create(-Math.PI / 4), Vector512.MinNative(Vector512.Create(Math.PI / 4), r));
        return (Narrow(r), ConvertInteger.LowHalves(shifted.AsUInt64()));
    }

    /// <summary>
    /// The coarse f64 reciprocal, a start for Newton's iteration: only the upper 32 bits of the operand count, only
    /// those of the result are set. Exists with .ftz alone: subnormal operands and results are zero.
    /// </summary>
    [Ptx("rcp.approx.f64"), MethodImpl(Inline)]
    public static U64 RcpCoarse(U64 a) =>
        Coarse(Vector512<double>.One / F64(FlushF64(a & Vector512.Create(0xffff_ffff_0000_0000UL))));

    /// <summary>1 / sqrt a of f64, within 2 ulp. Of .ftz.f64 the ISA asks less; it gets the same.</summary>
    [Ptx("rsqrt.approx.f64"), MethodImpl(Inline)]
    public static U64 Rsqrt(U64 a) => (Vector512<double>.One / Vector512.Sqrt(F64(a))).AsUInt64();

    [MethodImpl(Inline)]
    static U64 Coarse(Vector512<double> a)
    {
        // Rounded to nearest: infinity has nothing below to carry.
        U64 rounded = a.AsUInt64() + Vector512.Create(0x8000_0000UL) & Vector512.Create(0xffff_ffff_0000_0000UL);
        return Vector512.ConditionalSelect(
            Vector512.Equals(a, a).AsUInt64(), FlushF64(rounded), Vector512.Create(NaN64));
    }

    [MethodImpl(Inline)]
    static U64 FlushF64(U64 a)
    {
        U64 isSmall = Vector512.Equals(a & Vector512.Create(0x7ff0_0000_0000_0000UL), U64.Zero);
        return Vector512.ConditionalSelect(isSmall, a & Vector512.Create(SignBit64), a);
    }

    [MethodImpl(Inline)]
    static Vector512<float> Fma(Vector512<float> a, Vector512<float> b, float c) =>
        Vector512.FusedMultiplyAdd(a, b, Vector512.Create(c));
}
