// Masks from the decoder's resolution to the image's, as SAM's postprocess_masks: kernels/mask_resize.cu.
using System.Runtime.InteropServices;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>The sizes that a mask goes through.</summary>
/// <param name="LowHeight">Rows of the logits.</param>
/// <param name="LowWidth">Columns of the logits.</param>
/// <param name="Frame">Side of the model's input, to which logits are resized.</param>
/// <param name="CropHeight">Rows of the frame that the image fills; the others are padding.</param>
/// <param name="CropWidth">Columns of the frame that the image fills.</param>
/// <param name="Height">Rows of the image, to which the crop is resized.</param>
/// <param name="Width">Columns of the image.</param>
public readonly record struct MaskSizes(
    int LowHeight, int LowWidth, int Frame, int CropHeight, int CropWidth, int Height, int Width);

/// <summary>
/// torch's two bilinear resizes with the crop between them, the same to the bit; nothing of the frame's size.
/// </summary>
public static class MaskResize
{
    const int Threads = 128, Band = 32, Words = 12; // of a table's entry

    /// <summary>The table that the kernels need, to be uploaded to an i32 tensor of <see cref="TableShape"/>.</summary>
    public static byte[] Table(MaskSizes sizes)
    {
        int least = Math.Min(Math.Min(sizes.CropHeight, sizes.CropWidth), Math.Min(sizes.LowHeight, sizes.LowWidth));
        if (least < 1 || sizes.Height < 1 || sizes.Width < 1
            || Math.Max(sizes.CropHeight, sizes.CropWidth) > sizes.Frame)
            throw new ArgumentException($"MaskResize: {sizes} are impossible");
        int[] table = new int[checked((sizes.Height + sizes.Width) * Words)];
        Axis(sizes.LowHeight, sizes.Frame, sizes.CropHeight, sizes.Height, table);
        Axis(sizes.LowWidth, sizes.Frame, sizes.CropWidth, sizes.Width, table.AsSpan(sizes.Height * Words));
        return MemoryMarshal.AsBytes<int>(table).ToArray();
    }

    /// <summary>(H + W, 12).</summary>
    public static Shape TableShape(MaskSizes sizes) => new((long)sizes.Height + sizes.Width, Words);

    /// <summary>
    /// y (n, rows, W) f32 = the rows from first on of masks x (n, h, w) f32 at the image's resolution. table as
    /// <see cref="Table"/> makes it of the same sizes. Does not synchronise.
    /// </summary>
    public static void Logits(Gpu gpu, Tensor x, Tensor table, MaskSizes sizes, int first, Tensor y)
    {
        int rows = Check(x, table, sizes, first, y, DType.F32);
        Launch.Run(gpu, "mask_resize_fwd_f32", Grid(sizes, rows, x.Shape[0]), Threads,
            x, table, y, sizes.LowHeight, sizes.LowWidth, sizes.Height, sizes.Width, first, rows);
    }

    /// <summary>
    /// As <see cref="Logits"/>, but y (n, rows, W) u8 is 1 where a logit is above the threshold and 0 elsewhere, and
    /// counts (n, 2) i32 has how many in these rows are above inner and above outer: with several calls for a mask,
    /// add them up. parts i32 of <see cref="PartsShape"/> is working space.
    /// </summary>
    public static void Threshold(Gpu gpu, Tensor x, Tensor table, MaskSizes sizes, int first, float threshold,
        float inner, float outer, Tensor parts, Tensor y, Tensor counts)
    {
        int rows = Check(x, table, sizes, first, y, DType.U8);
        Shape needed = PartsShape(x.Shape[0], rows, sizes.Width);
        Expect.Same("MaskResize", "parts", parts, parts with { DType = DType.I32, Shape = needed });
        Expect.Shape("MaskResize", "counts", counts, DType.I32, x.Shape[0], 2);
        Launch.Run(gpu, "mask_resize_fwd_u8", Grid(sizes, rows, x.Shape[0]), Threads, x, table, y, parts,
            sizes.LowHeight, sizes.LowWidth, sizes.Height, sizes.Width, first, rows, threshold, inner, outer);
        Launch.Run(gpu, "mask_resize_fwd_i32_counts", new LaunchGrid(x.Shape[0]), 32, parts, counts, (int)needed[1]);
    }

    /// <summary>
    /// The table of <see cref="Backward"/>, to be uploaded to an i32 tensor of <see cref="AdjointShape"/>: for each
    /// logit's row, then column, which pixels it is part of, and its shares in them.
    /// </summary>
    public static byte[] AdjointTable(MaskSizes sizes)
    {
        ReadOnlySpan<int> table = MemoryMarshal.Cast<byte, int>(Table(sizes));
        List<int> places = [], shares = [];
        int first = 3 * (sizes.LowHeight + sizes.LowWidth);
        Adjoint(table[..(sizes.Height * Words)], sizes.LowHeight, first, places, shares);
        Adjoint(table[(sizes.Height * Words)..], sizes.LowWidth, first, places, shares);
        return MemoryMarshal.AsBytes<int>([.. places, .. shares]).ToArray();
    }

