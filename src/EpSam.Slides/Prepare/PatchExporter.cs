// The second pass: the patches of a slide as PNG files in EP-SAM's folders. A file that is there is not made again.
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Prepare;

internal static class PatchExporter
{
    const int Effort = 3; // of zlib: on tissue smaller files than 6 gives, in two thirds of the time

    /// <summary>The image of a patch.</summary>
    public static string Image(PrepareFolder folder, ChosenPatch patch) =>
        Path.Combine(folder.Images(patch.Split), patch.Id + ".png");

    /// <summary>Its mask; null for a patch without tumour.</summary>
    public static string? Mask(PrepareFolder folder, ChosenPatch patch) =>
        patch.Label == 1 ? Path.Combine(folder.Masks(patch.Split), patch.Id + ".png") : null;

    /// <summary>Whether a patch has its files.</summary>
    public static bool IsThere(PrepareFolder folder, ChosenPatch patch) => File.Exists(Image(folder, patch))
        && (Mask(folder, patch) is not string mask || File.Exists(mask));

    /// <summary>Writes the patches of one slide, on all cores.</summary>
    /// <param name="file">The slide.</param>
    /// <param name="patches">Those that are missing.</param>
    /// <param name="options">What the slide was scanned with.</param>
    /// <param name="folder">Where they go.</param>
    /// <param name="done">Told after each patch.</param>
    /// <param name="cancel">Looked at between patches.</param>
    public static void Run(SlideFile file, IReadOnlyList<ChosenPatch> patches, PrepareOptions options,
        PrepareFolder folder, Action done, CancellationToken cancel)
    {
        using Slide slide = Slide.Open(file.Path);
        TumourAreas areas = SlideScanner.Areas(file, options, slide.QuPathOrigin);
        SlideView view = SlideScanner.View(slide, options);
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel,
        };
        try
        {
            Parallel.ForEach(patches, parallel, patch =>
            {
                Write(patch, view, areas, options, folder);
                done();
            });
        }
        catch (AggregateException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }

    static void Write(ChosenPatch patch, SlideView view, TumourAreas areas, PrepareOptions options,
        PrepareFolder folder)
    {
        int size = options.Size;
        // The mask first: the image says that the patch is there.
        if (Mask(folder, patch) is string mask)
        {
            byte[] painted = TrueMask(patch, view, areas, size);
            PrepareFolder.Write(mask, ImageWriter.EncodePng(painted, size, size, 1));
        }
        Raster image = view.Read(patch.Candidate.Column, patch.Candidate.Row, size, size);
        if (options.SwapRedBlue)
            for (int i = 0; i < image.Pixels.Length; i += 3)
                (image.Pixels[i], image.Pixels[i + 2]) = (image.Pixels[i + 2], image.Pixels[i]);
        PrepareFolder.Write(Image(folder, patch), ImageWriter.EncodePng(image.Pixels, size, size, 3, Effort));
    }

    // (size, size), 255 for tumour; nothing is outside of the slide.
    static byte[] TrueMask(ChosenPatch patch, SlideView view, TumourAreas areas, int size)
    {
        byte[] mask = areas.Mask(patch.X, patch.Y, view.Downsample, size, size);
        SlideLevel whole = view.Slide.Levels[0];
        for (int row = 0; row < size; row++)
        {
            double y = patch.Y + (row + 0.5) * view.Downsample;
            for (int column = 0; column < size; column++)
            {
                double x = patch.X + (column + 0.5) * view.Downsample;
                bool isInside = x >= 0 && y >= 0 && x < whole.Width && y < whole.Height;
                int at = row * size + column;
                mask[at] = isInside && mask[at] != 0 ? (byte)255 : (byte)0;
            }
        }
        return mask;
    }
}
