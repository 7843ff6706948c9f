using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>LayerNorm over the last axis: kernels/layer_norm.cu.</summary>
public static class LayerNorm
{
    const int Threads = 256, RowsPerBlock = 8, Together = 128; // columns of a block of the weight's gradient

    /// <summary>
    /// y = (x - mean) · rstd · weight + bias for x (…, C) f32 or bf16, C a multiple of 4; weight, bias (C) and mean,
    /// rstd (rows) are f32. y may be x, or bf16 for an x in f32. Does not synchronise. Throws
    /// ArgumentException on wrong shapes.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor weight, Tensor bias, float eps, Tensor y, Tensor mean,
        Tensor rstd)
    {
        Expect.Type("LayerNorm", "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int("LayerNorm", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("LayerNorm", "rows of x", x.Shape.Rows);
        Expect.Multiple("LayerNorm", "the last axis of x", columns, 4);
        Expect.Shape("LayerNorm", "weight", weight, DType.F32, columns);
        Expect.Shape("LayerNorm", "bias", bias, DType.F32, columns);
        Expect.Same("LayerNorm", "y", y,
            x.DType == DType.F32 && y.DType == DType.BF16 ? x with { DType = DType.BF16 } : x);
        Expect.Shape("LayerNorm", "mean", mean, DType.F32, rows);
        Expect.Shape("LayerNorm", "rstd", rstd, DType.F32, rows);
        Expect.Aligned("LayerNorm", "x", x, 4 * x.DType.Size());
        Expect.Aligned("LayerNorm", "y", y, 4 * y.DType.Size());
        Expect.Aligned("LayerNorm", "weight", weight, 16);
        Expect.Aligned("LayerNorm", "bias", bias, 16);
        LaunchGrid grid = new((rows + RowsPerBlock - 1L) / RowsPerBlock);
        Launch.Run(gpu, $"layer_norm_fwd_{Types(x, y)}", grid, Threads,
            x, weight, bias, y, mean, rstd, rows, columns, eps);
    }

    /// <summary>
    /// dx from dy of y's type and shape, and x, weight, mean, rstd of <see cref="Forward"/>. dx may be dy. Does not
    /// synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dy, Tensor dx)
    {
        (int rows, int columns) = CheckBackward(x, mean, rstd, dy);
        Expect.Shape("LayerNorm", "weight", weight, DType.F32, columns);
        Expect.Same("LayerNorm", "dx", dx, x);
        Expect.Aligned("LayerNorm", "weight", weight, 16);
        Expect.Aligned("LayerNorm", "dx", dx, 4 * dx.DType.Size());
        LaunchGrid grid = new((rows + RowsPerBlock - 1L) / RowsPerBlock);
        Launch.Run(gpu, $"layer_norm_bwd_{Types(x, dy)}", grid, Threads, x, weight, mean, rstd, dy, dx, rows, columns);
    }

    /// <summary>
    /// dWeight and dBias (C) f32 += what dy gives; x, mean, rstd of <see cref="Forward"/>. parts (2, G, C) f32 of
    /// <see cref="PartsShape"/> is working space. Does not synchronise.
    /// </summary>
    public static void BackwardWeight(Gpu gpu, Tensor x, Tensor mean, Tensor rstd, Tensor dy, Tensor parts,
        Tensor dWeight, Tensor dBias)
    {
        (int rows, int columns) = CheckBackward(x, mean, rstd, dy);
        Shape needed = PartsShape(x);
        Expect.Same("LayerNorm", "parts", parts, new Tensor(parts.Address, DType.F32, needed));
        Expect.Shape("LayerNorm", "dWeight", dWeight, DType.F32, columns);
        Expect.Shape("LayerNorm", "dBias", dBias, DType.F32, columns);
        LaunchGrid grid = new((columns + Together - 1L) / Together, needed[1]);
        Launch.Run(gpu, $"layer_norm_bwd_{Types(x, dy)}_weight", grid, Threads,
            x, mean, rstd, dy, parts, rows, columns, ColumnSum.RowsEach(rows));
        Tensor half = parts with { Shape = new Shape(needed[1], columns) };
        ColumnSum.Few(gpu, half, dWeight, add: true);
        ColumnSum.Few(gpu, half with { Address = new(half.Address.Value + (ulong)half.Bytes) }, dBias, add: true);
    }

    /// <summary>Working space of <see cref="BackwardWeight"/>: (2, G, C).</summary>
    public static Shape PartsShape(Tensor x) => new(2, ColumnSum.Parts(x.Shape.Rows), x.Shape[^1]);

    static string Types(in Tensor x, in Tensor y) => x.DType == y.DType ? x.DType.Name() : "f32_bf16";

    static (int Rows, int Columns) CheckBackward(in Tensor x, in Tensor mean, in Tensor rstd, in Tensor dy)
    {
        Expect.Type("LayerNorm", "x", x, DType.F32, DType.BF16);
        int columns = Expect.Int("LayerNorm", "columns of x", x.Shape[^1]);
        int rows = Expect.Int("LayerNorm", "rows of x", x.Shape.Rows);
        Expect.Multiple("LayerNorm", "the last axis of x", columns, 4);
        Expect.Shape("LayerNorm", "mean", mean, DType.F32, rows);
        Expect.Shape("LayerNorm", "rstd", rstd, DType.F32, rows);
        Expect.Same("LayerNorm", "dy", dy,
            x.DType == DType.F32 && dy.DType == DType.BF16 ? x with { DType = DType.BF16 } : x);
        Expect.Aligned("LayerNorm", "x", x, 4 * x.DType.Size());
        Expect.Aligned("LayerNorm", "dy", dy, 4 * dy.DType.Size());
        return (rows, columns);
    }

    /// <summary>About: sum, difference, square, scale, shift.</summary>
    public static long Flops(Tensor x) => 8 * x.Shape.Count;

    /// <summary>x once, y once, mean and rstd; re-readings come from cache.</summary>
    public static long Bytes(Tensor x) => 2 * x.Bytes + 8 * x.Shape.Rows;
}
