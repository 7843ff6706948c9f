// The device side of a model. Its parameters, the embeddings of the images that prompts are about and the
// low-resolution logits of the last pass are kept; all else is taken for one call. Rehearse makes the largest call of
// each kind, which is how the arena's size is found; smaller calls take less.
using System.Runtime.InteropServices;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

internal sealed class SamNetwork
{
    readonly Arena _arena;
    readonly SamConfig _config;
    readonly SamOptions _options;
    readonly Parameters _parameters;
    readonly ImageEncoder _imageEncoder;
    readonly PromptEncoder _promptEncoder;
    readonly MaskDecoder _maskDecoder;
    readonly SamMasks _maskWriter;
    readonly SamEmbedding?[] _resident; // what lies in the slots of _embeddings; they are filled from the first on
    readonly Tensor _embeddings;        // (images per pass, H, W, C)
    readonly Tensor _densePe;           // (H, W, C)
    readonly Tensor _lowRes;            // (prompts per pass, masks, 4H, 4W) f32
    readonly Tensor _iou;               // (prompts per pass, masks) f32
    int _next;                          // the slot that was filled the longest time ago
    int _masks;                         // of a prompt, in the last pass
    float[] _scores = [];               // of the last pass

    public SamNetwork(Arena arena, SamConfig config, SamOptions options)
    {
        (_arena, _config, _options) = (arena, config, options);
        _parameters = new Parameters(arena, options.Precision);
        (_imageEncoder, _promptEncoder, _maskDecoder) = Declare(config, _parameters);
        _maskWriter = new SamMasks(arena, config);
        (long prompts, long masks) = (options.PromptsPerPass, config.MultimaskOutputs);
        _resident = new SamEmbedding?[options.ImagesPerPass];
        _embeddings = arena.Keep("embeddings", options.Precision, _imageEncoder.OutputShape(options.ImagesPerPass));
        _densePe = arena.Keep("dense_pe", options.Precision, _promptEncoder.DensePeShape);
        _lowRes = arena.Keep("low_res_logits", DType.F32, _maskDecoder.MaskShape(prompts, masks));
        _iou = arena.Keep("iou", DType.F32, new Shape(prompts, masks));
    }

    /// <summary>The parameters of the whole model.</summary>
    public static (ImageEncoder, PromptEncoder, MaskDecoder) Declare(SamConfig config, Parameters parameters) =>
        (new(config, parameters), new(config, parameters), new(config, parameters));

    public void Load(IParameterSource source)
    {
        _parameters.Load(source);
        _promptEncoder.DensePe(_arena, _densePe);
    }

    /// <summary>Runs the largest call of each kind, on whatever lies in memory: for planning.</summary>
    public void Rehearse()
    {
        int side = _config.ImageSize, prompts = _options.PromptsPerPass, tokens = _options.MaxPoints + 2;
        _promptEncoder.DensePe(_arena, _densePe);
        FramedImage frame = new(new byte[3 * side * side], side, side, side, side);
        SamEmbedding image = Encode([.. Enumerable.Repeat(frame, _options.ImagesPerEncoding)])[0];
        Array.Fill(_resident, image);
        float[] points = new float[2 * tokens * prompts];
        int[] labels = new int[tokens * prompts];
        int[] imageOf = new int[prompts];
        float[] masks = new float[_promptEncoder.MaskShape(prompts).Count];
        Decode(imageOf, _resident.Length, points, labels, masks, 0, _config.MultimaskOutputs);
        Decode(imageOf, _resident.Length, points, labels, null, 0, _config.MultimaskOutputs);
        _maskWriter.Rehearse();
    }

    /// <summary>
    /// Images to their embeddings, at most <see cref="SamOptions.ImagesPerEncoding"/>. Several fill the first slots.
    /// </summary>
    public SamEmbedding[] Encode(IReadOnlyList<FramedImage> images)
    {
        _arena.Gpu.MakeCurrent();
        int slot = images.Count == 1 ? Free([]) : 0;
        Tensor embeddings = Slot(slot) with { Shape = _imageEncoder.OutputShape(images.Count) };
        using (_arena.Scope("encode"))
        {
            Tensor[] pixels =
                [.. images.Select(i => Put<byte>("pixels", DType.U8, i.Pixels, new Shape(i.Rows, i.Columns, 3)))];
            _imageEncoder.ForwardPixels(_arena, pixels, embeddings);
        }
        SamEmbedding[] encoded = new SamEmbedding[images.Count];
        for (int i = 0; i < encoded.Length; i++)
        {
            byte[] bytes = new byte[Slot(slot + i).Bytes];
            _arena.Gpu.Download(Slot(slot + i), bytes);
            encoded[i] = _resident[slot + i] = new SamEmbedding(images[i].Height, images[i].Width, _config.ImageSize,
                _options.Precision, _config.GridSize, _config.OutChannels, bytes);
        }
        return encoded;
    }

    /// <summary>
    /// One pass: prompts about images, with as many points (x, y) each, their labels, and masks (4H, 4W) each or null.
    /// What it gives is asked for by the methods below, until the next pass.
    /// </summary>
    public void Decode(IReadOnlyList<SamEmbedding> images, float[] points, int[] labels, float[]? masks, bool multimask)
    {
        _arena.Gpu.MakeCurrent();
        int[] imageOf = new int[images.Count];
        int used = 0;
        for (int p = 0; p < imageOf.Length; p++)
        {
            imageOf[p] = Place(images[p], images);
            used = Math.Max(used, imageOf[p] + 1);
        }
        Decode(imageOf, used, points, labels, masks, multimask ? 1 : 0, multimask ? _config.MultimaskOutputs : 1);
    }

