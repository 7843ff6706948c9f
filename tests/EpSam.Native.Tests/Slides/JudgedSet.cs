// Slides of known colours with results and annotations, in a folder laid out as epsam slide and its users lay it out.
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides;

internal sealed class JudgedSet : IDisposable
{
    public const int Side = 800, Downsample = 2, MaskSide = Side / Downsample;
    const double Mpp = 0.5;

    readonly string _folder;

    public JudgedSet()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-judge-").FullName;
        Directory.CreateDirectory(In("data"));
        Directory.CreateDirectory(In("truth"));
    }

    public string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    public void Dispose() => Directory.Delete(_folder, true);

    public static SlidePolygon Rectangle(double left, double top, double right, double bottom) =>
        new([new(left, top), new(right, top), new(right, bottom), new(left, bottom)]);

    /// <summary>White; pink tissue from 160 to 640 both ways; bluer from 320 to 480.</summary>
    public string Slide(string name)
    {
        byte[] rgb = new byte[3 * Side * Side];
        for (int i = 0; i < Side * Side; i++)
        {
            (int x, int y) = (i % Side, i / Side);
            bool isTissue = Math.Min(x, y) >= 160 && Math.Max(x, y) < 640;
            bool isBlue = Math.Min(x, y) >= 320 && Math.Max(x, y) < 480;
            (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = isBlue ? ((byte)150, (byte)90, (byte)200)
                : isTissue ? ((byte)220, (byte)120, (byte)180) : ((byte)245, (byte)245, (byte)245);
        }
        ImageWriter.WritePng(In("data", name + ".tif"), rgb, Side, Side, 3); // the content tells the format
        return In("data", name + ".tif");
    }

    /// <summary>As if the slide were segmented.</summary>
    public SlideFolder Results(string name, double probability, params SlidePolygon[] tumour)
    {
        SlideFolder results = new BatchFolder(In("out")).Of(name);
        Directory.CreateDirectory(results.Root);
        const int Tile = 256, Columns = (MaskSide + Tile - 1) / Tile;
        using PyramidWriter writer = new(results.Mask, MaskSide, MaskSide, 1, new() { IsClasses = true });
        for (int i = 0; i < Columns * Columns; i++)
        {
            byte[] mask = new byte[Tile * Tile];
            foreach (SlidePolygon polygon in tumour)
            {
                PolygonMask.Paint(polygon, i % Columns * Tile * Downsample, i / Columns * Tile * Downsample, Downsample,
                    255, mask, Tile, Tile);
            }
            if (mask.AsSpan().ContainsAnyExcept((byte)0)) writer.WriteTile(i % Columns, i / Columns, mask);
        }
        writer.Complete();
        SlideSummary summary = new()
        {
            Name = name, File = name + ".tif", Width = Side, Height = Side, Mpp = Mpp, Downsample = Downsample,
            TissueMm2 = 0, TumourMm2 = 0, Regions = 0, Tiles = 1, TissueTiles = 1, TumourTiles = 1,
            MaxProbability = probability,
        };
        File.WriteAllBytes(results.Summary, ResultJson.Bytes(new { Summary = summary, Key = "x" }));
        return results;
    }

    /// <summary>Areas of tumour as QuPath writes them.</summary>
    public string Annotation(string name, params SlidePolygon[] tumour)
    {
        using FileStream file = File.Create(In("truth", name + ".geojson"));
        GeoJson.Write(file, tumour.Select(t => new Annotation("", AnnotationKind.Polygon, "Tumor", [t], [])));
        return file.Name;
    }
}
