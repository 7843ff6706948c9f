// The images of a command line: files, or folders whose images are meant, each with a name for its output that no other
// image of the run has. Names are made from the paths alone, so the same command line gives the same names.
using EpSam.Imaging;

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
        return Named([.. files.DistinctBy(System.IO.Path.GetFullPath)]);
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

    // a/cat.png and b/dog.jpg are cat and dog; where two would be the same: cat.png and cat.jpg; else cat.png,
    // cat.png-2. Compared without regard to case, as some file systems do.
    static InputImage[] Named(string[] files)
    {
        string[] stems = [.. files.Select(f => Plain(System.IO.Path.GetFileNameWithoutExtension(f)))];
        HashSet<string> once = [.. stems.GroupBy(s => s, StringComparer.OrdinalIgnoreCase)
            .Where(g => g.Count() == 1).Select(g => g.Key)];
        HashSet<string> taken = new(once, StringComparer.OrdinalIgnoreCase);
        InputImage[] images = new InputImage[files.Length];
        for (int i = 0; i < files.Length; i++)
        {
            string name = stems[i];
            if (!once.Contains(name))
            {
                string full = Plain(System.IO.Path.GetFileName(files[i]));
                name = full;
                for (int n = 2; !taken.Add(name); n++) name = $"{full}-{n}";
            }
            images[i] = new InputImage(files[i], name);
        }
        return images;
    }

    // A name that is hidden, empty or a folder's ("..") is no name for an output.
    static string Plain(string name)
    {
        string plain = name.Trim().TrimStart('.');
        return plain.Length == 0 ? "image" : plain;
    }

    static bool IsImage(string path) =>
        Endings.Contains(System.IO.Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)
        && !System.IO.Path.GetFileName(path).StartsWith('.');
}
