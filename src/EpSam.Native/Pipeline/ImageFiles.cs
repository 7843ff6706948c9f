namespace EpSam.Native.Pipeline;

/// <summary>8-bit pixels (Height, Width, Channels), 3 channels of colour (RGB) or 1 of grey.</summary>
public sealed record Picture(byte[] Pixels, int Height, int Width, int Channels);

/// <summary>
/// How a run reads and writes images. The library knows no file formats: the command-line tool hands in libvips, an
/// embedding program what it has. May be called by several threads.
/// </summary>
public interface IImageFiles
{
    /// <summary>Height and width, without decoding.</summary>
    /// <exception cref="ImageFileException">There is no such image, or it cannot be read.</exception>
    (int Height, int Width) ReadSize(string path);

    /// <summary>An image as RGB.</summary>
    /// <exception cref="ImageFileException">There is no such image, or it cannot be read.</exception>
    Picture ReadRgb(string path);

    /// <summary>An image as grey: a mask, an activation map.</summary>
    /// <exception cref="ImageFileException">There is no such image, or it cannot be read.</exception>
    Picture ReadGrey(string path);

    /// <summary>A PNG in memory, of 1 or 3 channels.</summary>
    byte[] EncodePng(Picture picture);

    /// <summary>A JPEG in memory, for looking at.</summary>
    byte[] EncodeJpeg(Picture picture, int quality);
}

/// <summary>An image cannot be read; the message names the file and says what is wrong.</summary>
public sealed class ImageFileException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A run cannot go on for a reason its user can mend; the message says how.</summary>
public sealed class RunException(string message, Exception? inner = null) : Exception(message, inner);
