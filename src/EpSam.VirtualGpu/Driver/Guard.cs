// No exception crosses the boundary. Every entry runs its body in a Guard, which turns what is thrown into the code the
// hardware's driver would give and keeps the whole report on the calling thread, where cuGetErrorString(code) and
// cublasGetStatusString(status) find it until the next error with that code.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Driver;

/// <summary>A driver call that fails with a code; the message is the report.</summary>
internal sealed class DriverError(CUresult code, string message) : Exception(message)
{
    public CUresult Code { get; } = code;
}

/// <summary>A cuBLAS call that fails with a status.</summary>
internal sealed class BlasError(cublasStatus_t status, string message) : Exception(message)
{
    public cublasStatus_t Status { get; } = status;
}

internal static unsafe class Guard
{
    [ThreadStatic] static Dictionary<int, string>? t_reports;     // by CUresult
    [ThreadStatic] static Dictionary<int, string>? t_blasReports; // by cublasStatus_t

    /// <summary>Runs the body of a driver entry.</summary>
    public static CUresult Run(Action body)
    {
        try
        {
            body();
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e)
        {
            CUresult code = CodeOf(e);
            (t_reports ??= [])[(int)code] = ReportOf(e);
            return code;
        }
    }

    /// <summary>Runs the body of a cuBLAS entry.</summary>
    public static cublasStatus_t RunBlas(Action body)
    {
        try
        {
            body();
            return cublasStatus_t.CUBLAS_STATUS_SUCCESS;
        }
        catch (Exception e)
        {
            cublasStatus_t status = StatusOf(e);
            (t_blasReports ??= [])[(int)status] = ReportOf(e);
            return status;
        }
    }

    static CUresult CodeOf(Exception e) => e switch
    {
        DriverError d => d.Code,
        PtxException => CUresult.CUDA_ERROR_INVALID_PTX,
        OutOfDeviceMemory or OutOfMemoryException => CUresult.CUDA_ERROR_OUT_OF_MEMORY,
        NotSupportedException => CUresult.CUDA_ERROR_NOT_SUPPORTED,
        _ => CUresult.CUDA_ERROR_UNKNOWN,
    };

    static cublasStatus_t StatusOf(Exception e) => e switch
    {
        BlasError b => b.Status,
        DriverError { Code: CUresult.CUDA_ERROR_INVALID_CONTEXT or CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED } =>
            cublasStatus_t.CUBLAS_STATUS_NOT_INITIALIZED,
        DriverError { Code: CUresult.CUDA_ERROR_INVALID_HANDLE } => cublasStatus_t.CUBLAS_STATUS_INVALID_VALUE,
        DriverError => cublasStatus_t.CUBLAS_STATUS_EXECUTION_FAILED,
        OutOfDeviceMemory or OutOfMemoryException => cublasStatus_t.CUBLAS_STATUS_ALLOC_FAILED,
        NotSupportedException => cublasStatus_t.CUBLAS_STATUS_NOT_SUPPORTED,
        _ => cublasStatus_t.CUBLAS_STATUS_INTERNAL_ERROR,
    };

    // Our own errors explain themselves; of anything else, a bug of ours, the stack is worth more than the message.
    static string ReportOf(Exception e) => e switch
    {
        DriverError or BlasError or PtxException or OutOfDeviceMemory or NotSupportedException => e.Message,
        OutOfMemoryException => $"host memory is exhausted: {e.Message}",
        _ => $"internal error of the virtual GPU: {e}",
    };

    [UnmanagedCallersOnly]
    public static CUresult cuGetErrorString(CUresult code, byte** text)
    {
        if (text == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        string? words = CuErrors.Text(code);
        *text = null;
        if (words is null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        string? report = t_reports?.GetValueOrDefault((int)code);
        *text = CuText.Pointer(report is null ? words : $"{words}: {report}");
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    public static CUresult cuGetErrorName(CUresult code, byte** name)
    {
        if (name == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        bool known = CuErrors.Text(code) is not null;
        *name = known ? CuText.Pointer(code.ToString()) : null;
        return known ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    [UnmanagedCallersOnly]
    public static byte* cublasGetStatusString(cublasStatus_t status)
    {
        string? report = t_blasReports?.GetValueOrDefault((int)status);
        return CuText.Pointer(report is null ? status.ToString() : $"{status}: {report}");
    }

    /// <summary>Throws CUDA_ERROR_INVALID_VALUE when the place for a result is a null pointer.</summary>
    public static void NotNull(void* pointer, [CallerArgumentExpression(nameof(pointer))] string name = "")
    {
        if (pointer == null) throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE, $"{name} is a null pointer");
    }

    /// <summary>Throws CUDA_ERROR_INVALID_VALUE unless the condition holds.</summary>
    public static void Require(bool condition,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref Unless message)
    {
        if (!condition) throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE, message.ToString());
    }

    /// <summary>A message that is only put together when the condition before it is false.</summary>
    [InterpolatedStringHandler]
    public ref struct Unless
    {
        DefaultInterpolatedStringHandler _text;

        public Unless(int literalLength, int formattedCount, bool condition, out bool failed)
        {
            failed = !condition;
            if (failed) _text = new(literalLength, formattedCount);
        }

        public void AppendLiteral(string value) => _text.AppendLiteral(value);

        public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);

        public override string ToString() => _text.ToStringAndClear();
    }
}
