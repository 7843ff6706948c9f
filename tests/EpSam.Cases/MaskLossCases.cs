// Dice and IoU loss, backward with and without cross entropy. One pixel, sizes around a block and a part, empty and
// full targets, logits that saturate.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class MaskLossCases
{
    readonly record struct Sizes(long B, long H, long W, int Least, int Most, double Spread); // target: least to most

    static readonly Sizes[] Small =
    [
        new(1, 1, 1, 0, 1, 2), new(2, 13, 17, 0, 1, 2), new(3, 16, 16, 0, 1, 2), new(1, 67, 61, 0, 1, 3),
        new(2, 65, 64, 0, 0, 2), new(2, 9, 9, 1, 1, 2), new(1, 64, 129, 0, 1, 60),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from s in Small.Append(new(4, 512, 512, 0, 1, 3))
        from make in new[] { Forward, s => Backward(s, 0), s => Backward(s, Cross) } select make(s),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in Small[..6] from cross in new[] { 0, Cross } select new GradientCase(Total(s, cross), [0],
            (x, dy) => [[.. Gradient(x, s, cross).Select(d => d * dy[0])]]),
    ];

    static CaseTensor[] Inputs(Sizes s) =>
    [
        new("logits", DType.F32, new(s.B, s.H, s.W), Values.Normal(s.Spread)),
        new("target", DType.U8, new(s.B, s.H, s.W), Values.Integer(s.Least, s.Most)),
    ];

    static string Name(string pass, Sizes s) =>
        $"mask_loss {pass} {s.B}x{s.H}x{s.W} target {s.Least} to {s.Most} spread {s.Spread}";

    static CaseTensor Parts(Sizes s) =>
        new("parts", DType.F32, MaskLoss.PartsShape(new Tensor(default, DType.F32, new(s.B, s.H, s.W))));

    static OpCase Forward(Sizes s) => new()
    {
        Name = Name("fwd", s), Inputs = Inputs(s),
        Outputs = [new("y", DType.F32, new(s.B, 4)), new("sums", DType.F32, new(s.B, 5))], Scratch = [Parts(s)],
        Run = (gpu, x, y) => MaskLoss.Forward(gpu, x[0], x[1], MaskLoss.Smooth, y[2], y[1], y[0]),
        Reference = x =>
        {
            double[] y = new double[4 * s.B], sums = new double[5 * s.B], near = new double[y.Length];
            for (int b = 0; b < s.B; b++)
            {
                double[] v = SumsOf(x, s, b);
                v.CopyTo(sums, 5 * b);
                double[] values = Losses(v);
                values.CopyTo(y, 4 * b);
                // each of the fractions, none above 1, is as good as its sums
                near.AsSpan(4 * b, 4).Fill(4);
            }
            return [Tolerance.Sum(y, near, s.H * s.W, DType.F32), Tolerance.Sum(sums, sums, s.H * s.W, DType.F32)];
        },
        Flops = 15 * s.B * s.H * s.W, Bytes = 5 * s.B * s.H * s.W, Realistic = s.H > 500,
    };

    static OpCase Backward(Sizes s, float cross) => new()
    {
        Name = Name(cross == 0 ? "bwd" : "bwd with cross entropy", s), Inputs = Inputs(s),
        Outputs = [new("dLogits", DType.F32, new(s.B, s.H, s.W))],
        Scratch = [Parts(s), new("sums", DType.F32, new(s.B, 5)), new("y", DType.F32, new(s.B, 4))],
        Run = (gpu, x, y) =>
        {
            MaskLoss.Forward(gpu, x[0], x[1], MaskLoss.Smooth, y[1], y[2], y[3]);
            MaskLoss.Backward(gpu, x[0], x[1], MaskLoss.Smooth, y[2], Dice, IoU, y[0], cross);
        },
        Reference = x =>
        {
            double[] exact = Gradient(x, s, cross), most = Gradient(x, s, cross, magnitudes: true);
            // the exponent of the sigmoid is rounded: a relative error of |x| ulps
            for (int i = 0; i < most.Length; i++) most[i] *= 4 + Math.Abs(x[0][i]);
            Expected expected = Tolerance.Sum(exact, most, s.H * s.W, DType.F32);
            for (int i = 0; i < most.Length; i++) expected.Bounds[i] += LeastNormal; // below it ex2 gives 0
            return [expected];
        },
        Flops = 20 * s.B * s.H * s.W, Bytes = 9 * s.B * s.H * s.W, Realistic = s.H > 500,
    };

    const double LeastNormal = 1.0 / (1UL << 63) / (1UL << 63);
    const float Dice = 0.75f, IoU = 0.5f, Cross = 0.25f;

    // What Backward is the gradient of: one number.
    static OpCase Total(Sizes s, float cross) => new()
    {
        Name = Name(cross == 0 ? "total" : "total with cross entropy", s), Inputs = Inputs(s),
        Outputs = [new("y", DType.F32, new(1))], Run = (_, _, _) => { },
        Reference = x =>
        {
            double sum = 0;
            for (int b = 0; b < s.B; b++)
            {
                double[] losses = Losses(SumsOf(x, s, b));
                sum += Dice * losses[0] + IoU * losses[1];
            }
            for (int i = 0; i < x[0].Length; i++)
                sum += cross / (s.H * s.W) * (Math.Log(1 + Math.Exp(x[0][i])) - x[1][i] * x[0][i]);
            return [Tolerance.Exact([sum])];
        },
        Flops = 1, Bytes = 1,
    };

    static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    static double[] SumsOf(double[][] x, Sizes s, int b)
    {
        double[] sums = new double[5];
        int each = (int)(s.H * s.W);
        for (int i = b * each; i < (b + 1) * each; i++)
        {
            (double p, double t, double h) = (Sigmoid(x[0][i]), x[1][i], x[0][i] > 0 ? 1 : 0);
            double[] terms = [p * t, p, t, h * t, h];
            for (int k = 0; k < 5; k++) sums[k] += terms[k];
        }
        return sums;
    }

    static double[] Losses(double[] v)
    {
        const double S = MaskLoss.Smooth;
        return
        [
            1 - (2 * v[0] + S) / (v[1] + v[2] + S), 1 - (v[0] + S) / (v[1] + v[2] - v[0] + S),
            (2 * v[3] + S) / (v[4] + v[2] + S), (v[3] + S) / (v[4] + v[2] - v[3] + S),
        ];
    }

    static double[] Gradient(double[][] x, Sizes s, float cross, bool magnitudes = false)
    {
        const double S = MaskLoss.Smooth;
        double[] dx = new double[x[0].Length];
        int each = (int)(s.H * s.W);
        for (int b = 0; b < s.B; b++)
        {
            double[] v = SumsOf(x, s, b);
            double all = v[1] + v[2] + S, any = v[1] + v[2] - v[0] + S;
            for (int i = b * each; i < (b + 1) * each; i++)
            {
                double t = x[1][i], p = Sigmoid(x[0][i]), up = (2 * v[0] + S) / (all * all), down = 2 * t / all;
                double more = (1 - t) * (v[0] + S) / (any * any), less = t / any;
                double sum = magnitudes ? Dice * (up + down) + IoU * (more + less)
                    : Dice * (up - down) + IoU * (more - less);
                dx[i] = sum * p * Sigmoid(-x[0][i]) + cross / (double)each * (magnitudes ? p + t : p - t);
            }
        }
        return dx;
    }
}
