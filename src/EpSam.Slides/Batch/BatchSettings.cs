// What the results of slides follow from beside the slides: models by their content, how they are used, options. Two
// folders belong together, and a finished slide is kept, when these are equal. Where a file lies is told, for people,
// but decides nothing.
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;
using EpSam.Native.Tensors;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Batch;

/// <summary>The models that slides are segmented with, and how.</summary>
public sealed record BatchModels
{
    /// <summary>Which tiles have tumour, and where.</summary>
    public required RunInput Classifier { get; init; }
    /// <summary>SAM; null: the masks are the activation maps'.</summary>
    public RunInput? Sam { get; init; }
    /// <summary>A mask decoder in place of SAM's.</summary>
    public RunInput? Decoder { get; init; }
    /// <summary>fp32 or bf16.</summary>
    public required string Precision { get; init; }
    /// <summary>How an activation map becomes a mask.</summary>
    public required CamMaskRule Rule { get; init; }
    /// <summary>Whether the map is that of the classifier's whole last stage.</summary>
    public bool WholeStage { get; init; }
    /// <summary>What tiles are resized by for their activation map.</summary>
    public double Scale { get; init; } = 1;
    /// <summary>The sides that the classifier sees tiles with.</summary>
    public required int Side { get; init; }
    /// <summary>Whether the models know images with red and blue exchanged.</summary>
    public bool SwappedRedBlue { get; init; }
    /// <summary>Whether the decoder knows points that keep the tile's coordinates.</summary>
    public bool UnscaledPoints { get; init; }

    /// <summary>Reads all of the checkpoints, for their digests.</summary>
    /// <exception cref="RunException">One cannot be read.</exception>
    public static BatchModels Of(SlideModelFiles files) => new()
    {
        Classifier = RunInput.Of(files.Classifier),
        Sam = files.Sam is null ? null : RunInput.Of(files.Sam),
        Decoder = files.Decoder is null ? null : RunInput.Of(files.Decoder),
        Precision = files.Precision == DType.BF16 ? "bf16" : "fp32", Rule = files.Rule, WholeStage = files.WholeStage,
        Scale = files.Scale, Side = files.ClassifierSide, SwappedRedBlue = files.SwappedRedBlue,
        UnscaledPoints = files.UnscaledPoints,
    };
}

/// <summary>Models and options.</summary>
public sealed record BatchSettings(BatchModels Models, SlideOptions Options)
{
    /// <summary>Changes when the same models and options give other results than before.</summary>
    public int Format { get; init; } = 1;

    /// <summary>As run.json has them.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, ResultJson.Layout);

    /// <summary>A digest of all that decides; equal keys, equal settings.</summary>
    [JsonIgnore]
    public string Key => KeyOf(ToJson());

    // It is of slides that do not tell their scale alone: SlideRecord has it.
    const string PathOfSlideMpp = "options.slide_mpp";

    internal static string KeyOf(JsonElement settings) => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes(string.Concat(Leaves(settings, "").Select(l => $"{l.Key}={l.Value}\n")))));

    /// <summary>"options.mpp is 0.5, was 1" for each value that differs.</summary>
    internal static IReadOnlyList<string> Differences(JsonElement now, JsonElement before)
    {
        Dictionary<string, string> a = Leaves(now, "").ToDictionary(), b = Leaves(before, "").ToDictionary();
        return [.. a.Keys.Union(b.Keys).Order(StringComparer.Ordinal)
            .Where(k => a.GetValueOrDefault(k, "null") != b.GetValueOrDefault(k, "null"))
            .Select(k => $"{k} is {Of(a, k)}, was {Of(b, k)}")];
    }

    // A checksum tells people nothing beyond that it is another.
    static string Of(Dictionary<string, string> leaves, string key) =>
        leaves.GetValueOrDefault(key, "null") is { Length: > 20 } value ? value[..12] + "…"
            : leaves.GetValueOrDefault(key, "null");

    static IEnumerable<KeyValuePair<string, string>> Leaves(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object) yield break;
        foreach (JsonProperty property in element.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal))
        {
            if (property.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (KeyValuePair<string, string> leaf in Leaves(property.Value, $"{path}{property.Name}."))
                    yield return leaf;
            }
            else if (property.Name != "path" && path + property.Name != PathOfSlideMpp)
                yield return new(path + property.Name, property.Value.GetRawText());
        }
    }
}
