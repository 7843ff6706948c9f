// Writes a slide as other programs open it (QuPath, ASAP, OpenSlide, libvips): a tiled BigTIFF with levels halved down
// to one tile. Rows are handed in from the top and go to a raw file beside the target, from which libvips makes the
// levels strip by strip: memory does not grow with the slide, disk space for the raw pixels is needed meanwhile.
using System.Globalization;
using static EpSam.Imaging.Vips;

namespace EpSam.Imaging.Slides;

/// <summary>How the tiles are compressed.</summary>
public enum PyramidCompression
{
    /// <summary>Without loss: masks, probabilities.</summary>
    Deflate,
    /// <summary>For pictures.</summary>
    Jpeg,
}

/// <summary>How a pyramid is written.</summary>
public sealed record PyramidOptions
{
    /// <summary>Of the tiles.</summary>
    public PyramidCompression Compression { get; init; } = PyramidCompression.Deflate;
    /// <summary>JPEG's quality, 1 to 100.</summary>
    public int Quality { get; init; } = 85;
    /// <summary>Sides of the tiles, a multiple of 16.</summary>
    public int Tile { get; init; } = 256;
    /// <summary>Micrometres a pixel; null: not told.</summary>
    public double? Mpp { get; init; }
    /// <summary>Coarser levels take the middle of four pixels' values in order (classes), not their mean.</summary>
    public bool IsClasses { get; init; }
}

/// <summary>A pyramid that is being written. Without <see cref="Complete"/> no file appears. Not thread-safe.</summary>
public sealed class PyramidWriter : IDisposable
{
    readonly string _path, _raw;
    readonly long _width, _height;
    readonly int _channels;
    readonly PyramidOptions _options;
    FileStream? _rows;

    /// <summary>Begins a file of (height, width, channels), channels 1 or 3.</summary>
    /// <exception cref="ImagingException">libvips is missing.</exception>
    public PyramidWriter(string path, long width, long height, int channels, PyramidOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        if (channels is not (1 or 3))
            throw new ArgumentException($"channels must be 1 or 3, got {channels}", nameof(channels));
        Require();
        (_width, _height, _channels, _options) = (width, height, channels, options ?? new());
        _path = Path.GetFullPath(path);
        string beside = Path.Combine(Path.GetDirectoryName(_path)!, $".{Path.GetFileName(_path)}.{Guid.NewGuid():N}");
        _raw = beside + ".raw.tmp";
        _rows = new FileStream(_raw, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 1 << 16);
    }

    /// <summary>The next rows: a whole number of them.</summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Write(ReadOnlySpan<byte> rows)
    {
        FileStream file = _rows ?? throw new InvalidOperationException("the pyramid is complete");
        if (rows.Length % (_width * _channels) != 0)
            throw new ArgumentException($"{rows.Length} bytes are no whole rows of {_width} x {_channels}");
        if (file.Position + rows.Length > _width * _height * _channels)
            throw new ArgumentException($"more than {_height} rows");
        file.Write(rows);
    }

    /// <summary>Makes the levels; the file appears when all of it is on the disk.</summary>
    /// <exception cref="InvalidOperationException">Rows are missing.</exception>
    /// <exception cref="ImagingException">libvips refuses: the disk is full.</exception>
    public void Complete()
    {
        FileStream file = _rows ?? throw new InvalidOperationException("the pyramid is complete");
        long written = file.Position / (_width * _channels);
        if (written != _height) throw new InvalidOperationException($"{written} of {_height} rows were written");
        file.Dispose();
        _rows = null;
        string beside = _raw[..^".raw.tmp".Length] + ".tmp";
        try
        {
            using (VipsScope scope = new(_path)) scope.Save("tiffsave", Image(scope), Arguments(beside));
            using (FileStream made = new(beside, FileMode.Open, FileAccess.ReadWrite)) made.Flush(flushToDisk: true);
            File.Move(beside, _path, overwrite: true);
        }
        catch
        {
            File.Delete(beside);
            throw;
        }
        finally
        {
            File.Delete(_raw);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_rows is null) return;
        _rows.Dispose();
        _rows = null;
        File.Delete(_raw);
    }

    nint Image(VipsScope scope)
    {
        nint raw = scope.Load("rawload", [("filename", _raw), ("width", Text(_width)), ("height", Text(_height)),
            ("bands", Text(_channels)), ("access", "sequential")]);
        return scope.Run(ImagingError.CannotEncode, "copy", raw,
            ("interpretation", _channels == 3 ? "srgb" : "b-w"));
    }

    (string, string)[] Arguments(string target)
    {
        List<(string, string)> arguments =
        [
            ("filename", target), ("tile", "true"), ("tile-width", Text(_options.Tile)),
            ("tile-height", Text(_options.Tile)), ("pyramid", "true"), ("depth", "onetile"), ("bigtiff", "true"),
            ("region-shrink", _options.IsClasses ? "median" : "mean"), ("resunit", "cm"),
        ];
        if (_options.Compression == PyramidCompression.Jpeg)
            arguments.AddRange([("compression", "jpeg"), ("Q", Text(_options.Quality))]);
        else arguments.Add(("compression", "deflate"));
        const double MicrometresAMillimetre = 1000;
        if (_options.Mpp is double mpp)
        {
            string perMillimetre = (MicrometresAMillimetre / mpp).ToString("R", CultureInfo.InvariantCulture);
            arguments.AddRange([("xres", perMillimetre), ("yres", perMillimetre)]);
        }
        return [.. arguments];
    }

    static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
