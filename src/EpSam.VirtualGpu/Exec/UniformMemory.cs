// Loads whose address is the same in all lanes: checked once, then read as scalars.
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class UniformMemory
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Global(Warp* w, ulong address, int bytes, int line) =>
        AddressSpace.IsDevice(address, (ulong)bytes)
            ? AddressSpace.ToHost(address)
            : OutsideDevice(w, address, bytes, line);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Shared(Warp* w, ulong address, int bytes, int line) =>
        IsInside(address, bytes, w->Block->SharedBytes)
            ? w->Block->Shared + address
            : Outside(w, "shared", w->Block->SharedBytes, address, bytes, line);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Param(Warp* w, ulong address, int bytes, int line) =>
        IsInside(address, bytes, w->Block->ParamBytes)
            ? w->Block->Param + address
            : Outside(w, "parameter", w->Block->ParamBytes, address, bytes, line);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool IsInside(ulong address, int bytes, int size) =>
        address + (ulong)bytes <= (ulong)size && address < 1ul << 32;

    [MethodImpl(MethodImplOptions.NoInlining)]
    static byte* OutsideDevice(Warp* w, ulong address, int bytes, int line)
    {
        Faults.ThrowGlobal(w, line, Faults.FirstLane(w), address, bytes, write: false);
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static byte* Outside(Warp* w, string space, int size, ulong address, int bytes, int line)
    {
        Faults.ThrowWindow(space, size, w, line, Faults.FirstLane(w), address, bytes, write: false);
        return null;
    }
}
