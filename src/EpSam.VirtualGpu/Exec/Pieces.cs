using System.Reflection;

namespace EpSam.VirtualGpu.Exec;

/// <summary>In how many pieces a lane method covers a warp, and how many lanes one piece has.</summary>
internal readonly record struct Pieces(int Count)
{
    public int Lanes => 32 / Count;
    public uint Mask => Count == 1 ? uint.MaxValue : (1u << Lanes) - 1;

    /// <summary>Four when a 64-bit vector takes part, two for 32-bit vectors, one for predicates alone.</summary>
    public static Pieces Of(MethodInfo method)
    {
        int count = Of(method.ReturnType);
        foreach (ParameterInfo parameter in method.GetParameters())
            count = Math.Max(count, Of(parameter.ParameterType));
        return new Pieces(count);
    }

    static int Of(Type type) => type == typeof(U64) || type == typeof(H32) ? 4 : type == typeof(U32) ? 2 : 1;
}
