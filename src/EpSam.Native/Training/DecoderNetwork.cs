// The device side of training SAM's mask decoder: the frozen encoders, the decoder with its optimiser, and the way from
// its logits to the loss at an image's own size. Each image of a batch has a tail of its own, so sizes may differ.
// Rehearse makes the largest call of each kind, which is how the arena's size is found; smaller calls take less.
using System.Runtime.InteropServices;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>A prompt in the model's frame, x and y of each point, and what it should give.</summary>
internal sealed record DecoderInput(float[] Embedding, float[] Points, byte[] Mask, int Height, int Width)
{
    public int Count => Points.Length / 2;
}

internal sealed class DecoderNetwork
{
    const int NotAPoint = -1, Positive = 1, Scores = 4;

    // What is one pass's: P prompts, one for each image.
    readonly record struct Pass(Tensor Embeddings, Tensor ImageOf, Tensor Sparse, Tensor Masks, Tensor Iou);

    readonly Arena _arena;
    readonly SamConfig _config;
    readonly DecoderTrainerOptions _options;
    readonly ImageEncoder _imageEncoder;
    readonly PromptEncoder _promptEncoder;
    readonly MaskDecoder _maskDecoder;
    readonly FiniteWatch _watch;
    readonly Tensor _densePe;         // (H, W, C)
    readonly Tensor _table, _adjoint; // of MaskResize, for _sizes
    readonly Tensor _scores;          // (batch, 4) f32
    MaskSizes _sizes;

    public DecoderNetwork(Arena arena, SamConfig config, DecoderTrainerOptions options, TrainedLayout layout)
    {
        (_arena, _config, _options) = (arena, config, options);
        Parameters = new Parameters(arena, options.Precision, layout);
        (_imageEncoder, _promptEncoder, _maskDecoder) = SamNetwork.Declare(config, Parameters);
        Optimizer = new Optimizer(arena, Parameters, options.Adam, options.MaxNorm);
        _watch = new FiniteWatch(arena);
        _densePe = arena.Keep("dense_pe", options.Precision, _promptEncoder.DensePeShape);
        MaskSizes most = new() { Height = options.MostSides };
        _table = arena.Keep("table", DType.I32, MaskResize.TableShape(most));
        _adjoint = arena.Keep("adjoint", DType.I32, new Shape(24L * config.GridSize + 4L * options.MostSides));
        _scores = arena.Keep("scores", DType.F32, new Shape(options.Batch, Scores));
    }

    public Parameters Parameters { get; }
    public Optimizer Optimizer { get; }

    /// <summary>Numbers of an embedding, (H, W, C).</summary>
    public int EmbeddingCount => (int)_imageEncoder.OutputShape(1).Count;

    public void Load(IParameterSource source, Func<string, bool>? isWanted)
    {
        Parameters.Load(source, isWanted);
        _promptEncoder.DensePe(_arena, _densePe);
    }

    /// <summary>
    /// Runs the largest call of each kind, on whatever lies in memory: for planning. Passes with fewer images or points
    /// are made too, because pieces of other sizes leave other gaps.
    /// </summary>
    public void Rehearse()
    {
        int side = _config.ImageSize;
        _promptEncoder.DensePe(_arena, _densePe);
        Encode(new byte[3 * side * side], side, side, new float[EmbeddingCount]);
        for (int images = _options.Batch; images >= 1; images--)
        {
            foreach (int points in new[] { _options.Points, 1 })
            {
                DecoderInput input = new(new float[EmbeddingCount], new float[2 * points], [], 1, 1);
                DecoderInput[] inputs = [.. Enumerable.Repeat(input, images)];
                Step(inputs, 1, new float[Scores * images], 0);
                if (images > 1) continue;
                Evaluate(input, new float[Scores]);
                Predict(input, []);
            }
        }
        Optimizer.Step(0);
    }

