// The native provider: libcuda and libcublas of this machine, bound at run time, so that the same program starts where
// there is neither. Every symbol of a table is resolved at once: a library that lacks one is refused by name here and
// not in the middle of a training run. Libraries are never unloaded, as the driver does not survive it.
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EpSam.Cuda;

/// <summary>Loads the real driver and the real cuBLAS.</summary>
public static unsafe class CuNative
{
    /// <summary>The oldest CUDA version a driver must support: PTX 7.4, and the entries of the tables.</summary>
    public const int RequiredDriverVersion = 11040;

    const string DriverAdvice =
        "Install the NVIDIA driver (Debian, Ubuntu: apt install nvidia-driver; Windows: nvidia.com/drivers), "
        + "or use the virtual GPU, which needs none.";
    const string BlasAdvice =
        "Install cuBLAS 11.4.2, 12 or 13 (NVIDIA's apt repository: apt install libcublas-12-8; "
        + "Debian non-free: apt install libcublas11; Windows: the CUDA toolkit) and see that the loader finds it.";

    /// <summary>The file names under which the driver is looked for, in order.</summary>
    public static IReadOnlyList<string> DriverNames { get; } = OperatingSystem.IsWindows()
        ? ["nvcuda.dll"]
        : ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "libcuda.so"];

    /// <summary>The file names under which cuBLAS is looked for, newest first.</summary>
    public static IReadOnlyList<string> BlasNames { get; } = OperatingSystem.IsWindows()
        ? ["cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"]
        : ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11"];

    /// <summary>
    /// Loads the driver, checks its version, initialises it and sees that there is a device. Throws one of the
    /// <see cref="CuUnavailableException"/>s, or <see cref="CuException"/> when cuInit fails in another way.
    /// </summary>
    /// <param name="path">A file to load instead of the usual names.</param>
    public static CuDriver OpenDriver(string? path = null) => Start(LoadDriver(path));

    /// <summary>Version, cuInit and device count of a resolved table.</summary>
    internal static CuDriver Start(CuDriver driver)
    {
        int version = 0, count = 0;
        driver.Check(driver.cuDriverGetVersion(&version));
        if (version < RequiredDriverVersion)
        {
            throw new CuDriverTooOldException(version, RequiredDriverVersion,
                "Update the NVIDIA driver to version 470 or later, or use the virtual GPU.");
        }
        CUresult result = driver.cuInit(0);
        if (result == CUresult.CUDA_ERROR_NO_DEVICE) throw NoDevice(result);
        driver.Check(result, "cuInit(0)");
        driver.Check(driver.cuDeviceGetCount(&count));
        return count > 0 ? driver : throw NoDevice(result);
    }

    /// <summary>Loads the driver and resolves the table; calls nothing in it.</summary>
    /// <param name="path">A file to load instead of the usual names.</param>
    public static CuDriver LoadDriver(string? path = null) =>
        Load<CuDriver>("The NVIDIA driver", path is null ? DriverNames : [path], DriverAdvice);

    /// <summary>Loads cuBLAS and resolves the table; calls nothing in it.</summary>
    /// <param name="path">A file to load instead of the usual names.</param>
    public static CuBlas LoadBlas(string? path = null) =>
        Load<CuBlas>("cuBLAS", path is null ? BlasNames : [path], BlasAdvice);

    static CuNoDeviceException NoDevice(CUresult result) => new(result,
        "Look at nvidia-smi and CUDA_VISIBLE_DEVICES; in a container pass the GPU through (--gpus all); "
        + "or use the virtual GPU.");

    static T Load<T>(string library, IReadOnlyList<string> names, string advice) where T : unmanaged
    {
        string reason = "";
        foreach (string name in names)
        {
            try
            {
                nint handle = NativeLibrary.Load(name);
                return Fill<T>(symbol => NativeLibrary.TryGetExport(handle, symbol, out nint address)
                    ? address
                    : throw new CuSymbolMissingException(name, symbol, $"It is too old, or another library. {advice}"));
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                // The loader's own words: "no such file", or which library that one needs is missing.
                if (reason.Length == 0) reason = e.Message.ReplaceLineEndings(" ").Trim();
            }
        }
        throw new CuLibraryMissingException(library, names, reason, advice);
    }

    /// <summary>Sets every field of a table from its name: the tables hold nothing but pointers, in order.</summary>
    internal static T Fill<T>(Func<string, nint> resolve) where T : unmanaged
    {
        T table = default;
        Span<nint> slots = new(&table, sizeof(T) / sizeof(nint));
        string[] names = Names<T>();
        if (names.Length != slots.Length)
            throw new InvalidOperationException($"{typeof(T)} is not a table of pointers");
        for (int i = 0; i < slots.Length; i++) slots[i] = resolve(names[i]);
        return table;
    }

    /// <summary>The entries of a table, in order.</summary>
    internal static string[] Names<T>() where T : unmanaged
    {
        FieldInfo[] fields = typeof(T).GetFields(BindingFlags.Instance | BindingFlags.Public);
        Array.Sort(fields, (a, b) => a.MetadataToken.CompareTo(b.MetadataToken));
        return Array.ConvertAll(fields, f => f.Name);
    }
}
