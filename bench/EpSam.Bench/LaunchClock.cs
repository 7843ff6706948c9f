// Puts a clock between the library and a provider: tables whose launches and matrix products are timed one by one, by
// kernel and by kind of product. Times are of the calls, so the provider must be done when a call returns, as the
// virtual GPU is. CPU time is of the whole process: on a shared machine it tells more than the clock on the wall.
using System.Diagnostics;
using System.Runtime.InteropServices;
using EpSam.Cuda;

namespace EpSam.Bench;

/// <summary>All launches of one kernel, or products of one shape.</summary>
internal sealed class LaunchTotal
{
    public int Count { get; set; }
    public double Seconds { get; set; }
    public double CpuSeconds { get; set; }
    public double Flops { get; set; }
}

internal static unsafe class LaunchClock
{
    static readonly Dictionary<CUfunction, string> names = [];
    static CuDriver driver;
    static CuBlas blas;

    /// <summary>Since the last Clear.</summary>
    public static Dictionary<string, LaunchTotal> Totals { get; } = [];

    /// <summary>
    /// What a launch is called in the table and its operations, from (kernel, grid y, grid z, parameters); null takes
    /// the kernel's name and counts none.
    /// </summary>
    public static Func<string, uint, uint, nint, (string Name, double Flops)>? Describe { get; set; }

    /// <summary>The provider's tables with the clock in them. One pair at a time.</summary>
    public static (CuDriver Driver, CuBlas Blas) Wrap(CuDriver theirs, CuBlas products)
    {
        (driver, blas) = (theirs, products);
        theirs.cuModuleGetFunction = &GetFunction;
        theirs.cuLaunchKernel = &LaunchKernel;
        products.cublasGemmEx = &Gemm;
        return (theirs, products);
    }

    /// <summary>Seconds that all threads of this process have run.</summary>
    public static double CpuSeconds()
    {
        Environment.ProcessCpuUsage usage = Environment.CpuUsage;
        return usage.TotalTime.TotalSeconds;
    }

    [UnmanagedCallersOnly]
    static CUresult GetFunction(CUfunction* function, CUmodule module, byte* name)
    {
        CUresult result = driver.cuModuleGetFunction(function, module, name);
        if (result == CUresult.CUDA_SUCCESS) names[*function] = Marshal.PtrToStringUTF8((nint)name)!;
        return result;
    }

    [UnmanagedCallersOnly]
    static CUresult LaunchKernel(
        CUfunction function, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream,
        void** parameters, void** extra)
    {
        string name = names[function];
        (double cpu, long start) = (CpuSeconds(), Stopwatch.GetTimestamp());
        CUresult result = driver.cuLaunchKernel(function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra);
        (double end, long stop) = (CpuSeconds(), Stopwatch.GetTimestamp());
        (string label, double flops) = Describe?.Invoke(name, gy, gz, (nint)parameters) ?? (name, 0);
        Add(label, Stopwatch.GetElapsedTime(start, stop).TotalSeconds, end - cpu, flops);
        return result;
    }

    [UnmanagedCallersOnly]
    static cublasStatus_t Gemm(
        cublasHandle_t handle, cublasOperation_t transA, cublasOperation_t transB, int m, int n, int k,
        void* alpha, void* a, cudaDataType_t aType, int lda, void* b, cudaDataType_t bType, int ldb,
        void* beta, void* c, cudaDataType_t cType, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
    {
        (double cpu, long start) = (CpuSeconds(), Stopwatch.GetTimestamp());
        cublasStatus_t status = blas.cublasGemmEx(handle, transA, transB, m, n, k,
            alpha, a, aType, lda, b, bType, ldb, beta, c, cType, ldc, compute, algorithm);
        Add($"gemm {n} x {k} x {m}", Stopwatch.GetElapsedTime(start).TotalSeconds, CpuSeconds() - cpu,
            2.0 * m * n * k); // rows x depth x columns, row-major
        return status;
    }

    static void Add(string name, double seconds, double cpu, double flops)
    {
        if (!Totals.TryGetValue(name, out LaunchTotal? total)) Totals[name] = total = new LaunchTotal();
        total.Seconds += seconds;
        total.CpuSeconds += cpu;
        total.Count++;
        total.Flops += flops;
    }
}
