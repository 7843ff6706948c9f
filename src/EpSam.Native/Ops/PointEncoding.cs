using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>What is learned for the labels of prompt points, each (C) f32.</summary>
/// <param name="None">Label -1, no point at all.</param>
/// <param name="Negative">Label 0.</param>
/// <param name="Positive">Label 1.</param>
/// <param name="TopLeft">Label 2, a box's corner.</param>
/// <param name="BottomRight">Label 3, its other corner.</param>
public readonly record struct PointLabels(
    Tensor None, Tensor Negative, Tensor Positive, Tensor TopLeft, Tensor BottomRight);

/// <summary>SAM's encoding of positions by random frequencies: kernels/point_encoding.cu.</summary>
public static class PointEncoding
{
    const int Threads = 128;

    /// <summary>
    /// tokens (…, C) f32 or bf16 of points: the encoding of the middle of pixel points (…, 2) f32, x and y in a frame
    /// of height x width, plus what is learned for labels (…) i32; of label -1 only the latter. gaussian (2, C/2) f32.
    /// Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor points, Tensor labels, Tensor gaussian, PointLabels learned, int height,
        int width, Tensor tokens)
    {
        Expect.Type("PointEncoding", "tokens", tokens, DType.F32, DType.BF16);
        (long count, long channels) = (tokens.Shape.Rows, tokens.Shape[^1]);
        Frame(gaussian, channels, height, width);
        Tensor pairs = points.Reshape(new Shape(points.Shape.Rows, points.Shape[^1]));
        Expect.Shape("PointEncoding", "points", pairs, DType.F32, count, 2);
        Expect.Shape("PointEncoding", "labels", labels.Reshape(new Shape(labels.Shape.Count)), DType.I32, count);
        foreach (Tensor label in (ReadOnlySpan<Tensor>)
            [learned.None, learned.Negative, learned.Positive, learned.TopLeft, learned.BottomRight])
            Expect.Shape("PointEncoding", "what is learned for a label", label.Reshape(new Shape(label.Shape.Count)),
                DType.F32, channels);
        Launch.Run(gpu, $"point_encoding_fwd_{tokens.DType.Name()}", new LaunchGrid(count), Threads, points, labels,
            gaussian, learned.None, learned.Negative, learned.Positive, learned.TopLeft, learned.BottomRight, tokens,
            height, width, (int)channels);
    }

    /// <summary>grid (H, W, C) f32 or bf16: the encoding of the middle of every cell. Does not synchronise.</summary>
    public static void Grid(Gpu gpu, Tensor gaussian, Tensor grid)
    {
        Expect.Type("PointEncoding", "grid", grid, DType.F32, DType.BF16);
        Expect.Rank("PointEncoding", "grid", grid, "H, W, C");
        (long height, long width, long channels) = (grid.Shape[0], grid.Shape[1], grid.Shape[2]);
        Frame(gaussian, channels, height, width);
        Launch.Run(gpu, $"point_encoding_fwd_{grid.DType.Name()}_grid", new LaunchGrid(grid.Shape.Rows), Threads,
            gaussian, grid, (int)height, (int)width, (int)channels);
    }

    static void Frame(in Tensor gaussian, long channels, long height, long width)
    {
        Expect.Multiple("PointEncoding", "C", channels, 2);
        Expect.Shape("PointEncoding", "gaussian", gaussian, DType.F32, 2, channels / 2);
        if (height < 1 || width < 1 || height * width > int.MaxValue)
            throw new ArgumentException($"PointEncoding: a frame of {height} x {width} is impossible");
    }
}
