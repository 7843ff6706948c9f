// Which operations depend on nothing but the warp's number, although they read tid.x. Where each row of threads is
// whole warps (or the block is one row), the 32 values of tid.x in a warp differ in the lower five bits alone:
// tid.x / 32, or tid.x < 64, is then the same in all lanes, and what follows from it is scalar. The same goes for tid.x
// plus a uniform multiple of 32, as in (ctaid.x * 128 + tid.x) & -32. Whether it holds is known at the launch, so that
// code is made for both cases as they come.
using System.Reflection;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Passes;

/// <summary>A sum on the way from tid.x: Base must be uniform, and no waiting lane may keep an older Sum.</summary>
internal readonly record struct WarpSum(Reg Base, int Block, Reg Sum);

internal static class WarpRows
{
    const ulong LaneBits = 31;

    static readonly Dictionary<MethodInfo, Func<ulong, bool>> s_tests = Tests(["u32", "s32"]);
    static readonly MethodInfo s_move = Method("mov.b32"), s_add = Method("add.u32"), s_or = Method("or.b32");
    static readonly MethodInfo s_shift = Method("shl.b32"), s_multiply = Method("mul.lo.u32");
    static readonly MethodInfo s_and = Method("and.b32");

    /// <summary>Operations that do not see the lane's bits of their first source, if the second fits.</summary>
    static Dictionary<MethodInfo, Func<ulong, bool>> Tests(string[] types) // tid.x is small: both types read it alike
    {
        Dictionary<MethodInfo, Func<ulong, bool>> tests = new() { [Method("and.b32")] = IsMultiple };
        foreach (string type in types)
        {
            tests[Method("shr." + type)] = n => n > 4;
            tests[Method("div." + type)] = n => n != 0 && IsMultiple(n);
            tests[Method("setp.lt." + type)] = tests[Method("setp.ge." + type)] = IsMultiple;
            tests[Method("setp.gt." + type)] = tests[Method("setp.le." + type)] = n => (n & LaneBits) == LaneBits;
        }
        return tests;
    }

    static bool IsMultiple(ulong n) => (n & LaneBits) == 0;
    static MethodInfo Method(string key) => LaneTable.LaneKeys[key].Method;

    /// <summary>Have all threads of a warp the same tid.x but for the lower five bits, and tid.y and tid.z?</summary>
    public static bool Holds(int x, int y, int z) => x % 32 == 0 || (y == 1 && z == 1);

    /// <summary>
    /// The operations whose result is the same in all lanes, and the sums for which that must hold; each may be
    /// computed from lane 0's operands.
    /// </summary>
    public static Dictionary<Op, WarpSum[]> Find(Kernel kernel, Liveness liveness)
    {
        Dictionary<Reg, WarpSum[]> threads = Threads(kernel, WrittenOnce(kernel, liveness));
        Dictionary<Op, WarpSum[]> found = [];
        foreach (Block block in kernel.Blocks)
        foreach (Op op in block.Ops)
        {
            if (op.Kind == OpKind.Lane && op.Sources.Length == 2
                && op.Sources[0].Reg is { } source && threads.TryGetValue(source, out WarpSum[]? sums)
                && Constant(op.Sources[1]) is { } n
                && s_tests.TryGetValue(op.Method!.Method, out Func<ulong, bool>? test) && test(n))
                found[op] = sums;
        }
        return found;
    }

    static ulong? Constant(Src source) => source.Reg is null ? (uint)source.Bits : (uint?)source.Reg.Constant;

    /// <summary>Registers with one write, which every lane has made before it reads them, and that write.</summary>
    static Dictionary<Reg, (Op Op, Block Block)> WrittenOnce(Kernel kernel, Liveness liveness)
    {
        Dictionary<Reg, (Op, Block)> once = [];
        HashSet<Reg> more = [];
        foreach (Block block in kernel.Blocks)
        foreach (Op op in block.Ops)
        foreach (Reg? dst in op.Dsts)
        {
            if (dst is null) continue;
            if (op.Guard is not null || liveness.In[0][dst.Index] || !once.TryAdd(dst, (op, block))) more.Add(dst);
        }
        foreach (Reg reg in more) once.Remove(reg);
        return once;
    }

    /// <summary>Registers that hold tid.x, or tid.x plus uniform multiples of 32.</summary>
    static Dictionary<Reg, WarpSum[]> Threads(Kernel kernel, Dictionary<Reg, (Op Op, Block Block)> once)
    {
        Dictionary<Reg, WarpSum[]> threads = new() { [kernel.Tid[0]] = [] };
        for (int before = 0; before < threads.Count;)
        {
            before = threads.Count;
            foreach ((Reg dst, (Op op, Block block)) in once)
            {
                if (op.Kind != OpKind.Lane || threads.ContainsKey(dst)) continue;
                MethodInfo method = op.Method!.Method;
                if (method == s_move && op.Sources[0].Reg is { } copied
                    && threads.TryGetValue(copied, out WarpSum[]? sums))
                    threads[dst] = sums;
                if (method != s_add && method != s_or) continue;
                for (int i = 0; i < 2; i++)
                    if (op.Sources[i].Reg is { } thread && threads.TryGetValue(thread, out sums)
                        && op.Sources[1 - i].Reg is { } start && IsMultiple(start, once))
                        threads[dst] = [.. sums, new WarpSum(start, block.Index, dst)];
            }
        }
        return threads;
    }

    static bool IsMultiple(Reg reg, Dictionary<Reg, (Op Op, Block Block)> once)
    {
        if (!once.TryGetValue(reg, out (Op Op, Block Block) write) || write.Op.Kind != OpKind.Lane) return false;
        MethodInfo method = write.Op.Method!.Method;
        Src[] sources = write.Op.Sources;
        return method == s_shift ? Constant(sources[1]) is >= 5
            : (method == s_multiply || method == s_and) && sources.Any(s => Constant(s) is { } n && IsMultiple(n));
    }
}
