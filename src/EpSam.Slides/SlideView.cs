// A slide at a resolution of one's own: rectangles of it, each pixel the mean of what it covers of the coarsest level
// that is fine enough. A pixel has the same value in whatever rectangle it is read, so that tiles fit together; large
// rectangles are read part by part, so that memory does not depend on how fine the levels are.
using System.Buffers;
using EpSam.Imaging;
using EpSam.Imaging.Slides;

namespace EpSam.Slides;

/// <summary>
/// An open slide, seen at one resolution. May be used by several threads, but not beside the slide's Dispose.
/// </summary>
public sealed class SlideView
{
    const double Near = 2e-3; // levels' sides are rounded: 2.0005 is meant to be 2
    const long MostPixels = 1 << 22; // of a level, read at once

    readonly int _level;
    readonly double _ratio; // pixels of the level to one of the view
    readonly SlideLevel _size;

    /// <summary>A view whose pixels are <paramref name="downsample"/> pixels of level 0 wide.</summary>
    /// <param name="slide">The slide, which stays its owner's.</param>
    /// <param name="downsample">Below 1 the finest level is enlarged. Where a level is as good as that coarse, it is
    /// taken as it is: <see cref="Downsample"/> has the true ratio.</param>
    public SlideView(Slide slide, double downsample)
    {
        if (!(downsample > 0 && double.IsFinite(downsample)))
            throw new ArgumentException($"downsample must be above 0, got {downsample}", nameof(downsample));
        Slide = slide;
        _level = slide.LevelFor(downsample);
        for (int i = 0; i < slide.Levels.Count; i++)
            if (Math.Abs(slide.Levels[i].Downsample / downsample - 1) < Near) _level = i;
        _size = slide.Levels[_level];
        bool isLevel = Math.Abs(_size.Downsample / downsample - 1) < Near;
        Downsample = isLevel ? _size.Downsample : downsample;
        _ratio = isLevel ? 1 : downsample / _size.Downsample;
        Width = isLevel ? _size.Width : Math.Max(1, (long)Math.Round(slide.Levels[0].Width / downsample));
        Height = isLevel ? _size.Height : Math.Max(1, (long)Math.Round(slide.Levels[0].Height / downsample));
    }

    /// <summary>A view of so many micrometres a pixel.</summary>
    /// <param name="slide">The slide.</param>
    /// <param name="mpp">Micrometres a pixel of the view.</param>
    /// <param name="slideMpp">The slide's own, instead of what it says.</param>
    /// <exception cref="SlideException">The slide does not tell its own, and none is given.</exception>
    public static SlideView AtMpp(Slide slide, double mpp, double? slideMpp = null)
    {
        if (!(mpp > 0 && double.IsFinite(mpp)))
            throw new ArgumentException($"micrometres a pixel must be above 0, got {mpp}", nameof(mpp));
        return new SlideView(slide, mpp / MppOf(slide, slideMpp));
    }

    /// <summary>Micrometres a pixel of level 0, the mean of both axes.</summary>
    /// <exception cref="SlideException">The slide does not tell, and none is given.</exception>
    public static double MppOf(Slide slide, double? given = null)
    {
        if (given is double mpp)
            return mpp > 0 ? mpp : throw new ArgumentException($"micrometres a pixel must be above 0, got {mpp}");
        if (slide.MppX is double x && slide.MppY is double y) return x == y ? x : (x + y) / 2;
        string power = slide.Objective is double objective
            ? FormattableString.Invariant($"; its objective is {objective}x, which often means {10 / objective:G3}")
            : "";
        throw new SlideException($"{slide.FilePath} does not tell how large its pixels are; give their micrometres "
            + $"with --slide-mpp{power}");
    }

    /// <summary>The slide.</summary>
    public Slide Slide { get; }

    /// <summary>Pixels of level 0 to one of the view, exactly.</summary>
    public double Downsample { get; }

    /// <summary>Pixels in a row.</summary>
    public long Width { get; }

    /// <summary>Rows.</summary>
    public long Height { get; }

    /// <summary>
    /// Reads (height, width, 3); x and y are in pixels of the view. Outside is the slide's background.
    /// </summary>
    /// <exception cref="ImagingException">It cannot be decoded, or the file is gone.</exception>
    public Raster Read(long x, long y, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        byte[] rgb = new byte[checked(3 * width * height)];
        Fill(x, y, width, height, rgb, 3 * width);
        return new Raster(width, height, 3, rgb);
    }

