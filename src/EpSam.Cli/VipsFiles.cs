// Images for runs: files through EpSam.Imaging, as they are meant to be seen (EXIF orientation applied). What is wrong
// with a file is said with its name.
using EpSam.Imaging;
using EpSam.Native.Pipeline;

namespace EpSam.Cli;

internal sealed class VipsFiles : IImageFiles
{
    const int Upright = 4;   // above it pictures lie on their side

    public (int Height, int Width) ReadSize(string path) => Of(path, () =>
    {
        ImageInfo info = ImageReader.ReadInfo(path);
        ImageLimits limits = new();
        if ((long)info.Width * info.Height > limits.MaxPixels || Math.Max(info.Width, info.Height) > limits.MaxSide)
        {
            throw new ImageFileException($"{path}: {info.Width} x {info.Height} pixels; the limits are "
                + $"{limits.MaxPixels} pixels and {limits.MaxSide} a side");
        }
        return info.Orientation > Upright ? (info.Width, info.Height) : (info.Height, info.Width);
    });

    public Picture ReadRgb(string path) => Of(path, () => Picture(ImageReader.ReadRgb(path)));

    public Picture ReadGrey(string path) => Of(path, () => Picture(ImageReader.ReadGrey(path)));

    public byte[] EncodePng(Picture picture) =>
        ImageWriter.EncodePng(picture.Pixels, picture.Width, picture.Height, picture.Channels);

    public byte[] EncodeJpeg(Picture picture, int quality) =>
        ImageWriter.EncodeJpeg(picture.Pixels, picture.Width, picture.Height, picture.Channels, quality);

    static Picture Picture(Raster raster) => new(raster.Pixels, raster.Height, raster.Width, raster.Channels);

    static T Of<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ImageFileException($"{path} does not exist", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException
            or ImagingException { Kind: not ImagingError.LibraryMissing })
        {
            string message = e.Message.TrimEnd('.');
            throw new ImageFileException(message.Contains(path, StringComparison.Ordinal) ? message
                : $"{path}: {message}", e);
        }
    }
}
