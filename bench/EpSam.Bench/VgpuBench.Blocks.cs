// bench vgpu, second half: matrix products, attention, and what is not arithmetic: launches, compilation, checks.
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;
using static EpSam.Cuda.cublasComputeType_t;
using static EpSam.Cuda.cublasGemmAlgo_t;
using static EpSam.Cuda.cublasOperation_t;
using static EpSam.Cuda.cudaDataType_t;

namespace EpSam.Bench;

internal sealed unsafe partial class VgpuBench
{
    static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(60);
    const int Heads = 12, HeadSize = 64, LargeKernelLines = 500;
    static readonly (int M, int N, int K)[] LinearShapes = [(4096, 768, 3072), (4096, 3072, 768), (4096, 768, 2304)];

    // y (M, N) = x (M, K) · wᵀ, the linear layers of ViT-B; through the cuBLAS table, and OpenBLAS in turn.
    void Gemm(Rig rig)
    {
        OpenBlas? peer = OpenBlas.TryLoad(threads);
        if (peer is not null) Console.WriteLine($"  {peer.Version}");
        CuBlas blas = rig.Gpu.Blas;
        cublasHandle_t created;
        blas.Check(blas.cublasCreate_v2(&created));
        cublasHandle_t handle = created;
        foreach ((int m, int n, int k) in LinearShapes)
        {
            Random random = new(m + n + k);
            float[] x = Floats(random, m * k), w = Floats(random, n * k), theirs = new float[m * n];
            CUdeviceptr xBuffer = rig.Upload(x), wBuffer = rig.Upload(w), y = rig.Device.Allocate(m * (long)n * 4);
            void Ours()
            {
                float one = 1, zero = 0;
                blas.Check(blas.cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &one,
                    (void*)wBuffer.Value, CUDA_R_32F, k, (void*)xBuffer.Value, CUDA_R_32F, k, &zero,
                    (void*)y.Value, CUDA_R_32F, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
                rig.Device.Synchronize();
            }
            Ours();
            CheckLinear(x, w, rig.Download<float>(y, m * n), m, n, k);
            double flop = 2.0 * m * n * k;
            string what = $"virtual cuBLAS SGEMM {m}x{n}x{k}";
            if (peer is null)
            {
                Timing alone = Measure.Run(Ours);
                gemmRate = Math.Max(gemmRate, flop / alone.Seconds);
                Row(what, $"{G(flop / alone.Seconds)} GFLOP/s", "OpenBLAS missing", ">= 85 %", alone);
            }
            else
            {
                fixed (float* xh = x, wh = w, yh = theirs)
                {
                    float* px = xh, pw = wh, py = yh;
                    (Timing a, Timing b) = Measure.Alternate(
                        Ours, () => peer.Linear(m, n, k, px, pw, py), least: 9, seconds: 3, settle: Settle);
                    gemmRate = Math.Max(gemmRate, flop / b.Seconds);
                    Row(what, $"{G(flop / a.Seconds)} GFLOP/s", $"{Percent(b.Seconds / a.Seconds)} of OpenBLAS",
                        ">= 85 %", a);
                    Row($"  OpenBLAS, {threads} threads", $"{G(flop / b.Seconds)} GFLOP/s", "", "", b);
                }
            }
            rig.Free(xBuffer, wBuffer, y);
        }
        blas.Check(blas.cublasDestroy_v2(handle));
    }

    // Some elements against double. Bound of an f32 sum in any order of blocks: 4 sqrt(K) eps sum|x||w|.
    static void CheckLinear(float[] x, float[] w, float[] y, int m, int n, int k)
    {
        Random random = new(7);
        for (int sample = 0; sample < 256; sample++)
        {
            int row = sample == 0 ? m - 1 : random.Next(m), column = sample == 0 ? n - 1 : random.Next(n);
            double sum = 0, magnitude = 0;
            for (int i = 0; i < k; i++)
            {
                double product = (double)x[row * k + i] * w[column * k + i];
                sum += product;
                magnitude += Math.Abs(product);
            }
            double bound = 4 * Math.Sqrt(k) * Math.Pow(2, -24) * magnitude;
            Require(Math.Abs(y[row * n + column] - sum) <= bound,
                $"SGEMM ({row},{column}): {y[row * n + column]}, expected {sum}");
        }
    }

    // One global block of ViT-B: 64 x 64 tokens, 12 heads of 64, decomposed relative position.
    void Attention(Rig rig)
    {
        const int Side = 64, Tokens = Side * Side;
        AttentionInput input = new(rig, Side);
        input.Launch();
        input.Check();
        Timing timing = Measure.Run(input.Launch, least: 5, seconds: 1, warmUp: 0);
        double rate = 4.0 * Heads * Tokens * Tokens * HeadSize / timing.Seconds;
        Row("bf16 attention, ViT-B global block",
            $"{G(rate)} GFLOP/s", $"{Percent(rate / gemmRate)} of SGEMM", ">= 30 %", timing);
        input.Free();
    }

    sealed class AttentionInput
    {
        readonly Rig rig;
        readonly int side, tokens;
        readonly ushort[] qkv, relH, relW;
        readonly CUdeviceptr qkvBuffer, relHBuffer, relWBuffer, output, lse;
        readonly CUfunction function;
        readonly float scale = 1 / MathF.Sqrt(HeadSize);

        public AttentionInput(Rig rig, int side)
        {
            (this.rig, this.side, tokens) = (rig, side, side * side);
            Random random = new(side);
            qkv = [.. Floats(random, tokens * 3 * Heads * HeadSize).Select(v => ToBFloat(2 * v))];   // (1, T, 3, N, K)
            relH = [.. Floats(random, Heads * tokens * side).Select(ToBFloat)];                      // (1, N, T, H)
            relW = [.. Floats(random, Heads * tokens * side).Select(ToBFloat)];                      // (1, N, T, W)
            (qkvBuffer, relHBuffer, relWBuffer) = (rig.Upload(qkv), rig.Upload(relH), rig.Upload(relW));
            output = rig.Device.Allocate(tokens * Heads * HeadSize * 2L);
            lse = rig.Device.Allocate(tokens * Heads * 4L);
            function = rig.Function("attention", $"attention_fwd_bf16_k64_w{(side <= 16 ? 16 : side <= 32 ? 32 : 64)}");
        }

        public void Launch() => rig.Launch(function, new Dim3((tokens + 63) / 64, Heads), new Dim3(128),
            Rig.P(qkvBuffer), Rig.P(relHBuffer), Rig.P(relWBuffer), Rig.P(output), Rig.P(lse),
            Rig.P(side), Rig.P(side), Rig.P(Heads), Rig.P(scale));

        // Some rows against double. Probabilities and results are rounded to bf16 (2^-9 each, relative): 2^-7 of sum
        // p|v| holds.
        public void Check()
        {
            ushort[] result = rig.Download<ushort>(output, tokens * Heads * HeadSize);
            Random random = new(3);
            for (int sample = 0; sample < 12; sample++)
            {
                int head = sample % Heads, query = sample == 0 ? tokens - 1 : random.Next(tokens);
                double[] p = Probabilities(head, query);
                for (int d = 0; d < HeadSize; d++)
                {
                    double sum = 0, magnitude = 0;
                    for (int key = 0; key < tokens; key++)
                    {
                        double product = p[key] * At(key, 2, head, d);
                        sum += product;
                        magnitude += Math.Abs(product);
                    }
                    float found = BFloat(result[(query * Heads + head) * HeadSize + d]);
                    Require(Math.Abs(found - sum) <= magnitude / 128,
                        $"attention head {head}, query {query}, {d}: {found}, expected {sum}");
                }
            }
        }

        double[] Probabilities(int head, int query)
        {
            double[] p = new double[tokens];
            double most = double.NegativeInfinity, total = 0;
            for (int key = 0; key < tokens; key++)
            {
                double dot = 0;
                for (int d = 0; d < HeadSize; d++) dot += (double)At(query, 0, head, d) * At(key, 1, head, d);
                int at = (head * tokens + query) * side;
                p[key] = dot * scale + BFloat(relH[at + key / side]) + BFloat(relW[at + key % side]);
                most = Math.Max(most, p[key]);
            }
            for (int key = 0; key < tokens; key++) total += p[key] = Math.Exp(p[key] - most);
            for (int key = 0; key < tokens; key++) p[key] /= total;
            return p;
        }

        float At(int token, int which, int head, int d) =>
            BFloat(qkv[((token * 3 + which) * Heads + head) * HeadSize + d]);

        public void Free()
        {
            rig.Free(qkvBuffer, relHBuffer, relWBuffer, output, lse);
        }
    }

    void LaunchOverhead(Rig rig)
    {
        const int Launches = 1000;
        CUfunction function = rig.Function("stream_copy", "empty");
        CuDriver cu = rig.Driver;
        void Once() => cu.Check(cu.cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, default, null, null));
        void Many(bool wait)
        {
            for (int i = 0; i < Launches; i++)
            {
                Once();
                if (wait) rig.Device.Synchronize();
            }
            rig.Device.Synchronize();
        }
        Timing waited = Measure.Run(() => Many(true)), queued = Measure.Run(() => Many(false));
        Row("launch of an empty kernel, waited for", Micro(waited.Seconds / Launches), "", "<= 20 µs", waited);
        Row("launch of an empty kernel, queued", Micro(queued.Seconds / Launches), "", "<= 20 µs", queued);
    }

