// The common integer instructions on single values, for registers that hold the same value in every lane (loop
// counters, addresses, sizes). Bit for bit the lane methods' results. Also the per-lane bodies of rare lane methods.
using System.Numerics;
using System.Runtime.CompilerServices;

namespace EpSam.VirtualGpu.Lanes;

internal static class Scalar
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [PtxScalar("add.{u,s}32")]
    [MethodImpl(Inline)] public static uint Add(uint a, uint b) => a + b;
    [PtxScalar("add.{u,s}64")]
    [MethodImpl(Inline)] public static ulong Add(ulong a, ulong b) => a + b;
    [PtxScalar("sub.{u,s}32")]
    [MethodImpl(Inline)] public static uint Sub(uint a, uint b) => a - b;
    [PtxScalar("sub.{u,s}64")]
    [MethodImpl(Inline)] public static ulong Sub(ulong a, ulong b) => a - b;

    [PtxScalar("mul.lo.{u,s}32")]
    [MethodImpl(Inline)] public static uint MulLo(uint a, uint b) => a * b;
    [PtxScalar("mul.lo.{u,s}64")]
    [MethodImpl(Inline)] public static ulong MulLo(ulong a, ulong b) => a * b;
    [PtxScalar("mul.hi.u32")]
    [MethodImpl(Inline)] public static uint MulHiU32(uint a, uint b) => (uint)((ulong)a * b >> 32);
    [PtxScalar("mul.hi.s32")]
    [MethodImpl(Inline)] public static uint MulHiS32(uint a, uint b) => (uint)((long)(int)a * (int)b >> 32);
    [PtxScalar("mul.hi.u64")]
    [MethodImpl(Inline)] public static ulong MulHiU64(ulong a, ulong b) => Math.BigMul(a, b, out _);
    [PtxScalar("mul.hi.s64")]
    [MethodImpl(Inline)] public static ulong MulHiS64(ulong a, ulong b) => (ulong)Math.BigMul((long)a, (long)b, out _);
    [PtxScalar("mul.wide.u32")]
    [MethodImpl(Inline)] public static ulong MulWideU32(uint a, uint b) => (ulong)a * b;
    [PtxScalar("mul.wide.s32")]
    [MethodImpl(Inline)] public static ulong MulWideS32(uint a, uint b) => (ulong)((long)(int)a * (int)b);

    [PtxScalar("mad.lo.{u,s}32")]
    [MethodImpl(Inline)] public static uint MadLo(uint a, uint b, uint c) => a * b + c;
    [PtxScalar("mad.lo.{u,s}64")]
    [MethodImpl(Inline)] public static ulong MadLo(ulong a, ulong b, ulong c) => a * b + c;
    [PtxScalar("mad.wide.u32")]
    [MethodImpl(Inline)] public static ulong MadWideU32(uint a, uint b, ulong c) => (ulong)a * b + c;
    [PtxScalar("mad.wide.s32")]
    [MethodImpl(Inline)] public static ulong MadWideS32(uint a, uint b, ulong c) => MulWideS32(a, b) + c;

    [PtxScalar("min.u32")]
    [MethodImpl(Inline)] public static uint MinU32(uint a, uint b) => Math.Min(a, b);
    [PtxScalar("min.s32")]
    [MethodImpl(Inline)] public static uint MinS32(uint a, uint b) => (uint)Math.Min((int)a, (int)b);
    [PtxScalar("min.u64")]
    [MethodImpl(Inline)] public static ulong MinU64(ulong a, ulong b) => Math.Min(a, b);
    [PtxScalar("min.s64")]
    [MethodImpl(Inline)] public static ulong MinS64(ulong a, ulong b) => (ulong)Math.Min((long)a, (long)b);
    [PtxScalar("max.u32")]
    [MethodImpl(Inline)] public static uint MaxU32(uint a, uint b) => Math.Max(a, b);
    [PtxScalar("max.s32")]
    [MethodImpl(Inline)] public static uint MaxS32(uint a, uint b) => (uint)Math.Max((int)a, (int)b);
    [PtxScalar("max.u64")]
    [MethodImpl(Inline)] public static ulong MaxU64(ulong a, ulong b) => Math.Max(a, b);
    [PtxScalar("max.s64")]
    [MethodImpl(Inline)] public static ulong MaxS64(ulong a, ulong b) => (ulong)Math.Max((long)a, (long)b);

    [PtxScalar("neg.s32")]
    [MethodImpl(Inline)] public static uint Neg(uint a) => 0 - a;
    [PtxScalar("neg.s64")]
    [MethodImpl(Inline)] public static ulong Neg(ulong a) => 0 - a;
    [PtxScalar("abs.s32")]
    [MethodImpl(Inline)] public static uint Abs(uint a) => (int)a < 0 ? 0 - a : a;   // Math.Abs throws on INT_MIN
    [PtxScalar("abs.s64")]
    [MethodImpl(Inline)] public static ulong Abs(ulong a) => (long)a < 0 ? 0 - a : a;

    // By zero: all ones (see IntegerDivide). By -1: a negation, for .NET throws on INT_MIN / -1.
    [PtxScalar("div.u32")]
    [MethodImpl(Inline)] public static uint DivU32(uint a, uint b) => b == 0 ? ~0u : a / b;
    [PtxScalar("div.s32")]
    [MethodImpl(Inline)]
    public static uint DivS32(uint a, uint b) => b == 0 ? ~0u : b == ~0u ? 0 - a : (uint)((int)a / (int)b);
    [PtxScalar("div.u64")]
    [MethodImpl(Inline)] public static ulong DivU64(ulong a, ulong b) => b == 0 ? ~0ul : a / b;
    [PtxScalar("div.s64")]
    [MethodImpl(Inline)]
    public static ulong DivS64(ulong a, ulong b) => b == 0 ? ~0ul : b == ~0ul ? 0 - a : (ulong)((long)a / (long)b);
    [PtxScalar("rem.u32")]
    [MethodImpl(Inline)] public static uint RemU32(uint a, uint b) => b == 0 ? ~0u : a % b;
    [PtxScalar("rem.s32")]
    [MethodImpl(Inline)]
    public static uint RemS32(uint a, uint b) => b == 0 ? ~0u : b == ~0u ? 0 : (uint)((int)a % (int)b);
    [PtxScalar("rem.u64")]
    [MethodImpl(Inline)] public static ulong RemU64(ulong a, ulong b) => b == 0 ? ~0ul : a % b;
    [PtxScalar("rem.s64")]
    [MethodImpl(Inline)]
    public static ulong RemS64(ulong a, ulong b) => b == 0 ? ~0ul : b == ~0ul ? 0 : (ulong)((long)a % (long)b);

    [PtxScalar("and.b32")]
    [MethodImpl(Inline)] public static uint And(uint a, uint b) => a & b;
    [PtxScalar("and.b64")]
    [MethodImpl(Inline)] public static ulong And(ulong a, ulong b) => a & b;
    [PtxScalar("or.b32")]
    [MethodImpl(Inline)] public static uint Or(uint a, uint b) => a | b;
    [PtxScalar("or.b64")]
    [MethodImpl(Inline)] public static ulong Or(ulong a, ulong b) => a | b;
    [PtxScalar("xor.b32")]
    [MethodImpl(Inline)] public static uint Xor(uint a, uint b) => a ^ b;
    [PtxScalar("xor.b64")]
    [MethodImpl(Inline)] public static ulong Xor(ulong a, ulong b) => a ^ b;
    [PtxScalar("not.b32")]
    [MethodImpl(Inline)] public static uint Not(uint a) => ~a;
    [PtxScalar("not.b64")]
    [MethodImpl(Inline)] public static ulong Not(ulong a) => ~a;
    [PtxScalar("cnot.b32")]
    [MethodImpl(Inline)] public static uint Cnot(uint a) => a == 0 ? 1u : 0;
    [PtxScalar("cnot.b64")]
    [MethodImpl(Inline)] public static ulong Cnot(ulong a) => a == 0 ? 1ul : 0;

    // C# takes shift amounts modulo the width; PTX clamps them.
    [PtxScalar("shl.b32")]
    [MethodImpl(Inline)] public static uint ShiftLeft(uint a, uint n) => n < 32 ? a << (int)n : 0;
    [PtxScalar("shl.b64")]
    [MethodImpl(Inline)] public static ulong ShiftLeft(ulong a, uint n) => n < 64 ? a << (int)n : 0;
    [PtxScalar("shr.{b,u}32")]
    [MethodImpl(Inline)] public static uint ShiftRight(uint a, uint n) => n < 32 ? a >> (int)n : 0;
    [PtxScalar("shr.{b,u}64")]
    [MethodImpl(Inline)] public static ulong ShiftRight(ulong a, uint n) => n < 64 ? a >> (int)n : 0;
    [PtxScalar("shr.s32")]
    [MethodImpl(Inline)]
    public static uint ShiftRightSigned(uint a, uint n) => (uint)((int)a >> (int)Math.Min(n, 31));
    [PtxScalar("shr.s64")]
    [MethodImpl(Inline)]
    public static ulong ShiftRightSigned(ulong a, uint n) => (ulong)((long)a >> (int)Math.Min(n, 63));

    [PtxScalar("shf.l.clamp.b32")]
    [MethodImpl(Inline)] public static uint ShfLeftClamp(uint a, uint b, uint n) => ShfLeft(a, b, Math.Min(n, 32));
    [PtxScalar("shf.l.wrap.b32")]
    [MethodImpl(Inline)] public static uint ShfLeftWrap(uint a, uint b, uint n) => ShfLeft(a, b, n & 31);
    [PtxScalar("shf.r.clamp.b32")]
    [MethodImpl(Inline)] public static uint ShfRightClamp(uint a, uint b, uint n) => ShfRight(a, b, Math.Min(n, 32));
    [PtxScalar("shf.r.wrap.b32")]
    [MethodImpl(Inline)] public static uint ShfRightWrap(uint a, uint b, uint n) => ShfRight(a, b, n & 31);
    [MethodImpl(Inline)]
    static uint ShfLeft(uint a, uint b, uint n) => (uint)((((ulong)b << 32) | a) << (int)n >> 32);
    [MethodImpl(Inline)]
    static uint ShfRight(uint a, uint b, uint n) => (uint)((((ulong)b << 32) | a) >> (int)n);

    [PtxScalar("lop3.b32")]
    public static uint Lop3(uint a, uint b, uint c, byte table)
    {
        uint result = 0;
        for (int i = 0; i < 8; i++)
        {
            if ((table >> i & 1) == 0) continue;
            result |= ((i & 4) != 0 ? a : ~a) & ((i & 2) != 0 ? b : ~b) & ((i & 1) != 0 ? c : ~c);
        }
        return result;
    }

    [PtxScalar("prmt.b32")]
    public static uint Prmt(uint a, uint b, uint c)
    {
        ulong source = ((ulong)b << 32) | a;
        uint result = 0;
        for (int i = 0; i < 4; i++)
        {
            uint selector = c >> 4 * i;
            byte picked = (byte)(source >> (int)(8 * (selector & 7)));
            if ((selector & 8) != 0) picked = (byte)((sbyte)picked >> 7);
            result |= (uint)picked << 8 * i;
        }
        return result;
    }

    [PtxScalar("prmt.b32.<f4e,b4e,rc8,ecl,ecr,rc16>")]
    public static uint PrmtMode(uint a, uint b, uint c, int mode) =>
        Prmt(a, b, (uint)(Bits.PrmtControls(mode) >> (int)(16 * (c & 3))));

    [PtxScalar("popc.b32")]
    [MethodImpl(Inline)] public static uint Popc(uint a) => (uint)BitOperations.PopCount(a);
    [PtxScalar("popc.b64")]
    [MethodImpl(Inline)] public static uint Popc(ulong a) => (uint)BitOperations.PopCount(a);
    [PtxScalar("clz.b32")]
    [MethodImpl(Inline)] public static uint Clz(uint a) => (uint)BitOperations.LeadingZeroCount(a);
    [PtxScalar("clz.b64")]
    [MethodImpl(Inline)] public static uint Clz(ulong a) => (uint)BitOperations.LeadingZeroCount(a);

    [PtxScalar("bfe.u32")]
    public static uint Bfe(uint a, uint position, uint length) =>
        ShiftRight(a, (byte)position) & ~ShiftLeft(~0u, (byte)length);

    [PtxScalar("bfe.u64")]
    public static ulong Bfe(ulong a, uint position, uint length) =>
        ShiftRight(a, (byte)position) & ~ShiftLeft(~0ul, (byte)length);

    [PtxScalar("bfe.s32")]
    public static uint BfeS(uint a, uint position, uint length)
    {
        (position, length) = ((byte)position, (byte)length);
        uint up = 32 - Math.Min(position + length, 32);
        return length == 0 ? 0 : ShiftRightSigned(ShiftLeft(a, up), up + position);
    }

    [PtxScalar("bfe.s64")]
    public static ulong BfeS(ulong a, uint position, uint length)
    {
        (position, length) = ((byte)position, (byte)length);
        uint up = 64 - Math.Min(position + length, 64);
        return length == 0 ? 0 : ShiftRightSigned(ShiftLeft(a, up), up + position);
    }

    /// <summary>Where the offset-th set bit of mask is from start on, upward or downward; all ones if none.</summary>
    public static uint Fns(uint mask, uint start, uint offset)
    {
        if (offset == 0) return start < 32 && (mask >> (int)start & 1) != 0 ? start : ~0u;
        int step = (int)offset > 0 ? 1 : -1;
        long left = Math.Abs((long)(int)offset);
        for (int position = (int)start; position is >= 0 and < 32; position += step)
        {
            if ((mask >> position & 1) != 0 && --left == 0) return (uint)position;
        }
        return ~0u;
    }
}
