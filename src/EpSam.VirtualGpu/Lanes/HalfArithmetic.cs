// Arithmetic of f16, f16x2, bf16 and bf16x2: done in f32 and rounded once more. That is correctly rounded for add,
// sub and mul, since 24 bits are at least 2 * 11 + 2; fma first rounds to odd in f32, which makes the second rounding
// exact. In the patterns the types are in the order of HalfType; packed operands are two halves a lane.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static class HalfType
{
    public const int F16 = 0, F16x2 = 1, BF16 = 2, BF16x2 = 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsBrain(int type) => type >= BF16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPacked(int type) => (type & 1) != 0;
}

internal static class HalfArithmetic
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    const uint BothSigns = 0x8000_8000;

    [Ptx("add.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Add(U32 a, U32 b, int type) => Apply<AddOperation>(a, b, b, type);

    [Ptx("sub.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Sub(U32 a, U32 b, int type) => Apply<SubOperation>(a, b, b, type);

    [Ptx("mul.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Mul(U32 a, U32 b, int type) => Apply<MulOperation>(a, b, b, type);

    [Ptx("fma.rn.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Fma(U32 a, U32 b, U32 c, int type) => Apply<FmaOperation>(a, b, c, type);

    [Ptx("fma.rn.relu.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 FmaRelu(U32 a, U32 b, U32 c, int type)
    {
        // Canonical NaNs have no sign, so a set sign bit is a negative number or -0.
        Vector512<short> fma = Fma(a, b, c, type).AsInt16();
        return Vector512.Max(fma, Vector512<short>.Zero).AsUInt32();
    }

    [Ptx("min.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Min(U32 a, U32 b, int type) => Apply<MinOperation>(a, b, b, type);

    [Ptx("max.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Max(U32 a, U32 b, int type) => Apply<MaxOperation>(a, b, b, type);

    [Ptx("min.NaN.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 MinNaN(U32 a, U32 b, int type) => Apply<MinNaNOperation>(a, b, b, type);

    [Ptx("max.NaN.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 MaxNaN(U32 a, U32 b, int type) => Apply<MaxNaNOperation>(a, b, b, type);

    [Ptx("<min,max>.xorsign.abs.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 XorSign(U32 a, U32 b, int max, int type) => max != 0
        ? Apply<MaxXorSignOperation>(a, b, b, type)
        : Apply<MinXorSignOperation>(a, b, b, type);

    [Ptx("<min,max>.NaN.xorsign.abs.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 XorSignNaN(U32 a, U32 b, int max, int type) => max != 0
        ? Apply<MaxXorSignNaNOperation>(a, b, b, type)
        : Apply<MinXorSignNaNOperation>(a, b, b, type);

    /// <summary>2^a, relative error at most 2^-9.9 for f16. The bf16 forms exist only with .ftz.</summary>
    [Ptx("ex2.approx.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Ex2(U32 a, int type)
    {
        U32 result = Apply<Ex2Operation>(a, a, a, type);
        return HalfType.IsBrain(type) ? Flush(result, type) : result;
    }

    /// <summary>tanh a, absolute error at most 2^-10.987 for f16, 2^-8 for bf16.</summary>
    [Ptx("tanh.approx.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Tanh(U32 a, int type) => Apply<TanhOperation>(a, a, a, type);

    [Ptx("abs.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Abs(U32 a, int type) => Trim(a & Vector512.Create(~BothSigns), type);

    [Ptx("neg.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Neg(U32 a, int type) => Trim(a ^ Vector512.Create(BothSigns), type);

    [Ptx("setp.<eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan>.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static uint Setp(U32 a, U32 b, int comparison, int type) => FloatCompare.Compare(
        HalfBits.Widen(a, HalfType.IsBrain(type)), HalfBits.Widen(b, HalfType.IsBrain(type)), comparison);

    /// <summary>The second predicate of setp p|q: the upper halves.</summary>
    [Ptx("setp.<eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan>.<f16x2,bf16x2>.hi"), MethodImpl(Inline)]
    public static uint SetpHigh(U32 a, U32 b, int comparison, int brain) => FloatCompare.Compare(
        HalfBits.Widen(a >> 16, brain != 0), HalfBits.Widen(b >> 16, brain != 0), comparison);

    /// <summary>For .ftz, by the builder.</summary>
    [Ptx("flush.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Flush(U32 a, int type)
    {
        U32 exponent = a & Vector512.Create(HalfType.IsBrain(type) ? 0x7f80_7f80u : 0x7c00_7c00u);
        U32 isSmall = Vector512.Equals(exponent.AsUInt16(), Vector512<ushort>.Zero).AsUInt32();
        return Trim(Vector512.ConditionalSelect(isSmall, a & Vector512.Create(BothSigns), a), type);
    }

    /// <summary>For .sat, by the builder: clamped to [0, 1]; NaN and -0 become +0.</summary>
    [Ptx("sat.<f16,f16x2,bf16,bf16x2>"), MethodImpl(Inline)]
    public static U32 Sat(U32 a, int type) => Apply<SatOperation>(a, a, a, type);

    [MethodImpl(Inline)]
    static U32 Trim(U32 a, int type) => HalfType.IsPacked(type) ? a : a & Vector512.Create(0xffffu);

    [MethodImpl(Inline)]
    static U32 Apply<TOperation>(U32 a, U32 b, U32 c, int type) where TOperation : IOperation
    {
        bool brain = HalfType.IsBrain(type);
        U32 low = HalfBits.Narrow(Operate<TOperation>(a, b, c, brain), brain);
        if (!HalfType.IsPacked(type)) return low;
        return low | HalfBits.Narrow(Operate<TOperation>(a >> 16, b >> 16, c >> 16, brain), brain) << 16;
    }

    [MethodImpl(Inline)]
    static Vector512<float> Operate<TOperation>(U32 a, U32 b, U32 c, bool brain) where TOperation : IOperation =>
        TOperation.Apply(HalfBits.Widen(a, brain), HalfBits.Widen(b, brain), HalfBits.Widen(c, brain), brain);

    /// <summary>a * b + c in f32, rounded to odd: when inexact, whichever neighbour has its last bit set.</summary>
    [MethodImpl(Inline)]
    static Vector512<float> FmaOdd(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain)
    {
        if (!brain)
        {
            // Products of f16 are exact in f32, and so are the sum and its error (Knuth's TwoSum): all is far from
            // f32's limits.
            Vector512<float> product = a * b, sum = product + c, part = sum - product;
            return Odd(sum, product - (sum - part) + (c - part));
        }
        (Vector256<float> low, Vector256<float> lowRest) = FmaRest(a.GetLower(), b.GetLower(), c.GetLower());
        (Vector256<float> high, Vector256<float> highRest) = FmaRest(a.GetUpper(), b.GetUpper(), c.GetUpper());
        return Odd(Vector512.Create(low, high), Vector512.Create(lowRest, highRest));
    }

    // bf16 has the range of f32, so this one is done in f64. The rest is only right in its sign.
    [MethodImpl(Inline)]
    static (Vector256<float> Sum, Vector256<float> Left) FmaRest(
        Vector256<float> a, Vector256<float> b, Vector256<float> c)
    {
        Vector512<double> product = FloatLanes.Widen(a) * FloatLanes.Widen(b), addend = FloatLanes.Widen(c);
        Vector512<double> sum = product + addend, part = sum - product;
        Vector512<double> error = product - (sum - part) + (addend - part);
        Vector256<float> result = FloatLanes.Narrow(sum);
        Vector512<double> rest = sum - FloatLanes.Widen(result) + error;
        // An exact infinity leaves NaN here: no rest.
        Vector512<double> sign = Vector512.GreaterThan(rest, Vector512<double>.Zero) & Vector512<double>.One
            | Vector512.LessThan(rest, Vector512<double>.Zero) & Vector512.Create(-1.0);
        return (result, FloatLanes.Narrow(sign));
    }

    [MethodImpl(Inline)]
    static Vector512<float> Odd(Vector512<float> value, Vector512<float> rest)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<float> isInexact = Vector512.GreaterThan(rest, Vector512<float>.Zero)
            | Vector512.LessThan(rest, Vector512<float>.Zero);
        Vector512<int> isEven = Vector512.Equals(bits & Vector512<int>.One, Vector512<int>.Zero);
        // 1 when both have the same sign, else -1.
        Vector512<int> towardsRest = (bits ^ rest.AsInt32()) >> 31 | Vector512<int>.One;
        return (bits + (towardsRest & isInexact.AsInt32() & isEven)).AsSingle();
    }

    interface IOperation
    {
        static abstract Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain);
    }

    readonly struct AddOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            a + b;
    }

    readonly struct SubOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            a - b;
    }

    readonly struct MulOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            a * b;
    }

    readonly struct FmaOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            FmaOdd(a, b, c, brain);
    }

    readonly struct MinOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            Vector512.MinNumber(a, b);
    }

    readonly struct MaxOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            Vector512.MaxNumber(a, b);
    }

    readonly struct MinNaNOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            Vector512.Min(a, b);
    }

    readonly struct MaxNaNOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            Vector512.Max(a, b);
    }

    readonly struct MinXorSignOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            F32(FloatCompare.XorSign(a.AsUInt32(), b.AsUInt32(), 0));
    }

    readonly struct MaxXorSignOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            F32(FloatCompare.XorSign(a.AsUInt32(), b.AsUInt32(), 1));
    }

    readonly struct MinXorSignNaNOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            F32(FloatCompare.XorSignNaN(a.AsUInt32(), b.AsUInt32(), 0));
    }

    readonly struct MaxXorSignNaNOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            F32(FloatCompare.XorSignNaN(a.AsUInt32(), b.AsUInt32(), 1));
    }

    readonly struct Ex2Operation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            SpecialFunctions.Ex2(a);
    }

    readonly struct TanhOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            SpecialFunctions.Tanh(a);
    }

    readonly struct SatOperation : IOperation
    {
        [MethodImpl(Inline)]
        public static Vector512<float> Apply(Vector512<float> a, Vector512<float> b, Vector512<float> c, bool brain) =>
            F32(FloatCompare.SatF32(a.AsUInt32()));
    }
}
