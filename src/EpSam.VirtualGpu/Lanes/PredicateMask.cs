// Between predicates (one bit a lane) and vector masks (all bits of a lane).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Lanes;

internal static class PredicateMask
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>All ones in lane i where bit i of <paramref name="p"/> is set.</summary>
    [MethodImpl(Inline)]
    public static U32 Mask32(uint p)
    {
        U32 bits = Vector512.Create(1u, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);
        return Vector512.Equals(Vector512.Create(p) & bits, bits);
    }

    [MethodImpl(Inline)]
    public static U64 Mask64(uint p)
    {
        U64 bits = Vector512.Create(1ul, 2, 4, 8, 16, 32, 64, 128);
        return Vector512.Equals(Vector512.Create((ulong)p) & bits, bits);
    }

    [MethodImpl(Inline)] public static uint Bits(U32 mask) => (uint)mask.ExtractMostSignificantBits();
    [MethodImpl(Inline)] public static uint Bits(U64 mask) => (uint)mask.ExtractMostSignificantBits();
}
