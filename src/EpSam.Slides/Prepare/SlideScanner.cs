// The first pass over a slide: tissue, the lattice of places for patches, how much of each is tumour.
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Preprocess;

namespace EpSam.Slides.Prepare;

internal static class SlideScanner
{
    const double LeastCells = 2; // pixels of the tissue mask in a patch's side

    /// <summary>Leaves a slide's scan in its folder.</summary>
    /// <exception cref="ImagingException">The slide cannot be read.</exception>
    /// <exception cref="AnnotationException">Its annotations cannot.</exception>
    /// <exception cref="SlideException">Slide, annotations and options do not go together.</exception>
    public static SlideScan Run(SlideFile file, PrepareOptions options, string folder, CancellationToken cancel)
    {
        if (!File.Exists(file.Path)) throw new SlideException($"{file.Path} does not exist");
        (SlideSource source, SlideSource? annotation) =
            (SlideSource.Of(file.Path), SlideSource.OfAll(file.Annotation));
        using Slide slide = Slide.Open(file.Path);
        TumourAreas areas = Areas(file, options, slide.QuPathOrigin);
        SlideView view = View(slide, options);
        SlideLevel whole = slide.Levels[0];
        List<string> warnings = CheckPlaces(areas, file, whole);
        Tissue tissue = Tissue.Of(slide, Tissue.EpSamDownsample, cancel);
        (Candidate[] candidates, TumourCounts counts) = Candidates(tissue, view, whole, areas, options.Size, cancel);
        warnings.AddRange(CheckCrossings(areas, counts, whole));
        if (candidates.Length == 0) warnings.Add("no place for a patch: no tissue, or too little for its size");
        cancel.ThrowIfCancellationRequested();
        SlidePicture picture = SlidePicture.Of(slide);
        picture.Outline(tissue);
        foreach (SlidePolygon polygon in areas.Tumour) picture.Outline(polygon, SlidePicture.TumourColour);
        foreach (SlidePolygon polygon in areas.Excluded) picture.Outline(polygon, SlidePicture.ExcludedColour);
        SlideScan scan = new()
        {
            Name = file.Name, File = Path.GetFileName(file.Path), Source = source,
            Annotation = Path.GetFileName(file.Annotation), AnnotationSource = annotation,
            Width = whole.Width, Height = whole.Height, Mpp = MppOf(slide, options), Downsample = view.Downsample,
            TissueDownsample = tissue.Downsample, Tissue = tissue.Area, Tumour = counts.Total,
            Areas = areas.Tumour.Count, Candidates = candidates.Length,
            WithTumour = candidates.Count(c => c.HasTumour), PictureDownsample = picture.Downsample,
            Warnings = warnings,
        };
        scan.Write(folder, candidates, picture.ToPng());
        return scan;
    }

    /// <summary>
    /// Whether a scan is of this slide and these annotations. One that is gone is missed when a patch is to be cut.
    /// </summary>
    public static bool IsOf(SlideScan scan, SlideFile file) =>
        (!File.Exists(file.Path) || scan.Source == SlideSource.Of(file.Path))
        && scan.File == Path.GetFileName(file.Path) && scan.AnnotationSource == SlideSource.OfAll(file.Annotation);

    /// <summary>The tumour of a slide; none where it has no annotation.</summary>
    public static TumourAreas Areas(SlideFile file, PrepareOptions options, SlidePoint quPathOrigin) =>
        file.Annotation is null ? new TumourAreas([], [])
            : TumourAreas.Read(file.Annotation, options.TumourGroups, quPathOrigin);

    /// <summary>The slide at the resolution of patches.</summary>
    public static SlideView View(Slide slide, PrepareOptions options)
    {
        if (options.Mpp is double mpp) return SlideView.AtMpp(slide, mpp, MppOf(slide, options));
        int level = options.Level ?? 0;
        if (level >= slide.Levels.Count)
        {
            string levels = slide.Levels.Count == 1 ? "only level 0" : $"levels 0 to {slide.Levels.Count - 1}";
            throw new SlideException($"{slide.FilePath} has {levels}, not {level}; give --mpp, which takes any");
        }
        return new SlideView(slide, slide.Levels[level].Downsample);
    }

    static double? MppOf(Slide slide, PrepareOptions options) =>
        slide.MppX is not null && slide.MppY is not null ? SlideView.MppOf(slide) : options.SlideMpp;

