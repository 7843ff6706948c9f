// The arithmetic of atom and red on single values, and the loops that make it atomic. Blocks run on several cores, so
// global memory needs real atomics; shared and local memory belong to one core but take the same path.
namespace EpSam.VirtualGpu.Lanes;

internal enum AtomicOp { And, Or, Xor, Exch, Cas, Add, Min, Max, Inc, Dec }

internal enum AtomicType { B16, B32, B64, U32, S32, U64, S64, F32, F64, F16, F16x2, BF16, BF16x2 }

internal static unsafe class AtomicOps
{
    public static int SizeOf(AtomicType type) => type switch
    {
        AtomicType.B16 or AtomicType.F16 or AtomicType.BF16 => 2,
        AtomicType.B64 or AtomicType.U64 or AtomicType.S64 or AtomicType.F64 => 8,
        _ => 4,
    };

    /// <summary>
    /// Replaces *p by op(*p, b, c), returns what was there. flush: subnormal f32 count as zero, as in global memory.
    /// </summary>
    public static ulong Update(byte* p, AtomicType type, AtomicOp op, ulong b, ulong c, bool flush)
    {
        switch (SizeOf(type))
        {
            case 2:
                while (true)
                {
                    ushort old = Volatile.Read(ref *(ushort*)p);
                    var next = (ushort)Apply(type, op, old, b, c, flush);
                    if (Interlocked.CompareExchange(ref *(ushort*)p, next, old) == old)
                        return old;
                }
            case 4:
                if (op == AtomicOp.Add && type is AtomicType.U32 or AtomicType.S32)
                    return Interlocked.Add(ref *(uint*)p, (uint)b) - (uint)b;
                while (true)
                {
                    uint old = Volatile.Read(ref *(uint*)p);
                    var next = (uint)Apply(type, op, old, b, c, flush);
                    if (Interlocked.CompareExchange(ref *(uint*)p, next, old) == old)
                        return old;
                }
            default:
                while (true)
                {
                    ulong old = Volatile.Read(ref *(ulong*)p);
                    ulong next = Apply(type, op, old, b, c, flush);
                    if (Interlocked.CompareExchange(ref *(ulong*)p, next, old) == old)
                        return old;
                }
        }
    }

    static ulong Apply(AtomicType type, AtomicOp op, ulong old, ulong b, ulong c, bool flush) => op switch
    {
        AtomicOp.And => old & b,
        AtomicOp.Or => old | b,
        AtomicOp.Xor => old ^ b,
        AtomicOp.Exch => b,
        AtomicOp.Cas => old == b ? c : old,
        AtomicOp.Inc => (uint)old >= (uint)b ? 0 : (uint)old + 1,
        AtomicOp.Dec => (uint)old == 0 || (uint)old > (uint)b ? (uint)b : (uint)old - 1,
        AtomicOp.Add => Add(type, old, b, flush),
        _ => Select(type, op == AtomicOp.Min, old, b),
    };

    static ulong Select(AtomicType type, bool min, ulong a, ulong b) => type switch
    {
        AtomicType.U32 => min ? Math.Min((uint)a, (uint)b) : Math.Max((uint)a, (uint)b),
        AtomicType.S32 => (uint)(min ? Math.Min((int)a, (int)b) : Math.Max((int)a, (int)b)),
        AtomicType.S64 => (ulong)(min ? Math.Min((long)a, (long)b) : Math.Max((long)a, (long)b)),
        _ => min ? Math.Min(a, b) : Math.Max(a, b),
    };

    static ulong Add(AtomicType type, ulong a, ulong b, bool flush) => type switch
    {
        AtomicType.F32 => AddF32((uint)a, (uint)b, flush),
        AtomicType.F64 => BitConverter.DoubleToUInt64Bits(
            BitConverter.UInt64BitsToDouble(a) + BitConverter.UInt64BitsToDouble(b)),
        AtomicType.F16 => AddF16((ushort)a, (ushort)b),
        AtomicType.BF16 => AddBF16((ushort)a, (ushort)b),
        AtomicType.F16x2 => AddF16((ushort)a, (ushort)b) | (uint)AddF16((ushort)(a >> 16), (ushort)(b >> 16)) << 16,
        AtomicType.BF16x2 => AddBF16((ushort)a, (ushort)b) | (uint)AddBF16((ushort)(a >> 16), (ushort)(b >> 16)) << 16,
        _ => a + b,
    };

    static uint AddF32(uint a, uint b, bool flush)
    {
        if (flush)
            (a, b) = (Flush(a), Flush(b));
        float sum = BitConverter.UInt32BitsToSingle(a) + BitConverter.UInt32BitsToSingle(b);
        if (float.IsNaN(sum))
            return 0x7FFF_FFFF; // the one NaN the hardware makes
        uint bits = BitConverter.SingleToUInt32Bits(sum);
        return flush ? Flush(bits) : bits;
    }

    static uint Flush(uint a) => (a & 0x7F80_0000) == 0 ? a & 0x8000_0000 : a;

    // Sums in f32 are exact enough: with 24 bits >= 2 p + 2 rounding twice is rounding once (p = 11 and 8).
    static ushort AddF16(ushort a, ushort b)
    {
        float sum = (float)BitConverter.UInt16BitsToHalf(a) + (float)BitConverter.UInt16BitsToHalf(b);
        return float.IsNaN(sum) ? (ushort)0x7FFF : BitConverter.HalfToUInt16Bits((Half)sum);
    }

    static ushort AddBF16(ushort a, ushort b)
    {
        float sum = BitConverter.UInt32BitsToSingle((uint)a << 16) + BitConverter.UInt32BitsToSingle((uint)b << 16);
        if (float.IsNaN(sum))
            return 0x7FFF;
        uint bits = BitConverter.SingleToUInt32Bits(sum);
        return (ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16); // nearest, ties to even
    }
}
