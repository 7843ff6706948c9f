// A segmented slide on one picture: the slide, its tumour tinted and outlined. Slide and mask are read in bands at the
// picture's resolution, so that memory does not depend on the slide's size.
using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Native.Masks;
using EpSam.Native.Preprocess;
using EpSam.Slides.Segment;

namespace EpSam.Slides;

/// <summary>Paints a slide's mask over the slide.</summary>
public static class SlideOverlay
{
    /// <summary>Pixels of the picture's longer side, at most.</summary>
    public const int MostSide = 2048;

    const int BandRows = 128, Line = 3;  // Line: pixels that the outline is wide on a large picture
    const byte Half = 128;
    const double Tint = 0.3;
    static readonly (byte, byte, byte) Colour = (0, 158, 60); // green: no stain of tissue is

    /// <summary>Writes a PNG file. Pixels of which half or more is tumour are painted.</summary>
    /// <param name="path">The file.</param>
    /// <param name="slide">The slide, open.</param>
    /// <param name="results">Where its mask is.</param>
    /// <param name="downsample">Pixels of level 0 to one of the mask.</param>
    /// <exception cref="ImagingException">The slide or the mask cannot be decoded.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, Slide slide, SlideFolder results, double downsample)
    {
        SlideView view = Small(slide);
        (int width, int height) = ((int)view.Width, (int)view.Height);
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0; y < height; y += BandRows)
        {
            int rows = Math.Min(BandRows, height - y);
            view.Read(0, y, width, rows).Pixels.CopyTo(rgb.AsSpan(3 * y * width));
        }
        byte[] mask = Mask(results, view.Downsample / downsample, height, width);
        int line = Math.Max(width, height) >= MostSide / 2 ? Line : 1;
        byte[] inside = new byte[mask.Length], rim = new byte[mask.Length];
        Morphology.Erode(mask, height, width, 3, inside, line);
        for (int i = 0; i < rim.Length; i++) rim[i] = (byte)(mask[i] - inside[i]);
        Overlay.Paint(rgb, inside, height, width, Colour, Tint, outline: false);
        Overlay.Paint(rgb, rim, height, width, Colour, 1);
        ImageWriter.WritePng(path, rgb, width, height, 3);
    }

    static SlideView Small(Slide slide)
    {
        const double ALittle = 1.001;
        SlideLevel whole = slide.Levels[0];
        double downsample = Math.Max(1, Math.Max(whole.Width, whole.Height) / (double)MostSide);
        SlideView view = new(slide, downsample);
        while (view.Width > MostSide || view.Height > MostSide) // a level that is nearly as coarse was taken
            view = new SlideView(slide, downsample *= ALittle);
        return view;
    }

    // 1 for tumour, at the picture's size. What rounding leaves of it beyond the mask's is none.
    static byte[] Mask(SlideFolder results, double ratio, int height, int width)
    {
        using Slide file = Slide.Open(results.Mask);
        SlideView view = new(file, ratio);
        byte[] mask = new byte[width * height];
        int columns = (int)Math.Min(width, view.Width), last = (int)Math.Min(height, view.Height);
        for (int y = 0; y < last; y += BandRows)
        {
            int rows = Math.Min(BandRows, last - y);
            byte[] read = view.Read(0, y, columns, rows).Pixels;
            for (int row = 0; row < rows; row++)
                for (int x = 0; x < columns; x++)
                    mask[(y + row) * width + x] = read[3 * (row * columns + x)] >= Half ? (byte)1 : (byte)0;
        }
        return mask;
    }
}
