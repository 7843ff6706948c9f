// The peer of the virtual cuBLAS: Debian's OpenBLAS (apt-get install libopenblas0), loaded when it is there and never
// needed by the product.
using System.Runtime.InteropServices;

namespace EpSam.Bench;

internal sealed unsafe class OpenBlas
{
    const int RowMajor = 101, NoTranspose = 111, Transpose = 112;   // cblas.h
    readonly delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int,
        void> sgemm;

    public string Version { get; }

    OpenBlas(nint library, int threads)
    {
        sgemm = (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*,
            int, void>)
            NativeLibrary.GetExport(library, "cblas_sgemm");
        ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads"))(threads);
        byte* config = ((delegate* unmanaged<byte*>)NativeLibrary.GetExport(library, "openblas_get_config"))();
        Version = Marshal.PtrToStringUTF8((nint)config) ?? "";
    }

    /// <summary>Null where the library is not installed.</summary>
    public static OpenBlas? TryLoad(int threads)
    {
        foreach (string name in new[] { "libopenblas.so.0", "libopenblas.so", "libopenblas.dll" })
            if (NativeLibrary.TryLoad(name, out nint library)) return new OpenBlas(library, threads);
        return null;
    }

    /// <summary>y (M, N) = x (M, K) · wᵀ, w (N, K); row-major: a linear layer.</summary>
    public void Linear(int m, int n, int k, float* x, float* w, float* y) =>
        sgemm(RowMajor, NoTranspose, Transpose, m, n, k, 1, x, k, w, k, 0, y, n);
}
