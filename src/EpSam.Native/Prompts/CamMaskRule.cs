// How a class activation map becomes a first mask (EP-SAM, generate_cam_masks). The two published rules differ in the
// percentile, the opening and in whether they act before or after the map is resized. The reference asks for Lanczos
// resizing but hands the flag to another parameter: OpenCV interpolates linearly, and so do we. A general rule may
// instead threshold the classifier's own logit at each position: a map that is stretched to its own range has lost
// where the classifier draws the line, and an image without tumour then gets a mask like any other.
using EpSam.Native.Preprocess;

namespace EpSam.Native.Prompts;

/// <summary>
/// A rule from an activation map to a mask: above a percentile of the values of the 8-bit map that are not 0, or with
/// <see cref="Logit"/> above a logit, then opened.
/// </summary>
public sealed record CamMaskRule
{
    /// <summary>EP-SAM's rule for CAMELYON16: 10th percentile and 21 x 21 opening at the patch's resolution.</summary>
    public static CamMaskRule Camelyon16 { get; } = new();

    /// <summary>EP-SAM's rule for CAMELYON17: 30th percentile and 5 x 5 opening at the map's resolution.</summary>
    public static CamMaskRule Camelyon17 { get; } = new() { Percentile = 30, Opening = 5, AtMapResolution = true };

    /// <summary>A pixel must be above this percentile (0 to 100) of the map's values that are not 0.</summary>
    public double Percentile { get; init; } = 10;

    /// <summary>And above this level of the map, 0 to 255: unlike a percentile it can leave a map empty.</summary>
    public double Level { get; init; }

    /// <summary>
    /// Instead of percentile and level: the classifier's logit at a pixel must be above this, 0 where it is undecided.
    /// Null: by percentile and level.
    /// </summary>
    public double? Logit { get; init; }

    /// <summary>
    /// With Logit: a pixel's probability must also be above Otsu's threshold of the image's own probabilities, which
    /// moves with the classifier's certainty from image to image. Logit then only keeps images without tumour empty.
    /// </summary>
    public bool Otsu { get; init; }

    /// <summary>
    /// Deviation of a Gaussian that the map is smoothed by before the threshold, in pixels of the resolution that the
    /// rule acts at; 0: not at all.
    /// </summary>
    public double Smoothing { get; init; }

    /// <summary>
    /// The side of the square that has to fit into what is kept (1 keeps everything), in pixels of the resolution that
    /// the rule acts at.
    /// </summary>
    public int Opening { get; init; } = 21;

    /// <summary>Threshold and opening before the map is resized, not after.</summary>
    public bool AtMapResolution { get; init; }

    /// <summary>The mask of a map, 0 or 1. Exact to the reference for its two rules.</summary>
    /// <param name="map">(height, width), as <see cref="CamMap.Average"/> gives it.</param>
    /// <param name="height">Rows of the map.</param>
    /// <param name="width">Columns of the map.</param>
    /// <param name="newHeight">Rows of the patch.</param>
    /// <param name="newWidth">Columns of the patch.</param>
    /// <param name="mask">(newHeight, newWidth).</param>
    public void Apply(ReadOnlySpan<byte> map, int height, int width, int newHeight, int newWidth, Span<byte> mask)
    {
        Pixels.Check("CamMaskRule", nameof(map), map.Length, height, width);
        Pixels.Check("CamMaskRule", nameof(mask), mask.Length, newHeight, newWidth);
        if (Logit is not null)
            throw new ArgumentException("CamMaskRule: this rule is about logits, of which an 8-bit map has none");
        double threshold = Threshold(map);
        if (AtMapResolution)
        {
            byte[] small = new byte[map.Length], opened = new byte[map.Length];
            Above(map, height, width, threshold, small);
            Morphology.Open(small, height, width, Opening, opened);
            CvResize.Linear(opened, height, width, 1, newHeight, newWidth, mask);
        }
        else
        {
            byte[] large = new byte[mask.Length];
            CvResize.Linear(map, height, width, 1, newHeight, newWidth, large);
            Above(large, newHeight, newWidth, threshold, large);
            Morphology.Open(large, newHeight, newWidth, Opening, mask);
        }
    }

    /// <summary>The mask, 0 or 1, by a rule with <see cref="Logit"/>.</summary>
    /// <param name="logits">(height, width): the classifier's at each position.</param>
    /// <param name="height">Rows of the map.</param>
    /// <param name="width">Columns of the map.</param>
    /// <param name="newHeight">Rows of the patch.</param>
    /// <param name="newWidth">Columns of the patch.</param>
    /// <param name="mask">(newHeight, newWidth).</param>
    public void ApplyToLogits(
        ReadOnlySpan<float> logits, int height, int width, int newHeight, int newWidth, Span<byte> mask)
    {
        Pixels.Check("CamMaskRule", nameof(logits), logits.Length, height, width);
        Pixels.Check("CamMaskRule", nameof(mask), mask.Length, newHeight, newWidth);
        double threshold = Logit
            ?? throw new ArgumentException("CamMaskRule: this rule is about an 8-bit map, not about logits");
        float[] values = [.. logits];
        if (Otsu)
        {
            for (int i = 0; i < values.Length; i++) values[i] = Level255(values[i]);
            threshold = Level255(threshold);
        }
        if (AtMapResolution)
        {
            byte[] small = new byte[logits.Length], opened = new byte[logits.Length];
            Above(values, height, width, threshold, small);
            Morphology.Open(small, height, width, Opening, opened);
            CvResize.Linear(opened, height, width, 1, newHeight, newWidth, mask);
        }
        else
        {
            float[] large = new float[mask.Length];
            byte[] above = new byte[mask.Length];
            CvResize.Linear(values, height, width, 1, newHeight, newWidth, large);
            Above(large, newHeight, newWidth, threshold, above);
            Morphology.Open(above, newHeight, newWidth, Opening, mask);
        }
    }

    /// <summary>What a pixel must be above; NaN, which nothing is above, for a map of zeros.</summary>
    public double Threshold(ReadOnlySpan<byte> map)
    {
        byte[] values = new byte[map.Length - map.Count((byte)0)];
        int n = 0;
        foreach (byte value in map)
            if (value != 0) values[n++] = value;
        return Math.Max(Preprocess.Percentile.Of<byte>(values, Percentile), Level);
    }

    void Above(ReadOnlySpan<byte> values, int height, int width, double threshold, Span<byte> mask)
    {
        if (Smoothing == 0)
        {
            for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(values[i] > threshold ? 1 : 0);
            return;
        }
        float[] exact = new float[values.Length];
        for (int i = 0; i < exact.Length; i++) exact[i] = values[i];
        Above(exact, height, width, threshold, mask);
    }

    void Above(ReadOnlySpan<float> values, int height, int width, double threshold, Span<byte> mask)
    {
        float[] smooth = new float[values.Length];
        GaussianBlur.Apply(values, height, width, Smoothing, smooth);
        for (int i = 0; i < mask.Length; i++) mask[i] = (byte)(smooth[i] > threshold ? 1 : 0);
        if (!Otsu || Logit is null) return;
        byte[] levels = new byte[smooth.Length]; // of probabilities
        for (int i = 0; i < levels.Length; i++) levels[i] = (byte)smooth[i];
        int between = Preprocess.Otsu.Threshold(levels);
        for (int i = 0; i < mask.Length; i++)
            if (levels[i] <= between) mask[i] = 0;
    }

    static float Level255(double logit) => (float)(255 / (1 + Math.Exp(-logit)));
}
