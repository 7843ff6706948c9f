// One run of a whole model as tests want it: planned, weights loaded, images or their embeddings in, several calls of
// prompt encoder and mask decoder, the outputs of all stages out.
using System.Diagnostics;
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

/// <summary>What a run starts from: images (B, size, size, 3) or embeddings (B, H, W, C), and what is wanted.</summary>
internal sealed record SamInput(SamConfig Config, DType Type, CheckFlags Checks, params Prompts[] Prompts)
{
    public float[]? Images { get; init; }
    public float[]? Embeddings { get; init; }
    public IParameterSource? Weights { get; init; } // null: the formula's
    public int First { get; init; }
    public int Count { get; init; } = 4;
    public Action<string, float[]>? Observe { get; init; } // every stage, channels last; of the decoder in every call

    public long Batch => Images is not null
        ? Images.Length / (3L * Config.ImageSize * Config.ImageSize)
        : Embeddings!.Length / ((long)Config.GridSize * Config.GridSize * Config.OutChannels);
}

/// <summary>
/// What one call made, in f32: sparse (P, n, C), dense (P, H, W, C) of masks, masks (P, M, 4H, 4W), iou (P, M).
/// </summary>
internal sealed record SamOutput(float[] Sparse, float[] Dense, float[] Masks, float[] Iou);

internal sealed class SamRun
{
    public SamOutput[] Outputs { get; }
    public float[] Embeddings { get; }
    public Plan Plan { get; }
    public long MeasuredPeak { get; }
    public double EncoderSeconds { get; }
    public double DecoderSeconds { get; }

    public SamRun(SamInput input)
    {
        Plan = PlanOf(input);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = input.Checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        using (Memory arena = new(gpu, Plan))
        {
            Model model = new(arena, input);
            if (input.Observe is { } observe) model.Observe = (name, x) => observe(name, Download(gpu, x));
            model.Upload();
            (EncoderSeconds, DecoderSeconds) = model.Run();
            Embeddings = Download(gpu, model.Embeddings);
            Outputs = [.. model.Calls.Select(c => new SamOutput(Download(gpu, c.Sparse),
                c.Masks is null ? [] : Download(gpu, c.Dense), Download(gpu, c.Logits), Download(gpu, c.Iou)))];
            MeasuredPeak = arena.Peak;
        }
        Assert.That(MeasuredPeak, Is.EqualTo(Plan.Peak), "planned and measured bytes");
    }

    public static Plan PlanOf(SamInput input) => Plan.Of(arena => _ = new Model(arena, input).Run());

