// The slides of a command line: files, or folders whose slides are meant, each with a name that no other has and the
// annotations that belong to it: of the same name, beside it or in a folder of their own.
namespace EpSam.Slides;

/// <summary>A slide to work on.</summary>
/// <param name="Path">The file.</param>
/// <param name="Name">What its results are called.</param>
/// <param name="Annotation">ASAP's XML or QuPath's GeoJSON; null: there is none.</param>
public sealed record SlideFile(string Path, string Name, string? Annotation = null);

/// <summary>Finds slides.</summary>
public static class SlideFiles
{
    // PNG and JPEG are images beside slides far more often than slides: they are taken when they are named.
    static readonly string[] Endings =
        [".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".vms", ".vmu", ".scn", ".svslide", ".bif", ".czi", ".dcm"];
    static readonly string[] NamedEndings = [".png", ".jpg", ".jpeg"];
    internal static readonly string[] AnnotationEndings = [".xml", ".geojson", ".json"];

    /// <summary>
    /// Folders become their slides in order of name; one that is named twice is worked on once. The same paths give the
    /// same names.
    /// </summary>
    /// <param name="paths">Files and folders.</param>
    /// <param name="annotations">A folder of annotations, or the file of a single slide; null: beside the slides.
    /// </param>
    /// <exception cref="SlideException">A folder without slides, or annotations that belong to none.</exception>
    public static IReadOnlyList<SlideFile> Find(IEnumerable<string> paths, string? annotations = null)
    {
        List<string> files = [];
        foreach (string path in paths)
        {
            if (!Directory.Exists(path))
            {
                files.Add(path);
                continue;
            }
            string[] inside = [.. FilesIn(path).Where(IsSlide).Order(StringComparer.Ordinal)];
            if (inside.Length == 0)
                throw new SlideException($"folder {path} has no slide ({string.Join(", ", Endings)})");
            files.AddRange(inside);
        }
        files = [.. files.DistinctBy(Path.GetFullPath)];
        SlideFile[] slides = [.. files.Zip(OutputNames.Of(files, "slide"), (path, name) => new SlideFile(path, name))];
        if (annotations is not null && File.Exists(annotations))
        {
            return slides.Length == 1 ? [slides[0] with { Annotation = annotations }]
                : throw new SlideException($"{annotations} is one file of annotations for {slides.Length} slides; give "
                    + "a folder that has one of the same name for each");
        }
        if (annotations is not null && !Directory.Exists(annotations))
            throw new SlideException($"annotations {annotations} do not exist");
        slides = [.. slides.Select(s => s with { Annotation = AnnotationOf(s.Path, annotations) })];
        if (annotations is not null && slides.Length > 0 && slides.All(s => s.Annotation is null))
        {
            string wanted = Path.GetFileNameWithoutExtension(slides[0].Path);
            throw new SlideException($"folder {annotations} has annotations of none of the slides: {wanted}.xml or "
                + $"{wanted}.geojson was looked for");
        }
        return slides;
    }

    /// <summary>Before anything is begun.</summary>
    /// <exception cref="SlideException">None of the files is there: all names are wrong.</exception>
    public static void RequireAny(IReadOnlyList<SlideFile> slides)
    {
        if (slides.Any(s => File.Exists(s.Path))) return;
        throw new SlideException(slides.Count == 1 ? $"{slides[0].Path} does not exist"
            : $"none of the {slides.Count} slides exists: {slides[0].Path}, {slides[1].Path} …");
    }

    static string[] FilesIn(string folder)
    {
        try
        {
            return Directory.GetFiles(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SlideException($"folder {folder} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The annotations of a slide: of its name, in a folder or beside it; null: there are none.</summary>
    internal static string? AnnotationOf(string slide, string? folder)
    {
        string directory = folder ?? Path.GetDirectoryName(Path.GetFullPath(slide))!;
        if (!Directory.Exists(directory)) return null;
        string stem = Path.GetFileNameWithoutExtension(slide);
        string[] found = [.. FilesIn(directory)
            .Where(f => Path.GetFileNameWithoutExtension(f).Equals(stem, StringComparison.OrdinalIgnoreCase))];
        return AnnotationEndings.Select(ending =>
            Array.Find(found, f => Path.GetExtension(f).Equals(ending, StringComparison.OrdinalIgnoreCase)))
            .FirstOrDefault(f => f is not null);
    }

    /// <summary>What a slide is called without its file's ending; other dots are the name's own.</summary>
    internal static string WithoutEnding(string name) =>
        Endings.Concat(NamedEndings).Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase)
            ? Path.GetFileNameWithoutExtension(name) : name;

    static bool IsSlide(string path) => Endings.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)
        && !Path.GetFileName(path).StartsWith('.');
}
