// ld and st with checks and counters: every lane goes through AccessCheck, whole rows of global memory at
// once. What has been checked is then done by the unchecked methods.
using System.Numerics;
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class MemoryChecked
{
    const int Address = 3; // ints of the address operand

    static readonly Space[] s_stored = [Space.Global, Space.Shared, Space.Local, Space.Generic];
    static readonly int[] s_size = [1, 1, 2, 2, 4, 8]; // of ElementType

    [PtxWarp("ld.<global,const,shared,local,param,generic>.<b8,s8,b16,s16,b32,b64>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load(Warp* w, byte* f, int* o) => Load(w, f, o, 1);

    [PtxWarp("ld.<global,const,shared,local,param,generic>.v2.<b8,s8,b16,s16,b32,b64>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load2(Warp* w, byte* f, int* o) => Load(w, f, o, 2);

    [PtxWarp("ld.<global,const,shared,local,param,generic>.v4.<b8,s8,b16,s16,b32>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load4(Warp* w, byte* f, int* o) => Load(w, f, o, 4);

    [PtxWarp("st.<global,shared,local,generic>.<b8,s8,b16,s16,b32,b64>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(Warp* w, byte* f, int* o) => Store(w, f, o, 1);

    [PtxWarp("st.<global,shared,local,generic>.v2.<b8,s8,b16,s16,b32,b64>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store2(Warp* w, byte* f, int* o) => Store(w, f, o, 2);

    [PtxWarp("st.<global,shared,local,generic>.v4.<b8,s8,b16,s16,b32>", Checked = true)]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store4(Warp* w, byte* f, int* o) => Store(w, f, o, 4);

    static void Load(Warp* w, byte* f, int* o, int count)
    {
        var space = (Space)o[Address + count];
        var type = (ElementType)o[Address + count + 1];
        LaneAddresses addresses;
        LaneAddress.Effective(f, o, &addresses);
        var address = (ulong*)&addresses;
        var check = new AccessCheck(w, o, space, count * s_size[(int)type], AccessKind.Read);
        for (uint lanes = check.TryRow(address) ? 0 : w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            check.Lane(lane, address[lane], null);
        }
        check.Count(w->Active, address);
        Memory.Load(space, type, count)(w, f, o);
    }

    static void Store(Warp* w, byte* f, int* o, int count)
    {
        Space space = s_stored[o[Address + count]];
        int size = s_size[o[Address + count + 1]], bytes = count * size;
        LaneAddresses addresses;
        LaneAddress.Effective(f, o, &addresses);
        var address = (ulong*)&addresses;
        var check = new AccessCheck(w, o, space, bytes, AccessKind.Write);
        if (check.TryRow(address))
        {
            check.Count(w->Active, address);
            Memory.Store(space, (ElementType)o[Address + count + 1], count)(w, f, o);
            return;
        }
        byte* value = stackalloc byte[16];
        for (uint lanes = w->Active; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            for (int i = 0; i < count; i++)
            {
                byte* register = f + o[Address + i] + lane * (size == 8 ? 8 : 4);
                Unsafe.CopyBlockUnaligned(value + i * size, register, (uint)size);
            }
            Unsafe.CopyBlockUnaligned(check.Lane(lane, address[lane], value), value, (uint)bytes);
        }
        check.Count(w->Active, address);
    }
}
