// Masks of one image's size from low-resolution logits, a band of rows at a time, so that an image of any size takes
// the same device memory. A mask can be copied, only counted, or be had as logits.
using System.Runtime.InteropServices;
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

internal sealed class SamMasks(Arena arena, SamConfig config)
{
    /// <summary>The most rows and columns together that an image can have; the table has an entry for each.</summary>
    public const int MostSides = 1 << 17;

    const int BandBytes = 4 << 20;

    /// <summary>What lies on the device while masks are made; the same for any image.</summary>
    readonly record struct Work(Tensor Table, Tensor Band, Tensor Parts, Tensor Counts);

    MaskSizes _sizes; // of _table
    byte[] _table = [];

    /// <summary>Takes what any mask takes: for planning.</summary>
    public void Rehearse()
    {
        Tensor logits = new(default, DType.F32, new Shape(1, 4 * config.GridSize, 4 * config.GridSize));
        Threshold(logits, config.ImageSize, config.ImageSize, 0, 0, []);
    }

    /// <summary>
    /// logits (1, 4H, 4W) to the mask of an image of height x width: 1 where a logit is above the threshold, or with an
    /// empty span nothing; and how many logits are above threshold + offset and above threshold - offset.
    /// </summary>
    public (int Inner, int Outer) Threshold(
        Tensor logits, int height, int width, double threshold, double offset, Span<byte> mask)
    {
        // torch compares a float tensor with the number rounded to float
        (float at, float high, float low) =
            ((float)threshold, (float)(threshold + offset), (float)(threshold - offset));
        using ArenaScope scope = arena.Scope("masks");
        Work work = Begin(height, width);
        Span<int> counts = stackalloc int[2];
        (int inner, int outer) = (0, 0);
        for (int first = 0, rows = RowsOf(width, 1); first < height; first += rows)
        {
            rows = Math.Min(rows, height - first);
            Tensor band = work.Band with { Shape = new Shape(1, rows, width) };
            Tensor parts = work.Parts with { Shape = MaskResize.PartsShape(1, rows, width) };
            MaskResize.Threshold(arena.Gpu, logits, work.Table, _sizes, first, at, high, low, parts, band, work.Counts);
            arena.Gpu.Download(work.Counts, MemoryMarshal.AsBytes(counts));
            (inner, outer) = (inner + counts[0], outer + counts[1]);
            if (!mask.IsEmpty) arena.Gpu.Download(band, mask.Slice(first * width, rows * width));
        }
        return (inner, outer);
    }

    /// <summary>logits (1, 4H, 4W) to those of an image of height x width.</summary>
    public void Logits(Tensor logits, int height, int width, Span<float> output)
    {
        using ArenaScope scope = arena.Scope("masks");
        Work work = Begin(height, width);
        for (int first = 0, rows = RowsOf(width, sizeof(float)); first < height; first += rows)
        {
            rows = Math.Min(rows, height - first);
            Tensor band = new(work.Band.Address, DType.F32, new Shape(1, rows, width));
            MaskResize.Logits(arena.Gpu, logits, work.Table, _sizes, first, band);
            arena.Gpu.Download(band, MemoryMarshal.AsBytes(output.Slice(first * width, rows * width)));
        }
    }

    Work Begin(int height, int width)
    {
        Tensor table = arena.Take("table", DType.I32, MaskResize.TableShape(new MaskSizes { Height = MostSides }));
        Tensor band = arena.Take("band", DType.U8, new Shape(BandBytes));
        Tensor parts = arena.Take("parts", DType.I32, new Shape(MostParts));
        Tensor counts = arena.Take("counts", DType.I32, new Shape(1, 2));
        (int rows, int columns) = new ResizeLongestSide(config.ImageSize).Size(height, width);
        MaskSizes sizes = new(4 * config.GridSize, 4 * config.GridSize, config.ImageSize, rows, columns, height, width);
        if (sizes != _sizes) (_sizes, _table) = (sizes, MaskResize.Table(sizes));
        table = table with { Shape = MaskResize.TableShape(sizes) };
        arena.Gpu.Upload(_table, table);
        return new Work(table, band, parts, counts);
    }

    static int RowsOf(int width, int bytes) => Math.Max(1, BandBytes / bytes / width);

    // At least the counts of a band of any shape: those of its whole tiles, of a column of tiles cut off and of a row.
    static long MostParts => MaskResize.PartsShape(1, BandBytes / 128, 128).Count
        + MaskResize.PartsShape(1, MostSides, 1).Count + MaskResize.PartsShape(1, 1, MostSides).Count;
}
