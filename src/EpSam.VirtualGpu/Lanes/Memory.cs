// ld and st without checks. Operands: the address (3 ints: frame offset of its register or -1, constant offset, 1 if
// that register is W64), then the registers, then the chosen indices of the pattern. Values: .global, .const and
// generic addresses are device addresses, the others byte offsets. u8, u16 are b8, b16 (zero-extended to the lane), s8
// and s16 are sign-extended. The frequent forms have methods of their own; the others go through a table.
// https://docs.nvidia.com/cuda/parallel-thread-execution/#data-movement-and-conversion-instructions-ld
using EpSam.VirtualGpu.Exec;
using System.Runtime.CompilerServices;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class Memory
{
    [PtxWarp("ld.{global,const}.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal32(Warp* w, byte* f, int* o) => MemoryAccess.Load1<GlobalSpace, B32>(w, f, o);

    [PtxWarp("ld.{global,const}.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal64(Warp* w, byte* f, int* o) => MemoryAccess.Load1<GlobalSpace, B64>(w, f, o);

    [PtxWarp("ld.{global,const}.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal16(Warp* w, byte* f, int* o) => MemoryAccess.Load1<GlobalSpace, B16>(w, f, o);

    [PtxWarp("ld.{global,const}.v2.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal2x32(Warp* w, byte* f, int* o) => MemoryAccess.Load2<GlobalSpace, B32>(w, f, o);

    [PtxWarp("ld.{global,const}.v4.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal4x32(Warp* w, byte* f, int* o) => MemoryAccess.Load4<GlobalSpace, B32>(w, f, o);

    [PtxWarp("ld.{global,const}.v2.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadGlobal2x64(Warp* w, byte* f, int* o) => MemoryAccess.Load2<GlobalSpace, B64>(w, f, o);

    [PtxWarp("ld.shared.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared32(Warp* w, byte* f, int* o) => MemoryAccess.Load1<SharedSpace, B32>(w, f, o);

    [PtxWarp("ld.shared.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared64(Warp* w, byte* f, int* o) => MemoryAccess.Load1<SharedSpace, B64>(w, f, o);

    [PtxWarp("ld.shared.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared16(Warp* w, byte* f, int* o) => MemoryAccess.Load1<SharedSpace, B16>(w, f, o);

    [PtxWarp("ld.shared.v2.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared2x32(Warp* w, byte* f, int* o) => MemoryAccess.Load2<SharedSpace, B32>(w, f, o);

    [PtxWarp("ld.shared.v4.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared4x32(Warp* w, byte* f, int* o) => MemoryAccess.Load4<SharedSpace, B32>(w, f, o);

    [PtxWarp("ld.shared.v2.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadShared2x64(Warp* w, byte* f, int* o) => MemoryAccess.Load2<SharedSpace, B64>(w, f, o);

    [PtxWarp("st.global.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal32(Warp* w, byte* f, int* o) => MemoryAccess.Store1<GlobalSpace, B32>(w, f, o);

    [PtxWarp("st.global.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal64(Warp* w, byte* f, int* o) => MemoryAccess.Store1<GlobalSpace, B64>(w, f, o);

    [PtxWarp("st.global.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal16(Warp* w, byte* f, int* o) => MemoryAccess.Store1<GlobalSpace, B16>(w, f, o);

    [PtxWarp("st.global.v2.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal2x32(Warp* w, byte* f, int* o) => MemoryAccess.Store2<GlobalSpace, B32>(w, f, o);

    [PtxWarp("st.global.v4.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal4x32(Warp* w, byte* f, int* o) => MemoryAccess.Store4<GlobalSpace, B32>(w, f, o);

    // .cs, "likely to be accessed once": whole rows go past the caches. PTX ISA "Cache Operators".
    [PtxWarp("st.global.cs.v4.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StreamGlobal4x32(Warp* w, byte* f, int* o) =>
        MemoryAccess.Store4<GlobalSpace, B32>(w, f, o, streaming: true);

    [PtxWarp("st.global.v2.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreGlobal2x64(Warp* w, byte* f, int* o) => MemoryAccess.Store2<GlobalSpace, B64>(w, f, o);

    [PtxWarp("st.shared.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared32(Warp* w, byte* f, int* o) => MemoryAccess.Store1<SharedSpace, B32>(w, f, o);

    [PtxWarp("st.shared.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared64(Warp* w, byte* f, int* o) => MemoryAccess.Store1<SharedSpace, B64>(w, f, o);

    [PtxWarp("st.shared.b16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared16(Warp* w, byte* f, int* o) => MemoryAccess.Store1<SharedSpace, B16>(w, f, o);

    [PtxWarp("st.shared.v2.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared2x32(Warp* w, byte* f, int* o) => MemoryAccess.Store2<SharedSpace, B32>(w, f, o);

    [PtxWarp("st.shared.v4.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared4x32(Warp* w, byte* f, int* o) => MemoryAccess.Store4<SharedSpace, B32>(w, f, o);

    [PtxWarp("st.shared.v2.b64")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreShared2x64(Warp* w, byte* f, int* o) => MemoryAccess.Store2<SharedSpace, B64>(w, f, o);

    [PtxWarp("ld.<{global,const},shared>.<b8,s8,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadNarrow(Warp* w, byte* f, int* o) => Load(s_main[o[4]], s_narrow[o[5]], 1)(w, f, o);

    [PtxWarp("ld.<{global,const},shared>.v2.<b8,s8,b16,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadNarrow2(Warp* w, byte* f, int* o) => Load(s_main[o[5]], (ElementType)o[6], 2)(w, f, o);

    [PtxWarp("ld.<{global,const},shared>.v4.<b8,s8,b16,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadNarrow4(Warp* w, byte* f, int* o) => Load(s_main[o[7]], (ElementType)o[8], 4)(w, f, o);

    [PtxWarp("ld.<local,param,generic>.<b8,s8,b16,s16,b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadOther(Warp* w, byte* f, int* o) => Load(s_other[o[4]], (ElementType)o[5], 1)(w, f, o);

    [PtxWarp("ld.<local,param,generic>.v2.<b8,s8,b16,s16,b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadOther2(Warp* w, byte* f, int* o) => Load(s_other[o[5]], (ElementType)o[6], 2)(w, f, o);

    [PtxWarp("ld.<local,param,generic>.v4.<b8,s8,b16,s16,b32>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadOther4(Warp* w, byte* f, int* o) => Load(s_other[o[7]], (ElementType)o[8], 4)(w, f, o);

    [PtxWarp("st.<global,shared>.<b8,s8,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreNarrow(Warp* w, byte* f, int* o) => Store(s_main[o[4]], s_narrow[o[5]], 1)(w, f, o);

    [PtxWarp("st.<global,shared>.v2.<b8,s8,b16,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreNarrow2(Warp* w, byte* f, int* o) => Store(s_main[o[5]], (ElementType)o[6], 2)(w, f, o);

    [PtxWarp("st.<global,shared>.v4.<b8,s8,b16,s16>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreNarrow4(Warp* w, byte* f, int* o) => Store(s_main[o[7]], (ElementType)o[8], 4)(w, f, o);

    [PtxWarp("st.<local,generic>.<b8,s8,b16,s16,b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreOther(Warp* w, byte* f, int* o) => Store(s_written[o[4]], (ElementType)o[5], 1)(w, f, o);

    [PtxWarp("st.<local,generic>.v2.<b8,s8,b16,s16,b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreOther2(Warp* w, byte* f, int* o) => Store(s_written[o[5]], (ElementType)o[6], 2)(w, f, o);

    [PtxWarp("st.<local,generic>.v4.<b8,s8,b16,s16,b32>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreOther4(Warp* w, byte* f, int* o) => Store(s_written[o[7]], (ElementType)o[8], 4)(w, f, o);

    const int Types = 6, Widths = 3;

    // What the indices of the patterns above mean.
    static readonly Space[] s_main = [Space.Global, Space.Shared];
    static readonly Space[] s_other = [Space.Local, Space.Param, Space.Generic];
    static readonly Space[] s_written = [Space.Local, Space.Generic];
    static readonly ElementType[] s_narrow = [ElementType.B8, ElementType.S8, ElementType.S16];

    static readonly delegate*<Warp*, byte*, int*, void>[] s_load = Table(store: false);
    static readonly delegate*<Warp*, byte*, int*, void>[] s_store = Table(store: true);

    /// <summary>The unchecked method that loads vectors of 1, 2 or 4 elements.</summary>
    public static delegate*<Warp*, byte*, int*, void> Load(Space space, ElementType type, int count) =>
        s_load[((int)space * Types + (int)type) * Widths + count / 2];

    public static delegate*<Warp*, byte*, int*, void> Store(Space space, ElementType type, int count) =>
        s_store[((int)space * Types + (int)type) * Widths + count / 2];

    static delegate*<Warp*, byte*, int*, void>[] Table(bool store)
    {
        var t = new delegate*<Warp*, byte*, int*, void>[6 * Types * Widths];
        AddSpace<GlobalSpace>(t, Space.Global, store);
        AddSpace<GlobalSpace>(t, Space.Const, store);
        AddSpace<SharedSpace>(t, Space.Shared, store);
        AddSpace<LocalSpace>(t, Space.Local, store);
        AddSpace<ParamSpace>(t, Space.Param, store);
        AddSpace<GenericSpace>(t, Space.Generic, store);
        return t;
    }

    static void AddSpace<TSpace>(delegate*<Warp*, byte*, int*, void>[] t, Space space, bool store) where TSpace : ISpace
    {
        int at = (int)space * Types * Widths;
        Add<TSpace, B8>(t, at, store);
        Add<TSpace, S8>(t, at + Widths, store);
        Add<TSpace, B16>(t, at + 2 * Widths, store);
        Add<TSpace, S16>(t, at + 3 * Widths, store);
        Add<TSpace, B32>(t, at + 4 * Widths, store);
        Add<TSpace, B64>(t, at + 5 * Widths, store);
    }

    static void Add<TSpace, T>(delegate*<Warp*, byte*, int*, void>[] t, int at, bool store)
        where TSpace : ISpace where T : IElement
    {
        t[at] = store ? &MemoryAccess.Store1<TSpace, T> : &MemoryAccess.Load1<TSpace, T>;
        t[at + 1] = store ? &MemoryAccess.Store2<TSpace, T> : &MemoryAccess.Load2<TSpace, T>;
        t[at + 2] = store ? &MemoryAccess.Store4<TSpace, T> : &MemoryAccess.Load4<TSpace, T>;
    }
}
