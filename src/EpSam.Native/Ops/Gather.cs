using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Tensors by index with something added: kernels/gather.cu.</summary>
public static class Gather
{
    const int Threads = 256, MaxBlocks = 1024;

    /// <summary>
    /// y (P, …, C)[p] = x (B, …, C)[of[p]] + row (C) + add (P, …, C)[p], f32 or bf16, of (P) i32 with values below B,
    /// row f32, row and add optional. C is a multiple of 4. y may be add. Does not synchronise. Image embeddings of
    /// prompts: row is the embedding of "no mask", add that of masks. Where a layer's input is the same for all
    /// prompts of an image (no masks given), its projections need be made only once an image: see CrossAttention's qOf
    /// and kvOf.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor x, Tensor of, Tensor? row, Tensor? add, Tensor y)
    {
        Expect.Type("Gather", "x", x, DType.F32, DType.BF16);
        long prompts = y.Shape[0], columns = x.Shape[^1], each = x.Shape.Count / Math.Max(1, x.Shape[0]);
        long quads = each / 4;
        if (y.DType != x.DType || y.Shape.Rank != x.Shape.Rank || y.Shape[^1] != columns
            || y.Shape.Count != prompts * each)
            throw new ArgumentException($"Gather: y must be like x {x} but for its first axis, got {y}");
        Expect.Shape("Gather", "of", of, DType.I32, prompts);
        Expect.Multiple("Gather", "the last axis of x", columns, 4);
        Expect.Int("Gather", "elements of x[0]", each);
        if (row is Tensor vector)
        {
            Expect.Shape("Gather", "row", vector, DType.F32, columns);
            Expect.Aligned("Gather", "row", vector, 16);
        }
        if (add is Tensor given)
        {
            Expect.Same("Gather", "add", given, y);
            Expect.Aligned("Gather", "add", given, 4 * x.DType.Size());
        }
        Expect.Aligned("Gather", "x", x, 4 * x.DType.Size());
        Expect.Aligned("Gather", "y", y, 4 * x.DType.Size());
        long blocks = Math.Min((quads + Threads - 1) / Threads, MaxBlocks);
        Launch.Run(gpu, $"gather_fwd_{x.DType.Name()}", new LaunchGrid(blocks, prompts), Threads,
            x, of, row, add, y, (int)quads, (int)columns);
    }

    /// <summary>
    /// dx (B, …, C)[b] = sum of dy (P, …, C)[p] over all p with of[p] = b, in their order, f32 or bf16. Does not
    /// synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor dy, Tensor of, Tensor dx)
    {
        Expect.Type("Gather", "dy", dy, DType.F32, DType.BF16);
        long prompts = dy.Shape[0], each = dx.Shape.Count / Math.Max(1, dx.Shape[0]), quads = each / 4;
        if (dx.DType != dy.DType || dy.Shape.Count != prompts * each)
            throw new ArgumentException($"Gather: dx must be like dy {dy} but for its first axis, got {dx}");
        Expect.Shape("Gather", "of", of, DType.I32, prompts);
        Expect.Multiple("Gather", "elements of dx[0]", each, 4);
        Expect.Int("Gather", "elements of dx[0]", each);
        Expect.Aligned("Gather", "dy", dy, 4 * dy.DType.Size());
        Expect.Aligned("Gather", "dx", dx, 4 * dy.DType.Size());
        long blocks = Math.Min((quads + Threads - 1) / Threads, MaxBlocks);
        Launch.Run(gpu, $"gather_bwd_{dy.DType.Name()}", new LaunchGrid(blocks, dx.Shape[0]), Threads,
            dy, of, dx, (int)prompts, (int)quads);
    }
}
