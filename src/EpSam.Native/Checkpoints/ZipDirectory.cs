// The directory of a zip archive as torch.save writes it: stored entries only, no comment, no encryption, one disk,
// zip64 where sizes need it. Nothing is unpacked, so there is no zip bomb: an entry is a range of the file. Two
// readers that see different contents in one archive are the base of most tricks with zip files; therefore the end
// record must be the last bytes, the directory must end exactly before it, every local header must agree with the
// directory, and no two entries may share a byte. APPNOTE.TXT sections 4.3 and 4.5.3.
using System.Buffers.Binary;
using System.Text;

namespace EpSam.Native.Checkpoints;

/// <summary>One stored entry: a range of the file.</summary>
internal readonly record struct ZipEntry(string Name, long Offset, long Length, uint Checksum);

internal sealed class ZipDirectory
{
    const int EndSize = 22, LocatorSize = 20, End64Size = 56, EntrySize = 46, LocalSize = 30;
    const ushort Encrypted = 1, DescriptorFollows = 8, Utf8Names = 0x800;

    /// <summary>An entry of the directory before its local header was looked at. Header is the local header's
    /// offset.</summary>
    readonly record struct Listed(string Name, ushort Flags, uint Checksum, long Length, long Header);

    readonly ByteSource _source;
    readonly MemoryBudget _budget;

    ZipDirectory(ByteSource source, MemoryBudget budget) => (_source, _budget) = (source, budget);

    /// <summary>All entries in the directory's order, checked.</summary>
    public static OrderedDictionary<string, ZipEntry> Read(ByteSource source, MemoryBudget budget) =>
        new ZipDirectory(source, budget).Read();

    OrderedDictionary<string, ZipEntry> Read()
    {
        (long offset, long size, long count) = FindDirectory();
        if (count > size / EntrySize) throw Directory($"{count} entries in {size} bytes");
        List<Listed> listed = [];
        long at = offset, end = offset + size;
        for (long i = 0; i < count; i++) listed.Add(ReadListed(ref at, end));
        if (at != end) throw Directory($"its {count} entries end at {at}, it ends at {end}");

        OrderedDictionary<string, ZipEntry> entries = new(listed.Count, StringComparer.Ordinal);
        foreach (Listed entry in listed)
        {
            ZipEntry place = new(entry.Name, ReadLocal(entry, offset), entry.Length, entry.Checksum);
            if (!entries.TryAdd(entry.Name, place))
                throw new CheckpointException(CheckpointError.DuplicateName,
                    $"two entries of the zip archive are called {Show(entry.Name)}");
        }
        RequireApart(listed, entries);
        return entries;
    }

    (long Offset, long Size, long Count) FindDirectory()
    {
        long end = _source.Length - EndSize;
        if (end < 0 || U32(end) != 0x06054b50)
            throw Directory("the file does not end with its end record: it is cut off, or something was appended");
        if (U16(end + 20) != 0) throw Directory("the archive has a comment");
        long count = U16(end + 10), size = U32(end + 12), offset = U32(end + 16);
        if (U16(end + 4) != 0 || U16(end + 6) != 0 || U16(end + 8) != count)
            throw Directory("it is spread over several disks");
        long directoryEnd = end;
        if (end >= LocatorSize && U32(end - LocatorSize) == 0x07064b50)
        {
            directoryEnd = Find64(end - LocatorSize);
            (long count64, long size64, long offset64) =
                (I64(directoryEnd + 32), I64(directoryEnd + 40), I64(directoryEnd + 48));
            bool agree = (count == count64 || count == ushort.MaxValue) && (size == size64 || size == uint.MaxValue)
                && (offset == offset64 || offset == uint.MaxValue);
            if (!agree || I64(directoryEnd + 24) != count64) throw Directory("its two end records differ");
            (count, size, offset) = (count64, size64, offset64);
        }
        else if (count == ushort.MaxValue || size == uint.MaxValue || offset == uint.MaxValue)
            throw Directory("the zip64 end record is missing");
        if (offset < 0 || size < 0 || count < 0 || size > directoryEnd || offset != directoryEnd - size)
            throw Directory($"{size} bytes at {offset} do not end at {directoryEnd}, where the end record begins");
        return (offset, size, count);
    }

    long Find64(long locator)
    {
        long at = I64(locator + 8);
        if (U32(locator + 4) != 0 || U32(locator + 16) != 1) throw Directory("it is spread over several disks");
        if (at < 0 || at != locator - End64Size || U32(at) != 0x06064b50 || I64(at + 4) != End64Size - 12)
            throw Directory("the zip64 end record is not where its locator says");
        if (U32(at + 16) != 0 || U32(at + 20) != 0) throw Directory("it is spread over several disks");
        return at;
    }

