// OpenSlide's entries (3.4 and 4.x have them alike). Loaded at the first call; a missing library is one clear error.
using System.Runtime.InteropServices;

namespace EpSam.Imaging.Slides;

internal static unsafe class OpenSlideLibrary
{
    public const string Advice = "Install OpenSlide 3.4 or later (Debian, Ubuntu: apt-get install -y libopenslide0; "
        + "macOS: brew install openslide; Windows: the OpenSlide DLLs on the PATH).";

    static readonly string[] Files = ["libopenslide.so.1", "libopenslide.so.0", "libopenslide.1.dylib",
        "libopenslide.0.dylib", "libopenslide-1.dll", "libopenslide-0.dll"];

    static readonly Lazy<(Entries? Entries, string? Failure)> Loaded = new(Load);

    /// <summary>The library is there.</summary>
    public static bool IsThere => Loaded.Value.Entries is not null;

    /// <summary>The entries; throws <see cref="ImagingException"/> (LibraryMissing) when they are not there.</summary>
    public static Entries Require() => Loaded.Value.Entries
        ?? throw new ImagingException(ImagingError.LibraryMissing, $"{Loaded.Value.Failure}. {Advice}");

    static (Entries?, string?) Load()
    {
        try
        {
            return (new Entries(Vips.Load("libopenslide", Files)), null);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            return (null, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>A text of the library, which stays its own.</summary>
    public static string? Text(byte* text) => Marshal.PtrToStringUTF8((nint)text);

    /// <summary>A list that ends with a null pointer.</summary>
    public static List<string> Texts(byte** list)
    {
        List<string> texts = [];
        for (; list != null && *list != null; list++) texts.Add(Text(*list)!);
        return texts;
    }

    /// <summary>The entries that are used. The first argument is an openslide_t*.</summary>
    public sealed class Entries(nint library)
    {
        public readonly delegate* unmanaged<byte*> GetVersion =
            (delegate* unmanaged<byte*>)Find(library, "openslide_get_version");
        public readonly delegate* unmanaged<byte*, byte*> DetectVendor =
            (delegate* unmanaged<byte*, byte*>)Find(library, "openslide_detect_vendor");
        public readonly delegate* unmanaged<byte*, nint> Open =
            (delegate* unmanaged<byte*, nint>)Find(library, "openslide_open");
        public readonly delegate* unmanaged<nint, void> Close =
            (delegate* unmanaged<nint, void>)Find(library, "openslide_close");
        public readonly delegate* unmanaged<nint, byte*> GetError =
            (delegate* unmanaged<nint, byte*>)Find(library, "openslide_get_error");
        public readonly delegate* unmanaged<nint, int> GetLevelCount =
            (delegate* unmanaged<nint, int>)Find(library, "openslide_get_level_count");
        public readonly delegate* unmanaged<nint, int, long*, long*, void> GetLevelDimensions =
            (delegate* unmanaged<nint, int, long*, long*, void>)Find(library, "openslide_get_level_dimensions");
        public readonly delegate* unmanaged<nint, int, double> GetLevelDownsample =
            (delegate* unmanaged<nint, int, double>)Find(library, "openslide_get_level_downsample");
        public readonly delegate* unmanaged<nint, uint*, long, long, int, long, long, void> ReadRegion =
            (delegate* unmanaged<nint, uint*, long, long, int, long, long, void>)Find(library, "openslide_read_region");
        public readonly delegate* unmanaged<nint, byte**> GetPropertyNames =
            (delegate* unmanaged<nint, byte**>)Find(library, "openslide_get_property_names");
        public readonly delegate* unmanaged<nint, byte*, byte*> GetPropertyValue =
            (delegate* unmanaged<nint, byte*, byte*>)Find(library, "openslide_get_property_value");
        public readonly delegate* unmanaged<nint, byte**> GetAssociatedNames =
            (delegate* unmanaged<nint, byte**>)Find(library, "openslide_get_associated_image_names");
        public readonly delegate* unmanaged<nint, byte*, long*, long*, void> GetAssociatedDimensions =
            (delegate* unmanaged<nint, byte*, long*, long*, void>)
            Find(library, "openslide_get_associated_image_dimensions");
        public readonly delegate* unmanaged<nint, byte*, uint*, void> ReadAssociated =
            (delegate* unmanaged<nint, byte*, uint*, void>)Find(library, "openslide_read_associated_image");

        static nint Find(nint library, string name) => NativeLibrary.GetExport(library, name);
    }
}
