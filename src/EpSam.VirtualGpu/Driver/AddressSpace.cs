// The addresses a kernel sees. One window of host memory is reserved for the whole process; device address =
// host address + a constant, so that a load is one add and one compare away from memory. The window is reserved, not
// allocated: pages appear when they are touched, and an access between allocations (checks off) meets zeros instead
// of ending the process. Shared and local memory have generic windows at low addresses, as on hardware.
// Heaps take ranges from here. Ranges of heaps that check bounds never come back.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EpSam.VirtualGpu.Driver;

internal static unsafe partial class AddressSpace
{
    /// <summary>First device address. The numbers look like those of a 64-bit CUDA process.</summary>
    public const ulong DeviceBase = 0x7000_0000_0000;

    /// <summary>Generic address of a block's shared memory, offset 0.</summary>
    public const ulong SharedWindow = 0x0100_0000;

    /// <summary>Generic address of a thread's local memory, offset 0.</summary>
    public const ulong LocalWindow = 0x0200_0000;

    /// <summary>Size of each of the two generic windows.</summary>
    public const ulong WindowBytes = 0x0100_0000;

    /// <summary>Ranges start at multiples of this, and are at least this far apart.</summary>
    public const long Granule = 256;

    const long HugePage = 2 << 20;
    const long LargeFrom = 4 << 20; // from here on a range is made of whole huge pages
    const long Page = 4096;

    // Static readonly: once this class is initialised the JIT treats them as constants.
    static readonly (nint Start, ulong Bytes) s_window = Reserve();
    public static readonly byte* HostBase = (byte*)s_window.Start;
    public static readonly ulong Size = s_window.Bytes;

    /// <summary>host = device + this.</summary>
    public static readonly nint ToHostOffset = s_window.Start - unchecked((nint)DeviceBase);

    static readonly object s_lock = new();
    static readonly List<(ulong Start, ulong End)> s_returned = []; // sorted by start, coalesced
    static readonly ulong s_largeStart = OperatingSystem.IsWindows() ? 0 : Size / 2;
    static ulong s_nextSmall = (ulong)HugePage; // the first pages stay empty: address DeviceBase is never valid
    static ulong s_nextLarge = s_largeStart;
    static ulong s_committed;                   // Windows: bytes of the window that are backed by memory
    static byte* s_shadow;

