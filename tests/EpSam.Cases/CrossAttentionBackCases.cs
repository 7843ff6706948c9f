// Gradients of attention between two sets of tokens. Bounds are of first order: a product's error times what it is
// multiplied with; in bf16 the plain computation's, which rounds logits, probabilities and their gradients, if larger.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class CrossAttentionBackCases
{
    readonly record struct Sizes(long P, long Tq, long Tk, long N, long K, long Images = 0)
    {
        public bool SharedKeys => Images > 0 && Tk > Tq;
        public bool SharedQueries => Images > 0 && !SharedKeys;
        public long OfQueries => SharedQueries ? Images : P;
        public long OfKeys => SharedKeys ? Images : P;
        public float Scale => (float)(1 / Math.Sqrt(K));
    }

    // one and one; around the 32 owners of a warp; others in one chunk and in several, the last not full; owners so
    // many that there is one chunk; both extremes; shared tokens with tables
    static readonly Sizes[] Wide =
    [
        new(1, 1, 1, 1, 16), new(2, 7, 7, 8, 32), new(2, 33, 31, 2, 32), new(1, 5, 257, 2, 16), new(2, 3, 300, 1, 8),
        new(1, 300, 3, 2, 16), new(1, 33, 385, 1, 32), new(1, 385, 33, 1, 32), new(1, 1030, 260, 1, 8),
        new(1, 9, 260, 2, 24), new(5, 7, 140, 2, 16, 2), new(5, 140, 7, 2, 16, 2), new(3, 6, 270, 2, 32, 2),
        new(3, 270, 6, 2, 32, 2),
    ];
    static readonly Sizes[] Narrow = [new(2, 6, 40, 3, 4), new(1, 40, 6, 2, 12), new(1, 9, 290, 1, 28)]; // f32 only
    static readonly Sizes[] Real = [new(4, 56, 4096, 8, 16), new(4, 4096, 56, 8, 16), new(4, 56, 56, 8, 32)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from s in Wide.Concat(Narrow).Concat(Real) select Case(s, DType.F32),
        .. from s in Wide.Concat(Real) select Case(s, DType.BF16),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in new Sizes[]
               { new(2, 7, 5, 2, 8), new(1, 3, 40, 1, 16), new(5, 4, 9, 2, 8, 2), new(5, 9, 4, 2, 8, 2) }
           select new GradientCase(Forward(s), s.Images > 0 ? [0, 1, 2, 3, 4] : [0, 1, 2], (x, dy) =>
           {
               Sums[] each = Backward([.. x, dy], s, v => v);
               double[] q = Collect(each[0].Values, x[5], s.P, s.SharedQueries ? s.Images : 0);
               double[] k = Collect(each[1].Values, x[5], s.P, s.SharedKeys ? s.Images : 0);
               double[] v = Collect(each[2].Values, x[5], s.P, s.SharedKeys ? s.Images : 0);
               double[] zeros = new double[s.P];
               return s.Images == 0 ? [q, k, v]
                   : [q, k, v, Collect(each[0].Values, zeros, s.P, 1), Collect(each[1].Values, zeros, s.P, 1)];
           }),
    ];

    // What all prompts of an image give, or what each gives.
    static double[] Collect(double[] gradient, double[] of, long prompts, long images)
    {
        if (images == 0) return gradient;
        long each = gradient.Length / prompts;
        double[] sums = new double[images * each];
        for (long i = 0; i < gradient.Length; i++) sums[(long)of[i / each] * each + i % each] += gradient[i];
        return sums;
    }

    static CaseTensor[] Inputs(Sizes s, DType type) =>
    [
        new("q", type, new(s.OfQueries, s.Tq, s.N, s.K), Values.Normal(1.5)),
        new("k", type, new(s.OfKeys, s.Tk, s.N, s.K), Values.Normal(1.5)),
        new("v", type, new(s.OfKeys, s.Tk, s.N, s.K), Values.Normal()),
        new("qTable", type, new(s.Tq, s.N, s.K), Values.Normal()),
        new("kTable", type, new(s.Tk, s.N, s.K), Values.Normal()),
        new("of", DType.I32, new(s.P), Values.Integer(0, (int)Math.Max(s.Images, 1) - 1)),
    ];

    static string Name(string pass, Sizes s, DType type) =>
        $"cross_attention {pass} {type.Name()} {s.P}x{s.Tq}x{s.Tk} heads {s.N} size {s.K}"
        + (s.Images > 0 ? $" images {s.Images}" : "");

    static OpCase Case(Sizes s, DType type)
    {
        Shape q = new(s.P, s.Tq, s.N, s.K), k = new(s.P, s.Tk, s.N, s.K), lines = new(s.P, s.N, s.Tq);
        Shape parts = CrossAttention.PartsShape(new Tensor(default, type, q), new Tensor(default, type, k));
        return new OpCase
        {
            Name = Name("bwd", s, type),
            Inputs = [.. Inputs(s, type), new("dOutput", type, q, Values.Normal())],
            Outputs = [new("dq", type, q), new("dk", type, k), new("dv", type, k)],
            Scratch =
            [
                new("output", type, q), new("logSumExp", DType.F32, lines), new("delta", DType.F32, lines),
                new("parts", DType.F32, parts),
            ],
            Run = (gpu, x, y) =>
            {
                (Tensor? qTable, Tensor? kTable) = s.Images > 0 ? (x[3], x[4]) : ((Tensor?)null, (Tensor?)null);
                Tensor? qOf = s.SharedQueries ? x[5] : null, kvOf = s.SharedKeys ? x[5] : null;
                CrossAttention.Forward(gpu, x[0], x[1], x[2], s.Scale, y[3], y[4], qTable, kTable, qOf, kvOf);
                CrossAttention.Backward(gpu, x[0], x[1], x[2], s.Scale, y[3], y[4], x[6], y[5], y[6], y[0], y[1], y[2],
                    qTable, kTable, qOf, kvOf);
            },
            Reference = x =>
            {
                Sums[] exact = Backward(x, s, v => v), plain = Backward(x, s, v => Values.Round(v, type));
                return [.. exact.Select((sums, i) => Bound(sums, plain[i].Values, s, type))];
            },
            Flops = 14 * s.P * s.N * s.Tq * s.Tk * s.K, Bytes = type.Size() * s.P * s.N * s.K * (5 * s.Tq + 6 * s.Tk),
            Realistic = s.P * s.Tq * s.Tk > 500_000,
        };
    }

    static Expected Bound(Sums sums, double[] plain, Sizes s, DType type)
    {
        Expected expected = sums.Within(s.K + Math.Max(s.Tq, s.Tk), type);
        if (type == DType.F32) return expected;
        double[] fused = Tolerance.Fused(sums.Values, plain, type).Bounds;
        return expected with { Bounds = [.. expected.Bounds.Zip(fused, (a, b) => a + b)] };
    }

    static OpCase Forward(Sizes s) => new()
    {
        Name = Name("of doubles", s, DType.F32), Inputs = Inputs(s, DType.F32),
        Outputs = [new("output", DType.F32, new(s.P, s.Tq, s.N, s.K))], Run = (_, _, _) => { },
        Reference = x =>
        {
            double[] output = new double[s.P * s.Tq * s.N * s.K];
            for (long i = 0; i < s.P * s.N * s.Tq; i++)
            {
                (long p, long t, long n) = (i / s.N / s.Tq, i / s.N % s.Tq, i % s.N);
                Row row = RowOf(x, s, p, t, n, v => v);
                row.Output.CopyTo(output, i * s.K);
            }
            return [Tolerance.Exact(output)];
        },
        Flops = 1, Bytes = 1,
    };

    // One query of one prompt and head: its probabilities, its output, and the sizes of the products in its logits.
    readonly record struct Row(double[] Query, double[] Probabilities, double[] Sizes, double[] Output);

    static double Key(double[][] x, Sizes s, long p, long key, long n, long c, Func<double, double> store)
    {
        long at = (key * s.N + n) * s.K + c, from = s.SharedKeys ? (long)x[5][p] : p;
        double k = x[1][from * s.Tk * s.N * s.K + at];
        return s.Images > 0 ? store(k + x[4][at]) : k;
    }

    static double Value(double[][] x, Sizes s, long p, long key, long n, long c) =>
        x[2][((s.SharedKeys ? (long)x[5][p] : p) * s.Tk + key) * s.N * s.K + n * s.K + c];

    static Row RowOf(double[][] x, Sizes s, long p, long t, long n, Func<double, double> store)
    {
        double[] q = new double[s.K], logits = new double[s.Tk], sizes = new double[s.Tk], o = new double[s.K];
        for (long c = 0; c < s.K; c++)
        {
            long at = (t * s.N + n) * s.K + c, from = s.SharedQueries ? (long)x[5][p] : p;
            q[c] = x[0][from * s.Tq * s.N * s.K + at];
            if (s.Images > 0) q[c] = store(q[c] + x[3][at]);
        }
        for (long key = 0; key < s.Tk; key++)
        {
            for (long c = 0; c < s.K; c++)
            {
                double product = q[c] * Key(x, s, p, key, n, c, store);
                logits[key] += product;
                sizes[key] += Math.Abs(product) * s.Scale;
            }
            logits[key] = store(store(logits[key]) * s.Scale);
        }
        double top = logits.Max(), sum = logits.Sum(logit => Math.Exp(logit - top));
        double[] probabilities = [.. logits.Select(logit => store(Math.Exp(logit - top) / sum))];
        for (long c = 0; c < s.K; c++)
        {
            for (long key = 0; key < s.Tk; key++) o[c] += probabilities[key] * Value(x, s, p, key, n, c);
            o[c] = store(o[c]);
        }
        return new Row(q, probabilities, sizes, o);
    }

    // dq, dk, dv of each prompt; x[6] is dOutput.
    static Sums[] Backward(double[][] x, Sizes s, Func<double, double> store)
    {
        Sums dq = new(s.P * s.Tq * s.N * s.K), dk = new(s.P * s.Tk * s.N * s.K), dv = new(dk.Values.Length);
        Parallel.For(0, s.P * s.N, i =>
        {
            (long p, long n) = (i / s.N, i % s.N);
            for (long t = 0; t < s.Tq; t++)
            {
                Row row = RowOf(x, s, p, t, n, store);
                long at = ((p * s.Tq + t) * s.N + n) * s.K;
                ReadOnlySpan<double> d = x[6].AsSpan((int)at, (int)s.K);
                double delta = 0, deltaSize = 0;
                for (int c = 0; c < s.K; c++)
                {
                    delta += d[c] * row.Output[c];
                    deltaSize += Math.Abs(d[c] * row.Output[c]);
                }
                for (long key = 0; key < s.Tk; key++)
                {
                    long to = ((p * s.Tk + key) * s.N + n) * s.K;
                    double dp = 0, size = deltaSize, sure = 1 + row.Sizes[key], w = row.Probabilities[key];
                    for (int c = 0; c < s.K; c++)
                    {
                        double product = d[c] * Value(x, s, p, key, n, c);
                        dp += product;
                        size += Math.Abs(product);
                        dv.Add(to + c, w * d[c], w * Math.Abs(d[c]) * sure);
                    }
                    double ds = store(w * (store(dp) - delta)) * s.Scale, error = w * size * sure * s.Scale;
                    for (int c = 0; c < s.K; c++)
                    {
                        double k = Key(x, s, p, key, n, c, store);
                        dq.Add(at + c, ds * k, error * Math.Abs(k));
                        dk.Add(to + c, ds * row.Query[c], error * Math.Abs(row.Query[c]));
                    }
                }
            }
        });
        foreach (Sums sums in new[] { dq, dk, dv })
            for (int i = 0; i < sums.Values.Length; i++) sums.Values[i] = store(sums.Values[i]);
        return [dq, dk, dv];
    }
}
