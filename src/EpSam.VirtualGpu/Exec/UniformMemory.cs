// Loads whose address is the same in all lanes: one scalar load.
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class UniformMemory
{
    public static ulong Global<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        Widen(Unsafe.ReadUnaligned<T>(AddressSpace.IsDevice(address, (ulong)sizeof(T))
            ? AddressSpace.ToHost(address)
            : OutsideDevice(w, address, sizeof(T), line)));

    public static ulong Shared<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        Widen(Unsafe.ReadUnaligned<T>(IsInside<T>(address, w->Block->SharedBytes)
            ? w->Block->Shared + address
            : Outside(w, "shared", w->Block->SharedBytes, address, sizeof(T), line)));

    public static ulong Param<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        Widen(Unsafe.ReadUnaligned<T>(IsInside<T>(address, w->Block->ParamBytes)
            ? w->Block->Param + address
            : Outside(w, "parameter", w->Block->ParamBytes, address, sizeof(T), line)));

    static bool IsInside<T>(ulong address, int size) where T : unmanaged =>
        address + (ulong)sizeof(T) <= (ulong)size && address < 1ul << 32;

    /// <summary>
    /// Narrow values as 32-bit registers hold them: sign-extended to 32 bits when the type is signed.
    /// </summary>
    static ulong Widen<T>(T value) where T : unmanaged => value switch
    {
        byte v => v, ushort v => v, uint v => v, ulong v => v, sbyte v => (uint)v, short v => (uint)v,
        _ => throw new NotSupportedException(typeof(T).Name),
    };

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
