// Threads and buffers of the matrix product. Buffers are kept between calls: fresh pages from the system cost more
// than packing into them.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Blas;

internal static unsafe class GemmWorkers
{
    const int Kept = 8;
    const nuint Alignment = 4096;

    static readonly List<(nint Address, long Bytes)> free = [];

    /// <summary>
    /// Runs tasks 0 to count - 1 in any order on up to <paramref name="workers"/> threads. Each thread lends its tasks
    /// a buffer of the size asked for.
    /// </summary>
    public static void ForEach(int count, int workers, long bufferBytes, Action<int, nint> task)
    {
        workers = Math.Min(workers, count);
        int next = 0;
        void Work(int _)
        {
            (nint Address, long Bytes) buffer = bufferBytes > 0 ? Rent(bufferBytes) : default;
            for (int i; (i = Interlocked.Increment(ref next) - 1) < count;) task(i, buffer.Address);
            if (bufferBytes > 0) Return(buffer);
        }
        Workers.Run(workers, Work);
    }

    /// <summary>A buffer of at least this size, with arbitrary contents.</summary>
    public static (nint Address, long Bytes) Rent(long bytes)
    {
        lock (free)
        {
            int fitting = -1;
            for (int i = 0; i < free.Count; i++)
                if (free[i].Bytes >= bytes && (fitting < 0 || free[i].Bytes < free[fitting].Bytes)) fitting = i;
            if (fitting >= 0)
            {
                (nint, long) buffer = free[fitting];
                free.RemoveAt(fitting);
                return buffer;
            }
        }
        return ((nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment), bytes);
    }

    public static void Return((nint Address, long Bytes) buffer)
    {
        lock (free)
        {
            free.Add(buffer);
            if (free.Count <= Kept) return;
            int smallest = 0;   // large ones serve every request
            for (int i = 1; i < free.Count; i++)
                if (free[i].Bytes < free[smallest].Bytes) smallest = i;
            buffer = free[smallest];
            free.RemoveAt(smallest);
        }
        NativeMemory.AlignedFree((void*)buffer.Address);
    }
}
