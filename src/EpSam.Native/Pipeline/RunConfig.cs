// All that decides what a run does, with EP-SAM's published values as defaults (systems of the paper: 1_train_patch_
// classifier.py, 2_generate_initial_mask.py, 3_preliminary_fine_tuning.py, 4_iterative_re_training.py). It is written
// into the run's folder with every value, and a run is only resumed with the same one.
using System.Text.Json;
using System.Text.Json.Serialization;
using EpSam.Native.Models;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Pipeline;

/// <summary>The configuration of a run.</summary>
public sealed record RunConfig
{
    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>How images are found and split.</summary>
    public DataConfig Data { get; init; } = new();
    /// <summary>Stage 1.</summary>
    public ClassifierConfig Classifier { get; init; } = new();
    /// <summary>Stage 2.</summary>
    public CamConfig Cam { get; init; } = new();
    /// <summary>Stages 3 and 4.</summary>
    public DecoderConfig Decoder { get; init; } = new();
    /// <summary>Where the published code differs from what it means to do.</summary>
    public CompatConfig Compat { get; init; } = new();
    /// <summary>fp32 or bf16: what is multiplied. Sums, norms, gradients of parameters and moments are fp32.</summary>
    public string Precision { get; init; } = "fp32";
    /// <summary>Most device memory, for example "12GiB"; null: no limit.</summary>
    public string? MemoryBudget { get; init; }
    /// <summary>Seconds between two saved states of a training stage. Results do not depend on it.</summary>
    public double SaveSeconds { get; init; } = 60;

    /// <summary>What is multiplied, as the device knows it.</summary>
    [JsonIgnore]
    public DType Type => Precision switch
    {
        "fp32" => DType.F32,
        "bf16" => DType.BF16,
        _ => throw new RunException($"precision must be fp32 or bf16, got {Precision}"),
    };

    /// <summary>Most bytes of device memory; null: no limit.</summary>
    [JsonIgnore]
    public long? BudgetBytes => MemoryBudget is string budget ? Sizes.Parse(budget) : null;

    /// <summary>As JSON, all values.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Layout);

    /// <summary>
    /// From JSON; what is left out has its default. Names that are none of ours are refused. Throws
    /// <see cref="RunException"/>.
    /// </summary>
    public static RunConfig FromJson(string json)
    {
        try
        {
            RunConfigKeys.CheckNames(json);
            RunConfig config = JsonSerializer.Deserialize<RunConfig>(json, Layout)
                ?? throw new RunException("the configuration must be a JSON object, got null");
            config.Check();
            return config;
        }
        catch (JsonException e)
        {
            string where = e.Path is { Length: > 2 } path ? $" at {path[2..]}" : "";
            string what = where.Length > 0 ? "the value cannot be read" : e.Message;
            throw new RunException($"the configuration is wrong{where}: {what}"
                + (e.LineNumber is long line ? $" (line {line + 1})" : ""), e);
        }
    }

    /// <summary>Throws <see cref="RunException"/> naming the first value that is impossible.</summary>
    public void Check()
    {
        Require(Precision is "fp32" or "bf16", "precision", Precision, "fp32 or bf16");
        RequireSize("memory_budget", MemoryBudget ?? "1GiB", mayBeNone: false);
        Require(SaveSeconds >= 0, "save_seconds", SaveSeconds, "0 or more");
        Require(Data.ValidationShare is >= 0 and < 1, "data.validation_share", Data.ValidationShare, "0 to below 1");
        CheckClassifier(Classifier);
        CheckAugmentation(Classifier.Augmentation);
        CheckCam(Cam);
        CheckDecoder(Decoder);
    }

    static void CheckClassifier(ClassifierConfig c)
    {
        try
        {
            c.Model.Check();
        }
        catch (ArgumentException e)
        {
            throw new RunException($"classifier: {e.Message}", e);
        }
        Require(c.Size is >= 32 and <= 4096, "classifier.size", c.Size, "32 to 4096");
        Require(c.Batch >= 1, "classifier.batch", c.Batch, "1 or more");
        Require(c.Accumulate >= 1, "classifier.accumulate", c.Accumulate, "1 or more");
        Require(c.Epochs >= 1, "classifier.epochs", c.Epochs, "1 or more");
        Require(c.Rate is > 0 and <= 1, "classifier.rate", c.Rate, "above 0, at most 1");
        Require(c.WeightDecay is >= 0 and <= 1, "classifier.weight_decay", c.WeightDecay, "0 to 1");
        Require(c.RateEvery >= 1, "classifier.rate_every", c.RateEvery, "1 or more");
        Require(c.RateFactor is > 0 and <= 1, "classifier.rate_factor", c.RateFactor, "above 0, at most 1");
        Require(c.MaxNorm is null or > 0, "classifier.max_norm", c.MaxNorm ?? 0, "null or above 0");
        Require(c.Patience >= 1, "classifier.patience", c.Patience, "1 or more");
    }

