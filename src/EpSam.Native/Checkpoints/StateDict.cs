// Names and tensors in order, plus the values of a checkpoint that are no tensors. Made by Checkpoint.Open, or from
// tensors in memory to be saved. It owns the mapped file, so it is disposed when the tensors have been read.
using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace EpSam.Native.Checkpoints;

/// <summary>An ordered map from names to stored tensors. Disposing it ends the reading of its tensors.</summary>
public sealed class StateDict : IReadOnlyCollection<TensorEntry>, IDisposable
{
    readonly OrderedDictionary<string, TensorEntry> _entries;
    readonly IDisposable? _owner;
    readonly Action? _verify;

    /// <summary>From tensors, in order; a name that comes twice is an error.</summary>
    /// <param name="entries">The tensors.</param>
    /// <param name="metadata">Values that are no tensors; see <see cref="Metadata"/>.</param>
    public StateDict(IEnumerable<TensorEntry> entries, IEnumerable<KeyValuePair<string, object?>>? metadata = null)
        : this(new OrderedDictionary<string, TensorEntry>(StringComparer.Ordinal), [], null)
    {
        foreach (TensorEntry entry in entries)
        {
            if (!_entries.TryAdd(entry.Name, entry))
                throw new CheckpointException(CheckpointError.DuplicateName, $"two tensors are called {entry.Name}");
        }
        foreach ((string name, object? value) in metadata ?? []) Values.Add(name, value);
    }

    internal StateDict(OrderedDictionary<string, TensorEntry> entries, OrderedDictionary<string, object?> metadata,
        IDisposable? owner, Action? verify = null)
    {
        (_entries, Values, _owner, _verify) = (entries, metadata, owner, verify);
    }

    internal OrderedDictionary<string, object?> Values { get; }

    /// <summary>Number of tensors.</summary>
    public int Count => _entries.Count;

    /// <summary>The format it was read from.</summary>
    public CheckpointFormat Format { get; internal init; }

    /// <summary>Names in order.</summary>
    public IReadOnlyList<string> Names => _entries.Keys;

    /// <summary>
    /// What is no tensor, under its dotted name: null, bool, long, double, BigInteger, string, byte[], and object?[]
    /// for lists, tuples and sets of these. From safetensors only strings come.
    /// </summary>
    public IReadOnlyDictionary<string, object?> Metadata => Values;

    /// <summary>The tensor of a name; a missing one is a <see cref="CheckpointException"/>.</summary>
    public TensorEntry this[string name] => _entries.TryGetValue(name, out TensorEntry? entry)
        ? entry
        : throw new CheckpointException(CheckpointError.KeysDiffer, $"there is no tensor {name} among the {Count}");

    /// <summary>Whether there is a tensor of this name.</summary>
    public bool Contains(string name) => _entries.ContainsKey(name);

    /// <summary>The tensor of a name.</summary>
    public bool TryGet(string name, [NotNullWhen(true)] out TensorEntry? entry) =>
        _entries.TryGetValue(name, out entry);

    /// <summary>
    /// The tensors whose names start with a prefix, without it: the state dict inside a nested checkpoint. It reads
    /// from the same file, which stays with this one: dispose this one only.
    /// </summary>
    public StateDict Under(string prefix) => new(
        _entries.Values.Where(e => e.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(e => e.Rename(e.Name[prefix.Length..])),
        Values.Where(v => v.Key.StartsWith(prefix, StringComparison.Ordinal))
            .Select(v => KeyValuePair.Create(v.Key[prefix.Length..], v.Value)))
    { Format = Format };

    /// <summary>Compares all bytes with the file's checksums where the format has them (zip); reads the whole
    /// file.</summary>
    public void Verify() => _verify?.Invoke();

    /// <summary>Writes a safetensors file: complete under its name or not at all.</summary>
    /// <exception cref="IOException">The file cannot be written; what was there before is untouched.</exception>
    public void Save(string path) => SafetensorsWriter.Save(this, path);

    /// <summary>
    /// Writes a file as torch.save does (.pth): complete under its name or not at all. Metadata are left out.
    /// </summary>
    /// <exception cref="IOException">The file cannot be written; what was there before is untouched.</exception>
    /// <exception cref="CheckpointException">A type is not PyTorch's, or there are more than 4 GiB.</exception>
    public void SaveTorch(string path) => TorchZipWriter.Save(this, path);

    /// <summary>The tensors in order.</summary>
    public IEnumerator<TensorEntry> GetEnumerator() => _entries.Values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Closes the file. No tensor may be read afterwards, nor at the same time.</summary>
    public void Dispose() => _owner?.Dispose();
}
