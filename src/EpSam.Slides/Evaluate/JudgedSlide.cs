// A slide's mask beside the truth, in tiles of the mask's pixels: a pixel of the truth is tumour when its middle lies
// in an area of tumour and in none that is excluded. Memory is that of a tile, used again for the next, and of the
// tissue mask where the slide is at hand.
using System.Buffers;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Slides.Batch;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Evaluate;

/// <summary>A tile, in pixels of the mask.</summary>
internal readonly record struct JudgedTile(int X, int Y, int Width, int Height);

/// <summary>An open slide that is judged.</summary>
internal sealed class JudgedSlide : IDisposable
{
    const int Side = 1024;
    const byte Half = 128; // of the mask's 0 and 255

    readonly Slide _mask;
    readonly Slide? _slide;
    readonly SlideView? _view;
    readonly TumourAreas _truth;
    byte[] _maskRgb = [], _predicted = [], _true = [], _within = [], _rgb = [];

    sealed record Head(SlideSummary Summary); // of slide.json

    /// <summary>Opens the mask, and the slide when its path is given; no annotation means no tumour.</summary>
    /// <exception cref="SlideException">The results are damaged, or of another slide.</exception>
    public JudgedSlide(SlideFolder results, string? slide, string? annotation, IReadOnlyCollection<string>? groups,
        CancellationToken cancel)
    {
        Summary = SummaryOf(results) ?? throw new SlideException(
            $"{results.Summary} is missing or damaged: that folder is no result of epsam slide; delete it, and segment "
            + "the slide again");
        _truth = annotation is null ? new TumourAreas([], [])
            : TumourAreas.Read(annotation, groups, Summary.QuPathOrigin);
        _mask = Slide.Open(results.Mask);
        try
        {
            (Width, Height) = ((int)_mask.Levels[0].Width, (int)_mask.Levels[0].Height);
            if (slide is null) return;
            _slide = Slide.Open(slide);
            SlideLevel whole = _slide.Levels[0];
            _view = new SlideView(_slide, Summary.Downsample);
            if ((whole.Width, whole.Height) != (Summary.Width, Summary.Height)
                || (_view.Width, _view.Height) != (Width, Height))
            {
                throw new SlideException(FormattableString.Invariant($"{slide} has {whole.Width} x {whole.Height} ")
                    + FormattableString.Invariant($"pixels, {results.Root} is of a slide of {Summary.Width} x ")
                    + FormattableString.Invariant($"{Summary.Height}: give the slide that was segmented"));
            }
            Tissue = Tissue.Of(_slide, cancel: cancel);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What slide.json says; null: it is missing or damaged.</summary>
    public static SlideSummary? SummaryOf(SlideFolder results) => ResultJson.Read<Head>(results.Summary)?.Summary;

    /// <summary>Its figures as it was segmented.</summary>
    public SlideSummary Summary { get; }
    /// <summary>Of the slide, where that is given.</summary>
    public Tissue? Tissue { get; }
    /// <summary>Of the mask.</summary>
    public int Width { get; }
    /// <summary>Of the mask.</summary>
    public int Height { get; }
    /// <summary>Square millimetres of a pixel of the mask.</summary>
    public double PixelMm2 => Math.Pow(Summary.Mpp * Summary.Downsample / 1000, 2);

    /// <summary>What of the annotation is not judged; null: all of it lies in the slide.</summary>
    public string? Clipped()
    {
        (int beyond, int outside) = _truth.Outside(Summary.Width, Summary.Height);
        string name = $"{Summary.Name}: {outside} of {_truth.Tumour.Count} areas of tumour";
        return outside > 0 ? $"{name} lie outside of the slide: is the annotation another slide's?"
            : beyond > 0 ? $"{Summary.Name}: {beyond} of {_truth.Tumour.Count} areas of tumour reach beyond the slide; "
                + "what lies outside is not counted"
            : null;
    }

    public IEnumerable<JudgedTile> Tiles()
    {
        for (int y = 0; y < Height; y += Side)
            for (int x = 0; x < Width; x += Side)
                yield return new JudgedTile(x, y, Math.Min(Side, Width - x), Math.Min(Side, Height - y));
    }

    /// <summary>The tile and as much around it as the slide has, up to a margin.</summary>
    public JudgedTile Around(JudgedTile tile, int margin)
    {
        (int x, int y) = (Math.Max(0, tile.X - margin), Math.Max(0, tile.Y - margin));
        return new JudgedTile(x, y, Math.Min(Width, tile.X + tile.Width + margin) - x,
            Math.Min(Height, tile.Y + tile.Height + margin) - y);
    }

    /// <summary>1 where the mask has tumour. What this and the next three give is good until their next call.</summary>
    public Span<byte> Predicted(JudgedTile tile)
    {
        Span<byte> rgb = Room(ref _maskRgb, 3 * tile.Width * tile.Height);
        _mask.ReadRegion(0, tile.X, tile.Y, tile.Width, tile.Height, rgb);
        Span<byte> mask = Room(ref _predicted, tile.Width * tile.Height);
        for (int i = 0; i < mask.Length; i++) mask[i] = rgb[3 * i] >= Half ? (byte)1 : (byte)0;
        return mask;
    }

    /// <summary>1 where there is tumour.</summary>
    public Span<byte> Truth(JudgedTile tile)
    {
        double downsample = _view?.Downsample ?? Summary.Downsample;
        Span<byte> mask = Room(ref _true, tile.Width * tile.Height);
        _truth.Mask(tile.X * downsample, tile.Y * downsample, downsample, tile.Height, tile.Width, mask);
        return mask;
    }

    /// <summary>1 where there is tissue; needs the slide.</summary>
    public Span<byte> TissueOf(JudgedTile tile)
    {
        Tissue tissue = Tissue!;
        double ratio = _view!.Downsample / tissue.Downsample;
        Span<byte> mask = Room(ref _within, tile.Width * tile.Height);
        for (int y = 0; y < tile.Height; y++)
        {
            int row = Math.Min((int)((tile.Y + y + 0.5) * ratio), tissue.Height - 1);
            for (int x = 0; x < tile.Width; x++)
            {
                int column = Math.Min((int)((tile.X + x + 0.5) * ratio), tissue.Width - 1);
                mask[y * tile.Width + x] = tissue.Mask[row * tissue.Width + column] != 0 ? (byte)1 : (byte)0;
            }
        }
        return mask;
    }

    /// <summary>The slide's pixels; needs the slide.</summary>
    public Memory<byte> Rgb(JudgedTile tile)
    {
        int size = 3 * tile.Width * tile.Height;
        _view!.Read(tile.X, tile.Y, tile.Width, tile.Height, Room(ref _rgb, size));
        return _rgb.AsMemory(0, size);
    }

    static Span<byte> Room(ref byte[] room, int size)
    {
        if (room.Length >= size) return room.AsSpan(0, size);
        if (room.Length > 0) ArrayPool<byte>.Shared.Return(room);
        room = ArrayPool<byte>.Shared.Rent(size);
        return room.AsSpan(0, size);
    }

    public void Dispose()
    {
        _mask.Dispose();
        _slide?.Dispose();
        foreach (byte[] room in new[] { _maskRgb, _predicted, _true, _within, _rgb })
            if (room.Length > 0) ArrayPool<byte>.Shared.Return(room); // the next slide's
        (_maskRgb, _predicted, _true, _within, _rgb) = ([], [], [], [], []);
    }
}
