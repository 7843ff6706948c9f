// One slide in, one folder of results out. Tiles of the slide at the models' resolution are gone through row by row;
// those without tissue are not even read. The rest are classified in batches; those that show tumour get a mask, which
// is blended with its neighbours'. Outlines of what is tumour then, without specks, are the truth that mask, areas and
// counts are made from. All that grows with the slide is its tissue mask, a row of tiles and the outlines.
using System.Globalization;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Training;
using EpSam.Slides.Viewer;

namespace EpSam.Slides.Segment;

/// <summary>Segments slides.</summary>
public sealed class SlideSegmenter
{
    /// <summary>What tumour is called in GeoJSON, as QuPath calls it.</summary>
    public const string Group = "Tumor";

    /// <summary>QuPath's colour of that class.</summary>
    public const int Colour = 0xC80000;

    const double PerMm2 = 1e6; // square micrometres
    const int Digits = 6;
    const long MostSide = 1 << 19; // pixels of the view: no scanner's slide has as many at its finest

    readonly ISlideModels _models;
    readonly SlideOptions _options;
    readonly SlideFile _file;
    readonly SlideFolder _folder;
    readonly Func<long, IWorkProgress> _begin; // with how many tiles there are to do
    readonly CancellationToken _cancel;
    readonly Slide _slide;
    readonly SlideView _view;
    readonly double _mpp; // of level 0
    readonly Tissue _tissue;
    readonly TileGrid _grid;
    readonly CounterRandom _random;
    readonly List<(TilePlace Place, TilePixels? Pixels)> _pending = []; // in order; a batch of them has pixels
    int _tissueTiles, _tumourTiles, _regions;
    long _tumourPixels;
    double _highest;

    SlideSegmenter(ISlideModels models, SlideOptions options, Slide slide, SlideFile file, string folder,
        Func<long, IWorkProgress> begin, CancellationToken cancel)
    {
        (_models, _options, _slide, _file, _folder) = (models, options, slide, file, new SlideFolder(folder));
        (_begin, _cancel) = (begin, cancel);
        // for those that do not tell: one value for many slides must not change the scale of others
        double? given = slide.MppX is not null && slide.MppY is not null ? null : options.SlideMpp;
        _mpp = SlideView.MppOf(slide, given);
        _view = SlideView.AtMpp(slide, options.Mpp, given);
        if (Math.Max(_view.Width, _view.Height) > MostSide)
        {
            throw new SlideException(FormattableString.Invariant($"{file.Path} would have {_view.Width} x ")
                + FormattableString.Invariant($"{_view.Height} pixels at {options.Mpp} micrometres each, at most ")
                + FormattableString.Invariant($"{MostSide} a side are possible: give a larger --mpp, or check the ")
                + FormattableString.Invariant($"slide's own, {_mpp} (--slide-mpp)"));
        }
        _grid = new TileGrid(_view.Width, _view.Height, options.Tile, options.Overlap);
        _tissue = Tissue.Of(slide, cancel: cancel);
        _random = new CounterRandom(options.Seed);
    }

    /// <summary>Segments a slide into a folder that exists and is empty.</summary>
    /// <param name="models">Loaded for tiles of this size.</param>
    /// <param name="options">How.</param>
    /// <param name="file">The slide.</param>
    /// <param name="folder">Gets all files of <see cref="SlideFolder"/>.</param>
    /// <param name="observer">Told how many tiles with tissue there are and how many are done.</param>
    /// <param name="cancel">Looked at between tiles.</param>
    /// <exception cref="EpSam.Imaging.ImagingException">The slide cannot be read.</exception>
    /// <exception cref="SlideException">It does not tell how large its pixels are.</exception>
    /// <exception cref="IOException">The slide cannot be read, or results cannot be written.</exception>
    public static SlideSummary Run(SlideModels models, SlideOptions options, SlideFile file, string folder,
        IRunObserver observer, CancellationToken cancel)
    {
        options.Check();
        if (models.Tile != options.Tile || (models.Report.SamSha256 is null) != options.MapsOnly)
            throw new ArgumentException("the models were loaded for other options");
        using Slide slide = Slide.Open(file.Path);
        return Run(models, options, slide, file, folder, tiles => observer.Begin(file.Name, tiles, "tiles"), cancel);
    }

    internal static SlideSummary Run(ISlideModels models, SlideOptions options, Slide slide, SlideFile file,
        string folder, Func<long, IWorkProgress> begin, CancellationToken cancel) =>
        new SlideSegmenter(models, options, slide, file, folder, begin, cancel).Run();

