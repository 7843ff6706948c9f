// The tables of SAM's decomposed relative position: kernels/rel_pos.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>rel_h[q, ky] = q · R_h[qy - ky + H - 1] and rel_w[q, kx] = q · R_w[qx - kx + W - 1], q unscaled.</summary>
public static class RelPos
{
    const int Threads = 128, KeysPerWarp = 32, QueriesPerBlock = 128;

    /// <summary>
    /// From qkv (B, H, W, 3, N, K) f32 or bf16 and tableH (2H-1, K), tableW (2W-1, K) f32: relH (B, N, H·W, H) and relW
    /// (B, N, H·W, W) of qkv's type. K is 16, 32, 64 or 80. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor qkv, Tensor tableH, Tensor tableW, Tensor relH, Tensor relW)
    {
        Expect.Type("RelPos", "qkv", qkv, DType.F32, DType.BF16);
        Expect.Rank("RelPos", "qkv", qkv, "B, H, W, 3, N, K");
        (long batch, long height, long width) = (qkv.Shape[0], qkv.Shape[1], qkv.Shape[2]);
        (long heads, long size) = (qkv.Shape[4], qkv.Shape[5]);
        long tokens = checked(height * width);
        Expect.Shape("RelPos", "qkv", qkv, qkv.DType, batch, height, width, 3, heads, size);
        Attention.CheckSizes("RelPos", tokens, heads, size);
        Expect.Shape("RelPos", "tableH", tableH, DType.F32, 2 * height - 1, size);
        Expect.Shape("RelPos", "tableW", tableW, DType.F32, 2 * width - 1, size);
        Expect.Shape("RelPos", "relH", relH, qkv.DType, batch, heads, tokens, height);
        Expect.Shape("RelPos", "relW", relW, qkv.DType, batch, heads, tokens, width);
        Expect.Aligned("RelPos", "qkv", qkv, 16);
        Expect.Aligned("RelPos", "tableH", tableH, 16);
        Expect.Aligned("RelPos", "tableW", tableW, 16);
        string kernel = $"rel_pos_fwd_{qkv.DType.Name()}_k{size}";
        int h = (int)height, w = (int)width, n = (int)heads;
        int sequences = Expect.Int("RelPos", "B·N", batch * heads);
        Expect.Int("RelPos", "B·N·max(H, W)", batch * heads * Math.Max(height, width));
        Launch.Run(gpu, kernel, Grid(h, w, sequences), Threads, qkv, tableH, relH, h, w, w, 1, n, sequences);
        Launch.Run(gpu, kernel, Grid(w, h, sequences), Threads, qkv, tableW, relW, w, h, 1, w, n, sequences);
    }

    static LaunchGrid Grid(long lines, long count, long sequences) =>
        new(lines * ((lines + KeysPerWarp - 1) / KeysPerWarp),
            (count * sequences + QueriesPerBlock - 1) / QueriesPerBlock);

    /// <summary>Multiplications and additions.</summary>
    public static long Flops(Tensor relH, Tensor relW, long size) => 2 * size * (relH.Shape.Count + relW.Shape.Count);

    /// <summary>The queries once for each table, the tables' rows written once.</summary>
    public static long Bytes(Tensor qkv, Tensor relH, Tensor relW) => 2 * qkv.Bytes / 3 + relH.Bytes + relW.Bytes;
}
