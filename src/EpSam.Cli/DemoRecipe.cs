// What epsam demo does, as command lines that a user could type: slides with known tumour, patches, models that learn
// from labels of patches alone, slides that none of it has seen, and what the masks are worth beside the exact truth.
// The sizes are for two cores and a few minutes. Models and slides are small; the way is that of real ones.
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using EpSam.Slides.Synth;

namespace EpSam.Cli;

/// <summary>Sizes and settings of a demo; its folder is only gone on with by the same.</summary>
internal sealed record DemoOptions
{
    /// <summary>Of the slides that are learnt from; the unseen ones have the next.</summary>
    public uint Seed { get; init; } = 1;
    /// <summary>Slides to learn from, a quarter of them without tumour.</summary>
    public int Slides { get; init; } = 8;
    /// <summary>Their pixels.</summary>
    public string SlideSize { get; init; } = "4096x3072";
    /// <summary>Pixels of the two unseen slides, of which the second has no tumour.</summary>
    public string UnseenSize { get; init; } = "4096x3072";
    /// <summary>Most patches of training and validation slides, with tumour and as many without.</summary>
    public string Patches { get; init; } = "240,30,0";
    /// <summary>The configuration of training.</summary>
    public string Config { get; init; } = DemoRecipe.Config;

}

/// <summary>What a demo's folder was made by.</summary>
internal sealed record DemoMark(DemoOptions Options, IReadOnlyList<string> Steps);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(DemoMark))]
internal sealed partial class DemoJson : JsonSerializerContext;

/// <summary>A command line of the demo.</summary>
/// <param name="Title">What it does.</param>
/// <param name="Arguments">What follows "epsam".</param>
internal sealed record DemoStep(string Title, string[] Arguments)
{
    /// <summary>As it would be typed.</summary>
    public string Text => "epsam " + string.Join(' ', Arguments.Select(a => a.Contains(' ') ? $"'{a}'" : a));
}

/// <summary>The demo's folder and steps.</summary>
internal sealed class DemoRecipe(string folder, DemoOptions options)
{
    const string Mpp = "0.5", PatchSize = "256", LeastTumour = "10-100", LeastTissue = "0.25";

    /// <summary>
    /// Small models: a ResNet of 8 channels, at half of the patches' resolution; two rounds of mask decoders. Only
    /// labels of patches are used, so epochs of decoders are chosen by activation maps.
    /// </summary>
    public const string Config = """
        {
          "classifier": {
            "blocks": [1, 1, 1, 1], "width": 8, "size": 128, "drop_rate": 1, "drop_threshold": 2,
            "recompute": "nothing", "batch": 16, "epochs": 6, "rate": 2e-3, "rate_every": 1, "rate_factor": 0.6,
            "augmentation": {
              "rotation": 0, "quarter_turns": true,
              "brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.02, "grayscale": 0
            }
          },
          "cam": {
            "rule": "general", "whole_stage": true,
            "general": { "logit": 3, "smoothing": 8, "opening": 1, "at_map_resolution": false }
          },
          "decoder": {
            "rounds": 1, "epochs": 2, "points": 100, "batch": 2, "rate": 1e-3, "cross_entropy": 5, "max_norm": 1,
            "augmentation": 0, "keep_from": 0.7, "validation": "cam"
          }
        }
        """;

    /// <summary>A SAM for images of 256 x 256 that every part of the large ones is in.</summary>
    public const string SamSizes = """
        {
          "image_size": 256, "embed_dim": 192, "depth": 2, "heads": 6, "mlp_dim": 384, "window_size": 8,
          "global_blocks": [1], "decoder_mlp_dim": 512, "iou_head_hidden_dim": 64
        }
        """;

    public DemoOptions Options => options;
    public string Folder => folder;
    public string Marker => In("demo.json");
    public string ConfigFile => In("train.json");
    public string SamFile => In("sam.json");
    public string Split => In("split.csv");
    public string Slides => In("slides");
    public string Unseen => In("unseen");
    public string Patches => In("patches");
    public string Run => In("run");
    public string Maps => In("maps");
    public string Results => In("results");
    /// <summary>A slide, its truth and what was found.</summary>
    public string Picture => In("picture.jpg");

    /// <summary>Figures of slides, .json and .csv: of the masks, and of the activation maps alone.</summary>
    public string EvaluationOf(string results) => Path.Combine(results, "evaluation");

    /// <summary>The first slide, which has patches of both kinds, is for validation.</summary>
    public string SplitTable => "slide,split\n" + string.Concat(Enumerable.Range(0, options.Slides)
        .Select(i => $"{SynthSet.Name(i)},{(i > 0 ? "train" : "val")}\n"));

    /// <summary>What is kept in the folder, to tell another demo by.</summary>
    public string Mark => JsonSerializer.Serialize(
        new DemoMark(options, [.. new DemoRecipe("", options).Steps.Select(s => s.Text)]), DemoJson.Default.DemoMark)
        + "\n";

    string In(string name) => Path.Combine(folder, name);

    /// <summary>In the order in which they are done.</summary>
    public IReadOnlyList<DemoStep> Steps
    {
        get
        {
            (string sam, string most) = (In("sam.safetensors"), options.Patches);
            string slides = options.Slides.ToString(CultureInfo.InvariantCulture);
            string seed = options.Seed.ToString(CultureInfo.InvariantCulture);
            string next = (options.Seed + 1).ToString(CultureInfo.InvariantCulture);
            return
            [
                new($"{slides} slides to learn from, drawn with the outlines of their tumour",
                    ["synth", "--out", Slides, "--slides", slides, "--size", options.SlideSize, "--seed", seed,
                        "--tumour", "0.2-0.5"]),
                new("two more that nothing learns from, the second without tumour",
                    ["synth", "--out", Unseen, "--slides", "2", "--size", options.UnseenSize, "--seed", next,
                        "--tumour", "0.25", "--normal", "0.5"]),
                new("patches with labels: tumour or none",
                    ["prepare", Slides, "--out", Patches, "--size", PatchSize, "--mpp", Mpp, "--keep", LeastTumour,
                        "--min-tissue", LeastTissue, "--split", Split, "--positives", most,
                        "--negatives", most]),
                new("a small SAM that has learnt nothing",
                    ["init", "--model", SamFile, "--start", "local", "--out", sam]),
                new("classifier, activation maps, mask decoder in rounds",
                    ["train", "--data", Patches, "--sam", sam, "--config", ConfigFile, "--out", Run]),
                new("the unseen slides, segmented",
                    ["slide", Unseen, "--run", Run, "--out", Results]),
                new("the same by activation maps alone, to compare",
                    ["slide", Unseen, "--run", Run, "--out", Maps, "--maps-only", "--no-viewer"]),
                new("what the masks are worth, beside the exact truth",
                    ["slide", "evaluate", Results, "--slides", Unseen, "--out", EvaluationOf(Results)]),
                new("and those of the activation maps",
                    ["slide", "evaluate", Maps, "--annotations", Unseen, "--out", EvaluationOf(Maps)]),
            ];
        }
    }
}
