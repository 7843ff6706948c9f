// bench vgpu: how fast the virtual GPU is, beside what this machine can do at most, in one run. Every row checks its
// result against a reference computed here before it is timed. Checks are off for timing, and their price is a row.
using System.Globalization;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;

namespace EpSam.Bench;

internal sealed unsafe partial class VgpuBench(int threads)
{
    const int LoopBlocksPerThread = 8, LoopThreads = 128;
    readonly Report report = new("Virtual GPU on this CPU", ("what", 46), ("rate", 16), ("of ceiling", 24),
        ("bar", 8), ("spread", 7));
    double fmaPeak, copyRate, gemmRate;

    /// <summary>All rows, or those of the groups named; the result is saved only when all were measured.</summary>
    public int Run(IReadOnlyCollection<string> only)
    {
        using Rig rig = new(CheckFlags.None, threads);
        MeasurePeak();
        (string Name, Action<Rig> Measure)[] groups =
        [
            ("mma", MmaLoop), ("fma", FmaLoop), ("copy", StreamCopy), ("gemm", Gemm), ("attention", Attention),
            ("launch", LaunchOverhead), ("jit", JitTime), ("checks", PriceOfChecks),
        ];
        foreach (string name in only)
            if (!groups.Any(g => g.Name == name))
            {
                string known = string.Join(", ", groups.Select(g => g.Name));
                Console.Error.WriteLine($"bench: no group {name}; there are {known}");
                return 2;
            }
        foreach ((string name, Action<Rig> measure) in groups)
            if (only.Count == 0 || only.Contains(name)) measure(rig);
        if (only.Count == 0) report.Save("vgpu");
        return 0;
    }

    void MeasurePeak()
    {
        (double peak, Timing timing) = Ceilings.FmaPeak(threads);
        fmaPeak = peak;
        Row($"FMA peak of a core, {threads} busy", $"{G(peak)} GFLOP/s", "", "", timing);
    }

    // The peak is measured again in turn with each loop, and the higher of the two readings counts.
    // Results are compared with a plain loop for few iterations; the timed launches differ in the count only.
    void MmaLoop(Rig rig)
    {
        const int CheckIterations = 3, Iterations = 4000;
        int blocks = LoopBlocksPerThread * threads, warps = blocks * LoopThreads / 32;
        Random random = new(1);
        // Small multiples of 1/8: products and sums are exact in f32, so the result is one number however it is added.
        ushort[] a = Values(random, 16 * 16), b = Values(random, 8 * 16 * 8);
        CUdeviceptr aBuffer = rig.Upload(FragmentA(a)), bBuffer = rig.Upload(FragmentB(b));
        CUdeviceptr c = rig.Device.Allocate(warps * 4096L);
        CUfunction function = rig.Function("mma_loop", "mma_loop");
        void Launch(int iterations) => rig.Launch(function, new Dim3(blocks), new Dim3(LoopThreads),
            Rig.P(aBuffer), Rig.P(bBuffer), Rig.P(c), Rig.P(iterations));

        Launch(CheckIterations);
        float[] result = rig.Download<float>(c, warps * 1024);
        for (int i = 0; i < result.Length; i++)
        {
            // Element layout of a 16x8 f32 fragment: PTX ISA, "Matrix fragments for mma.m16n8k16".
            int slot = i % 4, lane = i / 4 % 32, tile = i / 128 % 8;
            int row = lane / 4 + (slot / 2) * 8, column = lane % 4 * 2 + slot % 2;
            double sum = 0;
            for (int k = 0; k < 16; k++) sum += BFloat(a[row * 16 + k]) * BFloat(b[(tile * 16 + k) * 8 + column]);
            Require(result[i] == CheckIterations * sum,
                $"mma_loop element {i}: {result[i]}, expected {CheckIterations * sum}");
        }
        (Timing timing, Timing ceiling) = Measure.Alternate(() => Launch(Iterations), () => Ceilings.Fma(threads));
        double rate = (double)warps * Iterations * 8 * 4096 / timing.Seconds / threads;
        double peak = Math.Max(fmaPeak, Ceilings.FmaFlop / ceiling.Seconds);
        Row("PTX mma loop, bf16 m16n8k16, per core", $"{G(rate)} GFLOP/s", $"{Percent(rate / peak)} of peak",
            ">= 55 %", timing);
    }

