// SAM's image encoder, a plain vision transformer, as segment_anything/modeling/image_encoder.py: patch embedding,
// absolute positions, blocks with windowed or global attention, a neck of two convolutions. Channels last throughout.
// The stream x that all blocks add to is f32 in either precision; what is multiplied is of the model's precision.
//   B images, H x W tokens, E channels, N heads of K
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>Images to embeddings. Its parameters are placed when it is made, and filled by Parameters.Load.</summary>
public sealed class ImageEncoder
{
    // Of all norms here and of LayerNorm2d; PyTorch's default 1e-5 is the mask decoder's.
    internal const float Eps = 1e-6f;

    readonly SamConfig _config;
    readonly DType _type;
    readonly PatchEmbed _patchEmbed;
    readonly Tensor _posEmbed; // (1, H, W, E) f32
    readonly Block[] _blocks;
    readonly Neck _neck;

    /// <summary>Declares the parameters.</summary>
    /// <param name="config">Sizes; they are checked.</param>
    /// <param name="parameters">Where parameters go, and the precision.</param>
    /// <param name="name">What their names begin with.</param>
    public ImageEncoder(SamConfig config, Parameters parameters, string name = "image_encoder")
    {
        config.Check();
        (_config, _type) = (config, parameters.Type);
        long grid = config.GridSize;
        _posEmbed = parameters.Table($"{name}.pos_embed", PositionTables.Grid, 1, grid, grid, config.EmbedDim);
        _patchEmbed = new PatchEmbed(config, parameters, $"{name}.patch_embed");
        _blocks = [.. Enumerable.Range(0, config.Depth)
            .Select(i => new Block(config, parameters, $"{name}.blocks.{i}", i))];
        _neck = new Neck(config, parameters, $"{name}.neck");
    }

    /// <summary>Called after each stage with the reference's name for it and what the stage made; for tests.</summary>
    internal Action<string, Tensor>? Observe { get; set; }

    /// <summary>The shape of the input of a batch: (B, image size, image size, 3).</summary>
    public Shape InputShape(long batch) => new(batch, _config.ImageSize, _config.ImageSize, 3);

    /// <summary>The shape of its embeddings: (B, H, W, channels).</summary>
    public Shape OutputShape(long batch) => new(batch, _config.GridSize, _config.GridSize, _config.OutChannels);

    /// <summary>
    /// images (B, size, size, 3) f32, normalised and padded, to embedding (B, H, W, channels) of the model's precision.
    /// All working space comes from the arena and is given back. Does not synchronise.
    /// </summary>
    public void Forward(Arena arena, Tensor images, Tensor embedding)
    {
        long batch = images.Shape[0], grid = _config.GridSize;
        Expect.Same("ImageEncoder", "images", images, new Tensor(default, DType.F32, InputShape(batch)));
        Expect.Same("ImageEncoder", "embedding", embedding, new Tensor(default, _type, OutputShape(batch)));
        using ArenaScope scope = arena.Scope("image_encoder");
        Tensor x = arena.Take("x", DType.F32, new Shape(batch, grid, grid, _config.EmbedDim));
        using (arena.Scope("patch_embed")) _patchEmbed.Forward(arena, images, x);
        Run(arena, x, embedding);
    }

    /// <summary>
    /// The same from images as they come, pixels (h, w, 3) u8 RGB each, h and w at most the input's: normalised and
    /// padded on the way into patches; to embedding (B, H, W, channels).
    /// </summary>
    public void ForwardPixels(Arena arena, ReadOnlySpan<Tensor> pixels, Tensor embedding)
    {
        long batch = pixels.Length, grid = _config.GridSize;
        Expect.Same("ImageEncoder", "embedding", embedding, new Tensor(default, _type, OutputShape(batch)));
        using ArenaScope scope = arena.Scope("image_encoder");
        Tensor x = arena.Take("x", DType.F32, new Shape(batch, grid, grid, _config.EmbedDim));
        using (arena.Scope("patch_embed")) _patchEmbed.ForwardPixels(arena, pixels, x);
        Run(arena, x, embedding);
    }

    void Run(Arena arena, Tensor x, Tensor embedding) // x (B, H, W, E): the patches' tokens
    {
        Observe?.Invoke("patch_embed", x);
        AddPositions(arena.Gpu, x);
        for (int i = 0; i < _blocks.Length; i++)
        {
            using (arena.Scope($"blocks.{i}")) _blocks[i].Forward(arena, x);
            Observe?.Invoke($"block{i}", x);
        }
        using (arena.Scope("neck")) _neck.Forward(arena, x, embedding, Observe);
    }

