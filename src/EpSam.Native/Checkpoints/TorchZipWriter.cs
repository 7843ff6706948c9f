// Writes a state dict as torch.save has since PyTorch 1.6, for code that reads nothing else: an uncompressed zip
// archive with a pickle that makes an OrderedDict of tensors, and one record a tensor. Only what state dicts have is
// written: contiguous tensors on the CPU, in order; values that are no tensors are left out. The file appears under its
// name when all of it is on the disk.
using System.Buffers.Binary;
using System.Text;

namespace EpSam.Native.Checkpoints;

internal static class TorchZipWriter
{
    const string Folder = "archive/";
    const uint LocalHeader = 0x04034b50, ListedHeader = 0x02014b50, End = 0x06054b50;
    const int HeaderBytes = 30, Version = 20;

    readonly record struct Record(string Name, uint Checksum, long Bytes, long Offset);

    public static void Save(StateDict tensors, string path)
    {
        byte[] pickle = Pickle(tensors); // refuses types that torch has no storage of
        // Without the format's 64-bit fields.
        long bytes = tensors.Sum(t => t.Bytes + 256L) + pickle.Length;
        if (bytes >= uint.MaxValue || tensors.Count >= ushort.MaxValue - 2)
        {
            throw new CheckpointException(CheckpointError.NotConvertible,
                $"{tensors.Count} tensors of {bytes} bytes are too much for a .pth file of ours: at most 4 GiB and "
                + "65,000 tensors; write safetensors");
        }
        AtomicFile.Write(path, stream =>
        {
            List<Record> records = [];
            byte[] buffer = new byte[1 << 20];
            Add(stream, records, "data.pkl", pickle);
            int key = 0;
            foreach (TensorEntry entry in tensors)
            {
                Record record = new($"{Folder}data/{key++}", Checksum(entry, buffer), entry.Bytes, stream.Position);
                WriteHeader(stream, record);
                Each(entry, buffer, piece => stream.Write(piece));
                records.Add(record);
            }
            Add(stream, records, "version", "3\n"u8);
            WriteDirectory(stream, records);
        });
    }

    static uint Checksum(TensorEntry entry, byte[] buffer)
    {
        uint crc = uint.MaxValue;
        Each(entry, buffer, piece => crc = Crc32.Update(crc, piece));
        return ~crc;
    }

    delegate void Use(ReadOnlySpan<byte> piece);

    static void Each(TensorEntry entry, byte[] buffer, Use use)
    {
        int atOnce = buffer.Length / entry.Type.Size();
        for (long first = 0; first < entry.Count; first += atOnce)
        {
            Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(atOnce, entry.Count - first) * entry.Type.Size());
            entry.Read(first, piece);
            use(piece);
        }
    }

    // ---- zip (APPNOTE 4.3): method 0, no times

    static void Add(Stream stream, List<Record> records, string name, ReadOnlySpan<byte> bytes)
    {
        Record record = new(Folder + name, ~Crc32.Update(uint.MaxValue, bytes), bytes.Length, stream.Position);
        WriteHeader(stream, record);
        stream.Write(bytes);
        records.Add(record);
    }

    static void WriteHeader(Stream stream, Record record)
    {
        byte[] name = Encoding.ASCII.GetBytes(record.Name), header = new byte[HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header, LocalHeader);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), Version);
        WriteSizes(header.AsSpan(14), record);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(26), (ushort)name.Length);
        stream.Write(header);
        stream.Write(name);
    }

    static void WriteDirectory(Stream stream, List<Record> records)
    {
        long start = stream.Position;
        foreach (Record record in records)
        {
            byte[] name = Encoding.ASCII.GetBytes(record.Name), listed = new byte[46];
            BinaryPrimitives.WriteUInt32LittleEndian(listed, ListedHeader);
            BinaryPrimitives.WriteUInt16LittleEndian(listed.AsSpan(4), Version);
            BinaryPrimitives.WriteUInt16LittleEndian(listed.AsSpan(6), Version);
            WriteSizes(listed.AsSpan(16), record);
            BinaryPrimitives.WriteUInt16LittleEndian(listed.AsSpan(28), (ushort)name.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(listed.AsSpan(42), (uint)record.Offset);
            stream.Write(listed);
            stream.Write(name);
        }
        byte[] end = new byte[22];
        BinaryPrimitives.WriteUInt32LittleEndian(end, End);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(8), (ushort)records.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(10), (ushort)records.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), (uint)(stream.Position - start));
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(16), (uint)start);
        stream.Write(end);
    }

    static void WriteSizes(Span<byte> to, Record record)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, record.Checksum);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], (uint)record.Bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], (uint)record.Bytes);
    }

    // ---- pickle, protocol 2: OrderedDict() filled with _rebuild_tensor_v2(storage, 0, sizes, strides, False, {})

    static byte[] Pickle(StateDict tensors)
    {
        MemoryStream to = new();
        Put(to, "\u0080\u0002ccollections\nOrderedDict\n)R(");
        int key = 0;
        foreach (TensorEntry entry in tensors)
        {
            PutText(to, entry.Name);
            Put(to, "ctorch._utils\n_rebuild_tensor_v2\n((");
            PutText(to, "storage");
            Put(to, $"ctorch\n{Storage(entry)}Storage\n");
            PutText(to, $"{key++}");
            PutText(to, "cpu");
            PutInteger(to, entry.Count);
            Put(to, "tQ");
            PutInteger(to, 0);
            PutTuple(to, entry.Sizes);
            PutTuple(to, Strides(entry.Sizes));
            Put(to, "\u0089ccollections\nOrderedDict\n)RtR");
        }
        Put(to, "u.");
        return to.ToArray();
    }

    static string Storage(TensorEntry entry) => entry.Type switch
    {
        ElementType.F32 => "Float",
        ElementType.F64 => "Double",
        ElementType.F16 => "Half",
        ElementType.BF16 => "BFloat16",
        ElementType.I64 => "Long",
        ElementType.I32 => "Int",
        ElementType.I16 => "Short",
        ElementType.I8 => "Char",
        ElementType.U8 => "Byte",
        ElementType.Bool => "Bool",
        ElementType.C64 => "ComplexFloat",
        _ => throw new CheckpointException(CheckpointError.NotConvertible,
            $"{entry.Name}: {entry.Type.Name()} cannot be written as .pth; write safetensors"),
    };

    static long[] Strides(ReadOnlySpan<long> sizes)
    {
        long[] strides = new long[sizes.Length];
        long stride = 1;
        for (int axis = sizes.Length - 1; axis >= 0; axis--)
        {
            strides[axis] = stride;
            stride *= Math.Max(1, sizes[axis]);
        }
        return strides;
    }

    static void Put(MemoryStream to, string instructions) => to.Write(Encoding.Latin1.GetBytes(instructions));

    static void PutText(MemoryStream to, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        Put(to, "X");
        to.Write(BitConverter.GetBytes(utf8.Length));
        to.Write(utf8);
    }

    static void PutInteger(MemoryStream to, long value) // none is negative
    {
        if (value <= int.MaxValue)
        {
            Put(to, "J");
            to.Write(BitConverter.GetBytes((int)value));
            return;
        }
        Put(to, "\u008a\u0008");
        to.Write(BitConverter.GetBytes(value));
    }

    static void PutTuple(MemoryStream to, ReadOnlySpan<long> values)
    {
        Put(to, "(");
        foreach (long value in values) PutInteger(to, value);
        Put(to, "t");
    }
}
