// The layout of EP-SAM's data: train|val|test / image/NAME_0.png or NAME_1.png, and mask/ with a file of the same name
// (with or without the label) for images that have one. The label is what follows the last underscore.
namespace EpSam.Native.Pipeline;

internal static class PatchFolder
{
    static readonly string[] Endings = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"];

    public static bool IsOne(string folder) =>
        Enum.GetValues<Split>().Any(s => Directory.Exists(Path.Combine(folder, Name(s), "image")));

    public static string Name(Split split) => split.ToString().ToLowerInvariant();

    public static IReadOnlyList<PatchRow> Read(string folder)
    {
        List<PatchRow> rows = [];
        List<string> nameless = [];
        foreach (Split split in Enum.GetValues<Split>())
        {
            string part = Path.Combine(folder, Name(split));
            Dictionary<string, string> masks = ByStem(Path.Combine(part, "mask"));
            foreach (string path in ImagesIn(Path.Combine(part, "image")))
            {
                string stem = Path.GetFileNameWithoutExtension(path);
                if (LabelOf(stem) is not int label)
                {
                    nameless.Add(path);
                    continue;
                }
                string? mask = masks.GetValueOrDefault(stem) ?? masks.GetValueOrDefault(stem[..^2]);
                rows.Add(new PatchRow(path, path, label, mask, split, null));
            }
        }
        if (nameless.Count > 0)
        {
            throw new RunException("the name of an image must end with its label, _0 or _1, before the extension: "
                + PatchRows.Few(nameless));
        }
        return rows;
    }

    /// <summary>"NAME_1" is 1, "NAME_0" is 0, others have none.</summary>
    public static int? LabelOf(string stem) =>
        stem.EndsWith("_1", StringComparison.Ordinal) ? 1 : stem.EndsWith("_0", StringComparison.Ordinal) ? 0 : null;

    /// <summary>The images of a folder by their names without extension; none when there is no such folder.</summary>
    public static Dictionary<string, string> ByStem(string folder)
    {
        Dictionary<string, string> found = new(StringComparer.Ordinal);
        foreach (string path in ImagesIn(folder))
        {
            string stem = Path.GetFileNameWithoutExtension(path);
            if (!found.TryAdd(stem, path))
                throw new RunException($"two masks of one name: {found[stem]} and {path}");
        }
        return found;
    }

    static IEnumerable<string> ImagesIn(string folder) => !Directory.Exists(folder) ? []
        : Directory.GetFiles(folder)
            .Where(f => Endings.Contains(Path.GetExtension(f), StringComparer.OrdinalIgnoreCase)
                && !Path.GetFileName(f).StartsWith('.'))
            .Order(StringComparer.Ordinal);
}
