// Runs a scalar function on every lane: for the rare instructions, and for machines without the vector form.
// Not inlined, so that emitted code stays small.
using System.Runtime.CompilerServices;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class ScalarLoop
{
    const MethodImplOptions Call = MethodImplOptions.NoInlining;

    [MethodImpl(Call)]
    public static U32 Map(U32 a, delegate*<uint, uint> f)
    {
        uint* x = (uint*)&a;
        for (int i = 0; i < 16; i++) x[i] = f(x[i]);
        return a;
    }

    [MethodImpl(Call)]
    public static U32 Map(U32 a, U32 b, delegate*<uint, uint, uint> f)
    {
        uint* x = (uint*)&a, y = (uint*)&b;
        for (int i = 0; i < 16; i++) x[i] = f(x[i], y[i]);
        return a;
    }

    [MethodImpl(Call)]
    public static U32 Map(U32 a, U32 b, U32 c, delegate*<uint, uint, uint, uint> f)
    {
        uint* x = (uint*)&a, y = (uint*)&b, z = (uint*)&c;
        for (int i = 0; i < 16; i++) x[i] = f(x[i], y[i], z[i]);
        return a;
    }

    [MethodImpl(Call)]
    public static U64 Map(U64 a, U64 b, delegate*<ulong, ulong, ulong> f)
    {
        ulong* x = (ulong*)&a, y = (ulong*)&b;
        for (int i = 0; i < 8; i++) x[i] = f(x[i], y[i]);
        return a;
    }

    [MethodImpl(Call)]
    public static U64 Map(U64 a, H32 b, delegate*<ulong, uint, ulong> f)
    {
        ulong* x = (ulong*)&a;
        uint* y = (uint*)&b;
        for (int i = 0; i < 8; i++) x[i] = f(x[i], y[i]);
        return a;
    }
}
