using EpSam.Imaging;
using EpSam.Imaging.Annotations;

namespace EpSam.Slides;

/// <summary>
/// A slide, or what belongs to it, cannot be worked on for a reason that its user can mend; the message names the file
/// and says how. Of several slides the others go on.
/// </summary>
public sealed class SlideException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Whether an error is one slide's, damaged, gone or too large as it may be: others go on after it.
    /// </summary>
    internal static bool IsOfTheSlide(Exception e) => e is SlideException or AnnotationException or IOException
        or UnauthorizedAccessException or OutOfMemoryException or OverflowException or InvalidDataException
        or ImagingException { Kind: not ImagingError.LibraryMissing };
}
