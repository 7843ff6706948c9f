// ResNet-50's shapes in small (7 x 7 with stride 2, 1 x 1, 3 x 3 with stride 2 and with dilation 2), three dimensions,
// groups down to depthwise; rows, columns and depth that do not fill a tile or a chunk, channels that do not fill a
// piece of 16 bytes, strides beyond the kernel, positions that no tap reaches.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class ConvCases
{
    sealed record Geometry(
        string Name, long B, long[] In, long C, long N, long[] Kernel, ConvSteps Steps, bool Bias = false)
    {
        public long[] Out { get; } =
        [
            Conv.Length(In[0], Kernel[0], Steps.Stride.D, Steps.Padding.D, Steps.Dilation.D),
            Conv.Length(In[1], Kernel[1], Steps.Stride.H, Steps.Padding.H, Steps.Dilation.H),
            Conv.Length(In[2], Kernel[2], Steps.Stride.W, Steps.Padding.W, Steps.Dilation.W),
        ];
        public Shape X => new(B, In[0], In[1], In[2], C);
        public Shape W => new(N, Kernel[0], Kernel[1], Kernel[2], C / Steps.Groups);
        public Shape Y => new(B, Out[0], Out[1], Out[2], N);
        public long Taps => Kernel[0] * Kernel[1] * Kernel[2];
        public long Flops => 2 * Y.Count * Taps * C / Steps.Groups;
        public bool Realistic => Flops > 100_000_000;
    }

    static Geometry Plane(long b, long h, long w, long c, long n, int side, int stride = 1, int padding = 0,
        int dilation = 1, int groups = 1, bool bias = false) =>
        new($"{b}x{h}x{w}x{c}->{n} {side}x{side}{Traits(stride, padding, dilation, groups, bias)}",
            b, [1, h, w], c, n, [1, side, side], ConvSteps.In2D(stride, padding, dilation, groups), bias);

    static Geometry Volume(long b, long d, long h, long w, long c, long n, int side, int stride = 1, int padding = 0,
        int dilation = 1, int groups = 1, bool bias = false) =>
        new($"{b}x{d}x{h}x{w}x{c}->{n} {side}x{side}x{side}{Traits(stride, padding, dilation, groups, bias)}",
            b, [d, h, w], c, n, [side, side, side], ConvSteps.In3D(stride, padding, dilation, groups), bias);

    static string Traits(int stride, int padding, int dilation, int groups, bool bias) =>
        (stride > 1 ? $" stride {stride}" : "") + (padding > 0 ? $" padding {padding}" : "")
        + (dilation > 1 ? $" dilation {dilation}" : "") + (groups > 1 ? $" groups {groups}" : "")
        + (bias ? " bias" : "");

    static readonly Geometry[] Sizes =
    [
        Plane(1, 5, 4, 8, 8, 3, padding: 1), Plane(2, 9, 13, 16, 72, 3, padding: 1, bias: true),
        Plane(1, 16, 17, 40, 136, 3, padding: 1), Plane(1, 6, 7, 64, 64, 3, stride: 2, padding: 1),
        Plane(2, 7, 6, 24, 16, 3, padding: 2, dilation: 2),
        Plane(1, 9, 8, 8, 24, 3, stride: 3, padding: 4, dilation: 2),
        Plane(1, 19, 18, 4, 64, 7, stride: 2, padding: 3),
        Plane(1, 17, 12, 8, 64, 7, stride: 2, padding: 3, bias: true),
        Plane(2, 9, 7, 12, 72, 3, padding: 1, bias: true),
        Plane(2, 5, 6, 16, 32, 1), Plane(1, 4, 5, 16, 8, 1, bias: true), Plane(2, 7, 5, 32, 16, 1, stride: 2),
        Plane(1, 3, 3, 8, 8, 1, stride: 4), Plane(1, 6, 6, 3, 5, 3, padding: 1, bias: true),
        Plane(2, 5, 5, 6, 4, 2, stride: 2),
        Plane(1, 8, 6, 32, 48, 3, padding: 1, groups: 2), Plane(1, 6, 9, 12, 12, 3, stride: 2, padding: 1, groups: 12),
        Plane(1, 6, 5, 36, 72, 3, padding: 1, groups: 36, bias: true), Plane(1, 2, 2, 8, 8, 3, stride: 4, padding: 3),
        Volume(1, 4, 5, 6, 8, 16, 3, padding: 1), Volume(2, 3, 4, 5, 16, 8, 1, bias: true),
        Volume(1, 5, 6, 4, 8, 24, 3, stride: 2, padding: 1), Volume(1, 4, 4, 5, 40, 40, 3, padding: 1, groups: 40),
        Volume(1, 3, 5, 4, 1, 3, 3, padding: 1), Volume(1, 5, 4, 6, 8, 8, 2, stride: 2, padding: 1, dilation: 3),
        new("1x3x9x7x8->16 3x1x2 mixed", 1, [3, 9, 7], 8, 16, [3, 1, 2],
            new(new(1, 3, 2), new(2, 0, 1), new(2, 1, 1), 1)),
    ];
    static readonly Geometry[] Large =
    [
        Plane(1, 64, 64, 256, 256, 3, padding: 1), Plane(1, 128, 128, 64, 64, 3, padding: 1),
        Plane(1, 64, 64, 128, 128, 3, stride: 2, padding: 1), Plane(1, 256, 256, 8, 64, 7, stride: 2, padding: 3),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from g in Sizes.Concat(Large)
           from make in new Func<Geometry, DType, OpCase>[] { Forward, Data, Weight } select make(g, type),
        .. from type in new[] { DType.F32, DType.BF16 } from g in new[] { Sizes[1], Sizes[8] }
           select Weight(g, type, true),
    ];

    /// <summary>Forward, data and weight of small geometries, for the gradient test.</summary>
    public static IEnumerable<(OpCase Forward, OpCase Data, OpCase Weight)> Gradients { get; } =
        [.. Sizes.Where(g => !g.Bias).Select(g => (Forward(g, DType.F32), Data(g, DType.F32), Weight(g, DType.F32)))];

    static OpCase Forward(Geometry g, DType type)
    {
        CaseTensor[] inputs = [new("x", type, g.X, Values.Normal()), new("w", type, g.W, Values.Normal())];
        if (g.Bias) inputs = [.. inputs, new("bias", DType.F32, new(g.N), Values.Normal())];
        return new OpCase
        {
            Name = $"conv fwd {type.Name()} {g.Name}",
            Inputs = inputs, Outputs = [new("y", type, g.Y)],
            Run = (gpu, x, y) => Conv.Forward(gpu, x[0], x[1], g.Bias ? x[2] : null, g.Steps, y[0]),
            Reference = x =>
            {
                double[] y = new double[g.Y.Count], magnitudes = new double[g.Y.Count];
                Walk(g, (int ix, int iw, int iy) => Add(y, magnitudes, iy, x[0][ix] * x[1][iw]));
                if (g.Bias) for (int i = 0; i < y.Length; i++) Add(y, magnitudes, i, x[2][i % g.N]);
                return [Tolerance.Sum(y, magnitudes, g.Taps * g.C / g.Steps.Groups + 1, type)];
            },
            Flops = g.Flops, Bytes = (g.X.Count + g.W.Count + g.Y.Count) * type.Size(), Realistic = g.Realistic,
        };
    }

    static OpCase Data(Geometry g, DType type) => new()
    {
        Name = $"conv bwd data {type.Name()} {g.Name}",
        Inputs = [new("dy", type, g.Y, Values.Normal()), new("w", type, g.W, Values.Normal())],
        Outputs = [new("dx", type, g.X)],
        Run = (gpu, x, y) => Conv.BackwardData(gpu, x[0], x[1], g.Steps, y[0]),
        Reference = x =>
        {
            double[] dx = new double[g.X.Count], magnitudes = new double[g.X.Count];
            Walk(g, (int ix, int iw, int iy) => Add(dx, magnitudes, ix, x[0][iy] * x[1][iw]));
            return [Tolerance.Sum(dx, magnitudes, g.Taps * g.N / g.Steps.Groups, type)];
        },
        Flops = g.Flops, Bytes = (g.X.Count + g.W.Count + g.Y.Count) * type.Size(), Realistic = g.Realistic,
    };

    static OpCase Weight(Geometry g, DType type) => Weight(g, type, false);

    static OpCase Weight(Geometry g, DType type, bool add)
    {
        Tensor x = new(default, type, g.X), dy = new(default, type, g.Y), dw = new(default, DType.F32, g.W);
        return new OpCase
        {
            Name = $"conv bwd weight {type.Name()} {g.Name}{(add ? " add" : "")}",
            Inputs =
            [
                new("x", type, g.X, Values.Normal()), new("dy", type, g.Y, Values.Normal()),
                new("dw0", DType.F32, g.W, Values.Normal()),
            ],
            Outputs = [new("dw", DType.F32, g.W)],
            Scratch = [new("parts", DType.F32, Conv.WeightParts(x, dy, dw, g.Steps))],
            Run = (gpu, x, y) =>
            {
                if (add) Elementwise.Copy(gpu, x[2], y[0]);
                Conv.BackwardWeight(gpu, x[0], x[1], g.Steps, y[1], y[0], add);
            },
            Reference = x =>
            {
                double[] dw = new double[g.W.Count], magnitudes = new double[g.W.Count];
                if (add) for (int i = 0; i < dw.Length; i++) Add(dw, magnitudes, i, x[2][i]);
                Walk(g, (int ix, int iw, int iy) => Add(dw, magnitudes, iw, x[0][ix] * x[1][iy]));
                return [Tolerance.Sum(dw, magnitudes, g.Y.Rows + 1, DType.F32)];
            },
            Flops = g.Flops, Bytes = (g.X.Count + g.Y.Count) * type.Size() + 4 * g.W.Count, Realistic = g.Realistic,
        };
    }

    static void Add(double[] sums, double[] magnitudes, int i, double term)
    {
        sums[i] += term;
        magnitudes[i] += Math.Abs(term);
    }

    // The definition: every product that a convolution is made of, once, as indices of x, w and y.
    static void Walk(Geometry g, Action<int, int, int> product)
    {
        long channels = g.C / g.Steps.Groups, columns = g.N / g.Steps.Groups;
        Axes s = g.Steps.Stride, p = g.Steps.Padding, l = g.Steps.Dilation;
        for (long b = 0; b < g.B; b++)
        for (long oz = 0; oz < g.Out[0]; oz++)
        for (long oy = 0; oy < g.Out[1]; oy++)
        for (long ox = 0; ox < g.Out[2]; ox++)
        for (long kz = 0; kz < g.Kernel[0]; kz++)
        for (long ky = 0; ky < g.Kernel[1]; ky++)
        for (long kx = 0; kx < g.Kernel[2]; kx++)
        {
            long z = oz * s.D - p.D + kz * l.D, y = oy * s.H - p.H + ky * l.H, x = ox * s.W - p.W + kx * l.W;
            if (z < 0 || z >= g.In[0] || y < 0 || y >= g.In[1] || x < 0 || x >= g.In[2]) continue;
            long from = (((b * g.In[0] + z) * g.In[1] + y) * g.In[2] + x) * g.C;
            long to = (((b * g.Out[0] + oz) * g.Out[1] + oy) * g.Out[2] + ox) * g.N;
            long tap = (kz * g.Kernel[1] + ky) * g.Kernel[2] + kx;
            for (long n = 0; n < g.N; n++)
            {
                long first = from + n / columns * channels, weight = (n * g.Taps + tap) * channels;
                for (long c = 0; c < channels; c++) product((int)(first + c), (int)(weight + c), (int)(to + n));
            }
        }
    }
}
