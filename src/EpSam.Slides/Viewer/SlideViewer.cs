// A folder to look at a segmented slide in a browser, without a server: index.html, tiles of the slide, of the heat map
// and of the mask (DeepZoom), outlines. Pages from file:// may not read files, only show images and run scripts; so
// what the page knows about the slide are two scripts, slide.js and outlines.js, and the page itself is the same for
// all slides (Page/). OpenSeadragon, which draws the tiles, is not ours and not contained: it is copied from where
// cmake/get-openseadragon put it. Without it the folder is complete but for that file, and the page says so.
using System.Text;
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Viewer;

/// <summary>Writes viewers of segmented slides.</summary>
public static class SlideViewer
{
    internal const string Script = "openseadragon.min.js";
    const string Licence = "LICENSE.txt", LicenceHere = "openseadragon.LICENSE.txt";
    static readonly string[] PageFiles = ["index.html", "viewer.css", "viewer.js"];

    /// <summary>
    /// The folder that has OpenSeadragon: <paramref name="given"/>, else what EPSAM_OPENSEADRAGON says; null: it is not
    /// there, and viewers will tell what is missing.
    /// </summary>
    public static string? FindOpenSeadragon(string? given = null)
    {
        string? folder = given ?? Environment.GetEnvironmentVariable(ViewerOptions.OpenSeadragonVariable);
        return !string.IsNullOrEmpty(folder) && File.Exists(Path.Combine(folder, Script)) ? folder : null;
    }

    /// <summary>Writes a viewer. Memory does not grow with the slide.</summary>
    /// <param name="folder">Where it goes: made if need be.</param>
    /// <param name="slide">The slide.</param>
    /// <param name="results">Its mask, probability and outlines; one that is not there is a layer less.</param>
    /// <param name="summary">Its figures.</param>
    /// <param name="cancel">Looked at between tiles; the folder is left as it is then.</param>
    /// <param name="options">Resolution and the like; null: the defaults.</param>
    /// <exception cref="ImagingException">A file cannot be decoded.</exception>
    /// <exception cref="IOException">The disk is full.</exception>
    public static void Write(string folder, Slide slide, SlideFolder results, SlideSummary summary,
        CancellationToken cancel, ViewerOptions? options = null)
    {
        options ??= new ViewerOptions();
        Directory.CreateDirectory(folder);
        List<ViewerLayer> layers = [WriteSlide(folder, slide, summary, options, cancel)];
        AddValues(layers, folder, "probability", results.Probability, summary, options, LayerColours.Heat, cancel);
        AddValues(layers, folder, "tumour", results.Mask, summary, options, LayerColours.Tint, cancel);
        WriteScript(Path.Combine(folder, "slide.js"), "epsamSlide", json => Describe(json, summary, layers));
        IEnumerable<Annotation> outlines = File.Exists(results.GeoJson) ? GeoJsonFeatures.Read(results.GeoJson) : [];
        (double left, double top) = (summary.QuPathOrigin.X, summary.QuPathOrigin.Y);
        WriteScript(Path.Combine(folder, "outlines.js"), "epsamOutlines",
            json => Outlines(json, outlines.SelectMany(a => a.Polygons).Select(p => p.Moved(left, top))));
        foreach (string name in PageFiles) WritePage(folder, name);
        if (FindOpenSeadragon(options.OpenSeadragon) is not string source) return;
        foreach ((string from, string to) in new[] { (Script, Script), (Licence, LicenceHere) })
            if (File.Exists(Path.Combine(source, from)))
                File.Copy(Path.Combine(source, from), Path.Combine(folder, to), overwrite: true);
    }

    static ViewerLayer WriteSlide(string folder, Slide slide, SlideSummary summary, ViewerOptions options,
        CancellationToken cancel)
    {
        double downsample = options.Downsample ?? Math.Max(1, summary.Downsample); // there is nothing finer
        SlideView view = new(slide, downsample);
        while (view.Width * view.Height > options.MaxPixels) view = new SlideView(slide, downsample *= 2);
        DeepZoomLevels levels = new(view.Width, view.Height);
        DeepZoom tiles = new(folder, "slide", levels, "jpg", channels: 3,
            (x, y, width, height) => view.Read(x, y, width, height).Pixels,
            (rgb, width, height) => ImageWriter.EncodeJpeg(rgb, width, height, channels: 3, options.Quality));
        tiles.Write(cancel);
        return new ViewerLayer("slide", levels, view.Downsample, "jpg", null);
    }

