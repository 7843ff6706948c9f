// Attention without a token-by-token matrix: kernels/attention.cu. The variant is chosen by type, head size and the
// grid's width, which decides how a tile of keys is cut out of the grid.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>softmax(scale · q·kᵀ + relative position) · v, head by head.</summary>
public static class Attention
{
    const int Threads = 128, QueriesPerBlock = 64;

    /// <summary>
    /// With decomposed relative position, over a grid of tokens: qkv (B, H, W, 3, N, K), relH (B, N, H·W, H) and relW
    /// (B, N, H·W, W) as RelPos makes them; output (B, H, W, N, K) of the same type, f32 or bf16, logSumExp (B, N, H·W)
    /// f32, natural. K is 16, 32, 64 or 80. Does not synchronise.
    /// </summary>
    public static void Forward(
        Gpu gpu, Tensor qkv, Tensor relH, Tensor relW, float scale, Tensor output, Tensor logSumExp)
    {
        Expect.Type("Attention", "qkv", qkv, DType.F32, DType.BF16);
        Expect.Rank("Attention", "qkv", qkv, "B, H, W, 3, N, K");
        (long batch, long height, long width) = (qkv.Shape[0], qkv.Shape[1], qkv.Shape[2]);
        (long heads, long size) = (qkv.Shape[4], qkv.Shape[5]);
        long tokens = checked(height * width);
        Expect.Shape("Attention", "qkv", qkv, qkv.DType, batch, height, width, 3, heads, size);
        CheckSizes("Attention", tokens, heads, size);
        Expect.Shape("Attention", "relH", relH, qkv.DType, batch, heads, tokens, height);
        Expect.Shape("Attention", "relW", relW, qkv.DType, batch, heads, tokens, width);
        Expect.Shape("Attention", "output", output, qkv.DType, batch, height, width, heads, size);
        Expect.Shape("Attention", "logSumExp", logSumExp, DType.F32, batch, heads, tokens);
        Expect.Aligned("Attention", "qkv", qkv, 16);
        Expect.Aligned("Attention", "output", output, 16);
        Launch.Run(gpu, KernelName(qkv.DType, size, width), Grid(tokens, heads, batch), Threads,
            qkv, relH, relW, output, logSumExp, (int)height, (int)width, (int)heads, scale);
    }

    /// <summary>
    /// Without relative position: qkv (B, T, 3, N, K), output (B, T, N, K) of the same type, logSumExp (B, N, T) f32.
    /// K is 16, 32, 64 or 80. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor qkv, float scale, Tensor output, Tensor logSumExp)
    {
        Expect.Type("Attention", "qkv", qkv, DType.F32, DType.BF16);
        Expect.Rank("Attention", "qkv", qkv, "B, T, 3, N, K");
        (long batch, long tokens, long heads, long size) = (qkv.Shape[0], qkv.Shape[1], qkv.Shape[3], qkv.Shape[4]);
        Expect.Shape("Attention", "qkv", qkv, qkv.DType, batch, tokens, 3, heads, size);
        CheckSizes("Attention", tokens, heads, size);
        Expect.Shape("Attention", "output", output, qkv.DType, batch, tokens, heads, size);
        Expect.Shape("Attention", "logSumExp", logSumExp, DType.F32, batch, heads, tokens);
        Expect.Aligned("Attention", "qkv", qkv, 16);
        Expect.Aligned("Attention", "output", output, 16);
        Launch.Run(gpu, $"attention_fwd_{qkv.DType.Name()}_k{size}_no_bias", Grid(tokens, heads, batch), Threads,
            qkv, output, logSumExp, (int)tokens, (int)heads, scale);
    }

    internal static string KernelName(DType type, long size, long width)
    {
        int columns = width <= 16 ? 16 : width <= 32 || type == DType.F32 ? 32 : 64;
        return $"attention_fwd_{type.Name()}_k{size}_w{columns}";
    }

    internal static void CheckSizes(string op, long tokens, long heads, long size)
    {
        if (size is not (16 or 32 or 64 or 80))
            throw new ArgumentException($"{op}: head size must be 16, 32, 64 or 80, got {size}");
        if (tokens < 1 || heads < 1)
            throw new ArgumentException($"{op}: needs a token and a head, got {tokens} and {heads}");
        Expect.Int(op, "3·T·N·K, the elements of one image's qkv,", checked(3 * tokens * heads * size));
    }

    static LaunchGrid Grid(long tokens, long heads, long batch) =>
        new((tokens + QueriesPerBlock - 1) / QueriesPerBlock, heads, batch);

    /// <summary>The two products, of all queries with all keys.</summary>
    public static long Flops(Tensor logSumExp, long size) => 4 * logSumExp.Shape.Count * logSumExp.Shape[^1] * size;

    /// <summary>Every tensor once.</summary>
    public static long Bytes(params ReadOnlySpan<Tensor> tensors) => Elementwise.Bytes(tensors);
}
