// mma.sync on 8-bit integers with 32-bit accumulators. The products' sum over k is at most 32 * 255 * 255, so it is
// exact in 32 bits; it is then added to C, wrapping round or, with .satfinite, clamped to the range of s32.
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class MmaInteger
{
    const int RegisterWords = 32;

    // Operand counts d, a, b, c; the choices of .satfinite and of the two types follow.
    [PtxWarp("mma.sync.aligned.m8n8k16.row.col<,.satfinite>.s32.<u8,s8>.<u8,s8>.s32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void M8K16(Warp* w, byte* f, int* o) => Run(w, f, o, 2, 1, 1);

    [PtxWarp("mma.sync.aligned.m16n8k16.row.col<,.satfinite>.s32.<u8,s8>.<u8,s8>.s32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void M16K16(Warp* w, byte* f, int* o) => Run(w, f, o, 4, 2, 1);

    [PtxWarp("mma.sync.aligned.m16n8k32.row.col<,.satfinite>.s32.<u8,s8>.<u8,s8>.s32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void M16K32(Warp* w, byte* f, int* o) => Run(w, f, o, 4, 4, 2);

    /// <summary>
    /// Register r of A covers rows 8 * (r mod (m / 8)) and k from 16 * (r div (m / 8)); each register of B covers 16 k.
    /// </summary>
    [SkipLocalsInit]
    static void Run(Warp* w, byte* f, int* o, int cRegisters, int aRegisters, int bRegisters)
    {
        if (w->Active != uint.MaxValue) MmaFault.Divergent(w, o, "mma.sync");
        int* a = o + cRegisters, b = a + aRegisters, c = b + bRegisters, choices = c + cRegisters;
        bool saturate = choices[0] != 0, aSigned = choices[1] != 0, bSigned = choices[2] != 0;
        int rowBlocks = cRegisters / 2, steps = 8 * bRegisters;

        uint* aRows = stackalloc uint[16 * MmaRows.MaxSteps];
        uint* bRows = stackalloc uint[MmaRows.MaxSteps * MmaRows.Columns];
        uint* sums = stackalloc uint[16 * MmaRows.Columns];
        for (int r = 0; r < aRegisters; r++)
        {
            int row = 8 * (r % rowBlocks), step = 8 * (r / rowBlocks);
            MmaRows.UnpackBytesA((uint*)(f + a[r]), aRows + row * steps + step, steps, aSigned);
        }
        for (int r = 0; r < bRegisters; r++)
            MmaRows.UnpackBytesB((uint*)(f + b[r]), bRows + 8 * r * MmaRows.Columns, bSigned);

        new Span<uint>(sums, 8 * rowBlocks * MmaRows.Columns).Clear();
        MmaRows.Multiply<MmaPairStep>(aRows, bRows, sums, 8 * rowBlocks, steps);
        AddC(f, c, cRegisters, sums, saturate);
        for (int r = 0; r < cRegisters; r++)
            if (o[r] >= 0) MmaRows.PackD(sums, (uint*)(f + o[r]), r);   // -1: the sink "_"
    }

    static void AddC(byte* f, int* c, int cRegisters, uint* sums, bool saturate)
    {
        uint* cRows = stackalloc uint[16 * MmaRows.Columns];
        for (int r = 0; r < cRegisters; r++) MmaRows.UnpackC((uint*)(f + c[r]), cRows, r);
        for (int i = 0; i < cRegisters * RegisterWords; i++)
        {
            int c32 = (int)cRows[i], sum = (int)sums[i];
            sums[i] = saturate ? (uint)(int)Math.Clamp((long)c32 + sum, int.MinValue, int.MaxValue) : (uint)(c32 + sum);
        }
    }
}
