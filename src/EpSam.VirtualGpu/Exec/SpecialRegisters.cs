// Special registers that hold one value for the whole warp. PTX ISA "Special Registers".
using System.Diagnostics;

namespace EpSam.VirtualGpu.Exec;

internal static unsafe class SpecialRegisters
{
    static readonly string[] Names =
    [
        "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z",
        "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%clock", "%clock_hi", "%clock64", "%globaltimer",
        "%globaltimer_lo", "%globaltimer_hi", "%dynamic_smem_size", "%total_smem_size", "%aggr_smem_size",
    ];

    /// <summary>The number of a special register, and whether it has 64 bits; false when there is none of that name.</summary>
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
        return Names[id] switch
        {
            "%ntid.x" => (uint)b->ThreadsX, "%ntid.y" => (uint)b->ThreadsY, "%ntid.z" => (uint)b->ThreadsZ,
            "%ctaid.x" => (uint)b->BlockX, "%ctaid.y" => (uint)b->BlockY, "%ctaid.z" => (uint)b->BlockZ,
            "%nctaid.x" => (uint)b->GridX, "%nctaid.y" => (uint)b->GridY, "%nctaid.z" => (uint)b->GridZ,
            "%warpid" => (uint)w->Index, "%nwarpid" => (uint)b->WarpCount,
            "%smid" => 0, "%nsmid" => 1, "%gridid" => 0,
            "%clock" or "%globaltimer_lo" => (uint)Nanoseconds(), "%clock_hi" or "%globaltimer_hi" => Nanoseconds() >> 32,
            "%clock64" or "%globaltimer" => Nanoseconds(),
            _ => (uint)b->SharedBytes,
        };
    }

    static ulong Nanoseconds() => (ulong)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
