// Sizes with tails of one to three and more than one block; first steps and late ones; L2 and decoupled decay; with a
// scale and a bf16 copy and without.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class AdamCases
{
    static readonly AdamOptions L2 = new(0.01), Decoupled = new(0.05, true), Plain = new(0, false, 0.8, 0.95, 1e-6);

    public static IEnumerable<OpCase> All { get; } =
    [
        Case(1, L2, 1), Case(3, Decoupled, 1, copy: true), Case(4, Plain, 2),
        Case(255, L2, 7, copy: true, scaled: true), Case(1030, Decoupled, 3, scaled: true),
        Case(4099, L2, 1000, copy: true), Case(70_001, Decoupled, 50),
        Case(24_000_000, L2, 10, realistic: true), Case(24_000_000, L2, 10, copy: true, realistic: true),
    ];

    static OpCase Case(long n, AdamOptions options, long step, bool copy = false, bool scaled = false,
        bool realistic = false)
    {
        const double Rate = 1e-2;
        CaseTensor Flat(string name, Func<Random, double>? fill = null) => new(name, DType.F32, new(n), fill);
        return new OpCase
        {
            Name = $"adam {(copy ? "bf16" : "f32")} {n} {(options.Decoupled ? "decoupled" : "l2")} step {step}"
                + (scaled ? " scaled" : ""),
            Inputs =
            [
                Flat("p", Values.Normal()), Flat("g", Values.Normal(0.3)), Flat("m", Values.Normal(0.1)),
                Flat("v", Values.Uniform(0, 0.2)), new("scale", DType.F32, new(1), Values.Uniform(0.1, 0.9)),
            ],
            Outputs =
            [
                Flat("p"), Flat("g"), Flat("m"), Flat("v"),
                .. copy ? new CaseTensor[] { new("copy", DType.BF16, new(n)) } : [],
            ],
            Run = (gpu, x, y) =>
            {
                for (int i = 0; i < 4; i++) Elementwise.Copy(gpu, x[i], y[i]);
                Adam.Step(gpu, y[1], scaled ? x[4] : null, options, Rate, step, y[0], y[2], y[3], copy ? y[4] : null);
            },
            Reference = x => Reference(x, options, Rate, step, scaled, copy),
            Flops = Adam.Flops(n), Bytes = (copy ? 34 : 32) * n, Realistic = realistic,
        };
    }

    static Expected[] Reference(double[][] x, AdamOptions options, double rate, long step, bool scaled, bool copy)
    {
        double scale = scaled ? x[4][0] : 1;
        int n = x[0].Length;
        double[] p = new double[n], m = new double[n], v = new double[n];
        double[] plainP = new double[n], plainM = new double[n], plainV = new double[n];
        for (int i = 0; i < n; i++)
        {
            (p[i], m[i], v[i]) = Update(x[0][i], scale * x[1][i], x[2][i], x[3][i], options, rate, step, d => d);
            (plainP[i], plainM[i], plainV[i]) =
                Update(x[0][i], (float)(scale * x[1][i]), x[2][i], x[3][i], options, rate, step, d => (float)d);
        }
        Expected last = Tolerance.Fused(p, plainP, DType.F32);
        return
        [
            last, Tolerance.Exact(new double[n]), Tolerance.Fused(m, plainM, DType.F32),
            Tolerance.Fused(v, plainV, DType.F32),
            .. copy ? [Rounded(last)] : Array.Empty<Expected>(),
        ];
    }

    static Expected Rounded(Expected p) => new(p.Values,
        [.. p.Values.Zip(p.Bounds, (x, bound) => bound + 1.01 * Values.Eps(DType.BF16) * Math.Abs(x))]);

    // The papers' formulas; r rounds every intermediate.
    static (double P, double M, double V) Update(double p, double g, double m, double v, AdamOptions o, double rate,
        long step, Func<double, double> r)
    {
        if (o.Decoupled) p = r(p * r(1 - rate * o.WeightDecay));
        else g = r(g + r(r(o.WeightDecay) * p));
        m = r(r(r(o.Beta1) * m) + r(r(1 - o.Beta1) * g));
        v = r(r(r(o.Beta2) * v) + r(r(r(1 - o.Beta2) * g) * g));
        double root = r(r(Math.Sqrt(v)) / r(Math.Sqrt(1 - Math.Pow(o.Beta2, step))));
        double size = r(rate / (1 - Math.Pow(o.Beta1, step)));
        return (r(p - r(size * r(m / r(root + r(o.Eps))))), m, v);
    }
}
