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
        Tensor masks, Tensor iou, int first = 0) =>
        Forward(new Tape(arena, recording: false), embeddings, imageOf, densePe, sparse, dense, masks, iou, first);

    /// <summary>
    /// The same on a tape: masks and iou, or masks alone, are what its backward starts from, with at most 4 masks of a
    /// prompt. Gradients reach the parameters that are trained and, where required, embeddings, sparse and dense; not
    /// densePe. Inputs, masks and iou must live until backward is done.
    /// </summary>
    public void Forward(Tape tape, Tensor embeddings, Tensor imageOf, Tensor densePe, Tensor sparse, Tensor dense,
        Tensor masks, Tensor iou, int first = 0)
    {
        Check(embeddings, imageOf, densePe, sparse, dense, masks, iou, first);
        Arena arena = tape.Arena;
        (long prompts, long points, long c) = (sparse.Shape[0], sparse.Shape[1], sparse.Shape[2]);
        long grid = _config.GridSize;
        using ArenaScope scope = arena.Scope("mask_decoder");
        Tensor tokens = tape.New("tokens", DType.F32, new Shape(prompts, 1 + _masks + points, c));
        bool shared = dense.Shape.Rank == 1; // recording, prompts then get an image of their own later
        Tensor image = tape.Recording && shared
            ? default : tape.New("image", _type, new Shape(prompts, grid * grid, c));
        Tokens(tape, sparse, tokens);
        using (arena.Scope("transformer"))
        {
            Tensor positions = densePe.Reshape(new Shape(grid * grid, c));
            TokenSet start = Image(tape, embeddings, imageOf, dense, positions, image);
            (tokens, image) = _transformer.Forward(tape, tokens, start, image, Observe);
        }
        Observe?.Invoke("transformer_tokens", tokens);
        Observe?.Invoke("transformer_image", image);

        Tensor hyper = tape.New("hyper", DType.F32, new Shape(prompts, masks.Shape[1], c / 8));
        using (arena.Scope("heads")) Heads(tape, tokens, first, hyper, iou);
        Observe?.Invoke("hyper_in", hyper);
        using (arena.Scope("output_upscaling"))
            _outputUpscaling.Forward(tape, image.Reshape(new Shape(prompts, grid, grid, c)), hyper, masks);
    }

    // Those of the model, the same for all prompts, and a prompt's own.
    void Tokens(Tape tape, Tensor sparse, Tensor tokens)
    {
        Gpu gpu = tape.Gpu;
        long points = sparse.Shape[1];
        Slice.Copy(gpu, _iouToken, 0, 1, tokens, 0);
        Slice.Copy(gpu, _maskTokens, 0, _masks, tokens, 1);
        Slice.Copy(gpu, sparse, 0, points, tokens, 1 + _masks);
        tape.Push("tokens", tokens, () =>
        {
            Tensor d = tape.GradientOf(tokens);
            Of(_iouToken, 0);
            Of(_maskTokens, 1);
            tape.Accumulate(sparse, dx => Slice.Copy(gpu, d, 1 + _masks, points, dx, 0));

            void Of(Tensor learned, long from)
            {
                if (tape.ParameterGradient(learned) is not Tensor sum) return;
                (long count, long c) = (learned.Shape[1], learned.Shape[2]);
                Tensor rows = tape.Arena.Take("rows", DType.F32, new Shape(d.Shape[0], count, c));
                Slice.Copy(gpu, d, from, count, rows, 0);
                ColumnSum.Few(gpu, rows, sum, add: true);
            }
        }, _iouToken, _maskTokens, sparse);
    }

    // The image as the transformer meets it. Without masks it is the same for all prompts of an image, and made once.
    static TokenSet Image(
        Tape tape, Tensor embeddings, Tensor imageOf, Tensor dense, Tensor positions, Tensor image)
    {
        if (dense.Shape.Rank > 1)
        {
            Gather.Forward(tape.Gpu, embeddings, imageOf, null, dense, image.Reshape(dense.Shape));
            tape.Push("image", image, () =>
            {
                tape.Accumulate(embeddings, dx => Gather.Backward(tape.Gpu, tape.GradientOf(image), imageOf, dx));
                tape.Share(image, dense);
            }, embeddings, dense);
            return new TokenSet(image, positions);
        }
        Tensor x = tape.New("embeddings", embeddings.DType, embeddings.Shape);
        Bias.Forward(tape.Gpu, embeddings, dense, x);
        tape.Push("image", x, () =>
        {
            Steps.BiasGradient(tape, tape.GradientOf(x), dense);
            tape.Share(x, embeddings);
        }, embeddings, dense);
        Shape tokens = new(x.Shape[0], positions.Shape[0], positions.Shape[1]);
        return new TokenSet(x.Reshape(tokens), positions, imageOf);
    }

    // What the tokens have become tells the masks' last layer, one vector a mask, and their quality.
    void Heads(Tape tape, Tensor tokens, int first, Tensor hyper, Tensor iou)
    {
        Gpu gpu = tape.Gpu;
        (long prompts, long count, long c) = (tokens.Shape[0], hyper.Shape[1], tokens.Shape[2]);
        Tensor token = tape.New("token", DType.F32, new Shape(prompts, 1, c));
        Tensor vector = tape.New("vector", DType.F32, new Shape(prompts, 1, hyper.Shape[2]));
        Tensor[] vectors = new Tensor[count]; // recording, each has memory of its own
        for (int i = 0; i < count; i++)
        {
            if (tape.Recording && i > 0) vector = tape.New("vector", DType.F32, vector.Shape);
            using ArenaScope scope = tape.Arena.Scope($"output_hypernetworks_mlps.{first + i}");
            Steps.Rows(tape, tokens, 1 + first + i, token);
            _hyperNetworks[first + i].Forward(tape, token, vector);
            Slice.Copy(gpu, vector, 0, 1, hyper, i);
            vectors[i] = vector;
            if (tape.Recording) token = tape.New("token", DType.F32, token.Shape);
        }
        tape.Push("hyper", hyper, () =>
        {
            for (int i = 0; i < vectors.Length; i++)
            {
                int row = i;
                tape.Accumulate(vectors[i], d => Slice.Copy(gpu, tape.GradientOf(hyper), row, 1, d, 0));
            }
        }, vectors);
        Tensor all = tape.New("iou", DType.F32, new Shape(prompts, _masks, 1));
        Steps.Rows(tape, tokens, 0, token);
        _iouHead.Forward(tape, token, all.Reshape(new Shape(prompts, _masks)));
        Steps.Rows(tape, all, first, iou.Reshape(new Shape(prompts, count, 1)));
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
    public void Forward(Tape tape, Tensor image, Tensor hyper, Tensor masks)
    {
        Gpu gpu = tape.Gpu;
        (long prompts, long height, long width) = (image.Shape[0], image.Shape[1], image.Shape[2]);
        // of each token its four pixels of the upscaled image; what comes after does not need them in rows
        Shape pixels = new(prompts, height, width, 2, 2, image.Shape[3] / 4);
        Tensor product = tape.New("upscaled", image.DType, pixels);
        MatMul.Forward(gpu, image, _conv1, product.Reshape(image.Shape), transposed: false);
        tape.Push("conv1", product, () =>
        {
            Tensor d = tape.GradientOf(product).Reshape(image.Shape);
            if (tape.ParameterGradient(_conv1) is Tensor sum) MatMul.BackwardWeight(gpu, d, image, sum, add: true);
            tape.Accumulate(image, dx => MatMul.Forward(gpu, d, _conv1, dx));
        }, image, _conv1);
        Tensor upscaled = tape.Recording ? tape.New("upscaled", image.DType, pixels) : product;
        Upscaling.NormGelu(gpu, product, _bias1, _norm.Weight, _norm.Bias, _norm.Eps, upscaled);
        tape.Push("norm_gelu", upscaled, () => NormGeluBackward(tape, product, upscaled), product, _bias1, _norm.Weight,
            _norm.Bias);
        MaskDecode.Forward(gpu, upscaled, _conv2, _bias2, hyper, masks);
        tape.Push("mask_decode", masks, () => MaskDecodeBackward(tape, upscaled, hyper, masks),
            upscaled, _conv2, _bias2, hyper);
    }

    void NormGeluBackward(Tape tape, Tensor product, Tensor upscaled)
    {
        Tensor dy = tape.GradientOf(upscaled);
        Tensor parts = tape.Arena.Take("parts", DType.F32, Upscaling.PartsShape(dy));
        Tensor bias = Steps.GradientOrSpare(tape, _bias1), weight = Steps.GradientOrSpare(tape, _norm.Weight);
        Tensor shift = Steps.GradientOrSpare(tape, _norm.Bias), d = tape.Arena.Take("d", product.DType, product.Shape);
        Upscaling.NormGeluBackward(tape.Gpu, product, _bias1, _norm.Weight, _norm.Bias, _norm.Eps, dy, parts, d, bias,
            weight, shift);
        tape.Accumulate(product, dx => Elementwise.Copy(tape.Gpu, d, dx));
    }

    void MaskDecodeBackward(Tape tape, Tensor upscaled, Tensor hyper, Tensor masks)
    {
        Tensor z = tape.Arena.Take("z", upscaled.DType, MaskDecode.ProductShape(upscaled, hyper));
        Tensor parts = tape.Arena.Take("parts", DType.F32, MaskDecode.PartsShape(upscaled, hyper));
        Tensor dHyper = tape.Arena.Take("d_hyper", DType.F32, hyper.Shape);
        void Run(Tensor? dx) => MaskDecode.Backward(tape.Gpu, upscaled, _conv2, _bias2, hyper, tape.GradientOf(masks),
            z, parts, dx, tape.ParameterGradient(_conv2), tape.ParameterGradient(_bias2), dHyper);
        if (tape.Requires(upscaled)) tape.Accumulate(upscaled, dx => Run(dx));
        else Run(null);
        tape.Accumulate(hyper, dx => Elementwise.Copy(tape.Gpu, dHyper, dx));
    }
}
