// SAM's mask decoder, as segment_anything/modeling/mask_decoder.py, for prompts of several images in one call, which
// the reference cannot. Channels last. Its largest tensor is the image stream, one for each prompt; at no time is there
// more than as much again beside it, so that a prompt takes two streams of memory: 4 MiB for the published models in
// bf16, 8 in f32.
//   B images, P prompts, n tokens of a prompt's points, M masks of a prompt, H x W tokens of an image, C channels
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>Embeddings to masks. Its parameters are placed when it is made, and filled by Parameters.Load.</summary>
public sealed class MaskDecoder
{
    readonly SamConfig _config;
    readonly DType _type;
    readonly long _masks; // of one prompt: one that stands alone, then those for an ambiguous prompt
    readonly Tensor _iouToken, _maskTokens; // (1, 1, C), (1, all masks, C) f32
    readonly TwoWayTransformer _transformer;
    readonly OutputUpscaling _outputUpscaling;
    readonly Mlp[] _hyperNetworks; // one for each mask
    readonly Mlp _iouHead;

    /// <summary>Declares the parameters.</summary>
    /// <param name="config">Sizes; they are checked.</param>
    /// <param name="parameters">Where parameters go, and the precision.</param>
    /// <param name="name">What their names begin with.</param>
    public MaskDecoder(SamConfig config, Parameters parameters, string name = "mask_decoder")
    {
        config.CheckDecoder();
        (_config, _type, _masks) = (config, parameters.Type, config.MultimaskOutputs + 1);
        long c = config.OutChannels;
        _transformer = new TwoWayTransformer(config, parameters, $"{name}.transformer");
        _iouToken = parameters.Vector($"{name}.iou_token.weight", 1, c).Reshape(new Shape(1, 1, c));
        _maskTokens = parameters.Vector($"{name}.mask_tokens.weight", _masks, c).Reshape(new Shape(1, _masks, c));
        _outputUpscaling = new OutputUpscaling(config, parameters, $"{name}.output_upscaling");
        _hyperNetworks = [.. Enumerable.Range(0, (int)_masks)
            .Select(i => new Mlp(parameters, Layers($"{name}.output_hypernetworks_mlps.{i}", 3), c, c, c / 8))];
        string[] layers = Layers($"{name}.iou_prediction_head", config.IouHeadDepth);
        _iouHead = new Mlp(parameters, layers, c, config.IouHeadHiddenDim, _masks);
    }

    /// <summary>Called after each stage with its name in the goldens and what the stage made; for tests.</summary>
    internal Action<string, Tensor>? Observe { get; set; }

    /// <summary>The shape of count masks for each prompt: (P, count, 4H, 4W).</summary>
    public Shape MaskShape(long prompts, long count) =>
        new(prompts, count, 4L * _config.GridSize, 4L * _config.GridSize);

    /// <summary>
    /// embeddings (B, H, W, C) of the model's precision; imageOf (P) i32, which of them a prompt is about; densePe
    /// (H, W, C), sparse (P, n, C) f32 and dense, (P, H, W, C) of masks or (C) f32 without, as the prompt encoder makes
    /// them; to masks (P, M, 4H, 4W) f32, logits, and iou (P, M) f32, how well each is expected to fit. They are the
    /// masks from number first on: 0 stands alone, those from 1 on are for an ambiguous prompt. Prompts do not see each
    /// other. All working space comes from the arena and is given back. Does not synchronise.
    /// </summary>
    public void Forward(Arena arena, Tensor embeddings, Tensor imageOf, Tensor densePe, Tensor sparse, Tensor dense,
        Tensor masks, Tensor iou, int first = 0)
    {
        Check(embeddings, imageOf, densePe, sparse, dense, masks, iou, first);
        Gpu gpu = arena.Gpu;
        (long prompts, long points, long c) = (sparse.Shape[0], sparse.Shape[1], sparse.Shape[2]);
        long grid = _config.GridSize;
        using ArenaScope scope = arena.Scope("mask_decoder");
        Tensor tokens = arena.Take("tokens", DType.F32, new Shape(prompts, 1 + _masks + points, c));
        Tensor image = arena.Take("image", _type, new Shape(prompts, grid * grid, c));
        Slice.Copy(gpu, _iouToken, 0, 1, tokens, 0);
        Slice.Copy(gpu, _maskTokens, 0, _masks, tokens, 1);
        Slice.Copy(gpu, sparse, 0, points, tokens, 1 + _masks);
        using (arena.Scope("transformer"))
        {
            Tensor positions = densePe.Reshape(new Shape(grid * grid, c));
            TokenSet start = Image(arena, embeddings, imageOf, dense, positions, image);
            _transformer.Forward(arena, tokens, start, image, Observe);
        }
        Observe?.Invoke("transformer_tokens", tokens);
        Observe?.Invoke("transformer_image", image);

        Tensor hyper = arena.Take("hyper", DType.F32, new Shape(prompts, masks.Shape[1], c / 8));
        using (arena.Scope("heads")) Heads(arena, tokens, first, hyper, iou);
        Observe?.Invoke("hyper_in", hyper);
        using (arena.Scope("output_upscaling"))
            _outputUpscaling.Forward(arena, image.Reshape(new Shape(prompts, grid, grid, c)), hyper, masks);
    }

