// ResNet's window and others, odd and even sizes, ties (small integers), several images; means over fewer and more
// positions than threads share, channels that do not fill a strip.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class PoolCases
{
    sealed record Size(long B, long H, long W, long C, int Side, int Stride, int Padding)
    {
        public PoolSteps Steps => new(Side, Stride, Padding);
        public Shape X => new(B, H, W, C);
        public Shape Y => new(B, Steps.Length(H), Steps.Length(W), C);
        public bool Realistic => X.Count > 1_000_000;
        public override string ToString() => $"{B}x{H}x{W}x{C} side {Side} stride {Stride} padding {Padding}";
    }

    static readonly Size[] Windows =
    [
        new(1, 1, 1, 4, 3, 2, 1), new(2, 11, 16, 8, 3, 2, 1), new(1, 12, 13, 64, 3, 2, 1), new(1, 9, 40, 36, 3, 2, 1),
        new(1, 6, 7, 8, 2, 2, 0), new(2, 7, 5, 4, 3, 1, 1), new(1, 9, 8, 4, 2, 3, 1), new(1, 8, 9, 4, 5, 2, 2),
    ];
    static readonly (long B, long P, long C)[] Means =
        [(1, 1, 4), (2, 31, 12), (3, 33, 100), (1, 64, 32), (2, 65, 132), (1, 1024, 8)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from ties in new[] { false, true } from s in Windows
           from make in new Func<Size, DType, bool, OpCase>[] { Max, MaxBackward } select make(s, type, ties),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Means
           from make in new Func<long, long, long, DType, OpCase>[] { Mean, MeanBackward }
           select make(s.B, s.P, s.C, type),
        Max(new(1, 256, 256, 64, 3, 2, 1), DType.F32, false),
        MaxBackward(new(1, 256, 256, 64, 3, 2, 1), DType.F32, false),
    ];

    /// <summary>The maximum without ties, and the mean.</summary>
    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in Windows let backward = MaxBackward(s, DType.F32, false)
           select new GradientCase(Max(s, DType.F32, false), [0],
               (x, dy) => [backward.Reference([x[0], dy])[0].Values]),
        .. from s in Means let backward = MeanBackward(s.B, s.P, s.C, DType.F32)
           select new GradientCase(Mean(s.B, s.P, s.C, DType.F32), [0],
               (_, dy) => [backward.Reference([dy])[0].Values]),
    ];

    static Func<Random, double> Fill(bool ties) => ties ? Values.Integer(-2, 1) : Values.Normal();

    static OpCase Max(Size s, DType type, bool ties) => new()
    {
        Name = $"max_pool fwd {type.Name()} {s}{(ties ? " ties" : "")}",
        Inputs = [new("x", type, s.X, Fill(ties))], Outputs = [new("y", type, s.Y)],
        Run = (gpu, x, y) => Pool.Max(gpu, x[0], s.Steps, y[0]),
        Reference = x => [Tolerance.Exact([.. First(s, x[0]).Select(i => x[0][i])])],
        Flops = s.Y.Count * s.Side * s.Side, Bytes = (s.X.Count + s.Y.Count) * type.Size(), Realistic = s.Realistic,
    };

    static OpCase MaxBackward(Size s, DType type, bool ties) => new()
    {
        Name = $"max_pool bwd {type.Name()} {s}{(ties ? " ties" : "")}",
        Inputs = [new("x", type, s.X, Fill(ties)), new("dy", type, s.Y, Values.Normal())],
        Outputs = [new("dx", type, s.X)],
        Run = (gpu, x, y) => Pool.MaxBackward(gpu, x[0], s.Steps, x[1], y[0]),
        Reference = x =>
        {
            double[] dx = new double[s.X.Count], magnitudes = new double[dx.Length];
            int[] first = First(s, x[0]);
            for (int i = 0; i < first.Length; i++)
            {
                dx[first[i]] += x[1][i];
                magnitudes[first[i]] += Math.Abs(x[1][i]);
            }
            return [Tolerance.Sum(dx, magnitudes, s.Side * s.Side, type)];
        },
        Flops = s.X.Count * s.Side * s.Side, Bytes = (2 * s.X.Count + s.Y.Count) * type.Size(),
        Realistic = s.Realistic,
    };

    // For each element of y where its value stands in x: the first of the largest, row by row.
    static int[] First(Size s, double[] x)
    {
        int[] first = new int[s.Y.Count];
        for (int i = 0; i < first.Length; i++)
        {
            long c = i % s.C, ox = i / s.C % s.Y[2], oy = i / s.C / s.Y[2] % s.Y[1], b = i / s.C / s.Y[2] / s.Y[1];
            first[i] = -1;
            for (long at = 0; at < s.H * s.W; at++)
            {
                (long row, long column) = (at / s.W - oy * s.Stride + s.Padding, at % s.W - ox * s.Stride + s.Padding);
                if (row < 0 || row >= s.Side || column < 0 || column >= s.Side) continue;
                int here = (int)((b * s.H * s.W + at) * s.C + c);
                if (first[i] < 0 || x[here] > x[first[i]]) first[i] = here;
            }
        }
        return first;
    }

    static OpCase Mean(long b, long p, long c, DType type) => new()
    {
        Name = $"mean_pool fwd {type.Name()} {b}x{p}x{c}",
        Inputs = [new("x", type, new(b, p, c), Values.Normal())], Outputs = [new("y", type, new(b, c))],
        Run = (gpu, x, y) => Pool.Mean(gpu, x[0], y[0]),
        Reference = x =>
        {
            double[] y = new double[b * c], magnitudes = new double[b * c];
            for (int i = 0; i < x[0].Length; i++)
            {
                long at = i / (p * c) * c + i % c;
                y[at] += x[0][i] / p;
                magnitudes[at] += Math.Abs(x[0][i] / p);
            }
            return [Tolerance.Sum(y, magnitudes, p, type)];
        },
        Flops = b * p * c, Bytes = b * (p + 1) * c * type.Size(),
    };

    static OpCase MeanBackward(long b, long p, long c, DType type) => new()
    {
        Name = $"mean_pool bwd {type.Name()} {b}x{p}x{c}",
        Inputs = [new("dy", type, new(b, c), Values.Normal())], Outputs = [new("dx", type, new(b, p, c))],
        Run = (gpu, x, y) => Pool.MeanBackward(gpu, x[0], y[0]),
        Reference = x =>
        [
            Tolerance.Fused([.. Enumerable.Range(0, (int)(b * p * c)).Select(i => x[0][i / (p * c) * c + i % c] / p)],
                0, type),
        ],
        Flops = b * c, Bytes = b * (p + 1) * c * type.Size(),
    };
}
