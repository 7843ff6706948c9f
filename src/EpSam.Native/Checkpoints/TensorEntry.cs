// One tensor of a checkpoint: name, type, sizes, and where its bytes lie. Nothing is copied until it is read.
// Reads go by element, so that a large tensor can be taken in pieces through a buffer of any size. A tensor with
// strides (a transposed or sliced view, as torch.save keeps them) is read in row-major order like any other.
using System.Runtime.InteropServices;
using EpSam.Native.Tensors;

namespace EpSam.Native.Checkpoints;

/// <summary>One stored tensor. Safe to read from several threads while its <see cref="StateDict"/> is open.</summary>
public sealed class TensorEntry
{
    internal const int MaxRank = 64;   // PyTorch's limit

    readonly ByteSource _source;
    readonly long _offset;             // of element 0, in bytes
    readonly long[] _sizes;
    readonly long[]? _strides;         // in elements; null where the elements are contiguous

    /// <summary>All was validated by the reader: every index lies inside the source.</summary>
    internal TensorEntry(string name, ElementType type, long[] sizes, long[]? strides, ByteSource source, long offset)
    {
        (Name, Type, _sizes, _source, _offset) = (name, type, sizes, source, offset);
        Count = sizes.Aggregate(1L, (a, b) => checked(a * b));
        Bytes = checked(Count * type.Size());
        _strides = strides is null || Count == 0 || IsContiguous(sizes, strides) ? null : strides;
    }

    /// <summary>From bytes that are little-endian and contiguous; they are not copied.</summary>
    public TensorEntry(string name, ElementType type, ReadOnlySpan<long> sizes, ReadOnlyMemory<byte> bytes)
        : this(name, type, sizes.ToArray(), null, new MemorySource(bytes), 0)
    {
        foreach (long size in sizes)
            if (size < 0) throw new ArgumentException($"{name}: negative size in {this}");
        if (bytes.Length != Bytes) throw new ArgumentException($"{name}: {this} has {Bytes} bytes, got {bytes.Length}");
    }

    /// <summary>From floats; they are copied.</summary>
    public TensorEntry(string name, ReadOnlySpan<long> sizes, ReadOnlySpan<float> values)
        : this(name, ElementType.F32, sizes, MemoryMarshal.AsBytes(values).ToArray()) { }

    /// <summary>Name in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>Type of the stored elements.</summary>
    public ElementType Type { get; }

    /// <summary>Sizes of the axes, slowest first.</summary>
    public ReadOnlySpan<long> Sizes => _sizes;

    /// <summary>The sizes as a shape; throws ArgumentException when there are more axes than a shape can
    /// have.</summary>
    public Shape Shape => new(_sizes);

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Bytes of all elements.</summary>
    public long Bytes { get; }

    internal bool IsStored => _strides is null;

    /// <summary>The same bytes under another name.</summary>
    public TensorEntry Rename(string name) => new(name, Type, _sizes, _strides, _source, _offset);

    /// <summary>Copies the elements from <paramref name="first"/> on that fill <paramref
    /// name="destination"/>.</summary>
    /// <exception cref="ArgumentException">Not a whole number of elements, or not that many are left.</exception>
    public void Read(long first, Span<byte> destination)
    {
        int size = Type.Size();
        if (destination.Length % size != 0)
            throw new ArgumentException(
                $"{Name}: {destination.Length} bytes are no whole number of {Type.Name()} elements");
        Require(first, destination.Length / size);
        if (destination.Length == 0) return;
        if (_strides is null) _source.Slice(_offset + first * size, destination.Length).CopyTo(destination);
        else Gather(_strides, first, size, destination);
        GC.KeepAlive(this);
    }

    /// <summary>Converts the elements from <paramref name="first"/> on to the nearest floats.</summary>
    /// <exception cref="CheckpointException">The type has no float value (complex, 8-bit floats).</exception>
    public void ReadFloats(long first, Span<float> destination)
    {
        Require(first, destination.Length);
        if (Type == ElementType.F32)
        {
            Read(first, MemoryMarshal.AsBytes(destination));
            return;
        }
        if (!Type.IsNumber())
            throw new CheckpointException(CheckpointError.NotConvertible,
                $"{Name}: {Type.Name()} cannot be read as float");
        Span<byte> piece = stackalloc byte[4096];
        int size = Type.Size();
        while (destination.Length > 0)
        {
            int count = Math.Min(destination.Length, piece.Length / size);
            Read(first, piece[..(count * size)]);
            ElementTypes.ToFloats(Type, piece[..(count * size)], destination[..count]);
            destination = destination[count..];
            first += count;
        }
    }

    /// <summary>All bytes; for tensors below 2 GiB.</summary>
    public byte[] ToBytes()
    {
        byte[] bytes = new byte[Bytes];
        Read(0, bytes);
        return bytes;
    }

    /// <summary>All elements as floats; for tensors below 2^31 elements.</summary>
    public float[] ToFloats()
    {
        float[] floats = new float[Count];
        ReadFloats(0, floats);
        return floats;
    }

    /// <summary>"(2, 196, 768) BF16".</summary>
    public override string ToString() => $"{Show(_sizes)} {Type.Name()}";

    internal static string Show(ReadOnlySpan<long> sizes) => "(" + string.Join(", ", sizes.ToArray()) + ")";

    void Require(long first, long count)
    {
        if (first < 0 || first > Count - count)
            throw new ArgumentException($"{Name}: elements {first} to {first + count} of {Count}");
    }

    static bool IsContiguous(long[] sizes, long[] strides)
    {
        long expected = 1;
        for (int axis = sizes.Length - 1; axis >= 0; axis--)
        {
            if (sizes[axis] != 1 && strides[axis] != expected) return false;
            expected *= sizes[axis];
        }
        return true;
    }

    // Row by row of the last axis; the first and the last row may be parts.
    void Gather(long[] strides, long first, int size, Span<byte> destination)
    {
        int last = _sizes.Length - 1;
        long[] index = new long[_sizes.Length];
        long at = 0, rest = first;
        for (int axis = last; axis >= 0; axis--)
        {
            (rest, index[axis]) = Math.DivRem(rest, _sizes[axis]);
            at += index[axis] * strides[axis];
        }
        while (true)
        {
            int row = (int)Math.Min(_sizes[last] - index[last], destination.Length / size);
            GatherRow(_offset + at * size, strides[last] * size, size, destination[..(row * size)]);
            destination = destination[(row * size)..];
            if (destination.Length == 0) return;
            at -= index[last] * strides[last];
            index[last] = 0;
            for (int axis = last - 1; axis >= 0; axis--)
            {
                at += strides[axis];
                if (++index[axis] < _sizes[axis]) break;
                at -= _sizes[axis] * strides[axis];
                index[axis] = 0;
            }
        }
    }

    void GatherRow(long at, long step, int size, Span<byte> destination)
    {
        if (step == size)
        {
            _source.Slice(at, destination.Length).CopyTo(destination);
            return;
        }
        for (int i = 0; i < destination.Length; i += size, at += step)
            _source.Slice(at, size).CopyTo(destination[i..]);
    }
}