    static void CheckAugmentation(PatchAugmentationConfig a)
    {
        const string At = "classifier.augmentation.", Share = "0 to 1";
        Require(a.HorizontalFlip is >= 0 and <= 1, At + "horizontal_flip", a.HorizontalFlip, Share);
        Require(a.VerticalFlip is >= 0 and <= 1, At + "vertical_flip", a.VerticalFlip, Share);
        Require(a.Rotation is >= 0 and <= 360, At + "rotation", a.Rotation, "0 to 360");
        Require(a.Brightness is >= 0 and <= 1, At + "brightness", a.Brightness, Share);
        Require(a.Contrast is >= 0 and <= 1, At + "contrast", a.Contrast, Share);
        Require(a.Saturation is >= 0 and <= 1, At + "saturation", a.Saturation, Share);
        Require(a.Hue is >= 0 and <= 0.5, At + "hue", a.Hue, "0 to 0.5");
        Require(a.Grayscale is >= 0 and <= 1, At + "grayscale", a.Grayscale, Share);
    }

    static void CheckCam(CamConfig c)
    {
        CamMaskRule rule = c.Effective;
        Require(rule.Percentile is >= 0 and <= 100, "cam.general.percentile", rule.Percentile, "0 to 100");
        Require(rule.Level is >= 0 and <= 255, "cam.general.level", rule.Level, "0 to 255");
        Require(rule.Opening is >= 1 and <= 255, "cam.general.opening", rule.Opening, "1 to 255");
        Require(rule.Smoothing is >= 0 and <= 1000, "cam.general.smoothing", rule.Smoothing, "0 to 1000");
        Require(rule.Logit is null || double.IsFinite(rule.Logit.Value), "cam.general.logit", rule.Logit ?? 0,
            "null or a number");
        Require(!rule.Otsu || rule.Logit is not null, "cam.general.otsu", "true", "false, or a number for logit");
        Require(c.Scale is null or (> 0 and <= 16), "cam.scale", c.Scale ?? 0, "null or above 0, at most 16");
    }

    static void CheckDecoder(DecoderConfig d)
    {
        Require(d.Rounds is >= 0 and <= 100, "decoder.rounds", d.Rounds, "0 to 100");
        Require(d.Points is >= 1 and <= 1000, "decoder.points", d.Points, "1 to 1000");
        Require(d.Batch >= 1, "decoder.batch", d.Batch, "1 or more");
        Require(d.Epochs >= 1, "decoder.epochs", d.Epochs, "1 or more");
        Require(d.Rate is > 0 and <= 1, "decoder.rate", d.Rate, "above 0, at most 1");
        Require(d.WeightDecay is >= 0 and <= 1, "decoder.weight_decay", d.WeightDecay, "0 to 1");
        Require(d.MaxNorm is null or > 0, "decoder.max_norm", d.MaxNorm ?? 0, "null or above 0");
        Require(d.CrossEntropy is >= 0 and <= 1e6, "decoder.cross_entropy", d.CrossEntropy, "0 to 1e6");
        Require(d.Patience >= 1, "decoder.patience", d.Patience, "1 or more");
        Require(d.KeepFrom is >= 0 and <= 1, "decoder.keep_from", d.KeepFrom, "0 to 1");
        Require(d.Augmentation is >= 0 and <= 1, "decoder.augmentation", d.Augmentation, "0 to 1");
        RequireSize("decoder.cache", d.Cache, mayBeNone: true);
    }

    static void Require(bool isRight, string key, object value, string expected)
    {
        if (!isRight)
            throw new RunException(FormattableString.Invariant($"{key} is {value}; expected {expected}"));
    }

    static void RequireSize(string key, string text, bool mayBeNone)
    {
        if (mayBeNone && text == "0") return;
        try
        {
            Sizes.Parse(text);
        }
        catch (FormatException e)
        {
            throw new RunException($"{key}: {e.Message}", e);
        }
    }
}

/// <summary>How images are found and split.</summary>
public sealed record DataConfig
{
    /// <summary>
    /// The share of training images that becomes the validation set where the data has none; 0: that is an error.
    /// </summary>
    public double ValidationShare { get; init; }
    /// <summary>Decides which.</summary>
    public ulong Seed { get; init; } = 22;
}