    void AddPositions(Gpu gpu, Tensor x) // the same for every image
    {
        for (long b = 0; b < x.Shape[0]; b++)
        {
            Tensor image = _posEmbed with { Address = new(x.Address.Value + (ulong)(b * _posEmbed.Bytes)) };
            Elementwise.Add(gpu, image, _posEmbed, image);
        }
    }
}

/// <summary>Patches to tokens: a convolution as large as its stride.</summary>
sealed class PatchEmbed(SamConfig config, Parameters parameters, string name)
{
    // Of red, green and blue from 0 to 255 (segment_anything/build_sam.py).
    static readonly float[] Mean = [123.675f, 116.28f, 103.53f], Deviation = [58.395f, 57.12f, 57.375f];

    readonly DType _type = parameters.Type;
    readonly Tensor _weight =
        parameters.Matrix($"{name}.proj.weight", config.EmbedDim, 3, config.PatchSize, config.PatchSize);
    readonly Tensor _bias = parameters.Vector($"{name}.proj.bias", config.EmbedDim);

    public void Forward(Arena arena, Tensor images, Tensor x)
    {
        Tensor pixels = Cast.To(arena, "pixels", images, _type), patches = TakePatches(arena, x);
        Unfold.Forward(arena.Gpu, pixels, config.PatchSize, config.PatchSize, 0, patches);
        Project(arena.Gpu, patches, x);
    }

    public void ForwardPixels(Arena arena, ReadOnlySpan<Tensor> pixels, Tensor x)
    {
        Tensor patches = TakePatches(arena, x);
        Tensor first = patches with { Shape = new Shape(patches.Shape[1], patches.Shape[2], patches.Shape[3]) };
        for (int i = 0; i < pixels.Length; i++)
        {
            Tensor image = first with { Address = new(first.Address.Value + (ulong)(i * first.Bytes)) };
            Image.Patches(arena.Gpu, pixels[i], Mean, Deviation, image);
        }
        Project(arena.Gpu, patches, x);
    }

    Tensor TakePatches(Arena arena, in Tensor x) => arena.Take("patches", _type,
        new Shape(x.Shape[0], x.Shape[1], x.Shape[2], 3L * config.PatchSize * config.PatchSize));

    void Project(Gpu gpu, Tensor patches, Tensor x)
    {
        MatMul.Forward(gpu, patches, _weight, x);
        Bias.Forward(gpu, x, _bias, x);
    }
}

/// <summary>x += attention(norm1(x)); x += mlp(norm2(x)).</summary>
sealed class Block
{
    readonly DType _type;
    readonly long _window, _heads, _size, _hidden; // _window 0: the whole grid
    readonly Norm _norm1, _norm2;
    readonly Linear _qkv, _proj, _lin1, _lin2;
    readonly Tensor _relPosH, _relPosW;

    public Block(SamConfig config, Parameters parameters, string name, int index)
    {
        _type = parameters.Type;
        _window = config.GlobalBlocks.Contains(index) ? 0 : config.WindowSize;
        (_heads, _size, _hidden) = (config.Heads, config.HeadSize, config.MlpDim);
        long e = config.EmbedDim, span = _window > 0 ? _window : config.GridSize;
        _norm1 = new Norm(parameters, $"{name}.norm1", e, ImageEncoder.Eps);
        _relPosH = parameters.Table($"{name}.attn.rel_pos_h", PositionTables.Rows, 2 * span - 1, _size);
        _relPosW = parameters.Table($"{name}.attn.rel_pos_w", PositionTables.Rows, 2 * span - 1, _size);
        _qkv = new Linear(parameters, $"{name}.attn.qkv", e, 3 * e);
        _proj = new Linear(parameters, $"{name}.attn.proj", e, e);
        _norm2 = new Norm(parameters, $"{name}.norm2", e, ImageEncoder.Eps);
        _lin1 = new Linear(parameters, $"{name}.mlp.lin1", e, _hidden);
        _lin2 = new Linear(parameters, $"{name}.mlp.lin2", _hidden, e);
    }

    public void Forward(Arena arena, Tensor x) // (B, H, W, E) f32, in place
    {
        using (arena.Scope("attn")) Attend(arena, x);
        using (arena.Scope("mlp")) Mlp(arena, x);
    }

