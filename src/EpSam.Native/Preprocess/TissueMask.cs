// What of a slide is tissue, as EP-SAM finds it (tools/wsi_preprocess.py): tissue is stained, so its saturation is
// above Otsu's threshold; gaps are closed and specks removed.
namespace EpSam.Native.Preprocess;

/// <summary>The tissue of a slide's overview, exact to the reference's chain of OpenCV calls.</summary>
public static class TissueMask
{
    /// <summary>From RGB pixels (height, width, 3) to a mask (height, width) of 0 and 255.</summary>
    public static byte[] Of(ReadOnlySpan<byte> rgb, int height, int width)
    {
        Pixels.Check("TissueMask", nameof(rgb), rgb.Length, height, width, 3);
        byte[] saturation = new byte[height * width];
        CvHsv.Saturation(rgb, saturation);
        return OfSaturation(saturation, height, width);
    }

    /// <summary>The same from the saturation alone, as <see cref="CvHsv"/> gives it: (height, width).</summary>
    public static byte[] OfSaturation(ReadOnlySpan<byte> saturation, int height, int width)
    {
        Pixels.Check("TissueMask", nameof(saturation), saturation.Length, height, width);
        byte[] mask = new byte[height * width], other = new byte[height * width];
        Otsu.Binarize(saturation, mask);
        Morphology.Dilate(mask, height, width, 7, other, iterations: 2); // the two steps of closing, in two buffers:
        Morphology.Erode(other, height, width, 7, mask, iterations: 2);  // slides are large
        MedianBlur.Apply(mask, height, width, 15, other);
        return other;
    }
}
