namespace EpSam.Slides;

/// <summary>
/// A slide, or what belongs to it, cannot be worked on for a reason that its user can mend; the message names the file
/// and says how. Of several slides the others go on.
/// </summary>
public sealed class SlideException(string message, Exception? inner = null) : Exception(message, inner);