    // Loading a module and the first launch, less a later launch, for each large kernel of the library by itself. Their
    // 64-bit parameters are all pointers: each gets a buffer of its own, and every size is 8, so that all accesses stay
    // inside. Each repeat has a text of its own: nothing compiled before can be used again.
    void JitTime(Rig rig)
    {
        CUdeviceptr[] buffers = [.. Enumerable.Range(0, 12).Select(_ => rig.Upload(new byte[2 << 20]))];
        (Timing Timing, string Entry) slowest = default;
        int count = 0;
        foreach (string file in Rig.LibraryFiles())
            foreach ((string entry, string module, int lines) in Entries(Rig.Ptx(file)))
            {
                if (lines < LargeKernelLines) continue;
                Timing timing = Timing.Of([.. Enumerable.Range(0, 3)
                    .Select(i => Compile(rig, $"// {i}\n{module}", entry, buffers))]);
                if (timing.Seconds > slowest.Timing.Seconds) slowest = (timing, entry);
                count++;
            }
        Row("load and JIT, slowest large kernel", $"{slowest.Timing.Seconds * 1e3:F0} ms",
            $"{slowest.Entry}, of {count}", "<= 500 ms", slowest.Timing);
        rig.Free(buffers);
    }

    static double Compile(Rig rig, string module, string entry, CUdeviceptr[] buffers)
    {
        PtxFunction declared = Parser.Parse(module).Find(entry)!;
        byte[][] parameters = [.. declared.Parameters.Select((p, i) => p.Type switch
        {
            PtxType.F32 => Rig.P(0.5f),
            _ when p.Size == 8 => Rig.P(buffers[i]),
            _ => Rig.P(8),
        })];
        Dim3 block = new(declared.MaxThreads is { } most ? most[0] : 256);
        long start = Stopwatch.GetTimestamp();
        CUmodule loaded = rig.Device.Load(module);
        CUfunction function = rig.Device.Function(loaded, entry);
        rig.Launch(function, new Dim3(1), block, parameters);
        double first = Stopwatch.GetElapsedTime(start).TotalSeconds;
        start = Stopwatch.GetTimestamp();
        rig.Launch(function, new Dim3(1), block, parameters);
        double later = Stopwatch.GetElapsedTime(start).TotalSeconds;
        rig.Driver.Check(rig.Driver.cuModuleUnload(loaded));
        return first - later;
    }

