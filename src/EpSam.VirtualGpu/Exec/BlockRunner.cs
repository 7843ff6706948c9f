// Runs the warps of one block on one core: each until it exits or waits, then the next. One runner serves a worker
// thread for a whole launch: its memory is laid out once and the constant part of the frames written once.
using System.Numerics;
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;

namespace EpSam.VirtualGpu.Exec;

internal sealed unsafe class BlockRunner : IDisposable
{
    /// <summary>
    /// Bytes between the end of shared memory and its shadow or the next region: a stray 16-byte access stays inside.
    /// </summary>
    const int Margin = 64;

    readonly Variant variant;
    readonly byte* memory;
    readonly BlockState* block;
    readonly Warp* warps;
    readonly int warpCount;
    readonly long shadowBytes;
    readonly Dim3 threads;
    readonly ulong* counters;

    // Barriers of the running block: threads that have arrived, the lanes' predicates so far.
    readonly int[] arrived = new int[16], positive = new int[16], negative = new int[16];

    public BlockRunner(
        Variant variant, Dim3 grid, Dim3 threads, int sharedBytes, int dynamicBytes,
        ReadOnlySpan<byte> parameters, LaunchContext context)
    {
        this.variant = variant;
        this.threads = threads;
        warpCount = (int)((threads.Count + 31) / 32);
        shadowBytes = (context.Checks & (CheckFlags.Races | CheckFlags.Initialised)) != 0
            ? (long)Races.BytesPerSharedByte * sharedBytes
            : 0;
        long state = Round(sizeof(BlockState)) + Round(parameters.Length + Margin)
            + Round(sharedBytes + Margin) + Round(shadowBytes)
            + Round((int)Counter.Count * sizeof(ulong));
        long perWarp = Round(variant.FrameBytes) + Round(32L * variant.LocalBytes + Margin)
            + Round(sizeof(StackEntry) * Divergence.StackCapacity);
        long bytes = state + Round((long)sizeof(Warp) * warpCount) + perWarp * warpCount;
        memory = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        NativeMemory.Clear(memory, (nuint)bytes);
        byte* at = memory;
        block = (BlockState*)Take(ref at, sizeof(BlockState));
        block->Param = Take(ref at, parameters.Length + Margin);
        parameters.CopyTo(new Span<byte>(block->Param, parameters.Length));
        block->Shared = Take(ref at, sharedBytes + Margin);
        block->SharedShadow = shadowBytes > 0 ? Take(ref at, shadowBytes) : null;
        counters = (ulong*)Take(ref at, (int)Counter.Count * sizeof(ulong));
        block->Counters = context.Counting ? counters : null;
        (block->SharedBytes, block->DynamicBytes, block->ParamBytes) = (sharedBytes, dynamicBytes, parameters.Length);
        (block->GridX, block->GridY, block->GridZ) = (grid.X, grid.Y, grid.Z);
        (block->ThreadsX, block->ThreadsY, block->ThreadsZ) = (threads.X, threads.Y, threads.Z);
        (block->WarpCount, block->Checks) = (warpCount, (int)context.Checks);
        warps = (Warp*)Take(ref at, (long)sizeof(Warp) * warpCount);
        for (int i = 0; i < warpCount; i++)
        {
            Warp* w = &warps[i];
            (w->Index, w->LocalBytes) = (i, variant.LocalBytes);
            w->Block = block;
            w->Frame = Take(ref at, variant.FrameBytes);
            w->Local = Take(ref at, 32L * variant.LocalBytes + Margin);
            w->Stack = (StackEntry*)Take(ref at, sizeof(StackEntry) * Divergence.StackCapacity);
            variant.WriteConstants(w, threads);
        }
    }

    static long Round(long bytes) => (bytes + 63) / 64 * 64;

    static byte* Take(ref byte* at, long bytes)
    {
        byte* taken = at;
        at += Round(bytes);
        return taken;
    }

    public void Dispose() => NativeMemory.AlignedFree(memory);

    /// <summary>Adds what this runner has counted.</summary>
    public void AddCounters(ulong[] total)
    {
        for (int i = 0; i < total.Length; i++) total[i] += counters[i];
    }

