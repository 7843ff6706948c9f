namespace EpSam.Imaging;

/// <summary>What went wrong with an image.</summary>
public enum ImagingError
{
    /// <summary>libvips is not installed, or too old. The message names the package.</summary>
    LibraryMissing,

    /// <summary>Nothing in the first bytes looks like an image; an empty file too.</summary>
    NotAnImage,

    /// <summary>An image, but of a format or a kind of samples that is not read.</summary>
    Unsupported,

    /// <summary>Larger than the limits. Decided from the header, before pixels are decoded.</summary>
    TooLarge,

    /// <summary>Truncated, or its data contradict its header.</summary>
    Damaged,

    /// <summary>The encoder refused.</summary>
    CannotEncode,
}

/// <summary>An image could not be read or written. The message begins with the image's name.</summary>
public sealed class ImagingException(ImagingError kind, string message, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>What went wrong.</summary>
    public ImagingError Kind { get; } = kind;
}
