// Special registers that hold one value for the whole warp. PTX ISA "Special Registers".
using System.Diagnostics;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class SpecialValues
{
    static readonly string[] Names =
    [
        "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z",
        "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%clock", "%clock_hi", "%clock64", "%globaltimer",
        "%globaltimer_lo", "%globaltimer_hi", "%dynamic_smem_size", "%total_smem_size", "%aggr_smem_size",
    ];

    /// <summary>
    /// The number of a special register, and whether it has 64 bits; false when there is none of that name.
    /// </summary>
    public static bool TryFind(string name, out int id, out bool is64)
    {
        if (name is "%ntid" or "%ctaid" or "%nctaid") name += ".x";
        id = Array.IndexOf(Names, name);
        is64 = name is "%clock64" or "%globaltimer" or "%gridid";
        return id >= 0;
    }

    /// <summary>Its value now, in this warp.</summary>
    public static ulong Read(Warp* w, int id)
    {
        BlockState* b = w->Block;
        return id switch   // in the order of Names
        {
            0 => (uint)b->ThreadsX, 1 => (uint)b->ThreadsY, 2 => (uint)b->ThreadsZ,
            3 => (uint)b->BlockX, 4 => (uint)b->BlockY, 5 => (uint)b->BlockZ,
            6 => (uint)b->GridX, 7 => (uint)b->GridY, 8 => (uint)b->GridZ,
            9 => (uint)w->Index, 10 => (uint)b->WarpCount,
            11 => 0, 12 => 1, 13 => 0,
            14 or 18 => (uint)Nanoseconds(), 15 or 19 => Nanoseconds() >> 32, 16 or 17 => Nanoseconds(),
            20 => (uint)b->DynamicBytes,
            _ => (uint)b->SharedBytes,
        };
    }

    static ulong Nanoseconds() => (ulong)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
