// Makes every KernelFault: place, block and thread; for memory instructions also a sentence with the address and its
// neighbourhood. The line is that of the PTX, o[-1] where an instruction has operands o.
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Checks;

internal static unsafe class Faults
{
    /// <summary>A fault of one lane.</summary>
    public static KernelFault At(FaultKind kind, string detail, Warp* w, int line, int lane, ulong address = 0) =>
        new(kind, detail)
        {
            Kernel = LaunchContext.Current?.Kernel ?? "",
            Line = line,
            Block = new Dim3(w->Block->BlockX, w->Block->BlockY, w->Block->BlockZ),
            Thread = ThreadOf(w, lane),
            Address = address,
        };

    /// <summary>A fault of all active lanes, reported for the first.</summary>
    public static KernelFault OfWarp(FaultKind kind, string detail, Warp* w, int line) =>
        At(kind, detail, w, line, FirstLane(w));

    public static int FirstLane(Warp* w) => BitOperations.TrailingZeroCount(w->Active);

    /// <summary>Coordinates in its block of the thread that is this lane.</summary>
    public static Dim3 ThreadOf(Warp* w, int lane) => ThreadOf(w->Block, w->Index * 32 + lane);

    /// <summary>Coordinates of the thread with this number in its block.</summary>
    public static Dim3 ThreadOf(BlockState* block, int number)
    {
        int x = Math.Max(1, block->ThreadsX), y = Math.Max(1, block->ThreadsY);
        return new Dim3(number % x, number / x % y, number / x / y);
    }

    /// <summary>The access of a lane that lies outside of device memory.</summary>
    [DoesNotReturn]
    public static void ThrowGlobal(Warp* w, int line, int lane, ulong address, int bytes, bool write)
    {
        Heap? heap = LaunchContext.Current?.Heap;
        string where = address < AddressSpace.DeviceBase ? "not a device address" : "outside of device memory";
        string near = heap == null ? "" : $"; {heap.Describe(address)}";
        throw At(FaultKind.IllegalAddress, $"{Verb(write)} of {bytes} bytes at 0x{address:x}, {where}{near}",
            w, line, lane, address);
    }

    /// <summary>The access of a lane beyond the end of shared, local or parameter memory.</summary>
    [DoesNotReturn]
    public static void ThrowWindow(string space, long size, Warp* w, int line, int lane, ulong offset, int bytes,
        bool write)
    {
        string past = offset >= (ulong)size
            ? $"{offset - (ulong)size} bytes past the end"
            : $"crosses the end by {offset + (ulong)bytes - (ulong)size} bytes";
        throw At(FaultKind.OutOfBounds,
            $"{Verb(write)} of {bytes} bytes at {space} offset {offset} (0x{offset:x}), {past} of the {size} bytes " +
            $"of {space} memory", w, line, lane, offset);
    }

    public static string Verb(bool write) => write ? "write" : "read";
}
