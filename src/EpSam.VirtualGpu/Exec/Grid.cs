// Runs a grid: blocks are handed out to worker threads one at a time, in order. A fault stops the grid: no further
// block starts, those running finish. Of several faults that of the lowest block is reported; all blocks below it have
// run, so the report is the same for any number of workers and any timing (if blocks do not depend on each other).
using EpSam.VirtualGpu.Checks;

namespace EpSam.VirtualGpu.Exec;

/// <summary>
/// Interpret: run the oracle instead of emitted code. Workers: threads that run blocks, 0 = one per core.
/// </summary>
internal sealed record LaunchOptions(bool Interpret = false, int Workers = 0, ulong[]? Counters = null);

internal static class Grid
{
    /// <summary>
    /// Runs the kernel to its end. Throws <see cref="KernelFault"/>; then other blocks may have run or not.
    /// </summary>
    public static void Launch(
        Program program, Dim3 grid, Dim3 block, int dynamicSharedBytes, ReadOnlySpan<byte> parameters,
        LaunchContext context, LaunchOptions options)
    {
        Variant variant = program.Get(options.Interpret, context.Checks != CheckFlags.None, context.Counting, block);
        long count = grid.Count;
        int workers = (int)Math.Min(count, options.Workers > 0 ? options.Workers : Environment.ProcessorCount);
        int shared = program.StaticSharedBytes + dynamicSharedBytes;
        GridRun run = new(program, context, grid, count);
        BlockRunner[] runners = new BlockRunner[workers];
        try
        {
            for (int i = 0; i < workers; i++)
                runners[i] = new BlockRunner(variant, grid, block, shared, dynamicSharedBytes, parameters, context);
            Workers.Run(workers, i => run.Work(runners[i]));
            if (options.Counters is not null)
                foreach (BlockRunner runner in runners) runner.AddCounters(options.Counters);
        }
        finally
        {
            foreach (BlockRunner? runner in runners) runner?.Dispose();
        }
        if (run.Fault is not null) throw run.Fault;
    }

    sealed class GridRun(Program program, LaunchContext context, Dim3 grid, long count)
    {
        readonly Lock gate = new();
        long next, faultyBlock = long.MaxValue;
        volatile KernelFault? fault;

        public KernelFault? Fault => fault;

        public void Work(BlockRunner runner)
        {
            LaunchContext.Current = context;
            long i = -1;
            try
            {
                while (fault is null && (i = Interlocked.Increment(ref next) - 1) < count)
                    runner.Run(
                        new Dim3((int)(i % grid.X), (int)(i / grid.X % grid.Y), (int)(i / ((long)grid.X * grid.Y))));
            }
            catch (KernelFault thrown)
            {
                thrown.Kernel = program.Name;
                if (thrown.Line > 0) thrown.Instruction = program.LineText(thrown.Line);
                Keep(thrown, i);
            }
            finally
            {
                LaunchContext.Current = null;
            }
        }

        void Keep(KernelFault thrown, long block)
        {
            lock (gate)
                if (block < faultyBlock) (fault, faultyBlock) = (thrown, block);
        }
    }
}
