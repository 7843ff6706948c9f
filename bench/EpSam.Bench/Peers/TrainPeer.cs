// A training step of ours as one of the rivals: `bench peer-train decoder|classifier f32|bf16 THREADS`. Virtual GPU
// with checks off, memory as planned, the line protocol of peer.py. "save" writes the last loss.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Bench.Peers;

internal static class TrainPeer
{
    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments is not [(TrainSetup.Decoder or TrainSetup.Classifier) and string kind,
            ("bf16" or "f32") and string precision, string threads])
        {
            Console.Error.WriteLine(
                "usage: bench peer-train decoder|classifier bf16|f32 THREADS (started by bench peers --train)");
            return 2;
        }
        TrainSetup setup = new(kind, precision == "bf16" ? DType.BF16 : DType.F32);
        int workers = int.Parse(threads, CultureInfo.InvariantCulture);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Card = "rtx-3060", Checks = CheckFlags.None, Workers = workers });
        using Gpu gpu = new(card.Driver, card.Blas);
        using ITrainStep step = setup.Make(gpu);
        string version = $"EpSam.Native {typeof(Gpu).Assembly.GetName().Version?.ToString(3)}";
        string settings = $"virtual:rtx-3060, checks off, {workers} threads, {RuntimeInformation.FrameworkDescription}"
            + (kind == TrainSetup.Classifier ? $", recompute {setup.Recompute.ToString().ToLowerInvariant()}" : "");
        Console.WriteLine(JsonSerializer.Serialize(new { version, settings, device_bytes = step.Plan.Peak }));
        double loss = double.NaN;
        while (Console.ReadLine() is string line && line != "quit")
        {
            if (line == "run")
            {
                long start = Stopwatch.GetTimestamp();
                loss = step.Run();
                gpu.Synchronize();
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (!double.IsFinite(loss)) throw new InvalidOperationException($"the loss is {loss}");
                if (step.MeasuredPeak != step.Plan.Peak)
                {
                    throw new InvalidOperationException(
                        $"{step.MeasuredPeak} bytes of device memory were taken, {step.Plan.Peak} planned");
                }
                Console.WriteLine(seconds.ToString("F6", CultureInfo.InvariantCulture));
                continue;
            }
            PeerFiles.WriteFloats(line["save ".Length..], [(float)loss]);
            Console.WriteLine("saved");
        }
        return 0;
    }
}
