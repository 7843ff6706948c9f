// Extended-precision arithmetic (PTX ISA 9.7.2). The condition code is an ordinary predicate here: addc, subc and madc
// take it as their last operand, and a twin ".carry" of each instruction gives its carry-out. Subtraction borrows: the
// predicate is set when the true difference is negative. The carry of mad is that of its addition.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.IntegerWide;
using static EpSam.VirtualGpu.Lanes.PredicateMask;

namespace EpSam.VirtualGpu.Lanes;

internal static class IntegerCarry
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("add.{u,s}32.carry")]
    [MethodImpl(Inline)] public static uint AddCarry(U32 a, U32 b) => Bits(Vector512.LessThan(a + b, a));
    [Ptx("add.{u,s}64.carry")]
    [MethodImpl(Inline)] public static uint AddCarry(U64 a, U64 b) => Bits(Vector512.LessThan(a + b, a));

    [Ptx("addc.{u,s}32")]
    [MethodImpl(Inline)] public static U32 Addc(U32 a, U32 b, uint c) => a + b - Mask32(c);
    [Ptx("addc.{u,s}64")]
    [MethodImpl(Inline)] public static U64 Addc(U64 a, U64 b, uint c) => a + b - Mask64(c);

    // With a carry-in the sum s = a + b + 1 wraps exactly when s <= a.
    [Ptx("addc.{u,s}32.carry")]
    [MethodImpl(Inline)]
    public static uint AddcCarry(U32 a, U32 b, uint c)
    {
        U32 sum = Addc(a, b, c);
        return Bits(Vector512.LessThan(sum, a)) | (Bits(Vector512.Equals(sum, a)) & c);
    }

    [Ptx("addc.{u,s}64.carry")]
    [MethodImpl(Inline)]
    public static uint AddcCarry(U64 a, U64 b, uint c)
    {
        U64 sum = Addc(a, b, c);
        return Bits(Vector512.LessThan(sum, a)) | (Bits(Vector512.Equals(sum, a)) & c);
    }

    [Ptx("sub.{u,s}32.carry")]
    [MethodImpl(Inline)] public static uint SubBorrow(U32 a, U32 b) => Bits(Vector512.LessThan(a, b));
    [Ptx("sub.{u,s}64.carry")]
    [MethodImpl(Inline)] public static uint SubBorrow(U64 a, U64 b) => Bits(Vector512.LessThan(a, b));

    [Ptx("subc.{u,s}32")]
    [MethodImpl(Inline)] public static U32 Subc(U32 a, U32 b, uint c) => a - b + Mask32(c);
    [Ptx("subc.{u,s}64")]
    [MethodImpl(Inline)] public static U64 Subc(U64 a, U64 b, uint c) => a - b + Mask64(c);

    [Ptx("subc.{u,s}32.carry")]
    [MethodImpl(Inline)]
    public static uint SubcBorrow(U32 a, U32 b, uint c) =>
        Bits(Vector512.LessThan(a, b)) | (Bits(Vector512.Equals(a, b)) & c);

    [Ptx("subc.{u,s}64.carry")]
    [MethodImpl(Inline)]
    public static uint SubcBorrow(U64 a, U64 b, uint c) =>
        Bits(Vector512.LessThan(a, b)) | (Bits(Vector512.Equals(a, b)) & c);

    [Ptx("mad.lo.{u,s}32.carry")]
    [MethodImpl(Inline)] public static uint MadLoCarry(U32 a, U32 b, U32 c) => AddCarry(a * b, c);
    [Ptx("mad.lo.{u,s}64.carry")]
    [MethodImpl(Inline)] public static uint MadLoCarry(U64 a, U64 b, U64 c) => AddCarry(a * b, c);
    [Ptx("mad.hi.u32.carry")]
    [MethodImpl(Inline)] public static uint MadHiCarryU32(U32 a, U32 b, U32 c) => AddCarry(High(a, b), c);
    [Ptx("mad.hi.s32.carry")]
    [MethodImpl(Inline)] public static uint MadHiCarryS32(U32 a, U32 b, U32 c) => AddCarry(HighSigned(a, b), c);
    [Ptx("mad.hi.u64.carry")]
    [MethodImpl(Inline)] public static uint MadHiCarryU64(U64 a, U64 b, U64 c) => AddCarry(High(a, b), c);
    [Ptx("mad.hi.s64.carry")]
    [MethodImpl(Inline)] public static uint MadHiCarryS64(U64 a, U64 b, U64 c) => AddCarry(HighSigned(a, b), c);

    [Ptx("madc.lo.{u,s}32")]
    [MethodImpl(Inline)] public static U32 MadcLo(U32 a, U32 b, U32 c, uint p) => Addc(a * b, c, p);
    [Ptx("madc.lo.{u,s}64")]
    [MethodImpl(Inline)] public static U64 MadcLo(U64 a, U64 b, U64 c, uint p) => Addc(a * b, c, p);
    [Ptx("madc.hi.u32")]
    [MethodImpl(Inline)] public static U32 MadcHiU32(U32 a, U32 b, U32 c, uint p) => Addc(High(a, b), c, p);
    [Ptx("madc.hi.s32")]
    [MethodImpl(Inline)] public static U32 MadcHiS32(U32 a, U32 b, U32 c, uint p) => Addc(HighSigned(a, b), c, p);
    [Ptx("madc.hi.u64")]
    [MethodImpl(Inline)] public static U64 MadcHiU64(U64 a, U64 b, U64 c, uint p) => Addc(High(a, b), c, p);
    [Ptx("madc.hi.s64")]
    [MethodImpl(Inline)] public static U64 MadcHiS64(U64 a, U64 b, U64 c, uint p) => Addc(HighSigned(a, b), c, p);

    [Ptx("madc.lo.{u,s}32.carry")]
    [MethodImpl(Inline)] public static uint MadcLoCarry(U32 a, U32 b, U32 c, uint p) => AddcCarry(a * b, c, p);
    [Ptx("madc.lo.{u,s}64.carry")]
    [MethodImpl(Inline)] public static uint MadcLoCarry(U64 a, U64 b, U64 c, uint p) => AddcCarry(a * b, c, p);
    [Ptx("madc.hi.u32.carry")]
    [MethodImpl(Inline)] public static uint MadcHiCarryU32(U32 a, U32 b, U32 c, uint p) => AddcCarry(High(a, b), c, p);
    [Ptx("madc.hi.s32.carry")]
    [MethodImpl(Inline)]
    public static uint MadcHiCarryS32(U32 a, U32 b, U32 c, uint p) => AddcCarry(HighSigned(a, b), c, p);
    [Ptx("madc.hi.u64.carry")]
    [MethodImpl(Inline)] public static uint MadcHiCarryU64(U64 a, U64 b, U64 c, uint p) => AddcCarry(High(a, b), c, p);
    [Ptx("madc.hi.s64.carry")]
    [MethodImpl(Inline)]
    public static uint MadcHiCarryS64(U64 a, U64 b, U64 c, uint p) => AddcCarry(HighSigned(a, b), c, p);
}
