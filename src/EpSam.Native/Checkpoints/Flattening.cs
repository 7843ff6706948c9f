// From an unpickled object to names: {"model": {"a": t}, "list": [t, t]} becomes model.a, list.0, list.1. Plain values
// are metadata; a list, tuple or set of plain values only is one value ("betas": [0.9, 0.999]).
// One list can be in itself or a million times in another; depth and visits are bounded.
using System.Globalization;
using System.Numerics;

namespace EpSam.Native.Checkpoints;

internal sealed class Flattening
{
    const int MaxDepth = 64;
    // tensors that share a storage are counted each; a weight tied twice is usual, more is not
    const int TotalFactor = 8;

    readonly MemoryBudget _budget;
    readonly OrderedDictionary<string, TensorEntry> _tensors = new(StringComparer.Ordinal);
    readonly OrderedDictionary<string, object?> _values = new(StringComparer.Ordinal);
    readonly List<string> _path = [];
    UInt128 _total;

    Flattening(MemoryBudget budget) => _budget = budget;

    /// <summary>All storages have their place by now.</summary>
    public static StateDict Run(object? root, MemoryBudget budget, ByteSource owner, CheckpointFormat format,
        Action? verify)
    {
        Flattening flattening = new(budget);
        if (root is PickleTensor) flattening._path.Add("tensor");   // torch.save(tensor) has no name for it
        else if (root is not (PickleDict or PickleList or object?[]))
            throw new CheckpointException(CheckpointError.PickleValue,
                $"the file holds {PickleDict.Name(root)}, not tensors");
        flattening.Visit(root);
        return new StateDict(flattening._tensors, flattening._values, owner, verify) { Format = format };
    }

    void Visit(object? value)
    {
        _budget.Charge(16);
        if (_path.Count > MaxDepth)
            throw new CheckpointException(CheckpointError.PickleLimit, $"containers nested deeper than {MaxDepth}");
        switch (value)
        {
            case PickleTensor tensor:
                AddTensor(tensor);
                break;
            case PickleDict dict:
                foreach ((object key, object? item) in dict.Items) VisitAt(KeyName(key), item);
                break;
            case PickleList list:
                VisitItems(list.Items);
                break;
            case PickleSet set:
                VisitItems(set.Items);
                break;
            case object?[] tuple:
                VisitItems(tuple);
                break;
            default:
                Add(_values, Plain(value));
                break;
        }
    }

    void VisitItems(IReadOnlyList<object?> items)
    {
        _budget.Charge(64 + 8L * items.Count);
        if (_path.Count > 0
            && items.All(i => i is not (PickleTensor or PickleDict or PickleList or PickleSet or object?[])))
        {
            _budget.Charge(16L * items.Count + 64);
            Add(_values, items.Select(Plain).ToArray());
            return;
        }
        _budget.Charge(40L * items.Count);
        for (int i = 0; i < items.Count; i++) VisitAt(i.ToString(CultureInfo.InvariantCulture), items[i]);
    }

    void VisitAt(string name, object? value)
    {
        _path.Add(name);
        Visit(value);
        _path.RemoveAt(_path.Count - 1);
    }

    void AddTensor(PickleTensor tensor)
    {
        if (tensor.Storage is not Storage storage)
            throw new CheckpointException(CheckpointError.PickleValue, "a numpy array without content");
        long first = tensor.Offset * tensor.Type.Size();
        for (; storage.Whole is Storage whole; storage = whole) first += storage.First * storage.Type.Size();
        _total += (UInt128)tensor.Sizes.Aggregate(1L, (a, b) => a * b) * (ulong)tensor.Type.Size();
        if (_total > (UInt128)_budget.Limit * TotalFactor)
        {
            throw new CheckpointException(CheckpointError.MemoryLimit,
                $"the tensors together have more than {TotalFactor} times {_budget.Limit} bytes: "
                + "storages are shared too often");
        }
        _budget.Charge(192);
        first += storage.Offset;
        Add(_tensors, new TensorEntry(Name(), tensor.Type, tensor.Sizes, tensor.Strides, storage.Source!, first));
    }

    void Add<T>(OrderedDictionary<string, T> to, T item)
    {
        string name = Name();
        _budget.Charge(96);   // the place in a dictionary that doubles
        if (!to.TryAdd(name, item))
            throw new CheckpointException(CheckpointError.DuplicateName,
                $"{CheckpointException.Show(name)} is the name of two values once nesting becomes dots");
    }

    string Name()
    {
        _budget.Charge(96 + 2L * _path.Sum(p => p.Length + 1));
        return string.Join('.', _path);
    }

    string KeyName(object key)
    {
        if (key is string text) return text;
        _budget.Charge(64);
        return key switch
        {
            bool b => b ? "True" : "False",
            double d => d.ToString("R", CultureInfo.InvariantCulture),
            _ => ((long)key).ToString(CultureInfo.InvariantCulture),
        };
    }

    object? Plain(object? value)
    {
        switch (value)
        {
            case null or bool or long or double or BigInteger or string:
                return value;
            case PickleText { Kind: TextKind.Bytes } bytes:
                _budget.Charge(24 + bytes.Length);
                return bytes.Raw.ToArray();
            case PickleText text:
                return text.Value;
            case PickleGlobal { Kind: GlobalKind.TorchType } type:
                return type.Name;
            default:
                throw new CheckpointException(CheckpointError.PickleValue,
                    $"{CheckpointException.Show(Name())} is {PickleDict.Name(value)}, neither tensor nor plain value");
        }
    }
}
