// Logic and shifts (PTX ISA 9.7.7): and or xor not cnot lop3 shl shr shf prmt. Shift amounts are always u32 and are
// clamped to the width; only shf.wrap takes them modulo 32.
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static EpSam.VirtualGpu.Lanes.IntegerWide;

namespace EpSam.VirtualGpu.Lanes;

internal static class Bits
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("and.b16")]
    [MethodImpl(Inline)] public static U32 And16(U32 a, U32 b) => Low16(a & b);
    [Ptx("and.b32")]
    [MethodImpl(Inline)] public static U32 And(U32 a, U32 b) => a & b;
    [Ptx("and.b64")]
    [MethodImpl(Inline)] public static U64 And(U64 a, U64 b) => a & b;

    [Ptx("or.b16")]
    [MethodImpl(Inline)] public static U32 Or16(U32 a, U32 b) => Low16(a | b);
    [Ptx("or.b32")]
    [MethodImpl(Inline)] public static U32 Or(U32 a, U32 b) => a | b;
    [Ptx("or.b64")]
    [MethodImpl(Inline)] public static U64 Or(U64 a, U64 b) => a | b;

    [Ptx("xor.b16")]
    [MethodImpl(Inline)] public static U32 Xor16(U32 a, U32 b) => Low16(a ^ b);
    [Ptx("xor.b32")]
    [MethodImpl(Inline)] public static U32 Xor(U32 a, U32 b) => a ^ b;
    [Ptx("xor.b64")]
    [MethodImpl(Inline)] public static U64 Xor(U64 a, U64 b) => a ^ b;

    [Ptx("not.b16")]
    [MethodImpl(Inline)] public static U32 Not16(U32 a) => Low16(~a);
    [Ptx("not.b32")]
    [MethodImpl(Inline)] public static U32 Not(U32 a) => ~a;
    [Ptx("not.b64")]
    [MethodImpl(Inline)] public static U64 Not(U64 a) => ~a;

    [Ptx("cnot.b16")]
    [MethodImpl(Inline)] public static U32 Cnot16(U32 a) => Cnot(Low16(a));
    [Ptx("cnot.b32")]
    [MethodImpl(Inline)] public static U32 Cnot(U32 a) => Vector512.Equals(a, U32.Zero) & U32.One;
    [Ptx("cnot.b64")]
    [MethodImpl(Inline)] public static U64 Cnot(U64 a) => Vector512.Equals(a, U64.Zero) & U64.One;

    // The table is that of vpternlog: bit (4a + 2b + c) of it is the result for bits a, b, c.
    [Ptx("lop3.b32")]
    [MethodImpl(Inline)]
    public static U32 Lop3(U32 a, U32 b, U32 c, [ConstantExpected] byte table)
    {
        if (Avx512F.IsSupported) return Avx512F.TernaryLogic(a, b, c, table);
        U32 whenA = Choose(b, Choose(c, Row(table, 7), Row(table, 6)), Choose(c, Row(table, 5), Row(table, 4)));
        U32 whenNot = Choose(b, Choose(c, Row(table, 3), Row(table, 2)), Choose(c, Row(table, 1), Row(table, 0)));
        return Choose(a, whenA, whenNot);
    }

    [MethodImpl(Inline)] static U32 Row(byte table, int i) => (table >> i & 1) != 0 ? U32.AllBitsSet : U32.Zero;
    [MethodImpl(Inline)] static U32 Choose(U32 mask, U32 a, U32 b) => Vector512.ConditionalSelect(mask, a, b);

    [Ptx("shl.b16")]
    [MethodImpl(Inline)] public static U32 Shl16(U32 a, U32 n) => Low16(ShiftLeft(a, n));
    [Ptx("shl.b32")]
    [MethodImpl(Inline)] public static U32 Shl(U32 a, U32 n) => ShiftLeft(a, n);
    [Ptx("shl.b64")]
    [MethodImpl(Inline)] public static U64 Shl(U64 a, H32 n) => ShiftLeft(a, Widen(n));

    [Ptx("shr.{b,u}16")]
    [MethodImpl(Inline)] public static U32 Shr16(U32 a, U32 n) => ShiftRight(Low16(a), n);
    [Ptx("shr.s16")]
    [MethodImpl(Inline)] public static U32 ShrS16(U32 a, U32 n) => Low16(ShiftRightSigned(Extend16(a), n));
    [Ptx("shr.{b,u}32")]
    [MethodImpl(Inline)] public static U32 Shr(U32 a, U32 n) => ShiftRight(a, n);
    [Ptx("shr.s32")]
    [MethodImpl(Inline)] public static U32 ShrS(U32 a, U32 n) => ShiftRightSigned(a, n);
    [Ptx("shr.{b,u}64")]
    [MethodImpl(Inline)] public static U64 Shr(U64 a, H32 n) => ShiftRight(a, Widen(n));
    [Ptx("shr.s64")]
    [MethodImpl(Inline)] public static U64 ShrS(U64 a, H32 n) => ShiftRightSigned(a, Widen(n));

    // shf: b is the upper and a the lower half of a 64-bit value; .l gives the upper word of it shifted left, .r the
    // lower word of it shifted right.
    [Ptx("shf.l.clamp.b32")]
    [MethodImpl(Inline)] public static U32 ShfLeftClamp(U32 a, U32 b, U32 n) => ShfLeft(a, b, Clamp32(n));
    [Ptx("shf.l.wrap.b32")]
    [MethodImpl(Inline)] public static U32 ShfLeftWrap(U32 a, U32 b, U32 n) => ShfLeft(a, b, Wrap32(n));
    [Ptx("shf.r.clamp.b32")]
    [MethodImpl(Inline)] public static U32 ShfRightClamp(U32 a, U32 b, U32 n) => ShfRight(a, b, Clamp32(n));
    [Ptx("shf.r.wrap.b32")]
    [MethodImpl(Inline)] public static U32 ShfRightWrap(U32 a, U32 b, U32 n) => ShfRight(a, b, Wrap32(n));

    [MethodImpl(Inline)] internal static U32 Clamp32(U32 n) => Vector512.Min(n, Vector512.Create(32u));
    [MethodImpl(Inline)] internal static U32 Wrap32(U32 n) => n & Vector512.Create(31u);
    [MethodImpl(Inline)]
    static U32 ShfLeft(U32 a, U32 b, U32 n) => ShiftLeft(b, n) | ShiftRight(a, Vector512.Create(32u) - n);
    [MethodImpl(Inline)]
    static U32 ShfRight(U32 a, U32 b, U32 n) => ShiftRight(a, n) | ShiftLeft(b, Vector512.Create(32u) - n);

    /// <summary>Each nibble of c picks one of the eight bytes of b:a; its top bit replicates the byte's sign.</summary>
    [Ptx("prmt.b32")]
    [MethodImpl(Inline)]
    public static U32 Prmt(U32 a, U32 b, U32 c)
    {
        U32 s = c & Vector512.Create(0xffffu);              // one nibble a byte
        s = (s | (s << 8)) & Vector512.Create(0x00ff_00ffu);
        s = (s | (s << 4)) & Vector512.Create(0x0f0f_0f0fu);
        U32 picked = Pick(a, b, s);
        Vector512<sbyte> replicate = Vector512.LessThan((s << 4).AsSByte(), Vector512<sbyte>.Zero);
        Vector512<sbyte> sign = Vector512.LessThan(picked.AsSByte(), Vector512<sbyte>.Zero);
        return Vector512.ConditionalSelect(replicate, sign, picked.AsSByte()).AsUInt32();
    }

    [Ptx("prmt.b32.<f4e,b4e,rc8,ecl,ecr,rc16>")]
    [MethodImpl(Inline)]
    public static U32 PrmtMode(U32 a, U32 b, U32 c, int mode)
    {
        // The two low bits of c choose one of four permutations of the mode, 16 bits each.
        ulong table = PrmtControls(mode);
        U32 word = Vector512.ConditionalSelect(Vector512.Equals(c & Vector512.Create(2u), U32.Zero),
            Vector512.Create((uint)table), Vector512.Create((uint)(table >> 32)));
        return Prmt(a, b, ShiftRight(word, (c & U32.One) << 4));
    }

    /// <summary>The selectors of a prmt mode for c = 0, 1, 2, 3, from the low 16 bits up (ISA, prmt).</summary>
    internal static ulong PrmtControls(int mode) => mode switch
    {
        0 => 0x6543_5432_4321_3210,   // f4e: forward four extract
        1 => 0x0123_7012_6701_5670,   // b4e: backward four extract
        2 => 0x3333_2222_1111_0000,   // rc8: replicate a byte
        3 => 0x3333_3222_3211_3210,   // ecl: edge clamp left
        4 => 0x3210_2210_1110_0000,   // ecr: edge clamp right
        _ => 0x3232_1010_3232_1010,   // rc16: replicate a half-word
    };

    /// <summary>For each byte of s (0..15, of which bit 3 is ignored) that byte of b:a of the same lane.</summary>
    [MethodImpl(Inline)]
    static U32 Pick(U32 a, U32 b, U32 s)
    {
        // Byte shuffles work inside 16 bytes: add where the lane starts in them.
        U32 start = Vector512.Create(
            0u, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c, 0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c,
            0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c, 0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c);
        U32 index = (s & Vector512.Create(0x0303_0303u)) + start;
        Vector512<byte> fromB = Vector512.LessThan((s << 5).AsSByte(), Vector512<sbyte>.Zero).AsByte();
        return Vector512.ConditionalSelect(
            fromB, ShuffleBytes(b, index).AsByte(), ShuffleBytes(a, index).AsByte()).AsUInt32();
    }

    [MethodImpl(Inline)]
    static U32 ShuffleBytes(U32 a, U32 index)
    {
        if (Avx512BW.IsSupported) return Avx512BW.Shuffle(a.AsByte(), index.AsByte()).AsUInt32();
        return Vector512.Create(
            ShuffleBytes(a.GetLower(), index.GetLower()), ShuffleBytes(a.GetUpper(), index.GetUpper()));
    }

    [MethodImpl(Inline)]
    static H32 ShuffleBytes(H32 a, H32 index)
    {
        if (Avx2.IsSupported) return Avx2.Shuffle(a.AsByte(), index.AsByte()).AsUInt32();
        return Vector256.Create(
            Vector128.Shuffle(a.GetLower().AsByte(), index.GetLower().AsByte()).AsUInt32(),
            Vector128.Shuffle(a.GetUpper().AsByte(), index.GetUpper().AsByte()).AsUInt32());
    }
}