/// <summary>The patch classifier and its training.</summary>
public sealed record ClassifierConfig
{
    /// <summary>Bottleneck blocks of the four stages: ResNet-50's.</summary>
    public IntList Blocks { get; init; } = [3, 4, 6, 3];
    /// <summary>Channels of the first convolution.</summary>
    public int Width { get; init; } = 64;
    /// <summary>How often an ADL layer drops rather than weighs.</summary>
    public double DropRate { get; init; } = 0.75;
    /// <summary>
    /// Positions below this share of the largest mean are kept by a drop mask; above 1 (with a drop rate of 1): no ADL.
    /// </summary>
    public float DropThreshold { get; init; } = 0.8f;
    /// <summary>What training keeps; the rest is computed again. Results do not depend on it.</summary>
    public Recompute Recompute { get; init; } = Recompute.Large;
    /// <summary>A ResNet checkpoint (ImageNet) to begin with; null: random.</summary>
    public string? Init { get; init; }
    /// <summary>Patches are resized to this side.</summary>
    public int Size { get; init; } = 512;
    /// <summary>Patches of a step.</summary>
    public int Batch { get; init; } = 16;
    /// <summary>Steps of the model for each step of the optimiser: gradients are added up.</summary>
    public int Accumulate { get; init; } = 1;
    /// <summary>Most passes over the training patches.</summary>
    public int Epochs { get; init; } = 50;
    /// <summary>Learning rate.</summary>
    public double Rate { get; init; } = 1e-5;
    /// <summary>Adam's L2 term.</summary>
    public double WeightDecay { get; init; } = 1e-3;
    /// <summary>Epochs after which the rate falls.</summary>
    public int RateEvery { get; init; } = 10;
    /// <summary>By this factor.</summary>
    public double RateFactor { get; init; } = 0.9;
    /// <summary>Gradients are scaled down to this norm; null: never.</summary>
    public double? MaxNorm { get; init; }
    /// <summary>Epochs without a smaller validation loss that end training.</summary>
    public int Patience { get; init; } = 25;
    /// <summary>Patches with tumour and without are drawn equally often, however many there are of each.</summary>
    public bool Balance { get; init; }
    /// <summary>Of order, augmentation, drops and initial weights.</summary>
    public ulong Seed { get; init; } = 22;
    /// <summary>Random changes of training patches.</summary>
    public PatchAugmentationConfig Augmentation { get; init; } = new();

    /// <summary>The model's sizes.</summary>
    [JsonIgnore]
    public ResNetAdlConfig Model => new()
    {
        Blocks = Blocks, Width = Width, DropRate = DropRate, DropThreshold = DropThreshold, Recompute = Recompute,
    };
}

/// <summary>Random changes of training patches, in this order (torchvision's meaning of each).</summary>
public sealed record PatchAugmentationConfig
{
    /// <summary>Probability of a horizontal flip.</summary>
    public double HorizontalFlip { get; init; } = 0.5;
    /// <summary>Probability of a vertical flip.</summary>
    public double VerticalFlip { get; init; } = 0.5;
    /// <summary>Rotation by an angle evenly from 0 to this, in degrees; corners become black.</summary>
    public double Rotation { get; init; } = 360;
    /// <summary>Rotation by quarter turns, all equally likely, before the other.</summary>
    public bool QuarterTurns { get; init; }
    /// <summary>Factor evenly from 1 - b to 1 + b.</summary>
    public double Brightness { get; init; } = 0.2;
    /// <summary>Factor evenly from 1 - c to 1 + c.</summary>
    public double Contrast { get; init; } = 0.2;
    /// <summary>Factor evenly from 1 - s to 1 + s.</summary>
    public double Saturation { get; init; } = 0.2;
    /// <summary>Shift evenly from -h to h, of the whole circle; at most 0.5.</summary>
    public double Hue { get; init; } = 0.2;
    /// <summary>Probability of losing colour.</summary>
    public double Grayscale { get; init; } = 0.1;
}

/// <summary>From activations to initial masks.</summary>
public sealed record CamConfig
{
    /// <summary>camelyon16 or camelyon17 (the published rules), or general: the values below.</summary>
    public string Rule { get; init; } = "camelyon17";
    /// <summary>The general rule's values.</summary>
    public CamMaskRule General { get; init; } = CamMaskRule.Camelyon17;
    /// <summary>Activations of the whole last stage rather than of its first block.</summary>
    public bool WholeStage { get; init; }
    /// <summary>
    /// Images are resized by this before the classifier sees them; null: as its training patches were resized to
    /// classifier.size, so that it sees tissue as large as it has learnt it.
    /// </summary>
    public double? Scale { get; init; }

