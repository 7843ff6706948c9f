// Moves, packing, predicate logic and the blends of divergent code: what the builder and the emitter need between
// the instructions proper. Methods on predicates alone work on all 32 lanes at once.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Lanes;

internal static class Moves
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [Ptx("mov.b32"), MethodImpl(Inline)] public static U32 Move32(U32 a) => a;
    [Ptx("mov.b64"), MethodImpl(Inline)] public static U64 Move64(U64 a) => a;

    [Ptx("pack.b32.b16"), MethodImpl(Inline)]
    public static U32 Pack16(U32 low, U32 high) =>
        (low & Vector512.Create(0xffffu)) | Vector512.ShiftLeft(high, 16);

    [Ptx("unpack0.b32.b16"), MethodImpl(Inline)]
    public static U32 Low16(U32 a) => a & Vector512.Create(0xffffu);

    [Ptx("unpack1.b32.b16"), MethodImpl(Inline)]
    public static U32 High16(U32 a) => Vector512.ShiftRightLogical(a, 16);

    [Ptx("pack.b64.b32"), MethodImpl(Inline)]
    public static U64 Pack32(H32 low, H32 high) => Widen(low) | Vector512.ShiftLeft(Widen(high), 32);

    [Ptx("unpack0.b64.b32"), MethodImpl(Inline)]
    public static H32 Low32(U64 a) => Narrow(a);

    [Ptx("unpack1.b64.b32"), MethodImpl(Inline)]
    public static H32 High32(U64 a) => Narrow(Vector512.ShiftRightLogical(a, 32));

    [Ptx("and.pred"), MethodImpl(Inline)] public static uint AndPred(uint a, uint b) => a & b;
    [Ptx("or.pred"), MethodImpl(Inline)] public static uint OrPred(uint a, uint b) => a | b;
    [Ptx("xor.pred"), MethodImpl(Inline)] public static uint XorPred(uint a, uint b) => a ^ b;
    [Ptx("not.pred"), MethodImpl(Inline)] public static uint NotPred(uint a) => ~a;
    [Ptx("mov.pred"), MethodImpl(Inline)] public static uint MovePred(uint a) => a;

    /// <summary>isspacep: is this generic address one of the space? Windows: PTX ISA "Generic Addressing".</summary>
    [Ptx("isspacep.<shared,local>"), MethodImpl(Inline)]
    public static uint IsSpace(U64 address, int space)
    {
        ulong window = space == 0 ? AddressSpace.SharedWindow : AddressSpace.LocalWindow;
        return (uint)Vector512.LessThan(address - Vector512.Create(window), Vector512.Create(AddressSpace.WindowBytes))
            .ExtractMostSignificantBits();
    }

    [Ptx("isspacep.{global,const}"), MethodImpl(Inline)]
    public static uint IsGlobal(U64 address) =>
        (uint)Vector512.GreaterThanOrEqual(address, Vector512.Create(AddressSpace.DeviceBase))
            .ExtractMostSignificantBits();

    [PtxScalar("mov.b32"), MethodImpl(Inline)] public static uint Move(uint a) => a;
    [PtxScalar("mov.b64"), MethodImpl(Inline)] public static ulong Move(ulong a) => a;

    [PtxScalar("pack.b64.b32"), MethodImpl(Inline)]
    public static ulong Pack(uint low, uint high) => low | (ulong)high << 32;

    [PtxScalar("unpack0.b64.b32"), MethodImpl(Inline)] public static uint Low(ulong a) => (uint)a;
    [PtxScalar("unpack1.b64.b32"), MethodImpl(Inline)] public static uint High(ulong a) => (uint)(a >> 32);

    [MethodImpl(Inline)]
    public static U64 Widen(H32 a) => Vector512.Create(Vector256.WidenLower(a), Vector256.WidenUpper(a));

    [MethodImpl(Inline)]
    public static H32 Narrow(U64 a) => Vector256.Narrow(a.GetLower(), a.GetUpper());

    /// <summary>New values in the lanes whose bit is set, old ones elsewhere.</summary>
    [MethodImpl(Inline)]
    public static U32 Blend32(U32 now, U32 old, uint lanes)
    {
        U32 bit = Vector512.Create(1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u,
            0x100u, 0x200u, 0x400u, 0x800u, 0x1000u, 0x2000u, 0x4000u, 0x8000u);
        return Vector512.ConditionalSelect(Vector512.Equals(Vector512.Create(lanes) & bit, bit), now, old);
    }

    /// <inheritdoc cref="Blend32"/>
    [MethodImpl(Inline)]
    public static H32 BlendHalf(H32 now, H32 old, uint lanes)
    {
        H32 bit = Vector256.Create(1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u);
        return Vector256.ConditionalSelect(Vector256.Equals(Vector256.Create(lanes) & bit, bit), now, old);
    }

    /// <inheritdoc cref="Blend32"/>
    [MethodImpl(Inline)]
    public static U64 Blend64(U64 now, U64 old, uint lanes)
    {
        U64 bit = Vector512.Create(1ul, 2ul, 4ul, 8ul, 16ul, 32ul, 64ul, 128ul);
        return Vector512.ConditionalSelect(Vector512.Equals(Vector512.Create((ulong)lanes) & bit, bit), now, old);
    }
}
