// The device side of the classifier at work: parameters are kept, all else is taken for one call. Rehearse makes the
// largest call of each kind, which is how the arena's size is found.
using System.Runtime.InteropServices;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

internal sealed class PatchNetwork
{
    const string Bias = "fc.bias";

    // In this order those that have the image's own shape come first: Cam.Average takes them apart so.
    static readonly int[] Turns = [0, 2, 1, 3];

    readonly Arena _arena;
    readonly PatchClassifierOptions _options;
    readonly Parameters _parameters;
    readonly ResNetAdl _model;
    readonly Tape _tape;

    public PatchNetwork(Arena arena, ResNetAdlConfig config, PatchClassifierOptions options)
    {
        (_arena, _options) = (arena, options);
        _parameters = new(arena, options.Precision);
        _model = new(config, _parameters);
        _tape = new(arena, recording: false);
    }

    /// <summary>In tests: the activations of an image turned by 0, 180, 90, 270 degrees.</summary>
    internal Action<float[]>? Observe { get; set; }

    /// <summary>In tests.</summary>
    internal ResNetAdl Model => _model;

    public void Load(IParameterSource source) => _model.Load(source);

    /// <summary>What is added to an activation's mean to give the logit.</summary>
    public float HeadBias()
    {
        float[] bias = new float[1];
        _parameters.Read(Bias, bias);
        return bias[0];
    }

    public void Rehearse()
    {
        (int longer, int shorter) = (_options.LongerSide, _options.ShorterSide);
        foreach ((int h, int w) in new[] { (shorter, longer), (longer, shorter) })
        {
            Classify([], _options.Batch, h, w); // on whatever lies in memory
            // a square's turns are one batch: the most that any image takes
            foreach (bool wholeStage in new[] { false, true }) Cam([], h, w, wholeStage, new int[Turns.Length]);
        }
    }

    /// <summary>Logits of images (n, height, width, 3), n at most <c>Batch</c>.</summary>
    public float[] Classify(ReadOnlySpan<byte> images, int n, int height, int width)
    {
        using ArenaScope scope = _arena.Step("classify");
        Tensor pixels = _arena.Take("images", DType.U8, new(n, height, width, 3));
        if (!images.IsEmpty) _arena.Gpu.Upload(images, pixels);
        Tensor logits = _model.Forward(_tape, _model.Input(_tape, pixels));
        return Download<float>(logits);
    }

    /// <summary>
    /// The 8-bit map of an image (height, width, 3) in four orientations, and the mean of their activations.
    /// </summary>
    public (byte[] Map, float[] Mean) Cam(ReadOnlySpan<byte> image, int height, int width, bool wholeStage) =>
        Cam(image, height, width, wholeStage, Turns);

    (byte[] Map, float[] Mean) Cam(ReadOnlySpan<byte> image, int height, int width, bool wholeStage, int[] turns)
    {
        Gpu gpu = _arena.Gpu;
        using ArenaScope scope = _arena.Step("cam");
        Tensor pixels = _arena.Take("image", DType.U8, new(1, height, width, 3));
        if (!image.IsEmpty) gpu.Upload(image, pixels);
        Shape map = ResNetAdl.ActivationsShape(pixels.Shape);
        (long h, long w) = (map[1], map[2]);
        Tensor all = _arena.Take("activations", DType.F32, new(Turns.Length, h, w));
        int done = 0;
        foreach (int[] pass in Passes(turns, height == width))
        {
            Activations(pixels, pass, wholeStage, Part(all, done, pass.Length, pass[0] % 2 == 0 ? (h, w) : (w, h)));
            done += pass.Length;
        }
        Observe?.Invoke(Download<float>(all));
        Tensor levels = _arena.Take("map", DType.U8, map), mean = _arena.Take("mean", DType.F32, map);
        Tensor ranges = _arena.Take("ranges", DType.F32, new(4, 1, 2));
        Ops.Cam.Average(gpu, Part(all, 0, 2, (h, w)).Reshape(new(2, 1, h, w)),
            Part(all, 2, 2, (w, h)).Reshape(new(2, 1, w, h)), ranges, levels, mean);
        return (Download<byte>(levels), Download<float>(mean));
    }

    // Turns that go through the model together: of one shape, and no more than a batch.
    IEnumerable<int[]> Passes(int[] turns, bool isSquare) =>
        isSquare || turns.Distinct().Count() == 1 ? turns.Chunk(_options.Batch)
            : turns.Chunk(2).SelectMany(pair => pair.Chunk(_options.Batch));

    void Activations(Tensor image, int[] turns, bool wholeStage, Tensor activations)
    {
        using ArenaScope scope = _arena.Scope("orientations");
        (long height, long width) = (image.Shape[1], image.Shape[2]);
        (long rows, long columns) = turns[0] % 2 == 0 ? (height, width) : (width, height);
        Tensor turned = _arena.Take("turned", DType.U8, new(turns.Length, rows, columns, 3));
        for (int i = 0; i < turns.Length; i++)
        {
            ulong offset = (ulong)(i * image.Bytes);
            Tensor slot = new(new(turned.Address.Value + offset), DType.U8, new(1, rows, columns, 3));
            Ops.Cam.Turn(_arena.Gpu, image, turns[i], slot);
        }
        _model.Activations(_tape, _model.Input(_tape, turned), wholeStage, activations);
    }

    static Tensor Part(Tensor all, int first, int count, (long Rows, long Columns) size)
    {
        long each = all.Bytes / all.Shape[0];
        return new(new(all.Address.Value + (ulong)(first * each)), all.DType, new(count, size.Rows, size.Columns));
    }

    T[] Download<T>(Tensor tensor) where T : unmanaged
    {
        T[] values = new T[tensor.Shape.Count];
        _arena.Gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
