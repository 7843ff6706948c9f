// From class activations to EP-SAM's 8-bit map (resnet_adl.py, generate_cam_masks): the patch is seen in four
// orientations, each map is scaled to its own largest value, turned back, and the mean is cut to 8 bits. A map without
// a positive value is 0 / 0 in the reference and becomes 0 there by way of NaN.
using EpSam.Native.Preprocess;

namespace EpSam.Native.Prompts;

/// <summary>Class activation maps as 8-bit maps (height, width) and as probabilities.</summary>
public static class CamMap
{
    /// <summary>
    /// The mean of the maps of four orientations. Exact to the reference for the same activations.
    /// </summary>
    /// <param name="activations">
    /// Weighted sums of features for the patch turned counter-clockwise by 0, 90, 180 and 270 degrees, one after the
    /// other: (height, width), (width, height), (height, width), (width, height).
    /// </param>
    /// <param name="height">Rows of the map of the patch as it is.</param>
    /// <param name="width">Its columns.</param>
    /// <param name="map">(height, width).</param>
    public static void Average(ReadOnlySpan<float> activations, int height, int width, Span<byte> map)
    {
        Pixels.Check("CamMap", nameof(activations), activations.Length, height, width, 4);
        Pixels.Check("CamMap", nameof(map), map.Length, height, width);
        int size = height * width;
        byte[] scaled = new byte[size], upright = new byte[size];
        int[] sums = new int[size];
        for (int turns = 0; turns < 4; turns++)
        {
            Scale(activations.Slice(turns * size, size), scaled);
            (int rows, int columns) = turns % 2 == 0 ? (height, width) : (width, height);
            QuarterTurns.Rotate<byte>(scaled, rows, columns, 1, -turns, upright);
            for (int i = 0; i < size; i++) sums[i] += upright[i];
        }
        for (int i = 0; i < size; i++) map[i] = (byte)(sums[i] >> 2);
    }

    // Negative activations are cut off before the least is taken away, which then is mostly 0.
    static void Scale(ReadOnlySpan<float> activations, Span<byte> scaled)
    {
        float least = float.PositiveInfinity, most = 0;
        foreach (float value in activations)
        {
            least = MathF.Min(least, MathF.Max(value, 0));
            most = MathF.Max(most, value);
        }
        float range = most - least;
        for (int i = 0; i < scaled.Length; i++)
            scaled[i] = range > 0 ? (byte)(255 * ((MathF.Max(activations[i], 0) - least) / range)) : (byte)0;
    }

    /// <summary>
    /// The map stretched to 0 to 1 and resized to the patch as OpenCV does it in double: what points are drawn by.
    /// Bit-exact.
    /// </summary>
    public static void Normalize(ReadOnlySpan<byte> map, int height, int width, int newHeight, int newWidth,
        Span<float> normalized)
    {
        Pixels.Check("CamMap", nameof(map), map.Length, height, width);
        Pixels.Check("CamMap", nameof(normalized), normalized.Length, newHeight, newWidth);
        byte least = 255, most = 0;
        foreach (byte value in map) (least, most) = (Math.Min(least, value), Math.Max(most, value));
        double range = most - least + 1e-8;
        double[] small = new double[map.Length], large = new double[normalized.Length];
        for (int i = 0; i < small.Length; i++) small[i] = (map[i] - least) / range;
        CvResize.Linear(small, height, width, 1, newHeight, newWidth, large);
        for (int i = 0; i < large.Length; i++) normalized[i] = (float)large[i];
    }
}
