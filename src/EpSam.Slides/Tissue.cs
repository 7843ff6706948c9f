// Which parts of a slide are tissue: EP-SAM's mask of a slide at a sixteenth of its sides (systems of the paper:
// tools/wsi_preprocess.py), with the ratio that the mask really has. Very large slides are seen coarser, so that the
// mask stays small.
using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Native.Preprocess;

namespace EpSam.Slides;

/// <summary>The tissue of a slide.</summary>
/// <param name="Mask">(Height, Width), 255 where there is tissue.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
/// <param name="Downsample">Pixels of level 0 to one of the mask.</param>
public sealed record Tissue(byte[] Mask, int Height, int Width, double Downsample)
{
    /// <summary>EP-SAM's ratio.</summary>
    public const double EpSamDownsample = 16;

    const long MostPixels = 1 << 25;
    const int BandRows = 64;

    /// <summary>Finds the tissue. The slide is read in bands.</summary>
    /// <exception cref="ImagingException">The slide cannot be decoded.</exception>
    public static Tissue Of(Slide slide, double downsample = EpSamDownsample, CancellationToken cancel = default)
    {
        SlideLevel whole = slide.Levels[0];
        while (whole.Width / downsample * (whole.Height / downsample) > MostPixels) downsample *= 2;
        SlideView view = new(slide, downsample);
        (int width, int height) = ((int)view.Width, (int)view.Height);
        byte[] saturation = new byte[width * height];
        for (int y = 0; y < height; y += BandRows)
        {
            cancel.ThrowIfCancellationRequested();
            int rows = Math.Min(BandRows, height - y);
            CvHsv.Saturation(view.Read(0, y, width, rows).Pixels, saturation.AsSpan(y * width, rows * width));
        }
        return new Tissue(TissueMask.OfSaturation(saturation, height, width), height, width, view.Downsample);
    }

    /// <summary>Tissue in pixels of level 0.</summary>
    public double Area => (double)(Mask.Length - Mask.AsSpan().Count((byte)0)) * Downsample * Downsample;

    /// <summary>
    /// The share of a rectangle, in pixels of level 0, that is tissue: by the mask's pixels whose middle lies in it, at
    /// least one.
    /// </summary>
    public double Share(double x, double y, double width, double height)
    {
        (int left, int right) = Range(x, width, Width);
        (int top, int bottom) = Range(y, height, Height);
        long set = 0;
        for (int row = top; row < bottom; row++)
        {
            ReadOnlySpan<byte> part = Mask.AsSpan(row * Width + left, right - left);
            set += part.Length - part.Count((byte)0);
        }
        return (double)set / Math.Max(1L, (long)(right - left) * (bottom - top));
    }

    (int, int) Range(double from, double length, int count)
    {
        int first = (int)Math.Clamp(Math.Ceiling(from / Downsample - 0.5), 0, count - 1);
        int end = (int)Math.Clamp(Math.Ceiling((from + length) / Downsample - 0.5), 0, count);
        return (first, Math.Max(first + 1, end));
    }
}
