// Reads safetensors: 8 bytes header length, a JSON header, the data. Everything the format's specification demands is
// checked before the first tensor is given out: the header's limit and first byte, no name twice, known types,
// products of sizes without overflow, and offsets that cover the data from its first to its last byte without a hole
// or an overlap. https://github.com/huggingface/safetensors#format
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace EpSam.Native.Checkpoints;

internal static class Safetensors
{
    public const int MaxHeader = 100_000_000;
    internal const string MetadataName = "__metadata__";

    sealed record Info(string Name, ElementType Type, long[] Sizes, long Begin, long End);

    public static StateDict Read(ByteSource source, MemoryBudget budget)
    {
        ReadOnlySpan<byte> header = Header(source);
        long start = 8 + header.Length, length = source.Length - start;
        OrderedDictionary<string, object?> metadata = new(StringComparer.Ordinal);
        List<Info> infos;
        try
        {
            infos = Infos(header, metadata, budget);
        }
        catch (JsonException e)
        {
            throw Invalid(e.Message);
        }
        catch (InvalidOperationException)   // any look at a text with an escaped half of a surrogate pair
        {
            throw Invalid("a text with a lone surrogate");
        }
        RequireCovered(infos, length);
        OrderedDictionary<string, TensorEntry> entries = new(infos.Count, StringComparer.Ordinal);
        foreach (Info info in infos)
            entries.Add(info.Name, new TensorEntry(info.Name, info.Type, info.Sizes, null, source, start + info.Begin));
        return new StateDict(entries, metadata, source) { Format = CheckpointFormat.Safetensors };
    }

    static ReadOnlySpan<byte> Header(ByteSource source)
    {
        if (source.Length < 8)
            throw new CheckpointException(CheckpointError.HeaderTooSmall,
                $"{source.Length} bytes; the header's length takes 8");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(source.Slice(0, 8));
        if (length > MaxHeader)
            throw new CheckpointException(CheckpointError.HeaderTooLarge,
                $"a header of {length} bytes; at most {MaxHeader} are read");
        if (length > (ulong)(source.Length - 8))
        {
            throw new CheckpointException(CheckpointError.InvalidHeaderLength,
                $"a header of {length} bytes in a file of {source.Length}");
        }
        ReadOnlySpan<byte> header = source.Slice(8, (int)length);
        if (header.Length == 0 || header[0] != '{')
        {
            throw new CheckpointException(CheckpointError.InvalidHeaderStart,
                "the header starts with " + (header.Length == 0 ? "nothing" : $"byte 0x{header[0]:x2}")
                    + ", not with '{'");
        }
        if (!Utf8.IsValid(header)) throw Invalid("not UTF-8");
        return header;
    }

    static List<Info> Infos(ReadOnlySpan<byte> header, OrderedDictionary<string, object?> metadata, MemoryBudget budget)
    {
        Utf8JsonReader json = new(header);
        json.Read();
        List<Info> infos = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        while (Next(ref json) == JsonTokenType.PropertyName)
        {
            // entry, sizes, name, dictionary and list with their growth
            budget.Charge(360 + 2 * json.ValueSpan.Length);
            string name = Text(ref json);
            if (!names.Add(name)) throw Duplicate(name);
            if (name == MetadataName) ReadMetadata(ref json, metadata, budget);
            else infos.Add(ReadInfo(ref json, name, budget));
        }
        while (json.Read()) { }   // throws unless only white space follows
        return infos;
    }

    static void ReadMetadata(ref Utf8JsonReader json, OrderedDictionary<string, object?> metadata, MemoryBudget budget)
    {
        if (Next(ref json) != JsonTokenType.StartObject) throw Invalid($"{MetadataName} is no object");
        while (Next(ref json) == JsonTokenType.PropertyName)
        {
            budget.Charge(160 + 2 * json.ValueSpan.Length);
            string name = Text(ref json);
            if (Next(ref json) != JsonTokenType.String)
                throw Invalid($"{MetadataName} \"{CheckpointException.Show(name)}\" is no text");
            budget.Charge(30 + 2 * json.ValueSpan.Length);
            if (!metadata.TryAdd(name, Text(ref json))) throw Duplicate(name);
        }
    }