    /// <summary>Bytes from DeviceBase on that can be touched without ending the process.</summary>
    public static ulong Accessible
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => OperatingSystem.IsWindows() ? s_committed : Size;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ToHost(ulong device) => (byte*)((nint)device + ToHostOffset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsDevice(ulong address, ulong bytes) =>
        bytes <= Accessible && address - DeviceBase <= Accessible - bytes;

    /// <summary>One byte per byte of the window, at the same offset: 1 = something has written it.</summary>
    public static byte* Shadow(ulong device) => s_shadow + (device - DeviceBase);

    /// <summary>Reserves the shadow. Called by the first heap that checks for uninitialised reads.</summary>
    public static void EnsureShadow()
    {
        lock (s_lock)
        {
            if (s_shadow != null)
                return;
            s_shadow = (byte*)Map(Size);
            if (s_shadow == null)
                throw new InvalidOperationException(
                    $"cannot reserve {Size >> 30} GiB of address space for the check of uninitialised reads; raise " +
                    "the address-space limit (ulimit -v) or turn this check off");
            if (OperatingSystem.IsWindows() && s_committed > 0)
                Commit(s_shadow, s_committed);
        }
    }

    /// <summary>Takes the addresses for an allocation, at least Granule bytes from the next; 0 = window full.</summary>
    public static ulong Take(long bytes)
    {
        bool large = !OperatingSystem.IsWindows() && bytes >= LargeFrom;
        ulong length = RangeBytes(bytes);
        lock (s_lock)
        {
            for (int i = 0; i < s_returned.Count; i++)
            {
                (ulong start, ulong end) = s_returned[i];
                if (end - start < length || start >= s_largeStart != large && !OperatingSystem.IsWindows())
                    continue;
                if (end - start == length)
                    s_returned.RemoveAt(i);
                else
                    s_returned[i] = (start + length, end);
                return DeviceBase + start;
            }
            ref ulong next = ref large ? ref s_nextLarge : ref s_nextSmall;
            ulong limit = large || OperatingSystem.IsWindows() ? Size : s_largeStart;
            if (next > limit || limit - next < length || !CommitTo(next + length))
                return 0;
            ulong result = DeviceBase + next;
            next += length;
            return result;
        }
    }

    /// <summary>Gives a range back, so that Take may return it again.</summary>
    public static void Return(ulong address, long bytes)
    {
        ulong start = address - DeviceBase, end = start + RangeBytes(bytes);
        lock (s_lock)
        {
            int i = 0;
            while (i < s_returned.Count && s_returned[i].Start < start)
                i++;
            if (i < s_returned.Count && s_returned[i].Start == end)
            {
                end = s_returned[i].End;
                s_returned.RemoveAt(i);
            }
            if (i > 0 && s_returned[i - 1].End == start && start != s_largeStart)
            {
                start = s_returned[--i].Start;
                s_returned.RemoveAt(i);
            }
            s_returned.Insert(i, (start, end));
        }
    }

    /// <summary>Gives the memory (not the addresses) of an allocation's whole pages back to the system.</summary>
    public static void Discard(ulong address, long bytes)
    {
        (ulong start, ulong end) = WholePages(address, bytes);
        if (end > start)
            DiscardPages(HostBase + start, end - start);
    }

    /// <summary>Gives back the memory of all whole pages in which no heap has anything.</summary>
    public static void DiscardUnused()
    {
        lock (s_lock)
        {
            Discard(s_nextSmall, s_largeStart);
            Discard(s_nextLarge, Size);
            foreach ((ulong start, ulong end) in s_returned) Discard(start, end);
        }

        static void Discard(ulong from, ulong to) => AddressSpace.Discard(DeviceBase + from, (long)(to - from));
    }

    /// <summary>Makes the shadow of an allocation zero.</summary>
    public static void ClearShadow(ulong address, long bytes)
    {
        (ulong start, ulong end) = WholePages(address, bytes);
        ulong low = address - DeviceBase, high = low + (ulong)bytes;
        if (end <= start || OperatingSystem.IsWindows())
        {
            NativeMemory.Clear(s_shadow + low, (nuint)bytes);
            return;
        }
        DiscardPages(s_shadow + start, end - start);
        NativeMemory.Clear(s_shadow + low, (nuint)(start - low));
        NativeMemory.Clear(s_shadow + end, (nuint)(high - end));
    }

    static (ulong Start, ulong End) WholePages(ulong address, long bytes)
    {
        ulong low = address - DeviceBase;
        return ((low + Page - 1) & ~(ulong)(Page - 1), (low + (ulong)bytes) & ~(ulong)(Page - 1));
    }

    static ulong RangeBytes(long bytes)
    {
        long unit = !OperatingSystem.IsWindows() && bytes >= LargeFrom ? HugePage : Granule;
        return (ulong)((bytes + Granule + unit - 1) / unit * unit);
    }

    static (nint, ulong) Reserve()
    {
        for (int log = 44; log >= 34; log -= 2) // 16 TiB, 4 TiB, 1 TiB, … 16 GiB
        {
            nint start = Map(1UL << log);
            if (start == 0)
                continue;
            if (!OperatingSystem.IsWindows())
                _ = MAdvise((byte*)start + (1UL << (log - 1)), (nuint)1 << (log - 1), MadvHugePage);
            return (start, 1UL << log);
        }
        return (0, 0);
    }

    /// <summary>Throws when no window could be reserved.</summary>
    public static void EnsureReserved()
    {
        if (HostBase == null)
            throw new InvalidOperationException("the virtual GPU cannot reserve even 16 GiB of address space for " +
                "device memory; raise the address-space limit of the process (ulimit -v)");
    }

    static bool CommitTo(ulong end)
    {
        if (!OperatingSystem.IsWindows() || end <= s_committed)
            return true;
        end = (end + 0xFFFF) & ~0xFFFFUL;
        if (!Commit(HostBase, end) || (s_shadow != null && !Commit(s_shadow, end)))
            return false;
        s_committed = end;
        return true;
    }

    const int ProtReadWrite = 3, MapPrivateAnonymousNoReserve = 0x02 | 0x20 | 0x4000;
    const int MadvDontNeed = 4, MadvHugePage = 14, MadvDontDump = 16;
    const uint MemCommit = 0x1000, MemReserve = 0x2000, MemReset = 0x80000, PageReadWrite = 4;

    static nint Map(ulong bytes)
    {
        if (OperatingSystem.IsWindows())
            return (nint)VirtualAlloc(null, (nuint)bytes, MemReserve, PageReadWrite);
        nint start = MMap(0, (nuint)bytes, ProtReadWrite, MapPrivateAnonymousNoReserve, -1, 0);
        if (start is -1 or 0)
            return 0;
        _ = MAdvise((byte*)start, (nuint)bytes, MadvDontDump);
        return start;
    }

    static bool Commit(byte* start, ulong bytes) =>
        VirtualAlloc(start, (nuint)bytes, MemCommit, PageReadWrite) != null;

    static void DiscardPages(byte* start, ulong bytes)
    {
        if (OperatingSystem.IsWindows())
            VirtualAlloc(start, (nuint)bytes, MemReset, PageReadWrite);
        else
            _ = MAdvise(start, (nuint)bytes, MadvDontNeed);
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint MMap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MAdvise(byte* address, nuint length, int advice);

    [LibraryImport("kernel32", EntryPoint = "VirtualAlloc")]
    private static partial void* VirtualAlloc(void* address, nuint size, uint type, uint protection);
}
