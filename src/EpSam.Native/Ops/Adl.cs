// Attention-based dropout of the patch classifier (EP-SAM's resnet_adl.py): kernels/adl.cu. The coin is the caller's.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Features times one number a position, made from their mean over channels; f32 or bf16.</summary>
public static class Adl
{
    const int Threads = 256, RowsPerBlock = 8;

    /// <summary>
    /// map (B, P) f32 of x (B, …, C) with P positions: with drop 1 where the mean over channels is below threshold ·
    /// the image's largest (B) f32, else 0; without, the sigmoid of the mean. y = x · map, and may be x where backward
    /// is not wanted. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, bool drop, float threshold, Tensor largest, Tensor map, Tensor y)
    {
        (int rows, int c, int positions) = Check(x, map);
        Expect.Shape("Adl", "largest", largest, DType.F32, x.Shape[0]);
        Same("y", y, x);
        LaunchGrid grid = Grid(rows);
        Launch.Run(gpu, $"adl_fwd_{x.DType.Name()}_mean", grid, Threads, x, map, rows, c);
        if (drop) Reduce.RowMax(gpu, map, largest);
        Launch.Run(gpu, "adl_fwd_f32_map", new LaunchGrid((positions + Threads - 1L) / Threads, x.Shape[0]), Threads,
            map, largest, threshold, drop ? 1 : 0, positions);
        Launch.Run(gpu, $"adl_fwd_{x.DType.Name()}", grid, Threads, x, map, y, rows, c);
    }

    /// <summary>dx from x, the map of forward and dy; dx may be dy. Does not synchronise.</summary>
    public static void Backward(Gpu gpu, Tensor x, Tensor map, Tensor dy, Tensor dx)
    {
        (int rows, int c, _) = Check(x, map);
        Same("dy", dy, x);
        Same("dx", dx, x);
        Launch.Run(gpu, $"adl_bwd_{x.DType.Name()}", Grid(rows), Threads, x, map, dy, dx, rows, c);
    }

    static LaunchGrid Grid(int rows) => new((rows + RowsPerBlock - 1L) / RowsPerBlock);

    static void Same(string name, in Tensor tensor, in Tensor x)
    {
        Expect.Same("Adl", name, tensor, x);
        Expect.Aligned("Adl", name, tensor, 4 * x.DType.Size());
    }

    static (int Rows, int C, int Positions) Check(in Tensor x, in Tensor map)
    {
        Expect.Type("Adl", "x", x, DType.F32, DType.BF16);
        int c = Expect.Int("Adl", "channels of x", x.Shape[^1]), rows = Expect.Int("Adl", "rows of x", x.Shape.Rows);
        Expect.Multiple("Adl", "channels of x", c, 4);
        Expect.Aligned("Adl", "x", x, 4 * x.DType.Size());
        long positions = rows / Math.Max(1, x.Shape[0]);
        Expect.Shape("Adl", "map", map, DType.F32, x.Shape[0], positions);
        return (rows, c, (int)positions);
    }
}
