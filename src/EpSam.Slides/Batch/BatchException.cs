namespace EpSam.Slides.Batch;

/// <summary>
/// Slides cannot be worked on together, for a reason that the user can mend: the message says how. What was finished
/// before stays.
/// </summary>
public sealed class BatchException(string message, Exception? inner = null) : Exception(message, inner)
{
    const int NoSpace = 28, QuotaOfLinux = 122, QuotaOfOthers = 69; // errno, which .NET hands on as it is
    const int WindowsDiskFull = unchecked((int)0x80070070), WindowsHandleDiskFull = unchecked((int)0x80070027);

    /// <summary>Whether a disk is full: then all slides would fail, not this one.</summary>
    internal static bool IsDiskFull(Exception? e) => e switch
    {
        null => false,
        AggregateException many => many.InnerExceptions.Any(IsDiskFull),
        IOException io when IsNoSpace(io.HResult) => true,
        // libvips has no more than the text
        Imaging.ImagingException i when i.Message.Contains("No space left on device", StringComparison.Ordinal) => true,
        _ => IsDiskFull(e.InnerException),
    };

    static bool IsNoSpace(int code) => OperatingSystem.IsWindows()
        ? code is WindowsDiskFull or WindowsHandleDiskFull
        : code == NoSpace || code == (OperatingSystem.IsLinux() ? QuotaOfLinux : QuotaOfOthers);
}
