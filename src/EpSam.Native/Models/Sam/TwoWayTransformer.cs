// The transformer of SAM's mask decoder, as segment_anything/modeling/transformer.py: tokens of a prompt attend to each
// other and to the image, and the image attends to them. Two things are not as there, for memory and speed alone:
//   (x + positions)·Wᵀ is made as x·Wᵀ + positions·Wᵀ for the image, whose positions are the same for all prompts: a
//     sum as large as the image stream is never made;
//   before the first layer changes it, the image is the same for all its prompts (unless they have masks): its
//     projections there are made once an image.
// In bf16 only what is as large as the image is bf16: its stream, its projections and the attention that reads them.
// What is made of prompt tokens alone (stream, projections, MLPs and their weights) is f32: 2 % of the work, and in
// bf16 it would be half of the error. The image stream may be rounded: each of its two residuals ends in a norm.
//   B images, P prompts, T tokens of a prompt, S tokens of an image, C channels, N heads of K
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>Tokens with their positions: those of prompts, or those of images.</summary>
/// <param name="X">Of prompts (P, T, C) f32, of images (P or B, S, C) of the model's type.</param>
/// <param name="Positions">Of prompts (P, T, C) f32 or null, of images (S, C), the same for all.</param>
/// <param name="Of">Which X a prompt has, (P) i32; null: each its own.</param>
readonly record struct TokenSet(Tensor X, Tensor? Positions = null, Tensor? Of = null);

/// <summary>Layers of attention between the tokens of prompts and of images.</summary>
sealed class TwoWayTransformer
{
    internal const float Eps = 1e-5f; // PyTorch's default, unlike the rest of SAM

    readonly TwoWayBlock[] _layers;
    readonly TokenAttention _finalAttention;
    readonly Norm _finalNorm;

    public TwoWayTransformer(SamConfig config, Parameters parameters, string name)
    {
        _layers = [.. Enumerable.Range(0, config.DecoderDepth)
            .Select(i => new TwoWayBlock(config, parameters, $"{name}.layers.{i}", first: i == 0))];
        _finalAttention = TokenAttention.TokenToImage(config, parameters, $"{name}.final_attn_token_to_image");
        _finalNorm = new Norm(parameters, $"{name}.norm_final_attn", config.OutChannels, Eps);
    }

    /// <summary>tokens (P, T, C) f32, in place; result (P, S, C) = what becomes of the image, may be its X.</summary>
    public void Forward(Arena arena, Tensor tokens, TokenSet image, Tensor result, Action<string, Tensor>? observe)
    {
        Tensor positions = arena.Take("positions", tokens.DType, tokens.Shape);
        Elementwise.Copy(arena.Gpu, tokens, positions); // the tokens as they come are their positions
        TokenSet prompt = new(tokens, positions);
        for (int i = 0; i < _layers.Length; i++)
        {
            using (arena.Scope($"layers.{i}")) _layers[i].Forward(arena, prompt, image, result);
            image = new TokenSet(result, image.Positions);
            observe?.Invoke($"layer{i}_tokens", tokens);
            observe?.Invoke($"layer{i}_image", result);
        }
        using (arena.Scope("final_attn_token_to_image"))
            _finalAttention.Forward(arena, prompt, image, tokens, add: true);
        _finalNorm.Forward(arena, tokens, tokens);
    }
}