    SlideSummary Run()
    {
        Regions(Probabilities());
        SlideSummary summary = Summary();
        _cancel.ThrowIfCancellationRequested();
        SlideOverlay.Write(_folder.Overlay, _slide, _folder, _view.Downsample);
        if (_options.Viewer) SlideViewer.Write(_folder.Viewer, _slide, _folder, summary, _cancel);
        new SlideJson(summary, _options, _models.Report).Write(_folder.Summary);
        return summary;
    }

    // Micrometres of a pixel of the mask.
    double PixelSide => _view.Downsample * _mpp;

    PyramidWriter NewFile(string path, bool isClasses) => new(path, _view.Width, _view.Height, channels: 1,
        new PyramidOptions { Tile = Stitcher.FileTile, Mpp = PixelSide, IsClasses = isClasses });

    // --- tiles

    IReadOnlyList<SlidePolygon> Probabilities()
    {
        using PyramidWriter file = NewFile(_folder.Probability, isClasses: false);
        double least = _options.MinArea / (PixelSide * PixelSide);
        Stitcher stitcher = new(_grid, (int)_view.Width, (int)_view.Height, _options.Threshold, file, least);
        using (TileTable table = new(_folder.Tiles)) Tiles(stitcher, table);
        file.Complete();
        return stitcher.Finish();
    }

    IEnumerable<TilePlace> Places()
    {
        for (int row = 0; row < _grid.Rows.Count; row++)
        {
            for (int column = 0; column < _grid.Columns.Count; column++)
            {
                (double x, double y, double width, double height) = Area(column, row);
                yield return new TilePlace(column, row, _tissue.Share(x, y, width, height));
            }
        }
    }

    bool IsWanted(TilePlace place) => place.Tissue > 0 && place.Tissue >= _options.MinTissue;

    // In pixels of level 0, what lies in the slide.
    (double X, double Y, double Width, double Height) Area(int column, int row)
    {
        double x = _grid.Columns.Start(column) * _view.Downsample, y = _grid.Rows.Start(row) * _view.Downsample;
        double side = _grid.Tile * _view.Downsample;
        SlideLevel whole = _slide.Levels[0];
        return (x, y, Math.Min(side, whole.Width - x), Math.Min(side, whole.Height - y));
    }

    void Tiles(Stitcher stitcher, TileTable table)
    {
        using TileReader reader = new(_view, _grid, Places().Where(IsWanted), _models.ClassifierSide,
            _models.SwappedRedBlue, 2 * _models.Batch, _cancel);
        using IWorkProgress progress = _begin(Places().Count(IsWanted));
        int waiting = 0;
        foreach (TilePlace place in Places())
        {
            _cancel.ThrowIfCancellationRequested();
            bool isWanted = IsWanted(place);
            _pending.Add((place, isWanted ? reader.Next() : null));
            if (isWanted) waiting++;
            if (waiting == 0 || waiting == _models.Batch)
            {
                Finish(reader, stitcher, table);
                waiting = 0;
            }
            if (isWanted && _pending.Count == 0) Report(progress);
        }
        Finish(reader, stitcher, table);
        Report(progress);
    }

    void Report(IWorkProgress progress) => progress.Report(_tissueTiles,
        string.Create(CultureInfo.InvariantCulture, $"{_tumourTiles} with tumour"));

    // What is pending, in order: classified together, masks made together.
    void Finish(TileReader reader, Stitcher stitcher, TileTable table)
    {
        TilePixels[] seen = [.. _pending.Select(p => p.Pixels).OfType<TilePixels>()];
        float[] probabilities = seen.Length == 0 ? [] : _models.Classify(seen, _cancel);
        (TilePixels, ulong)[] tumour = [.. _pending.Where(p => p.Pixels is not null)
            .Zip(probabilities, (p, probability) => (p, probability))
            .Where(t => t.probability >= _options.MinProbability)
            .Select(t => (t.p.Pixels!, Seed(t.p.Place)))];
        byte[]?[] masks = tumour.Length == 0 ? [] : _models.Segment(tumour, _cancel);
        int next = 0, nextMask = 0;
        foreach ((TilePlace place, TilePixels? pixels) in _pending)
        {
            double? probability = pixels is null ? null : probabilities[next++];
            byte[]? mask = probability >= _options.MinProbability ? masks[nextMask++] : null;
            table.Add(Result(place, probability, mask));
            if (pixels is null) stitcher.Skip(place.Column, place.Row);
            else if (mask is not null) stitcher.Add(place.Column, place.Row, mask);
            if (place.Column + 1 == _grid.Columns.Count) stitcher.EndRow(place.Row);
            if (pixels is not null) reader.Return(pixels);
        }
        _pending.Clear();
    }

