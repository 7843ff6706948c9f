// A synthetic slide with results as segmenting it would leave them: mask, probability, outlines, figures.
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Slides;
using EpSam.Slides.Segment;
using EpSam.Slides.Synth;

namespace EpSam.Native.Tests.Slides.Viewer;

/// <summary>A slide in memory and a folder of its results, which is deleted in the end.</summary>
internal sealed class ViewerScene : IDisposable
{
    public const double Mpp = 0.5;
    const int Downsample = 2;

    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("epsam-viewer-");

    public ViewerScene(int width, int height, string name)
    {
        SynthSlide synth = new(new SynthOptions { Width = width, Height = height, Mpp = Mpp, Seed = 3, Tumour = 0.3 });
        byte[] rgb = synth.Render(0, 0, width, height);
        Slide = new MemorySlide(width, height, (x, y, c) => rgb[3 * (y * width + x) + c], mpp: Mpp);
        Results = new SlideFolder(_folder.FullName);
        (int w, int h) = (width / Downsample, height / Downsample);
        byte[] mask = new TumourAreas(synth.Tumour, []).Mask(0, 0, Downsample, h, w);
        IReadOnlyList<SlidePolygon> outlines = MaskPolygons.Trace(mask, h, w);
        for (int i = 0; i < mask.Length; i++) mask[i] *= 255;
        Mask = mask;
        WritePyramid(Results.Mask, mask, w, h, isClasses: true);
        WritePyramid(Results.Probability, Smooth(mask, w, h), w, h, isClasses: false);
        using (FileStream file = File.Create(Results.GeoJson))
            GeoJson.Write(file, outlines.Select((o, i) => new Annotation($"{i}", AnnotationKind.Polygon, "Tumor",
                [Enlarged(o)], [])));
        double mm2 = Mpp * Downsample * Mpp * Downsample / 1e6;
        Summary = new SlideSummary
        {
            Name = name, File = $"{name}.svs", Width = width, Height = height, Mpp = Mpp, Downsample = Downsample,
            TissueMm2 = synth.TissueArea * Mpp * Mpp / 1e6, TumourMm2 = mask.Count(v => v != 0) * mm2,
            Regions = outlines.Count, Tiles = 12, TissueTiles = 8, TumourTiles = 4, MaxProbability = 0.97,
        };
    }

    public MemorySlide Slide { get; }
    public SlideFolder Results { get; }
    public SlideSummary Summary { get; }
    public byte[] Mask { get; }
    public string Viewer => Results.Viewer;

    public void Dispose()
    {
        Slide.Dispose();
        _folder.Delete(recursive: true);
    }

    static void WritePyramid(string path, byte[] values, int width, int height, bool isClasses)
    {
        const int Tile = 256;
        using PyramidWriter writer = new(path, width, height, channels: 1,
            new PyramidOptions { Tile = Tile, IsClasses = isClasses, Mpp = Mpp * Downsample });
        for (int row = 0; row < writer.Rows; row++)
        {
            for (int column = 0; column < writer.Columns; column++)
            {
                byte[] tile = new byte[Tile * Tile];
                for (int y = 0; y < Math.Min(Tile, height - row * Tile); y++)
                    values.AsSpan((row * Tile + y) * width + column * Tile, Math.Min(Tile, width - column * Tile))
                        .CopyTo(tile.AsSpan(y * Tile));
                if (tile.AsSpan().IndexOfAnyExcept((byte)0) >= 0) writer.WriteTile(column, row, tile);
            }
        }
        writer.Complete();
    }

    static SlidePolygon Enlarged(SlidePolygon polygon) => new(Ring(polygon.Outer), [.. polygon.Holes.Select(Ring)]);

    static IReadOnlyList<SlidePoint> Ring(IReadOnlyList<SlidePoint> ring) =>
        [.. ring.Select(p => new SlidePoint(p.X * Downsample, p.Y * Downsample))];

    // Means over squares, twice: falls off round the tumour.
    static byte[] Smooth(byte[] mask, int width, int height)
    {
        const int Reach = 24;
        byte[] across = new byte[mask.Length], smooth = new byte[mask.Length];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                across[y * width + x] = Mean(mask, y * width, 1, x, width);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                smooth[y * width + x] = Mean(across, x, width, y, height);
        return smooth;

        static byte Mean(byte[] from, int start, int step, int at, int count)
        {
            (int first, int last) = (Math.Max(0, at - Reach), Math.Min(count - 1, at + Reach));
            int sum = 0;
            for (int i = first; i <= last; i++) sum += from[start + i * step];
            return (byte)(sum / (2 * Reach + 1));
        }
    }
}
