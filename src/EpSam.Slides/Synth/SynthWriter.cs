// Renders a slide band by band into a pyramid, the parts of a band on all cores.
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Synth;

/// <summary>Writes synthetic slides.</summary>
public static class SynthWriter
{
    const int BandRows = 256, PartColumns = 512, Quality = 88;
    const string Group = "Tumor"; // as CAMELYON's files call it

    /// <summary>Writes a pyramidal TIFF with JPEG tiles; it appears when it is complete.</summary>
    /// <param name="slide">What is rendered.</param>
    /// <param name="path">The file.</param>
    /// <param name="progress">Told the share of rows that are rendered.</param>
    /// <param name="cancel">Looked at between parts.</param>
    public static void WriteSlide(SynthSlide slide, string path, IProgress<double>? progress = null,
        CancellationToken cancel = default)
    {
        (int width, int height) = (slide.Options.Width, slide.Options.Height);
        PyramidOptions options = new()
        {
            Compression = PyramidCompression.Jpeg, Quality = Quality, Mpp = slide.Options.Mpp,
        };
        using PyramidWriter writer = new(path, width, height, channels: 3, options);
        byte[] band = new byte[3 * width * Math.Min(BandRows, height)];
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel,
        };
        for (int y = 0; y < height; y += BandRows)
        {
            int rows = Math.Min(BandRows, height - y), top = y;
            Parallel.For(0, (width + PartColumns - 1) / PartColumns, parallel, part =>
            {
                int x = part * PartColumns;
                slide.Render(x, top, Math.Min(PartColumns, width - x), rows, band.AsSpan(3 * x), 3 * width);
            });
            writer.Write(band.AsSpan(0, 3 * width * rows));
            progress?.Report((double)(y + rows) / height);
        }
        cancel.ThrowIfCancellationRequested();
        writer.Complete();
    }

    /// <summary>The tumour nests as annotations: what was rendered as tumour, to the pixel.</summary>
    public static IReadOnlyList<Annotation> Annotations(SynthSlide slide) =>
    [
        .. slide.Tumour.Select((polygon, i) =>
            new Annotation($"Nest {i + 1}", AnnotationKind.Polygon, Group, [polygon], [])),
    ];
}
