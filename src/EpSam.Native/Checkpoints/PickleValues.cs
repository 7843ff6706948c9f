// What an unpickled object can be. Plain values are .NET's own: null, bool, long, BigInteger, double, string (made from
// others), object?[] for tuples. The classes here are the rest. Nothing in this list can do anything.
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace EpSam.Native.Checkpoints;

internal enum TextKind
{
    Unicode,      // str
    Bytes,        // bytes
    ByteString,   // str of Python 2: bytes that are text most of the time
}

/// <summary>A text or bytes, still in the file: most are looked at once or never.</summary>
internal sealed class PickleText(TextKind kind, ByteSource source, long offset, int length, MemoryBudget budget)
{
    string? _value;

    public TextKind Kind => kind;
    public int Length => length;
    public ByteSource Source => source;
    public long Offset => offset;
    public ReadOnlySpan<byte> Raw => source.Slice(offset, length);

    public string Value => _value ??= Decode();

    string Decode()
    {
        budget.Charge(32 + 2L * length);
        try
        {
            return ZipDirectory.Strict.GetString(Raw);
        }
        catch (DecoderFallbackException)
        {
            if (kind == TextKind.ByteString) return Encoding.Latin1.GetString(Raw);
            throw new CheckpointException(CheckpointError.PickleValue, $"the text at {offset} is not UTF-8");
        }
    }
}

internal sealed class PickleList
{
    public readonly List<object?> Items = [];
}

internal sealed class PickleSet
{
    public readonly List<object?> Items = [];
}

/// <summary>dict and OrderedDict. Keys are plain: comparing them takes no time that a file could blow up.</summary>
internal sealed class PickleDict
{
    const int LongestKey = 1024;

    OrderedDictionary<object, object?>? _items;   // most dictionaries of a checkpoint are empty backward hooks

    public int Count => _items?.Count ?? 0;

    public IEnumerable<KeyValuePair<object, object?>> Items => _items ?? [];

    public bool TryGet(object key, [MaybeNullWhen(false)] out object? value)
    {
        value = null;
        return _items is not null && _items.TryGetValue(key, out value);
    }

    public void Set(object? key, object? value)
    {
        _items ??= [];
        _items[Key(key)] = value;
    }

    // 1, 1.0 and True are one key in Python; no checkpoint depends on it.
    static object Key(object? key) => key switch
    {
        PickleText { Length: > LongestKey } =>
            throw new CheckpointException(CheckpointError.PickleLimit, $"a key of more than {LongestKey} bytes"),
        PickleText { Kind: not TextKind.Bytes } text => text.Value,
        null => "None",
        string or bool or long or double => key,
        _ => throw new CheckpointException(CheckpointError.PickleValue,
            $"a dictionary's key is {Name(key)}, not a plain value"),
    };

    /// <summary>What to call a value in a message.</summary>
    public static string Name(object? value) => value switch
    {
        null => "None",
        bool => "a bool",
        long or System.Numerics.BigInteger => "an int",
        double => "a float",
        string => "a str",
        PickleText { Kind: TextKind.Bytes } => "bytes",
        PickleText => "a str",
        object?[] => "a tuple",
        PickleList => "a list",
        PickleSet => "a set",
        PickleDict => "a dict",
        PickleGlobal g => g.Name,
        PickleTensor => "a tensor",
        Storage => "a storage",
        NumpyType => "a numpy dtype",
        _ => value.GetType().Name,
    };
}

/// <summary>numpy.dtype: a type and whether its bytes are in this machine's order.</summary>
internal sealed class NumpyType(ElementType type)
{
    public ElementType Type => type;
}

/// <summary>The bytes of one or several tensors.</summary>
internal sealed class Storage(string key, ElementType type, long count, long bytes)
{
    public string Key => key;
    public ElementType Type => type;
    public long Count => count;
    public long Bytes => bytes;
    public ByteSource? Source;
    public long Offset;

    /// <summary>A part of another storage, as files of very old versions have it; First is its first element
    /// there.</summary>
    public Storage? Whole;
    public long First;
}

/// <summary>A tensor's sizes and strides over a storage, checked when made. A numpy array has no storage until
/// BUILD.</summary>
internal sealed class PickleTensor
{
    public Storage? Storage;
    public ElementType Type;
    public long Offset;          // of element 0 in its storage, in elements
    public long[] Sizes = [];
    public long[] Strides = [];
    public bool IsNumpy;

    /// <summary>Throws unless every element lies in the storage and the whole is not blown up by strides of
    /// zero.</summary>
    public void Check(MemoryBudget budget)
    {
        UInt128 bytes = (UInt128)Type.Size(), last = (UInt128)Offset;
        foreach (long size in Sizes)
        {
            bytes *= (ulong)size;
            if (bytes > long.MaxValue)
                throw new CheckpointException(CheckpointError.Overflow, $"{this} has more bytes than fit 63 bits");
        }
        if (bytes == 0) return;
        // Fits 128 bits: the product of the sizes is below 2^63, so is their sum, and every stride.
        for (int axis = 0; axis < Sizes.Length; axis++) last += (UInt128)(Sizes[axis] - 1) * (ulong)Strides[axis];
        long available = Storage!.Bytes / Type.Size();
        if (last >= (UInt128)available)
        {
            throw new CheckpointException(CheckpointError.InvalidTensor,
                $"{this} reaches element {last} of a storage of {available}");
        }
        // The elements come from the storage; only strides of zero (or overlapping ones) can make more of them.
        if (bytes > (UInt128)budget.Limit)
        {
            throw new CheckpointException(CheckpointError.MemoryLimit,
                $"{this} is expanded to more than {budget.Limit} bytes from a storage of {Storage.Bytes}");
        }
    }

    public override string ToString() =>
        $"tensor {TensorEntry.Show(Sizes)} {Type.Name()} with strides {TensorEntry.Show(Strides)} at {Offset}";
}

/// <summary>Storages by key. A key always means the same type and size.</summary>
internal abstract class StorageTable(MemoryBudget budget)
{
    readonly Dictionary<string, Storage> _storages = new(StringComparer.Ordinal);

    protected IEnumerable<Storage> Storages => _storages.Values;

    protected bool TryFind(string key, [NotNullWhen(true)] out Storage? storage) =>
        _storages.TryGetValue(key, out storage);

    /// <summary>Finds the storage's bytes, if they can be found now.</summary>
    protected abstract void Place(Storage storage);

    public Storage Get(string key, ElementType type, long count)
    {
        if (_storages.TryGetValue(key, out Storage? known))
        {
            if (known.Type == type && known.Count == count) return known;
            throw new CheckpointException(CheckpointError.InvalidStorage,
                $"storage {CheckpointException.Show(key)} is {known.Count} {known.Type.Name()} "
                + $"and {count} {type.Name()}");
        }
        if (count < 0 || count > long.MaxValue / type.Size())
            throw new CheckpointException(CheckpointError.Overflow,
                $"storage {CheckpointException.Show(key)} has {count} elements");
        budget.Charge(176);
        Storage storage = new(key, type, count, count * type.Size());
        Place(storage);
        _storages.Add(key, storage);
        return storage;
    }
}
