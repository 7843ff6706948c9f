// The last step of the mask decoder. The plain computation is the reference model's: convolution, GELU and product,
// each stored in the type, sums in f32.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class MaskDecodeCases
{
    readonly record struct Sizes(long P, long H, long W, long M, long C, long O);

    // one token; widths around the 8 and 16 neighbours of a warp; more tasks than a block has; masks past one group
    static readonly Sizes[] Small =
    [
        new(1, 1, 1, 1, 16, 8), new(2, 3, 5, 4, 16, 8), new(1, 16, 16, 3, 16, 8), new(1, 2, 9, 9, 16, 8),
        new(1, 1, 1, 1, 64, 32), new(2, 3, 8, 3, 64, 32), new(1, 5, 17, 4, 64, 32), new(1, 2, 33, 10, 64, 32),
        new(3, 9, 15, 4, 64, 32),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Small select Case(s, type),
        .. from type in new[] { DType.F32, DType.BF16 } select Case(new(8, 64, 64, 3, 64, 32), type, true),
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in Small.Where(s => s.M <= 4).Append(new(4, 64, 64, 1, 64, 32)) select Backward(s, type),
    ];

    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. from s in new[] { Small[0], Small[1], Small[5] } select new GradientCase(Case(s, DType.F32), [0, 1, 2, 3],
            (x, dy) => [.. Backward([.. x, dy], s, DType.F32).Select(e => e.Values)]),
    ];

    static OpCase Backward(Sizes s, DType type)
    {
        CaseTensor[] forward = Case(s, type).Inputs;
        Tensor u = new(default, type, forward[0].Shape), hyper = new(default, DType.F32, forward[3].Shape);
        return new OpCase
        {
            Name = $"mask_decode bwd {type.Name()} {s.P}x{s.H}x{s.W} masks {s.M} channels {s.C} {s.O}",
            Inputs =
            [
                .. forward, new("dMasks", DType.F32, new(s.P, s.M, 4 * s.H, 4 * s.W), Values.Normal()),
                new("weight0", DType.F32, new(s.C, s.O, 2, 2), Values.Normal()),
                new("bias0", DType.F32, new(s.O), Values.Normal()),
            ],
            Outputs =
            [
                new("dU", type, u.Shape), new("dWeight", DType.F32, new(s.C, s.O, 2, 2)),
                new("dBias", DType.F32, new(s.O)), new("dHyper", DType.F32, hyper.Shape),
            ],
            Scratch =
            [
                new("z", type, MaskDecode.ProductShape(u, hyper)),
                new("parts", DType.F32, MaskDecode.PartsShape(u, hyper)),
            ],
            Run = (gpu, x, y) =>
            {
                Elementwise.Copy(gpu, x[5], y[1]);
                Elementwise.Copy(gpu, x[6], y[2]);
                MaskDecode.Backward(gpu, x[0], x[1], x[2], x[3], x[4], y[4], y[5], y[0], y[1], y[2], y[3]);
            },
            Reference = x =>
            {
                Expected[] expected = Backward(x, s, type);
                foreach ((Expected gradient, double[] before) in new[] { (expected[1], x[5]), (expected[2], x[6]) })
                    for (int i = 0; i < before.Length; i++)
                    {
                        gradient.Values[i] += before[i];
                        gradient.Bounds[i] += 4 * Values.Eps(DType.F32) * Math.Abs(before[i]);
                    }
                return expected;
            },
            Flops = s.P * s.H * s.W * (96 * s.C * s.O + 16 * s.O * (30 + 4 * s.M)),
            Bytes = s.P * s.H * s.W * (64 * s.O * type.Size() + 64 * s.M), Realistic = s.H > 32,
        };
    }

    // Gradients of u, weight, bias and hyper; bounds by carrying each rounding on to first order: the convolution's sum
    // and its storing in the type, both in the slope and in the value of GELU, whose slopes are below 1.2.
    static Expected[] Backward(double[][] x, Sizes s, DType type)
    {
        double eps = Values.Eps(DType.F32), stored = type == DType.F32 ? 0 : Values.Eps(type);
        double[][] values = [.. new long[] { x[0].Length, x[1].Length, s.O, x[3].Length }.Select(n => new double[n])];
        double[][] bounds = [.. values.Select(v => new double[v.Length])];
        long pixels = s.P * s.H * s.W * 4;
        double longSum = 4 * Math.Sqrt(4 * pixels) * eps, shortSum = 4 * Math.Sqrt(4 * s.O + s.M) * eps;
        for (long pixel = 0; pixel < pixels; pixel++)
        for (long o = 0; o < s.O; o++)
        for (long k = 0; k < 4; k++)
        {
            double z = x[2][o], size = Math.Abs(z);
            for (long c = 0; c < s.C; c++)
            {
                double product = x[0][pixel * s.C + c] * x[1][(c * s.O + o) * 4 + k];
                z += product;
                size += Math.Abs(product);
            }
            (long b, long a, long j) = (pixel & 1, pixel >> 1 & 1, pixel / 4 % s.W);
            (long i, long p) = (pixel / 4 / s.W % s.H, pixel / 4 / s.W / s.H);
            double near = 1.2 * (4 * Math.Sqrt(s.C) * eps * size + stored * Math.Abs(z)) + 4 * eps;
            double y = GeluCases.Exact(z), slope = GeluCases.Slope(z), dy = 0, dySize = 0;
            for (long m = 0; m < s.M; m++)
            {
                long row = (p * s.M + m) * 4 * s.H + 4 * i + 2 * a + k / 2, at = (p * s.M + m) * s.O + o;
                double d = x[4][row * 4 * s.W + 4 * j + 2 * b + k % 2];
                dy += d * x[3][at];
                dySize += Math.Abs(d * x[3][at]);
                values[3][at] += d * y;
                bounds[3][at] += Math.Abs(d) * (near + longSum * Math.Abs(y));
            }
            double dz = dy * slope, error = dySize * (near + 8 * eps) + stored * Math.Abs(dz);
            values[2][o] += dz;
            bounds[2][o] += error + longSum * Math.Abs(dz);
            for (long c = 0; c < s.C; c++)
            {
                double u = x[0][pixel * s.C + c], w = x[1][(c * s.O + o) * 4 + k];
                values[0][pixel * s.C + c] += dz * w;
                bounds[0][pixel * s.C + c] += (error + shortSum * Math.Abs(dz)) * Math.Abs(w);
                values[1][(c * s.O + o) * 4 + k] += dz * u;
                bounds[1][(c * s.O + o) * 4 + k] += (error + longSum * Math.Abs(dz)) * Math.Abs(u);
            }
        }
        for (long i = 0; i < values[0].Length; i++) bounds[0][i] += stored * Math.Abs(values[0][i]) * 1.01;
        return [.. values.Zip(bounds, (v, b) => new Expected(v, b))];
    }

    static OpCase Case(Sizes s, DType type, bool realistic = false) => new()
    {
        Name = $"mask_decode {type.Name()} {s.P}x{s.H}x{s.W} masks {s.M} channels {s.C} {s.O}",
        Inputs =
        [
            new("u", type, new(s.P, s.H, s.W, 2, 2, s.C), Values.Normal(0.7, 0.3)),
            new("weight", type, new(s.C, s.O, 2, 2), Values.Normal(1 / Math.Sqrt(s.C))),
            new("bias", DType.F32, new(s.O), Values.Normal(0.3)),
            new("hyper", DType.F32, new(s.P, s.M, s.O), Values.Normal()),
        ],
        Outputs = [new("masks", DType.F32, new(s.P, s.M, 4 * s.H, 4 * s.W))],
        Run = (gpu, x, y) => MaskDecode.Forward(gpu, x[0], x[1], x[2], x[3], y[0]),
        Reference = x => [Tolerance.Fused(
            Compute(x, s, v => v, GeluCases.Exact, v => v),
            Compute(x, s, v => (float)v, v => GeluCases.Plain(v, type), v => Values.Round(v, type)), DType.F32)],
        Flops = s.P * s.H * s.W * (32 * s.C * s.O + 16 * s.O * (25 + 2 * s.M)),
        Bytes = s.P * s.H * s.W * (4 * s.C * type.Size() + 64 * s.M), Realistic = realistic,
    };

    static double[] Compute(
        double[][] x, Sizes s, Func<double, double> add, Func<double, double> gelu, Func<double, double> store)
    {
        double[] masks = new double[s.P * s.M * 16 * s.H * s.W];
        Parallel.For(0, s.P * s.H * s.W * 16, at => // one pixel of all masks
        {
            (long kx, long ky, long b, long a) = (at & 1, at >> 1 & 1, at >> 2 & 1, at >> 3 & 1);
            (long j, long i, long p) = (at / 16 % s.W, at / 16 / s.W % s.H, at / 16 / s.W / s.H);
            double[] z = new double[s.O];
            for (long o = 0; o < s.O; o++)
            {
                double sum = x[2][o];
                for (long c = 0; c < s.C; c++)
                    sum = add(sum + x[0][at / 4 * s.C + c] * x[1][(c * s.O + o) * 4 + 2 * ky + kx]);
                z[o] = gelu(store(sum));
            }
            for (long m = 0; m < s.M; m++)
            {
                double sum = 0;
                for (long o = 0; o < s.O; o++) sum = add(sum + z[o] * store(x[3][(p * s.M + m) * s.O + o]));
                masks[((p * s.M + m) * 4 * s.H + 4 * i + 2 * a + ky) * 4 * s.W + 4 * j + 2 * b + kx] = store(sum);
            }
        });
        return masks;
    }
}
