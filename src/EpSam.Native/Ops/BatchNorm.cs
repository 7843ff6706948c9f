// BatchNorm over the rows of (…, C), channels last: kernels/batch_norm.cu. The statistics are an op of their own, so
// that training (of the batch) and evaluation (running ones) share the rest. Backward needs x, the statistics, and for
// ReLU the sign of the result: from y, or, without a residual, from x again.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>BatchNorm with the ReLU and the residual sum around it, f32 or bf16.</summary>
public static class BatchNorm
{
    const int Threads = 256, PartRows = 256, Blocks = 1024, ChannelsPerBlock = 8;

    /// <summary>What normalises: each (C) f32, Mean and Rstd of the batch or the running ones.</summary>
    public readonly record struct Affine(Tensor Mean, Tensor Rstd, Tensor Weight, Tensor Bias);

    // Strips of channels, parts of rows: functions of the shape alone, so that sums have one order everywhere.
    readonly record struct Split(int Rows, int Columns, int Size, int Parts)
    {
        public LaunchGrid Grid => new(Tiles(Columns, Strip(Columns)), Parts);
    }

    /// <summary>Working space of <see cref="Statistics"/> and <see cref="Backward"/>, f32.</summary>
    public static Shape Parts(Tensor x)
    {
        Split s = Of(x);
        return new Shape(2L * s.Columns * (s.Parts + 1L));
    }

    /// <summary>
    /// mean and rstd = 1/√(variance + eps) (C) of x (…, C), with the biased variance. runningMean and runningVariance
    /// move towards mean and the unbiased variance by momentum, if they are given. parts as <see cref="Parts"/> says.
    /// Does not synchronise.
    /// </summary>
    public static void Statistics(Gpu gpu, Tensor x, float eps, float momentum, Tensor parts, Tensor mean, Tensor rstd,
        Tensor? runningMean = null, Tensor? runningVariance = null)
    {
        Split s = Of(x);
        if (s.Rows < 2) throw new ArgumentException($"BatchNorm: statistics need two rows or more, got x {x}");
        if (runningMean is null != runningVariance is null)
            throw new ArgumentException("BatchNorm: give both running mean and running variance or neither");
        Expect.Same("BatchNorm", "parts", parts, new Tensor(default, DType.F32, Parts(x)));
        Expect.Shape("BatchNorm", "mean", mean, DType.F32, s.Columns);
        Expect.Shape("BatchNorm", "rstd", rstd, DType.F32, s.Columns);
        if (runningMean is Tensor m) Expect.Shape("BatchNorm", "running mean", m, DType.F32, s.Columns);
        if (runningVariance is Tensor v) Expect.Shape("BatchNorm", "running variance", v, DType.F32, s.Columns);
        Launch.Run(gpu, $"batch_norm_fwd_{x.DType.Name()}_statistics", s.Grid, Threads,
            x, parts, s.Rows, s.Columns, s.Size, s.Parts);
        Launch.Run(gpu, "batch_norm_fwd_f32_finish", new LaunchGrid(Tiles(s.Columns, ChannelsPerBlock)), Threads,
            parts, mean, rstd, runningMean, runningVariance, s.Rows, s.Columns, s.Size, s.Parts, eps, momentum);
    }

    /// <summary>rstd (C) = 1/√(variance + eps): evaluation with running statistics. Does not synchronise.</summary>
    public static void Rstd(Gpu gpu, Tensor variance, float eps, Tensor rstd)
    {
        int columns = Expect.Int("BatchNorm", "channels", variance.Shape.Count);
        Expect.Shape("BatchNorm", "variance", variance, DType.F32, columns);
        Expect.Same("BatchNorm", "rstd", rstd, variance);
        Launch.Run(gpu, "batch_norm_fwd_f32_rstd", new LaunchGrid(Tiles(columns, Threads)), Threads,
            variance, rstd, columns, eps);
    }

    /// <summary>
    /// y = (x - mean) · rstd · weight + bias, plus the residual if there is one, at least 0 with relu. y may be x or
    /// the residual. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, in Affine by, Tensor? residual, bool relu, Tensor y)
    {
        Split s = Of(x);
        Check(by, s.Columns);
        Like("residual", residual, x);
        Like("y", y, x);
        Launch.Run(gpu, $"batch_norm_fwd_{x.DType.Name()}", s.Grid, Threads,
            x, by.Mean, by.Rstd, by.Weight, by.Bias, residual, y, s.Rows, s.Columns, s.Size, relu ? 1 : 0);
    }

