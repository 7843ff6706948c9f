// The element types a matrix product reads and writes, as conversions to and from the type it computes in.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Blas;

/// <summary>Type of a matrix in memory.</summary>
internal enum GemmType { F32, F16, BF16, F64 }

/// <summary>Elements of a matrix in memory, as float.</summary>
internal unsafe interface IGemmElement
{
    static abstract int Size { get; }
    static abstract float Load(byte* at);
    static abstract Vector128<float> Load4(byte* at);
    static abstract Vector256<float> Load8(byte* at);
    static abstract void Store(byte* at, float value);
    static abstract void Store16(byte* at, Vector512<float> values);
}

internal readonly unsafe struct GemmF32 : IGemmElement
{
    public static int Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* at) => *(float*)at;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(byte* at) => Vector128.Load((float*)at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* at) => Vector256.Load((float*)at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, float value) => *(float*)at = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store16(byte* at, Vector512<float> values) => values.Store((float*)at);
}

internal readonly unsafe struct GemmBf16 : IGemmElement
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* at) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)at << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(byte* at) =>
        (Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)at).AsUInt16()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* at) =>
        (Vector256.WidenLower(Vector128.Load((ushort*)at).ToVector256Unsafe()) << 16).AsSingle();

    /// <summary>To nearest even; NaN becomes 0x7fff.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        *(ushort*)at = float.IsNaN(value) ? (ushort)0x7fff : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store16(byte* at, Vector512<float> values)
    {
        Vector512<uint> bits = values.AsUInt32(), upper = bits >> 16;
        Vector512<uint> rounded = (bits + Vector512.Create(0x7fffu) + (upper & Vector512<uint>.One)) >> 16;
        Vector512<uint> isNumber = Vector512.Equals(values, values).AsUInt32();
        rounded = Vector512.ConditionalSelect(isNumber, rounded, Vector512.Create(0x7fffu));
        Vector256.Narrow(rounded.GetLower(), rounded.GetUpper()).Store((ushort*)at);
    }
}

internal readonly unsafe struct GemmF16 : IGemmElement
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* at) => (float)*(Half*)at;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(byte* at) =>
        Lanes.MmaF16.Even(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)at).AsUInt16()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* at) => Vector256.Create(Load4(at), Load4(at + 8));

    /// <summary>To nearest even; NaN becomes 0x7fff.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, float value) =>
        *(ushort*)at = float.IsNaN(value) ? (ushort)0x7fff : BitConverter.HalfToUInt16Bits((Half)value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store16(byte* at, Vector512<float> values) => Vector256.Narrow(
        Lanes.MmaF16.Narrow(values.GetLower()), Lanes.MmaF16.Narrow(values.GetUpper())).Store((ushort*)at);
}
