using System.Globalization;
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Native.Tests.Slides;

/// <summary>
/// A slide whose level 0 is a function of position and channel; coarser levels have the value at their pixels' upper
/// left corners.
/// </summary>
internal sealed class MemorySlide(int width, int height, Func<long, long, int, byte> value,
    (int Width, int Height, double Downsample)[]? coarser = null, double? mpp = null,
    (int X, int Y, int Width, int Height)? scanned = null) : Slide("memory.svs")
{
    long _largest;

    public long LargestRead => _largest;

    public override string Vendor => "memory";

    public override IReadOnlyList<SlideLevel> Levels { get; } =
    [
        new(width, height, 1), .. (coarser ?? []).Select(l => new SlideLevel(l.Width, l.Height, l.Downsample)),
    ];

    public override IReadOnlyDictionary<string, string> Properties { get; } =
        new (string Name, double? Value)[]
        {
            ("mpp-x", mpp), ("mpp-y", mpp), ("bounds-x", scanned?.X), ("bounds-y", scanned?.Y),
            ("bounds-width", scanned?.Width), ("bounds-height", scanned?.Height),
        }
        .Where(p => p.Value is not null)
        .ToDictionary(p => "openslide." + p.Name, p => p.Value!.Value.ToString(CultureInfo.InvariantCulture));

    public override IReadOnlyList<string> AssociatedImages => [];

    public override Raster ReadAssociated(string name) => throw new NotSupportedException();

    public override void Dispose()
    {
    }

    internal override void ReadRgba(int level, long x, long y, int columns, int rows, Span<byte> rgba)
    {
        _largest = Math.Max(_largest, (long)columns * rows);
        SlideLevel size = Levels[level];
        for (int row = 0; row < rows; row++)
        {
            long v = (long)Math.Floor(y / size.Downsample) + row;
            for (int column = 0; column < columns; column++)
            {
                long u = (long)Math.Floor(x / size.Downsample) + column;
                if (u < 0 || v < 0 || u >= size.Width || v >= size.Height) continue;
                Span<byte> pixel = rgba.Slice(4 * (row * columns + column), 4);
                for (int c = 0; c < 3; c++)
                    pixel[c] = value((long)(u * size.Downsample), (long)(v * size.Downsample), c);
                pixel[3] = 255;
            }
        }
    }
}
