// The transformer of SAM's mask decoder, as segment_anything/modeling/transformer.py: tokens of a prompt attend to each
// other and to the image, and the image attends to them. Two things are not as there, for memory and speed alone:
//   (x + positions)·Wᵀ is made as x·Wᵀ + positions·Wᵀ for the image, whose positions are the same for all prompts: a sum as
//     large as the image stream is never made;
//   before the first layer changes it, the image is the same for all its prompts (unless they have masks): its projections
//     there are made once an image.
// The tokens are f32 in either precision: seven residuals are added to them, and they are few. The image stream, by far
// the largest tensor, is of the model's precision: two residuals are added, each followed by a norm.
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
        _finalAttention = new TokenAttention(config, parameters, $"{name}.final_attn_token_to_image", config.OutChannels / 2);
        _finalNorm = new Norm(parameters, $"{name}.norm_final_attn", config.OutChannels, Eps);
    }

    /// <summary>tokens (P, T, C) f32, in place; what becomes of image, in result (P, S, C), which may be its X.</summary>
    public void Forward(Arena arena, Tensor tokens, TokenSet image, Tensor result, Action<string, Tensor>? observe)
    {
        Tensor positions = arena.Take("positions", tokens.DType, tokens.Shape); // the tokens as they come are their positions
        Elementwise.Copy(arena.Gpu, tokens, positions);
        TokenSet prompt = new(tokens, positions);
        for (int i = 0; i < _layers.Length; i++)
        {
            using (arena.Scope($"layers.{i}")) _layers[i].Forward(arena, prompt, image, result);
            image = new TokenSet(result, image.Positions);
            observe?.Invoke($"layer{i}_tokens", tokens);
            observe?.Invoke($"layer{i}_image", result);
        }
        using (arena.Scope("final_attn_token_to_image")) _finalAttention.Forward(arena, prompt, image, tokens, add: true);
        _finalNorm.Forward(arena, tokens, tokens);
    }
}

/// <summary>Tokens to tokens, tokens to image, an MLP on tokens, image to tokens; each added to its stream and normalised.</summary>
sealed class TwoWayBlock(SamConfig config, Parameters parameters, string name, bool first)
{
    readonly TokenAttention _selfAttention = new(config, parameters, $"{name}.self_attn", config.OutChannels);
    readonly Norm _norm1 = new(parameters, $"{name}.norm1", config.OutChannels, TwoWayTransformer.Eps);
    readonly TokenAttention _tokenToImage =
        new(config, parameters, $"{name}.cross_attn_token_to_image", config.OutChannels / 2);
    readonly Norm _norm2 = new(parameters, $"{name}.norm2", config.OutChannels, TwoWayTransformer.Eps);
    readonly Mlp _mlp = new(parameters, [$"{name}.mlp.lin1", $"{name}.mlp.lin2"],
        config.OutChannels, config.DecoderMlpDim, config.OutChannels);
    readonly Norm _norm3 = new(parameters, $"{name}.norm3", config.OutChannels, TwoWayTransformer.Eps);
    readonly Norm _norm4 = new(parameters, $"{name}.norm4", config.OutChannels, TwoWayTransformer.Eps);
    readonly TokenAttention _imageToToken =
        new(config, parameters, $"{name}.cross_attn_image_to_token", config.OutChannels / 2);

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

/// <summary>Attention with q, k and v projected to fewer channels, and back.</summary>
sealed class TokenAttention(SamConfig config, Parameters parameters, string name, long inner)
{
    readonly DType _type = parameters.Type;
    readonly long _heads = config.DecoderHeads, _size = inner / config.DecoderHeads;
    readonly Linear _q = new(parameters, $"{name}.q_proj", config.OutChannels, inner);
    readonly Linear _k = new(parameters, $"{name}.k_proj", config.OutChannels, inner);
    readonly Linear _v = new(parameters, $"{name}.v_proj", config.OutChannels, inner);
    readonly Linear _out = new(parameters, $"{name}.out_proj", inner, config.OutChannels);

