// Convolutions: kernels/conv.cu, and cuBLAS where a convolution is a matrix product as it stands (kernel 1, stride 1,
// no padding, one group, no bias). Channels last; the weight is (N, KD, KH, KW, C/groups). In two dimensions x is
// (B, H, W, C), w is (N, KH, KW, C/groups), and D is 1.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>One number for each axis of space.</summary>
public readonly record struct Axes(int D, int H, int W);

/// <summary>How a kernel walks over its input; its size is the weight's.</summary>
public readonly record struct ConvSteps(Axes Stride, Axes Padding, Axes Dilation, int Groups)
{
    /// <summary>The same along H and W.</summary>
    public static ConvSteps In2D(int stride = 1, int padding = 0, int dilation = 1, int groups = 1) =>
        new(new(1, stride, stride), new(0, padding, padding), new(1, dilation, dilation), groups);

    /// <summary>The same along D, H and W.</summary>
    public static ConvSteps In3D(int stride = 1, int padding = 0, int dilation = 1, int groups = 1) =>
        new(new(stride, stride, stride), new(padding, padding, padding), new(dilation, dilation, dilation), groups);
}

/// <summary>Convolution and its gradients, f32 or bf16; sums are f32.</summary>
public static class Conv
{
    const int TileRows = 128, TileDepth = 32, DirectRows = 4, DirectColumns = 32, SumThreads = 256;
    const int PartBlocks = 256, LeastPart = 512; // blocks that fill a large card; positions that pay for one more part

    readonly record struct Geometry(
        int Batch, int C, int N, Axes In, Axes Out, Axes Kernel, ConvSteps Steps, DType Type)
    {
        public int Channels => C / Steps.Groups; // of one group

        public int Columns => N / Steps.Groups;

        public int Places => Kernel.D * Kernel.H * Kernel.W * Channels;

        public bool IsProduct => Kernel == new Axes(1, 1, 1) && Steps == ConvSteps.In3D();

        // tiles copy pieces of 16 bytes; there are some for pieces of 8, of four channels in bf16
        public bool IsTiled => Columns % (16 / Type.Size()) == 0 && Channels % 4 == 0 && !(IsData && InQuads);

        public bool InQuads => Channels % (16 / Type.Size()) != 0;

        public bool IsData { get; init; } // the gradient of x is wanted

        // columns of a tile
        public int Wide => (IsData ? Channels : Columns) <= 64 || InQuads ? 64 : 128;

        public string KernelName(string direction, string what) => $"conv_{direction}_{Type.Name()}{what}_"
            + (!IsTiled ? "direct" : InQuads ? $"n{Wide}_quads" : $"n{Wide}");

        public long Blocks(long rows, int columns) => Tiles(rows, TileRows) * Tiles(columns, Wide);
    }

    /// <summary>Length of an output axis.</summary>
    public static long Length(long input, long kernel, int stride = 1, int padding = 0, int dilation = 1) =>
        (input + 2L * padding - dilation * (kernel - 1) - 1) / stride + 1;

    /// <summary>
    /// y (B, OD, OH, OW, N) = convolution of x (B, D, H, W, C) with w (N, KD, KH, KW, C/groups), plus bias (N) f32 if
    /// there is one. y may not overlap x or w. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor w, Tensor? bias, in ConvSteps steps, Tensor y)
    {
        Geometry g = Expected("x", x, w, steps, "y", y);
        if (bias is Tensor given) Expect.Shape("Conv", "bias", given, DType.F32, g.N);
        if (g.IsProduct && bias is null)
        {
            MatMul.Forward(gpu, x, w, y);
            return;
        }
        LaunchGrid grid = g.IsTiled
            ? new(g.Blocks(y.Shape.Rows, g.Columns), steps.Groups)
            : new(Tiles(y.Shape.Rows, DirectRows), Tiles(g.N, DirectColumns));
        Run(gpu, g.KernelName("fwd", ""), grid, 128, g, x, w, bias, y);
    }

    /// <summary>dx = the gradient of x, from dy, shapes as in <see cref="Forward"/>. Does not synchronise.</summary>
    public static void BackwardData(Gpu gpu, Tensor dy, Tensor w, in ConvSteps steps, Tensor dx)
    {
        Geometry g = Expected("dx", dx, w, steps, "dy", dy) with { IsData = true };
        if (g.IsProduct)
        {
            MatMul.Forward(gpu, dy, w, dx, transposed: false);
            return;
        }
        // positions of one phase are congruent modulo the stride
        (long depth, int along) = Phases(g.In.D, steps.Stride.D);
        (long height, int down) = Phases(g.In.H, steps.Stride.H);
        (long width, int across) = Phases(g.In.W, steps.Stride.W);
        LaunchGrid grid = g.IsTiled
            ? new(g.Blocks(g.Batch * depth * height * width, g.Channels), steps.Groups, along * down * across)
            : new(Tiles(dx.Shape.Rows, DirectRows), Tiles(g.C, DirectColumns));
        Run(gpu, g.KernelName("bwd", "_data"), grid, 128, g, dy, w, dx);
    }

    /// <summary>Working space of <see cref="BackwardWeight"/>, f32: a function of the shapes alone.</summary>
    public static Shape WeightParts(Tensor x, Tensor dy, Tensor dw, in ConvSteps steps)
    {
        Geometry g = Expected("x", x, dw with { DType = x.DType }, steps, "dy", dy);
        if (g.IsProduct) return new Shape(0);
        long blocks = g.IsTiled ? g.Blocks(g.Places, g.Columns) * steps.Groups : g.Places * Tiles(g.N, DirectColumns);
        return new Shape(Math.Clamp(PartBlocks / blocks, 1, Tiles(dy.Shape.Rows, LeastPart)), dw.Shape.Count);
    }