    TileResult Result(TilePlace place, double? probability, byte[]? mask)
    {
        (double x, double y, double width, double height) = Area(place.Column, place.Row);
        TileState state = mask is not null ? TileState.Tumour
            : probability is not null ? TileState.Normal : TileState.Background;
        if (probability is double value)
        {
            _tissueTiles++;
            _highest = Math.Max(_highest, value);
        }
        if (mask is not null) _tumourTiles++;
        return new TileResult(x, y, width, height, state, place.Tissue, probability,
            mask is null ? 0 : Share(place, mask));
    }

    // Of what lies in the slide.
    double Share(TilePlace place, byte[] mask)
    {
        int tile = _grid.Tile, least = Stitcher.LevelOf(_options.Threshold);
        int columns = (int)Math.Min(tile, _view.Width - _grid.Columns.Start(place.Column));
        int rows = (int)Math.Min(tile, _view.Height - _grid.Rows.Start(place.Row)), tumour = 0;
        for (int row = 0; row < rows; row++)
            foreach (byte level in mask.AsSpan(row * tile, columns))
                if (level >= least) tumour++;
        return (double)tumour / ((long)columns * rows);
    }

    // The same tile has the same points, whatever came before it.
    ulong Seed(TilePlace place) =>
        _random.Child("points of a tile", ((ulong)place.Row << 32) | (uint)place.Column).NextBits();

    // --- the whole slide

    void Regions(IReadOnlyList<SlidePolygon> polygons)
    {
        // What tiles took goes back before pictures are made, whose memory would come on top of it.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        RegionFigures[] figures = WriteMask(polygons);
        (_regions, _tumourPixels) = (polygons.Count, figures.Sum(f => f.Pixels));
        double side = PixelSide;
        using FileStream file = File.Create(_folder.GeoJson);
        GeoJson.Write(file, polygons.Select((polygon, i) =>
            new Annotation($"{Group} {i + 1}", AnnotationKind.Polygon, Group, [InLevel0(polygon)], [])
            {
                Measurements = new Dictionary<string, double>
                {
                    ["Area mm^2"] = Math.Round(figures[i].Pixels * side * side / PerMm2, Digits),
                    ["Perimeter µm"] = Math.Round(polygon.Rings.Sum(Length) * side, 2),
                    ["Mean probability"] = Math.Round(figures[i].MeanProbability, 4),
                },
            }), _ => Colour);
    }

    RegionFigures[] WriteMask(IReadOnlyList<SlidePolygon> polygons)
    {
        using Slide probability = Slide.Open(_folder.Probability);
        using PyramidWriter mask = NewFile(_folder.Mask, isClasses: true);
        RegionFigures[] figures = RegionPainter.Paint(polygons, mask, probability, _cancel);
        mask.Complete();
        return figures;
    }

    // A hundredth of a pixel is far less than half a pixel of the mask: painted again, it is the same.
    SlidePolygon InLevel0(SlidePolygon polygon) => new([.. polygon.Outer.Select(InLevel0)],
        [.. polygon.Holes.Select(hole => (IReadOnlyList<SlidePoint>)[.. hole.Select(InLevel0)])]);

    SlidePoint InLevel0(SlidePoint point) =>
        new(InLevel0(point.X, _slide.QuPathOrigin.X), InLevel0(point.Y, _slide.QuPathOrigin.Y));

    double InLevel0(double at, double origin) => Math.Round(at * _view.Downsample - origin, 2);

    static double Length(IReadOnlyList<SlidePoint> ring)
    {
        double length = 0;
        for (int i = 0; i < ring.Count; i++)
        {
            (SlidePoint a, SlidePoint b) = (ring[i], ring[i + 1 == ring.Count ? 0 : i + 1]);
            length += Math.Abs(a.X - b.X) + Math.Abs(a.Y - b.Y); // along the pixels' edges
        }
        return length;
    }

    SlideSummary Summary() => new()
    {
        Name = _file.Name, File = Path.GetFileName(_file.Path), Width = _slide.Levels[0].Width,
        Height = _slide.Levels[0].Height, Mpp = _mpp, Downsample = _view.Downsample,
        QuPathOrigin = _slide.QuPathOrigin,
        TissueMm2 = Math.Round(_tissue.Area * _mpp * _mpp / PerMm2, Digits),
        TumourMm2 = Math.Round(_tumourPixels * PixelSide * PixelSide / PerMm2, Digits),
        Regions = _regions, Tiles = _grid.Count, TissueTiles = _tissueTiles, TumourTiles = _tumourTiles,
        MaxProbability = Math.Round(_highest, Digits),
    };
}
