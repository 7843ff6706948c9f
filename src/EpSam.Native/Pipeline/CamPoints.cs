using EpSam.Native.Prompts;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>The points that stand for an image that nothing is learned from: drawn by its activations.</summary>
public static class CamPoints
{
    /// <summary>
    /// Points in the initial mask in proportion to the activation map (EP-SAM, make_prompt.py). The same in every
    /// round and in the report: they depend on the seed and the image's name.
    /// </summary>
    /// <param name="cam">The map, of any size.</param>
    /// <param name="initial">The mask, of the image's size.</param>
    /// <param name="config">How many, and the seed.</param>
    /// <param name="image">The image's name.</param>
    public static (int X, int Y)[] Of(Picture cam, Picture initial, DecoderConfig config, string image)
    {
        float[] weights = new float[initial.Height * initial.Width];
        CamMap.Normalize(cam.Pixels, cam.Height, cam.Width, initial.Height, initial.Width, weights);
        ulong seed = new CounterRandom(config.Seed).Child($"points of {image}", 0).NextBits();
        return PointPrompts.Weighted(weights, initial.Pixels, initial.Height, initial.Width, config.Points, seed);
    }
}
