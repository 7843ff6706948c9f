// setp on integers, selp and slct (PTX ISA 9.7.6). As ptxas: bit types compare for equality only; lo ls hi hs are for
// unsigned types, where they mean the same as lt le gt ge.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static EpSam.VirtualGpu.Lanes.PredicateMask;

namespace EpSam.VirtualGpu.Lanes;

internal static class Predicate
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // 16-bit values are compared in the upper halves of the lanes.
    [Ptx("setp.eq.{b,u,s}16")]
    [MethodImpl(Inline)] public static uint Eq16(U32 a, U32 b) => Eq(a << 16, b << 16);
    [Ptx("setp.ne.{b,u,s}16")]
    [MethodImpl(Inline)] public static uint Ne16(U32 a, U32 b) => Ne(a << 16, b << 16);
    [Ptx("setp.{lt,lo}.u16")]
    [MethodImpl(Inline)] public static uint LtU16(U32 a, U32 b) => LtU32(a << 16, b << 16);
    [Ptx("setp.{le,ls}.u16")]
    [MethodImpl(Inline)] public static uint LeU16(U32 a, U32 b) => LeU32(a << 16, b << 16);
    [Ptx("setp.{gt,hi}.u16")]
    [MethodImpl(Inline)] public static uint GtU16(U32 a, U32 b) => LtU32(b << 16, a << 16);
    [Ptx("setp.{ge,hs}.u16")]
    [MethodImpl(Inline)] public static uint GeU16(U32 a, U32 b) => LeU32(b << 16, a << 16);
    [Ptx("setp.lt.s16")]
    [MethodImpl(Inline)] public static uint LtS16(U32 a, U32 b) => LtS32(a << 16, b << 16);
    [Ptx("setp.le.s16")]
    [MethodImpl(Inline)] public static uint LeS16(U32 a, U32 b) => LeS32(a << 16, b << 16);
    [Ptx("setp.gt.s16")]
    [MethodImpl(Inline)] public static uint GtS16(U32 a, U32 b) => LtS32(b << 16, a << 16);
    [Ptx("setp.ge.s16")]
    [MethodImpl(Inline)] public static uint GeS16(U32 a, U32 b) => LeS32(b << 16, a << 16);

    [Ptx("setp.eq.{b,u,s}32")]
    [MethodImpl(Inline)] public static uint Eq(U32 a, U32 b) => Bits(Vector512.Equals(a, b));
    [Ptx("setp.ne.{b,u,s}32")]
    [MethodImpl(Inline)] public static uint Ne(U32 a, U32 b) => Bits(~Vector512.Equals(a, b));
    [Ptx("setp.{lt,lo}.u32")]
    [MethodImpl(Inline)] public static uint LtU32(U32 a, U32 b) => Bits(Vector512.LessThan(a, b));
    [Ptx("setp.{le,ls}.u32")]
    [MethodImpl(Inline)] public static uint LeU32(U32 a, U32 b) => Bits(Vector512.LessThanOrEqual(a, b));
    [Ptx("setp.{gt,hi}.u32")]
    [MethodImpl(Inline)] public static uint GtU32(U32 a, U32 b) => LtU32(b, a);
    [Ptx("setp.{ge,hs}.u32")]
    [MethodImpl(Inline)] public static uint GeU32(U32 a, U32 b) => LeU32(b, a);
    [Ptx("setp.lt.s32")]
    [MethodImpl(Inline)]
    public static uint LtS32(U32 a, U32 b) => Bits(Vector512.LessThan(a.AsInt32(), b.AsInt32()).AsUInt32());
    [Ptx("setp.le.s32")]
    [MethodImpl(Inline)]
    public static uint LeS32(U32 a, U32 b) => Bits(Vector512.LessThanOrEqual(a.AsInt32(), b.AsInt32()).AsUInt32());
    [Ptx("setp.gt.s32")]
    [MethodImpl(Inline)] public static uint GtS32(U32 a, U32 b) => LtS32(b, a);
    [Ptx("setp.ge.s32")]
    [MethodImpl(Inline)] public static uint GeS32(U32 a, U32 b) => LeS32(b, a);

    [Ptx("setp.eq.{b,u,s}64")]
    [MethodImpl(Inline)] public static uint Eq(U64 a, U64 b) => Bits(Vector512.Equals(a, b));
    [Ptx("setp.ne.{b,u,s}64")]
    [MethodImpl(Inline)] public static uint Ne(U64 a, U64 b) => Bits(~Vector512.Equals(a, b));
    [Ptx("setp.{lt,lo}.u64")]
    [MethodImpl(Inline)] public static uint LtU64(U64 a, U64 b) => Bits(Vector512.LessThan(a, b));
    [Ptx("setp.{le,ls}.u64")]
    [MethodImpl(Inline)] public static uint LeU64(U64 a, U64 b) => Bits(Vector512.LessThanOrEqual(a, b));
    [Ptx("setp.{gt,hi}.u64")]
    [MethodImpl(Inline)] public static uint GtU64(U64 a, U64 b) => LtU64(b, a);
    [Ptx("setp.{ge,hs}.u64")]
    [MethodImpl(Inline)] public static uint GeU64(U64 a, U64 b) => LeU64(b, a);
    [Ptx("setp.lt.s64")]
    [MethodImpl(Inline)]
    public static uint LtS64(U64 a, U64 b) => Bits(Vector512.LessThan(a.AsInt64(), b.AsInt64()).AsUInt64());
    [Ptx("setp.le.s64")]
    [MethodImpl(Inline)]
    public static uint LeS64(U64 a, U64 b) => Bits(Vector512.LessThanOrEqual(a.AsInt64(), b.AsInt64()).AsUInt64());
    [Ptx("setp.gt.s64")]
    [MethodImpl(Inline)] public static uint GtS64(U64 a, U64 b) => LtS64(b, a);
    [Ptx("setp.ge.s64")]
    [MethodImpl(Inline)] public static uint GeS64(U64 a, U64 b) => LeS64(b, a);

    [Ptx("selp.{b,u,s}16")]
    [MethodImpl(Inline)] public static U32 Selp16(U32 a, U32 b, uint p) => IntegerWide.Low16(Selp(a, b, p));
    [Ptx("selp.{b32,u32,s32,f32}")]
    [MethodImpl(Inline)]
    public static U32 Selp(U32 a, U32 b, uint p) => Vector512.ConditionalSelect(Mask32(p), a, b);
    [Ptx("selp.{b64,u64,s64,f64}")]
    [MethodImpl(Inline)]
    public static U64 Selp(U64 a, U64 b, uint p) => Vector512.ConditionalSelect(Mask64(p), a, b);

    // slct with an integer c: a where c >= 0, else b. With a float c: FloatCompare.
    [Ptx("slct.{b,u,s}16.s32")]
    [MethodImpl(Inline)] public static U32 Slct16(U32 a, U32 b, U32 c) => IntegerWide.Low16(Slct(a, b, c));
    [Ptx("slct.{b32,u32,s32,f32}.s32")]
    [MethodImpl(Inline)]
    public static U32 Slct(U32 a, U32 b, U32 c) =>
        Vector512.ConditionalSelect(Vector512.LessThan(c.AsInt32(), Vector512<int>.Zero).AsUInt32(), b, a);
    [Ptx("slct.{b64,u64,s64,f64}.s32")]
    [MethodImpl(Inline)]
    public static U64 Slct(U64 a, U64 b, H32 c) =>
        Vector512.ConditionalSelect(IntegerWide.SignMask(IntegerWide.WidenSigned(c)), b, a);
}