/// <summary>
/// Tokens to tokens, tokens to image, an MLP on tokens, image to tokens; each is added to its stream and normalised.
/// </summary>
sealed class TwoWayBlock(SamConfig config, Parameters parameters, string name, bool first)
{
    readonly TokenAttention _selfAttention = TokenAttention.Self(config, parameters, $"{name}.self_attn");
    readonly Norm _norm1 = new(parameters, $"{name}.norm1", config.OutChannels, TwoWayTransformer.Eps);
    readonly TokenAttention _tokenToImage =
        TokenAttention.TokenToImage(config, parameters, $"{name}.cross_attn_token_to_image");
    readonly Norm _norm2 = new(parameters, $"{name}.norm2", config.OutChannels, TwoWayTransformer.Eps);
    readonly Mlp _mlp = new(parameters, [$"{name}.mlp.lin1", $"{name}.mlp.lin2"],
        config.OutChannels, config.DecoderMlpDim, config.OutChannels);
    readonly Norm _norm3 = new(parameters, $"{name}.norm3", config.OutChannels, TwoWayTransformer.Eps);
    readonly Norm _norm4 = new(parameters, $"{name}.norm4", config.OutChannels, TwoWayTransformer.Eps);
    readonly TokenAttention _imageToToken =
        TokenAttention.ImageToToken(config, parameters, $"{name}.cross_attn_image_to_token");

    public void Forward(Arena arena, TokenSet prompt, TokenSet image, Tensor result)
    {
        Tensor tokens = prompt.X;
        using (arena.Scope("self_attn")) // in the first layer tokens are their own positions: neither added nor kept
        {
            TokenSet plain = first ? prompt with { Positions = null } : prompt;
            _selfAttention.Forward(arena, plain, plain, tokens, add: !first);
        }
        _norm1.Forward(arena, tokens, tokens);
        using (arena.Scope("cross_attn_token_to_image")) _tokenToImage.Forward(arena, prompt, image, tokens, add: true);
        _norm2.Forward(arena, tokens, tokens);
        using (arena.Scope("mlp")) _mlp.Forward(arena, tokens, tokens, add: true);
        _norm3.Forward(arena, tokens, tokens);
        if (image.Of is Tensor of) Gather.Forward(arena.Gpu, image.X, of, null, null, result);
        using (arena.Scope("cross_attn_image_to_token")) _imageToToken.Forward(arena, image, prompt, result, add: true);
        _norm4.Forward(arena, result, result);
    }
}

/// <summary>
/// Attention with q, k and v projected, to half of the channels where the image is one of its sides, and back.
/// </summary>
sealed class TokenAttention
{
    readonly DType _type; // of the attention itself
    readonly bool _fromImage, _toImage;
    readonly long _heads, _size;
    readonly Linear _q, _k, _v, _out;

    TokenAttention(
        SamConfig config, Parameters parameters, string name, bool fromImage = false, bool toImage = false)
    {
        (_fromImage, _toImage, _heads) = (fromImage, toImage, config.DecoderHeads);
        _type = fromImage || toImage ? parameters.Type : DType.F32;
        long c = config.OutChannels, inner = fromImage || toImage ? c / 2 : c;
        _size = inner / _heads;
        _q = new Linear(parameters, $"{name}.q_proj", c, inner, precise: !fromImage);
        _k = new Linear(parameters, $"{name}.k_proj", c, inner, precise: !toImage);
        _v = new Linear(parameters, $"{name}.v_proj", c, inner, precise: !toImage);
        _out = new Linear(parameters, $"{name}.out_proj", inner, c, precise: !fromImage);
    }

    public static TokenAttention Self(SamConfig config, Parameters parameters, string name) =>
        new(config, parameters, name);

    public static TokenAttention TokenToImage(SamConfig config, Parameters parameters, string name) =>
        new(config, parameters, name, toImage: true);

    public static TokenAttention ImageToToken(SamConfig config, Parameters parameters, string name) =>
        new(config, parameters, name, fromImage: true);

