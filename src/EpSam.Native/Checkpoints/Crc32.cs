namespace EpSam.Native.Checkpoints;

/// <summary>The checksum of zip archives (polynomial 0xEDB88320), eight bytes at a time from eight tables.</summary>
internal static class Crc32
{
    static readonly uint[] Tables = MakeTables();

    public static uint Of(ByteSource source, long offset, long length)
    {
        uint crc = uint.MaxValue;
        while (length > 0)
        {
            int piece = (int)Math.Min(length, 1 << 24);
            crc = Update(crc, source.Slice(offset, piece));
            offset += piece;
            length -= piece;
        }
        return ~crc;
    }

    internal static uint Update(uint crc, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<uint> t = Tables;
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            uint low = BitConverter.ToUInt32(bytes) ^ crc, high = BitConverter.ToUInt32(bytes[4..]);
            crc = t[0x700 + (int)(low & 255)] ^ t[0x600 + (int)(low >> 8 & 255)]
                ^ t[0x500 + (int)(low >> 16 & 255)] ^ t[0x400 + (int)(low >> 24)]
                ^ t[0x300 + (int)(high & 255)] ^ t[0x200 + (int)(high >> 8 & 255)]
                ^ t[0x100 + (int)(high >> 16 & 255)] ^ t[(int)(high >> 24)];
        }
        foreach (byte b in bytes) crc = t[(int)((crc ^ b) & 255)] ^ crc >> 8;
        return crc;
    }

    // Table k holds the checksum of a byte that is followed by k zero bytes.
    static uint[] MakeTables()
    {
        uint[] tables = new uint[8 * 256];
        for (uint i = 0; i < 256; i++)
        {
            uint crc = i;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? 0xEDB88320 ^ crc >> 1 : crc >> 1;
            tables[i] = crc;
        }
        for (int i = 256; i < tables.Length; i++) tables[i] = tables[tables[i - 256] & 255] ^ tables[i - 256] >> 8;
        return tables;
    }
}