    /// <summary>
    /// dw (N, KD, KH, KW, C/groups) f32 = the gradient of w, from x and dy; or that added to dw. parts is working
    /// space, as <see cref="WeightParts"/> says. Does not synchronise.
    /// </summary>
    public static void BackwardWeight(
        Gpu gpu, Tensor x, Tensor dy, in ConvSteps steps, Tensor parts, Tensor dw, bool add = false)
    {
        Geometry g = Expected("x", x, dw with { DType = x.DType }, steps, "dy", dy);
        Expect.Type("Conv", "dw", dw, DType.F32);
        Expect.Same("Conv", "parts", parts, new Tensor(default, DType.F32, WeightParts(x, dy, dw, steps)));
        if (g.IsProduct)
        {
            MatMul.BackwardWeight(gpu, x, dy, dw, add);
            return;
        }
        int count = (int)parts.Shape[0], size = (int)Tiles(dy.Shape.Rows, (long)count * TileDepth) * TileDepth;
        LaunchGrid grid = g.IsTiled
            ? new(g.Blocks(g.Places, g.Columns), steps.Groups, count)
            : new(g.Places, Tiles(g.N, DirectColumns), count);
        Run(gpu, g.KernelName("bwd", "_weight"), grid, 256, g, x, dy, parts, size);
        Launch.Run(gpu, "conv_bwd_f32_weight_sum", new LaunchGrid(Tiles(dw.Shape.Count, SumThreads)), SumThreads,
            parts, dw, count, steps.Groups, g.Places, g.Columns, add ? 1 : 0);
    }

    /// <summary>Multiplications and additions of each of the three.</summary>
    public static long Flops(Tensor w, Tensor y) => 2 * y.Shape.Rows * w.Shape.Count;

    static long Tiles(long count, long of) => (count + of - 1) / of;

    static (long Rows, int Phases) Phases(int length, int stride) => (Tiles(length, stride), Math.Min(length, stride));

    static void Run(Gpu gpu, string kernel, LaunchGrid grid, int directThreads, in Geometry g,
        params ReadOnlySpan<LaunchArgument> own)
    {
        Axes s = g.Steps.Stride, p = g.Steps.Padding, l = g.Steps.Dilation;
        int threads = !g.IsTiled ? directThreads : g.Type == DType.BF16 ? 128 : 256;
        Launch.Run(gpu, kernel, grid, threads,
        [
            .. own, g.Batch, g.Steps.Groups, g.C, g.N, g.In.D, g.In.H, g.In.W, g.Out.D, g.Out.H, g.Out.W,
            g.Kernel.D, g.Kernel.H, g.Kernel.W, s.D, s.H, s.W, p.D, p.H, p.W, l.D, l.H, l.W,
        ]);
    }

    static Geometry Expected(string input, Tensor x, Tensor w, in ConvSteps steps, string output, Tensor y)
    {
        Expect.Type("Conv", input, x, DType.F32, DType.BF16);
        if (x.Shape.Rank == 4) (x, w, y) = (Deepen(x), Deepen(w), Deepen(y));
        Expect.Rank("Conv", input, x, "B, D, H, W, C");
        Expect.Rank("Conv", "w", w, "N, KD, KH, KW, C/groups");
        int batch = Expect.Int("Conv", "B", x.Shape[0]), c = Expect.Int("Conv", "C", x.Shape[4]);
        int n = Expect.Int("Conv", "N", w.Shape[0]);
        if (steps.Groups < 1 || c % steps.Groups != 0 || n % steps.Groups != 0)
            throw new ArgumentException($"Conv: {c} and {n} channels cannot be {steps.Groups} groups");
        Axes size = Of(x), kernel = Of(w), s = steps.Stride, p = steps.Padding, l = steps.Dilation;
        Axes o = new(Length("D", size.D, kernel.D, s.D, p.D, l.D), Length("H", size.H, kernel.H, s.H, p.H, l.H),
            Length("W", size.W, kernel.W, s.W, p.W, l.W));
        Expect.Shape("Conv", "w", w, x.DType, n, kernel.D, kernel.H, kernel.W, c / steps.Groups);
        Expect.Shape("Conv", output, y, x.DType, batch, o.D, o.H, o.W, n);
        Expect.Int("Conv", $"positions of {input}", x.Shape.Rows);
        Expect.Int("Conv", $"positions of {output}", y.Shape.Rows);
        Expect.Int("Conv", "values of w", w.Shape.Count);
        Expect.Aligned("Conv", input, x, 16);
        Expect.Aligned("Conv", "w", w, 16);
        Expect.Aligned("Conv", output, y, 16);
        return new Geometry(batch, c, n, size, o, kernel, steps, x.DType);
    }

    static Tensor Deepen(Tensor t) => t.Shape.Rank == 4
        ? t.Reshape(new Shape(t.Shape[0], 1, t.Shape[1], t.Shape[2], t.Shape[3]))
        : t;

    static Axes Of(Tensor t) => new(Expect.Int("Conv", "D", t.Shape[1]), Expect.Int("Conv", "H", t.Shape[2]),
        Expect.Int("Conv", "W", t.Shape[3]));

    static int Length(string axis, int input, int kernel, int stride, int padding, int dilation)
    {
        if (kernel < 1 || stride < 1 || padding < 0 || dilation < 1)
            throw new ArgumentException(
                $"Conv: kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation} "
                + $"are impossible along {axis}");
        long span = dilation * (kernel - 1L) + 1;
        if (input + 2L * padding < span)
            throw new ArgumentException(
                $"Conv: {axis} of {input} with padding {padding} is smaller than the kernel's {span}");
        return (int)Length(input, kernel, stride, padding, dilation);
    }
}
