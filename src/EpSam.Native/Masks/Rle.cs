// Run-length masks as SAM and COCO write them: columns from the left, each from the top; run lengths in turn of 0s and
// 1s, beginning with 0s (a first length of 0 when the mask begins with a 1). COCO's compressed form writes each length
// as its difference to the one two before (from the fourth on), in groups of five bits with a continuation bit, plus
// 48.
using System.Text;

namespace EpSam.Native.Masks;

/// <summary>
/// A binary mask as run lengths, column by column. Immutable; its lengths always add up to height x width.
/// </summary>
public sealed class Rle
{
    readonly int[] counts;

    /// <summary>Takes run lengths; they are copied.</summary>
    /// <exception cref="ArgumentException">A negative length, or lengths that do not add up to height x
    /// width.</exception>
    public Rle(int height, int width, ReadOnlySpan<int> counts)
    {
        CheckSize(height, width);
        long sum = 0;
        foreach (int count in counts)
        {
            if (count < 0)
                throw new ArgumentException($"RLE: run lengths must not be negative, got {count}", nameof(counts));
            sum += count;
        }
        if (sum != (long)height * width)
        {
            throw new ArgumentException(
                $"RLE: run lengths must add up to {height} x {width}, got {sum}", nameof(counts));
        }
        (Height, Width, this.counts) = (height, width, counts.ToArray());
    }

    /// <summary>Rows of the mask.</summary>
    public int Height { get; }

    /// <summary>Columns of the mask.</summary>
    public int Width { get; }

    /// <summary>The run lengths, zeros first.</summary>
    public ReadOnlySpan<int> Counts => counts;

    /// <summary>Pixels that are set.</summary>
    public int Area
    {
        get
        {
            int area = 0;
            for (int i = 1; i < counts.Length; i += 2) area += counts[i];
            return area;
        }
    }

    /// <summary>Encodes <paramref name="mask"/> (height, width), where any value but 0 is set.</summary>
    /// <exception cref="ArgumentException">The span does not hold height x width values.</exception>
    public static Rle Encode(ReadOnlySpan<byte> mask, int height, int width)
    {
        CheckSize(height, width);
        CheckMask(mask.Length, height, width);
        List<int> runs = [];
        bool set = false;
        int run = 0;
        for (int x = 0; x < width; x++)
        {
            for (int i = x; i < mask.Length; i += width)
            {
                if ((mask[i] != 0) != set)
                {
                    runs.Add(run);
                    run = 0;
                    set = !set;
                }
                run++;
            }
        }
        if (run > 0) runs.Add(run);
        return new Rle(height, width, runs.ToArray());
    }

    /// <summary>Writes 0 and 1 to <paramref name="mask"/> (height, width).</summary>
    /// <exception cref="ArgumentException">The span does not hold height x width values.</exception>
    public void Decode(Span<byte> mask)
    {
        CheckMask(mask.Length, Height, Width);
        mask.Clear();
        int x = 0, y = 0;
        for (int i = 0; i < counts.Length; i++)
        {
            bool set = (i & 1) != 0;
            for (int left = counts[i]; left > 0;)
            {
                int step = Math.Min(left, Height - y);
                for (int k = 0; set && k < step; k++) mask[(y + k) * Width + x] = 1;
                left -= step;
                y += step;
                if (y == Height) (x, y) = (x + 1, 0);
            }
        }
    }

    /// <summary>The mask as (height, width) of 0 and 1.</summary>
    public byte[] Decode()
    {
        byte[] mask = new byte[checked(Height * Width)];
        Decode(mask);
        return mask;
    }

    /// <summary>
    /// The smallest box of all set pixels, with the largest coordinates still inside; all 0 for an empty mask.
    /// </summary>
    public Box ToBox()
    {
        int x0 = Width, y0 = Height, x1 = -1, y1 = -1;
        long at = 0;
        for (int i = 0; i < counts.Length; at += counts[i++])
        {
            if ((i & 1) == 0 || counts[i] == 0) continue;
            long last = at + counts[i] - 1;
            int firstColumn = (int)(at / Height), lastColumn = (int)(last / Height);
            (x0, x1) = (Math.Min(x0, firstColumn), Math.Max(x1, lastColumn));
            bool wraps = firstColumn != lastColumn;
            y0 = Math.Min(y0, wraps ? 0 : (int)(at % Height));
            y1 = Math.Max(y1, wraps ? Height - 1 : (int)(last % Height));
        }
        return x1 < 0 ? default : new Box(x0, y0, x1, y1);
    }

    /// <summary>COCO's compressed form.</summary>
    public string ToCoco()
    {
        StringBuilder text = new();
        for (int i = 0; i < counts.Length; i++)
        {
            long x = counts[i];
            if (i > 2) x -= counts[i - 2];
            for (bool more = true; more;)
            {
                int group = (int)(x & 0x1f);
                x >>= 5;
                more = (group & 0x10) != 0 ? x != -1 : x != 0;
                text.Append((char)((more ? group | 0x20 : group) + 48));
            }
        }
        return text.ToString();
    }

    /// <summary>Reads COCO's compressed form.</summary>
    /// <exception cref="FormatException">It is cut off, has a wrong character, or does not fit height x
    /// width.</exception>
    public static Rle FromCoco(string text, int height, int width)
    {
        ArgumentNullException.ThrowIfNull(text);
        CheckSize(height, width);
        List<int> runs = [];
        long pixels = 0;
        for (int at = 0; at < text.Length;)
        {
            long count = Number(text, ref at);
            if (runs.Count > 2) count += runs[^2];
            pixels += count;
            if (count < 0 || pixels > (long)height * width)
                throw new FormatException($"COCO RLE: runs do not fit {height} x {width} pixels (at character {at})");
            runs.Add((int)count);
        }
        if (pixels != (long)height * width)
            throw new FormatException($"COCO RLE: runs must add up to {height} x {width} pixels, got {pixels}");
        return new Rle(height, width, runs.ToArray());
    }

    static long Number(string text, ref int at)
    {
        long value = 0;
        for (int shift = 0; ; shift += 5)
        {
            if (at == text.Length) throw new FormatException("COCO RLE: ends within a number");
            int group = text[at] - 48;
            // Lengths are below 2^31, differences take one bit more: seven groups.
            if (group is < 0 or > 63 || shift > 30)
                throw new FormatException($"COCO RLE: unexpected character {(int)text[at]} at {at}");
            at++;
            value |= (long)(group & 0x1f) << shift;
            if ((group & 0x20) != 0) continue;
            return (group & 0x10) != 0 ? value | (-1L << (shift + 5)) : value;
        }
    }

    static void CheckSize(int height, int width)
    {
        if (height < 0 || width < 0 || (long)height * width > int.MaxValue)
            throw new ArgumentException($"RLE: {height} x {width} is not a size of a mask");
    }

    static void CheckMask(int length, int height, int width)
    {
        if (length != (long)height * width)
            throw new ArgumentException($"RLE: the mask must hold {height} x {width} values, got {length}");
    }
}