    static void AddValues(List<ViewerLayer> layers, string folder, string name, string path, SlideSummary summary,
        ViewerOptions options, uint[] colours, CancellationToken cancel)
    {
        if (!File.Exists(path)) return;
        using Slide values = Slide.Open(path);
        SlideView view = new(values, 1);
        for (double shrink = 2; view.Width * view.Height > options.MaxPixels; shrink *= 2) view = new(values, shrink);
        DeepZoomLevels levels = new(view.Width, view.Height);
        DeepZoom tiles = new(folder, name, levels, "png", channels: 1,
            (x, y, width, height) => OneChannel(view.Read(x, y, width, height)),
            (grey, width, height) => LayerColours.Encode(grey, width, height, colours));
        tiles.Write(cancel);
        layers.Add(new ViewerLayer(name, levels, view.Downsample * summary.Downsample, "png", tiles));
    }

    static byte[]? OneChannel(Raster rgb)
    {
        if (rgb.Pixels.AsSpan().IndexOfAnyExcept((byte)0) < 0) return null;
        byte[] grey = new byte[rgb.Width * rgb.Height];
        for (int i = 0; i < grey.Length; i++) grey[i] = rgb.Pixels[rgb.Channels * i];
        return grey;
    }

    static void Describe(Utf8JsonWriter json, SlideSummary summary, IEnumerable<ViewerLayer> layers)
    {
        json.WriteStartObject();
        json.WriteString("name", summary.Name);
        json.WriteString("file", summary.File);
        json.WriteNumber("width", summary.Width);
        json.WriteNumber("height", summary.Height);
        json.WriteNumber("mpp", summary.Mpp);
        json.WriteNumber("tissueMm2", Math.Round(summary.TissueMm2, 6));
        json.WriteNumber("tumourMm2", Math.Round(summary.TumourMm2, 6));
        json.WriteNumber("tumourFraction", Math.Round(summary.TumourFraction, 6));
        json.WriteNumber("regions", summary.Regions);
        json.WriteNumber("maxProbability", Math.Round(summary.MaxProbability, 6));
        json.WriteString("tint", $"#{LayerColours.Tumour:x6}");
        json.WriteStartArray("heat");
        foreach (string colour in LayerColours.Legend) json.WriteStringValue(colour);
        json.WriteEndArray();
        json.WriteStartObject("layers");
        foreach (ViewerLayer layer in layers) layer.Write(json);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // A list of polygons, each a list of rings, each x, y and then steps from point to point, in pixels of level 0.
    static void Outlines(Utf8JsonWriter json, IEnumerable<SlidePolygon> polygons)
    {
        json.WriteStartArray();
        foreach (SlidePolygon polygon in polygons)
        {
            json.WriteStartArray();
            foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings)
            {
                json.WriteStartArray();
                (long x, long y) = (0, 0);
                foreach (SlidePoint point in ring)
                {
                    (long nextX, long nextY) = ((long)Math.Round(point.X), (long)Math.Round(point.Y));
                    json.WriteNumberValue(nextX - x);
                    json.WriteNumberValue(nextY - y);
                    (x, y) = (nextX, nextY);
                }
                json.WriteEndArray();
            }
            json.WriteEndArray();
        }
        json.WriteEndArray();
    }

    // What is not ASCII, and <, > and &, are escaped by the JSON writer: nothing in a name can end the script.
    static void WriteScript(string path, string variable, Action<Utf8JsonWriter> write)
    {
        using FileStream file = File.Create(path);
        file.Write(Encoding.ASCII.GetBytes($"window.{variable} = "));
        using (Utf8JsonWriter json = new(file)) write(json);
        file.Write(";\n"u8);
    }

    static void WritePage(string folder, string name)
    {
        using Stream page = typeof(SlideViewer).Assembly.GetManifestResourceStream($"Viewer/{name}")
            ?? throw new InvalidOperationException($"{name} is not in the assembly");
        using FileStream file = File.Create(Path.Combine(folder, name));
        page.CopyTo(file);
    }
}

/// <summary>A layer of tiles as the page has to know it.</summary>
/// <param name="Name">Of its tiles.</param>
/// <param name="Levels">Their levels.</param>
/// <param name="Downsample">Pixels of level 0 to one of the finest level.</param>
/// <param name="Ending">Of the tiles.</param>
/// <param name="Sparse">Tiles of which some are missing; null: all are there.</param>
internal sealed record ViewerLayer(string Name, DeepZoomLevels Levels, double Downsample, string Ending,
    DeepZoom? Sparse)
{
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject(Name);
        json.WriteNumber("width", Levels.Width);
        json.WriteNumber("height", Levels.Height);
        json.WriteNumber("downsample", Downsample);
        json.WriteNumber("tile", DeepZoomLevels.Tile);
        json.WriteNumber("finest", Levels.Finest);
        json.WriteString("ending", Ending);
        if (Sparse is not null)
        {
            json.WriteStartArray("runs");
            for (int level = 0; level <= Levels.Finest; level++)
            {
                json.WriteStartArray();
                foreach (int run in Sparse.Runs(level)) json.WriteNumberValue(run);
                json.WriteEndArray();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }
}