    /// <summary>Root of the mean square of the difference, as a share of the expected values'.</summary>
    public static double RelativeError(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        double error = 0, signal = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(actual[i] - expected[i], 2);
            signal += Math.Pow(expected[i], 2);
        }
        return Math.Sqrt(error / signal);
    }

    static float[] Download(Gpu gpu, Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        gpu.Download(tensor, bytes);
        if (tensor.DType == DType.F32) return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        return [.. Values.Decode(bytes, tensor.DType).Select(v => (float)v)];
    }

    sealed record Call(Prompts Prompts, Tensor Points, Tensor Labels, Tensor ImageOf, Tensor? Masks, Tensor Sparse,
        Tensor Dense, Tensor Logits, Tensor Iou);

    // Made twice, on the planner's arena and on the real one.
    sealed class Model
    {
        readonly Memory _arena;
        readonly SamInput _input;
        readonly Parameters _parameters;
        readonly ImageEncoder? _encoder;
        readonly PromptEncoder _promptEncoder;
        readonly MaskDecoder _decoder;
        readonly Tensor _images, _pe;

        public Model(Memory arena, SamInput input)
        {
            (_arena, _input, _parameters) = (arena, input, new Parameters(arena, input.Type));
            if (input.Images is not null) _encoder = new ImageEncoder(input.Config, _parameters);
            _promptEncoder = new PromptEncoder(input.Config, _parameters);
            _decoder = new MaskDecoder(input.Config, _parameters);
            if (_encoder is not null) _images = arena.Keep("images", DType.F32, _encoder.InputShape(input.Batch));
            Embeddings = arena.Keep("embeddings", input.Type, _promptEncoder.DenseShape(input.Batch));
            _pe = arena.Keep("dense_pe", input.Type, _promptEncoder.DensePeShape);
            Calls = [.. input.Prompts.Select(Keep)];
        }

        public Tensor Embeddings { get; }
        public Call[] Calls { get; }
        public Action<string, Tensor>? Observe { get; set; }

        Call Keep(Prompts prompts)
        {
            (long p, long n) = (prompts.Count, prompts.PointsEach);
            bool masks = prompts.Masks is not null;
            return new Call(prompts,
                _arena.Keep("points", DType.F32, new Shape(p, n, 2)), _arena.Keep("labels", DType.I32, new Shape(p, n)),
                _arena.Keep("image_of", DType.I32, new Shape(p)),
                masks ? _arena.Keep("mask", DType.F32, _promptEncoder.MaskShape(p)) : null,
                _arena.Keep("sparse", DType.F32, _promptEncoder.SparseShape(p, n)),
                masks ? _arena.Keep("dense", _input.Type, _promptEncoder.DenseShape(p)) : _promptEncoder.NoMask,
                _arena.Keep("masks", DType.F32, _decoder.MaskShape(p, _input.Count)),
                _arena.Keep("iou", DType.F32, new Shape(p, _input.Count)));
        }

        public void Upload()
        {
            Gpu gpu = _arena.Gpu;
            _parameters.Load(_input.Weights
                ?? new FormulaParameters(_parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))));
            if (_encoder is not null) gpu.Upload(MemoryMarshal.AsBytes<float>(_input.Images), _images);
            else if (_input.Type == DType.F32) gpu.Upload(MemoryMarshal.AsBytes<float>(_input.Embeddings), Embeddings);
            else
            {
                ushort[] rounded = new ushort[_input.Embeddings!.Length];
                Parameters.ToBF16(_input.Embeddings, rounded);
                gpu.Upload(MemoryMarshal.AsBytes<ushort>(rounded), Embeddings);
            }
            foreach (Call call in Calls)
            {
                gpu.Upload(MemoryMarshal.AsBytes<float>(call.Prompts.Points), call.Points);
                gpu.Upload(MemoryMarshal.AsBytes<int>(call.Prompts.Labels), call.Labels);
                gpu.Upload(MemoryMarshal.AsBytes<int>(call.Prompts.ImageOf), call.ImageOf);
                if (call.Masks is Tensor masks) gpu.Upload(MemoryMarshal.AsBytes<float>(call.Prompts.Masks), masks);
            }
        }

        public (double Encoder, double Decoder) Run()
        {
            long start = Stopwatch.GetTimestamp();
            if (_encoder is not null)
            {
                _encoder.Observe = Observe;
                _encoder.Forward(_arena, _images, Embeddings);
                _arena.Gpu.Synchronize();
            }
            double encoder = Stopwatch.GetElapsedTime(start).TotalSeconds;
            _decoder.Observe = Observe;
            _promptEncoder.DensePe(_arena, _pe);
            Observe?.Invoke("dense_pe", _pe);
            foreach (Call call in Calls)
            {
                _promptEncoder.Sparse(_arena, call.Points, call.Labels, call.Sparse);
                if (call.Masks is Tensor masks) _promptEncoder.Dense(_arena, masks, call.Dense);
                _decoder.Forward(_arena, Embeddings, call.ImageOf, _pe, call.Sparse, call.Dense, call.Logits, call.Iou,
                    _input.First);
            }
            _arena.Gpu.Synchronize();
            return (encoder, Stopwatch.GetElapsedTime(start).TotalSeconds - encoder);
        }
    }
}
