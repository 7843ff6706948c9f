// setp and selp on single values, and conversions between integer types (PTX ISA 9.7.6, 9.7.9.21).
using System.Runtime.CompilerServices;

namespace EpSam.VirtualGpu.Lanes;

internal static class ScalarCompare
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [PtxScalar("setp.eq.{b,u,s}32")]
    [MethodImpl(Inline)] public static bool Eq(uint a, uint b) => a == b;
    [PtxScalar("setp.ne.{b,u,s}32")]
    [MethodImpl(Inline)] public static bool Ne(uint a, uint b) => a != b;
    [PtxScalar("setp.{lt,lo}.u32")]
    [MethodImpl(Inline)] public static bool LtU32(uint a, uint b) => a < b;
    [PtxScalar("setp.{le,ls}.u32")]
    [MethodImpl(Inline)] public static bool LeU32(uint a, uint b) => a <= b;
    [PtxScalar("setp.{gt,hi}.u32")]
    [MethodImpl(Inline)] public static bool GtU32(uint a, uint b) => a > b;
    [PtxScalar("setp.{ge,hs}.u32")]
    [MethodImpl(Inline)] public static bool GeU32(uint a, uint b) => a >= b;
    [PtxScalar("setp.lt.s32")]
    [MethodImpl(Inline)] public static bool LtS32(uint a, uint b) => (int)a < (int)b;
    [PtxScalar("setp.le.s32")]
    [MethodImpl(Inline)] public static bool LeS32(uint a, uint b) => (int)a <= (int)b;
    [PtxScalar("setp.gt.s32")]
    [MethodImpl(Inline)] public static bool GtS32(uint a, uint b) => (int)a > (int)b;
    [PtxScalar("setp.ge.s32")]
    [MethodImpl(Inline)] public static bool GeS32(uint a, uint b) => (int)a >= (int)b;

    [PtxScalar("setp.eq.{b,u,s}64")]
    [MethodImpl(Inline)] public static bool Eq(ulong a, ulong b) => a == b;
    [PtxScalar("setp.ne.{b,u,s}64")]
    [MethodImpl(Inline)] public static bool Ne(ulong a, ulong b) => a != b;
    [PtxScalar("setp.{lt,lo}.u64")]
    [MethodImpl(Inline)] public static bool LtU64(ulong a, ulong b) => a < b;
    [PtxScalar("setp.{le,ls}.u64")]
    [MethodImpl(Inline)] public static bool LeU64(ulong a, ulong b) => a <= b;
    [PtxScalar("setp.{gt,hi}.u64")]
    [MethodImpl(Inline)] public static bool GtU64(ulong a, ulong b) => a > b;
    [PtxScalar("setp.{ge,hs}.u64")]
    [MethodImpl(Inline)] public static bool GeU64(ulong a, ulong b) => a >= b;
    [PtxScalar("setp.lt.s64")]
    [MethodImpl(Inline)] public static bool LtS64(ulong a, ulong b) => (long)a < (long)b;
    [PtxScalar("setp.le.s64")]
    [MethodImpl(Inline)] public static bool LeS64(ulong a, ulong b) => (long)a <= (long)b;
    [PtxScalar("setp.gt.s64")]
    [MethodImpl(Inline)] public static bool GtS64(ulong a, ulong b) => (long)a > (long)b;
    [PtxScalar("setp.ge.s64")]
    [MethodImpl(Inline)] public static bool GeS64(ulong a, ulong b) => (long)a >= (long)b;

    [PtxScalar("selp.{b32,u32,s32,f32}")]
    [MethodImpl(Inline)] public static uint Selp(uint a, uint b, bool p) => p ? a : b;
    [PtxScalar("selp.{b64,u64,s64,f64}")]
    [MethodImpl(Inline)] public static ulong Selp(ulong a, ulong b, bool p) => p ? a : b;

    // Narrow values are kept zero-extended: a conversion to 8 or 16 bits, signed or not, keeps just these bits.
    [PtxScalar("cvt.{u,s}8.{u,s}{8,16,32}")]
    [MethodImpl(Inline)] public static uint To8(uint a) => (byte)a;
    [PtxScalar("cvt.{u,s}8.{u,s}64")]
    [MethodImpl(Inline)] public static uint To8(ulong a) => (byte)a;
    [PtxScalar("cvt.{u,s}16.{u,s}{16,32}")]
    [MethodImpl(Inline)] public static uint To16(uint a) => (ushort)a;
    [PtxScalar("cvt.{u,s}16.{u,s}64")]
    [MethodImpl(Inline)] public static uint To16(ulong a) => (ushort)a;
    [PtxScalar("cvt.{u,s}16.u8")]
    [MethodImpl(Inline)] public static uint To16FromU8(uint a) => (byte)a;
    [PtxScalar("cvt.{u,s}16.s8")]
    [MethodImpl(Inline)] public static uint To16FromS8(uint a) => (ushort)(sbyte)a;

    [PtxScalar("cvt.{u,s}32.u8")]
    [MethodImpl(Inline)] public static uint To32FromU8(uint a) => (byte)a;
    [PtxScalar("cvt.{u,s}32.s8")]
    [MethodImpl(Inline)] public static uint To32FromS8(uint a) => (uint)(sbyte)a;
    [PtxScalar("cvt.{u,s}32.u16")]
    [MethodImpl(Inline)] public static uint To32FromU16(uint a) => (ushort)a;
    [PtxScalar("cvt.{u,s}32.s16")]
    [MethodImpl(Inline)] public static uint To32FromS16(uint a) => (uint)(short)a;
    [PtxScalar("cvt.{u,s}32.{u,s}32")]
    [MethodImpl(Inline)] public static uint To32(uint a) => a;
    [PtxScalar("cvt.{u,s}32.{u,s}64")]
    [MethodImpl(Inline)] public static uint To32(ulong a) => (uint)a;

    [PtxScalar("cvt.{u,s}64.u8")]
    [MethodImpl(Inline)] public static ulong To64FromU8(uint a) => (byte)a;
    [PtxScalar("cvt.{u,s}64.s8")]
    [MethodImpl(Inline)] public static ulong To64FromS8(uint a) => (ulong)(sbyte)a;
    [PtxScalar("cvt.{u,s}64.u16")]
    [MethodImpl(Inline)] public static ulong To64FromU16(uint a) => (ushort)a;
    [PtxScalar("cvt.{u,s}64.s16")]
    [MethodImpl(Inline)] public static ulong To64FromS16(uint a) => (ulong)(short)a;
    [PtxScalar("cvt.{u,s}64.u32")]
    [MethodImpl(Inline)] public static ulong To64FromU32(uint a) => a;
    [PtxScalar("cvt.{u,s}64.s32")]
    [MethodImpl(Inline)] public static ulong To64FromS32(uint a) => (ulong)(int)a;
    [PtxScalar("cvt.{u,s}64.{u,s}64")]
    [MethodImpl(Inline)] public static ulong To64(ulong a) => a;
}
