using EpSam.Native.Preprocess;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>
/// Positional tables of another size than a model's, resampled linearly as PyTorch does with align_corners=False.
/// </summary>
public static class PositionTables
{
    /// <summary>
    /// (L, C) to (M, C): relative positions, as the reference does when a table's length is not 2·size - 1.
    /// </summary>
    public static float[] Rows(float[] values, Shape from, Shape to) => Bilinear(values, from[0], 1, from[1], to[0], 1);

    /// <summary>(1, H, W, C) to (1, P, Q, C): absolute positions. The reference itself has no other size.</summary>
    public static float[] Grid(float[] values, Shape from, Shape to) =>
        Bilinear(values, from[1], from[2], from[3], to[1], to[2]);

    static float[] Bilinear(float[] values, long height, long width, long channels, long newHeight, long newWidth)
    {
        float[] result = new float[checked(newHeight * newWidth * channels)];
        Resample.TorchBilinear(values, (int)height, (int)width, (int)channels, (int)newHeight, (int)newWidth, result);
        return result;
    }
}