    /// <summary>The shape of <see cref="AdjointTable"/>.</summary>
    public static Shape AdjointShape(MaskSizes sizes) => new(AdjointTable(sizes).Length / sizeof(int));

    /// <summary>
    /// dx (n, h, w) f32 from dy (n, H, W) f32, the gradient of all rows of <see cref="Logits"/>. Does not synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor dy, Tensor adjoint, MaskSizes sizes, Tensor dx)
    {
        const string Op = "MaskResize";
        Expect.Rank(Op, "dx", dx, "n, h, w");
        Expect.Shape(Op, "dx", dx, DType.F32, dx.Shape[0], sizes.LowHeight, sizes.LowWidth);
        Expect.Shape(Op, "dy", dy, DType.F32, dx.Shape[0], sizes.Height, sizes.Width);
        Expect.Type(Op, "adjoint", adjoint, DType.I32);
        LaunchGrid grid = new((sizes.LowWidth + Threads - 1) / Threads, sizes.LowHeight, dx.Shape[0]);
        Launch.Run(gpu, "mask_resize_bwd_f32", grid, Threads,
            dy, adjoint, dx, sizes.LowHeight, sizes.LowWidth, sizes.Height, sizes.Width);
    }

    // The pixels that a logit is part of are neighbours: what they lie between moves on with them.
    static void Adjoint(ReadOnlySpan<int> table, int low, int first, List<int> places, List<int> shares)
    {
        SortedDictionary<int, double>[] of = new SortedDictionary<int, double>[low];
        for (int i = 0; i < low; i++) of[i] = [];
        for (int pixel = 0; pixel < table.Length / Words; pixel++)
        {
            ReadOnlySpan<int> entry = table.Slice(pixel * Words, Words);
            ReadOnlySpan<float> weights = MemoryMarshal.Cast<int, float>(entry[4..]);
            for (int i = 0; i < 4; i++)
            {
                // entry: the first of both, the second of both; weights: both of one, both of the other, the last two
                SortedDictionary<int, double> logit = of[entry[i]];
                int one = i % 2, half = i / 2;
                double share = (double)weights[2 * one + half] * weights[4 + one];
                logit[pixel] = logit.GetValueOrDefault(pixel) + share;
            }
        }
        foreach (SortedDictionary<int, double> logit in of)
        {
            int from = logit.Keys.FirstOrDefault(), count = logit.Count == 0 ? 0 : logit.Keys.Last() - from + 1;
            places.AddRange([from, count, first + shares.Count]);
            for (int i = 0; i < count; i++)
                shares.Add(BitConverter.SingleToInt32Bits((float)logit.GetValueOrDefault(from + i)));
        }
    }

    /// <summary>Working space for counting in so many masks of so many rows: (n, warps, 2).</summary>
    public static Shape PartsShape(long masks, long rows, long width) =>
        new(masks, (width + Threads - 1) / Threads * ((rows + Band - 1) / Band) * (Threads / 32), 2);

    /// <summary>Logits once, masks once.</summary>
    public static long Bytes(Tensor x, Tensor y) => x.Bytes + y.Bytes;

    static LaunchGrid Grid(MaskSizes sizes, int rows, long masks) =>
        new((sizes.Width + Threads - 1) / Threads, (rows + Band - 1) / Band, masks);

    static int Check(in Tensor x, in Tensor table, MaskSizes sizes, int first, in Tensor y, DType type)
    {
        const string Op = "MaskResize";
        Expect.Shape(Op, "x", x, DType.F32, x.Shape[0], sizes.LowHeight, sizes.LowWidth);
        Expect.Int(Op, "h·w", (long)sizes.LowHeight * sizes.LowWidth);
        Expect.Same(Op, "table", table, table with { DType = DType.I32, Shape = TableShape(sizes) });
        Expect.Aligned(Op, "table", table, 16);
        Expect.Rank(Op, "y", y, "n, rows, W");
        Expect.Shape(Op, "y", y, type, x.Shape[0], y.Shape[1], sizes.Width);
        if (first < 0 || first + y.Shape[1] > sizes.Height)
            throw new ArgumentException(
                $"{Op}: rows {first} to {first + y.Shape[1] - 1} are not all among {sizes.Height}");
        return (int)y.Shape[1];
    }

    // An output lies between two coordinates of the frame, each of which lies between two logits.
    static void Axis(int low, int frame, int crop, int size, Span<int> table)
    {
        Resample.Neighbours[] inFrame = Resample.NeighboursOf(crop, size), inLogits = Resample.NeighboursOf(low, frame);
        for (int i = 0; i < size; i++)
        {
            Resample.Neighbours last = inFrame[i], a = inLogits[last.First], b = inLogits[last.Second];
            ReadOnlySpan<float> weights =
                [a.Weight0, a.Weight1, b.Weight0, b.Weight1, last.Weight0, last.Weight1, 0, 0];
            Span<int> entry = table.Slice(i * Words, Words);
            (entry[0], entry[1], entry[2], entry[3]) = (a.First, b.First, a.Second, b.Second);
            MemoryMarshal.Cast<float, int>(weights).CopyTo(entry[4..]);
        }
    }
}