    /// <summary>The same into memory of the caller's, (height, width, 3).</summary>
    public void Read(long x, long y, int width, int height, Span<byte> rgb)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        if (rgb.Length != 3L * width * height)
            throw new ArgumentException($"{3L * width * height} bytes are needed for a region, got {rgb.Length}");
        Fill(x, y, width, height, rgb, 3 * width);
    }

    // Halved until what is read of the level is small.
    void Fill(long x, long y, int width, int height, Span<byte> rgb, int stride)
    {
        Window columns = new(x, width, _ratio, _size.Width), rows = new(y, height, _ratio, _size.Height);
        if ((width > 1 || height > 1) && (long)columns.Count * rows.Count > MostPixels)
        {
            bool isWide = columns.Count >= rows.Count && width > 1 || height == 1;
            (int w, int h) = isWide ? (width / 2, height) : (width, height / 2);
            Fill(x, y, w, h, rgb, stride);
            if (isWide) Fill(x + w, y, width - w, h, rgb[(3 * w)..], stride);
            else Fill(x, y + h, w, height - h, rgb[(h * stride)..], stride);
            return;
        }
        (long left, long top) = ((long)Math.Round(columns.First * _size.Downsample),
            (long)Math.Round(rows.First * _size.Downsample));
        if (_ratio == 1 && stride == 3 * width)
        {
            Slide.ReadRegion(_level, left, top, width, height, rgb[..(3 * width * height)]);
            return;
        }
        int size = 3 * columns.Count * rows.Count;
        byte[] rented = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            Span<byte> read = rented.AsSpan(0, size);
            Slide.ReadRegion(_level, left, top, columns.Count, rows.Count, read);
            if (_ratio != 1) Resample(read, columns, rows, width, height, rgb, stride);
            else for (int row = 0; row < height; row++)
                read.Slice(3 * row * width, 3 * width).CopyTo(rgb[(row * stride)..]);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    static void Resample(ReadOnlySpan<byte> read, in Window columns, in Window rows, int width, int height,
        Span<byte> rgb, int stride)
    {
        float[] rented = ArrayPool<float>.Shared.Rent(3 * width * rows.Count);
        Span<float> across = rented.AsSpan(0, 3 * width * rows.Count); // (rows of the level, width, 3)
        for (int row = 0; row < rows.Count; row++)
        {
            ReadOnlySpan<byte> from = read.Slice(3 * row * columns.Count, 3 * columns.Count);
            Span<float> to = across.Slice(3 * row * width, 3 * width);
            for (int i = 0; i < width; i++)
            {
                float r = 0, g = 0, b = 0;
                int at = 3 * columns.Start[i];
                foreach (float weight in columns.Weights[i])
                {
                    r += weight * from[at];
                    g += weight * from[at + 1];
                    b += weight * from[at + 2];
                    at += 3;
                }
                (to[3 * i], to[3 * i + 1], to[3 * i + 2]) = (r, g, b);
            }
        }
        Sum(across, rows, width, height, rgb, stride);
        ArrayPool<float>.Shared.Return(rented);
    }

    static void Sum(ReadOnlySpan<float> across, in Window rows, int width, int height, Span<byte> rgb, int stride)
    {
        float[] sum = new float[3 * width];
        for (int row = 0; row < height; row++)
        {
            Array.Clear(sum);
            int at = rows.Start[row];
            foreach (float weight in rows.Weights[row])
            {
                ReadOnlySpan<float> from = across.Slice(3 * width * at++, 3 * width);
                for (int i = 0; i < sum.Length; i++) sum[i] += weight * from[i];
            }
            Span<byte> to = rgb.Slice(row * stride, 3 * width);
            for (int i = 0; i < sum.Length; i++) to[i] = (byte)(sum[i] + 0.5f);
        }
    }

    // Which of the level's columns (or rows) the view's are made of. Their weights depend on the column alone.
    readonly struct Window
    {
        public readonly long First;
        public readonly int Count;
        public readonly int[] Start = [];
        public readonly float[][] Weights = [];

        public Window(long from, int count, double ratio, long size)
        {
            if (ratio == 1)
            {
                (First, Count) = (from, count);
                return;
            }
            (Start, Weights) = (new int[count], new float[count][]);
            long[] first = new long[count];
            long end = 0;
            First = long.MaxValue;
            for (int i = 0; i < count; i++)
            {
                (first[i], Weights[i]) = ratio > 1 ? Mean(from + i, ratio, size) : Between(from + i, ratio, size);
                First = Math.Min(First, first[i]);
                end = Math.Max(end, first[i] + Weights[i].Length);
            }
            Count = (int)(end - First);
            for (int i = 0; i < count; i++) Start[i] = (int)(first[i] - First);
        }

        // By the share that is covered, of what lies in the slide; outside of it as if it went on.
        static (long, float[]) Mean(long at, double ratio, long size)
        {
            double left = at * ratio, right = (at + 1) * ratio;
            if (left < size && right > 0) (left, right) = (Math.Max(0, left), Math.Min(size, right));
            long first = (long)Math.Floor(left), end = Math.Max(first + 1, (long)Math.Ceiling(right));
            float[] weights = new float[end - first];
            for (long i = first; i < end; i++)
                weights[i - first] = (float)((Math.Min(i + 1, right) - Math.Max(i, left)) / (right - left));
            return (first, weights);
        }

        // Enlarged: between the centres of two, at the edge the last one's.
        static (long, float[]) Between(long at, double ratio, long size)
        {
            double centre = (at + 0.5) * ratio - 0.5;
            bool isInside = (at + 0.5) * ratio is >= 0 && (at + 0.5) * ratio <= size;
            if (isInside) centre = Math.Clamp(centre, 0, size - 1);
            long first = (long)Math.Floor(centre);
            float share = (float)(centre - first);
            return share == 0 ? (first, [1]) : (first, [1 - share, share]);
        }
    }
}
