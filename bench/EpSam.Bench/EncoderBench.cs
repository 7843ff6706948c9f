// bench encoder: SAM's image encoder on one image, weights by formula, checks off. Per kernel the time on the wall and
// of all threads; device memory as planned and as taken; what the process took at most. The first run makes the
// kernels' code and touches memory; the best of the others is quoted.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Cuda;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Bench;

internal sealed unsafe class EncoderBench(int threads)
{
    const double GiB = 1 << 30;

    public int Run(DType type, string model, int runs)
    {
        SamConfig config = SamConfig.Published[model];
        Plan plan = Plan.Of(arena =>
        {
            (_, ImageEncoder planned, Tensor input, Tensor output) = Make(arena, config, type);
            planned.Forward(arena, input, output);
        });
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Checks = CheckFlags.None, Workers = threads });
        (CuDriver driver, CuBlas blas) = LaunchClock.Wrap(card.Driver, card.Blas);
        LaunchClock.Describe = (name, heads, images, parameters) =>
            (name, AttentionFlops(name, heads, images, parameters));
        using Gpu gpu = new(driver, blas);
        using Arena arena = new(gpu, plan);
        (Parameters parameters, ImageEncoder encoder, Tensor images, Tensor embedding) = Make(arena, config, type);
        parameters.Load(new FormulaParameters(parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))));
        float[] pixels = new float[images.Shape.Count];
        FormulaParameters.Fill("image", 0, 1.5, pixels);
        gpu.Upload(MemoryMarshal.AsBytes<float>(pixels), images);

        string title = $"SAM {model} image encoder, {config.ImageSize} x {config.ImageSize}, batch 1, {type.Name()}, ";
        Report report = new(title + $"virtual GPU, {threads} threads (CPU times)",
            ("what", 40), ("launches", 8), ("wall ms", 9), ("cpu ms", 9), ("share", 7), ("GFLOP/s", 8), ("a core", 7));
        (double first, _) = Once();
        double best = double.MaxValue, bestCpu = double.MaxValue;
        LaunchTotal[] kernels = [];
        string[] names = [];
        for (int i = 0; i < runs; i++)
        {
            (double wall, double cpu) = Once();
            if (best > wall) best = wall;
            if (bestCpu <= cpu) continue;
            bestCpu = cpu;
            (names, kernels) = ([.. LaunchClock.Totals.Keys], [.. LaunchClock.Totals.Values]);
        }
        Array.Sort(kernels, names, Comparer<LaunchTotal>.Create((a, b) => b.CpuSeconds.CompareTo(a.CpuSeconds)));
        for (int i = 0; i < names.Length; i++)
            Row(names[i], kernels[i].Count, kernels[i].Seconds, kernels[i].CpuSeconds, kernels[i].Flops);
        double flops = kernels.Sum(k => k.Flops), inside = kernels.Sum(k => k.CpuSeconds);
        Row("between launches", 0, best - kernels.Sum(k => k.Seconds), bestCpu - inside, 0);
        Row("one image", kernels.Sum(k => k.Count), best, bestCpu, flops);
        Row("first image, code made", 0, first, 0, 0);
        report.Add($"device memory {F(arena.Peak / GiB, 3)} GiB (planned {F(plan.Peak / GiB, 3)}), "
            + $"process at most {F(ProcessPeak() / GiB, 3)} GiB", "", "", "", "", "", "");
        if (runs > 1) report.Save($"encoder-{model}-{type.Name()}");
        return 0;

        void Row(string what, int count, double wall, double cpu, double work) => report.Add(
            what, count > 0 ? $"{count}" : "", F(wall * 1e3), cpu > 0 ? F(cpu * 1e3) : "",
            cpu > 0 ? F(100 * cpu / bestCpu) + " %" : "",
            work > 0 ? F(work / wall / 1e9) : "", work > 0 ? F(work / cpu / 1e9) : "");

        (double Wall, double Cpu) Once()
        {
            LaunchClock.Totals.Clear();
            (double cpu, long start) = (LaunchClock.CpuSeconds(), Stopwatch.GetTimestamp());
            encoder.Forward(arena, images, embedding);
            gpu.Synchronize();
            return (Stopwatch.GetElapsedTime(start).TotalSeconds, LaunchClock.CpuSeconds() - cpu);
        }
    }

    static (Parameters, ImageEncoder, Tensor Images, Tensor Embedding) Make(Arena arena, SamConfig config, DType type)
    {
        Parameters parameters = new(arena, type);
        ImageEncoder encoder = new(config, parameters);
        Tensor images = arena.Keep("images", DType.F32, encoder.InputShape(1));
        return (parameters, encoder, images, arena.Keep("embedding", type, encoder.OutputShape(1)));
    }

    // The two products of attention: heads and images are the grid's y and z; H and W are parameters 5 and 6, K stands
    // in the name. What else is launched counts as none.
    internal static double AttentionFlops(string name, uint heads, uint images, nint parameters)
    {
        if (!name.StartsWith("attention_fwd", StringComparison.Ordinal)) return 0;
        int** values = (int**)parameters;
        double tokens = (double)*values[5] * *values[6];
        string size = name.Split('_').First(p => p.StartsWith('k'))[1..];
        return 4 * tokens * tokens * int.Parse(size, CultureInfo.InvariantCulture) * heads * images;
    }

    internal static double ProcessPeak()
    {
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM", StringComparison.Ordinal));
        string kibibytes = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        return 1024.0 * long.Parse(kibibytes, CultureInfo.InvariantCulture);
    }

    static string F(double value, int digits = 1) => value.ToString($"F{digits}", CultureInfo.InvariantCulture);
}
