// Errors of the boundary. A failed call is a CuException with all that helps to find the cause. A provider that cannot
// be used at all is one of four CuUnavailableExceptions, so that a caller can fall back to the virtual GPU and say why.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EpSam.Cuda;

/// <summary>A driver or cuBLAS call that failed.</summary>
public sealed class CuException(string call, string arguments, int code, string codeName, string text, string advice)
    : Exception(Compose(call, arguments, code, codeName, text, advice))
{
    /// <summary>The entry that failed, "cuMemAlloc_v2".</summary>
    public string Call { get; } = call;
    /// <summary>The arguments as the caller described them, or empty.</summary>
    public string Arguments { get; } = arguments;
    /// <summary>The number it returned: a <see cref="CUresult"/> or a <see cref="cublasStatus_t"/>.</summary>
    public int Code { get; } = code;
    /// <summary>The code's name, "CUDA_ERROR_OUT_OF_MEMORY".</summary>
    public string CodeName { get; } = codeName;
    /// <summary>The provider's text; on the virtual GPU the whole report.</summary>
    public string Text { get; } = text;
    /// <summary>What can be done about it, or empty.</summary>
    public string Advice { get; } = advice;
    /// <summary><see cref="Code"/> of a driver call.</summary>
    public CUresult Result => (CUresult)Code;

    static string Compose(string call, string arguments, int code, string codeName, string text, string advice) =>
        $"{call}({arguments}): {codeName} ({code}): {text}" + (advice.Length == 0 ? "" : $"\n{advice}");

    /// <summary>"cuMemFree_v2" out of "gpu.Driver.cuMemFree_v2(p)".</summary>
    internal static string NameOfCall(string expression)
    {
        int end = expression.IndexOf('(');
        string head = (end < 0 ? expression : expression[..end]).Trim();
        return head[(head.LastIndexOf('.') + 1)..];
    }
}

/// <summary>A provider that cannot be used on this machine: what is missing, and what to install.</summary>
public abstract class CuUnavailableException(string message, string advice) : Exception($"{message}\n{advice}")
{
    /// <summary>The command or package that helps.</summary>
    public string Advice { get; } = advice;
}

/// <summary>A library is not there, or cannot be loaded.</summary>
public sealed class CuLibraryMissingException(string library, IReadOnlyList<string> tried, string reason, string advice)
    : CuUnavailableException($"{library} cannot be loaded: tried {string.Join(", ", tried)}. {reason}", advice)
{
    /// <summary>"NVIDIA driver (libcuda)", for instance.</summary>
    public string Library { get; } = library;
    /// <summary>The file names that were tried, in order.</summary>
    public IReadOnlyList<string> Tried { get; } = tried;
}

/// <summary>A library is there but lacks an entry: it is too old, or no such library at all.</summary>
public sealed class CuSymbolMissingException(string library, string symbol, string advice)
    : CuUnavailableException($"{library} has no symbol {symbol}.", advice)
{
    /// <summary>The file that was loaded.</summary>
    public string Library { get; } = library;
    /// <summary>The entry it lacks.</summary>
    public string Symbol { get; } = symbol;
}

/// <summary>The driver is older than the kernels need.</summary>
public sealed class CuDriverTooOldException(int found, int required, string advice)
    : CuUnavailableException(
        $"The NVIDIA driver supports CUDA {Dotted(found)}; CUDA {Dotted(required)} or later is needed.", advice)
{
    /// <summary>What cuDriverGetVersion said: 11040 = 11.4.</summary>
    public int Found { get; } = found;
    /// <summary>What is needed, in the same form.</summary>
    public int Required { get; } = required;

    static string Dotted(int version) => $"{version / 1000}.{version % 1000 / 10}";
}

/// <summary>The driver is there, and finds no GPU.</summary>
public sealed class CuNoDeviceException(CUresult result, string advice)
    : CuUnavailableException($"The NVIDIA driver finds no GPU ({result}: {CuErrors.Text(result) ?? "no text"}).",
        advice)
{
    /// <summary>What cuInit answered; CUDA_SUCCESS when it worked but the device count is zero.</summary>
    public CUresult Result { get; } = result;
}

/// <summary>The interpolated string behind Check's arguments: does no work when the call succeeded.</summary>
[InterpolatedStringHandler]
public ref struct CuArguments
{
    DefaultInterpolatedStringHandler _text;

    /// <summary>Called by the compiler.</summary>
    public CuArguments(int literalLength, int formattedCount, CUresult result, out bool failed)
    {
        failed = result != CUresult.CUDA_SUCCESS;
        if (failed) _text = new(literalLength, formattedCount);
    }

    /// <summary>Called by the compiler.</summary>
    public CuArguments(int literalLength, int formattedCount, cublasStatus_t status, out bool failed)
    {
        failed = status != cublasStatus_t.CUBLAS_STATUS_SUCCESS;
        if (failed) _text = new(literalLength, formattedCount);
    }

    /// <summary>Called by the compiler.</summary>
    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    /// <summary>Called by the compiler.</summary>
    public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);

    /// <summary>The text; only on failure.</summary>
    public override string ToString() => _text.ToStringAndClear();
}

/// <summary>Zero-terminated UTF-8 texts that providers hand out and never take back.</summary>
internal static unsafe class CuText
{
    static readonly System.Collections.Concurrent.ConcurrentDictionary<string, nint> Pointers = new();

    /// <summary>The text at a pointer, null for a null pointer.</summary>
    public static string? Read(byte* text) => Marshal.PtrToStringUTF8((nint)text);

    /// <summary>
    /// A pointer to the text that stays valid until the process ends: cuGetErrorString's contract has no way to free
    /// it. The same text gives the same pointer.
    /// </summary>
    public static byte* Pointer(string text) => (byte*)Pointers.GetOrAdd(text, Marshal.StringToCoTaskMemUTF8);
}
