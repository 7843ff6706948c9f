// bench train: one training step of EP-SAM at full size, checks off, kernel by kernel; memory as planned and as taken;
// the loss. The first step makes the kernels' code; the one with the least CPU time of the others is quoted.
using System.Diagnostics;
using System.Globalization;
using EpSam.Cuda;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Bench;

internal sealed unsafe class TrainBench(int threads)
{
    const double GiB = 1 << 30;

    double _total; // CPU seconds of the step that is quoted

    public int Run(TrainSetup setup, int runs)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Card = "rtx-3060", Checks = CheckFlags.None, Workers = threads });
        (CuDriver driver, CuBlas blas) = LaunchClock.Wrap(card.Driver, card.Blas);
        LaunchClock.Describe = Describe;
        using Gpu gpu = new(driver, blas);
        using ITrainStep step = setup.Make(gpu);

        Report report = new($"A training step: {setup.Title}, {setup.Type.Name()}, virtual:rtx-3060, {threads} threads",
            ("what", 60), ("launches", 8), ("wall ms", 9), ("cpu ms", 9), ("share", 7), ("GFLOP/s", 8), ("a core", 7));
        List<(double Wall, double Cpu, double Loss, KeyValuePair<string, LaunchTotal>[] Parts)> steps = [];
        for (int i = 0; i <= runs; i++) steps.Add(Once(gpu, step));
        (double wall, double cpu, _, KeyValuePair<string, LaunchTotal>[] parts) = steps.Skip(1).MinBy(s => s.Cpu);
        _total = cpu;
        foreach ((string what, LaunchTotal t) in parts.OrderByDescending(p => p.Value.CpuSeconds))
            Row(report, what, t.Count, t.Seconds, t.CpuSeconds, t.Flops);
        (double inside, double busy) = (parts.Sum(p => p.Value.Seconds), parts.Sum(p => p.Value.CpuSeconds));
        Row(report, "between launches", 0, wall - inside, cpu - busy, 0);
        Row(report, "one step", parts.Sum(p => p.Value.Count), wall, cpu, parts.Sum(p => p.Value.Flops));
        Row(report, "first step, code made", 0, steps[0].Wall, steps[0].Cpu, 0);
        string losses = string.Join(", ", steps.Select(s => s.Loss.ToString("G6", CultureInfo.InvariantCulture)));
        report.Note($"loss {losses}");
        report.Note($"device memory {F(step.MeasuredPeak / GiB, 3)} GiB, planned {F(step.Plan.Peak / GiB, 3)} GiB, "
            + $"process at most {F(EncoderBench.ProcessPeak() / GiB, 3)} GiB");
        if (steps.All(s => double.IsFinite(s.Loss)) && step.MeasuredPeak == step.Plan.Peak) return 0;
        Console.Error.WriteLine("bench train: the loss must be finite and the peak as planned");
        return 1;
    }

    static (double, double, double, KeyValuePair<string, LaunchTotal>[]) Once(Gpu gpu, ITrainStep step)
    {
        LaunchClock.Totals.Clear();
        (double cpu, long start) = (LaunchClock.CpuSeconds(), Stopwatch.GetTimestamp());
        double loss = step.Run();
        gpu.Synchronize();
        (double seconds, double busy) =
            (Stopwatch.GetElapsedTime(start).TotalSeconds, LaunchClock.CpuSeconds() - cpu);
        return (seconds, busy, loss, [.. LaunchClock.Totals]);
    }

    void Row(Report report, string what, int count, double wall, double cpu, double work) => report.Add(
        what, count > 0 ? $"{count}" : "", F(wall * 1e3), F(cpu * 1e3), F(100 * cpu / _total) + " %",
        work > 0 ? F(work / wall / 1e9) : "", work > 0 ? F(work / cpu / 1e9) : "");

    // Convolutions are told apart by their sizes: 22 numbers end their parameters (Ops/Conv.Run).
    static (string, double) Describe(string name, uint y, uint z, nint parameters)
    {
        if (!name.StartsWith("conv_", StringComparison.Ordinal) || name.EndsWith("_sum", StringComparison.Ordinal))
            return (name, EncoderBench.AttentionFlops(name, y, z, parameters));
        int** g = (int**)parameters + (name.Contains("_data", StringComparison.Ordinal) ? 3 : 4);
        (int batch, int groups, int c, int n) = (*g[0], *g[1], *g[2], *g[3]);
        double flops = 2.0 * batch * *g[7] * *g[8] * *g[9] * n * *g[10] * *g[11] * *g[12] * c / groups;
        FormattableString text = $"{name} {*g[5]}x{*g[6]}x{c} to {n}, {*g[11]}x{*g[12]} step {*g[14]}";
        return (FormattableString.Invariant(text), flops);
    }

    static string F(double value, int digits = 1) => value.ToString($"F{digits}", CultureInfo.InvariantCulture);
}