    /// <summary>
    /// dx from dy, and dResidual if it is given; added to dWeight and dBias (C) f32 if they are given. With batch, mean
    /// and rstd were x's own and pass gradients on; without, they were constants. y is the result, for its sign: needed
    /// only with relu and a residual. dx or dResidual may be dy. Does not synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor x, in Affine by, Tensor? y, bool relu, bool batch, Tensor dy,
        Tensor parts, Tensor dx, Tensor? dResidual = null, Tensor? dWeight = null, Tensor? dBias = null)
    {
        Split s = Of(x);
        Check(by, s.Columns);
        Like("y", y, x);
        Like("dy", dy, x);
        Like("dx", dx, x);
        Like("dResidual", dResidual, x);
        if (relu && y is null && dResidual is not null)
            throw new ArgumentException("BatchNorm: y is needed for the sign of a result with a residual and ReLU");
        Expect.Same("BatchNorm", "parts", parts, new Tensor(default, DType.F32, Parts(x)));
        if (dWeight is Tensor w) Expect.Shape("BatchNorm", "dWeight", w, DType.F32, s.Columns);
        if (dBias is Tensor b) Expect.Shape("BatchNorm", "dBias", b, DType.F32, s.Columns);
        Tensor sums = new(new(parts.Address.Value + 8 * (ulong)s.Columns * (ulong)s.Parts), DType.F32,
            new(2, s.Columns));
        string kernel = $"batch_norm_bwd_{x.DType.Name()}";
        int gate = relu ? 1 : 0;
        if (batch || dWeight is not null || dBias is not null)
        {
            Launch.Run(gpu, $"{kernel}_sums", s.Grid, Threads, x, y, dy, by.Mean, by.Rstd, by.Weight, by.Bias,
                parts, s.Rows, s.Columns, s.Size, s.Parts, gate);
            Launch.Run(gpu, "batch_norm_bwd_f32_finish", new LaunchGrid(Tiles(s.Columns, ChannelsPerBlock)), Threads,
                parts, sums, dWeight, dBias, s.Columns, s.Parts);
        }
        Tensor? means = batch ? sums : null;
        Launch.Run(gpu, kernel, s.Grid, Threads, x, y, dy, by.Mean, by.Rstd, by.Weight, by.Bias, means, dx, dResidual,
            s.Rows, s.Columns, s.Size, gate);
    }

    // Channels of a block: a warp reads 128, or whole neighbouring rows.
    static int Strip(int columns) => columns > 64 ? 128 : columns > 32 ? 64 : 32;

    static long Tiles(long count, long of) => (count + of - 1) / of;

    static Split Of(Tensor x)
    {
        Expect.Type("BatchNorm", "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int("BatchNorm", "channels of x", x.Shape[^1]);
        int rows = Expect.Int("BatchNorm", "rows of x", x.Shape.Rows);
        Expect.Multiple("BatchNorm", "the last axis of x", columns, 4);
        Expect.Aligned("BatchNorm", "x", x, 4 * x.DType.Size());
        long most = Math.Max(1, Blocks / Math.Max(1, Tiles(columns, Strip(columns))));
        long size = Math.Max(1, Tiles(Tiles(rows, most), PartRows)) * PartRows;
        return new Split(rows, columns, (int)size, (int)Tiles(rows, size));
    }

    static void Check(in Affine by, int columns)
    {
        Check("mean", by.Mean, columns);
        Check("rstd", by.Rstd, columns);
        Check("weight", by.Weight, columns);
        Check("bias", by.Bias, columns);
    }

    static void Check(string name, in Tensor tensor, int columns)
    {
        Expect.Shape("BatchNorm", name, tensor, DType.F32, columns);
        Expect.Aligned("BatchNorm", name, tensor, 16);
    }

    static void Like(string name, in Tensor? tensor, in Tensor x)
    {
        if (tensor is not Tensor given) return;
        Expect.Same("BatchNorm", name, given, x);
        Expect.Aligned("BatchNorm", name, given, 4 * x.DType.Size());
    }
}
