// The few entries of libvips, GObject and GLib that are used, none of them with variable arguments (a managed caller
// cannot make such calls portably). Operations are made by name, given their arguments as properties, and built.
// Libraries are looked for under the names of each system at the first call; what is missing is said by name.
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EpSam.Imaging;

/// <summary>Native entries. Pointers are nint: VipsImage*, VipsOperation*, VipsBlob*.</summary>
internal static unsafe partial class Vips
{
    const string V = "vips", O = "gobject", G = "glib";

    // Since 8.13 PNG is read by libspng, and errors in data are told apart from warnings by fail_on.
    const int MinimumMajor = 8, MinimumMinor = 13;

    public const string Advice =
        "Install libvips 8.13 or later (Debian, Ubuntu: apt-get install -y libvips42; macOS: brew install vips; "
        + "Windows: the libvips-42 DLLs on the PATH). Raw RGB pixels can be used without it.";

    static readonly Lazy<ImagingException?> Failure = new(Start);

    /// <summary>GValue: a type and two words. Zeroed is its empty state.</summary>
    public struct Value
    {
        public nuint Type;
        public ulong Data0, Data1;
    }

    /// <summary>
    /// Loads the libraries once; throws <see cref="ImagingException"/> (LibraryMissing) when they are not there.
    /// </summary>
    public static void Require()
    {
        if (Failure.Value is { } failure) throw new ImagingException(failure.Kind, failure.Message, failure);
    }

    /// <summary>Takes the error text that libvips has gathered. The buffer is one for all threads.</summary>
    public static string TakeError()
    {
        byte* text = vips_error_buffer_copy();
        string message = Marshal.PtrToStringUTF8((nint)text) ?? "";
        g_free(text);
        string[] lines = message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return lines.Length == 0 ? "no reason given" : string.Join("; ", lines.Distinct());
    }

    static ImagingException? Start()
    {
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Vips).Assembly, Resolve);
            int major = vips_version(0), minor = vips_version(1);
            if (major != MinimumMajor || minor < MinimumMinor)
                return new(ImagingError.LibraryMissing, $"libvips {major}.{minor} was found. {Advice}");
            if (vips_init("epsam") != 0)
                return new(ImagingError.LibraryMissing, $"libvips does not start: {TakeError()}. {Advice}");
            // Results are never asked for twice, and a cached one would outlive a change of its file.
            vips_cache_set_max(0);
            // Warnings (an odd tag, a missing profile) go nowhere: what matters comes back as an error.
            g_log_set_handler("VIPS", LogLevelWarning | LogLevelInfo, &Ignore, null);
            return null;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            return new(ImagingError.LibraryMissing, $"{e.Message.TrimEnd('.')}. {Advice}", e);
        }
    }

    static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name switch
    {
        V => Load("libvips", ["libvips.so.42", "libvips.42.dylib", "libvips-42.dll"]),
        O => Load("libgobject", ["libgobject-2.0.so.0", "libgobject-2.0.0.dylib", "libgobject-2.0-0.dll"]),
        G => Load("libglib", ["libglib-2.0.so.0", "libglib-2.0.0.dylib", "libglib-2.0-0.dll"]),
        _ => 0,
    };

    /// <summary>The first library of <paramref name="files"/> that loads.</summary>
    internal static nint Load(string name, string[] files)
    {
        foreach (string file in files)
            if (NativeLibrary.TryLoad(file, out nint handle)) return handle;
        throw new DllNotFoundException($"{name} was not found (looked for {string.Join(", ", files)})");
    }

    const int LogLevelWarning = 1 << 4, LogLevelInfo = 1 << 6;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void Ignore(byte* domain, int level, byte* message, void* data) { }

    [LibraryImport(V)] internal static partial int vips_version(int flag);
    [LibraryImport(V, StringMarshalling = StringMarshalling.Utf8)] internal static partial int vips_init(string argv0);
    [LibraryImport(V)] internal static partial void vips_cache_set_max(int max);
    [LibraryImport(V)] internal static partial byte* vips_error_buffer_copy();

    [LibraryImport(V, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint vips_operation_new(string name);
    [LibraryImport(V, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int vips_object_set_argument_from_string(nint operation, string name, string value);
    [LibraryImport(V)] public static partial nint vips_cache_operation_build(nint operation);
    [LibraryImport(V)] public static partial void vips_object_unref_outputs(nint operation);

    [LibraryImport(V)] public static partial nuint vips_image_get_type();
    [LibraryImport(V)] public static partial nuint vips_blob_get_type();
    [LibraryImport(V)] public static partial nint vips_blob_new(void* free, void* data, nuint length);
    [LibraryImport(V)] public static partial void* vips_blob_get(nint blob, nuint* length);
    [LibraryImport(V)] public static partial void vips_area_unref(nint area);

    [LibraryImport(V)]
    public static partial nint vips_image_new_from_memory(
        void* data, nuint size, int width, int height, int bands, int format);
    [LibraryImport(V)] internal static partial nint vips_region_new(nint image);
    [LibraryImport(V)] internal static partial byte* vips_region_fetch(
        nint region, int left, int top, int width, int height, nuint* length);
    [LibraryImport(V)] public static partial int vips_image_get_width(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_height(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_bands(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_format(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_coding(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_interpretation(nint image);
    [LibraryImport(V)] public static partial int vips_image_get_orientation(nint image);
    [LibraryImport(V)] public static partial double vips_image_get_xres(nint image); // pixels a millimetre
    [LibraryImport(V)] public static partial double vips_image_get_yres(nint image);

    [LibraryImport(O)] public static partial Value* g_value_init(Value* value, nuint type);
    [LibraryImport(O)] public static partial void g_value_unset(Value* value);
    [LibraryImport(O)] public static partial void g_value_set_object(Value* value, nint instance);
    [LibraryImport(O)] public static partial nint g_value_get_object(Value* value);
    [LibraryImport(O)] public static partial void g_value_set_boxed(Value* value, nint boxed);
    [LibraryImport(O)] public static partial nint g_value_get_boxed(Value* value);
    [LibraryImport(O)] public static partial nint g_object_ref(nint instance);
    [LibraryImport(O)] public static partial void g_object_unref(nint instance);
    [LibraryImport(O, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void g_object_set_property(nint instance, string name, Value* value);
    [LibraryImport(O, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void g_object_get_property(nint instance, string name, Value* value);

    [LibraryImport(G)] public static partial void g_free(void* memory);
    [LibraryImport(G, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial uint g_log_set_handler(
        string domain, int levels, delegate* unmanaged[Cdecl]<byte*, int, byte*, void*, void> handler, void* data);
}