    // The image as the transformer meets it. Without masks it is the same for all prompts of an image, and made once.
    static TokenSet Image(
        Arena arena, Tensor embeddings, Tensor imageOf, Tensor dense, Tensor positions, Tensor image)
    {
        if (dense.Shape.Rank > 1)
        {
            Gather.Forward(arena.Gpu, embeddings, imageOf, null, dense, image.Reshape(dense.Shape));
            return new TokenSet(image, positions);
        }
        Tensor x = arena.Take("embeddings", embeddings.DType, embeddings.Shape);
        Bias.Forward(arena.Gpu, embeddings, dense, x);
        return new TokenSet(x.Reshape(new Shape(x.Shape[0], image.Shape[1], image.Shape[2])), positions, imageOf);
    }

    // What the tokens have become tells the masks' last layer, one vector a mask, and their quality.
    void Heads(Arena arena, Tensor tokens, int first, Tensor hyper, Tensor iou)
    {
        Gpu gpu = arena.Gpu;
        (long prompts, long count, long c) = (tokens.Shape[0], hyper.Shape[1], tokens.Shape[2]);
        Tensor token = arena.Take("token", DType.F32, new Shape(prompts, 1, c));
        Tensor vector = arena.Take("vector", DType.F32, new Shape(prompts, 1, hyper.Shape[2]));
        for (int i = 0; i < count; i++)
        {
            using ArenaScope scope = arena.Scope($"output_hypernetworks_mlps.{first + i}");
            Slice.Copy(gpu, tokens, 1 + first + i, 1, token, 0);
            _hyperNetworks[first + i].Forward(arena, token, vector);
            Slice.Copy(gpu, vector, 0, 1, hyper, i);
        }
        Tensor all = arena.Take("iou", DType.F32, new Shape(prompts, _masks, 1));
        Slice.Copy(gpu, tokens, 0, 1, token, 0);
        _iouHead.Forward(arena, token, all.Reshape(new Shape(prompts, _masks)));
        Slice.Copy(gpu, all, first, count, iou.Reshape(new Shape(prompts, count, 1)), 0);
    }

    void Check(in Tensor embeddings, in Tensor imageOf, in Tensor densePe, in Tensor sparse, in Tensor dense,
        in Tensor masks, in Tensor iou, int first)
    {
        const string Op = "MaskDecoder";
        long grid = _config.GridSize, c = _config.OutChannels, prompts = sparse.Shape[0], count = masks.Shape[1];
        Expect.Shape(Op, "embeddings", embeddings, _type, embeddings.Shape[0], grid, grid, c);
        Expect.Shape(Op, "imageOf", imageOf, DType.I32, prompts);
        Expect.Shape(Op, "densePe", densePe, _type, grid, grid, c);
        Expect.Shape(Op, "sparse", sparse, DType.F32, prompts, sparse.Shape[1], c);
        if (dense.Shape.Rank == 1) Expect.Shape(Op, "dense", dense, DType.F32, c);
        else Expect.Shape(Op, "dense", dense, _type, prompts, grid, grid, c);
        Expect.Same(Op, "masks", masks, new Tensor(default, DType.F32, MaskShape(prompts, count)));
        Expect.Shape(Op, "iou", iou, DType.F32, prompts, count);
        if (first < 0 || first + count > _masks)
            throw new ArgumentException($"{Op}: asked for {count} masks from {first} on, there are {_masks}");
    }

    static string[] Layers(string name, int depth) =>
        [.. Enumerable.Range(0, depth).Select(i => $"{name}.layers.{i}")];
}

/// <summary>Two transposed convolutions of 2 x 2 with stride 2, the last one straight into the masks.</summary>
sealed class OutputUpscaling(SamConfig config, Parameters parameters, string name)
{
    readonly Tensor _conv1 =
        parameters.Matrix($"{name}.0.weight", config.OutChannels, config.OutChannels / 4, 2, 2);
    readonly Tensor _bias1 = parameters.Vector($"{name}.0.bias", config.OutChannels / 4);
    readonly Norm _norm = new(parameters, $"{name}.1", config.OutChannels / 4, ImageEncoder.Eps);
    readonly Tensor _conv2 =
        parameters.Matrix($"{name}.3.weight", config.OutChannels / 4, config.OutChannels / 8, 2, 2);
    readonly Tensor _bias2 = parameters.Vector($"{name}.3.bias", config.OutChannels / 8);

    // image (P, H, W, C), hyper (P, M, C/8) to masks (P, M, 4H, 4W)
    public void Forward(Arena arena, Tensor image, Tensor hyper, Tensor masks)
    {
        Gpu gpu = arena.Gpu;
        (long prompts, long height, long width) = (image.Shape[0], image.Shape[1], image.Shape[2]);
        // of each token its four pixels of the upscaled image; what comes after does not need them in rows
        Shape pixels = new(prompts, height, width, 2, 2, image.Shape[3] / 4);
        Tensor upscaled = arena.Take("upscaled", image.DType, pixels);
        MatMul.Forward(gpu, image, _conv1, upscaled.Reshape(image.Shape), transposed: false);
        Upscaling.NormGelu(gpu, upscaled, _bias1, _norm.Weight, _norm.Bias, _norm.Eps, upscaled);
        MaskDecode.Forward(gpu, upscaled, _conv2, _bias2, hyper, masks);
    }
}
