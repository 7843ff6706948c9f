// Where a data set of patches and the notes on its making are. A file appears complete or not at all; what cannot be
// written ends the work as a whole, while what cannot be read fails its slide alone.
using System.Text;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

/// <summary>The folder of a data set.</summary>
public sealed class PrepareFolder(string path)
{
    /// <summary>The folder.</summary>
    public string Root { get; } = Path.GetFullPath(path);
    /// <summary>Options, slides and their parts: what the folder was begun with.</summary>
    public string Options => In("prepare.json");
    /// <summary>A row for each patch; written when all of them are there.</summary>
    public string Patches => In("patches.csv");
    /// <summary>A row for each slide.</summary>
    public string Slides => In("slides.csv");
    /// <summary>The contact sheets on one page.</summary>
    public string Page => In("sheets", "index.html");
    /// <summary>A slide with its tissue, annotations and patches.</summary>
    public string Sheet(string slide) => In("sheets", slide + ".png");

    /// <summary>What was found on a slide: a folder that appears when it is complete.</summary>
    internal string Scan(string slide) => In("scan", slide);
    /// <summary>The folder of a part's images or masks.</summary>
    internal string Images(Split split) => In(Name(split), "image");
    internal string Masks(Split split) => In(Name(split), "mask");

    internal static string Name(Split split) => split.ToString().ToLowerInvariant();

    /// <summary>All images and masks, and what processes that were killed have left among them.</summary>
    internal IEnumerable<string> ExportedFiles() => Enum.GetValues<Split>()
        .SelectMany(s => new[] { Images(s), Masks(s) }).Where(Directory.Exists).SelectMany(Directory.EnumerateFiles);

    /// <summary>Whether there is anything that one would not want to lose.</summary>
    internal bool HasPatches => ExportedFiles().Any(f => !Path.GetFileName(f).StartsWith('.'));

    /// <summary>Removes what there is besides patches.</summary>
    internal void Clear() => Try(Root, () =>
    {
        foreach (string path in new[] { Scan(""), Path.GetDirectoryName(Page)!, Slides, Patches,
            In(PatchScale.FileName) }) RunFolder.Delete(path);
    });

    /// <summary>Writes a file by way of a hidden one beside it.</summary>
    /// <exception cref="RunException">It cannot be written.</exception>
    internal static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        string beside = Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.tmp");
        byte[] copy = bytes.ToArray();
        Try(path, () =>
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            try
            {
                File.WriteAllBytes(beside, copy);
                File.Move(beside, path, overwrite: true);
            }
            catch
            {
                File.Delete(beside);
                throw;
            }
        });
    }

    internal static void Write(string path, string text) => Write(path, Encoding.UTF8.GetBytes(text));

    /// <summary>Whether a file is there and holds this text.</summary>
    internal static bool Holds(string path, string text) => File.Exists(path) && File.ReadAllText(path) == text;

    /// <summary>What goes wrong while writing becomes a message that ends the work.</summary>
    internal static void Try(string path, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string advice = e is IOException ? "; what is complete stays, the same command goes on from there" : "";
            throw new RunException($"cannot write {path}: {e.Message}{advice}", e);
        }
    }

    string In(params string[] parts) => Path.Combine([Root, .. parts]);
}
