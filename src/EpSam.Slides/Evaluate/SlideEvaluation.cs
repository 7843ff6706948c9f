// What masks of slides are worth: each pixel of the mask beside the annotation, tile by tile, over the whole slide. And
// beside what comes for nothing on the very same pixels: all tissue is tumour; and one threshold on one smoothed colour
// value within tissue, the best for all pixels together, chosen with the truth that it is judged by, which favours it.
using System.Buffers;
using EpSam.Imaging;
using EpSam.Native.Pipeline;
using EpSam.Native.Training;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Evaluate;

/// <summary>Segmented slides in figures. What there is nothing for is NaN or null.</summary>
public sealed record SlideEvaluation
{
    /// <summary>By slide, in the order given.</summary>
    public required IReadOnlyList<SlideFigures> Slides { get; init; }
    /// <summary>Slides that could not be judged, and why.</summary>
    public required IReadOnlyList<(string Name, string Error)> Failed { get; init; }
    /// <summary>What is to be known about the figures.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
    /// <summary>The masks.</summary>
    public required SlideMaskFigures Masks { get; init; }
    /// <summary>Trivial: all tissue is tumour; null unless all slides were at hand.</summary>
    public SlideMaskFigures? AllTissue { get; init; }
    /// <summary>Trivial: <see cref="ColourRule"/> in tissue; null unless all slides were at hand.</summary>
    public SlideMaskFigures? Colour { get; init; }
    /// <summary>The best threshold, chosen with the truth of these slides.</summary>
    public ColourThreshold? ColourRule { get; init; }
    /// <summary>Slides with tumour told from others by their highest tile; NaN unless there are both.</summary>
    public required double SlideAuc { get; init; }
    /// <summary>Slides with tumour.</summary>
    public int WithTumour => Slides.Count(s => s.HasTumour);
    /// <summary>Of these, slides whose mask meets some of it.</summary>
    public int Found => Slides.Count(s => s.Mask.Both > 0);
    /// <summary>Slides without tumour whose mask has some.</summary>
    public int FalseAlarms => Slides.Count(s => !s.HasTumour && s.Mask.Predicted > 0);

    /// <summary>Compares slides with their truth. One that cannot be read is listed, the rest go on.</summary>
    /// <param name="slides">
    /// Where results are; the slide, needed for what colour and tissue alone tell; and its annotation, null where the
    /// slide is known to have no tumour.
    /// </param>
    /// <param name="groups">See <see cref="TumourAreas.Read"/>.</param>
    /// <param name="progress">Told the share that is done.</param>
    /// <param name="cancel">Looked at before each tile.</param>
    /// <exception cref="ImagingException">libvips is missing.</exception>
    public static SlideEvaluation Of(
        IEnumerable<(SlideFolder Results, string? Slide, string? Annotation)> slides,
        IReadOnlyCollection<string>? groups = null, IProgress<double>? progress = null,
        CancellationToken cancel = default) => new SlideJudge(groups, progress, cancel).Judge([.. slides]);
}

