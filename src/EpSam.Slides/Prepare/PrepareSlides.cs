// Which slides a data set is made of: those with annotations, and those that are said to have no tumour. What does not
// fit together, slides without annotations and annotations without slides, is told.
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

/// <summary>A slide that a data set is made of.</summary>
/// <param name="File">The slide with its annotation.</param>
/// <param name="IsNormal">It is said to have no tumour.</param>
public sealed record PrepareSlide(SlideFile File, bool IsNormal);

/// <summary>Finds them.</summary>
public static class PrepareSlides
{
    static readonly string[] AnnotationEndings = [".xml", ".geojson"];

    /// <summary>Slides with annotations, and those without where these are normal.</summary>
    /// <param name="paths">Files and folders of slides.</param>
    /// <param name="normal">Files and folders of slides without tumour; .txt: a list of them, one a line.</param>
    /// <param name="annotations">The folder of annotations; null: beside the slides.</param>
    /// <param name="unannotatedAreNormal">Whether all slides without annotations are normal; else left out.</param>
    /// <param name="observer">Told what is left out.</param>
    /// <exception cref="SlideException">There is nothing to work on; the message says why.</exception>
    public static IReadOnlyList<PrepareSlide> Find(IReadOnlyList<string> paths, IReadOnlyList<string> normal,
        string? annotations, bool unannotatedAreNormal, IRunObserver observer)
    {
        string[] listed = [.. normal.SelectMany(Listed)];
        IReadOnlyList<SlideFile> all = SlideFiles.Find([.. paths, .. listed], annotations);
        HashSet<string> named = listed.Length == 0 ? []
            : [.. SlideFiles.Find(listed).Select(s => Path.GetFullPath(s.Path))];
        PrepareSlide[] slides =
            [.. all.Select(s => new PrepareSlide(s, named.Contains(Path.GetFullPath(s.Path)) ||
                (s.Annotation is null && unannotatedAreNormal)))];
        // One that is not there is not left out for want of annotations: it fails.
        bool IsOut(PrepareSlide s) => !s.IsNormal && s.File.Annotation is null && File.Exists(s.File.Path);
        string[] skipped = [.. slides.Where(IsOut).Select(s => s.File.Name)];
        if (skipped.Length > 0)
        {
            observer.Note($"without annotations, left out: {Preparation.Few(skipped)}; --unannotated normal takes "
                + "such slides for slides without tumour, --normal names some");
        }
        string[] unused = Unused(paths, annotations, all);
        if (unused.Length > 0) observer.Warn($"annotations of none of the slides: {Preparation.Few(unused)}");
        slides = [.. slides.Where(s => !IsOut(s))];
        if (slides.Length == 0)
        {
            throw new SlideException("none of the slides has annotations: patches are cut from slides with NAME.xml "
                + "(ASAP) or NAME.geojson (QuPath) beside NAME or in --annotations, and from slides without tumour, "
                + "which --normal or --unannotated normal says");
        }
        return slides;
    }

    static IEnumerable<string> Listed(string path)
    {
        if (!Path.GetExtension(path).Equals(".txt", StringComparison.OrdinalIgnoreCase)) return [path];
        try
        {
            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return [.. File.ReadLines(path).Select(l => l.Trim()).Where(l => l.Length > 0)
                .Select(l => Path.Combine(folder, l))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SlideException($"the list {path} cannot be read: {e.Message}", e);
        }
    }

    // Where whole folders are meant: beside a slide that is named alone lie those of others.
    static string[] Unused(IReadOnlyList<string> paths, string? annotations, IReadOnlyList<SlideFile> slides)
    {
        string[] folders = annotations is null ? [.. paths.Where(Directory.Exists)]
            : Directory.Exists(annotations) ? [annotations] : [];
        HashSet<string> used =
            [.. slides.Select(s => s.Annotation).OfType<string>().Select(Path.GetFullPath)];
        return [.. folders.SelectMany(Directory.GetFiles)
            .Where(f => AnnotationEndings.Contains(Path.GetExtension(f), StringComparer.OrdinalIgnoreCase)
                && !used.Contains(Path.GetFullPath(f)))
            .Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];
    }
}
