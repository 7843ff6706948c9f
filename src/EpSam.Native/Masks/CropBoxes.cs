// Crops and prompt points of the automatic mask generator (segment_anything/utils/amg.py). Layer 0 is the whole image,
// layer i has 2^i x 2^i crops that overlap by a share of the image's shorter side.
namespace EpSam.Native.Masks;

/// <summary>A crop and the layer it belongs to.</summary>
public readonly record struct Crop(Box Box, int Layer);

/// <summary>The crops of an image.</summary>
public static class CropBoxes
{
    /// <summary>SAM's default overlap, as a share of the shorter side.</summary>
    public const double DefaultOverlap = 512.0 / 1500;

    /// <summary>The whole image, then layer by layer, columns from the left, each from the top.</summary>
    public static Crop[] Generate(int height, int width, int layers, double overlapRatio = DefaultOverlap)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(layers);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(layers, 10);
        List<Crop> crops = [new(new Box(0, 0, width, height), 0)];
        for (int layer = 1; layer <= layers; layer++)
        {
            int side = 1 << layer;
            int overlap = (int)(overlapRatio * Math.Min(height, width) * (2.0 / side));
            int w = Length(width, side, overlap), h = Length(height, side, overlap);
            for (int i = 0; i < side; i++)
                for (int j = 0, x = (w - overlap) * i; j < side; j++)
                {
                    int y = (h - overlap) * j;
                    crops.Add(new(new Box(x, y, Math.Min(x + w, width), Math.Min(y + h, height)), layer));
                }
        }
        return [.. crops];
    }

    static int Length(int whole, int crops, int overlap) =>
        (int)Math.Ceiling((double)((long)overlap * (crops - 1) + whole) / crops);
}

/// <summary>Regular grids of prompt points in [0, 1] x [0, 1].</summary>
public static class PointGrid
{
    /// <summary>side x side points at (i + 0.5) / side, row by row; as numpy.linspace computes them.</summary>
    public static (double X, double Y)[] Build(int side)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(side);
        double offset = 1.0 / (2.0 * side), end = 1 - offset, step = (end - offset) / Math.Max(side - 1, 1);
        double[] line = new double[side];
        for (int i = 0; i < side; i++) line[i] = i * step + offset;
        if (side > 1) line[^1] = end;
        (double, double)[] points = new (double, double)[checked(side * side)];
        for (int i = 0; i < points.Length; i++) points[i] = (line[i % side], line[i / side]);
        return points;
    }

    /// <summary>
    /// A grid for each layer from 0 to <paramref name="layers"/>: points a side are divided by factor^layer, at least
    /// 1.
    /// </summary>
    public static (double X, double Y)[][] BuildAll(int side, int layers, int factor)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(layers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(factor);
        (double, double)[][] grids = new (double, double)[layers + 1][];
        // The reference divides by zero when a layer has no point left; here it keeps one.
        for (int i = 0; i <= layers; i++) grids[i] = Build(Math.Max(1, (int)(side / Math.Pow(factor, i))));
        return grids;
    }
}
