using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Matrix products by our own kernels: kernels/gemm.cu. M, N, K are rows, columns and depth here.</summary>
public static class Gemm
{
    const int Tile = 128;

    /// <summary>
    /// c (M, N) = a (M, K) · bᵀ + bias with b (N, K), as a linear layer has its weight; or a · b with b (K, N) when
    /// <paramref name="transposed"/> is false. All f32 or all bf16, bias (N) f32 or null. bf16: N and K multiples of 8;
    /// f32: K a multiple of 4, and N too without transposition. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor a, Tensor b, bool transposed, Tensor? bias, Tensor c)
    {
        Expect.Type("Gemm", "a", a, DType.F32, DType.BF16);
        Expect.Rank("Gemm", "a", a, "M, K");
        Expect.Rank("Gemm", "c", c, "M, N");
        int m = Expect.Int("Gemm", "M", a.Shape[0]), k = Expect.Int("Gemm", "K", a.Shape[1]);
        int n = Expect.Int("Gemm", "N", c.Shape[1]);
        Expect.Shape("Gemm", "b", b, a.DType, transposed ? n : k, transposed ? k : n);
        Expect.Shape("Gemm", "c", c, a.DType, m, n);
        int wide = 16 / a.DType.Size();
        Expect.Multiple("Gemm", "K", k, wide);
        if (!transposed || a.DType == DType.BF16) Expect.Multiple("Gemm", "N", n, wide);
        Expect.Aligned("Gemm", "a", a, 16);
        Expect.Aligned("Gemm", "b", b, 16);
        Expect.Aligned("Gemm", "c", c, 4);
        if (bias is Tensor given)
        {
            Expect.Shape("Gemm", "bias", given, DType.F32, n);
            Expect.Aligned("Gemm", "bias", given, 8);
        }
        LaunchGrid grid = new((n + Tile - 1L) / Tile, (m + Tile - 1L) / Tile);
        string kernel = $"gemm_fwd_{a.DType.Name()}_{(transposed ? "nt" : "nn")}";
        Launch.Run(gpu, kernel, grid, a.DType == DType.BF16 ? 128 : 256, a, b, bias, c, m, n, k);
    }

    /// <summary>Multiplications and additions.</summary>
    public static long Flops(Tensor a, Tensor c) => 2 * a.Shape[0] * a.Shape[1] * c.Shape[1];

    /// <summary>Every matrix once.</summary>
    public static long Bytes(Tensor a, Tensor b, Tensor c) => a.Bytes + b.Bytes + c.Bytes;
}
