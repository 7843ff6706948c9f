// A TensorBoard event file: records, each a length (64 bits), its checksum, the bytes of an Event message, their
// checksum (TFRecord's framing; CRC-32C, rotated and shifted by a constant). Of the protocol buffers (tensorflow/core/
// util/event.proto, framework/summary.proto) only what scalars need is written, by hand:
//   Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//   Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; }
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace EpSam.Native.Pipeline;

internal static class TensorBoardEvents
{
    const int Framing = 16;   // length 8, its checksum 4, the content's checksum 4
    const byte Fixed64 = 1, Bytes = 2, Fixed32 = 5, Varint = 0;   // wire types

    /// <summary>The first record of a file.</summary>
    public static byte[] Head(double time)
    {
        using MemoryStream message = new();
        Double(message, 1, time);
        Text(message, 3, "brain.Event:2"u8);
        return Record(message.ToArray());
    }

    /// <summary>A figure as a record.</summary>
    public static byte[] Scalar(double time, long step, string tag, double value)
    {
        using MemoryStream inner = new(), summary = new(), message = new();
        Text(inner, 1, Encoding.UTF8.GetBytes(tag));
        inner.WriteByte(2 << 3 | Fixed32);
        Span<byte> four = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(four, (float)value);
        inner.Write(four);
        Text(summary, 1, inner.ToArray());
        Double(message, 1, time);
        message.WriteByte(2 << 3 | Varint);
        Number(message, (ulong)step);
        Text(message, 5, summary.ToArray());
        return Record(message.ToArray());
    }

    /// <summary>
    /// Where each whole record lies, with its figure's tag (null for the first). What follows the last whole one, cut
    /// off by a crash, is left out.
    /// </summary>
    public static List<(Range Place, string? Tag)> Records(byte[] file)
    {
        List<(Range, string?)> records = [];
        for (int at = 0; file.Length - at >= Framing;)
        {
            ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at));
            if (length > (ulong)(file.Length - at - Framing)) break;
            int end = at + Framing + (int)length;
            ReadOnlySpan<byte> message = file.AsSpan(at + 12, (int)length);
            if (BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(end - 4)) != Checksum(message)) break;
            records.Add((at..end, TagOf(message)));
            at = end;
        }
        return records;
    }

    static byte[] Record(ReadOnlySpan<byte> message)
    {
        byte[] record = new byte[message.Length + Framing];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), Checksum(record.AsSpan(0, 8)));
        message.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(record.Length - 4), Checksum(message));
        return record;
    }

    static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes) crc = BitOperations.Crc32C(crc, b);
        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    // The tag of the only value of the summary, of a message as written above.
    static string? TagOf(ReadOnlySpan<byte> message)
    {
        foreach (int field in (ReadOnlySpan<int>)[5, 1, 1])
        {
            if (!Find(message, field, out ReadOnlySpan<byte> inside)) return null;
            message = inside;
        }
        return Encoding.UTF8.GetString(message);
    }

    static bool Find(ReadOnlySpan<byte> message, int field, out ReadOnlySpan<byte> content)
    {
        while (!message.IsEmpty)
        {
            ulong key = Take(ref message);
            int length = (key & 7) switch { Fixed64 => 8, Fixed32 => 4, Bytes => (int)Take(ref message), _ => 0 };
            if ((key & 7) == Varint) Take(ref message);
            if (key == (ulong)(field << 3 | Bytes))
            {
                content = message[..length];
                return true;
            }
            message = message[length..];
        }
        content = default;
        return false;
    }

    static ulong Take(ref ReadOnlySpan<byte> message)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[0];
            message = message[1..];
            value |= (ulong)(next & 127) << shift;
            if (next < 128) return value;
        }
    }

    static void Double(MemoryStream to, int field, double value)
    {
        to.WriteByte((byte)(field << 3 | Fixed64));
        Span<byte> eight = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(eight, value);
        to.Write(eight);
    }

    static void Text(MemoryStream to, int field, ReadOnlySpan<byte> bytes)
    {
        to.WriteByte((byte)(field << 3 | Bytes));
        Number(to, (ulong)bytes.Length);
        to.Write(bytes);
    }

    static void Number(MemoryStream to, ulong value)
    {
        for (; value >= 128; value >>= 7) to.WriteByte((byte)(value | 128));
        to.WriteByte((byte)value);
    }
}