    /// <summary>Runs one block to its end.</summary>
    public void Run(Dim3 index)
    {
        (block->BlockX, block->BlockY, block->BlockZ) = (index.X, index.Y, index.Z);
        block->Epoch = 0;
        if (shadowBytes > 0) NativeMemory.Clear(block->SharedShadow, (nuint)shadowBytes);
        Array.Clear(arrived);
        for (int i = 0; i < warpCount; i++) Reset(&warps[i]);
        int running = warpCount;
        while (running > 0)
        {
            bool progress = false;
            for (int i = 0; i < warpCount; i++)
            {
                Warp* w = &warps[i];
                if (w->Pc < 0 || w->BarrierId >= 0) continue;
                progress = true;
                variant.Run(w);
                if (w->Pc < 0) running--;
                else ArriveAt(w);
            }
            if (!progress && running > 0) ReleaseAbandoned();
        }
    }

    void Reset(Warp* w)
    {
        long left = threads.Count - w->Index * 32L;
        w->Active = w->Live = left >= 32 ? uint.MaxValue : (1u << (int)left) - 1;
        w->Pc = 0;
        w->Reconvergence = -1;
        w->Depth = 0;
        w->BarrierId = -1;
        w->Sequence = 0;
        w->Scratch = 0;
    }

    /// <summary>Counts the warp's arrival; the last one to arrive lets all of them go on.</summary>
    void ArriveAt(Warp* w)
    {
        int id = w->BarrierId;
        if (id < 0) return;   // left for another method only
        int lanes = BitOperations.PopCount(w->Live), yes = BitOperations.PopCount(w->BarrierValue);
        int expected = w->BarrierCount == 0 ? warpCount * 32 : w->BarrierCount;
        if (arrived[id] == 0) positive[id] = negative[id] = 0;
        arrived[id] += 32;   // a warp counts whole, whatever lanes it has: PTX ISA "barrier"
        positive[id] += yes;
        negative[id] += lanes - yes;
        if (arrived[id] >= expected) Complete(id);
        else if (w->BarrierKind == BarrierKind.Arrive) w->BarrierId = -1;
    }

    void Complete(int id)
    {
        for (int i = 0; i < warpCount; i++)
        {
            Warp* w = &warps[i];
            if (w->BarrierId != id || w->Pc < 0) continue;
            w->BarrierId = -1;
            if (w->BarrierKind >= BarrierKind.ReducePopc && w->BarrierResult >= 0) WriteReduction(w, id);
        }
        arrived[id] = 0;
        block->Epoch++;
    }

    void WriteReduction(Warp* w, int id)
    {
        if (w->BarrierKind == BarrierKind.ReducePopc)
        {
            uint* register = (uint*)(w->Frame + w->BarrierResult);
            for (int lane = 0; lane < 32; lane++)
                if ((w->Active >> lane & 1) != 0) register[lane] = (uint)positive[id];
            return;
        }
        bool result = w->BarrierKind == BarrierKind.ReduceAnd ? negative[id] == 0 : positive[id] > 0;
        uint* predicate = (uint*)(w->Frame + w->BarrierResult);
        *predicate = result ? *predicate | w->Active : *predicate & ~w->Active;
    }

    /// <summary>
    /// No warp can run: those that wait, wait for warps that have exited. Hardware lets them go on when only exited
    /// threads are missing; with the check on it is reported, since CUDA leaves it undefined.
    /// </summary>
    void ReleaseAbandoned()
    {
        for (int i = 0; i < warpCount; i++)
        {
            Warp* w = &warps[i];
            if (w->Pc < 0) continue;
            int exited = 0;
            for (int k = 0; k < warpCount; k++) if (warps[k].Pc < 0) exited++;
            int expected = w->BarrierCount == 0 ? warpCount * 32 : w->BarrierCount;
            bool explained = arrived[w->BarrierId] + exited * 32 >= expected;
            if (!explained || (block->Checks & (int)CheckFlags.Barriers) != 0)
                throw Abandoned(w, exited, expected, explained);
            Complete(w->BarrierId);
            return;
        }
    }

    KernelFault Abandoned(Warp* w, int exited, int expected, bool explained) =>
        Faults.OfWarp(explained ? FaultKind.MissingBarrier : FaultKind.Deadlock,
            $"warp {w->Index} waits at barrier {w->BarrierId} for {expected} threads; " +
            $"{arrived[w->BarrierId]} have arrived, {exited} of the block's {warpCount} warps " +
            "have exited without it and no other can run", w, w->BarrierLine);
}
