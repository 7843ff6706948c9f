// Integer add, subtract, multiply, multiply-add, minimum, maximum, absolute value and difference (PTX ISA 9.7.1).
// 16-bit values come with anything in their upper halves and leave zero-extended. Signed and unsigned forms share a
// method wherever two's complement makes them one.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.IntegerWide;

namespace EpSam.VirtualGpu.Lanes;

internal static class Integer
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("add.{u,s}16")]
    [MethodImpl(Inline)] public static U32 Add16(U32 a, U32 b) => Low16(a + b);
    [Ptx("add.{u,s}32")]
    [MethodImpl(Inline)] public static U32 Add(U32 a, U32 b) => a + b;
    [Ptx("add.{u,s}64")]
    [MethodImpl(Inline)] public static U64 Add(U64 a, U64 b) => a + b;

    [Ptx("sub.{u,s}16")]
    [MethodImpl(Inline)] public static U32 Sub16(U32 a, U32 b) => Low16(a - b);
    [Ptx("sub.{u,s}32")]
    [MethodImpl(Inline)] public static U32 Sub(U32 a, U32 b) => a - b;
    [Ptx("sub.{u,s}64")]
    [MethodImpl(Inline)] public static U64 Sub(U64 a, U64 b) => a - b;

    [Ptx("add.sat.s32")]
    [MethodImpl(Inline)]
    public static U32 AddSat(U32 a, U32 b)
    {
        U32 sum = a + b;
        U32 overflow = SignMask((a ^ sum) & (b ^ sum));
        return Vector512.ConditionalSelect(overflow, SignMask(a) ^ Vector512.Create(0x7fff_ffffu), sum);
    }

    [Ptx("sub.sat.s32")]
    [MethodImpl(Inline)]
    public static U32 SubSat(U32 a, U32 b)
    {
        U32 difference = a - b;
        U32 overflow = SignMask((a ^ b) & (a ^ difference));
        return Vector512.ConditionalSelect(overflow, SignMask(a) ^ Vector512.Create(0x7fff_ffffu), difference);
    }

    [Ptx("mul.lo.{u,s}16")]
    [MethodImpl(Inline)] public static U32 MulLo16(U32 a, U32 b) => Low16(a * b);
    [Ptx("mul.lo.{u,s}32")]
    [MethodImpl(Inline)] public static U32 MulLo(U32 a, U32 b) => a * b;
    [Ptx("mul.lo.{u,s}64")]
    [MethodImpl(Inline)] public static U64 MulLo(U64 a, U64 b) => a * b;

    [Ptx("mul.hi.u16")]
    [MethodImpl(Inline)] public static U32 MulHiU16(U32 a, U32 b) => (Low16(a) * Low16(b)) >> 16;
    [Ptx("mul.hi.s16")]
    [MethodImpl(Inline)] public static U32 MulHiS16(U32 a, U32 b) => (Extend16(a) * Extend16(b)) >> 16;
    [Ptx("mul.hi.u32")]
    [MethodImpl(Inline)] public static U32 MulHiU32(U32 a, U32 b) => High(a, b);
    [Ptx("mul.hi.s32")]
    [MethodImpl(Inline)] public static U32 MulHiS32(U32 a, U32 b) => HighSigned(a, b);
    [Ptx("mul.hi.u64")]
    [MethodImpl(Inline)] public static U64 MulHiU64(U64 a, U64 b) => High(a, b);
    [Ptx("mul.hi.s64")]
    [MethodImpl(Inline)] public static U64 MulHiS64(U64 a, U64 b) => HighSigned(a, b);

    [Ptx("mul.wide.u16")]
    [MethodImpl(Inline)] public static U32 MulWideU16(U32 a, U32 b) => Low16(a) * Low16(b);
    [Ptx("mul.wide.s16")]
    [MethodImpl(Inline)] public static U32 MulWideS16(U32 a, U32 b) => Extend16(a) * Extend16(b);
    [Ptx("mul.wide.u32")]
    [MethodImpl(Inline)]
    public static U64 MulWideU32(H32 a, H32 b) => MultiplyEven(Widen(a).AsUInt32(), Widen(b).AsUInt32());
    [Ptx("mul.wide.s32")]
    [MethodImpl(Inline)]
    public static U64 MulWideS32(H32 a, H32 b) => MultiplyEvenSigned(Widen(a).AsUInt32(), Widen(b).AsUInt32());

    [Ptx("mad.lo.{u,s}16")]
    [MethodImpl(Inline)] public static U32 MadLo16(U32 a, U32 b, U32 c) => Low16(a * b + c);
    [Ptx("mad.lo.{u,s}32")]
    [MethodImpl(Inline)] public static U32 MadLo(U32 a, U32 b, U32 c) => a * b + c;
    [Ptx("mad.lo.{u,s}64")]
    [MethodImpl(Inline)] public static U64 MadLo(U64 a, U64 b, U64 c) => a * b + c;

    [Ptx("mad.hi.u16")]
    [MethodImpl(Inline)] public static U32 MadHiU16(U32 a, U32 b, U32 c) => Low16(MulHiU16(a, b) + c);
    [Ptx("mad.hi.s16")]
    [MethodImpl(Inline)] public static U32 MadHiS16(U32 a, U32 b, U32 c) => Low16(MulHiS16(a, b) + c);
    [Ptx("mad.hi.u32")]
    [MethodImpl(Inline)] public static U32 MadHiU32(U32 a, U32 b, U32 c) => High(a, b) + c;
    [Ptx("mad.hi.s32")]
    [MethodImpl(Inline)] public static U32 MadHiS32(U32 a, U32 b, U32 c) => HighSigned(a, b) + c;
    [Ptx("mad.hi.u64")]
    [MethodImpl(Inline)] public static U64 MadHiU64(U64 a, U64 b, U64 c) => High(a, b) + c;
    [Ptx("mad.hi.s64")]
    [MethodImpl(Inline)] public static U64 MadHiS64(U64 a, U64 b, U64 c) => HighSigned(a, b) + c;
    [Ptx("mad.hi.sat.s32")]
    [MethodImpl(Inline)] public static U32 MadHiSat(U32 a, U32 b, U32 c) => AddSat(HighSigned(a, b), c);

    [Ptx("mad.wide.u16")]
    [MethodImpl(Inline)] public static U32 MadWideU16(U32 a, U32 b, U32 c) => MulWideU16(a, b) + c;
    [Ptx("mad.wide.s16")]
    [MethodImpl(Inline)] public static U32 MadWideS16(U32 a, U32 b, U32 c) => MulWideS16(a, b) + c;
    [Ptx("mad.wide.u32")]
    [MethodImpl(Inline)] public static U64 MadWideU32(H32 a, H32 b, U64 c) => MulWideU32(a, b) + c;
    [Ptx("mad.wide.s32")]
    [MethodImpl(Inline)] public static U64 MadWideS32(H32 a, H32 b, U64 c) => MulWideS32(a, b) + c;

    // mul24: the operands are the low 24 bits; .lo is bits 0..31 of the 48-bit product, .hi bits 16..47.
    [MethodImpl(Inline)] static U32 Low24(U32 a) => a & Vector512.Create(0xff_ffffu);
    [MethodImpl(Inline)] static U32 Extend24(U32 a) => ((a << 8).AsInt32() >> 8).AsUInt32();

    [Ptx("mul24.lo.u32")]
    [MethodImpl(Inline)] public static U32 Mul24LoU32(U32 a, U32 b) => Low24(a) * Low24(b);
    [Ptx("mul24.lo.s32")]
    [MethodImpl(Inline)] public static U32 Mul24LoS32(U32 a, U32 b) => Extend24(a) * Extend24(b);

    [Ptx("mul24.hi.u32")]
    [MethodImpl(Inline)]
    public static U32 Mul24HiU32(U32 a, U32 b)
    {
        (a, b) = (Low24(a), Low24(b));
        return Interleave(MultiplyEven(a, b) >> 16, MultiplyEven(Odd(a), Odd(b)) >> 16);
    }

    [Ptx("mul24.hi.s32")]
    [MethodImpl(Inline)]
    public static U32 Mul24HiS32(U32 a, U32 b)
    {
        (a, b) = (Extend24(a), Extend24(b));
        return Interleave(MultiplyEvenSigned(a, b) >> 16, MultiplyEvenSigned(Odd(a), Odd(b)) >> 16);
    }

    [Ptx("mad24.lo.u32")]
    [MethodImpl(Inline)] public static U32 Mad24LoU32(U32 a, U32 b, U32 c) => Mul24LoU32(a, b) + c;
    [Ptx("mad24.lo.s32")]
    [MethodImpl(Inline)] public static U32 Mad24LoS32(U32 a, U32 b, U32 c) => Mul24LoS32(a, b) + c;
    [Ptx("mad24.hi.u32")]
    [MethodImpl(Inline)] public static U32 Mad24HiU32(U32 a, U32 b, U32 c) => Mul24HiU32(a, b) + c;
    [Ptx("mad24.hi.s32")]
    [MethodImpl(Inline)] public static U32 Mad24HiS32(U32 a, U32 b, U32 c) => Mul24HiS32(a, b) + c;
    [Ptx("mad24.hi.sat.s32")]
    [MethodImpl(Inline)] public static U32 Mad24HiSat(U32 a, U32 b, U32 c) => AddSat(Mul24HiS32(a, b), c);

    // 16-bit values are compared in the upper halves of the lanes, where a shift puts them with zeros below.
    [Ptx("min.u16")]
    [MethodImpl(Inline)] public static U32 MinU16(U32 a, U32 b) => Vector512.Min(a << 16, b << 16) >> 16;
    [Ptx("min.s16")]
    [MethodImpl(Inline)] public static U32 MinS16(U32 a, U32 b) => MinS32(a << 16, b << 16) >> 16;
    [Ptx("min.u32")]
    [MethodImpl(Inline)] public static U32 MinU32(U32 a, U32 b) => Vector512.Min(a, b);
    [Ptx("min.s32")]
    [MethodImpl(Inline)] public static U32 MinS32(U32 a, U32 b) => Vector512.Min(a.AsInt32(), b.AsInt32()).AsUInt32();
    [Ptx("min.u64")]
    [MethodImpl(Inline)] public static U64 MinU64(U64 a, U64 b) => Vector512.Min(a, b);
    [Ptx("min.s64")]
    [MethodImpl(Inline)] public static U64 MinS64(U64 a, U64 b) => Vector512.Min(a.AsInt64(), b.AsInt64()).AsUInt64();

    [Ptx("max.u16")]
    [MethodImpl(Inline)] public static U32 MaxU16(U32 a, U32 b) => Vector512.Max(a << 16, b << 16) >> 16;
    [Ptx("max.s16")]
    [MethodImpl(Inline)] public static U32 MaxS16(U32 a, U32 b) => MaxS32(a << 16, b << 16) >> 16;
    [Ptx("max.u32")]
    [MethodImpl(Inline)] public static U32 MaxU32(U32 a, U32 b) => Vector512.Max(a, b);
    [Ptx("max.s32")]
    [MethodImpl(Inline)] public static U32 MaxS32(U32 a, U32 b) => Vector512.Max(a.AsInt32(), b.AsInt32()).AsUInt32();
    [Ptx("max.u64")]
    [MethodImpl(Inline)] public static U64 MaxU64(U64 a, U64 b) => Vector512.Max(a, b);
    [Ptx("max.s64")]
    [MethodImpl(Inline)] public static U64 MaxS64(U64 a, U64 b) => Vector512.Max(a.AsInt64(), b.AsInt64()).AsUInt64();

    [Ptx("neg.s16")]
    [MethodImpl(Inline)] public static U32 Neg16(U32 a) => Low16(U32.Zero - a);
    [Ptx("neg.s32")]
    [MethodImpl(Inline)] public static U32 Neg(U32 a) => U32.Zero - a;
    [Ptx("neg.s64")]
    [MethodImpl(Inline)] public static U64 Neg(U64 a) => U64.Zero - a;

    [Ptx("abs.s16")]
    [MethodImpl(Inline)] public static U32 Abs16(U32 a) => Low16(Abs(Extend16(a)));
    [Ptx("abs.s32")]
    [MethodImpl(Inline)] public static U32 Abs(U32 a) => Vector512.Abs(a.AsInt32()).AsUInt32();   // INT_MIN stays
    [Ptx("abs.s64")]
    [MethodImpl(Inline)] public static U64 Abs(U64 a) => Vector512.Abs(a.AsInt64()).AsUInt64();

    // sad: c + |a - b|.
    [Ptx("sad.u16")]
    [MethodImpl(Inline)] public static U32 SadU16(U32 a, U32 b, U32 c) => Low16(MaxU16(a, b) - MinU16(a, b) + c);
    [Ptx("sad.s16")]
    [MethodImpl(Inline)] public static U32 SadS16(U32 a, U32 b, U32 c) => Low16(MaxS16(a, b) - MinS16(a, b) + c);
    [Ptx("sad.u32")]
    [MethodImpl(Inline)] public static U32 SadU32(U32 a, U32 b, U32 c) => MaxU32(a, b) - MinU32(a, b) + c;
    [Ptx("sad.s32")]
    [MethodImpl(Inline)] public static U32 SadS32(U32 a, U32 b, U32 c) => MaxS32(a, b) - MinS32(a, b) + c;
    [Ptx("sad.u64")]
    [MethodImpl(Inline)] public static U64 SadU64(U64 a, U64 b, U64 c) => MaxU64(a, b) - MinU64(a, b) + c;
    [Ptx("sad.s64")]
    [MethodImpl(Inline)] public static U64 SadS64(U64 a, U64 b, U64 c) => MaxS64(a, b) - MinS64(a, b) + c;
}
