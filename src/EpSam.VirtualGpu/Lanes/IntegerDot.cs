// Dot products of packed bytes and half-words, accumulated in 32 bits with wrap-around: dp4a, dp2a (PTX ISA 9.7.1).
// The index arguments say of each operand whether its elements are unsigned (0) or signed (1).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Lanes;

internal static class IntegerDot
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("dp4a.<u,s>32.<u,s>32")]
    [MethodImpl(Inline)]
    public static U32 Dp4a(U32 a, U32 b, U32 c, int signedA, int signedB) =>
        c + Field(a, 0, 8, signedA) * Field(b, 0, 8, signedB) + Field(a, 8, 8, signedA) * Field(b, 8, 8, signedB)
          + Field(a, 16, 8, signedA) * Field(b, 16, 8, signedB) + Field(a, 24, 8, signedA) * Field(b, 24, 8, signedB);

    // .lo multiplies by bytes 0 and 1 of b, .hi by bytes 2 and 3.
    [Ptx("dp2a.<lo,hi>.<u,s>32.<u,s>32")]
    [MethodImpl(Inline)]
    public static U32 Dp2a(U32 a, U32 b, U32 c, int half, int signedA, int signedB) =>
        c + Field(a, 0, 16, signedA) * Field(b, 16 * half, 8, signedB)
          + Field(a, 16, 16, signedA) * Field(b, 16 * half + 8, 8, signedB);

    [MethodImpl(Inline)]
    static U32 Field(U32 a, int position, int width, int signed)
    {
        U32 top = a << (32 - width - position);
        return signed != 0 ? (top.AsInt32() >> (32 - width)).AsUInt32() : top >> (32 - width);
    }
}
