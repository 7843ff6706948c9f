// f16 and bf16 numbers in 32-bit lanes: conversion from and to f32 by bit operations on whole vectors. A half is the
// low 16 bits of its lane; what is above is ignored on the way in and zero on the way out. NaN results are the
// canonical 0x7fff.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Lanes;

internal static class HalfBits
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    public const uint NaN = 0x7fff;
    const uint Infinity32 = 0x7f80_0000;

    // The 15 magnitude bits, read as the top of an f32, are the value times 2^-112 (subnormals too): one exact
    // multiplication puts that right. Infinity and NaN then only lack the upper exponent bits.
    [MethodImpl(Inline)]
    public static Vector512<float> FromF16(U32 a)
    {
        U32 magnitude = (a & Vector512.Create(0x7fffu)) << 13;
        U32 value = (magnitude.AsSingle() * Vector512.Create(5.192296858534828e33f)).AsUInt32();   // 2^112
        U32 special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00u << 13));
        value |= special & Vector512.Create(Infinity32);
        return (value | (a & Vector512.Create(0x8000u)) << 16).AsSingle();
    }

    // Nearest even: adding and subtracting 2^13 times the number's own power of two leaves 11 significant bits, or,
    // with that power held at 2^-14, a multiple of the least subnormal. Times 2^-112 the f32's bits are the half's,
    // 13 higher.
    [MethodImpl(Inline)]
    public static U32 ToF16(Vector512<float> x)
    {
        U32 bits = x.AsUInt32();
        U32 magnitude = bits & Vector512.Create(0x7fff_ffffu);
        // 65536 stands for everything from there on: it becomes infinity.
        Vector512<float> value = Vector512.MinNative(magnitude.AsSingle(), Vector512.Create(65536f));
        U32 power = Vector512.Max(value.AsUInt32() & Vector512.Create(Infinity32), Vector512.Create(0x3880_0000u));
        Vector512<float> shift = (power + Vector512.Create(13u << 23)).AsSingle();
        value = (value + shift - shift) * Vector512.Create(1.925929944387236e-34f);                  // 2^-112
        U32 half = value.AsUInt32() >> 13 | (bits & Vector512.Create(0x8000_0000u)) >> 16;
        return Vector512.ConditionalSelect(Vector512.Equals(x, x).AsUInt32(), half, Vector512.Create(NaN));
    }

    [MethodImpl(Inline)]
    public static Vector512<float> FromBF16(U32 a) => (a << 16).AsSingle();

    [MethodImpl(Inline)]
    public static U32 ToBF16(Vector512<float> x) => RoundedBF16(x) >> 16;

    /// <summary>Nearest-even bf16 in the upper 16 bits; what is left below them is rubbish.</summary>
    [MethodImpl(Inline)]
    public static U32 RoundedBF16(Vector512<float> x)
    {
        U32 bits = x.AsUInt32();
        U32 rounded = bits + Vector512.Create(0x7fffu) + (bits >> 16 & U32.One);
        return Vector512.ConditionalSelect(Vector512.Equals(x, x).AsUInt32(), rounded, Vector512.Create(NaN << 16));
    }

    [MethodImpl(Inline)]
    public static Vector512<float> Widen(U32 a, bool brain) => brain ? FromBF16(a) : FromF16(a);

    [MethodImpl(Inline)]
    public static U32 Narrow(Vector512<float> a, bool brain) => brain ? ToBF16(a) : ToF16(a);

    /// <summary>Rounds in any mode: where nearest-even went past the value the wrong way, one step back.</summary>
    [MethodImpl(Inline)]
    public static U32 Narrow(Vector512<float> a, bool brain, Rounding rounding)
    {
        U32 half = Narrow(a, brain);
        if (rounding == Rounding.Nearest) return half;
        Vector512<float> back = Widen(half, brain);
        // +1 or -1 on the bits enlarges or shrinks the magnitude; an infinity that is too large becomes the largest
        // number.
        U32 outward = U32.One, inward = U32.AllBitsSet;
        U32 isNegative = Vector512.Equals(half & Vector512.Create(0x8000u), Vector512.Create(0x8000u));
        U32 magnitudeTooLarge = Vector512.GreaterThan(Vector512.Abs(back), Vector512.Abs(a)).AsUInt32();
        U32 step = rounding switch
        {
            Rounding.Zero => magnitudeTooLarge & inward,
            Rounding.Down => Vector512.GreaterThan(back, a).AsUInt32()
                & Vector512.ConditionalSelect(isNegative, outward, inward),
            _ => Vector512.LessThan(back, a).AsUInt32() & Vector512.ConditionalSelect(isNegative, inward, outward),
        };
        return half + step;
    }

    /// <summary>.relu: a negative number becomes +0. A NaN is canonical by then, its sign bit clear.</summary>
    [MethodImpl(Inline)]
    public static U32 Relu(U32 half) =>
        Vector512.ConditionalSelect(Vector512.LessThan(half, Vector512.Create(0x8000u)), half, U32.Zero);
}
