// atom and red: lanes in lane order, each atomic against the other cores. Operands: atom address (3 ints), destination,
// b, c or -1; red address, b; then the chosen indices. An atomic must be aligned even when alignment is not checked,
// because only then the processor can do it.
// https://docs.nvidia.com/cuda/parallel-thread-execution/#parallel-synchronization-and-communication-instructions-atom
using System.Numerics;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using System.Runtime.CompilerServices;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class Atomic
{
    static readonly AtomicOp[] s_bits = [AtomicOp.And, AtomicOp.Or, AtomicOp.Xor, AtomicOp.Exch, AtomicOp.Cas];

    [PtxWarp("atom.<global,shared,generic>.<and,or,xor,exch,cas>.<b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomBits(Warp* w, byte* f, int* o) =>
        Atom(w, f, o, AtomicType.B32 + o[8], s_bits[o[7]]);

    [PtxWarp("atom.<global,shared,generic>.cas.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomCas16(Warp* w, byte* f, int* o) => Atom(w, f, o, AtomicType.B16, AtomicOp.Cas);

    [PtxWarp("atom.<global,shared,generic>.add.<u32,s32,u64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomAdd(Warp* w, byte* f, int* o) => Atom(w, f, o, AtomicType.U32 + o[7], AtomicOp.Add);

    [PtxWarp("atom.<global,shared,generic>.<min,max>.<u32,s32,u64,s64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomMinMax(Warp* w, byte* f, int* o) =>
        Atom(w, f, o, AtomicType.U32 + o[8], AtomicOp.Min + o[7]);

    [PtxWarp("atom.<global,shared,generic>.<inc,dec>.u32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomWrap(Warp* w, byte* f, int* o) => Atom(w, f, o, AtomicType.U32, AtomicOp.Inc + o[7]);

    [PtxWarp("atom.<global,shared,generic>.add.<f32,f64,f16,f16x2,bf16,bf16x2>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AtomFloat(Warp* w, byte* f, int* o) => Atom(w, f, o, AtomicType.F32 + o[7], AtomicOp.Add);

    [PtxWarp("red.<global,shared,generic>.<and,or,xor>.<b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RedBits(Warp* w, byte* f, int* o) => Red(w, f, o, AtomicType.B32 + o[6], s_bits[o[5]]);

    [PtxWarp("red.<global,shared,generic>.add.<u32,s32,u64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RedAdd(Warp* w, byte* f, int* o) => Red(w, f, o, AtomicType.U32 + o[5], AtomicOp.Add);

    [PtxWarp("red.<global,shared,generic>.<min,max>.<u32,s32,u64,s64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RedMinMax(Warp* w, byte* f, int* o) =>
        Red(w, f, o, AtomicType.U32 + o[6], AtomicOp.Min + o[5]);

    [PtxWarp("red.<global,shared,generic>.<inc,dec>.u32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RedWrap(Warp* w, byte* f, int* o) => Red(w, f, o, AtomicType.U32, AtomicOp.Inc + o[5]);

    [PtxWarp("red.<global,shared,generic>.add.<f32,f64,f16,f16x2,bf16,bf16x2>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RedFloat(Warp* w, byte* f, int* o) => Red(w, f, o, AtomicType.F32 + o[5], AtomicOp.Add);

    static readonly Space[] s_spaces = [Space.Global, Space.Shared, Space.Generic];

    static void Atom(Warp* w, byte* f, int* o, AtomicType type, AtomicOp op) =>
        Update(w, f, o, type, op, o[3], o[4], o[5], s_spaces[o[6]]);

    static void Red(Warp* w, byte* f, int* o, AtomicType type, AtomicOp op) =>
        Update(w, f, o, type, op, -1, o[3], -1, s_spaces[o[4]]);

    static void Update(Warp* w, byte* f, int* o, AtomicType type, AtomicOp op, int d, int b, int c, Space space)
    {
        int bytes = AtomicOps.SizeOf(type);
        LaneAddresses addresses;
        LaneAddress.Effective(f, o, &addresses);
        var address = (ulong*)&addresses;
        var check = new AccessCheck(w, o, space, bytes, AccessKind.Atomic);
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            byte* p = check.Lane(lane, address[lane], null);
            if ((address[lane] & (ulong)(bytes - 1)) != 0)
                check.ThrowMisaligned(lane, address[lane]);
            bool flush = space != Space.Shared && AddressSpace.IsDevice(address[lane], 4);
            ulong old = AtomicOps.Update(p, type, op, Get(f, b, lane, bytes), Get(f, c, lane, bytes), flush);
            if (d >= 0 && bytes == 8)
                ((ulong*)(f + d))[lane] = old;
            else if (d >= 0)
                ((uint*)(f + d))[lane] = (uint)old;
        }
        check.Count(w->Active, address);
    }

    static ulong Get(byte* f, int register, int lane, int bytes) => register < 0 ? 0 : bytes switch
    {
        8 => ((ulong*)(f + register))[lane],
        4 => ((uint*)(f + register))[lane],
        _ => (ushort)((uint*)(f + register))[lane],
    };
}
