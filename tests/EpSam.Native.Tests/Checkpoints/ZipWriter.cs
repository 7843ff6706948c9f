// Writes zip archives, right ones and wrong ones: every field can be set. Entries are stored.
using System.Text;

namespace EpSam.Native.Tests.Checkpoints;

internal sealed class ZipWriter
{
    /// <summary>One entry; Local* fields are the local header's where they differ from the directory's.</summary>
    internal sealed class Entry
    {
        public string Name = "";
        public byte[] Bytes = [];
        public ushort Flags, Method;
        public uint Checksum;
        public long Offset;                 // of the local header
        public long? Packed, Length;        // as the directory has them
        public string? LocalName;
        public ushort? LocalFlags;
        public uint? LocalChecksum;
        public long? LocalLength;
        public byte[] Extra = [];           // the directory's
        public string Comment = "";
    }

    public readonly List<Entry> Entries = [];
    public string Comment = "";
    public int? Count;
    public long? DirectorySize, DirectoryOffset;
    public bool HasDescriptors, Is64;
    public byte[] Before = [];

    public Entry Add(string name, byte[] bytes)
    {
        Entry entry = new() { Name = name, Bytes = bytes, Checksum = Checksum(bytes) };
        Entries.Add(entry);
        return entry;
    }

    public byte[] Done()
    {
        using MemoryStream file = new();
        BinaryWriter writer = new(file, Encoding.UTF8);
        writer.Write(Before);
        foreach (Entry entry in Entries) WriteLocal(writer, entry);
        long start = file.Position;
        foreach (Entry entry in Entries) WriteListed(writer, entry);
        WriteEnd(writer, start, file.Position - start);
        return file.ToArray();
    }

    void WriteLocal(BinaryWriter writer, Entry entry)
    {
        if (HasDescriptors) entry.Flags |= 8;
        entry.Offset = writer.BaseStream.Position;
        byte[] name = Encoding.UTF8.GetBytes(entry.LocalName ?? entry.Name);
        writer.Write(0x04034b50u);
        writer.Write((ushort)20);
        writer.Write(entry.LocalFlags ?? entry.Flags);
        writer.Write(entry.Method);
        writer.Write(0u);                   // time and date
        writer.Write(HasDescriptors ? 0 : entry.LocalChecksum ?? entry.Checksum);
        writer.Write(HasDescriptors ? 0 : (uint)(entry.LocalLength ?? entry.Bytes.Length));
        writer.Write(HasDescriptors ? 0 : (uint)(entry.LocalLength ?? entry.Bytes.Length));
        writer.Write((ushort)name.Length);
        writer.Write((ushort)0);
        writer.Write(name);
        writer.Write(entry.Bytes);
        if (!HasDescriptors) return;
        writer.Write(0x08074b50u);
        writer.Write(entry.Checksum);
        writer.Write(entry.Bytes.Length);
        writer.Write(entry.Bytes.Length);
    }

    static void WriteListed(BinaryWriter writer, Entry entry)
    {
        byte[] name = Encoding.UTF8.GetBytes(entry.Name);
        writer.Write(0x02014b50u);
        writer.Write(0x00140014u);          // versions
        writer.Write(entry.Flags);
        writer.Write(entry.Method);
        writer.Write(0u);
        writer.Write(entry.Checksum);
        writer.Write((uint)(entry.Packed ?? entry.Bytes.Length));
        writer.Write((uint)(entry.Length ?? entry.Bytes.Length));
        writer.Write((ushort)name.Length);
        writer.Write((ushort)entry.Extra.Length);
        writer.Write((ushort)entry.Comment.Length);
        writer.Write(0u);                   // disk, inner attributes
        writer.Write(0u);                   // outer attributes
        writer.Write((uint)entry.Offset);
        writer.Write(name);
        writer.Write(entry.Extra);
        writer.Write(Encoding.ASCII.GetBytes(entry.Comment));
    }

    void WriteEnd(BinaryWriter writer, long start, long size)
    {
        int count = Count ?? Entries.Count;
        if (Is64)
        {
            long at = writer.BaseStream.Position;
            writer.Write(0x06064b50u);
            writer.Write(44L);
            writer.Write(0x002d002du);
            writer.Write(0L);               // disks
            writer.Write((long)count);
            writer.Write((long)count);
            writer.Write(DirectorySize ?? size);
            writer.Write(DirectoryOffset ?? start);
            writer.Write(0x07064b50u);
            writer.Write(0);
            writer.Write(at);
            writer.Write(1);
        }
        writer.Write(0x06054b50u);
        writer.Write(0);                    // disks
        writer.Write(Is64 ? ushort.MaxValue : (ushort)count);
        writer.Write(Is64 ? ushort.MaxValue : (ushort)count);
        writer.Write(Is64 ? uint.MaxValue : (uint)(DirectorySize ?? size));
        writer.Write(Is64 ? uint.MaxValue : (uint)(DirectoryOffset ?? start));
        writer.Write((ushort)Comment.Length);
        writer.Write(Encoding.ASCII.GetBytes(Comment));
    }

    /// <summary>CRC-32, one bit at a time.</summary>
    public static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
        }
        return ~crc;
    }
}
