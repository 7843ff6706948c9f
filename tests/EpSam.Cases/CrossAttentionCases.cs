// Attention between two sets of tokens. The plain same-type computation is the reference model's: projections with
// their positions, logits, scaled logits, probabilities and output each rounded to the type, sums in f32.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class CrossAttentionCases
{
    readonly record struct Sizes(long P, long Tq, long Tk, long N, long K);

    // one and one; SAM's prompt tokens among themselves; a few queries of many keys, around 32 keys of a warp and 128
    // of a block, around the queries of a block; many queries of a few keys, around the queries of a warp and a block
    static readonly Sizes[] Wide =
    [
        new(1, 1, 1, 1, 16), new(2, 7, 7, 8, 32), new(3, 60, 60, 2, 32), new(2, 7, 31, 2, 16), new(1, 8, 33, 2, 16),
        new(1, 9, 127, 1, 16), new(2, 5, 129, 2, 32), new(1, 3, 256, 3, 8), new(2, 17, 333, 2, 24),
        new(1, 1, 700, 1, 16),
        new(1, 63, 7, 2, 16), new(2, 65, 1, 2, 16), new(1, 257, 9, 2, 16), new(2, 130, 60, 1, 32), new(1, 300, 5, 3, 8),
    ];
    static readonly Sizes[] Narrow = [new(2, 6, 40, 3, 4), new(1, 40, 6, 2, 12), new(1, 9, 50, 1, 28)]; // f32 only
    static readonly Sizes[] Real = [new(16, 7, 4096, 8, 16), new(16, 4096, 7, 8, 16), new(64, 7, 7, 8, 32)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from s in Wide.Concat(Narrow) select Case(s, DType.F32), .. from s in Wide select Case(s, DType.BF16),
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in new Sizes[]
               { new(5, 7, 140, 2, 16), new(5, 140, 7, 2, 16), new(3, 6, 70, 2, 32), new(3, 70, 6, 2, 32) }
           select Case(s, type, images: 2),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Real select Case(s, type, realistic: true),
        .. from type in new[] { DType.F32, DType.BF16 } from s in Real[..2]
            select Case(s, type, images: 1, realistic: true),
    ];

    // images > 0: what has the more tokens is shared by the prompts of an image, and both sides have a table.
    static OpCase Case(Sizes s, DType type, int images = 0, bool realistic = false)
    {
        bool shared = images > 0, sharedKeys = shared && s.Tk > s.Tq, sharedQueries = shared && !sharedKeys;
        float scale = (float)(1 / Math.Sqrt(s.K));
        long ofKeys = sharedKeys ? images : s.P, ofQueries = sharedQueries ? images : s.P;
        return new OpCase
        {
            Name =
                $"cross_attention {type.Name()} {s.P}x{s.Tq}x{s.Tk} heads {s.N} size "
                + $"{s.K}{(shared ? $" images {images}" : "")}",
            Inputs =
            [
                new("q", type, new(ofQueries, s.Tq, s.N, s.K), Values.Normal(1.5)),
                new("k", type, new(ofKeys, s.Tk, s.N, s.K), Values.Normal(1.5)),
                new("v", type, new(ofKeys, s.Tk, s.N, s.K), Values.Normal()),
                new("qTable", type, new(s.Tq, s.N, s.K), Values.Normal()),
                new("kTable", type, new(s.Tk, s.N, s.K), Values.Normal()),
                new("of", DType.I32, new(s.P), Values.Integer(0, Math.Max(images, 1) - 1)),
            ],
            Outputs = [new("output", type, new(s.P, s.Tq, s.N, s.K)), new("logSumExp", DType.F32, new(s.P, s.N, s.Tq))],
            Run = (gpu, x, y) => CrossAttention.Forward(gpu, x[0], x[1], x[2], scale, y[0], y[1], shared ? x[3] : null,
                shared ? x[4] : null, sharedQueries ? x[5] : null, sharedKeys ? x[5] : null),
            Reference = x => Reference(x, s, sharedQueries, sharedKeys, scale, type),
            Flops = 4 * s.P * s.N * s.Tq * s.Tk * s.K,
            Bytes = 2 * type.Size() * s.N * s.K * (ofQueries * s.Tq + ofKeys * s.Tk) + 4 * s.P * s.N * s.Tq,
            Realistic = realistic,
        };
    }

    static Expected[] Reference(double[][] x, Sizes s, bool sharedQueries, bool sharedKeys, double scale, DType type)
    {
        double[] output = new double[s.P * s.Tq * s.N * s.K], plain = new double[output.Length];
        double[] lse = new double[s.P * s.N * s.Tq], bounds = new double[lse.Length];
        Parallel.For(0, s.P * s.N, i =>
        {
            (long prompt, long head) = (i / s.N, i % s.N);
            double[] Head(double[] values, double[]? table, long from, long tokens, Func<double, double> store)
            {
                double[] rows = new double[tokens * s.K];
                for (long t = 0; t < tokens; t++)
                    for (long c = 0; c < s.K; c++)
                    {
                        long at = (t * s.N + head) * s.K + c;
                        double value = values[from * tokens * s.N * s.K + at];
                        rows[t * s.K + c] = table is null ? value : store(value + table[at]);
                    }
                return rows;
            }
            long image = (long)x[5][prompt];
            (double[]? qTable, double[]? kTable) = sharedQueries || sharedKeys ? (x[3], x[4]) : (null, null);
            void Run(Func<double, double> store, Func<double, double> add, double[] to, bool exact)
            {
                double[] q = Head(x[0], qTable, sharedQueries ? image : prompt, s.Tq, store);
                double[] k = Head(x[1], kTable, sharedKeys ? image : prompt, s.Tk, store);
                double[] v = Head(x[2], null, sharedKeys ? image : prompt, s.Tk, store);
                for (long t = 0; t < s.Tq; t++)
                {
                    double[] row = Row(q.AsSpan((int)(t * s.K), (int)s.K), k, v, scale, store, add, out double sum,
                        out double most);
                    row.CopyTo(to, ((prompt * s.Tq + t) * s.N + head) * s.K);
                    if (!exact) continue;
                    long at = (prompt * s.N + head) * s.Tq + t;
                    // as good as the logits: log-sum-exp moves by no more than the one that moves
                    // most; a Sum of K products
                    lse[at] = sum;
                    bounds[at] = 4 * Math.Sqrt(s.K) * Values.Eps(DType.F32) * (most * scale + Math.Abs(sum));
                }
            }
            Run(value => value, value => value, output, true);
            Run(value => Values.Round(value, type), value => (float)value, plain, false);
        });
        return [Tolerance.Fused(output, plain, type), new Expected(lse, bounds)];
    }

    // One query: its output, the log of the sum of exponentials, and the largest Σ|q·k|.
    static double[] Row(
        ReadOnlySpan<double> q, double[] k, double[] v, double scale, Func<double, double> store,
        Func<double, double> add,
        out double logSumExp, out double most)
    {
        int size = q.Length;
        double[] logits = new double[k.Length / size], o = new double[size];
        most = 0;
        for (int key = 0; key < logits.Length; key++)
        {
            double dot = 0, absolute = 0;
            for (int c = 0; c < size; c++)
            {
                dot = add(dot + q[c] * k[key * size + c]);
                absolute += Math.Abs(q[c] * k[key * size + c]);
            }
            logits[key] = store(store(dot) * scale);
            most = Math.Max(most, absolute);
        }
        double top = logits.Max(), sum = 0;
        foreach (double logit in logits) sum = add(sum + add(Math.Exp(logit - top)));
        for (int key = 0; key < logits.Length; key++)
        {
            double p = store(Math.Exp(logits[key] - top) / sum);
            for (int c = 0; c < size; c++) o[c] = add(o[c] + p * v[key * size + c]);
        }
        for (int c = 0; c < size; c++) o[c] = store(o[c]);
        logSumExp = top + Math.Log(sum);
        return o;
    }
}
