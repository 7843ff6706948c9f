// torch.save since PyTorch 1.6: a zip archive NAME/data.pkl, NAME/data/KEY for each storage, NAME/version, and since
// 2.1 NAME/byteorder. The pickle is rebuilt by the allow-list unpickler; a storage is a range of the file.
using System.Text;

namespace EpSam.Native.Checkpoints;

internal sealed class TorchZip : StorageTable
{
    readonly ByteSource _source;
    readonly OrderedDictionary<string, ZipEntry> _entries;
    readonly string _prefix;

    TorchZip(ByteSource source, MemoryBudget budget) : base(budget)
    {
        _source = source;
        _entries = ZipDirectory.Read(source, budget);
        _prefix = FindPrefix();
    }

    public static StateDict Read(ByteSource source, MemoryBudget budget)
    {
        TorchZip file = new(source, budget);
        ZipEntry pickle = file._entries[file._prefix + "data.pkl"];
        file.RequireLittleEndian();
        file.RequireChecksum(pickle);
        Unpickler unpickler = new(source, pickle.Offset, pickle.Length, budget, file);
        object? root = unpickler.Load();
        if (unpickler.Position != pickle.Offset + pickle.Length)
            throw new CheckpointException(CheckpointError.PickleValue,
                $"{pickle.Name} goes on behind its end at {unpickler.Position}");
        return Flattening.Run(root, budget, source, CheckpointFormat.TorchZip, file.Verify);
    }

    string FindPrefix()
    {
        string[] pickles = [.. _entries.Keys.Where(k => k.IndexOf('/') == k.Length - 9
            && k.EndsWith("/data.pkl", StringComparison.Ordinal))];
        if (pickles.Length != 1)
            throw Records($"{pickles.Length} of them are called NAME/data.pkl, not one: no file of torch.save");
        string prefix = pickles[0][..^8];
        foreach (string name in _entries.Keys)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal))
                throw Records($"{CheckpointException.Show(name)} does not lie in {CheckpointException.Show(prefix)}");
            string rest = name[prefix.Length..];
            if (rest == "constants.pkl" || rest.StartsWith("code/", StringComparison.Ordinal))
                throw Records(
                    "this is a TorchScript archive, a program; save the module's state_dict() with torch.save");
        }
        return prefix;
    }

    void RequireLittleEndian()
    {
        if (!_entries.TryGetValue(_prefix + "byteorder", out ZipEntry order)) return;
        if (order.Length == 6 && _source.Slice(order.Offset, 6).SequenceEqual("little"u8)) return;
        string found = Encoding.Latin1.GetString(_source.Slice(order.Offset, (int)Math.Min(order.Length, 16)));
        throw Records($"byteorder is {CheckpointException.Show(found)}, only little is read");
    }

    void Verify()
    {
        foreach (ZipEntry entry in _entries.Values) RequireChecksum(entry);
    }

    void RequireChecksum(ZipEntry entry)
    {
        uint found = Crc32.Of(_source, entry.Offset, entry.Length);
        if (found != entry.Checksum)
        {
            throw new CheckpointException(CheckpointError.ZipChecksum,
                $"zip entry {CheckpointException.Show(entry.Name)} has checksum {found:x8}, "
                + $"the directory says {entry.Checksum:x8}");
        }
    }

    protected override void Place(Storage storage)
    {
        string name = $"{_prefix}data/{storage.Key}";
        if (!_entries.TryGetValue(name, out ZipEntry entry))
            throw new CheckpointException(CheckpointError.InvalidStorage,
                $"there is no record {CheckpointException.Show(name)}");
        // Up to an element may be left over: an untyped storage of any length can be seen as a typed one.
        if (entry.Length < storage.Bytes || entry.Length - storage.Bytes >= storage.Type.Size())
        {
            throw new CheckpointException(CheckpointError.InvalidStorage,
                $"record {CheckpointException.Show(name)} has {entry.Length} bytes, "
                + $"{storage.Count} elements of {storage.Type.Name()} have {storage.Bytes}");
        }
        storage.Source = _source;
        storage.Offset = entry.Offset;
    }

    static CheckpointException Records(string what) => new(CheckpointError.ZipRecords, $"zip records: {what}");
}
