// The sizes of a Segment Anything model: the three published ones, a JSON file, or what a checkpoint's shapes tell.
// Shapes do not tell the number of heads of the mask decoder; all else is inferred.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>Sizes of a SAM model. The defaults are what the three published models share, and vit_b.</summary>
public sealed record SamConfig
{
    /// <summary>Side of the square input in pixels.</summary>
    public int ImageSize { get; init; } = 1024;
    /// <summary>Side of a patch; 16 is what the kernels have.</summary>
    public int PatchSize { get; init; } = 16;
    /// <summary>Channels of the image encoder.</summary>
    public int EmbedDim { get; init; } = 768;
    /// <summary>Blocks of the image encoder.</summary>
    public int Depth { get; init; } = 12;
    /// <summary>Heads of the image encoder; their size must be 16, 32, 64 or 80.</summary>
    public int Heads { get; init; } = 12;
    /// <summary>Hidden channels of a block's MLP.</summary>
    public int MlpDim { get; init; } = 3072;
    /// <summary>Side of the windows of all blocks without global attention.</summary>
    public int WindowSize { get; init; } = 14;
    /// <summary>Blocks, from 0, whose tokens see the whole image.</summary>
    public IntList GlobalBlocks { get; init; } = [2, 5, 8, 11];
    /// <summary>Channels of the embedding, prompts and decoder.</summary>
    public int OutChannels { get; init; } = 256;
    /// <summary>Channels between the convolutions of a mask prompt.</summary>
    public int MaskInChannels { get; init; } = 16;
    /// <summary>Layers of the mask decoder's transformer.</summary>
    public int DecoderDepth { get; init; } = 2;
    /// <summary>Heads of the mask decoder's attentions.</summary>
    public int DecoderHeads { get; init; } = 8;
    /// <summary>Hidden channels of the mask decoder's MLPs.</summary>
    public int DecoderMlpDim { get; init; } = 2048;
    /// <summary>Hidden channels of the head that predicts a mask's quality.</summary>
    public int IouHeadHiddenDim { get; init; } = 256;
    /// <summary>Layers of that head.</summary>
    public int IouHeadDepth { get; init; } = 3;
    /// <summary>Masks for an ambiguous prompt.</summary>
    public int MultimaskOutputs { get; init; } = 3;

    /// <summary>The base model.</summary>
    public static SamConfig VitB { get; } = new();

    /// <summary>The large model.</summary>
    public static SamConfig VitL { get; } =
        new() { EmbedDim = 1024, Depth = 24, Heads = 16, MlpDim = 4096, GlobalBlocks = [5, 11, 17, 23] };

    /// <summary>The huge model.</summary>
    public static SamConfig VitH { get; } =
        new() { EmbedDim = 1280, Depth = 32, Heads = 16, MlpDim = 5120, GlobalBlocks = [7, 15, 23, 31] };

    /// <summary>Names of the published models.</summary>
    public static IReadOnlyDictionary<string, SamConfig> Published { get; } =
        new Dictionary<string, SamConfig> { ["vit_b"] = VitB, ["vit_l"] = VitL, ["vit_h"] = VitH };

    /// <summary>Channels of one head of the image encoder.</summary>
    [JsonIgnore]
    public int HeadSize => EmbedDim / Heads;