    Listed ReadListed(ref long at, long end)
    {
        if (end - at < EntrySize || U32(at) != 0x02014b50) throw Directory($"no entry at {at}");
        ushort flags = U16(at + 8), method = U16(at + 10);
        uint checksum = U32(at + 16);
        long packed = U32(at + 20), length = U32(at + 24), header = U32(at + 42);
        int nameSize = U16(at + 28), extraSize = U16(at + 30), commentSize = U16(at + 32), disk = U16(at + 34);
        long next = at + EntrySize + nameSize + extraSize + commentSize;
        if (next > end) throw Directory($"the entry at {at} ends behind its end");
        // the name, two records, their places in list, dictionary and sorted array
        _budget.Charge(320 + 2 * nameSize);
        string name = Name(at + EntrySize, nameSize);
        if (length == uint.MaxValue || packed == uint.MaxValue || header == uint.MaxValue)
            Read64(name, at + EntrySize + nameSize, extraSize, ref length, ref packed, ref header);
        if ((flags & Encrypted) != 0)
            throw new CheckpointException(CheckpointError.ZipEncrypted, $"zip entry {Show(name)} is encrypted");
        if ((flags & ~(DescriptorFollows | Utf8Names)) != 0) throw Entry(name, $"has flags 0x{flags:x4}");
        if (method != 0)
            throw new CheckpointException(CheckpointError.ZipCompressed,
                $"zip entry {Show(name)} is compressed (method {method}); PyTorch stores its records");
        if (packed != length) throw Entry(name, $"is stored, but has {packed} bytes packed and {length} unpacked");
        if (disk != 0) throw Entry(name, $"lies on disk {disk}");
        at = next;
        return new Listed(name, flags, checksum, length, header);
    }

    // The zip64 field holds only the values that are saturated in the entry, in this order.
    void Read64(string name, long at, int size, ref long length, ref long packed, ref long header)
    {
        long end = at + size;
        while (end - at >= 4)
        {
            int id = U16(at), fieldSize = U16(at + 2);
            long field = at + 4, fieldEnd = field + fieldSize;
            if (fieldEnd > end) break;
            if (id == 1)
            {
                if (Take(ref length, ref field, fieldEnd) && Take(ref packed, ref field, fieldEnd)
                    && Take(ref header, ref field, fieldEnd))
                    return;
                break;
            }
            at = fieldEnd;
        }
        throw Entry(name, "has no valid zip64 field");
    }

    bool Take(ref long value, ref long field, long end)
    {
        if (value != uint.MaxValue) return true;
        if (end - field < 8) return false;
        value = I64(field);
        field += 8;
        return value >= 0;
    }

    /// <summary>Checks the local header against the directory; returns where the data begins.</summary>
    long ReadLocal(Listed entry, long directory)
    {
        string name = entry.Name;
        long at = entry.Header;
        if (at > directory - LocalSize || U32(at) != 0x04034b50) throw Entry(name, $"has no local header at {at}");
        ushort flags = U16(at + 6);
        if (flags != entry.Flags || U16(at + 8) != 0)
            throw Entry(name, $"has flags 0x{flags:x4} and method {U16(at + 8)} in its local header");
        int nameSize = U16(at + 26), extraSize = U16(at + 28);
        long data = at + LocalSize + nameSize + extraSize;
        if (data > directory || entry.Length > directory - data)
            throw Entry(name, $"ends behind {directory}, where the directory begins");
        if (Name(at + LocalSize, nameSize) != name) throw Entry(name, "has another name in its local header");

        uint checksum = U32(at + 14);
        long packed = U32(at + 18), length = U32(at + 22), none = 0;
        // With a descriptor behind the data (PyTorch's way) the header's fields are zero; otherwise they must agree.
        bool isZero = (flags & DescriptorFollows) != 0 && checksum == 0 && packed == 0 && length == 0;
        if (isZero) return data;
        if (length == uint.MaxValue || packed == uint.MaxValue)
            Read64(name, at + LocalSize + nameSize, extraSize, ref length, ref packed, ref none);
        if (checksum != entry.Checksum || length != entry.Length || packed != entry.Length)
            throw Entry(name, "has other sizes in its local header");
        return data;
    }

    static void RequireApart(List<Listed> listed, OrderedDictionary<string, ZipEntry> entries)
    {
        Listed[] sorted = [.. listed];
        Array.Sort(sorted, (a, b) => a.Header.CompareTo(b.Header));
        long end = 0;
        string before = "";
        foreach (Listed entry in sorted)
        {
            if (entry.Header < end)
                throw new CheckpointException(CheckpointError.ZipOverlap,
                    $"zip entries {Show(before)} and {Show(entry.Name)} overlap");
            ZipEntry place = entries[entry.Name];
            (end, before) = (place.Offset + place.Length, entry.Name);
        }
    }

    // Names are ASCII or UTF-8; code page 437 of old archives is not guessed.
    string Name(long at, int size)
    {
        try
        {
            return Strict.GetString(_source.Slice(at, size));
        }
        catch (DecoderFallbackException)
        {
            throw Directory($"the name at {at} is not UTF-8");
        }
    }

    internal static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    ushort U16(long at) => BinaryPrimitives.ReadUInt16LittleEndian(_source.Slice(at, 2));

    uint U32(long at) => BinaryPrimitives.ReadUInt32LittleEndian(_source.Slice(at, 4));

    long I64(long at) => BinaryPrimitives.ReadInt64LittleEndian(_source.Slice(at, 8));

    static string Show(string name) => CheckpointException.Show(name);

    static CheckpointException Directory(string what) => new(CheckpointError.ZipDirectory, $"zip directory: {what}");

    static CheckpointException Entry(string name, string what) =>
        new(CheckpointError.ZipEntry, $"zip entry {Show(name)} {what}");
}