    // The reference pads tokens with zeros before qkv; their q, k and v are then the bias, and they do take part in the
    // softmax. Here the product is made of real tokens only, and the bias is added where windows are cut.
    void Attend(Arena arena, Tensor x)
    {
        Gpu gpu = arena.Gpu;
        (long b, long h, long w, long e) = (x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]);
        (long p, long q) = _window > 0 ? (_window, _window) : (h, w);
        long windows = Window.Count(b, h, w, p, q), tokens = p * q;
        Tensor qkv = arena.Take("qkv", _type, new Shape(windows, p, q, 3 * e));
        using (arena.Scope("in"))
        {
            Tensor y = arena.Take("norm1", _type, x.Shape);
            Tensor product = arena.Take("product", _type, new Shape(b, h, w, 3 * e));
            _norm1.Forward(arena, x, y);
            _qkv.Multiply(gpu, y, product);
            Window.Partition(gpu, product, _qkv.Bias, qkv);
        }
        qkv = qkv.Reshape(new Shape(windows, p, q, 3, _heads, _size));
        Tensor heads = arena.Take("heads", _type, new Shape(windows, p, q, _heads, _size));
        using (arena.Scope("softmax"))
        {
            Tensor relH = arena.Take("rel_h", _type, new Shape(windows, _heads, tokens, p));
            Tensor relW = arena.Take("rel_w", _type, new Shape(windows, _heads, tokens, q));
            Tensor logSumExp = arena.Take("log_sum_exp", DType.F32, new Shape(windows, _heads, tokens));
            RelPos.Forward(gpu, qkv, _relPosH, _relPosW, relH, relW);
            Attention.Forward(gpu, qkv, relH, relW, (float)(1 / Math.Sqrt(_size)), heads, logSumExp);
        }
        Tensor joined = arena.Take("joined", _type, x.Shape);
        Window.Reverse(gpu, heads.Reshape(new Shape(windows, p, q, e)), joined);
        _proj.AddTo(gpu, joined, x);
    }

    void Mlp(Arena arena, Tensor x)
    {
        Gpu gpu = arena.Gpu;
        Tensor y = arena.Take("norm2", _type, x.Shape);
        Tensor hidden = arena.Take("hidden", _type, new Shape(x.Shape[0], x.Shape[1], x.Shape[2], _hidden));
        _norm2.Forward(arena, x, y);
        _lin1.Multiply(gpu, y, hidden);
        Bias.Gelu(gpu, hidden, _lin1.Bias, hidden);
        _lin2.AddTo(gpu, hidden, x);
    }
}

/// <summary>1 x 1 convolution, LayerNorm2d, 3 x 3 convolution, LayerNorm2d; no biases.</summary>
sealed class Neck(SamConfig config, Parameters parameters, string name)
{
    readonly DType _type = parameters.Type;
    readonly Tensor _conv1 = parameters.Matrix($"{name}.0.weight", config.OutChannels, config.EmbedDim, 1, 1);
    readonly Norm _norm1 = new(parameters, $"{name}.1", config.OutChannels, ImageEncoder.Eps);
    readonly Tensor _conv2 = parameters.Matrix($"{name}.2.weight", config.OutChannels, config.OutChannels, 3, 3);
    readonly Norm _norm2 = new(parameters, $"{name}.3", config.OutChannels, ImageEncoder.Eps);

    public void Forward(Arena arena, Tensor x, Tensor embedding, Action<string, Tensor>? observe)
    {
        Gpu gpu = arena.Gpu;
        Shape shape = embedding.Shape;
        Tensor y = arena.Take("y", _type, shape);
        using (arena.Scope("0")) MatMul.Forward(gpu, Cast.To(arena, "x", x, _type), _conv1, y);
        observe?.Invoke("neck0", y);
        _norm1.Forward(arena, y, y);
        observe?.Invoke("neck1", y);
        using (arena.Scope("2"))
        {
            Tensor patches = arena.Take("patches", _type, new Shape(shape[0], shape[1], shape[2], 9 * shape[3]));
            Unfold.Forward(gpu, y, 3, 1, 1, patches);
            MatMul.Forward(gpu, patches, _conv2, embedding);
        }
        observe?.Invoke("neck2", embedding);
        _norm2.Forward(arena, embedding, embedding);
        observe?.Invoke("neck3", embedding);
    }
}
