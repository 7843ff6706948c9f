// mma.sync: the tensor core's matrix instructions, whole warp. The operands in the list are d, a, b, c, each as many
// registers as the PTX ISA's fragment has. See MmaTile for layouts and for the order of accumulation, which is defined
// there and the same on every machine. With an f16 accumulator sums are kept in f32 and rounded once at the end.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class Mma
{
    const int RegisterBytes = 128;

    [PtxWarp("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Bf16K16(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 14, &Bf16K16);
            return;
        }
        if (MmaTile.Wide) MmaTile.K16<MmaBf16>(f, o + 4, o + 8, f, o + 10, f, o);
        else MmaRows.Run<MmaBf16>(f, o + 4, o + 8, 16, true, f, o + 10, f, o);
    }

    [PtxWarp("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Bf16K8(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 11, &Bf16K8);
            return;
        }
        if (MmaTile.Wide) MmaTile.K8<MmaBf16>(f, o + 4, o + 6, f, o + 7, f, o);
        else MmaRows.Run<MmaBf16>(f, o + 4, o + 6, 8, true, f, o + 7, f, o);
    }

    [PtxWarp("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void F16K16(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 14, &F16K16);
            return;
        }
        F16K16Core(f, o + 4, o + 8, f, o + 10, f, o);
    }

    [PtxWarp("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void F16K8(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 11, &F16K8);
            return;
        }
        F16K8Core(f, o + 4, o + 6, f, o + 7, f, o);
    }

    [SkipLocalsInit]
    [PtxWarp("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void F16K16AccumulateF16(Warp* w, byte* f, int* o)
    {
        if (Sinks2(w, o))
        {
            WithSinks(w, f, o, 2, 10, &F16K16AccumulateF16);
            return;
        }
        byte* sums = stackalloc byte[4 * RegisterBytes];
        int* registers = stackalloc int[] { 0, RegisterBytes, 2 * RegisterBytes, 3 * RegisterBytes };
        WidenC(f, o + 8, sums);
        F16K16Core(f, o + 2, o + 6, sums, registers, sums, registers);
        NarrowD(sums, f, o);
    }

    [SkipLocalsInit]
    [PtxWarp("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void F16K8AccumulateF16(Warp* w, byte* f, int* o)
    {
        if (Sinks2(w, o))
        {
            WithSinks(w, f, o, 2, 7, &F16K8AccumulateF16);
            return;
        }
        byte* sums = stackalloc byte[4 * RegisterBytes];
        int* registers = stackalloc int[] { 0, RegisterBytes, 2 * RegisterBytes, 3 * RegisterBytes };
        WidenC(f, o + 5, sums);
        F16K8Core(f, o + 2, o + 4, sums, registers, sums, registers);
        NarrowD(sums, f, o);
    }

    [PtxWarp("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tf32K4(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 11, &Tf32K4);
            return;
        }
        if (MmaTile.Wide) MmaTile.Tf32(f, o + 4, o + 6, 4, f, o + 7, f, o);
        else MmaRows.Run<MmaTf32>(f, o + 4, o + 6, 4, false, f, o + 7, f, o);
    }

    [PtxWarp("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tf32K8(Warp* w, byte* f, int* o)
    {
        if (Sinks4(w, o))
        {
            WithSinks(w, f, o, 4, 14, &Tf32K8);
            return;
        }
        if (MmaTile.Wide) MmaTile.Tf32(f, o + 4, o + 8, 8, f, o + 10, f, o);
        else MmaRows.Run<MmaTf32>(f, o + 4, o + 8, 8, false, f, o + 10, f, o);
    }

    /// <summary>Checks that all lanes are there, and says whether a destination is the sink "_".</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool Sinks4(Warp* w, int* o)
    {
        if (w->Active != uint.MaxValue) MmaFault.Divergent(w, o, "mma.sync");
        return (o[0] | o[1] | o[2] | o[3]) < 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool Sinks2(Warp* w, int* o)
    {
        if (w->Active != uint.MaxValue) MmaFault.Divergent(w, o, "mma.sync");
        return (o[0] | o[1]) < 0;
    }

    /// <summary>Rare: runs the instruction on a frame of its own, where sinks have a place.</summary>
    static void WithSinks(
        Warp* w, byte* f, int* o, int destinations, int operands, delegate*<Warp*, byte*, int*, void> run)
    {
        byte* frame = stackalloc byte[operands * RegisterBytes];
        int* list = stackalloc int[operands + 1];
        list[0] = o[-1];
        for (int i = 0; i < operands; i++)
        {
            list[i + 1] = i * RegisterBytes;
            if (o[i] >= 0) Unsafe.CopyBlock(frame + i * RegisterBytes, f + o[i], RegisterBytes);
        }
        run(w, frame, list + 1);
        for (int i = 0; i < destinations; i++)
            if (o[i] >= 0) Unsafe.CopyBlock(f + o[i], frame + i * RegisterBytes, RegisterBytes);
    }

    static void F16K16Core(byte* f, int* a, int* b, byte* cBase, int* c, byte* dBase, int* d)
    {
        if (MmaTile.Wide) MmaTile.K16<MmaF16>(f, a, b, cBase, c, dBase, d);
        else MmaRows.Run<MmaF16>(f, a, b, 16, true, cBase, c, dBase, d);
    }

    static void F16K8Core(byte* f, int* a, int* b, byte* cBase, int* c, byte* dBase, int* d)
    {
        if (MmaTile.Wide) MmaTile.K8<MmaF16>(f, a, b, cBase, c, dBase, d);
        else MmaRows.Run<MmaF16>(f, a, b, 8, true, cBase, c, dBase, d);
    }

    /// <summary>A packed f16 register of C holds an even column in its lower halves, an odd one in the upper.</summary>
    static void WidenC(byte* f, int* c, byte* sums)
    {
        for (int i = 0; i < 2; i++)
        {
            float* even = (float*)(sums + 2 * i * RegisterBytes), odd = even + 32;
            for (int lane = 0; lane < 32; lane += 4)
            {
                Vector128<uint> pairs = Vector128.Load((uint*)(f + c[i]) + lane);
                MmaF16.Even(pairs).Store(even + lane);
                MmaF16.Odd(pairs).Store(odd + lane);
            }
        }
    }

    static void NarrowD(byte* sums, byte* f, int* d)
    {
        for (int i = 0; i < 2; i++)
        {
            float* even = (float*)(sums + 2 * i * RegisterBytes), odd = even + 32;
            for (int lane = 0; lane < 32; lane += 8)
            {
                Vector256<uint> lower = MmaF16.Narrow(Vector256.Load(even + lane));
                Vector256<uint> upper = MmaF16.Narrow(Vector256.Load(odd + lane));
                (lower | (upper << 16)).Store((uint*)(f + d[i]) + lane);
            }
        }
    }
}
