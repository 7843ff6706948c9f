// torch.save before PyTorch 1.6: five pickles in a row (magic number, version 1001, facts of the machine, the object,
// the storages' keys), then for each key the number of elements in eight bytes and the elements. Where a storage lies
// is known only after the object was read, so storages are placed afterwards.
using System.Buffers.Binary;
using System.Numerics;

namespace EpSam.Native.Checkpoints;

internal sealed class TorchLegacy : StorageTable
{
    const long ProtocolVersion = 1001;
    static readonly BigInteger Magic = BigInteger.Parse("119547037146038801333356");   // 0x1950a86a20f9469cfc6c

    readonly ByteSource _source;
    readonly MemoryBudget _budget;
    long _at;

    TorchLegacy(ByteSource source, MemoryBudget budget) : base(budget) => (_source, _budget) = (source, budget);

    public static StateDict Read(ByteSource source, MemoryBudget budget) => new TorchLegacy(source, budget).Read();

    StateDict Read()
    {
        if (Next(null) is not BigInteger magic || magic != Magic)
        {
            throw new CheckpointException(CheckpointError.UnknownFormat,
                "a pickle, but none of torch.save: its magic number is missing");
        }
        if (Next(null) is not ProtocolVersion)
            throw new CheckpointException(CheckpointError.UnknownFormat,
                $"a torch.save stream of another version than {ProtocolVersion}");
        if (Next(null) is not PickleDict facts || !facts.TryGet("little_endian", out object? isLittle)
            || isLittle is not true)
            throw new CheckpointException(CheckpointError.UnknownFormat, "not written by a little-endian machine");
        object? root = Next(this);
        PlaceAll(Next(null));
        if (_at != _source.Length)
            throw new CheckpointException(CheckpointError.InvalidStorage,
                $"{_source.Length - _at} bytes follow the last storage");
        return Flattening.Run(root, _budget, _source, CheckpointFormat.TorchLegacy, null);
    }

    object? Next(StorageTable? storages)
    {
        Unpickler unpickler = new(_source, _at, _source.Length - _at, _budget, storages);
        object? value = unpickler.Load();
        _at = unpickler.Position;
        return value;
    }

    void PlaceAll(object? keys)
    {
        if (keys is not PickleList list)
            throw new CheckpointException(CheckpointError.InvalidStorage, "the storages' keys are no list");
        HashSet<Storage> placed = [];
        foreach (object? item in list.Items)
        {
            string? key = (item as PickleText)?.Value;
            if (key is null || !TryFind(key, out Storage? storage) || !placed.Add(storage))
            {
                throw new CheckpointException(CheckpointError.InvalidStorage,
                    $"storage {CheckpointException.Show(key ?? "?")} belongs to no tensor or comes twice");
            }
            PlaceNext(storage);
        }
        foreach (Storage storage in Storages)
            if (!placed.Contains(storage))
                throw new CheckpointException(CheckpointError.InvalidStorage,
                    $"storage {CheckpointException.Show(storage.Key)} is missing");
    }

    void PlaceNext(Storage storage)
    {
        string key = CheckpointException.Show(storage.Key);
        if (_source.Length - _at < 8)
            throw new CheckpointException(CheckpointError.Truncated, $"the file ends before storage {key}");
        long count = BinaryPrimitives.ReadInt64LittleEndian(_source.Slice(_at, 8));
        if (count != storage.Count)
            throw new CheckpointException(CheckpointError.InvalidStorage,
                $"storage {key} has {count} elements, its tensors were told {storage.Count}");
        _at += 8;
        if (_source.Length - _at < storage.Bytes)
            throw new CheckpointException(CheckpointError.Truncated,
                $"storage {key} has {storage.Bytes} bytes, {_source.Length - _at} are left");
        storage.Source = _source;
        storage.Offset = _at;
        _at += storage.Bytes;
    }

    protected override void Place(Storage storage) { }
}
