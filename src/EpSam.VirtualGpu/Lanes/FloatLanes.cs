// Views of the lanes as numbers, and the lane-by-lane loops that rare instructions fall back on. The loops are not
// inlined: such an instruction costs the emitted code a call, not a page of code.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class FloatLanes
{
    public const uint SignBit = 0x8000_0000;
    public const ulong SignBit64 = 0x8000_0000_0000_0000;
    public const uint NaN = 0x7fff_ffff;                   // NVIDIA's canonical NaN
    public const ulong NaN64 = 0x7ff8_0000_0000_0000;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> F32(U32 a) => a.AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> F64(U64 a) => a.AsDouble();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Widen(Vector256<float> a)
    {
        if (Avx512F.IsSupported) return Avx512F.ConvertToVector512Double(a);
        (Vector256<double> low, Vector256<double> high) = Vector256.Widen(a);
        return Vector512.Create(low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Narrow(Vector512<double> a) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector256Single(a)
        : Vector256.Narrow(a.GetLower(), a.GetUpper());

    /// <summary>One bit a lane from a mask of whole lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Bits(Vector512<float> mask) => (uint)mask.ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Bits(Vector512<double> mask) => (uint)mask.ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U32 Each(U32 a, int option, delegate*<ulong, int, ulong> f)
    {
        for (int i = 0; i < 16; i++) a = a.WithElement(i, (uint)f(a[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U32 Each(U32 a, U32 b, int option, delegate*<ulong, ulong, int, ulong> f)
    {
        for (int i = 0; i < 16; i++) a = a.WithElement(i, (uint)f(a[i], b[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U32 Each(U32 a, U32 b, U32 c, int option, delegate*<ulong, ulong, ulong, int, ulong> f)
    {
        for (int i = 0; i < 16; i++) a = a.WithElement(i, (uint)f(a[i], b[i], c[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U64 Each(U64 a, int option, delegate*<ulong, int, ulong> f)
    {
        for (int i = 0; i < 8; i++) a = a.WithElement(i, f(a[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U64 Each(U64 a, U64 b, int option, delegate*<ulong, ulong, int, ulong> f)
    {
        for (int i = 0; i < 8; i++) a = a.WithElement(i, f(a[i], b[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U64 Each(U64 a, U64 b, U64 c, int option, delegate*<ulong, ulong, ulong, int, ulong> f)
    {
        for (int i = 0; i < 8; i++) a = a.WithElement(i, f(a[i], b[i], c[i], option));
        return a;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static U64 EachWiden(H32 a, int option, delegate*<ulong, int, ulong> f)
    {
        U64 result = default;
        for (int i = 0; i < 8; i++) result = result.WithElement(i, f(a[i], option));
        return result;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static H32 EachNarrow(U64 a, int option, delegate*<ulong, int, ulong> f)
    {
        H32 result = default;
        for (int i = 0; i < 8; i++) result = result.WithElement(i, (uint)f(a[i], option));
        return result;
    }
}