    static Info ReadInfo(ref Utf8JsonReader json, string name, MemoryBudget budget)
    {
        string? type = null;
        List<long>? sizes = null, offsets = null;
        if (Next(ref json) != JsonTokenType.StartObject) throw Invalid($"{Quote(name)} is no object");
        while (Next(ref json) == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("dtype"u8) && type is null)
            {
                if (Next(ref json) != JsonTokenType.String) throw Invalid($"dtype of {Quote(name)} is no text");
                type = Text(ref json);
            }
            else if (json.ValueTextEquals("shape"u8) && sizes is null)
                sizes = Integers(ref json, name, "shape", budget);
            else if (json.ValueTextEquals("data_offsets"u8) && offsets is null)
                offsets = Integers(ref json, name, "data_offsets", budget);
            else throw Invalid($"{Quote(name)} has a field {Quote(Text(ref json))} that is unknown or there twice");
        }
        if (type is null || sizes is null || offsets is null)
            throw Invalid(
                $"{Quote(name)} has no {(type is null ? "dtype" : sizes is null ? "shape" : "data_offsets")}");
        if (!ElementTypes.TryParse(type, out ElementType element))
            throw new CheckpointException(CheckpointError.UnknownType, $"{Quote(name)} has dtype {Quote(type)}");
        if (offsets.Count != 2) throw Invalid($"{Quote(name)} has {offsets.Count} data_offsets, not 2");
        RequireSize(name, element, sizes, offsets[0], offsets[1]);
        return new Info(name, element, [.. sizes], offsets[0], offsets[1]);
    }

    static void RequireSize(string name, ElementType type, List<long> sizes, long begin, long end)
    {
        if (end < begin)
            throw new CheckpointException(CheckpointError.InvalidOffset,
                $"{Quote(name)} ends at {end} before it begins at {begin}");
        UInt128 bytes = (UInt128)type.Size();
        foreach (long size in sizes)
        {
            bytes *= (ulong)size;
            if (bytes > long.MaxValue)   // also where a later size is 0: the format's own library refuses that too
            {
                throw new CheckpointException(CheckpointError.Overflow,
                    $"{Quote(name)}: shape {TensorEntry.Show([.. sizes])} has more bytes than fit 63 bits");
            }
        }
        if (bytes != (UInt128)(end - begin))
        {
            throw new CheckpointException(CheckpointError.InvalidTensorSize,
                $"{Quote(name)}: {TensorEntry.Show([.. sizes])} {type.Name()} has {bytes} bytes, "
                + $"its offsets span {end - begin}");
        }
    }

    static void RequireCovered(List<Info> infos, long length)
    {
        Info[] sorted = [.. infos];
        Array.Sort(sorted, (a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long at = 0;
        foreach (Info info in sorted)
        {
            if (info.Begin != at)
            {
                throw new CheckpointException(CheckpointError.InvalidOffset,
                    $"{Quote(info.Name)} begins at {info.Begin}, "
                    + (info.Begin > at ? $"{info.Begin - at} bytes behind" : $"{at - info.Begin} bytes before")
                    + $" the end of its predecessor at {at}");
            }
            at = info.End;
        }
        if (at != length)
            throw new CheckpointException(CheckpointError.IncompleteData,
                $"the tensors have {at} bytes, the file holds {length} of data");
    }

    static List<long> Integers(ref Utf8JsonReader json, string name, string field, MemoryBudget budget)
    {
        if (Next(ref json) != JsonTokenType.StartArray) throw Invalid($"{field} of {Quote(name)} is no array");
        List<long> values = [];
        while (Next(ref json) != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !IsDigits(json.ValueSpan))
                throw Invalid($"{field} of {Quote(name)} holds something that is no natural number");
            if (!json.TryGetInt64(out long value))
            {
                string shown = Encoding.ASCII.GetString(json.ValueSpan[..Math.Min(30, json.ValueSpan.Length)]);
                throw new CheckpointException(CheckpointError.Overflow,
                    $"{field} of {Quote(name)}: {shown} does not fit 63 bits");
            }
            budget.Charge(24);
            if (values.Count == TensorEntry.MaxRank)
                throw Invalid($"{field} of {Quote(name)} has more than {TensorEntry.MaxRank} numbers");
            values.Add(value);
        }
        return values;
    }

    static bool IsDigits(ReadOnlySpan<byte> number) => number.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;

    static JsonTokenType Next(ref Utf8JsonReader json) =>
        json.Read() ? json.TokenType : throw Invalid("it ends too early");   // the reader itself throws first

    static string Text(ref Utf8JsonReader json) => json.GetString()!;

    static string Quote(string name) => $"\"{CheckpointException.Show(name)}\"";

    static CheckpointException Invalid(string what) =>
        new(CheckpointError.InvalidHeader, $"safetensors header: {what}");

    static CheckpointException Duplicate(string name) =>
        new(CheckpointError.DuplicateName, $"{Quote(name)} is there twice");
}