    /// <summary>y (P, T, C) = what the queries of one set find in the other, or y += that.</summary>
    public void Forward(Arena arena, TokenSet from, TokenSet to, Tensor y, bool add)
    {
        Gpu gpu = arena.Gpu;
        (long prompts, long queries, long keys) = (y.Shape[0], y.Shape[1], to.X.Shape[1]);
        Tensor found = arena.Take("found", _type, new Shape(prompts, queries, _heads, _size)), rows = Rows(found);
        using (arena.Scope("softmax"))
        {
            (Tensor q, Tensor? qTable) = Project(arena, "q", _q, from);
            (Tensor k, Tensor? kTable) = Project(arena, "k", _k, to);
            Tensor v = Multiply(arena, "v", _v, to.X);
            Tensor logSumExp = arena.Take("log_sum_exp", DType.F32, new Shape(prompts, _heads, queries));
            if (keys <= queries) Bias.Forward(gpu, Rows(v), _v.Bias, Rows(v));
            CrossAttention.Forward(gpu, q, k, v, (float)(1 / Math.Sqrt(_size)), found, logSumExp, qTable, kTable, from.Of, to.Of);
            if (keys > queries) Bias.Forward(gpu, rows, _v.Bias, rows); // the same, as the weights of a softmax sum to 1
        }
        _out.Forward(gpu, rows, y, add);
    }

    // (x + positions)·Wᵀ + bias. The image's positions go into a table, to be added by the attention.
    (Tensor Y, Tensor? Table) Project(Arena arena, string name, Linear linear, TokenSet set)
    {
        Gpu gpu = arena.Gpu;
        if (set.Positions is Tensor { Shape.Rank: 2 } positions)
        {
            Tensor table = arena.Take($"{name}_table", _type, new Shape(positions.Shape[0], _heads, _size)), sums = Rows(table);
            linear.Multiply(gpu, positions, sums);
            Bias.Forward(gpu, sums, linear.Bias, sums);
            return (Multiply(arena, name, linear, set.X), table);
        }
        Tensor x = set.X;
        if (set.Positions is Tensor own)
        {
            x = arena.Take($"{name}_sum", DType.F32, x.Shape);
            Elementwise.Add(gpu, set.X, own, x);
        }
        Tensor y = Multiply(arena, name, linear, x);
        Bias.Forward(gpu, Rows(y), linear.Bias, Rows(y));
        return (y, null);
    }

    Tensor Multiply(Arena arena, string name, Linear linear, Tensor x)
    {
        Tensor y = arena.Take(name, _type, new Shape(x.Shape[0], x.Shape[1], _heads, _size));
        using ArenaScope scope = arena.Scope(name);
        linear.Multiply(arena.Gpu, Cast.To(arena, "x", x, _type), Rows(y));
        return y;
    }

    static Tensor Rows(Tensor heads) => heads.Reshape(new Shape(heads.Shape.Count / (heads.Shape[^1] * heads.Shape[^2]),
        heads.Shape[^1] * heads.Shape[^2]));
}

/// <summary>Linear layers with ReLU between them, on tokens.</summary>
sealed class Mlp
{
    readonly DType _type;
    readonly Linear[] _layers;
    readonly long _hidden;

    public Mlp(Parameters parameters, string[] names, long input, long hidden, long output)
    {
        (_type, _hidden) = (parameters.Type, hidden);
        _layers = [.. names.Select((layer, i) =>
            new Linear(parameters, layer, i == 0 ? input : hidden, i == names.Length - 1 ? output : hidden))];
    }

    /// <summary>y (…, output) = the layers on x (…, input), or y += that; both f32. y may be x.</summary>
    public void Forward(Arena arena, Tensor x, Tensor y, bool add = false)
    {
        for (int i = 0; i < _layers.Length - 1; i++)
        {
            Tensor hidden = arena.Take($"hidden{i}", _type, new Shape(x.Shape.Rows, _hidden));
            _layers[i].Multiply(arena.Gpu, Cast.To(arena, "x", x, _type), hidden);
            Bias.Relu(arena.Gpu, hidden, _layers[i].Bias, hidden);
            x = hidden;
        }
        _layers[^1].Forward(arena.Gpu, x, y, add);
    }
}
