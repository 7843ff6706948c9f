// The names that begin with % and need no declaration. A declared register of the same name hides one of these.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>The special registers of PTX ISA 7.8, section 10. Which of them execute is the builder's
/// business.</summary>
internal static class SpecialRegisters
{
    static readonly string[] Vectors =
        ["%tid", "%ntid", "%ctaid", "%nctaid", "%clusterid", "%nclusterid", "%cluster_ctaid", "%cluster_nctaid"];

    static readonly string[] Scalars =
    [
        "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%is_explicit_cluster", "%cluster_ctarank",
        "%cluster_nctarank", "%lanemask_eq", "%lanemask_le", "%lanemask_lt", "%lanemask_ge", "%lanemask_gt", "%clock",
        "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi", "%reserved_smem_offset_begin",
        "%reserved_smem_offset_end", "%reserved_smem_offset_cap", "%reserved_smem_offset_0", "%reserved_smem_offset_1",
        "%total_smem_size", "%dynamic_smem_size",
    ];

    static readonly HashSet<string> all = Make();

    public static IReadOnlyCollection<string> All => all;

    /// <summary>%tid and its like, which are always used with a component.</summary>
    public static bool IsVector(ReadOnlySpan<char> name) => Vectors.AsSpan().Contains(name.ToString());

    public static bool TryGet(ReadOnlySpan<char> name, out string found) =>
        all.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out found!);

    static HashSet<string> Make()
    {
        HashSet<string> names = [.. Scalars];
        foreach (string vector in Vectors)
        {
            foreach (char component in "xyzw")
            {
                names.Add($"{vector}.{component}");
            }
        }
        for (int i = 0; i < 32; i++)
        {
            names.Add($"%envreg{i}");
        }
        for (int i = 0; i < 8; i++)
        {
            names.Add($"%pm{i}");
            names.Add($"%pm{i}_64");
        }
        return names;
    }
}
