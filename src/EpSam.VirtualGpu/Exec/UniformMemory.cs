// Loads whose address is the same in all lanes: one scalar load.
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class UniformMemory
{
    public static ulong Global<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        AddressSpace.IsDevice(address, (ulong)sizeof(T))
            ? Widen(Unsafe.ReadUnaligned<T>(AddressSpace.ToHost(address)))
            : throw Outside(w, "global", address, sizeof(T), line);

    public static ulong Shared<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        address + (ulong)sizeof(T) <= (ulong)w->Block->SharedBytes && address < 1ul << 32
            ? Widen(Unsafe.ReadUnaligned<T>(w->Block->Shared + address))
            : throw Outside(w, "shared", address, sizeof(T), line);

    public static ulong Param<T>(Warp* w, ulong address, int line) where T : unmanaged =>
        address + (ulong)sizeof(T) <= (ulong)w->Block->ParamBytes && address < 1ul << 32
            ? Widen(Unsafe.ReadUnaligned<T>(w->Block->Param + address))
            : throw Outside(w, "parameter", address, sizeof(T), line);

    /// <summary>
    /// Narrow values as 32-bit registers hold them: sign-extended to 32 bits when the type is signed.
    /// </summary>
    static ulong Widen<T>(T value) where T : unmanaged => value switch
    {
        byte v => v, ushort v => v, uint v => v, ulong v => v, sbyte v => (uint)v, short v => (uint)v,
        _ => throw new NotSupportedException(typeof(T).Name),
    };

    static KernelFault Outside(Warp* w, string space, ulong address, int bytes, int line) =>
        new(FaultKind.IllegalAddress,
            $"read of {bytes} bytes at {space} address 0x{address:x}, outside of {space} memory")
        {
            Line = line, Address = address, Block = new Dim3(w->Block->BlockX, w->Block->BlockY, w->Block->BlockZ),
        };
}
