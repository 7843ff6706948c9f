// One run of the image encoder as tests want it: planned, weights loaded, images in, the outputs of all stages out.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Cuda;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Models;

internal sealed class EncoderRun
{
    /// <summary>What each stage made, in f32, channels last.</summary>
    public Dictionary<string, float[]> Stages { get; } = [];

    public float[] Embedding { get; }
    public Plan Plan { get; }
    public long MeasuredPeak { get; }
    public double Seconds { get; }

    public EncoderRun(SamConfig config, DType type, IParameterSource? source, float[] images, CheckFlags checks,
        bool observe = true)
    {
        long batch = images.Length / (3L * config.ImageSize * config.ImageSize);
        Plan = Of(config, type, batch);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        using (Memory arena = new(gpu, Plan))
        {
            Parameters parameters = new(arena, type);
            ImageEncoder encoder = new(config, parameters);
            Tensor input = arena.Keep("images", DType.F32, encoder.InputShape(batch));
            Tensor output = arena.Keep("embedding", type, encoder.OutputShape(batch));
            parameters.Load(source ?? new FormulaParameters(
                parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))));
            gpu.Upload(MemoryMarshal.AsBytes<float>(images), input);
            if (observe) encoder.Observe = (name, tensor) => Stages[name] = Download(gpu, tensor);
            long before = System.Diagnostics.Stopwatch.GetTimestamp();
            encoder.Forward(arena, input, output);
            gpu.Synchronize();
            Seconds = System.Diagnostics.Stopwatch.GetElapsedTime(before).TotalSeconds;
            Embedding = Download(gpu, output);
            MeasuredPeak = arena.Peak;
        }
    }

    public static Plan Of(SamConfig config, DType type, long batch) => Plan.Of(arena =>
    {
        ImageEncoder encoder = new(config, new Parameters(arena, type));
        Tensor input = arena.Keep("images", DType.F32, encoder.InputShape(batch));
        encoder.Forward(arena, input, arena.Keep("embedding", type, encoder.OutputShape(batch)));
    });

    /// <summary>(B, C, H, W) to (B, H, W, C).</summary>
    public static float[] ChannelsLast(ReadOnlySpan<float> x, int channels, int tokens)
    {
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++)
            y[i] = x[i / (channels * tokens) * channels * tokens + i % channels * tokens + i / channels % tokens];
        return y;
    }

    static float[] Download(Gpu gpu, Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        gpu.Download(tensor, bytes);
        return [.. Values.Decode(bytes, tensor.DType).Select(v => (float)v)];
    }
}
