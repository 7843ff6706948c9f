// Conversions between the element types of matrix instructions and f32, as bit operations on whole vectors.
// Every f16, bf16 and tf32 value is an f32 value, subnormals included, so widening is exact. A register holds two
// 16-bit elements per 32-bit lane; Even is the lower one (the smaller k), Odd the upper one.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>A 16-bit matrix element type.</summary>
internal interface IMmaElement
{
    static abstract Vector512<float> Even(Vector512<uint> pairs);
    static abstract Vector512<float> Odd(Vector512<uint> pairs);
    static abstract Vector128<float> Even(Vector128<uint> pairs);
    static abstract Vector128<float> Odd(Vector128<uint> pairs);
}

/// <summary>bf16 is the upper half of an f32.</summary>
internal readonly struct MmaBf16 : IMmaElement
{
    const uint Upper = 0xffff_0000;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Even(Vector512<uint> pairs) => (pairs << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Odd(Vector512<uint> pairs) => (pairs & Vector512.Create(Upper)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Even(Vector128<uint> pairs) => (pairs << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Odd(Vector128<uint> pairs) => (pairs & Vector128.Create(Upper)).AsSingle();
}

/// <summary>tf32 is an f32 without its lower 13 bits. One element per word: Even and Odd are the same.</summary>
internal readonly struct MmaTf32 : IMmaElement
{
    const uint Kept = 0xffff_e000;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Even(Vector512<uint> words) => (words & Vector512.Create(Kept)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Odd(Vector512<uint> words) => Even(words);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Even(Vector128<uint> words) => (words & Vector128.Create(Kept)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Odd(Vector128<uint> words) => Even(words);
}

/// <summary>
/// f16: with sign in bit 31 and the 15 other bits moved down to bits 13..27, exponent and significand stand where f32
/// has them, except that the exponent's bias is 112 too small: multiplying by 2^112 is exact and makes subnormals right
/// as well. Infinities and NaN (exponent 31) then need f32's exponent of all ones.
/// </summary>
internal readonly struct MmaF16 : IMmaElement
{
    const uint Kept = 0x8fff_e000;                 // sign, exponent and significand after the shift by 3
    const uint Magnitude = 0x7fff_ffff;
    const uint ExponentOfAllOnes = 0x7f80_0000;
    const float FirstInfinite = 65536f;            // where an exponent of 31 lands after scaling
    const float Scale = 5192296858534827628530496329220096f;   // 2^112

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Even(Vector512<uint> pairs) => Widen((pairs << 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Odd(Vector512<uint> pairs) => Widen(pairs.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Even(Vector128<uint> pairs) => Widen((pairs << 16).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Odd(Vector128<uint> pairs) => Widen(pairs.AsInt32());

    /// <summary>The f16 in the upper halves; the lower halves may hold anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Widen(Vector512<int> upper)
    {
        // The arithmetic shift copies the sign into bits 28..30, which the mask clears again.
        Vector512<uint> kept = (upper >> 3).AsUInt32() & Vector512.Create(Kept);
        Vector512<float> scaled = kept.AsSingle() * Vector512.Create(Scale);
        Vector512<float> magnitude = scaled & Vector512.Create(Magnitude).AsSingle();
        Vector512<float> special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(FirstInfinite));
        return scaled | (special & Vector512.Create(ExponentOfAllOnes).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> Widen(Vector128<int> upper)
    {
        Vector128<uint> kept = (upper >> 3).AsUInt32() & Vector128.Create(Kept);
        Vector128<float> scaled = kept.AsSingle() * Vector128.Create(Scale);
        Vector128<float> magnitude = scaled & Vector128.Create(Magnitude).AsSingle();
        Vector128<float> special = Vector128.GreaterThanOrEqual(magnitude, Vector128.Create(FirstInfinite));
        return scaled | (special & Vector128.Create(ExponentOfAllOnes).AsSingle());
    }

    const float SmallestNormal = 6.103515625e-05f;   // 2^-14

    /// <summary>f32 to f16 in the lower halves, to nearest even; NaN becomes 0x7fff as PTX says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Narrow(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> sign = (bits >> 16) & Vector256.Create(0x8000u);
        Vector256<uint> magnitude = bits & Vector256.Create(Magnitude);
        // Normal results: subtract the bias difference, then round at bit 13 (half, plus one if the kept bit is odd).
        Vector256<uint> odd = (magnitude >> 13) & Vector256<uint>.One;
        Vector256<uint> normal = (magnitude - Vector256.Create(112u << 23) + Vector256.Create(0xfffu) + odd) >> 13;
        // Subnormal results: adding 0.5, whose last place is 2^-24, lets the adder round to f16's smallest step.
        Vector256<float> half = Vector256.Create(0.5f);
        Vector256<uint> subnormal = (magnitude.AsSingle() + half).AsUInt32() - half.AsUInt32();
        Vector256<uint> result = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude.AsSingle(), Vector256.Create(SmallestNormal)).AsUInt32(), subnormal, normal);
        // 65520 and more round to infinity; bits compare like numbers here, and NaN lies above infinity.
        Vector256<uint> overflow =
            Vector256.GreaterThanOrEqual(magnitude.AsInt32(), Vector256.Create(0x477f_f000)).AsUInt32();
        result = Vector256.ConditionalSelect(overflow, Vector256.Create(0x7c00u), result) | sign;
        Vector256<uint> nan = ~Vector256.Equals(value, value).AsUInt32();
        return Vector256.ConditionalSelect(nan, Vector256.Create(0x7fffu), result);
    }
}