    /// <summary>The rule in force.</summary>
    [JsonIgnore]
    public CamMaskRule Effective => Rule switch
    {
        "camelyon16" => CamMaskRule.Camelyon16,
        "camelyon17" => CamMaskRule.Camelyon17,
        "general" => General,
        _ => throw new RunException($"cam.rule must be camelyon16, camelyon17 or general, got {Rule}"),
    };
}

/// <summary>What the best epoch of a mask decoder is chosen by.</summary>
public enum DecoderValidation
{
    /// <summary>The true masks of validation images, as published; activation maps' where there are none.</summary>
    Truth,
    /// <summary>The masks of their activation maps: nothing but labels of images is used.</summary>
    Cam,
}

/// <summary>Training of the mask decoder, first on initial masks, then on its own in rounds.</summary>
public sealed record DecoderConfig
{
    /// <summary>Rounds of retraining after the preliminary one.</summary>
    public int Rounds { get; init; } = 3;
    /// <summary>Points of a prompt.</summary>
    public int Points { get; init; } = 50;
    /// <summary>Images of a step.</summary>
    public int Batch { get; init; } = 4;
    /// <summary>Most passes over the training images, in each round.</summary>
    public int Epochs { get; init; } = 20;
    /// <summary>Learning rate at the start.</summary>
    public double Rate { get; init; } = 5e-6;
    /// <summary>AdamW's decay.</summary>
    public double WeightDecay { get; init; } = 1e-2;
    /// <summary>Gradients are scaled down to this norm; null: never.</summary>
    public double? MaxNorm { get; init; }
    /// <summary>
    /// Weight of the pixels' cross entropy beside Dice and IoU, which are the published loss. Where a decoder begins
    /// untrained these two alone let it say "all" for good: their gradient vanishes with the sigmoid's slope. Shows in
    /// gradients only, the losses told are Dice and IoU.
    /// </summary>
    public double CrossEntropy { get; init; }
    /// <summary>Epochs without a better validation score that end training.</summary>
    public int Patience { get; init; } = 10;
    /// <summary>What validation compares with: true masks where there are any, or those of activation maps.</summary>
    public DecoderValidation Validation { get; init; } = DecoderValidation.Truth;
    /// <summary>A predicted mask becomes a label when this much of it lies in the activation map's mask.</summary>
    public double KeepFrom { get; init; } = PseudoMaskFilter.KeepFrom;
    /// <summary>Probability that a training image is flipped, turned, or shifted, scaled and rotated.</summary>
    public double Augmentation { get; init; } = 0.5;
    /// <summary>Of order, augmentation and points.</summary>
    public ulong Seed { get; init; } = 21;
    /// <summary>Most disk space for encoded images, kept as fp16; "0" keeps none.</summary>
    public string Cache { get; init; } = "4GiB";
}

/// <summary>
/// Where the published code does something else than it means to. All false: what is meant. Each is the number of a
/// known fault; a published decoder or result may depend on it.
/// </summary>
public sealed record CompatConfig
{
    /// <summary>Points keep the patch's coordinates although the image is enlarged to the model's frame.</summary>
    public bool UnscaledPoints { get; init; }
    /// <summary>Pseudo masks are made of augmented images, and used with the ones as they are.</summary>
    public bool AugmentedPseudoMasks { get; init; }
    /// <summary>The cosine's length is the number of batches, though it moves once an epoch.</summary>
    public bool CosineOfBatches { get; init; }
    /// <summary>The classifier's validation loss takes probabilities for logits.</summary>
    public bool SigmoidValidationLoss { get; init; }
    /// <summary>Red and blue of the images on disk are exchanged.</summary>
    public bool SwappedRedBlue { get; init; }
    /// <summary>Weight decay acts on hyper-networks that get no gradient.</summary>
    public bool DecayUnused { get; init; }
    /// <summary>Value 2 of a mask (normal tissue inside of a tumour) counts as tumour.</summary>
    public bool NormalIsTumour { get; init; }

    /// <summary>All of them: the published code.</summary>
    public static CompatConfig Reference { get; } = new()
    {
        UnscaledPoints = true, AugmentedPseudoMasks = true, CosineOfBatches = true, SigmoidValidationLoss = true,
        SwappedRedBlue = true, DecayUnused = true, NormalIsTumour = true,
    };
}
