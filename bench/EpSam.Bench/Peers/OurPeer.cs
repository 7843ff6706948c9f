// Our image encoder as one of the rivals: `bench peer-ours bf16|f32 WEIGHTS INPUT THREADS`. Virtual GPU with checks
// off, weights from the same file, memory as planned, the same line protocol.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Bench.Peers;

internal static class OurPeer
{
    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments is not [("bf16" or "f32") and string precision, string weights, string input, string threads])
        {
            Console.Error.WriteLine("usage: bench peer-ours bf16|f32 WEIGHTS INPUT THREADS (started by bench peers)");
            return 2;
        }
        DType type = precision == "bf16" ? DType.BF16 : DType.F32;
        Plan plan = Plan.Of(arena =>
        {
            ImageEncoder planned = new(SamConfig.VitB, new Parameters(arena, type));
            (Tensor x, Tensor y) = Ends(arena, planned, type);
            planned.Forward(arena, x, y);
        });
        int workers = int.Parse(threads, CultureInfo.InvariantCulture);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(
            new VirtualGpuOptions { Checks = CheckFlags.None, Workers = workers });
        using Gpu gpu = new(card.Driver, card.Blas);
        using Arena arena = new(gpu, plan);
        Parameters parameters = new(arena, type);
        ImageEncoder encoder = new(SamConfig.VitB, parameters);
        (Tensor images, Tensor embedding) = Ends(arena, encoder, type);
        using (StateDict stored = Checkpoint.Open(weights)) parameters.Load(new CheckpointParameters(stored));
        float[] pixels = PeerFiles.ReadFloats(input);
        gpu.Upload(MemoryMarshal.AsBytes<float>(PeerFiles.ChannelsLast(pixels, 3)), images);
        Serve(arena, encoder, images, embedding, plan.Peak, workers);
        return 0;
    }

    static (Tensor Images, Tensor Embedding) Ends(Arena arena, ImageEncoder encoder, DType type) =>
        (arena.Keep("images", DType.F32, encoder.InputShape(1)), arena.Keep("embedding", type, encoder.OutputShape(1)));

    static void Serve(Arena arena, ImageEncoder encoder, Tensor images, Tensor embedding, long deviceBytes, int workers)
    {
        string version = $"EpSam.Native {typeof(ImageEncoder).Assembly.GetName().Version?.ToString(3)}";
        string settings = $"virtual GPU, checks off, {workers} threads, {RuntimeInformation.FrameworkDescription}";
        Console.WriteLine(JsonSerializer.Serialize(new { version, settings, device_bytes = deviceBytes }));
        while (Console.ReadLine() is string line && line != "quit")
        {
            if (line == "run")
            {
                long start = Stopwatch.GetTimestamp();
                encoder.Forward(arena, images, embedding);
                arena.Gpu.Synchronize();
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                Console.WriteLine(seconds.ToString("F6", CultureInfo.InvariantCulture));
                continue;
            }
            byte[] bytes = new byte[embedding.Bytes];
            arena.Gpu.Download(embedding, bytes);
            float[] values = [.. Values.Decode(bytes, embedding.DType).Select(v => (float)v)];
            PeerFiles.WriteFloats(line["save ".Length..], PeerFiles.ChannelsFirst(values, (int)embedding.Shape[3]));
            Console.WriteLine("saved");
        }
    }
}