    void FmaLoop(Rig rig)
    {
        const int CheckIterations = 5, Iterations = 20000;
        int blocks = LoopBlocksPerThread * threads, count = blocks * LoopThreads;
        Random random = new(2);
        float[] x = Floats(random, count), a = Floats(random, count), b = Floats(random, count);
        CUdeviceptr xBuffer = rig.Upload(x), aBuffer = rig.Upload(a), bBuffer = rig.Upload(b);
        CUdeviceptr y = rig.Device.Allocate(count * 4L);
        CUfunction function = rig.Function("fma_loop", "fma_loop");
        void Launch(int iterations) => rig.Launch(function, new Dim3(blocks), new Dim3(LoopThreads),
            Rig.P(xBuffer), Rig.P(aBuffer), Rig.P(bBuffer), Rig.P(y), Rig.P(iterations));

        Launch(CheckIterations);
        float[] result = rig.Download<float>(y, count);
        for (int i = 0; i < count; i++)
        {
            float sum = 0;
            for (int chain = 0; chain < 8; chain++)
            {
                float value = chain == 0 ? x[i] : x[i] + chain;
                for (int link = 0; link < CheckIterations * 4; link++)
                    value = MathF.FusedMultiplyAdd(value, a[i], b[i]);
                sum = chain == 0 ? value : sum + value;
            }
            Require(BitConverter.SingleToInt32Bits(result[i]) == BitConverter.SingleToInt32Bits(sum),
                $"fma_loop thread {i}: {result[i]:R}, expected {sum:R}");
        }
        (Timing timing, Timing ceiling) = Measure.Alternate(() => Launch(Iterations), () => Ceilings.Fma(threads));
        double rate = (double)count * Iterations * 64 / timing.Seconds / threads;
        double peak = Math.Max(fmaPeak, Ceilings.FmaFlop / ceiling.Seconds);
        Row("PTX fp32 FMA loop, per core", $"{G(rate)} GFLOP/s", $"{Percent(rate / peak)} of peak", ">= 40 %", timing);
    }

    // memcpy and the kernel move the same bytes between the same two buffers, in turn.
    void StreamCopy(Rig rig)
    {
        CUdeviceptr x = rig.Device.Allocate(Ceilings.CopyBytes), y = rig.Device.Allocate(Ceilings.CopyBytes);
        byte* source = Rig.Host<byte>(x), target = Rig.Host<byte>(y);
        for (long i = 0; i < Ceilings.CopyBytes / 8; i++) ((ulong*)source)[i] = (ulong)i * 0x9E3779B97F4A7C15;
        CUfunction function = rig.Function("stream_copy", "stream_copy");
        void Launch() => rig.Launch(function, new Dim3((int)(Ceilings.CopyBytes / 16384)), new Dim3(256), Rig.P(x),
            Rig.P(y));
        Launch();
        Require(Same(source, target, Ceilings.CopyBytes), "stream_copy: the copy differs");

        (Timing ours, Timing theirs) = Measure.Alternate(Launch,
            () => Ceilings.Copy(threads, source, target, Ceilings.CopyBytes));
        copyRate = Ceilings.CopyBytes / theirs.Seconds;
        double rate = Ceilings.CopyBytes / ours.Seconds;
        Row($"memcpy, {Ceilings.CopyBytes >> 20} MiB, {threads} threads", $"{G(copyRate)} GB/s", "", "", theirs);
        Row($"PTX streaming copy, {Ceilings.CopyBytes >> 20} MiB", $"{G(rate)} GB/s",
            $"{Percent(rate / copyRate)} of memcpy", ">= 60 %", ours);
        rig.Free(x, y);
    }

    static bool Same(byte* a, byte* b, long bytes)
    {
        const int Part = 1 << 28;
        for (long at = 0; at < bytes; at += Part)
        {
            int length = (int)Math.Min(Part, bytes - at);
            if (!new Span<byte>(a + at, length).SequenceEqual(new Span<byte>(b + at, length))) return false;
        }
        return true;
    }

    void Row(string what, string rate, string share, string bar, Timing timing) =>
        report.Add(what, rate, share, bar, Percent(timing.Spread));

    static string G(double perSecond) => (perSecond / 1e9).ToString("F1", CultureInfo.InvariantCulture);

    static string Percent(double share) => (share * 100).ToString("F1", CultureInfo.InvariantCulture) + " %";

    static void Require(bool condition, string message)
    {
        if (!condition) throw new InvalidOperationException($"wrong result, nothing is timed: {message}");
    }

    static float[] Floats(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1)];

    static ushort[] Values(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => ToBFloat(random.Next(-8, 9) / 8f))];

    static float BFloat(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    static ushort ToBFloat(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    // Fragments as the figures of mma.m16n8k16 have them: four registers a lane for A (16 x 16), two for B (16 x 8).
    static ushort[] FragmentA(ushort[] a)
    {
        ushort[] fragment = new ushort[32 * 8];
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 8; i++)
            {
                int row = lane / 4 + (i / 2 % 2) * 8, column = lane % 4 * 2 + i % 2 + (i / 4) * 8;
                fragment[lane * 8 + i] = a[row * 16 + column];
            }
        return fragment;
    }

    static ushort[] FragmentB(ushort[] b)
    {
        ushort[] fragment = new ushort[8 * 32 * 4];
        for (int tile = 0; tile < 8; tile++)
            for (int lane = 0; lane < 32; lane++)
                for (int i = 0; i < 4; i++)
                {
                    int row = lane % 4 * 2 + i % 2 + (i / 2) * 8, column = lane / 4;
                    fragment[(tile * 32 + lane) * 4 + i] = b[(tile * 16 + row) * 8 + column];
                }
        return fragment;
    }
}
