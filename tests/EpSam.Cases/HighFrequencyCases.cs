// Even and odd sizes, one row, one column, rows and columns beyond a block; bytes and floats. The reference is the
// Fourier sum of each cleared frequency as the transform defines it, in double, with its own cos and sin.
using System.Numerics;
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class HighFrequencyCases
{
    static readonly (long B, int H, int W)[] Sizes =
        [(1, 1, 1), (2, 5, 7), (1, 8, 8), (3, 33, 31), (1, 3, 300), (1, 300, 6)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.U8, DType.F32 } from s in Sizes select Case(s.B, s.H, s.W, type),
        Case(16, 512, 512, DType.U8, true),
    ];

    static OpCase Case(long b, int h, int w, DType type, bool realistic = false)
    {
        float[] table = HighFrequency.Table(h, w);
        int next = 0; // filled in order, once a run
        return new()
        {
            Name = $"high_frequency {type.Name()} {b}x{h}x{w}",
            Inputs =
            [
                new("images", type, new(b, h, w, 3), type == DType.U8 ? Values.Integer(0, 255) : Values.Uniform(0, 1)),
                new("table", DType.F32, new(h + w, 2), _ => table[next++ % table.Length]),
            ],
            Outputs = [new("y", DType.F32, new(b, h, w, 4))],
            Scratch = [new("parts", DType.F32, HighFrequency.Parts(new(default, type, new(b, h, w, 3))))],
            Run = (gpu, x, y) => HighFrequency.Forward(gpu, x[0], x[1], y[1], y[0]),
            Reference = x => [Reference(x[0], b, h, w, type)],
            Flops = 60 * b * h * w, Bytes = b * h * w * (6 * type.Size() + 16), Realistic = realistic,
        };
    }

    static Expected Reference(double[] images, long b, int h, int w, DType type)
    {
        double[] colours = [.. images.Select(v => type == DType.U8 ? v / 255 : v)];
        double[] y = new double[b * h * w * 4], bounds = new double[y.Length];
        for (long image = 0; image < b; image++)
        {
            long first = image * h * w;
            (double[] Values, double Low)[] high =
                [.. Enumerable.Range(0, 3).Select(k => High(colours, first, k, h, w))];
            for (long i = 0; i < h * w; i++)
            {
                double[] colour = colours[(int)(3 * (first + i))..(int)(3 * (first + i) + 3)];
                colour.CopyTo(y, 4 * (first + i));
                y[4 * (first + i) + 3] = high.Average(c => Math.Abs(c.Values[i]));
                for (int k = 0; k < 3; k++) bounds[4 * (first + i) + k] = type == DType.U8 ? Values.Eps(DType.F32) : 0;
                // Tolerance.Sum of the eight terms that a colour is made of
                double magnitude = colour.Average() + high.Average(c => c.Low);
                bounds[4 * (first + i) + 3] = 4 * Math.Sqrt(8) * Values.Eps(DType.F32) * magnitude;
            }
        }
        return new Expected(y, bounds);
    }

    // x - Re Σ F(u, v)·e^(2πi(ur/H + vc/W)) over u, v of 0 and -1, with F(u, v) = mean of x·e^(-2πi(ur/H + vc/W)).
    // Low: Σ |F|.
    static (double[] Values, double Low) High(double[] colours, long first, int colour, int h, int w)
    {
        double[] high = [.. Enumerable.Range(0, h * w).Select(i => colours[3 * (first + i) + colour])];
        double[] x = [.. high];
        double low = 0;
        foreach ((int u, int v) in new[] { (0, 0), (-1, 0), (0, -1), (-1, -1) })
        {
            Complex Wave(int i) => Complex.FromPolarCoordinates(
                1, 2 * Math.PI * ((double)u * (i / w) / h + (double)v * (i % w) / w));
            Complex sum = Complex.Zero;
            for (int i = 0; i < x.Length; i++) sum += x[i] * Complex.Conjugate(Wave(i));
            low += sum.Magnitude / x.Length;
            for (int i = 0; i < x.Length; i++) high[i] -= (sum / x.Length * Wave(i)).Real;
        }
        return (high, low);
    }
}