    /// <summary>Tokens along one side of the image.</summary>
    [JsonIgnore]
    public int GridSize => ImageSize / PatchSize;

    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
    };

    /// <summary>As JSON, all sizes.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Layout);

    /// <summary>From JSON; sizes left out are vit_b's. Throws <see cref="SamConfigException"/>.</summary>
    public static SamConfig FromJson(string json)
    {
        try
        {
            SamConfig config = JsonSerializer.Deserialize<SamConfig>(json, Layout)
                ?? throw new SamConfigException("the model's sizes must be a JSON object, got null");
            config.Check();
            return config;
        }
        catch (JsonException e)
        {
            throw new SamConfigException($"the model's sizes cannot be read: {e.Message}");
        }
    }

    /// <summary>Throws <see cref="SamConfigException"/> naming the first size that is impossible.</summary>
    public void Check()
    {
        foreach ((string name, int value) in new[]
        {
            ("image_size", ImageSize), ("embed_dim", EmbedDim), ("depth", Depth), ("heads", Heads), ("mlp_dim", MlpDim),
            ("window_size", WindowSize), ("out_channels", OutChannels), ("mask_in_channels", MaskInChannels),
            ("decoder_depth", DecoderDepth), ("decoder_heads", DecoderHeads), ("decoder_mlp_dim", DecoderMlpDim),
            ("iou_head_hidden_dim", IouHeadHiddenDim), ("iou_head_depth", IouHeadDepth),
            ("multimask_outputs", MultimaskOutputs),
        })
        {
            if (value is < 1 or > 1 << 16) throw new SamConfigException($"{name} must be 1 to 65536, got {value}");
        }
        Require(PatchSize == 16, $"patch_size must be 16, got {PatchSize}");
        Require(ImageSize % PatchSize == 0,
            $"image_size must be a multiple of patch_size {PatchSize}, got {ImageSize}");
        Require(EmbedDim % Heads == 0 && HeadSize is 16 or 32 or 64 or 80,
            $"embed_dim / heads must be 16, 32, 64 or 80, got {EmbedDim} / {Heads}");
        Require(MlpDim % 4 == 0, $"mlp_dim must be a multiple of 4, got {MlpDim}");
        Require(OutChannels % 4 == 0, $"out_channels must be a multiple of 4, got {OutChannels}");
        Require(OutChannels % DecoderHeads == 0,
            $"out_channels {OutChannels} must be a multiple of decoder_heads {DecoderHeads}");
        foreach (int block in GlobalBlocks)
            Require(block >= 0 && block < Depth, $"global_blocks must be 0 to {Depth - 1}, got {block}");
    }

    /// <summary>Check, and what the kernels of prompt encoder and mask decoder ask for.</summary>
    internal void CheckDecoder()
    {
        Check();
        Require(OutChannels is 64 or 256, $"out_channels must be 64 or 256 for the mask decoder, got {OutChannels}");
        int size = OutChannels / DecoderHeads; // of a head among tokens; half of it where the image is one side
        Require(size is 16 or 32, $"out_channels / decoder_heads must be 16 or 32, got {OutChannels} / {DecoderHeads}");
        Require(MaskInChannels % 16 == 0, $"mask_in_channels must be a multiple of 16, got {MaskInChannels}");
        Require(DecoderMlpDim % 4 == 0, $"decoder_mlp_dim must be a multiple of 4, got {DecoderMlpDim}");
        Require(IouHeadHiddenDim % 4 == 0, $"iou_head_hidden_dim must be a multiple of 4, got {IouHeadHiddenDim}");
        Require(MultimaskOutputs % 4 == 3, $"multimask_outputs must be 3, 7, 11, ..., got {MultimaskOutputs}");
    }

    /// <summary>
    /// From the shapes of a checkpoint: all but the decoder's heads. Throws
    /// <see cref="SamConfigException"/> when it is no SAM.
    /// </summary>
    public static SamConfig Infer(IParameterSource source, int decoderHeads = 8)
    {
        const string Encoder = "image_encoder.", Decoder = "mask_decoder.";
        Shape patch = Need(source, Encoder + "patch_embed.proj.weight", 4),
            grid = Need(source, Encoder + "pos_embed", 4);
        Shape relative = Need(source, Encoder + "blocks.0.attn.rel_pos_h", 2);
        int depth = Count(source, Encoder + "blocks.{0}.norm1.weight");
        long[] lengths =
            [.. Enumerable.Range(0, depth).Select(i => Need(source, $"{Encoder}blocks.{i}.attn.rel_pos_h", 2)[0])];
        long whole = 2 * grid[1] - 1;
        Require(relative[1] > 0 && patch[2] > 0, "a checkpoint with empty tensors");
        SamConfig config = new()
        {
            ImageSize = Size(grid[1] * patch[2]), PatchSize = Size(patch[2]), EmbedDim = Size(patch[0]), Depth = depth,
            Heads = Size(patch[0] / relative[1]),
            MlpDim = Size(Need(source, Encoder + "blocks.0.mlp.lin1.weight", 2)[0]),
            WindowSize = Size((lengths.Where(l => l != whole).DefaultIfEmpty(27).First() + 1) / 2),
            GlobalBlocks = [.. Enumerable.Range(0, depth).Where(i => lengths[i] == whole)],
            OutChannels = Size(Need(source, Encoder + "neck.0.weight", 4)[0]),
        };
        if (source.TryGetShape(Decoder + "iou_token.weight", out _)) // an encoder alone is a model too
        {
            config = config with
            {
                DecoderHeads = decoderHeads,
                DecoderDepth = Count(source, Decoder + "transformer.layers.{0}.norm1.weight"),
                MaskInChannels = Size(Need(source, "prompt_encoder.mask_downscaling.3.weight", 4)[0]),
                DecoderMlpDim = Size(Need(source, Decoder + "transformer.layers.0.mlp.lin1.weight", 2)[0]),
                IouHeadHiddenDim = Size(Need(source, Decoder + "iou_prediction_head.layers.0.weight", 2)[0]),
                IouHeadDepth = Count(source, Decoder + "iou_prediction_head.layers.{0}.weight"),
                MultimaskOutputs = Size(Need(source, Decoder + "mask_tokens.weight", 2)[0] - 1),
            };
        }
        config.Check();
        return config;
    }

    static Shape Need(IParameterSource source, string name, int rank) =>
        !source.TryGetShape(name, out Shape shape)
            ? throw new SamConfigException($"not a SAM checkpoint: {name} is missing")
        : shape.Rank != rank
            ? throw new SamConfigException($"not a SAM checkpoint: {name} must have {rank} axes, got {shape}")
        : shape;

    static int Count(IParameterSource source, string pattern)
    {
        int count = 0;
        while (source.TryGetShape(string.Format(CultureInfo.InvariantCulture, pattern, count), out _)) count++;
        return count;
    }

    static int Size(long value) => (int)Math.Clamp(value, 0, int.MaxValue);

    static void Require(bool condition, string message)
    {
        if (!condition) throw new SamConfigException(message);
    }
}

/// <summary>The sizes of a model are impossible or cannot be read.</summary>
public sealed class SamConfigException(string message) : Exception(message);
