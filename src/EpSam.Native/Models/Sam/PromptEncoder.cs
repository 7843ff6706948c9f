// SAM's prompt encoder, as segment_anything/modeling/prompt_encoder.py: points and corners of boxes become tokens,
// masks become an image to be added to the image's embedding. Channels last. Tokens are f32 in either precision, as
// the decoder keeps them.
//   P prompts, n points of a prompt, H x W tokens of an image, C channels
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>
/// Points, boxes and masks to embeddings. Its parameters are placed when it is made, and filled by Parameters.Load.
/// </summary>
public sealed class PromptEncoder
{
    readonly SamConfig _config;
    readonly DType _type;
    readonly Tensor _gaussian; // (2, C/2) f32: frequencies of x and y
    readonly PointLabels _labels;
    readonly MaskDownscaling _maskDownscaling;

    /// <summary>Declares the parameters.</summary>
    /// <param name="config">Sizes; they are checked.</param>
    /// <param name="parameters">Where parameters go, and the precision.</param>
    /// <param name="name">What their names begin with.</param>
    public PromptEncoder(SamConfig config, Parameters parameters, string name = "prompt_encoder")
    {
        config.CheckDecoder();
        (_config, _type) = (config, parameters.Type);
        long c = config.OutChannels;
        _gaussian = parameters.Vector($"{name}.pe_layer.positional_encoding_gaussian_matrix", 2, c / 2);
        Tensor[] points = [.. Enumerable.Range(0, 4)
            .Select(i => parameters.Vector($"{name}.point_embeddings.{i}.weight", 1, c))];
        Tensor none = parameters.Vector($"{name}.not_a_point_embed.weight", 1, c);
        _labels = new PointLabels(none, points[0], points[1], points[2], points[3]);
        _maskDownscaling = new MaskDownscaling(config, parameters, $"{name}.mask_downscaling");
        NoMask = parameters.Vector($"{name}.no_mask_embed.weight", 1, c).Reshape(new Shape(c));
    }

    /// <summary>What prompts without a mask have for every token of the image: (C) f32.</summary>
    public Tensor NoMask { get; }

    /// <summary>The shape of the tokens of prompts with this many points.</summary>
    public Shape SparseShape(long prompts, long points) => new(prompts, points, _config.OutChannels);

    /// <summary>The shape of masks that prompts may have: (P, 4H, 4W).</summary>
    public Shape MaskShape(long prompts) => new(prompts, 4L * _config.GridSize, 4L * _config.GridSize);

    /// <summary>The shape of what masks become: (P, H, W, C).</summary>
    public Shape DenseShape(long prompts) =>
        new(prompts, _config.GridSize, _config.GridSize, _config.OutChannels);

    /// <summary>
    /// points (P, n, 2) f32, x and y in pixels of the model's frame, and labels (P, n) i32 to sparse (P, n, C) f32.
    /// Labels are 0 (not the object), 1 (the object), 2 and 3 (first and second corner of a box), -1 (nothing). The
    /// reference puts points before corners, and one nothing after the points where there is no box. Does not
    /// synchronise.
    /// </summary>
    public void Sparse(Arena arena, Tensor points, Tensor labels, Tensor sparse)
    {
        int side = _config.ImageSize;
        PointEncoding.Forward(arena.Gpu, points, labels, _gaussian, _labels, side, side, sparse);
    }

    /// <summary>
    /// masks (P, 4H, 4W) f32, logits, to dense (P, H, W, C) of the model's precision. Does not synchronise.
    /// </summary>
    public void Dense(Arena arena, Tensor masks, Tensor dense)
    {
        long prompts = dense.Shape[0];
        Expect.Same("PromptEncoder", "masks", masks, new Tensor(default, DType.F32, MaskShape(prompts)));
        Expect.Same("PromptEncoder", "dense", dense, new Tensor(default, _type, DenseShape(prompts)));
        using ArenaScope scope = arena.Scope("mask_downscaling");
        _maskDownscaling.Forward(arena, masks, dense);
    }

    /// <summary>
    /// pe (H, W, C) of the model's precision: the positions of the tokens of an image. Does not synchronise.
    /// </summary>
    public void DensePe(Arena arena, Tensor pe)
    {
        Expect.Same("PromptEncoder", "pe", pe, new Tensor(default, _type, DensePeShape));
        PointEncoding.Grid(arena.Gpu, _gaussian, pe);
    }

    /// <summary>The shape of the positions of an image's tokens: (H, W, C).</summary>
    public Shape DensePeShape => new(_config.GridSize, _config.GridSize, _config.OutChannels);
}

/// <summary>Two convolutions of 2 x 2 with stride 2, each under LayerNorm2d and GELU, and one of 1 x 1.</summary>
sealed class MaskDownscaling(SamConfig config, Parameters parameters, string name)
{
    readonly Tensor _conv1 = parameters.Matrix($"{name}.0.weight", config.MaskInChannels / 4, 1, 2, 2);
    readonly Tensor _bias1 = parameters.Vector($"{name}.0.bias", config.MaskInChannels / 4);
    readonly Norm _norm1 = new(parameters, $"{name}.1", config.MaskInChannels / 4, ImageEncoder.Eps);
    readonly Tensor _conv2 =
        parameters.Matrix($"{name}.3.weight", config.MaskInChannels, config.MaskInChannels / 4, 2, 2);
    readonly Tensor _bias2 = parameters.Vector($"{name}.3.bias", config.MaskInChannels);
    readonly Norm _norm2 = new(parameters, $"{name}.4", config.MaskInChannels, ImageEncoder.Eps);
    readonly Tensor _conv3 = parameters.Matrix($"{name}.6.weight", config.OutChannels, config.MaskInChannels, 1, 1);
    readonly Tensor _bias3 = parameters.Vector($"{name}.6.bias", config.OutChannels);

    public void Forward(Arena arena, Tensor masks, Tensor dense) // (P, 4H, 4W) f32 to (P, H, W, C)
    {
        Tensor x = Cast.To(arena, "pixels", masks, dense.DType);
        x = Halve(arena, "0", x.Reshape(new Shape(x.Shape[0], x.Shape[1], x.Shape[2], 1)), _conv1, _bias1, _norm1);
        x = Halve(arena, "3", x, _conv2, _bias2, _norm2);
        MatMul.Forward(arena.Gpu, x, _conv3, dense);
        Bias.Forward(arena.Gpu, dense, _bias3, dense);
    }

    static Tensor Halve(Arena arena, string name, Tensor x, Tensor conv, Tensor bias, Norm norm)
    {
        Gpu gpu = arena.Gpu;
        (long prompts, long height, long width) = (x.Shape[0], x.Shape[1] / 2, x.Shape[2] / 2);
        Tensor y = arena.Take(name, x.DType, new Shape(prompts, height, width, conv.Shape[0]));
        using (arena.Scope(name))
        {
            Tensor patches = arena.Take("patches", x.DType, new Shape(prompts, height, width, 4 * x.Shape[3]));
            Unfold.Forward(gpu, x, 2, 2, 0, patches);
            MatMul.Forward(gpu, patches, conv, y);
        }
        Bias.Forward(gpu, y, bias, y);
        norm.Forward(arena, y, y);
        Gelu.Forward(gpu, y, y);
        return y;
    }
}
