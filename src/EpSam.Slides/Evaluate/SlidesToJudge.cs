// Which results are judged by which annotations: they meet by name. What has no partner is said.
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Evaluate;

/// <summary>Results with their slides and annotations.</summary>
/// <param name="Slides">For <see cref="SlideEvaluation.Of"/>.</param>
/// <param name="Notes">What is left out, and why.</param>
public sealed record SlidesToJudge(
    IReadOnlyList<(SlideFolder Results, string? Slide, string? Annotation)> Slides, IReadOnlyList<string> Notes)
{
    const int Named = 10;

    /// <summary>Finds them.</summary>
    /// <param name="folder">What epsam slide has written, or the folder of one slide in it.</param>
    /// <param name="annotations">A folder, or the file of the only slide; null: beside the slides.</param>
    /// <param name="slides">Slides and folders of them; none: masks only are judged.</param>
    /// <param name="unannotatedIsNormal">Slides without annotations have no tumour; else they are left out.</param>
    /// <exception cref="SlideException">There is nothing to judge, or to judge by.</exception>
    public static SlidesToJudge Find(string folder, string? annotations, IReadOnlyList<string> slides,
        bool unannotatedIsNormal)
    {
        foreach (string path in slides)
            if (!File.Exists(path) && !Directory.Exists(path)) throw new SlideException($"{path} does not exist");
        bool isFile = File.Exists(annotations);
        if (annotations is not null && !isFile && !Directory.Exists(annotations))
            throw new SlideException($"annotations {annotations} do not exist");
        SlideFolder[] results = Results(folder);
        if (isFile && results.Length != 1)
        {
            throw new SlideException($"{annotations} is one file of annotations for {results.Length} slides; give a "
                + "folder that has one of the same name for each");
        }
        List<(SlideFolder, string?, string?)> found = [];
        List<string> unannotated = [], absent = [];
        foreach (SlideFolder one in results)
        {
            string name = Path.GetFileName(one.Root), file = JudgedSlide.SummaryOf(one)?.File ?? name;
            string? slide = SlideOf(one, [.. slides.Select(s => SlideAt(s, file)).OfType<string>()]);
            if (slide is null && slides.Count > 0) absent.Add(file);
            string? annotation = isFile ? annotations
                : annotations is not null ? SlideFiles.AnnotationOf(file, annotations)
                : slide is not null ? SlideFiles.AnnotationOf(slide, null) : null;
            if (annotation is null) unannotated.Add(name);
            if (annotation is not null || unannotatedIsNormal) found.Add((one, slide, annotation));
        }
        if (found.Count == 0)
        {
            throw new SlideException($"none of the {results.Length} slides in {folder} has annotations: "
                + $"{unannotated[0]}.xml or {unannotated[0]}.geojson was looked for "
                + (annotations is null ? "beside the slides" : $"in {annotations}"));
        }
        return new SlidesToJudge(found, [.. Told(unannotated, unannotatedIsNormal, absent,
            annotations is null || isFile ? [] : Unused(annotations, found))]);
    }

    static SlideFolder[] Results(string folder)
    {
        if (!Directory.Exists(folder)) throw new SlideException($"{folder} does not exist");
        SlideFolder alone = new(Path.TrimEndingDirectorySeparator(folder));
        if (File.Exists(alone.Mask)) return [alone];
        string inside = new BatchFolder(folder).Slides;
        string[] names = Directory.Exists(inside) ? Directory.GetDirectories(inside) : [];
        SlideFolder[] results = [.. names.Where(n => !Path.GetFileName(n).StartsWith('.'))
            .Order(StringComparer.Ordinal).Select(n => new SlideFolder(n))];
        return results.Length > 0 ? results : throw new SlideException(
            $"{folder} has no segmented slides: {inside} is looked into; give the --out of epsam slide");
    }

    // Of files of one name, the one that was segmented.
    static string? SlideOf(SlideFolder results, string[] files)
    {
        if (files.Length < 2 || ResultJson.Read<SlideRecord>(results.Summary)?.Source is not SlideSource source)
            return files.FirstOrDefault();
        return Array.Find(files, f => SlideSource.Of(f) == source);
    }

    static string? SlideAt(string path, string file)
    {
        if (File.Exists(path)) return Path.GetFileName(path) == file ? path : null;
        string inside = Path.Combine(path, file);
        return File.Exists(inside) ? inside : null;
    }

    static IEnumerable<string> Unused(string folder, List<(SlideFolder, string?, string? Annotation)> found)
    {
        HashSet<string> used = [.. found.Where(f => f.Annotation is not null).Select(f => f.Annotation!)];
        return Directory.GetFiles(folder).Where(f => !used.Contains(f)
                && SlideFiles.AnnotationEndings.Contains(Path.GetExtension(f), StringComparer.OrdinalIgnoreCase))
            .Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal);
    }

    static IEnumerable<string> Told(List<string> unannotated, bool isNormal, List<string> absent,
        IEnumerable<string> unused)
    {
        if (unannotated.Count > 0)
            yield return isNormal ? $"without annotations, taken for slides without tumour: {List(unannotated)}"
                : $"without annotations, left out: {List(unannotated)}";
        if (absent.Count > 0) yield return $"slides that are not there: {List(absent)}";
        string[] left = [.. unused];
        if (left.Length > 0) yield return $"annotations of no segmented slide: {List(left)}";
    }

    static string List(IReadOnlyList<string> names) => string.Join(", ", names.Take(Named))
        + (names.Count > Named ? $" and {names.Count - Named} more" : "");
}
