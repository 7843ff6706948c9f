// One pixel, one row, one column, sides that differ, maps larger than a block; a map without a positive value, one
// that is the same everywhere, one with a NaN. The map's reference is EP-SAM's way step by step in float, which is how
// its 8 bits come about; nothing of it may be off.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class CamCases
{
    static readonly (long B, int H, int W)[] Sizes =
        [(1, 1, 1), (2, 1, 9), (1, 7, 1), (3, 5, 4), (2, 13, 11), (1, 32, 32), (2, 17, 300)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from s in Sizes from turns in new[] { 0, 1, 2, 3 } select Turn(s.B, s.H, s.W, turns),
        .. from s in Sizes select Average(s.B, s.H, s.W, "", Values.Normal(1, 0.3)),
        Average(2, 5, 6, " negative", Values.Uniform(-2, -1)),
        Average(2, 5, 6, " positive", Values.Uniform(1, 2)), // the least is taken away
        Average(2, 5, 6, " constant", _ => 0.7),
        Average(2, 5, 6, " with NaN", r => r.Next(40) == 0 ? double.NaN : r.NextDouble()),
        Turn(16, 512, 512, 1, true),
        Average(16, 32, 32, "", Values.Normal(1, 0.3), true),
    ];

    static OpCase Turn(long b, int h, int w, int turns, bool realistic = false)
    {
        Shape turned = turns % 2 == 0 ? new(b, h, w, 3) : new(b, w, h, 3);
        return new()
        {
            Name = $"cam turn {90 * turns} {b}x{h}x{w}",
            Inputs = [new("images", DType.U8, new(b, h, w, 3), Values.Integer(0, 255))],
            Outputs = [new("y", DType.U8, turned)],
            Run = (gpu, x, y) => Cam.Turn(gpu, x[0], turns, y[0]),
            Reference = x => [Tolerance.Exact(Turned(x[0], b, h, w, turns))],
            Flops = 0, Bytes = 6 * b * h * w, Realistic = realistic,
        };
    }

    // One quarter at a time: the last column becomes the first row.
    static double[] Turned(double[] x, long b, int h, int w, int turns)
    {
        if (turns == 0) return x;
        double[] y = new double[x.Length];
        for (long image = 0; image < b; image++)
            for (int r = 0; r < h; r++)
                for (int c = 0; c < w; c++)
                    for (int k = 0; k < 3; k++)
                        y[3 * ((image * w + (w - 1 - c)) * h + r) + k] = x[3 * ((image * h + r) * w + c) + k];
        return Turned(y, b, w, h, turns - 1);
    }

    static OpCase Average(long b, int h, int w, string what, Func<Random, double> fill, bool realistic = false) => new()
    {
        Name = $"cam average {b}x{h}x{w}{what}",
        Inputs = [new("upright", DType.F32, new(2, b, h, w), fill), new("sideways", DType.F32, new(2, b, w, h), fill)],
        Outputs = [new("map", DType.U8, new(b, h, w)), new("mean", DType.F32, new(b, h, w))],
        Scratch = [new("ranges", DType.F32, new(4, b, 2))],
        Run = (gpu, x, y) => Cam.Average(gpu, x[0], x[1], y[2], y[0], y[1]),
        Reference = x => Reference(x[0], x[1], b, h, w),
        Flops = 32 * b * h * w, Bytes = 37 * b * h * w, Realistic = realistic,
    };

    static Expected[] Reference(double[] upright, double[] sideways, long b, int h, int w)
    {
        int size = h * w;
        double[] map = new double[b * size], mean = new double[b * size], magnitudes = new double[b * size];
        for (int image = 0; image < b; image++)
        {
            double[][] maps =
            [
                upright[(image * size)..((image + 1) * size)], sideways[(image * size)..((image + 1) * size)],
                upright[(((int)b + image) * size)..(((int)b + image + 1) * size)],
                sideways[(((int)b + image) * size)..(((int)b + image + 1) * size)],
            ];
            double[][] levels = [.. maps.Select(Levels)];
            for (int i = 0; i < size; i++)
            {
                // where a pixel of the image is after each quarter
                (int r, int c, int rows, int columns) = (i / w, i % w, h, w);
                double levelSum = 0, sum = 0;
                for (int turn = 0; turn < 4; turn++)
                {
                    levelSum += levels[turn][r * columns + c];
                    sum += maps[turn][r * columns + c];
                    magnitudes[image * size + i] += Math.Abs(maps[turn][r * columns + c]) / 4;
                    (r, c, rows, columns) = (columns - 1 - c, r, columns, rows);
                }
                map[image * size + i] = Math.Floor(levelSum / 4);
                mean[image * size + i] = sum / 4;
            }
        }
        return [Tolerance.Exact(map), Tolerance.Sum(mean, magnitudes, 4, DType.F32)];
    }

    static double[] Levels(double[] activations)
    {
        float[] cut = [.. activations.Select(v => MathF.Max((float)v, 0))];
        if (cut.Any(float.IsNaN)) return new double[cut.Length]; // all of NumPy's result is NaN
        float least = cut.Min(), most = cut.Max();
        if (most == least) return new double[cut.Length];
        return [.. cut.Select(v => Math.Truncate(255 * ((v - least) / (most - least))))];
    }
}
