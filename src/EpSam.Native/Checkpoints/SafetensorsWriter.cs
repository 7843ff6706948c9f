// Writes safetensors. Tensors come in the order given, but larger elements first, so that every tensor is aligned to
// its element size; the header is padded with spaces to a multiple of 8, JSON is compact: the official library's
// layout, so a file of its making is written again byte for byte. The file appears under its name when all of it is on
// the disk.
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace EpSam.Native.Checkpoints;

internal static class SafetensorsWriter
{
    public static void Save(StateDict tensors, string path)
    {
        TensorEntry[] order = [.. tensors.OrderByDescending(e => e.Type.Size())];   // stable
        byte[] header = Header(order, tensors.Metadata);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            byte[] buffer = new byte[1 << 20];
            foreach (TensorEntry entry in order) Copy(entry, stream, buffer);
        });
    }

    static void Copy(TensorEntry entry, Stream stream, byte[] buffer)
    {
        int atOnce = buffer.Length / entry.Type.Size();
        for (long first = 0; first < entry.Count; first += atOnce)
        {
            Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(atOnce, entry.Count - first) * entry.Type.Size());
            entry.Read(first, piece);
            stream.Write(piece);
        }
    }

    internal static byte[] Header(IReadOnlyList<TensorEntry> order, IReadOnlyDictionary<string, object?> metadata)
    {
        StringBuilder json = new("{");
        if (metadata.Count > 0)
        {
            json.Append('"').Append(Safetensors.MetadataName).Append("\":{");
            foreach ((string name, object? value) in metadata)
            {
                AppendQuoted(json, name);
                json.Append(':');
                AppendQuoted(json, value as string ?? Json(value));
                json.Append(',');
            }
            json.Length--;
            json.Append("},");
        }
        long at = 0;
        foreach (TensorEntry entry in order)
        {
            if (entry.Name == Safetensors.MetadataName)
                throw new CheckpointException(CheckpointError.DuplicateName,
                    $"no tensor can be called {Safetensors.MetadataName}");
            AppendQuoted(json, entry.Name);
            string sizes = string.Join(",", entry.Sizes.ToArray());
            long end = checked(at + entry.Bytes);
            json.Append(CultureInfo.InvariantCulture,
                $":{{\"dtype\":\"{entry.Type.Name()}\",\"shape\":[{sizes}],\"data_offsets\":[{at},{end}]}},");
            at = end;
        }
        if (json.Length > 1) json.Length--;
        json.Append('}');
        int length = Encoding.UTF8.GetByteCount(json.ToString()), padded = (length + 7) & ~7;
        if (padded > Safetensors.MaxHeader)
            throw new CheckpointException(CheckpointError.HeaderTooLarge,
                $"the header would have {padded} bytes; at most {Safetensors.MaxHeader} are allowed");
        byte[] bytes = new byte[8 + padded];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, padded);
        Encoding.UTF8.GetBytes(json.ToString(), bytes.AsSpan(8));
        bytes.AsSpan(8 + length).Fill((byte)' ');
        return bytes;
    }

    /// <summary>A value that is no text, as JSON: the format's metadata are texts only.</summary>
    internal static string Json(object? value)
    {
        StringBuilder json = new();
        AppendJson(json, value);
        return json.ToString();
    }

    static void AppendJson(StringBuilder json, object? value)
    {
        switch (value)
        {
            case null: json.Append("null"); break;
            case bool b: json.Append(b ? "true" : "false"); break;
            case double d when double.IsFinite(d): json.Append(d.ToString("R", CultureInfo.InvariantCulture)); break;
            case double d: AppendQuoted(json, double.IsNaN(d) ? "nan" : d > 0 ? "inf" : "-inf"); break;
            case long i: json.Append(CultureInfo.InvariantCulture, $"{i}"); break;
            case BigInteger i: json.Append(i.ToString(CultureInfo.InvariantCulture)); break;
            case byte[] bytes: AppendQuoted(json, Convert.ToBase64String(bytes)); break;
            case object?[] items:
                json.Append('[');
                for (int i = 0; i < items.Length; i++)
                {
                    if (i > 0) json.Append(',');
                    AppendJson(json, items[i]);
                }
                json.Append(']');
                break;
            default: AppendQuoted(json, value.ToString()!); break;
        }
    }

    // What JSON must escape and nothing more, as the official library writes it.
    static void AppendQuoted(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append("\\\\"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                '\b' => json.Append("\\b"),
                '\f' => json.Append("\\f"),
                < ' ' => json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => json.Append(c),
            };
        }
        json.Append('"');
    }
}
