// What this machine can do at most, measured in the run that quotes it: fused multiply-adds of registers only, and
// memory copies of sizes far over any cache. Both on all threads at once, as the virtual GPU runs.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EpSam.Bench;

internal static unsafe class Ceilings
{
    public const long CopyBytes = 512L << 20;
    const int FmaIterations = 4_000_000;

    /// <summary>FLOP/s of one core while all cores do the same.</summary>
    public static (double PerCore, Timing Timing) FmaPeak(int threads)
    {
        Timing timing = Measure.Run(() => Fma(threads));
        return (FmaFlop / timing.Seconds, timing);
    }

    /// <summary>One run of the peak loop on all threads; FmaFlop is what each of them does.</summary>
    public static void Fma(int threads) => OnThreads(threads, i => Sink[i * 16] = FmaLoop(FmaIterations));

    public static readonly double FmaFlop = (double)FmaIterations * 10 * 2
        * (Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4);


    /// <summary>One memcpy of all bytes, each thread its part.</summary>
    public static void Copy(int threads, byte* source, byte* target, long bytes)
    {
        long part = bytes / threads / 4096 * 4096;
        OnThreads(threads, i =>
        {
            long start = i * part, length = i == threads - 1 ? bytes - start : part;
            Buffer.MemoryCopy(source + start, target + start, length, length);
        });
    }

    static readonly float[] Sink = new float[1024];

    // Threads of their own: a pool may give both halves to one thread.
    static void OnThreads(int threads, Action<int> body)
    {
        Thread[] team = new Thread[threads - 1];
        for (int i = 0; i < team.Length; i++)
        {
            int index = i + 1;
            team[i] = new Thread(() => body(index));
            team[i].Start();
        }
        body(0);
        foreach (Thread thread in team) thread.Join();
    }

    static float FmaLoop(int iterations) =>
        Vector512.IsHardwareAccelerated ? FmaLoop512(iterations)
        : Vector256.IsHardwareAccelerated ? FmaLoop256(iterations) : FmaLoop128(iterations);

    // Ten chains cover latency x throughput of every current core (4 or 5 cycles, two units).
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static float FmaLoop512(int iterations)
    {
        Vector512<float> a = Vector512.Create(0.999f), b = Vector512.Create(0.001f);
        Vector512<float> x0 = a, x1 = b, x2 = a, x3 = b, x4 = a, x5 = b, x6 = a, x7 = b, x8 = a, x9 = b;
        for (int i = 0; i < iterations; i++)
        {
            x0 = Vector512.FusedMultiplyAdd(x0, a, b);
            x1 = Vector512.FusedMultiplyAdd(x1, a, b);
            x2 = Vector512.FusedMultiplyAdd(x2, a, b);
            x3 = Vector512.FusedMultiplyAdd(x3, a, b);
            x4 = Vector512.FusedMultiplyAdd(x4, a, b);
            x5 = Vector512.FusedMultiplyAdd(x5, a, b);
            x6 = Vector512.FusedMultiplyAdd(x6, a, b);
            x7 = Vector512.FusedMultiplyAdd(x7, a, b);
            x8 = Vector512.FusedMultiplyAdd(x8, a, b);
            x9 = Vector512.FusedMultiplyAdd(x9, a, b);
        }
        return Vector512.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static float FmaLoop256(int iterations)
    {
        Vector256<float> a = Vector256.Create(0.999f), b = Vector256.Create(0.001f);
        Vector256<float> x0 = a, x1 = b, x2 = a, x3 = b, x4 = a, x5 = b, x6 = a, x7 = b, x8 = a, x9 = b;
        for (int i = 0; i < iterations; i++)
        {
            x0 = Vector256.FusedMultiplyAdd(x0, a, b);
            x1 = Vector256.FusedMultiplyAdd(x1, a, b);
            x2 = Vector256.FusedMultiplyAdd(x2, a, b);
            x3 = Vector256.FusedMultiplyAdd(x3, a, b);
            x4 = Vector256.FusedMultiplyAdd(x4, a, b);
            x5 = Vector256.FusedMultiplyAdd(x5, a, b);
            x6 = Vector256.FusedMultiplyAdd(x6, a, b);
            x7 = Vector256.FusedMultiplyAdd(x7, a, b);
            x8 = Vector256.FusedMultiplyAdd(x8, a, b);
            x9 = Vector256.FusedMultiplyAdd(x9, a, b);
        }
        return Vector256.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static float FmaLoop128(int iterations)
    {
        Vector128<float> a = Vector128.Create(0.999f), b = Vector128.Create(0.001f);
        Vector128<float> x0 = a, x1 = b, x2 = a, x3 = b, x4 = a, x5 = b, x6 = a, x7 = b, x8 = a, x9 = b;
        for (int i = 0; i < iterations; i++)
        {
            x0 = Vector128.FusedMultiplyAdd(x0, a, b);
            x1 = Vector128.FusedMultiplyAdd(x1, a, b);
            x2 = Vector128.FusedMultiplyAdd(x2, a, b);
            x3 = Vector128.FusedMultiplyAdd(x3, a, b);
            x4 = Vector128.FusedMultiplyAdd(x4, a, b);
            x5 = Vector128.FusedMultiplyAdd(x5, a, b);
            x6 = Vector128.FusedMultiplyAdd(x6, a, b);
            x7 = Vector128.FusedMultiplyAdd(x7, a, b);
            x8 = Vector128.FusedMultiplyAdd(x8, a, b);
            x9 = Vector128.FusedMultiplyAdd(x9, a, b);
        }
        return Vector128.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9);
    }
}
