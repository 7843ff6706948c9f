// The transformer of SAM's mask decoder, as segment_anything/modeling/transformer.py: tokens of a prompt attend to each
// other and to the image, and the image attends to them. Two things are not as there, for memory and speed alone:
//   (x + positions)·Wᵀ is made as x·Wᵀ + positions·Wᵀ for the image, whose positions are the same for all prompts: a
//     sum as large as the image stream is never made;
//   before the first layer changes it, the image is the same for all its prompts (unless they have masks): its
//     projections there are made once an image.
// In bf16 only what is as large as the image is bf16: its stream, its projections and the attention that reads them.
// What is made of prompt tokens alone (stream, projections, MLPs and their weights) is f32: 2 % of the work, and in
// bf16 it would be half of the error. The image stream may be rounded: each of its two residuals ends in a norm.
// On a tape that does not record streams change in place; on one that does each sum and norm has memory of its own.
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

    /// <summary>
    /// tokens (P, T, C) f32, and result (P, S, C), which may be the image's X, are where tokens and image become what
    /// is returned; when recording they stay as they are.
    /// </summary>
    public (Tensor Tokens, Tensor Image) Forward(
        Tape tape, Tensor tokens, TokenSet image, Tensor result, Action<string, Tensor>? observe)
    {
        Arena arena = tape.Arena;
        Tensor positions = tokens; // the tokens as they come are their positions
        if (!tape.Recording)
        {
            positions = arena.Take("positions", tokens.DType, tokens.Shape);
            Elementwise.Copy(arena.Gpu, tokens, positions);
        }
        TokenSet prompt = new(tokens, positions);
        for (int i = 0; i < _layers.Length; i++)
        {
            using (arena.Scope($"layers.{i}")) (prompt, image) = _layers[i].Forward(tape, prompt, image, result);
            observe?.Invoke($"layer{i}_tokens", prompt.X);
            observe?.Invoke($"layer{i}_image", image.X);
        }
        using (arena.Scope("final_attn_token_to_image"))
            tokens = _finalAttention.Forward(tape, prompt, image, prompt.X, add: true);
        return (_finalNorm.Forward(tape, tokens), image.X);
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

    public (TokenSet Prompt, TokenSet Image) Forward(Tape tape, TokenSet prompt, TokenSet image, Tensor result)
    {
        Arena arena = tape.Arena;
        Tensor tokens = prompt.X, stream = image.X;
        using (arena.Scope("self_attn")) // in the first layer tokens are their own positions: neither added nor kept
        {
            TokenSet plain = first ? prompt with { Positions = null } : prompt;
            tokens = _selfAttention.Forward(tape, plain, plain, tokens, add: !first);
        }
        tokens = _norm1.Forward(tape, tokens);
        using (arena.Scope("cross_attn_token_to_image"))
            tokens = _tokenToImage.Forward(tape, prompt with { X = tokens }, image, tokens, add: true);
        tokens = _norm2.Forward(tape, tokens);
        using (arena.Scope("mlp"))
        {
            Tensor sum = Steps.Own(tape, tokens);
            _mlp.Forward(tape, tokens, sum, add: true);
            tokens = sum;
        }
        prompt = prompt with { X = _norm3.Forward(tape, tokens) };
        if (image.Of is Tensor of) stream = Spread(tape, image.X, of, tokens.Shape[0], result);
        using (arena.Scope("cross_attn_image_to_token"))
            stream = _imageToToken.Forward(tape, image, prompt, stream, add: true);
        return (prompt, new TokenSet(_norm4.Forward(tape, stream), image.Positions));
    }

    // To each prompt its image.
    static Tensor Spread(Tape tape, Tensor x, Tensor of, long prompts, Tensor result)
    {
        Tensor y = tape.Recording ? tape.New("image", x.DType, new Shape(prompts, x.Shape[1], x.Shape[2])) : result;
        Gather.Forward(tape.Gpu, x, of, null, null, y);
        tape.Push("gather", y,
            () => tape.Accumulate(x, dx => Gather.Backward(tape.Gpu, tape.GradientOf(y), of, dx)), x);
        return y;
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

    /// <summary>
    /// y (P, T, C) = what the queries of one set find in the other, or y += that; the result is y, or when recording in
    /// memory of its own.
    /// </summary>
    public Tensor Forward(Tape tape, TokenSet from, TokenSet to, Tensor y, bool add)
    {
        Arena arena = tape.Arena;
        (long prompts, long queries) = (y.Shape[0], y.Shape[1]);
        Tensor found = tape.New("found", _type, Heads(prompts, queries));
        using (arena.Scope("softmax"))
        {
            (Tensor q, Tensor? qTable) = Project(tape, "q", _q, from, _fromImage);
            (Tensor k, Tensor? kTable) = Project(tape, "k", _k, to, _toImage);
            Tensor v = Product(tape, "v", _v, to.X, bias: !_toImage);
            Tensor logSumExp = tape.New("log_sum_exp", DType.F32, new Shape(prompts, _heads, queries));
            Call call = new(q, k, v, qTable, kTable, from.Of, to.Of, found, logSumExp);
            CrossAttention.Forward(tape.Gpu, q, k, v, Scale, found, logSumExp, qTable, kTable, from.Of, to.Of);
            tape.Push("attention", found, () => Backward(tape, call), q, k, v, qTable ?? q, kTable ?? k);
        }
        Tensor rows = Cast.To(tape, "rows", Rows(found), _out.Weight.DType);
        if (_toImage) rows = AddBias(tape, rows, found); // here tokens are few, and a softmax's weights sum to 1
        if (tape.Recording) y = add ? Steps.Own(tape, y) : tape.New("y", y.DType, y.Shape);
        _out.Forward(tape, rows, y, add);
        return y;
    }

    // What of an attention backward needs.
    readonly record struct Call(Tensor Q, Tensor K, Tensor V, Tensor? QTable, Tensor? KTable, Tensor? QOf, Tensor? KvOf,
        Tensor Found, Tensor LogSumExp);

    float Scale => (float)(1 / Math.Sqrt(_size));

    void Backward(Tape tape, Call call)
    {
        (Gpu gpu, Tensor found) = (tape.Gpu, call.Found);
        Shape keys = Heads(found.Shape[0], call.K.Shape[1]);
        Tensor delta = tape.Arena.Take("delta", DType.F32, call.LogSumExp.Shape);
        Tensor parts = tape.Arena.Take("parts", DType.F32, CrossAttention.PartsShape(found, call.K));
        Tensor dq = tape.Arena.Take("dq", _type, found.Shape);
        Tensor dk = tape.Arena.Take("dk", _type, keys), dv = tape.Arena.Take("dv", _type, keys);
        CrossAttention.Backward(gpu, call.Q, call.K, call.V, Scale, found, call.LogSumExp, tape.GradientOf(found),
            delta, parts, dq, dk, dv, call.QTable, call.KTable, call.QOf, call.KvOf);
        Give(call.Q, dq, call.QOf);
        Give(call.K, dk, call.KvOf);
        Give(call.V, dv, call.KvOf);
        if (call.QTable is Tensor qTable) tape.Accumulate(qTable, d => ColumnSum.Few(gpu, dq, d));
        if (call.KTable is Tensor kTable) tape.Accumulate(kTable, d => ColumnSum.Few(gpu, dk, d));

        void Give(Tensor x, Tensor gradient, Tensor? of) => tape.Accumulate(x, dx =>
        {
            if (of is Tensor image) Gather.Backward(gpu, gradient, image, dx);
            else Elementwise.Copy(gpu, gradient, dx);
        });
    }

    // In place, unless backward needs what was found.
    Tensor AddBias(Tape tape, Tensor rows, Tensor found)
    {
        bool own = tape.Recording && rows.Address == found.Address;
        Tensor y = own ? tape.New("rows", rows.DType, rows.Shape) : rows;
        Bias.Forward(tape.Gpu, rows, _v.Bias, y);
        tape.Push("bias", y, () =>
        {
            Steps.BiasGradient(tape, tape.GradientOf(y), _v.Bias);
            if (own) tape.Share(y, rows);
        }, rows, _v.Bias);
        return y;
    }

    // (x + positions)·Wᵀ + bias. The image's positions and the bias go into a table, to be added by the attention.
    (Tensor Y, Tensor? Table) Project(Tape tape, string name, Linear linear, TokenSet set, bool image)
    {
        if (image)
        {
            Tensor positions = set.Positions!.Value; // (S, C)
            long tokens = positions.Shape[0];
            positions = positions.Reshape(new Shape(1, tokens, positions.Shape[1]));
            Tensor table = Product(tape, $"{name}_table", linear, positions, bias: true);
            return (Product(tape, name, linear, set.X, bias: false), table.Reshape(new Shape(tokens, _heads, _size)));
        }
        Tensor x = set.X;
        if (set.Positions is Tensor own)
        {
            x = tape.New($"{name}_sum", DType.F32, own.Shape);
            Steps.Add(tape, set.X, own, x);
        }
        return (Product(tape, name, linear, x, bias: true), null);
    }

    // x·Wᵀ, or x·Wᵀ + bias, in the type of W, then rounded to that of the attention.
    Tensor Product(Tape tape, string name, Linear linear, Tensor x, bool bias)
    {
        (Gpu gpu, DType type) = (tape.Gpu, linear.Weight.DType);
        Tensor y = tape.New(name, _type, Heads(x.Shape[0], x.Shape[1]));
        using ArenaScope scope = tape.Arena.Scope(name);
        Tensor product = type == _type ? y : tape.Arena.Take("product", type, y.Shape);
        linear.Multiply(gpu, x, Rows(product));
        if (bias) Bias.Forward(gpu, Rows(product), linear.Bias, Rows(product));
        if (product != y) Elementwise.Cast(gpu, product, y);
        tape.Push(name, y, () =>
        {
            Tensor dy = tape.GradientOf(y), d = type == _type ? dy : tape.Arena.Take("d", type, y.Shape);
            if (type != _type) Elementwise.Cast(gpu, dy, d);
            linear.Backward(tape, x, Rows(d), bias);
        }, x, linear.Weight, linear.Bias);
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

    /// <summary>
    /// y (…, output) = the layers on x (…, input), or y += that; y from tape.New, unless recording it may be x.
    /// </summary>
    public void Forward(Tape tape, Tensor x, Tensor y, bool add = false)
    {
        for (int i = 0; i < _layers.Length - 1; i++)
        {
            (Linear layer, Tensor input) = (_layers[i], x);
            Tensor hidden = tape.New($"hidden{i}", DType.F32, new Shape(x.Shape.Rows, _hidden));
            layer.Multiply(tape.Gpu, x, hidden);
            Bias.Relu(tape.Gpu, hidden, layer.Bias, hidden);
            tape.Push("linear_relu", hidden, () =>
            {
                Tensor d = tape.Arena.Take("d", DType.F32, hidden.Shape);
                Bias.ReluBackward(tape.Gpu, hidden, tape.GradientOf(hidden), d);
                layer.Backward(tape, input, d, bias: true);
            }, input, layer.Weight, layer.Bias);
            x = hidden;
        }
        _layers[^1].Forward(tape, x, y, add);
    }
}
