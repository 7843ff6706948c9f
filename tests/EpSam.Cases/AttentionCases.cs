// Attention over token grids. The plain same-type computation that bounds the error is the one of the reference model:
// scaled queries, logits, logits plus relative position, probabilities and output each rounded
// to the type, sums in f32.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class AttentionCases
{
    // one token; one row; one column; SAM's window; one past the tile widths 16 and 32; a whole row of 64 and one past
    // it, which makes a second column block; heights that end inside a tile
    static readonly (long B, long H, long W, long N)[] Grids =
    [
        (1, 1, 1, 1), (2, 1, 5, 1), (1, 67, 1, 1), (1, 3, 16, 2), (2, 14, 14, 2), (1, 5, 17, 2), (1, 3, 32, 1),
        (1, 3, 33, 2),
        (1, 7, 63, 1), (1, 5, 64, 2), (1, 3, 65, 1), (1, 2, 130, 1),
    ];
    static readonly (long B, long T, long N)[] Lines = [(1, 1, 1), (2, 63, 2), (1, 64, 1), (1, 65, 2), (1, 197, 1)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from k in new[] { 16, 32, 64, 80 } from g in Grids
            select Grid(g, k, type),
        .. from type in new[] { DType.F32, DType.BF16 } from k in new[] { 16, 32, 64, 80 } from s in Lines
            select Line(s, k, type),
        Grid((25, 14, 14, 12), 64, DType.BF16, true), Grid((1, 64, 64, 12), 64, DType.BF16, true),
        Grid((25, 14, 14, 16), 80, DType.BF16, true), Grid((1, 64, 64, 16), 80, DType.BF16, true),
        Grid((1, 64, 64, 1), 64, DType.F32, true),
    ];

    static OpCase Grid((long B, long H, long W, long N) s, long k, DType type, bool realistic = false)
    {
        long t = s.H * s.W;
        float scale = (float)(1 / Math.Sqrt(k));
        return new OpCase
        {
            Name = $"attention {type.Name()} {s.B}x{s.H}x{s.W} heads {s.N} size {k}",
            Inputs =
            [
                new("qkv", type, new(s.B, s.H, s.W, 3, s.N, k), Values.Normal(1.5)),
                new("relH", type, new(s.B, s.N, t, s.H), Values.Normal()),
                new("relW", type, new(s.B, s.N, t, s.W), Values.Normal()),
            ],
            Outputs = [new("output", type, new(s.B, s.H, s.W, s.N, k)), new("logSumExp", DType.F32, new(s.B, s.N, t))],
            Run = (gpu, x, y) => Attention.Forward(gpu, x[0], x[1], x[2], scale, y[0], y[1]),
            Reference = x => Reference(x, (s.B, t, s.N, k), s.H, s.W, scale, type),
            Flops = 4 * s.B * s.N * t * t * k,
            Bytes = type.Size() * s.B * s.N * t * (4 * k + s.H + s.W) + 4 * s.B * s.N * t, Realistic = realistic,
        };
    }

    static OpCase Line((long B, long T, long N) s, long k, DType type)
    {
        float scale = (float)(1 / Math.Sqrt(k));
        return new OpCase
        {
            Name = $"attention {type.Name()} {s.B}x{s.T} heads {s.N} size {k} no bias",
            Inputs = [new("qkv", type, new(s.B, s.T, 3, s.N, k), Values.Normal(1.5))],
            Outputs = [new("output", type, new(s.B, s.T, s.N, k)), new("logSumExp", DType.F32, new(s.B, s.N, s.T))],
            Run = (gpu, x, y) => Attention.Forward(gpu, x[0], scale, y[0], y[1]),
            Reference = x => Reference(x, (s.B, s.T, s.N, k), 0, 0, scale, type),
            Flops = 4 * s.B * s.N * s.T * s.T * k, Bytes = type.Size() * s.B * s.N * s.T * 4 * k + 4 * s.B * s.N * s.T,
        };
    }

    static Expected[] Reference(
        double[][] x, (long B, long T, long N, long K) s, long height, long width, float scale, DType type)
    {
        double[] output = new double[s.B * s.T * s.N * s.K], lse = new double[s.B * s.N * s.T];
        double[] plainOutput = new double[output.Length], bounds = new double[lse.Length];
        Parallel.For(0, s.B * s.N * s.T, row =>
        {
            long token = row % s.T, head = row / s.T % s.N, image = row / s.T / s.N;
            Row<Exact>(x, s, height, width, (image, head, token), scale, output, lse, bounds);
            if (type == DType.F32)
                Row<PlainF32>(x, s, height, width, (image, head, token), scale, plainOutput, null, null);
            else Row<PlainBF16>(x, s, height, width, (image, head, token), scale, plainOutput, null, null);
        });
        return [Tolerance.Fused(output, plainOutput, type), new Expected(lse, bounds)];
    }

    // What a computation does to every intermediate that it stores, and to every partial sum.
    interface IArithmetic
    {
        static abstract double Store(double x);
        static abstract double Add(double x);
    }

    readonly struct Exact : IArithmetic
    {
        public static double Store(double x) => x;
        public static double Add(double x) => x;
    }

    readonly struct PlainF32 : IArithmetic
    {
        public static double Store(double x) => (float)x;
        public static double Add(double x) => (float)x;
    }

    readonly struct PlainBF16 : IArithmetic
    {
        public static double Store(double x) => Values.ToBF16(x);
        public static double Add(double x) => (float)x;
    }

    // One query.
    static void Row<T>(
        double[][] x, (long B, long T, long N, long K) s, long height, long width,
        (long Image, long Head, long Token) at,
        double scale, double[] output, double[]? lse, double[]? lseBounds) where T : IArithmetic
    {
        double[] qkv = x[0], logits = new double[s.T], query = new double[s.K];
        long row = (at.Image * s.N + at.Head) * s.T + at.Token;
        long Start(long token, long part) => (((at.Image * s.T + token) * 3 + part) * s.N + at.Head) * s.K;
        double top = double.NegativeInfinity, sum = 0, magnitude = 0;
        for (long c = 0; c < s.K; c++) query[c] = T.Store(qkv[Start(at.Token, 0) + c] * scale);
        for (long key = 0; key < s.T; key++)
        {
            double dot = 0, absolute = 0;
            long start = Start(key, 1);
            for (long c = 0; c < s.K; c++)
            {
                double product = query[c] * qkv[start + c];
                dot = T.Add(dot + product);
                absolute += Math.Abs(product);
            }
            magnitude = Math.Max(magnitude, absolute);
            dot = T.Store(dot);
            if (width > 0)
                dot = T.Store(T.Store(dot + x[1][row * height + key / width]) + x[2][row * width + key % width]);
            logits[key] = dot;
            top = Math.Max(top, dot);
        }
        foreach (double logit in logits) sum = T.Add(sum + T.Add(Math.Exp(logit - top)));
        if (lse is not null && lseBounds is not null)
        {
            // as good as the logits: log-sum-exp moves by no more than the one that moves most; a Sum of K products
            lse[row] = top + Math.Log(sum);
            lseBounds[row] = 4 * Math.Sqrt(s.K) * Values.Eps(DType.F32) * (magnitude + Math.Abs(lse[row]));
        }
        long to = ((at.Image * s.T + at.Token) * s.N + at.Head) * s.K;
        for (long key = 0; key < s.T; key++)
        {
            double p = T.Store(Math.Exp(logits[key] - top) / sum);
            long start = Start(key, 2);
            for (long c = 0; c < s.K; c++) output[to + c] = T.Add(output[to + c] + p * qkv[start + c]);
        }
        for (long c = 0; c < s.K; c++) output[to + c] = T.Store(output[to + c]);
    }
}
