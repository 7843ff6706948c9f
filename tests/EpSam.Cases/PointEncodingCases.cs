// Positions in SAM's random frequencies. The plain computation is the reference model's, every
// step in f32, radians and all.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class PointEncodingCases
{
    static readonly (long P, long N, long C)[] Points = [(1, 2, 16), (3, 5, 64), (2, 9, 256), (1, 3, 300)];
    static readonly (long H, long W, long C)[] Grids = [(1, 1, 64), (3, 5, 24), (16, 16, 64), (7, 4, 300)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Points select OfPoints(s, type),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Grids.Append((64, 64, 256)) select OfGrid(s, type),
    ];

    static OpCase OfPoints((long P, long N, long C) s, DType type)
    {
        const int Height = 640, Width = 1024;
        CaseTensor Learned(string name) => new(name, DType.F32, new(s.C), Values.Normal());
        return new OpCase
        {
            Name = $"point_encoding {type.Name()} {s.P}x{s.N}x{s.C}",
            Inputs =
            [
                new("points", DType.F32, new(s.P, s.N, 2), Values.Uniform(-50, 1100)), // some lie outside
                new("labels", DType.I32, new(s.P, s.N), Values.Integer(-1, 3)),
                new("gaussian", DType.F32, new(2, s.C / 2), Values.Normal()),
                Learned("none"), Learned("negative"), Learned("positive"), Learned("top left"), Learned("bottom right"),
            ],
            Outputs = [new("tokens", type, new(s.P, s.N, s.C))],
            Run = (gpu, x, y) => PointEncoding.Forward(
                gpu, x[0], x[1], x[2], new PointLabels(x[3], x[4], x[5], x[6], x[7]), Height, Width, y[0]),
            Reference = x =>
            {
                double[] Compute(Func<double, double> round)
                {
                    double[] y = new double[s.P * s.N * s.C];
                    for (long i = 0; i < s.P * s.N; i++)
                    {
                        double px = round(round(x[0][2 * i] + 0.5) / Width),
                            py = round(round(x[0][2 * i + 1] + 0.5) / Height);
                        Encode(x[2], s.C, px, py, round, y.AsSpan((int)(i * s.C), (int)s.C));
                        int label = (int)x[1][i];
                        for (long c = 0; c < s.C; c++)
                            y[i * s.C + c] = round((label < 0 ? 0 : y[i * s.C + c]) + x[4 + label][c]);
                    }
                    return y;
                }
                return [Judge(Compute(v => v), Compute(v => (float)v), type)];
            },
            Flops = 26 * s.P * s.N * s.C, Bytes = (type.Size() + 8) * s.P * s.N * s.C,
        };
    }

    static OpCase OfGrid((long H, long W, long C) s, DType type) => new()
    {
        Name = $"point_encoding grid {type.Name()} {s.H}x{s.W}x{s.C}",
        Inputs = [new("gaussian", DType.F32, new(2, s.C / 2), Values.Normal())],
        Outputs = [new("grid", type, new(s.H, s.W, s.C))],
        Run = (gpu, x, y) => PointEncoding.Grid(gpu, x[0], y[0]),
        Reference = x =>
        {
            double[] Compute(Func<double, double> round)
            {
                double[] y = new double[s.H * s.W * s.C];
                for (long i = 0; i < s.H * s.W; i++)
                    Encode(x[0], s.C, round((i % s.W + 0.5) / s.W), round((i / s.W + 0.5) / s.H), round,
                        y.AsSpan((int)(i * s.C), (int)s.C));
                return y;
            }
            return [Judge(Compute(v => v), Compute(v => (float)v), type)];
        },
        Flops = 26 * s.H * s.W * s.C, Bytes = type.Size() * s.H * s.W * s.C, Realistic = s.H == 64,
    };

    static Expected Judge(double[] exact, double[] plain, DType type)
    {
        for (int i = 0; i < plain.Length; i++) plain[i] = Values.Round(plain[i], type);
        return Tolerance.Fused(exact, plain, type);
    }

    static void Encode(double[] gaussian, long channels, double x, double y, Func<double, double> round,
        Span<double> to)
    {
        int half = (int)channels / 2;
        (x, y) = (round(round(2 * x) - 1), round(round(2 * y) - 1));
        for (int f = 0; f < half; f++)
        {
            double turns = round(round(x * gaussian[f]) + round(y * gaussian[half + f])),
                angle = round(round(2 * Math.PI) * turns);
            (to[f], to[half + f]) = (round(Math.Sin(angle)), round(Math.Cos(angle)));
        }
    }
}