    /// <summary>y (P, T, C) = what the queries of one set find in the other, or y += that.</summary>
    public void Forward(Arena arena, TokenSet from, TokenSet to, Tensor y, bool add)
    {
        Gpu gpu = arena.Gpu;
        (long prompts, long queries) = (y.Shape[0], y.Shape[1]);
        Tensor found = arena.Take("found", _type, Heads(prompts, queries));
        using (arena.Scope("softmax"))
        {
            (Tensor q, Tensor? qTable) = Project(arena, "q", _q, from, _fromImage);
            (Tensor k, Tensor? kTable) = Project(arena, "k", _k, to, _toImage);
            Tensor v = Product(arena, "v", _v, to.X, bias: !_toImage);
            Tensor logSumExp = arena.Take("log_sum_exp", DType.F32, new Shape(prompts, _heads, queries));
            float scale = (float)(1 / Math.Sqrt(_size));
            CrossAttention.Forward(gpu, q, k, v, scale, found, logSumExp, qTable, kTable, from.Of, to.Of);
        }
        Tensor rows = Cast.To(arena, "rows", Rows(found), _out.Weight.DType);
        if (_toImage) Bias.Forward(gpu, rows, _v.Bias, rows); // here tokens are few, and a softmax's weights sum to 1
        _out.Forward(gpu, rows, y, add);
    }

    // (x + positions)·Wᵀ + bias. The image's positions and the bias go into a table, to be added by the attention.
    (Tensor Y, Tensor? Table) Project(Arena arena, string name, Linear linear, TokenSet set, bool image)
    {
        if (image)
        {
            Tensor positions = set.Positions!.Value; // (S, C)
            long tokens = positions.Shape[0];
            positions = positions.Reshape(new Shape(1, tokens, positions.Shape[1]));
            Tensor table = Product(arena, $"{name}_table", linear, positions, bias: true);
            return (Product(arena, name, linear, set.X, bias: false), table.Reshape(new Shape(tokens, _heads, _size)));
        }
        Tensor x = set.X;
        if (set.Positions is Tensor own)
        {
            x = arena.Take($"{name}_sum", DType.F32, own.Shape);
            Elementwise.Add(arena.Gpu, set.X, own, x);
        }
        return (Product(arena, name, linear, x, bias: true), null);
    }

    // x·Wᵀ, or x·Wᵀ + bias, in the type of W, then rounded to that of the attention.
    Tensor Product(Arena arena, string name, Linear linear, Tensor x, bool bias)
    {
        Gpu gpu = arena.Gpu;
        Tensor y = arena.Take(name, _type, Heads(x.Shape[0], x.Shape[1]));
        using ArenaScope scope = arena.Scope(name);
        Tensor product = linear.Weight.DType == _type ? y : arena.Take("product", linear.Weight.DType, y.Shape);
        linear.Multiply(gpu, x, Rows(product));
        if (bias) Bias.Forward(gpu, Rows(product), linear.Bias, Rows(product));
        if (product != y) Elementwise.Cast(gpu, product, y);
        return y;
    }

    Shape Heads(long batch, long tokens) => new(batch, tokens, _heads, _size);

    Tensor Rows(Tensor x) => x.Reshape(new Shape(x.Shape.Count / (_heads * _size), _heads * _size));
}

/// <summary>Linear layers with ReLU between them, on tokens: all f32.</summary>
sealed class Mlp
{
    readonly Linear[] _layers;
    readonly long _hidden;

    public Mlp(Parameters parameters, string[] names, long input, long hidden, long output)
    {
        _hidden = hidden;
        _layers = [.. names.Select((layer, i) => new Linear(
            parameters, layer, i == 0 ? input : hidden, i == names.Length - 1 ? output : hidden, precise: true))];
    }

    /// <summary>y (…, output) = the layers on x (…, input), or y += that. y may be x.</summary>
    public void Forward(Arena arena, Tensor x, Tensor y, bool add = false)
    {
        for (int i = 0; i < _layers.Length - 1; i++)
        {
            Tensor hidden = arena.Take($"hidden{i}", DType.F32, new Shape(x.Shape.Rows, _hidden));
            _layers[i].Multiply(arena.Gpu, x, hidden);
            Bias.Relu(arena.Gpu, hidden, _layers[i].Bias, hidden);
            x = hidden;
        }
        _layers[^1].Forward(arena.Gpu, x, y, add);
    }
}
