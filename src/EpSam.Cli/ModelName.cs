// --model: the published models by name, a small one to try things with, or a JSON file of sizes.
using EpSam.Native.Models.Sam;

namespace EpSam.Cli;

internal static class ModelName
{
    public const string Forms = "vit_b|vit_l|vit_h|tiny|CONFIG.json";

    /// <summary>
    /// A SAM that is done with an image in a second or two on the virtual GPU: a small image encoder that has every
    /// part of the large ones (windows that do not fit the grid, global blocks), and their mask decoder.
    /// </summary>
    public static SamConfig Tiny { get; } = new()
    {
        ImageSize = 512, EmbedDim = 192, Depth = 4, Heads = 3, MlpDim = 768, WindowSize = 14, GlobalBlocks = [1, 3],
    };

    public static SamConfig Read(string model) =>
        SamConfig.Published.TryGetValue(model, out SamConfig? known) ? known
        : model == "tiny" ? Tiny
        : model.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? SamFlags.ReadSizes(model, "model")
        : throw UserError.Usage(
            $"--model {model}: expected {string.Join(", ", SamConfig.Published.Keys)}, tiny or a .json file of sizes");
}
