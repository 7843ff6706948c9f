// Counting, finding and moving bit fields (PTX ISA 9.7.1): popc clz bfind brev bfe bfi fns bmsk szext.
// 64-bit operands give 32-bit counts.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static EpSam.VirtualGpu.Lanes.IntegerWide;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class BitsCount
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // Ones are summed in fields of 2, 4 and 8 bits; the multiplication adds the bytes up in the top one.
    [Ptx("popc.b32")]
    [MethodImpl(Inline)] public static U32 Popc(U32 a) => (CountBytes(a) * Vector512.Create(0x0101_0101u)) >> 24;

    [Ptx("popc.b64")]
    [MethodImpl(Inline)]
    public static H32 Popc(U64 a)
    {
        U32 halves = Popc(a.AsUInt32());
        return Narrow((halves + Odd(halves)).AsUInt64());
    }

    [MethodImpl(Inline)]
    static U32 CountBytes(U32 a)
    {
        U32 twos = Vector512.Create(0x3333_3333u);
        a -= (a >> 1) & Vector512.Create(0x5555_5555u);
        a = (a & twos) + ((a >> 2) & twos);
        return (a + (a >> 4)) & Vector512.Create(0x0f0f_0f0fu);
    }

    [Ptx("clz.b32")]
    [MethodImpl(Inline)]
    public static U32 Clz(U32 a)
    {
        if (Avx512CD.IsSupported) return Avx512CD.LeadingZeroCount(a);
        a |= a >> 1;   // ones from the leading one down; the others are the leading zeros
        a |= a >> 2;
        a |= a >> 4;
        a |= a >> 8;
        a |= a >> 16;
        return Popc(~a);
    }

    [Ptx("clz.b64")]
    [MethodImpl(Inline)]
    public static H32 Clz(U64 a)
    {
        if (Avx512CD.IsSupported) return Narrow(Avx512CD.LeadingZeroCount(a));
        a |= a >> 1;
        a |= a >> 2;
        a |= a >> 4;
        a |= a >> 8;
        a |= a >> 16;
        a |= a >> 32;
        return Popc(~a);
    }

    // bfind: where the most significant bit is that differs from the sign, from below; with .shiftamt from above.
    // All ones if there is none: 31 - 32 gives just that.
    [Ptx("bfind.u32")]
    [MethodImpl(Inline)] public static U32 Bfind(U32 a) => Vector512.Create(31u) - Clz(a);
    [Ptx("bfind.s32")]
    [MethodImpl(Inline)] public static U32 BfindS(U32 a) => Bfind(a ^ SignMask(a));
    [Ptx("bfind.u64")]
    [MethodImpl(Inline)] public static H32 Bfind(U64 a) => Vector256.Create(63u) - Clz(a);
    [Ptx("bfind.s64")]
    [MethodImpl(Inline)] public static H32 BfindS(U64 a) => Bfind(a ^ SignMask(a));

    [Ptx("bfind.shiftamt.u32")]
    [MethodImpl(Inline)] public static U32 BfindShift(U32 a) => Clz(a) | Vector512.Equals(a, U32.Zero);
    [Ptx("bfind.shiftamt.s32")]
    [MethodImpl(Inline)] public static U32 BfindShiftS(U32 a) => BfindShift(a ^ SignMask(a));
    [Ptx("bfind.shiftamt.u64")]
    [MethodImpl(Inline)]
    public static H32 BfindShift(U64 a) => Clz(a) | Narrow(Vector512.Equals(a, U64.Zero));
    [Ptx("bfind.shiftamt.s64")]
    [MethodImpl(Inline)] public static H32 BfindShiftS(U64 a) => BfindShift(a ^ SignMask(a));

    [Ptx("brev.b32")]
    [MethodImpl(Inline)]
    public static U32 Brev(U32 a)
    {
        a = Swap(a, 1, 0x5555_5555);
        a = Swap(a, 2, 0x3333_3333);
        a = Swap(a, 4, 0x0f0f_0f0f);
        a = Swap(a, 8, 0x00ff_00ff);
        return (a << 16) | (a >> 16);
    }

    [Ptx("brev.b64")]
    [MethodImpl(Inline)]
    public static U64 Brev(U64 a)
    {
        U64 halves = Brev(a.AsUInt32()).AsUInt64();
        return (halves << 32) | (halves >> 32);
    }

    [MethodImpl(Inline)]
    static U32 Swap(U32 a, int distance, uint lower)
    {
        U32 mask = Vector512.Create(lower);
        return ((a & mask) << distance) | ((a >> distance) & mask);
    }

    // Position and length of bit fields are the low 8 bits of their operands.
    [MethodImpl(Inline)] static U32 Byte(U32 a) => a & Vector512.Create(255u);
    [MethodImpl(Inline)] static U64 Byte(H32 a) => Widen(a) & Vector512.Create(255ul);
    [MethodImpl(Inline)] static U32 Ones(U32 length) => ~ShiftLeft(U32.AllBitsSet, length);
    [MethodImpl(Inline)] static U64 Ones(U64 length) => ~ShiftLeft(U64.AllBitsSet, length);

    [Ptx("bfe.u32")]
    [MethodImpl(Inline)]
    public static U32 Bfe(U32 a, U32 position, U32 length) => ShiftRight(a, Byte(position)) & Ones(Byte(length));
    [Ptx("bfe.u64")]
    [MethodImpl(Inline)]
    public static U64 Bfe(U64 a, H32 position, H32 length) => ShiftRight(a, Byte(position)) & Ones(Byte(length));

    // Shifted up until the field's last bit (bit 31, if the field reaches past it) is on top, then down with its sign.
    [Ptx("bfe.s32")]
    [MethodImpl(Inline)]
    public static U32 BfeS(U32 a, U32 position, U32 length)
    {
        (position, length) = (Byte(position), Byte(length));
        U32 up = Vector512.Create(32u) - Vector512.Min(position + length, Vector512.Create(32u));
        return ShiftRightSigned(ShiftLeft(a, up), up + position) & ~Vector512.Equals(length, U32.Zero);
    }

    [Ptx("bfe.s64")]
    [MethodImpl(Inline)]
    public static U64 BfeS(U64 a, H32 position, H32 length)
    {
        (U64 at, U64 width) = (Byte(position), Byte(length));
        U64 up = Vector512.Create(64ul) - Vector512.Min(at + width, Vector512.Create(64ul));
        return ShiftRightSigned(ShiftLeft(a, up), up + at) & ~Vector512.Equals(width, U64.Zero);
    }

    [Ptx("bfi.b32")]
    [MethodImpl(Inline)]
    public static U32 Bfi(U32 a, U32 b, U32 position, U32 length)
    {
        position = Byte(position);
        U32 field = ShiftLeft(Ones(Byte(length)), position);
        return Vector512.ConditionalSelect(field, ShiftLeft(a, position), b);
    }

    [Ptx("bfi.b64")]
    [MethodImpl(Inline)]
    public static U64 Bfi(U64 a, U64 b, H32 position, H32 length)
    {
        U64 at = Byte(position), field = ShiftLeft(Ones(Byte(length)), at);
        return Vector512.ConditionalSelect(field, ShiftLeft(a, at), b);
    }

    [Ptx("fns.b32")]
    [MethodImpl(Inline)]
    public static U32 Fns(U32 mask, U32 start, U32 offset) => ScalarLoop.Map(mask, start, offset, &Scalar.Fns);

    // bmsk: length ones from a position up; szext: the low n bits extended. .clamp limits the operands to 32, .wrap
    // takes them modulo 32.
    [Ptx("bmsk.<clamp,wrap>.b32")]
    [MethodImpl(Inline)]
    public static U32 Bmsk(U32 position, U32 length, int wrap) =>
        ShiftLeft(Ones(Limit(length, wrap)), Limit(position, wrap));

    [Ptx("szext.<clamp,wrap>.u32")]
    [MethodImpl(Inline)] public static U32 Zext(U32 a, U32 n, int wrap) => a & Ones(Limit(n, wrap));

    [Ptx("szext.<clamp,wrap>.s32")]
    [MethodImpl(Inline)]
    public static U32 Sext(U32 a, U32 n, int wrap)
    {
        U32 above = Vector512.Create(32u) - Limit(n, wrap);
        return ShiftRightSigned(ShiftLeft(a, above), above);
    }

    [MethodImpl(Inline)] static U32 Limit(U32 n, int wrap) => wrap != 0 ? Bits.Wrap32(n) : Bits.Clamp32(n);
}
