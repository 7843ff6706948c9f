// Renders a slide into a pyramid, block by block on all cores. Blocks go in Z-order, so that the coarser levels' tiles
// are complete soon after they are begun: memory depends on the cores and not on the slide.
using System.Buffers;
using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.ExceptionServices;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;

namespace EpSam.Slides.Synth;

/// <summary>Writes synthetic slides.</summary>
public static class SynthWriter
{
    const int Block = 512, Quality = 88; // a whole number of tiles
    const string Group = "Tumor"; // as CAMELYON's files call it

    /// <summary>Writes a pyramidal TIFF with JPEG tiles; it appears when it is complete.</summary>
    /// <param name="slide">What is rendered.</param>
    /// <param name="path">The file.</param>
    /// <param name="progress">Told the share of blocks that are rendered, by one thread at a time.</param>
    /// <param name="cancel">Looked at between blocks.</param>
    public static void WriteSlide(SynthSlide slide, string path, IProgress<double>? progress = null,
        CancellationToken cancel = default)
    {
        (int width, int height) = (slide.Options.Width, slide.Options.Height);
        PyramidOptions options = new()
        {
            Compression = PyramidCompression.Jpeg, Quality = Quality, Mpp = slide.Options.Mpp,
        };
        using PyramidWriter writer = new(path, width, height, channels: 3, options);
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel,
        };
        (int columns, int rows) = ((width + Block - 1) / Block, (height + Block - 1) / Block);
        Lock reporting = new();
        long done = 0;
        var blocks = Partitioner.Create(ZOrder(columns, rows), EnumerablePartitionerOptions.NoBuffering);
        try
        {
            Parallel.ForEach(blocks, parallel, block =>
            {
                WriteBlock(slide, writer, block.Column, block.Row, options.Tile);
                lock (reporting) progress?.Report((double)++done / ((long)columns * rows));
            });
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
        writer.Complete();
    }

    static void WriteBlock(SynthSlide slide, PyramidWriter writer, int column, int row, int tile)
    {
        (int x, int y) = (column * Block, row * Block);
        (int width, int height) = (Math.Min(Block, slide.Options.Width - x), Math.Min(Block, slide.Options.Height - y));
        byte[] block = ArrayPool<byte>.Shared.Rent(3 * Block * Block);
        byte[] pixels = ArrayPool<byte>.Shared.Rent(3 * tile * tile);
        slide.Render(x, y, width, height, block, 3 * Block);
        for (int top = 0; top < height; top += tile)
            for (int left = 0; left < width; left += tile)
            {
                for (int i = 0; i < Math.Min(tile, height - top); i++)
                    block.AsSpan(3 * ((top + i) * Block + left), 3 * tile).CopyTo(pixels.AsSpan(3 * i * tile));
                writer.WriteTile((x + left) / tile, (y + top) / tile, pixels.AsSpan(0, 3 * tile * tile));
            }
        ArrayPool<byte>.Shared.Return(pixels);
        ArrayPool<byte>.Shared.Return(block);
    }

    // Squares of 2 x 2, 4 x 4, … blocks one after the other: even bits of the number are the column, odd ones the row.
    static IEnumerable<(int Column, int Row)> ZOrder(int columns, int rows)
    {
        long side = BitOperations.RoundUpToPowerOf2((uint)Math.Max(columns, rows));
        for (long number = 0; number < side * side; number++)
        {
            (int column, int row) = (0, 0);
            for (int bit = 0; number >> (2 * bit) != 0; bit++)
            {
                column |= (int)(number >> (2 * bit) & 1) << bit;
                row |= (int)(number >> (2 * bit + 1) & 1) << bit;
            }
            if (column < columns && row < rows) yield return (column, row);
        }
    }

    /// <summary>The tumour nests as annotations: what was rendered as tumour, to the pixel.</summary>
    public static IReadOnlyList<Annotation> Annotations(SynthSlide slide) =>
    [
        .. slide.Tumour.Select((polygon, i) =>
            new Annotation($"Nest {i + 1}", AnnotationKind.Polygon, Group, [polygon], [])),
    ];
}