    /// <summary>Predicted qualities of the masks of a prompt of the last pass.</summary>
    public ReadOnlySpan<float> Scores(int prompt) => _scores.AsSpan(prompt * _masks, _masks);

    /// <summary>Low-resolution logits of a mask of the last pass.</summary>
    public float[] LowRes(int prompt, int mask)
    {
        Tensor logits = Mask(prompt, mask);
        float[] values = new float[logits.Shape.Count];
        _arena.Gpu.Download(logits, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>Makes these the last pass's: one prompt with one mask.</summary>
    public void PutLowRes(float[] logits)
    {
        _arena.Gpu.MakeCurrent();
        (_masks, _scores) = (1, []);
        _arena.Gpu.Upload(MemoryMarshal.AsBytes<float>(logits), Mask(0, 0));
    }

    /// <summary>A mask of the last pass at an image's size: 1 where a logit is above the threshold.</summary>
    public void Threshold(int prompt, int mask, int height, int width, double threshold, Span<byte> output) =>
        _maskWriter.Threshold(Mask(prompt, mask), height, width, threshold, 0, output);

    /// <summary>
    /// How many of the logits of that mask are above threshold + offset and above threshold - offset.
    /// </summary>
    public (int Inner, int Outer) Counts(
        int prompt, int mask, int height, int width, double threshold, double offset) =>
        _maskWriter.Threshold(Mask(prompt, mask), height, width, threshold, offset, []);

    /// <summary>The logits of that mask.</summary>
    public void Logits(int prompt, int mask, int height, int width, Span<float> output) =>
        _maskWriter.Logits(Mask(prompt, mask), height, width, output);

    void Decode(int[] imageOf, int images, float[] points, int[] labels, float[]? masks, int first, int count)
    {
        long prompts = imageOf.Length, n = labels.Length / prompts;
        Gpu gpu = _arena.Gpu;
        Tensor lowRes = _lowRes with { Shape = _maskDecoder.MaskShape(prompts, count) };
        Tensor iou = _iou with { Shape = new Shape(prompts, count) };
        Tensor embeddings = _embeddings with { Shape = _imageEncoder.OutputShape(images) };
        using (_arena.Scope(masks is null ? "decode" : "decode with masks"))
        {
            Tensor of = Put<int>("image_of", DType.I32, imageOf, new Shape(prompts));
            Tensor sparse = _arena.Take("sparse", DType.F32, _promptEncoder.SparseShape(prompts, n));
            Tensor dense = masks is null ? _promptEncoder.NoMask
                : _arena.Take("dense", _options.Precision, _promptEncoder.DenseShape(prompts));
            using (_arena.Scope("prompt_encoder"))
            {
                if (n > 0)
                {
                    Tensor at = Put<float>("points", DType.F32, points, new Shape(prompts, n, 2));
                    Tensor what = Put<int>("labels", DType.I32, labels, new Shape(prompts, n));
                    _promptEncoder.Sparse(_arena, at, what, sparse);
                }
                if (masks is not null)
                {
                    Tensor logits = Put<float>("masks", DType.F32, masks, _promptEncoder.MaskShape(prompts));
                    _promptEncoder.Dense(_arena, logits, dense);
                }
            }
            _maskDecoder.Forward(_arena, embeddings, of, _densePe, sparse, dense, lowRes, iou, first);
        }
        (_masks, _scores) = (count, new float[prompts * count]);
        gpu.Download(iou, MemoryMarshal.AsBytes(_scores.AsSpan()));
    }

    Tensor Put<T>(string name, DType type, ReadOnlySpan<T> values, Shape shape) where T : unmanaged
    {
        Tensor tensor = _arena.Take(name, type, shape);
        _arena.Gpu.Upload(MemoryMarshal.AsBytes(values), tensor);
        return tensor;
    }

    // The slot an image lies in, or is brought to.
    int Place(SamEmbedding image, IReadOnlyList<SamEmbedding> needed)
    {
        int slot = Array.IndexOf(_resident, image);
        if (slot >= 0) return slot;
        slot = Free(needed);
        _arena.Gpu.Upload(image.As(_options.Precision), Slot(slot));
        _resident[slot] = image;
        return slot;
    }

    // A slot that may be filled anew: empty, or with an image that is not needed now. A pass has no more images than
    // slots.
    int Free(IReadOnlyList<SamEmbedding> needed)
    {
        while (_resident[_next] is SamEmbedding image && needed.Contains(image)) _next = (_next + 1) % _resident.Length;
        int slot = _next;
        _next = (_next + 1) % _resident.Length;
        return slot;
    }

    Tensor Slot(int index) => At(_embeddings, _imageEncoder.OutputShape(1), index);

    Tensor Mask(int prompt, int mask) => At(_lowRes, _promptEncoder.MaskShape(1), prompt * _masks + mask);

    // The tensor is a row of parts of this shape.
    static Tensor At(in Tensor all, Shape part, long index)
    {
        Tensor first = all with { Shape = part };
        return first with { Address = new(all.Address.Value + (ulong)(index * first.Bytes)) };
    }
}

/// <summary>An image scaled into the model's frame, (rows, columns, 3), and the size of its original.</summary>
internal sealed record FramedImage(byte[] Pixels, int Rows, int Columns, int Height, int Width);
