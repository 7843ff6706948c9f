// cvt where one side or both are floating-point numbers. To integers: the result is clamped to the result type's
// range, with or without .sat; NaN gives 0 (PTX ISA, cvt, "Integer Notes"), for 64-bit results too. To floats: one
// rounding in the mode given; .sat clamps to [0, 1] and makes NaN +0; NaN otherwise becomes canonical where bits are
// moved anyway. Common pairs are vector code, the others go through FloatExact. Rounding modes are in the order of
// Rounding, integer types of IntegerType.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.FloatLanes;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class ConvertFloat
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // ---- float to integer

    [Ptx("cvt.<rni,rzi,rmi,rpi>{,.sat}.<u8,s8,u16,s16,u32,s32>.<f16,bf16,f32>"), MethodImpl(Inline)]
    public static U32 ToInteger(U32 a, int rounding, int to, int from)
    {
        Vector512<float> value = Round(Load(a, from), rounding);
        if (IntegerType.Bits(to) < 32)
        {
            // x86 gives the second operand for a NaN, ARM a NaN; the conversion makes 0 of it.
            value = Vector512.MinNative(Vector512.Create((float)IntegerType.Max(to)), value);
            value = Vector512.MaxNative(Vector512.Create((float)IntegerType.Min(to)), value);
        }
        // These saturate, and turn NaN into 0.
        U32 integer = IntegerType.Bits(to) < 32 || IntegerType.IsSigned(to)
            ? Vector512.ConvertToInt32(value).AsUInt32()
            : Vector512.ConvertToUInt32(value);
        return ConvertInteger.Trim(integer, to);
    }

    [Ptx("cvt.<rni,rzi,rmi,rpi>{,.sat}.<u64,s64>.<f16,bf16,f32>"), MethodImpl(Inline)]
    public static U64 ToInteger64(H32 a, int rounding, int to, int from) =>
        ToInteger(FloatLanes.Widen(Load(Vector512.Create(a, a), from).GetLower()), rounding, to);

    [Ptx("cvt.<rni,rzi,rmi,rpi>{,.sat}.<u64,s64>.f64"), MethodImpl(Inline)]
    public static U64 ToInteger64(U64 a, int rounding, int to) => ToInteger(F64(a), rounding, to);

    [MethodImpl(Inline)]
    static U64 ToInteger(Vector512<double> value, int rounding, int signed) => signed != 0
        ? Vector512.ConvertToInt64(Round(value, rounding)).AsUInt64()
        : Vector512.ConvertToUInt64(Round(value, rounding));

    [Ptx("cvt.<rni,rzi,rmi,rpi>{,.sat}.<u8,s8,u16,s16,u32,s32>.f64"), MethodImpl(Inline)]
    public static H32 ToInteger(U64 a, int rounding, int to)
    {
        Vector512<double> value = Round(F64(a), rounding);
        value = (value.AsUInt64() & Vector512.Equals(value, value).AsUInt64()).AsDouble();
        value = Vector512.MinNative(value, Vector512.Create((double)IntegerType.Max(to)));
        value = Vector512.MaxNative(value, Vector512.Create((double)IntegerType.Min(to)));
        // Adding 1.5 * 2^52 leaves the integer, in two's complement, in the low bits.
        value += Vector512.Create(6755399441055744.0);
        return ConvertInteger.Trim(ConvertInteger.LowHalves(value.AsUInt64()), to);
    }

    // ---- integer to float

    [Ptx("cvt.rn.<,sat.>f32.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U32 FromInteger(U32 a, int sat, int from)
    {
        U32 value = ConvertInteger.Extend(a, from);
        Vector512<float> result = IntegerType.Bits(from) < 32 || IntegerType.IsSigned(from)
            ? Vector512.ConvertToSingle(value.AsInt32())
            : Vector512.ConvertToSingle(value);
        return Sat(result, sat);
    }

    // All 32-bit integers are f64 numbers: no mode rounds.
    [Ptx("cvt.{rn,rz,rm,rp}.<,sat.>f64.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U64 FromInteger(H32 a, int sat, int from)
    {
        // To the bits of 2^52 + x, respectively 2^52 + 2^31 + x, less that constant.
        U32 value = ConvertInteger.Extend(Vector512.Create(a, a), from);
        bool signed = IntegerType.IsSigned(from);
        if (signed) value ^= Vector512.Create(SignBit);
        (Vector256<ulong> low, Vector256<ulong> high) = Vector256.Widen(value.GetLower());
        U64 bits = Vector512.Create(low, high) | Vector512.Create(0x4330_0000_0000_0000UL);
        return Sat(bits.AsDouble() - Vector512.Create(4503599627370496.0 + (signed ? 2147483648.0 : 0)), sat);
    }

    [Ptx("cvt.rn.<,sat.>f64.<u64,s64>"), MethodImpl(Inline)]
    public static U64 FromInteger64(U64 a, int sat, int signed) =>
        Sat(signed != 0 ? Vector512.ConvertToDouble(a.AsInt64()) : Vector512.ConvertToDouble(a), sat);

    [Ptx("cvt.<rz,rm,rp>.<,sat.>f32.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U32 FromIntegerDirected(U32 a, int rounding, int sat, int from) =>
        Sat(F32(Each(a, Option(rounding + 1, from, 2), &ExactFromInteger)), sat);

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.><f16,bf16>.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U32 HalfFromInteger(U32 a, int rounding, int sat, int to, int from) =>
        SatHalf(Each(a, Option(rounding, from, to), &ExactFromInteger), sat, to);

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.>f32.<u64,s64>"), MethodImpl(Inline)]
    public static H32 FromInteger64To32(U64 a, int rounding, int sat, int signed)
    {
        H32 result = EachNarrow(a, Option(rounding, IntegerType.U64 + signed, 2), &ExactFromInteger);
        return Sat(F32(Vector512.Create(result, result)), sat).GetLower();
    }

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.><f16,bf16>.<u64,s64>"), MethodImpl(Inline)]
    public static H32 HalfFromInteger64(U64 a, int rounding, int sat, int to, int signed)
    {
        H32 result = EachNarrow(a, Option(rounding, IntegerType.U64 + signed, to), &ExactFromInteger);
        return SatHalf(Vector512.Create(result, result), sat, to).GetLower();
    }

    [Ptx("cvt.<rz,rm,rp>.<,sat.>f64.<u64,s64>"), MethodImpl(Inline)]
    public static U64 FromInteger64Directed(U64 a, int rounding, int sat, int signed) =>
        Sat(F64(Each(a, Option(rounding + 1, IntegerType.U64 + signed, 3), &ExactFromInteger)), sat);

    // ---- float to float

    [Ptx("cvt.<,sat.>f32.<f16,bf16>"), MethodImpl(Inline)]
    public static U32 FromHalf(U32 a, int sat, int brain) => Sat(HalfBits.Widen(a, brain != 0), sat);

    [Ptx("cvt.<,sat.>f64.<f16,bf16,f32>"), MethodImpl(Inline)]
    public static U64 ToDouble(H32 a, int sat, int from) =>
        Sat(FloatLanes.Widen(Load(Vector512.Create(a, a), from).GetLower()), sat);

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.><f16,bf16>.f32"), MethodImpl(Inline)]
    public static U32 ToHalf(U32 a, int rounding, int sat, int to) =>
        HalfBits.Narrow(sat != 0 ? F32(Sat(F32(a), sat)) : F32(a), to != 0, (Rounding)rounding);

    [Ptx("cvt.<rn,rz>.relu.<f16,bf16>.f32"), MethodImpl(Inline)]
    public static U32 ToHalfRelu(U32 a, int rounding, int to) =>
        HalfBits.Relu(HalfBits.Narrow(F32(a), to != 0, (Rounding)rounding));

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.>bf16.f16"), MethodImpl(Inline)]
    public static U32 BrainFromHalf(U32 a, int rounding, int sat) =>
        ToHalf(HalfBits.FromF16(a).AsUInt32(), rounding, sat, 1);

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.>f16.bf16"), MethodImpl(Inline)]
    public static U32 HalfFromBrain(U32 a, int rounding, int sat) =>
        ToHalf(HalfBits.FromBF16(a).AsUInt32(), rounding, sat, 0);

    /// <summary>cvt d, a, b: a is the upper half.</summary>
    [Ptx("cvt.<rn,rz>.<f16x2,bf16x2>.f32"), MethodImpl(Inline)]
    public static U32 ToPacked(U32 a, U32 b, int rounding, int brain)
    {
        if (brain != 0 && rounding == 0)
        {
            U32 upper = HalfBits.RoundedBF16(F32(a)) & Vector512.Create(0xffff_0000u);
            return upper | HalfBits.ToBF16(F32(b));
        }
        return ToHalf(a, rounding, 0, brain) << 16 | ToHalf(b, rounding, 0, brain);
    }

    [Ptx("cvt.<rn,rz>.relu.<f16x2,bf16x2>.f32"), MethodImpl(Inline)]
    public static U32 ToPackedRelu(U32 a, U32 b, int rounding, int brain) =>
        Vector512.Max(ToPacked(a, b, rounding, brain).AsInt16(), Vector512<short>.Zero).AsUInt32();

    /// <summary>tf32 keeps 10 significand bits; ties away from zero, as magnitudes add up.</summary>
    [Ptx("cvt.rna.tf32.f32"), MethodImpl(Inline)]
    public static U32 ToTF32(U32 a) => CutTF32(a, a + Vector512.Create(0x1000u));

    [Ptx("cvt.<rn,rz><,.relu>.tf32.f32"), MethodImpl(Inline)]
    public static U32 ToTF32(U32 a, int rounding, int relu)
    {
        U32 result = CutTF32(a, rounding == 0 ? a + Vector512.Create(0xfffu) + (a >> 13 & U32.One) : a);
        return relu != 0 ? Vector512.Max(result.AsInt32(), Vector512<int>.Zero).AsUInt32() : result;
    }

    [MethodImpl(Inline)]
    static U32 CutTF32(U32 a, U32 rounded)
    {
        U32 isNumber = Vector512.Equals(F32(a), F32(a)).AsUInt32();
        return Vector512.ConditionalSelect(isNumber, rounded & Vector512.Create(0xffff_e000u), Vector512.Create(NaN));
    }

    [Ptx("cvt.rn.<,sat.>f32.f64"), MethodImpl(Inline)]
    public static H32 ToSingle(U64 a, int sat) => Narrow(Sat(F64(a), sat).AsDouble()).AsUInt32();

    [Ptx("cvt.<rz,rm,rp>.<,sat.>f32.f64"), MethodImpl(Inline)]
    public static H32 ToSingleDirected(U64 a, int rounding, int sat) =>
        EachNarrow(Sat(F64(a), sat), Option(rounding + 1, 0, 2), &ExactFromDouble);

    [Ptx("cvt.<rn,rz,rm,rp>.<,sat.><f16,bf16>.f64"), MethodImpl(Inline)]
    public static H32 ToHalf(U64 a, int rounding, int sat, int to) =>
        EachNarrow(Sat(F64(a), sat), Option(rounding, 0, to), &ExactFromDouble);

    // Same type: rounding to an integral value, or only .sat or .ftz.

    [Ptx("cvt.<,sat.>f32.f32"), MethodImpl(Inline)]
    public static U32 Single(U32 a, int sat) => Sat(F32(a), sat);

    [Ptx("cvt.<rni,rzi,rmi,rpi>.<,sat.>f32.f32"), MethodImpl(Inline)]
    public static U32 Integral(U32 a, int rounding, int sat) => Sat(Round(F32(a), rounding), sat);

    [Ptx("cvt.<,sat.>f64.f64"), MethodImpl(Inline)]
    public static U64 Double(U64 a, int sat) => Sat(F64(a), sat);

    [Ptx("cvt.<rni,rzi,rmi,rpi>.<,sat.>f64.f64"), MethodImpl(Inline)]
    public static U64 Integral(U64 a, int rounding, int sat) => Sat(Round(F64(a), rounding), sat);

    [Ptx("cvt.<,sat.>f16.f16"), MethodImpl(Inline)]
    public static U32 Half(U32 a, int sat) => SatHalf(a & Vector512.Create(0xffffu), sat, 0);

    [Ptx("cvt.<,sat.>bf16.bf16"), MethodImpl(Inline)]
    public static U32 Brain(U32 a, int sat) => SatHalf(a & Vector512.Create(0xffffu), sat, 1);

    [Ptx("cvt.<rni,rzi,rmi,rpi>.<,sat.>f16.f16"), MethodImpl(Inline)]
    public static U32 IntegralHalf(U32 a, int rounding, int sat) =>
        ToHalf(Round(HalfBits.FromF16(a), rounding).AsUInt32(), 0, sat, 0);

    [Ptx("cvt.<rni,rzi,rmi,rpi>.<,sat.>bf16.bf16"), MethodImpl(Inline)]
    public static U32 IntegralBrain(U32 a, int rounding, int sat) =>
        ToHalf(Round(HalfBits.FromBF16(a), rounding).AsUInt32(), 0, sat, 1);

    // ---- parts

    /// <summary>f16, bf16 or f32 lanes as f32.</summary>
    [MethodImpl(Inline)]
    static Vector512<float> Load(U32 a, int type) => type switch
    {
        0 => HalfBits.FromF16(a),
        1 => HalfBits.FromBF16(a),
        _ => F32(a),
    };

    [MethodImpl(Inline)]
    static Vector512<float> Round(Vector512<float> a, int rounding) => (Rounding)rounding switch
    {
        Rounding.Nearest => Vector512.Round(a),
        Rounding.Zero => Vector512.Truncate(a),
        Rounding.Down => Vector512.Floor(a),
        _ => Vector512.Ceiling(a),
    };

    [MethodImpl(Inline)]
    static Vector512<double> Round(Vector512<double> a, int rounding) => (Rounding)rounding switch
    {
        Rounding.Nearest => Vector512.Round(a),
        Rounding.Zero => Vector512.Truncate(a),
        Rounding.Down => Vector512.Floor(a),
        _ => Vector512.Ceiling(a),
    };

    [MethodImpl(Inline)]
    static U32 Sat(Vector512<float> a, int sat) => sat != 0 ? FloatCompare.SatF32(a.AsUInt32()) : a.AsUInt32();

    [MethodImpl(Inline)]
    static U64 Sat(Vector512<double> a, int sat)
    {
        if (sat == 0) return a.AsUInt64();
        U64 positive = Vector512.GreaterThan(a, Vector512<double>.Zero).AsUInt64() & a.AsUInt64();
        return Vector512.MinNative(positive.AsDouble(), Vector512<double>.One).AsUInt64();
    }

    [MethodImpl(Inline)]
    static U32 SatHalf(U32 a, int sat, int brain) =>
        sat != 0 ? HalfArithmetic.Sat(a, brain != 0 ? HalfType.BF16 : HalfType.F16) : a;

    // The scalar functions' option: rounding, integer type, float format (f16 bf16 f32 f64).
    [MethodImpl(Inline)]
    static int Option(int rounding, int integer, int format) => rounding | integer << 2 | format << 5;

    static FloatFormat FormatOf(int option) => (option >> 5) switch
    {
        0 => FloatFormat.F16,
        1 => FloatFormat.BF16,
        2 => FloatFormat.F32,
        _ => FloatFormat.F64,
    };

    static ulong ExactFromInteger(ulong a, int option)
    {
        int type = option >> 2 & 7, unused = 64 - IntegerType.Bits(type);
        Int128 value = IntegerType.IsSigned(type) ? (long)(a << unused) >> unused : a << unused >> unused;
        return FloatExact.FromInteger(value).Encode(FormatOf(option), (Rounding)(option & 3));
    }

    static ulong ExactFromDouble(ulong a, int option) =>
        FloatExact.Decode(a, FloatFormat.F64).Encode(FormatOf(option), (Rounding)(option & 3));
}