    /// <summary>An image in the model's frame, (rows, columns, 3), to its embedding.</summary>
    public void Encode(byte[] framed, int rows, int columns, float[] embedding)
    {
        using ArenaScope scope = _arena.Scope("encode");
        Tensor pixels = Put<byte>("pixels", DType.U8, framed, new Shape(rows, columns, 3));
        Tensor y = _arena.Take("embedding", _options.Precision, _imageEncoder.OutputShape(1));
        _imageEncoder.ForwardPixels(_arena, [pixels], y);
        if (y.DType == DType.F32)
        {
            _arena.Gpu.Download(y, MemoryMarshal.AsBytes(embedding.AsSpan()));
            return;
        }
        ushort[] halves = new ushort[embedding.Length];
        _arena.Gpu.Download(y, MemoryMarshal.AsBytes(halves.AsSpan()));
        for (int i = 0; i < halves.Length; i++)
            embedding[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
    }

    /// <summary>
    /// Forward and backward of prompts with as many points each: gradients of <paramref name="share"/> times the sum of
    /// their losses are added to those that are there. Four scores of each, as <see cref="MaskLoss"/> has them.
    /// </summary>
    public void Step(IReadOnlyList<DecoderInput> inputs, float share, Span<float> scores, long step)
    {
        using ArenaScope all = _arena.Step($"step of {inputs.Count}");
        Pass pass = Begin(inputs);
        Tape tape = new(_arena, recording: true);
        Optimizer.Register(tape);
        _watch.Attach(tape);
        _maskDecoder.Forward(tape, pass.Embeddings, pass.ImageOf, _densePe, pass.Sparse, _promptEncoder.NoMask,
            pass.Masks, pass.Iou);
        using (_arena.Scope("loss and backward"))
        {
            Tensor d = _arena.Take("d_masks", DType.F32, pass.Masks.Shape);
            for (int i = 0; i < inputs.Count; i++) Loss(inputs[i], pass.Masks, i, share, d);
            tape.Backward(pass.Masks, d);
        }
        Read(inputs.Count, scores);
        _watch.Check(step);
    }

    /// <summary>Scores without a gradient.</summary>
    public void Evaluate(DecoderInput input, Span<float> scores)
    {
        using ArenaScope all = _arena.Step("evaluate");
        Loss(input, Decode(input), 0, 0, null);
        Read(1, scores);
    }

    /// <summary>The mask of a prompt, 0 and 1; with an empty span it is not copied.</summary>
    public void Predict(DecoderInput input, Span<byte> mask)
    {
        using ArenaScope all = _arena.Step("predict");
        Gpu gpu = _arena.Gpu;
        Tensor low = Mask(Decode(input), 0);
        MaskSizes sizes = Sizes(input.Height, input.Width);
        using ArenaScope scope = _arena.Scope("mask");
        Tensor y = _arena.Take("mask", DType.U8, new Shape(_options.MostPixels));
        Tensor counts = _arena.Take("counts", DType.I32, new Shape(1, 2));
        Tensor parts = _arena.Take("parts", DType.I32, // of any image: whole tiles of 32 x 128, and those cut off
            new Shape(8 * (_options.MostPixels / 4096 + _options.MostSides / 32 + 2L)));
        y = Of(y, new Shape(1, input.Height, input.Width));
        parts = Of(parts, MaskResize.PartsShape(1, input.Height, input.Width));
        Tensor table = Of(_table, MaskResize.TableShape(sizes));
        MaskResize.Threshold(gpu, low, table, sizes, 0, 0, 0, 0, parts, y, counts);
        if (!mask.IsEmpty) gpu.Download(y, mask);
    }

    /// <summary>Low-resolution logits of a prompt, (4H, 4W).</summary>
    public float[] LowRes(DecoderInput input)
    {
        using ArenaScope all = _arena.Step("predict");
        Tensor masks = Decode(input);
        float[] logits = new float[masks.Shape.Count];
        _arena.Gpu.Download(masks, MemoryMarshal.AsBytes(logits.AsSpan()));
        return logits;
    }

    Tensor Decode(DecoderInput input)
    {
        Pass pass = Begin([input]);
        _maskDecoder.Forward(_arena, pass.Embeddings, pass.ImageOf, _densePe, pass.Sparse, _promptEncoder.NoMask,
            pass.Masks, pass.Iou);
        return pass.Masks;
    }

    Pass Begin(IReadOnlyList<DecoderInput> inputs)
    {
        (int prompts, int each) = (inputs.Count, inputs[0].Count + 1); // the reference adds one that is no point
        float[] xy = new float[2 * each * prompts];
        int[] labels = new int[each * prompts], of = [.. Enumerable.Range(0, prompts)];
        for (int p = 0; p < prompts; p++)
        {
            inputs[p].Points.CopyTo(xy, 2 * each * p);
            labels.AsSpan(each * p, each - 1).Fill(Positive);
            labels[each * (p + 1) - 1] = NotAPoint;
        }
        Tensor embeddings = _arena.Keep("embeddings", _options.Precision, _imageEncoder.OutputShape(prompts));
        for (int p = 0; p < prompts; p++)
            Upload(inputs[p].Embedding, Row(embeddings, p, _imageEncoder.OutputShape(1)));
        Tensor imageOf = _arena.Keep("image_of", DType.I32, new Shape(prompts));
        _arena.Gpu.Upload(MemoryMarshal.AsBytes(of.AsSpan()), imageOf);
        Tensor sparse = _arena.Keep("sparse", DType.F32, _promptEncoder.SparseShape(prompts, each));
        using (_arena.Scope("prompt_encoder"))
        {
            Tensor points = Put<float>("points", DType.F32, xy, new Shape(prompts, each, 2));
            _promptEncoder.Sparse(_arena, points, Put<int>("labels", DType.I32, labels, new Shape(prompts, each)),
                sparse);
        }
        Tensor masks = _arena.Keep("masks", DType.F32, _maskDecoder.MaskShape(prompts, 1));
        return new Pass(embeddings, imageOf, sparse, masks, _arena.Keep("iou", DType.F32, new Shape(prompts, 1)));
    }

    // From an image's logits to its loss, and with d to the gradient of those.
    void Loss(DecoderInput input, Tensor masks, int image, float share, Tensor? d)
    {
        Gpu gpu = _arena.Gpu;
        MaskSizes sizes = Sizes(input.Height, input.Width);
        using ArenaScope scope = _arena.Scope("loss");
        Tensor logits = _arena.Take("logits", DType.F32, new Shape(_options.MostPixels));
        Tensor target = _arena.Take("target", DType.U8, logits.Shape);
        Tensor parts = _arena.Take("parts", DType.F32, MaskLoss.PartsShape(Of(logits, new Shape(1, logits.Shape[0]))));
        Tensor sums = _arena.Take("sums", DType.F32, new Shape(1, 5));
        Shape full = new(1, input.Height, input.Width);
        (logits, target) = (Of(logits, full), Of(target, full));
        parts = Of(parts, MaskLoss.PartsShape(logits));
        Tensor low = Mask(masks, image), table = Of(_table, MaskResize.TableShape(sizes));
        if (input.Mask.Length > 0) gpu.Upload(input.Mask, target);
        MaskResize.Logits(gpu, low, table, sizes, 0, logits);
        MaskLoss.Forward(gpu, logits, target, MaskLoss.Smooth, parts, sums, Row(_scores, image, new Shape(1, Scores)));
        if (d is not Tensor gradients) return;
        MaskLoss.Backward(gpu, logits, target, MaskLoss.Smooth, sums, share, share, logits,
            (float)(share * _options.CrossEntropy));
        MaskResize.Backward(gpu, logits, _adjoint, sizes, Mask(gradients, image));
    }

    // The tables of an image's size are on the device until one of another size comes.
    MaskSizes Sizes(int height, int width)
    {
        (int rows, int columns) = new ResizeLongestSide(_config.ImageSize).Size(height, width);
        int low = 4 * _config.GridSize;
        MaskSizes sizes = new(low, low, _config.ImageSize, rows, columns, height, width);
        if (sizes == _sizes) return sizes;
        byte[] adjoint = MaskResize.AdjointTable(sizes);
        _arena.Gpu.Upload(MaskResize.Table(sizes), Of(_table, MaskResize.TableShape(sizes)));
        _arena.Gpu.Upload(adjoint, Of(_adjoint, new Shape(adjoint.Length / sizeof(int))));
        return _sizes = sizes;
    }

    void Read(int images, Span<float> scores) =>
        _arena.Gpu.Download(Of(_scores, new Shape(images, Scores)), MemoryMarshal.AsBytes(scores));

    void Upload(float[] embedding, Tensor to)
    {
        if (to.DType == DType.F32)
        {
            _arena.Gpu.Upload(MemoryMarshal.AsBytes<float>(embedding), to);
            return;
        }
        ushort[] halves = new ushort[embedding.Length];
        Parameters.ToBF16(embedding, halves);
        _arena.Gpu.Upload(MemoryMarshal.AsBytes<ushort>(halves), to);
    }

    Tensor Put<T>(string name, DType type, ReadOnlySpan<T> values, Shape shape) where T : unmanaged
    {
        Tensor tensor = _arena.Take(name, type, shape);
        _arena.Gpu.Upload(MemoryMarshal.AsBytes(values), tensor);
        return tensor;
    }

    // One of masks (P, 1, 4H, 4W), as (1, 4H, 4W).
    static Tensor Mask(Tensor masks, int image) =>
        Row(masks, image, new Shape(1, masks.Shape[2], masks.Shape[3]));

    static Tensor Row(Tensor all, int row, Shape shape)
    {
        Tensor first = Of(all, shape);
        return first with { Address = new(first.Address.Value + (ulong)(row * first.Bytes)) };
    }

    static Tensor Of(Tensor room, Shape shape) => room with { Shape = shape };
}
