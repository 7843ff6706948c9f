namespace EpSam.Imaging;

/// <summary>Decoded pixels: 8 bits a sample, rows from the top, channels last, no padding.</summary>
public sealed class Raster
{
    /// <summary>Wraps <paramref name="pixels"/>, which must hold exactly width x height x channels bytes.</summary>
    public Raster(int width, int height, int channels, byte[] pixels)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        if (channels is not (1 or 3))
            throw new ArgumentException($"Raster: channels must be 1 or 3, got {channels}", nameof(channels));
        if (pixels.LongLength != (long)width * height * channels)
        {
            throw new ArgumentException(
                $"Raster: {width} x {height} x {channels} needs {(long)width * height * channels} bytes, "
                + $"got {pixels.LongLength}", nameof(pixels));
        }
        (Width, Height, Channels, Pixels) = (width, height, channels, pixels);
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>3 (red, green, blue) or 1 (grey).</summary>
    public int Channels { get; }

    /// <summary>(Height, Width, Channels).</summary>
    public byte[] Pixels { get; }
}
