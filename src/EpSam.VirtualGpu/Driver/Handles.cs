// Handles of contexts, modules, functions, streams, events and cuBLAS. A handle is a number that looks like a pointer,
// is never used twice and means nothing as an address, so that a stale or wrong one is an error instead of a crash.
using System.Collections.Concurrent;
using EpSam.Cuda;

namespace EpSam.VirtualGpu.Driver;

internal static class Handles
{
    const long Step = 64;
    static readonly ConcurrentDictionary<nint, object> Objects = new();
    static long s_last = 0x5500_0000_0000;

    public static nint Add(object value)
    {
        nint handle = (nint)Interlocked.Add(ref s_last, Step);
        Objects[handle] = value;
        return handle;
    }

    /// <summary>The object of a handle; throws the given code when it has none, or one of another kind.</summary>
    public static T Get<T>(nint handle, CUresult code = CUresult.CUDA_ERROR_INVALID_HANDLE) where T : class =>
        Objects.TryGetValue(handle, out object? value) && value is T typed
            ? typed
            : throw Wrong<T>(handle, value, code);

    public static void Remove(nint handle) => Objects.TryRemove(handle, out _);

    static DriverError Wrong<T>(nint handle, object? value, CUresult code)
    {
        string what = typeof(T).Name.ToLowerInvariant();
        string why = value is not null ? $"it is a {value.GetType().Name.ToLowerInvariant()}"
            : handle == 0 ? "it is null"
            : handle > 0x5500_0000_0000 && handle <= s_last && handle % Step == 0 ? "it has been destroyed"
            : "it was never made";
        return new DriverError(code, $"0x{handle:x} is not the handle of a {what}: {why}");
    }
}
