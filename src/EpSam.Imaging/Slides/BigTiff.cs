// A BigTIFF of a pyramid's levels: directories with their tables at the head of the file, from the finest level on,
// then the tiles, level by level and row by row. Where everything lies follows from the lengths of the tiles, so the
// file is written once from its beginning to its end. Tiles that were never written are one and the same in it.
// TIFF 6.0 (Adobe, 1992) has the tags, its Technical Note 2 JPEG; BigTIFF differs by 64-bit offsets and counts.
using System.Text;

namespace EpSam.Imaging.Slides;

/// <summary>A file that is about to be written.</summary>
/// <param name="levels">From the finest on; where their tiles are in the spool.</param>
/// <param name="options">How the tiles were made.</param>
/// <param name="channels">1 or 3.</param>
/// <param name="spool">The tiles.</param>
/// <param name="blank">The background's tile.</param>
internal sealed class BigTiff(IReadOnlyList<PyramidLevel> levels, PyramidOptions options, int channels,
    TileSpool spool, byte[] blank)
{
    const int HeaderBytes = 16, EntryBytes = 20, OffsetBytes = 8;

    enum Tag : ushort
    {
        NewSubfileType = 254, ImageWidth = 256, ImageLength = 257, BitsPerSample = 258, Compression = 259,
        Photometric = 262, SamplesPerPixel = 277, XResolution = 282, YResolution = 283, PlanarConfiguration = 284,
        ResolutionUnit = 296, Predictor = 317, TileWidth = 322, TileLength = 323, TileOffsets = 324,
        TileByteCounts = 325, YCbCrSubsampling = 530,
    }

    enum Kind : ushort { Short = 3, Long = 4, Rational = 5, Long8 = 16 }

    /// <summary>A tag with its value, which takes eight bytes, or with its value's place.</summary>
    readonly record struct Entry(Tag Tag, Kind Kind, long Count, ulong Value);

    long _next; // of the tiles, in the file's order

    public void Write(Stream file)
    {
        long[] starts = new long[levels.Count + 1]; // of the directories, and of the tiles
        starts[0] = HeaderBytes;
        for (int i = 0; i < levels.Count; i++)
            starts[i + 1] = TablesAt(starts[i], Entries(i, 0).Count) + 2 * TableBytes(levels[i]);
        _next = starts[^1] + blank.Length;
        using BinaryWriter to = new(file, Encoding.UTF8, leaveOpen: true); // little-endian on every machine
        to.Write("II"u8);
        to.Write((ushort)43);
        to.Write((ushort)OffsetBytes);
        to.Write((ushort)0);
        to.Write(starts[0]);
        for (int i = 0; i < levels.Count; i++)
            WriteDirectory(to, i, starts[i], i + 1 < levels.Count ? starts[i + 1] : 0, starts[^1]);
        to.Write(blank);
        foreach (PyramidLevel level in levels) WriteTiles(to, level);
    }

    // One value stands in its entry.
    static long TableBytes(PyramidLevel level) => level.Count > 1 ? OffsetBytes * level.Count : 0;

    static long TablesAt(long directory, int entries) => (directory + 8 + EntryBytes * entries + 8 + 7) / 8 * 8;

    void WriteDirectory(BinaryWriter to, int index, long start, long next, long blankAt)
    {
        PyramidLevel level = levels[index];
        long tables = TablesAt(start, Entries(index, 0).Count), end = start;
        List<Entry> entries = Entries(index, tables);
        to.Write((long)entries.Count);
        foreach (Entry entry in entries)
        {
            to.Write((ushort)entry.Tag);
            to.Write((ushort)entry.Kind);
            to.Write(entry.Count);
            if (level.Count == 1 && entry.Tag == Tag.TileOffsets) WriteOffsets(to, level, blankAt);
            else if (level.Count == 1 && entry.Tag == Tag.TileByteCounts) WriteLengths(to, level);
            else to.Write(entry.Value);
        }
        to.Write(next);
        for (end += 8 + EntryBytes * entries.Count + 8; end < tables; end++) to.Write((byte)0);
        if (level.Count == 1) return;
        WriteOffsets(to, level, blankAt);
        WriteLengths(to, level);
    }

    List<Entry> Entries(int index, long tables)
    {
        PyramidLevel level = levels[index];
        bool isJpeg = options.Compression == PyramidCompression.Jpeg, isYCbCr = isJpeg && channels == 3;
        const ulong Deflate = 8, Jpeg = 7, Grey = 1, Rgb = 2, YCbCr = 6;
        List<Entry> entries =
        [
            new(Tag.NewSubfileType, Kind.Long, 1, index > 0 ? 1u : 0u), // a smaller view of another
            new(Tag.ImageWidth, Kind.Long, 1, (ulong)level.Width),
            new(Tag.ImageLength, Kind.Long, 1, (ulong)level.Height),
            new(Tag.BitsPerSample, Kind.Short, channels, channels == 3 ? 0x0008_0008_0008u : 8u),
            new(Tag.Compression, Kind.Short, 1, isJpeg ? Jpeg : Deflate),
            new(Tag.Photometric, Kind.Short, 1, isYCbCr ? YCbCr : channels == 3 ? Rgb : Grey),
            new(Tag.SamplesPerPixel, Kind.Short, 1, (ulong)channels),
            new(Tag.PlanarConfiguration, Kind.Short, 1, 1), // samples of a pixel together
            new(Tag.TileWidth, Kind.Short, 1, (ulong)level.Tile),
            new(Tag.TileLength, Kind.Short, 1, (ulong)level.Tile),
            new(Tag.TileOffsets, Kind.Long8, level.Count, (ulong)tables),
            new(Tag.TileByteCounts, Kind.Long8, level.Count, (ulong)(tables + TableBytes(level))),
        ];
        if (TilePixels.IsDifferenced(options)) entries.Add(new(Tag.Predictor, Kind.Short, 1, 2));
        if (isYCbCr)
        {
            entries.Add(new(Tag.YCbCrSubsampling, Kind.Short, 2,
                TilePixels.IsSubsampled(options) ? 0x0002_0002u : 0x0001_0001u));
        }
        if (options.Mpp is double mpp)
        {
            ulong perCentimetre = PerCentimetre(mpp * Math.Pow(2, index));
            entries.Add(new(Tag.XResolution, Kind.Rational, 1, perCentimetre));
            entries.Add(new(Tag.YResolution, Kind.Rational, 1, perCentimetre));
            entries.Add(new(Tag.ResolutionUnit, Kind.Short, 1, 3)); // centimetre
        }
        entries.Sort((a, b) => a.Tag.CompareTo(b.Tag));
        return entries;
    }

    /// <summary>
    /// Pixels a centimetre as a fraction of 32-bit numbers, the denominator above, by continued fractions: what is read
    /// is what was given, to all digits that readers keep.
    /// </summary>
    internal static ulong PerCentimetre(double mpp)
    {
        const double MicrometresACentimetre = 1e4, Near = 1e-13;
        double value = MicrometresACentimetre / mpp, rest = value;
        (double above, double below, double lastAbove, double lastBelow) = (Math.Floor(value), 1, 1, 0);
        while (Math.Abs(above - value * below) > Near * above)
        {
            rest = 1 / (rest - Math.Floor(rest));
            (double nextAbove, double nextBelow) =
                (Math.Floor(rest) * above + lastAbove, Math.Floor(rest) * below + lastBelow);
            if (!(nextAbove <= uint.MaxValue && nextBelow <= uint.MaxValue)) break;
            (above, below, lastAbove, lastBelow) = (nextAbove, nextBelow, above, below);
        }
        return (ulong)Math.Max(1, above) | (ulong)below << 32;
    }

    void WriteOffsets(BinaryWriter to, PyramidLevel level, long blankAt)
    {
        for (int row = 0; row < level.Rows; row++)
            for (int column = 0; column < level.Columns; column++)
            {
                int length = level[column, row].Length;
                to.Write(length > 0 ? _next : blankAt);
                _next += length;
            }
    }

    void WriteLengths(BinaryWriter to, PyramidLevel level)
    {
        for (int row = 0; row < level.Rows; row++)
            for (int column = 0; column < level.Columns; column++)
                to.Write((long)(level[column, row].Length is > 0 and int length ? length : blank.Length));
    }

    void WriteTiles(BinaryWriter to, PyramidLevel level)
    {
        byte[] buffer = [];
        for (int row = 0; row < level.Rows; row++)
            for (int column = 0; column < level.Columns; column++)
            {
                (long at, int length) = level[column, row];
                if (length == 0) continue;
                if (buffer.Length < length) buffer = new byte[2 * length];
                spool.Read(buffer.AsSpan(0, length), at);
                to.Write(buffer, 0, length);
            }
    }
}
