// Building blocks of the integer lane methods: between 32 and 64 bits, products of twice the width, per-lane shifts.
// Each has an AVX-512 form, an AVX2 form where it pays, and a portable form with the same bits.
// Shift amounts of the width or more give 0 (or all sign bits), as in PTX; x86's variable shifts happen to agree.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class IntegerWide
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    static U64 LowHalves => Vector512.Create(0xffff_fffful);

    [MethodImpl(Inline)]
    public static U64 Widen(H32 a)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512UInt64(a);
        (Vector256<ulong> lower, Vector256<ulong> upper) = Vector256.Widen(a);
        return Vector512.Create(lower, upper);
    }

    [MethodImpl(Inline)]
    public static U64 WidenSigned(H32 a)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Int64(a.AsInt32()).AsUInt64();
        (Vector256<long> lower, Vector256<long> upper) = Vector256.Widen(a.AsInt32());
        return Vector512.Create(lower, upper).AsUInt64();
    }

    /// <summary>The low 32 bits of each lane.</summary>
    [MethodImpl(Inline)]
    public static H32 Narrow(U64 a) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector256UInt32(a)
        : Vector256.Narrow(a.GetLower(), a.GetUpper());

    /// <summary>Sign-extends the low 16 bits of each lane to 32.</summary>
    [MethodImpl(Inline)]
    public static U32 Extend16(U32 a) => ((a << 16).AsInt32() >> 16).AsUInt32();

    [MethodImpl(Inline)]
    public static U32 Low16(U32 a) => a & Vector512.Create(0xffffu);

    /// <summary>32×32 → 64 bit products of the even elements (the low halves of the 64-bit lanes).</summary>
    [MethodImpl(Inline)]
    public static U64 MultiplyEven(U32 a, U32 b)
    {
        if (Avx512F.IsSupported) return Avx512F.Multiply(a, b);
        if (Avx2.IsSupported)
        {
            return Vector512.Create(
                Avx2.Multiply(a.GetLower(), b.GetLower()), Avx2.Multiply(a.GetUpper(), b.GetUpper()));
        }
        return (a.AsUInt64() & LowHalves) * (b.AsUInt64() & LowHalves);
    }

    [MethodImpl(Inline)]
    public static U64 MultiplyEvenSigned(U32 a, U32 b)
    {
        if (Avx512F.IsSupported) return Avx512F.Multiply(a.AsInt32(), b.AsInt32()).AsUInt64();
        if (Avx2.IsSupported)
        {
            return Vector512.Create(
                Avx2.Multiply(a.GetLower().AsInt32(), b.GetLower().AsInt32()),
                Avx2.Multiply(a.GetUpper().AsInt32(), b.GetUpper().AsInt32())).AsUInt64();
        }
        return (((a.AsInt64() << 32) >> 32) * ((b.AsInt64() << 32) >> 32)).AsUInt64();
    }

    /// <summary>The odd elements, moved to where <see cref="MultiplyEven"/> reads.</summary>
    [MethodImpl(Inline)]
    public static U32 Odd(U32 a) => (a.AsUInt64() >> 32).AsUInt32();

    /// <summary>The low 32 bits of <paramref name="even"/> and of <paramref name="odd"/>, interleaved.</summary>
    [MethodImpl(Inline)]
    public static U32 Interleave(U64 even, U64 odd) => ((even & LowHalves) | (odd << 32)).AsUInt32();

    [MethodImpl(Inline)]
    public static U32 High(U32 a, U32 b)
    {
        U64 even = MultiplyEven(a, b), odd = MultiplyEven(Odd(a), Odd(b));
        return ((even >> 32) | (odd & ~LowHalves)).AsUInt32();
    }

    [MethodImpl(Inline)]
    public static U32 HighSigned(U32 a, U32 b)
    {
        U64 even = MultiplyEvenSigned(a, b), odd = MultiplyEvenSigned(Odd(a), Odd(b));
        return ((even >> 32) | (odd & ~LowHalves)).AsUInt32();
    }

    /// <summary>The high 64 bits of the 128-bit product, by the schoolbook on 32-bit halves.</summary>
    [MethodImpl(Inline)]
    public static U64 High(U64 a, U64 b)
    {
        U32 aLow = a.AsUInt32(), bLow = b.AsUInt32(), aHigh = Odd(aLow), bHigh = Odd(bLow);
        U64 low = MultiplyEven(aLow, bLow), high = MultiplyEven(aHigh, bHigh);
        U64 middle = MultiplyEven(aHigh, bLow) + (low >> 32);                 // cannot overflow
        U64 carry = MultiplyEven(aLow, bHigh) + (middle & LowHalves);         // nor can this
        return high + (middle >> 32) + (carry >> 32);
    }

    [MethodImpl(Inline)]
    public static U64 HighSigned(U64 a, U64 b) => High(a, b) - (SignMask(a) & b) - (SignMask(b) & a);

    [MethodImpl(Inline)]
    public static U32 SignMask(U32 a) => (a.AsInt32() >> 31).AsUInt32();

    [MethodImpl(Inline)]
    public static U64 SignMask(U64 a) => Vector512.LessThan(a.AsInt64(), Vector512<long>.Zero).AsUInt64();

    [MethodImpl(Inline)]
    public static U32 ShiftLeft(U32 a, U32 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftLeftLogicalVariable(a, n);
        if (!Avx2.IsSupported) return ScalarLoop.Map(a, n, &Scalar.ShiftLeft);
        return Vector512.Create(Avx2.ShiftLeftLogicalVariable(a.GetLower(), n.GetLower()),
            Avx2.ShiftLeftLogicalVariable(a.GetUpper(), n.GetUpper()));
    }

    [MethodImpl(Inline)]
    public static U32 ShiftRight(U32 a, U32 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftRightLogicalVariable(a, n);
        if (!Avx2.IsSupported) return ScalarLoop.Map(a, n, &Scalar.ShiftRight);
        return Vector512.Create(Avx2.ShiftRightLogicalVariable(a.GetLower(), n.GetLower()),
            Avx2.ShiftRightLogicalVariable(a.GetUpper(), n.GetUpper()));
    }

    [MethodImpl(Inline)]
    public static U32 ShiftRightSigned(U32 a, U32 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftRightArithmeticVariable(a.AsInt32(), n).AsUInt32();
        if (!Avx2.IsSupported) return ScalarLoop.Map(a, n, &Scalar.ShiftRightSigned);
        return Vector512.Create(Avx2.ShiftRightArithmeticVariable(a.GetLower().AsInt32(), n.GetLower()),
            Avx2.ShiftRightArithmeticVariable(a.GetUpper().AsInt32(), n.GetUpper())).AsUInt32();
    }

    [MethodImpl(Inline)]
    public static U64 ShiftLeft(U64 a, U64 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftLeftLogicalVariable(a, n);
        if (!Avx2.IsSupported) return ScalarLoop.Map(a, Narrow(n), &Scalar.ShiftLeft);
        return Vector512.Create(Avx2.ShiftLeftLogicalVariable(a.GetLower(), n.GetLower()),
            Avx2.ShiftLeftLogicalVariable(a.GetUpper(), n.GetUpper()));
    }

    [MethodImpl(Inline)]
    public static U64 ShiftRight(U64 a, U64 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftRightLogicalVariable(a, n);
        if (!Avx2.IsSupported) return ScalarLoop.Map(a, Narrow(n), &Scalar.ShiftRight);
        return Vector512.Create(Avx2.ShiftRightLogicalVariable(a.GetLower(), n.GetLower()),
            Avx2.ShiftRightLogicalVariable(a.GetUpper(), n.GetUpper()));
    }

    [MethodImpl(Inline)]
    public static U64 ShiftRightSigned(U64 a, U64 n)
    {
        if (Avx512F.IsSupported) return Avx512F.ShiftRightArithmeticVariable(a.AsInt64(), n).AsUInt64();
        // No such AVX2 instruction: shift the complement of negative values, which brings zeros in.
        U64 sign = SignMask(a);
        return ShiftRight(a ^ sign, n) ^ sign;
    }
}
