// cvt between integers. Types of at most 32 bits sit in 32-bit lanes; a source is first extended from its own width, a
// result is cut to its own width and zero-extended (the builder widens further). .sat clamps to the result's range.
// In all cvt patterns the integer types are in the order of IntegerType.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>u8 s8 u16 s16 u32 s32 u64 s64: odd is signed, half of it the logarithm of the size in bytes.</summary>
internal static class IntegerType
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    public const int U64 = 6, S64 = 7;

    [MethodImpl(Inline)] public static bool IsSigned(int type) => (type & 1) != 0;
    [MethodImpl(Inline)] public static int Bits(int type) => 8 << (type >> 1);
    [MethodImpl(Inline)] public static long Min(int type) => IsSigned(type) ? -1L << (Bits(type) - 1) : 0;

    [MethodImpl(Inline)]
    public static ulong Max(int type) =>
        IsSigned(type) ? (1UL << (Bits(type) - 1)) - 1 : ulong.MaxValue >> (64 - Bits(type));
}

internal static class ConvertInteger
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("cvt.<u8,s8,u16,s16,u32,s32>.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U32 Convert(U32 a, int to, int from) => Trim(Extend(a, from), to);

    [Ptx("cvt.sat.<u8,s8,u16,s16,u32,s32>.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U32 ConvertSat(U32 a, int to, int from)
    {
        U32 max = Vector512.Create((uint)IntegerType.Max(to));
        U32 value = Extend(a, from);
        if (!IntegerType.IsSigned(from)) return Vector512.Min(value, max);
        Vector512<int> atLeast = Vector512.Max(value.AsInt32(), Vector512.Create((int)IntegerType.Min(to)));
        // Not negative any more when the result is unsigned, and s32's range holds every signed result's.
        U32 clamped = IntegerType.IsSigned(to)
            ? Vector512.Min(atLeast, max.AsInt32()).AsUInt32()
            : Vector512.Min(atLeast.AsUInt32(), max);
        return Trim(clamped, to);
    }

    [Ptx("cvt.<u64,s64>.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U64 Convert(H32 a, int to, int from)
    {
        H32 value = Extend(Vector512.Create(a, a), from).GetLower();
        if (IntegerType.IsSigned(from))
        {
            (Vector256<long> low, Vector256<long> high) = Vector256.Widen(value.AsInt32());
            return Vector512.Create(low, high).AsUInt64();
        }
        (Vector256<ulong> lower, Vector256<ulong> upper) = Vector256.Widen(value);
        return Vector512.Create(lower, upper);
    }

    [Ptx("cvt.sat.<u64,s64>.<u8,s8,u16,s16,u32,s32>"), MethodImpl(Inline)]
    public static U64 ConvertSat(H32 a, int to, int from) => Clamp(Convert(a, to, from), to + IntegerType.U64, from);

    [Ptx("cvt.<u8,s8,u16,s16,u32,s32>.<u64,s64>"), MethodImpl(Inline)]
    public static H32 Convert(U64 a, int to, int from) => Trim(LowHalves(a), to);

    [Ptx("cvt.sat.<u8,s8,u16,s16,u32,s32>.<u64,s64>"), MethodImpl(Inline)]
    public static H32 ConvertSat(U64 a, int to, int from) =>
        Trim(LowHalves(Clamp(a, to, from + IntegerType.U64)), to);

    [Ptx("cvt.<u64,s64>.<u64,s64>"), MethodImpl(Inline)]
    public static U64 Convert64(U64 a, int to, int from) => a;

    [Ptx("cvt.sat.<u64,s64>.<u64,s64>"), MethodImpl(Inline)]
    public static U64 ConvertSat64(U64 a, int to, int from) =>
        Clamp(a, to + IntegerType.U64, from + IntegerType.U64);

    /// <summary>cvt.pack.sat: the clamped a above the clamped b.</summary>
    [Ptx("cvt.pack.sat.<u16,s16>.s32"), MethodImpl(Inline)]
    public static U32 Pack(U32 a, U32 b, int signed) => Packed(a, b, 16, signed != 0);

    /// <summary>The narrower forms also move c up by the two fields: four of them fill a register with bytes.</summary>
    [Ptx("cvt.pack.sat.<u8,s8>.s32.b32"), MethodImpl(Inline)]
    public static U32 Pack8(U32 a, U32 b, U32 c, int signed) => Packed(a, b, 8, signed != 0) | c << 16;

    [Ptx("cvt.pack.sat.<u4,s4>.s32.b32"), MethodImpl(Inline)]
    public static U32 Pack4(U32 a, U32 b, U32 c, int signed) => Packed(a, b, 4, signed != 0) | c << 8;

    [Ptx("cvt.pack.sat.<u2,s2>.s32.b32"), MethodImpl(Inline)]
    public static U32 Pack2(U32 a, U32 b, U32 c, int signed) => Packed(a, b, 2, signed != 0) | c << 4;

    [MethodImpl(Inline)]
    static U32 Packed(U32 a, U32 b, int bits, bool signed)
    {
        Vector512<int> min = Vector512.Create(signed ? -1 << (bits - 1) : 0);
        Vector512<int> max = Vector512.Create(signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1);
        U32 field = Vector512.Create((1u << bits) - 1);
        U32 high = Vector512.Min(Vector512.Max(a.AsInt32(), min), max).AsUInt32() & field;
        U32 low = Vector512.Min(Vector512.Max(b.AsInt32(), min), max).AsUInt32() & field;
        return high << bits | low;
    }

    /// <summary>A value as a 32-bit integer of its own signedness.</summary>
    [MethodImpl(Inline)]
    public static U32 Extend(U32 a, int type)
    {
        int unused = 32 - IntegerType.Bits(type);
        if (unused == 0) return a;
        return IntegerType.IsSigned(type) ? (a.AsInt32() << unused >> unused).AsUInt32() : Trim(a, type);
    }

    [MethodImpl(Inline)]
    public static U32 Trim(U32 a, int type) =>
        IntegerType.Bits(type) == 32 ? a : a & Vector512.Create(uint.MaxValue >> (32 - IntegerType.Bits(type)));

    [MethodImpl(Inline)]
    public static H32 Trim(H32 a, int type) =>
        IntegerType.Bits(type) == 32 ? a : a & Vector256.Create(uint.MaxValue >> (32 - IntegerType.Bits(type)));

    [MethodImpl(Inline)]
    public static H32 LowHalves(U64 a) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector256UInt32(a)
        : Vector256.Narrow(a.GetLower(), a.GetUpper());

    [MethodImpl(Inline)]
    static U64 Clamp(U64 a, int to, int from)
    {
        U64 max = Vector512.Create(IntegerType.Max(to));
        if (!IntegerType.IsSigned(from)) return Vector512.Min(a, max);
        Vector512<long> atLeast = Vector512.Max(a.AsInt64(), Vector512.Create(IntegerType.Min(to)));
        return IntegerType.IsSigned(to)
            ? Vector512.Min(atLeast, max.AsInt64()).AsUInt64()
            : Vector512.Min(atLeast.AsUInt64(), max);
    }
}
