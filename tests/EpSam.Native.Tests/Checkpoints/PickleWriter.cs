// Writes pickles instruction by instruction, as no honest program would, and wraps them as torch.save does: in a zip
// archive or as the old stream. Method names are those of the instructions in Python's pickletools.
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace EpSam.Native.Tests.Checkpoints;

internal sealed class PickleWriter
{
    readonly MemoryStream _bytes = new();

    public PickleWriter Raw(params ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public PickleWriter Op(string ascii) => Raw(Encoding.Latin1.GetBytes(ascii));

    public PickleWriter Proto(byte version = 2) => Raw(0x80, version);

    public PickleWriter Text(string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        byte[] head = new byte[5];
        head[0] = (byte)'X';
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(1), utf8.Length);
        return Raw(head).Raw(utf8);
    }

    public PickleWriter ShortText(string text) => Raw(0x8c, (byte)text.Length).Op(text);

    public PickleWriter Bytes(params ReadOnlySpan<byte> bytes) => Raw((byte)'C', (byte)bytes.Length).Raw(bytes);

    public PickleWriter Integer(long value)
    {
        byte[] bytes = new BigInteger(value).ToByteArray();
        return Raw(0x8a, (byte)bytes.Length).Raw(bytes);
    }

    public PickleWriter Global(string module, string name) => Op($"c{module}\n{name}\n");

    public PickleWriter Tuple(params ReadOnlySpan<long> values)
    {
        Op("(");
        foreach (long value in values) Integer(value);
        return Op("t");
    }

    /// <summary>A storage on the stack. Old streams have a sixth part: None, or a view.</summary>
    public PickleWriter Storage(string type, string key, long count, bool isLegacy = false)
    {
        Op("(").Text("storage").Global("torch", type).Text(key).Text("cpu").Integer(count);
        return Op(isLegacy ? "NtQ" : "tQ");
    }

    public PickleWriter Tensor(string type, string key, long count, long offset, long[] sizes, long[] strides,
        bool isLegacy = false)
    {
        Global("torch._utils", "_rebuild_tensor_v2").Op("(").Storage(type, key, count, isLegacy).Integer(offset);
        return Tuple(sizes).Tuple(strides).Raw(0x89).Global("collections", "OrderedDict").Op(")RtR");
    }

    /// <summary>With STOP behind it.</summary>
    public byte[] Done() => Op(".")._bytes.ToArray();

    // ---- files

    /// <summary>A pickle as torch.save's zip archive.</summary>
    public static byte[] Zip(byte[] pickle, params (string Key, byte[] Bytes)[] storages)
    {
        ZipWriter zip = new();
        zip.Add("archive/data.pkl", pickle);
        foreach ((string key, byte[] bytes) in storages) zip.Add($"archive/data/{key}", bytes);
        zip.Add("archive/version", "3\n"u8.ToArray());
        return zip.Done();
    }

    /// <summary>A pickle as torch.save's old stream. The number of elements is that of bytes over the size of
    /// one.</summary>
    public static byte[] Legacy(byte[] pickle, params (string Key, byte[] Bytes, int Size)[] storages)
    {
        MemoryStream file = new();
        file.Write(LegacyHead());
        file.Write(pickle);
        PickleWriter keys = new PickleWriter().Proto().Op("](");
        foreach ((string key, _, _) in storages) keys.Text(key);
        file.Write(keys.Op("e").Done());
        foreach ((_, byte[] bytes, int size) in storages)
        {
            file.Write(BitConverter.GetBytes((long)bytes.Length / size));
            file.Write(bytes);
        }
        return file.ToArray();
    }

    public static byte[] LegacyHead()
    {
        byte[] magic = BigInteger.Parse("1950a86a20f9469cfc6c", System.Globalization.NumberStyles.HexNumber)
            .ToByteArray();
        return
        [
            .. new PickleWriter().Proto().Raw(0x8a, (byte)magic.Length).Raw(magic).Done(),
            .. new PickleWriter().Proto().Integer(1001).Done(),
            .. new PickleWriter().Proto().Op("}(").Text("protocol_version").Integer(1001).Text("little_endian")
                .Raw(0x88).Op("u").Done(),
        ];
    }
}