    // Each entry with all that stands outside of entries: a module of one kernel.
    static IEnumerable<(string Entry, string Module, int Lines)> Entries(string text)
    {
        Regex pattern = new(@"^[ \t]*\.visible \.entry (\w+)\(.*?^\}",
            RegexOptions.Multiline | RegexOptions.Singleline);
        string rest = pattern.Replace(text, "");
        return pattern.Matches(text).Select(m =>
            (m.Groups[1].Value, rest + m.Value + "\n", m.Value.Count(c => c == '\n')));
    }

    // The same work with all checks and with none, one after the other.
    void PriceOfChecks(Rig plain)
    {
        using Rig strict = new(CheckFlags.All, threads);
        Price("price of checks: PTX streaming copy, 16 MiB", CopyWork(plain), CopyWork(strict));
        AttentionInput a = new(plain.Current(), 32), b = new(strict.Current(), 32);
        Price("price of checks: bf16 attention, 1024 tokens",
            () => { plain.Current(); a.Launch(); }, () => { strict.Current(); b.Launch(); });
        plain.Current();
    }

    static Action CopyWork(Rig rig)
    {
        const int Words = 4 << 20;
        rig.Current();
        CUdeviceptr x = rig.Upload(new uint[Words]), y = rig.Device.Allocate(Words * 4L);
        CUfunction function = rig.Function("stream_copy", "stream_copy");
        return () => rig.Current().Launch(function, new Dim3(Words / 4096), new Dim3(256), Rig.P(x), Rig.P(y));
    }

    void Price(string what, Action plain, Action strict)
    {
        (Timing a, Timing b) = Measure.Alternate(plain, strict, least: 5, seconds: 1);
        Row(what, $"{(b.Seconds / a.Seconds).ToString("F1", CultureInfo.InvariantCulture)} x", "", "", b);
    }

    static string Micro(double seconds) => (seconds * 1e6).ToString("F1", CultureInfo.InvariantCulture) + " µs";
}
