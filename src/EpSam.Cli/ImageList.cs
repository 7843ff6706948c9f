// The images of a command line: files, or folders whose images are meant, each with a name for its output that no other
// image of the run has.
using EpSam.Imaging;
using EpSam.Slides;

namespace EpSam.Cli;

/// <summary>An image to work on and what its output is called.</summary>
internal sealed record InputImage(string Path, string Name);

internal static class ImageList
{
    static readonly string[] Endings = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"];

    /// <summary>Folders become their images in order of name; a file that is named twice is worked on once.</summary>
    public static InputImage[] Of(IEnumerable<string> paths)
    {
        List<string> files = [];
        foreach (string path in paths)
        {
            if (!Directory.Exists(path))
            {
                files.Add(path);
                continue;
            }
            string[] inside = [.. Directory.GetFiles(path).Where(IsImage).Order(StringComparer.Ordinal)];
            if (inside.Length == 0) throw new UserError($"folder {path} has no image ({string.Join(", ", Endings)})");
            files.AddRange(inside);
        }
        files = [.. files.DistinctBy(Path.GetFullPath)];
        return [.. files.Zip(OutputNames.Of(files, "image"), (path, name) => new InputImage(path, name))];
    }

    /// <summary>Pixels, or an error that names the file.</summary>
    public static Raster Read(string path)
    {
        InputFile.Open(path, "image").Dispose();   // for its messages
        return ImageReader.ReadRgb(path);
    }

    /// <summary>
    /// Whether the beginning of a file is that of an image: cheap, and asked before a model is loaded.
    /// </summary>
    public static bool LooksReadable(string path)
    {
        try
        {
            InputFile.Open(path, "image").Dispose();
            ImageReader.ReadInfo(path);
            return true;
        }
        catch (Exception e) when (e is UserError or ImagingException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    static bool IsImage(string path) =>
        Endings.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)
        && !Path.GetFileName(path).StartsWith('.');
}
