// What a run learns from and is judged on. Masks are never trained on: they are truth for evaluation. The classifier
// sees patches, which are whole images or crops of them, each with a label; all later stages see whole images.
namespace EpSam.Native.Pipeline;

/// <summary>Which part of a data set an image belongs to. All patches of an image are in the same part.</summary>
public enum Split
{
    /// <summary>Learned from.</summary>
    Train,
    /// <summary>Chooses the best epoch.</summary>
    Val,
    /// <summary>Seen once, at the end.</summary>
    Test,
}

/// <summary>A rectangle of pixels.</summary>
public readonly record struct Crop(int X, int Y, int Width, int Height);

/// <summary>An image of a data set.</summary>
/// <param name="Name">Unique: the file's name without extension; results are named after it.</param>
/// <param name="Path">Where it is.</param>
/// <param name="Label">
/// 1 tumour, 0 none: of the image, or 1 when any of its patches has 1. -1: not told, the image has no labelled patch.
/// </param>
/// <param name="MaskPath">True mask, for evaluation only; null when there is none.</param>
/// <param name="Split">Its part.</param>
public sealed record SourceImage(string Name, string Path, int Label, string? MaskPath, Split Split);

/// <summary>What the classifier learns from: an image or a part of it.</summary>
/// <param name="Image">Index of the image.</param>
/// <param name="Crop">The part; null for all of it.</param>
/// <param name="Label">1 tumour, 0 none. Patches that are neither are not in the set.</param>
public sealed record Patch(int Image, Crop? Crop, int Label);

/// <summary>A data set.</summary>
public sealed class PatchSet(IReadOnlyList<SourceImage> images, IReadOnlyList<Patch> patches)
{
    /// <summary>All images, in the order of their names.</summary>
    public IReadOnlyList<SourceImage> Images => images;

    /// <summary>All labelled patches, in the order of their images.</summary>
    public IReadOnlyList<Patch> Patches => patches;

    /// <summary>What a user should know of the set although it can be used.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The images of a part.</summary>
    public IEnumerable<SourceImage> Of(Split split) => images.Where(i => i.Split == split);

    /// <summary>The patches of a part.</summary>
    public IEnumerable<Patch> PatchesOf(Split split) => patches.Where(p => images[p.Image].Split == split);

    /// <summary>
    /// Finds a data set and checks all of it that can be checked without decoding images: labels, names, parts, sizes
    /// of images and masks.
    /// </summary>
    /// <param name="path">
    /// A folder as EP-SAM lays it out (train|val|test / image/NAME_0.png, NAME_1.png and mask/), a table (CSV: image,
    /// label, and if wanted mask, split, x, y, w, h), or a folder with one such table.
    /// </param>
    /// <param name="files">Reads sizes.</param>
    /// <param name="config">How images are split where the data does not say it.</param>
    /// <exception cref="RunException">It cannot be trained on; the message says why and names files.</exception>
    public static PatchSet Open(string path, IImageFiles files, DataConfig config) =>
        PatchRows.ToSet(path, Rows(path), files, config);

    /// <summary>The same of a data set that nothing is trained on: no part and no class must be there.</summary>
    public static PatchSet OpenJudged(string path, IImageFiles files) =>
        PatchRows.ToSet(path, Rows(path), files, null);

    static IReadOnlyList<PatchRow> Rows(string path)
    {
        return File.Exists(path) ? PatchTable.Read(path)
            : !Directory.Exists(path) ? throw new RunException($"--data {path} does not exist")
            : PatchFolder.IsOne(path) ? PatchFolder.Read(path)
            : PatchTable.Read(PatchTable.In(path));
    }
}