/// <summary>Goes through the slides: once for masks, tissue and the choice of a threshold, once for that.</summary>
internal sealed class SlideJudge(IReadOnlyCollection<string>? groups, IProgress<double>? progress,
    CancellationToken cancel)
{
    readonly List<string> _notes = [];
    readonly List<(string, string)> _failed = [];
    readonly ColourThresholdSearch _search = new();
    int _steps, _step;

    public SlideEvaluation Judge((SlideFolder Results, string? Slide, string? Annotation)[] slides)
    {
        string[] without = [.. slides.Where(s => s.Slide is null).Select(s => Name(s.Results))];
        bool hasBaselines = slides.Length > 0 && without.Length == 0;
        if (without.Length > 0 && without.Length < slides.Length)
            _notes.Add($"what tissue and colour alone tell is left out, since slides are missing: "
                + string.Join(", ", without));
        _steps = slides.Length * (hasBaselines ? 2 : 1);
        List<SlideFigures> figures = [];
        List<(SlideFolder Results, string? Slide, string? Annotation)> judged = [];
        foreach ((SlideFolder Results, string? Slide, string? Annotation) slide in slides)
        {
            try
            {
                figures.Add(Compare(slide, hasBaselines));
                judged.Add(slide);
            }
            catch (Exception e) when (SlideException.IsOfTheSlide(e))
            {
                _failed.Add((Name(slide.Results), e.Message));
            }
            _step++;
        }
        ColourThreshold? rule = figures.Any(f => f.HasTumour) ? _search.Best(pooled: true) : null;
        if (rule is not null) figures = Coloured(rule, judged, figures) ?? figures;
        return Whole(figures, figures.All(f => f.Colour is not null) ? rule : null);
    }

    SlideEvaluation Whole(List<SlideFigures> figures, ColourThreshold? rule) => new()
    {
        Slides = figures, Failed = _failed, Notes = _notes,
        Masks = SlideMaskFigures.Of(figures.Select(f => f.Mask)),
        AllTissue = figures.Count > 0 && figures.All(f => f.AllTissue is not null)
            ? SlideMaskFigures.Of(figures.Select(f => f.AllTissue!.Value)) : null,
        Colour = figures.Count > 0 && rule is not null
            ? SlideMaskFigures.Of(figures.Select(f => f.Colour!.Value)) : null,
        ColourRule = rule,
        SlideAuc = Metrics.Auc([.. figures.Select(f => f.MaxProbability)],
            [.. figures.Select(f => f.HasTumour ? 1 : 0)]),
    };

    static string Name(SlideFolder results) => Path.GetFileName(results.Root);

    SlideFigures Compare((SlideFolder Results, string? Slide, string? Annotation) files, bool hasBaselines)
    {
        using JudgedSlide slide = new(files.Results, hasBaselines ? files.Slide : null, files.Annotation, groups,
            cancel);
        MaskOverlap mask = default, tissue = default;
        ColourThresholdSearch search = new();
        foreach (JudgedTile tile in Each(slide))
        {
            Span<byte> truth = slide.Truth(tile);
            mask += MaskOverlap.Of(slide.Predicted(tile), truth);
            if (!hasBaselines) continue;
            Span<byte> within = slide.TissueOf(tile);
            MaskOverlap here = MaskOverlap.Of(within, truth);
            tissue += here;
            search.AddMissed(here.True - here.Both);
            if (here.Predicted == 0) continue;
            JudgedTile around = slide.Around(tile, ColourThresholdSearch.Reach);
            Crop part = new(tile.X - around.X, tile.Y - around.Y, tile.Width, tile.Height);
            search.Add(slide.Rgb(around), around.Height, around.Width, part, truth, within);
        }
        if (slide.Clipped() is string note) _notes.Add(note);
        _search.Add(search);
        return new SlideFigures
        {
            Name = slide.Summary.Name, Mask = mask, AllTissue = hasBaselines ? tissue : null,
            PixelMm2 = slide.PixelMm2, MaxProbability = slide.Summary.MaxProbability,
        };
    }

    // Null, with a note, where a slide cannot be read any more.
    List<SlideFigures>? Coloured(ColourThreshold rule,
        List<(SlideFolder Results, string? Slide, string? Annotation)> slides, List<SlideFigures> figures)
    {
        List<SlideFigures> coloured = [];
        foreach (((SlideFolder results, string? path, string? annotation), SlideFigures f) in slides.Zip(figures))
        {
            try
            {
                using JudgedSlide slide = new(results, path, annotation, groups, cancel);
                coloured.Add(f with { Colour = ByColour(slide, rule) });
            }
            catch (Exception e) when (SlideException.IsOfTheSlide(e))
            {
                _notes.Add($"what colour alone tells is left out: {e.Message}");
                return null;
            }
            _step++;
        }
        return coloured;
    }

    MaskOverlap ByColour(JudgedSlide slide, ColourThreshold rule)
    {
        MaskOverlap overlap = default;
        foreach (JudgedTile tile in Each(slide))
        {
            Span<byte> mask = slide.TissueOf(tile), truth = slide.Truth(tile);
            if (mask.ContainsAnyExcept((byte)0))
            {
                JudgedTile around = slide.Around(tile, ColourThresholdSearch.Reach);
                byte[] rented = ArrayPool<byte>.Shared.Rent(around.Width * around.Height);
                Span<byte> by = rented.AsSpan(0, around.Width * around.Height);
                rule.Mask(slide.Rgb(around).Span, around.Height, around.Width, by);
                for (int y = 0; y < tile.Height; y++)
                    for (int x = 0; x < tile.Width; x++)
                        mask[y * tile.Width + x] &= by[(tile.Y - around.Y + y) * around.Width + tile.X - around.X + x];
                ArrayPool<byte>.Shared.Return(rented);
            }
            overlap += MaskOverlap.Of(mask, truth);
        }
        return overlap;
    }

    IEnumerable<JudgedTile> Each(JudgedSlide slide)
    {
        JudgedTile[] tiles = [.. slide.Tiles()];
        for (int i = 0; i < tiles.Length; i++)
        {
            cancel.ThrowIfCancellationRequested();
            yield return tiles[i];
            progress?.Report((_step + (i + 1.0) / tiles.Length) / _steps);
        }
    }
}