    static (Candidate[], TumourCounts) Candidates(Tissue tissue, SlideView view, SlideLevel whole, TumourAreas areas,
        int size, CancellationToken cancel)
    {
        double side = size * view.Downsample;
        if (side < LeastCells * tissue.Downsample)
        {
            string widths = FormattableString.Invariant(
                $"{side:0.#} pixels of the slide wide, {LeastCells * tissue.Downsample:0.#} at least are needed");
            throw new SlideException($"{view.Slide.FilePath}: a patch would be {widths}; give a larger --size, or a "
                + "coarser --mpp");
        }
        List<(int Row, int Column)> centres = PatchCentres.OnMask(tissue.Mask, tissue.Height, tissue.Width, side,
            tissue.Downsample);
        Candidate[] candidates = new Candidate[centres.Count];
        SlideWindow[] windows = new SlideWindow[centres.Count];
        for (int i = 0; i < candidates.Length; i++)
        {
            // In whole pixels of the view: exact where its ratio and the mask's are whole numbers.
            int column = Corner(centres[i].Column), row = Corner(centres[i].Row);
            (double x, double y) = (column * view.Downsample, row * view.Downsample);
            windows[i] = new SlideWindow(Centre(x), Centre(y), Centre(x + side), Centre(y + side));
            candidates[i] = new Candidate(column, row, false, 0, (float)tissue.Share(x, y, side, side));
        }
        TumourCounts counts = TumourCounts.Of(areas, whole.Width, whole.Height, windows, cancel);
        for (int i = 0; i < candidates.Length; i++)
        {
            candidates[i] = candidates[i] with
            {
                HasTumour = counts.Windows[i] > 0,
                Tenths = (int)Math.Round(10 * TumourPercentage.Of(counts.Windows[i], windows[i].Pixels)),
            };
        }
        return (candidates, counts);

        int Corner(int centre) => (int)Math.Round((centre * tissue.Downsample - side / 2) / view.Downsample);
        static long Centre(double value) => (long)Math.Ceiling(value - 0.5);
    }

    // Areas beyond the slide's edge are cut off there; if none lies in the slide, they are another slide's.
    static List<string> CheckPlaces(TumourAreas areas, SlideFile file, SlideLevel whole)
    {
        int outside = 0, beyond = 0;
        foreach (SlidePolygon polygon in areas.Tumour)
        {
            (double left, double right) = (polygon.Outer.Min(p => p.X), polygon.Outer.Max(p => p.X));
            (double top, double bottom) = (polygon.Outer.Min(p => p.Y), polygon.Outer.Max(p => p.Y));
            if (left >= whole.Width || top >= whole.Height || right <= 0 || bottom <= 0) outside++;
            else if (left < 0 || top < 0 || right > whole.Width || bottom > whole.Height) beyond++;
        }
        if (outside > 0 && outside == areas.Tumour.Count)
        {
            throw new SlideException($"{file.Annotation}: all {outside} areas of tumour lie outside of {file.Path}, "
                + $"which is {whole.Width} x {whole.Height}: they may be of another slide, or of another resolution");
        }
        List<string> warnings = [];
        if (outside > 0) warnings.Add($"{Areas(outside)} outside of the slide, left out");
        if (beyond > 0) warnings.Add($"{Areas(beyond)} partly outside of the slide, cut at its edge");
        return warnings;

        static string Areas(int count) => count == 1 ? "1 area of tumour lies" : $"{count} areas of tumour lie";
    }

    // A ring that crosses itself has another area by its corners than by its pixels.
    static IEnumerable<string> CheckCrossings(TumourAreas areas, TumourCounts counts, SlideLevel whole)
    {
        const double Tolerance = 0.02;
        int crossed = 0;
        for (int i = 0; i < areas.Tumour.Count; i++)
        {
            SlidePolygon polygon = areas.Tumour[i];
            bool isInside = polygon.Outer.All(p => p.X >= 0 && p.Y >= 0 && p.X <= whole.Width && p.Y <= whole.Height);
            double painted = counts.PixelsOfArea[i];
            double most = Tolerance * Math.Max(polygon.Area, painted) + polygon.Outer.Count;
            if (isInside && Math.Abs(painted - polygon.Area) > most) crossed++;
        }
        if (crossed > 0)
        {
            yield return $"{(crossed == 1 ? "1 area of tumour crosses itself" : $"{crossed} areas of tumour cross ")}"
                + $"{(crossed == 1 ? "" : "themselves")}: what is enclosed an even number of times counts as outside";
        }
    }
}
