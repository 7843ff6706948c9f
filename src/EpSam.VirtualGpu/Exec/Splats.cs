// Which uniform registers are kept as one vector with the same value in all of its lanes: those that come out of
// memory, or out of other such vectors, and that only vectors are made from. A load then is one broadcast from memory,
// and arithmetic one vector operation instead of a scalar one that has to be broadcast for every use.
using System.Reflection;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Passes;

namespace EpSam.VirtualGpu.Exec;

internal static class Splats
{
    /// <summary>The registers among the candidates, which are uniform, 32 bits wide and of one method.</summary>
    public static BitSet Find(Kernel kernel, Uniformity facts, BitSet candidates)
    {
        BitSet splats = candidates.Copy();
        foreach (Block block in kernel.Blocks)
            if (block.Condition is not null) splats.Remove(block.Condition.Index);
        for (int before = -1; before != splats.Count;)
        {
            before = splats.Count;
            foreach (Block block in kernel.Blocks)
            foreach (Op op in block.Ops)
                Exclude(op, facts.RunsUniform(op, block), splats);
        }
        return splats;
    }

    static void Exclude(Op op, bool uniform, BitSet splats)
    {
        bool makes = uniform && Makes(op, splats);
        foreach (Reg? dst in op.Dsts)
            if (dst is not null && !makes) splats.Remove(dst.Index);
        bool takes = op.Kind == OpKind.Lane
            && (uniform ? splats[op.Dst!.Index] : TakesVectors(op.Method!.Method, exceptMasks: true));
        foreach (Src source in op.Sources)
            if (source.Reg is not null && !takes) splats.Remove(source.Reg.Index);
    }

    // A load of 32-bit elements, or an operation on splats and constants.
    static bool Makes(Op op, BitSet splats)
    {
        if (op.Kind == OpKind.Warp) return op.Uniform is { Bytes: 4 };
        if (op.Kind != OpKind.Lane || !TakesVectors(op.Method!.Method, exceptMasks: false)) return false;
        bool any = false;
        foreach (Src source in op.Sources)
        {
            if (source.Reg is null || source.Reg.Constant is not null) continue;
            if (!splats[source.Reg.Index]) return false;
            any = true;
        }
        return any && op.Method!.Method.ReturnType == typeof(U32);
    }

    static bool TakesVectors(MethodInfo method, bool exceptMasks)
    {
        foreach (ParameterInfo parameter in method.GetParameters())
        {
            Type type = parameter.ParameterType;
            bool isVector = type == typeof(U32) || type == typeof(byte) || type == typeof(int);
            if (!isVector && !(exceptMasks && type == typeof(uint))) return false;
        }
        return true;
    }
}
