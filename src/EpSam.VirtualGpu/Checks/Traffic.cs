// Counts what a warp's access costs the memory system. Global memory moves in sectors of 32 bytes. Shared memory has 32
// banks of 4 bytes; one wavefront serves one word of every bank to any number of lanes. Accesses of 8 and 16 bytes
// are served by half and quarter warps. A conflict is a wavefront more than one per group.
// https://docs.nvidia.com/nsight-compute/ProfilingGuide/#memory-tables
using System.Numerics;

namespace EpSam.VirtualGpu.Checks;

internal static unsafe class Traffic
{
    const int SectorBytes = 32, Banks = 32, WordBytes = 4;

    public static void CountGlobal(ulong* counters, uint lanes, ulong* addresses, int bytes, bool reads, bool writes)
    {
        ulong* sectors = stackalloc ulong[64]; // a misaligned access has two
        int count = 0;
        for (uint rest = lanes; rest != 0; rest &= rest - 1)
        {
            ulong address = addresses[BitOperations.TrailingZeroCount(rest)];
            Add(sectors, ref count, address / SectorBytes);
            Add(sectors, ref count, (address + (ulong)bytes - 1) / SectorBytes);
        }
        counters[(int)Counter.GlobalRequests]++;
        counters[(int)Counter.GlobalSectors] += (ulong)count;
        ulong total = (ulong)(BitOperations.PopCount(lanes) * bytes);
        if (reads)
            counters[(int)Counter.BytesRead] += total;
        if (writes)
            counters[(int)Counter.BytesWritten] += total;
    }

    public static void CountShared(ulong* counters, uint lanes, ulong* offsets, int bytes)
    {
        counters[(int)Counter.SharedRequests]++;
        int lanesAtOnce = bytes switch { 16 => 8, 8 => 16, _ => 32 };
        for (int first = 0; first < 32; first += lanesAtOnce)
        {
            uint group = (uint)((1UL << lanesAtOnce) - 1) << first & lanes;
            if (group != 0)
                counters[(int)Counter.SharedConflicts] += (ulong)(Wavefronts(group, offsets, bytes) - 1);
        }
    }

    /// <summary>The most different words that one bank must deliver to these lanes.</summary>
    static int Wavefronts(uint lanes, ulong* offsets, int bytes)
    {
        ulong* words = stackalloc ulong[Banks * 2];
        int* perBank = stackalloc int[Banks];
        new Span<int>(perBank, Banks).Clear();
        int count = 0, most = 1;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            ulong offset = offsets[BitOperations.TrailingZeroCount(lanes)];
            ulong last = (offset + (ulong)bytes - 1) / WordBytes;
            for (ulong word = offset / WordBytes; word <= last && count < Banks * 2; word++)
            {
                int before = count;
                Add(words, ref count, word);
                if (count > before)
                    most = Math.Max(most, ++perBank[word % Banks]);
            }
        }
        return most;
    }

    static void Add(ulong* set, ref int count, ulong item)
    {
        for (int i = count - 1; i >= 0; i--)
        {
            if (set[i] == item)
                return;
        }
        set[count++] = item;
    }
}
