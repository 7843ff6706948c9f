// What the allowed names do when a pickle calls them: each checks its arguments and makes a plain value, a storage's
// view or a numpy value. The torch ones follow torch/_utils.py, the numpy ones numpy's multiarray.scalar and
// _reconstruct.
using System.Buffers.Binary;
using System.Numerics;

namespace EpSam.Native.Checkpoints;

internal sealed class Rebuild(MemoryBudget budget)
{
    public object? Call(PickleGlobal global, object?[] a) => global.Kind switch
    {
        GlobalKind.OrderedDict or GlobalKind.Dict => Dict(global, a),
        GlobalKind.List or GlobalKind.Tuple or GlobalKind.Set or GlobalKind.FrozenSet or GlobalKind.Size =>
            Sequence(global, a),
        GlobalKind.Encode => Encode(a),
        GlobalKind.Device => Device(a),
        GlobalKind.RebuildTensor or GlobalKind.RebuildTensorV2 or GlobalKind.RebuildTensorV3 => Tensor(global, a),
        GlobalKind.RebuildParameter => a.Length == 3 && a[0] is PickleTensor ? a[0] : throw Bad(global, a),
        GlobalKind.NumpyDType => DType(global, a),
        GlobalKind.NumpyScalar => Scalar(global, a),
        GlobalKind.NumpyReconstruct => Array(global, a),
        _ => throw Bad(global, a),   // types are named, not called
    };

    PickleDict Dict(PickleGlobal global, object?[] a)
    {
        budget.Charge(32);
        PickleDict dict = new();
        if (a.Length == 0) return dict;
        if (a.Length != 1) throw Bad(global, a);
        foreach (object? pair in Items(a[0]) ?? throw Bad(global, a))
        {
            if (Items(pair) is not [var key, var value]) throw Bad(global, a);
            budget.Charge(80);
            dict.Set(key, value);
        }
        return dict;
    }

    object Sequence(PickleGlobal global, object?[] a)
    {
        if (a.Length > 1) throw Bad(global, a);
        object?[] items = a.Length == 0 ? [] : Items(a[0])?.ToArray() ?? throw Bad(global, a);
        budget.Charge(64 + 16L * items.Length);
        if (global.Kind is GlobalKind.Tuple or GlobalKind.Size) return items;
        if (global.Kind == GlobalKind.List)
        {
            PickleList list = new();
            list.Items.AddRange(items);
            return list;
        }
        PickleSet set = new();
        set.Items.AddRange(items);
        return set;
    }

    static IReadOnlyList<object?>? Items(object? value) => value switch
    {
        object?[] tuple => tuple,
        PickleList list => list.Items,
        PickleSet set => set.Items,
        _ => null,
    };

    // _codecs.encode(text, 'latin1'): how protocol 2, which has no bytes, writes bytes.
    PickleText Encode(object?[] a)
    {
        if (a.Length != 2 || a[0] is not PickleText { Kind: TextKind.Unicode } text
            || a[1] is not PickleText { Length: < 16 } codec
            || codec.Value is not ("latin1" or "latin-1"))
            throw new CheckpointException(CheckpointError.PickleValue,
                "_codecs.encode of something else than a text to latin1");
        budget.Charge(160 + text.Length);
        byte[] bytes = new byte[text.Length];
        int count = 0;
        ReadOnlySpan<byte> raw = text.Raw;
        for (int i = 0; i < raw.Length; i++)
        {
            // One byte is ASCII; the 128 others are two bytes, C2 or C3 first.
            if (raw[i] < 0x80) bytes[count++] = raw[i];
            else if (raw[i] is 0xC2 or 0xC3 && i + 1 < raw.Length && (raw[i + 1] & 0xC0) == 0x80)
                bytes[count++] = (byte)(raw[i] << 6 | raw[++i] & 0x3F);
            else throw new CheckpointException(CheckpointError.PickleValue, "a text to be encoded is not latin1");
        }
        return new PickleText(TextKind.Bytes, new MemorySource(bytes), 0, count, budget);
    }

    string Device(object?[] a)
    {
        budget.Charge(64);
        return a switch
        {
            [PickleText { Length: < 64 } name] => name.Value,
            [PickleText { Length: < 64 } name, long index] => $"{name.Value}:{index}",
            _ => throw new CheckpointException(CheckpointError.PickleValue,
                "torch.device of something else than a name and a number"),
        };
    }

    // _rebuild_tensor(storage, offset, sizes, strides), v2: + (requires_grad, hooks[, metadata]), v3: + dtype.
    PickleTensor Tensor(PickleGlobal global, object?[] a)
    {
        bool fits = global.Kind switch
        {
            GlobalKind.RebuildTensor => a.Length == 4,
            GlobalKind.RebuildTensorV2 => a.Length is 6 or 7,
            _ => a.Length is 7 or 8 && a[6] is PickleGlobal { Kind: GlobalKind.TorchType },
        };
        if (!fits || a[0] is not Storage storage || a[1] is not long offset || offset < 0) throw Bad(global, a);
        budget.Charge(160);
        PickleTensor tensor = new()
        {
            Storage = storage,
            Offset = offset,
            Type = global.Kind == GlobalKind.RebuildTensorV3 ? ((PickleGlobal)a[6]!).Type : storage.Type,
            Sizes = Sizes(a[2]),
            Strides = Sizes(a[3]),
        };
        if (tensor.Sizes.Length != tensor.Strides.Length)
            throw new CheckpointException(CheckpointError.InvalidTensor, $"{tensor} has not as many strides as sizes");
        tensor.Check(budget);
        return tensor;
    }

    long[] Sizes(object? value)
    {
        IReadOnlyList<object?> items = Items(value)
            ?? throw new CheckpointException(CheckpointError.InvalidTensor,
                $"sizes or strides are {PickleDict.Name(value)}");
        if (items.Count > TensorEntry.MaxRank)
            throw new CheckpointException(CheckpointError.InvalidTensor,
                $"a tensor of {items.Count} axes, at most {TensorEntry.MaxRank} are possible");
        budget.Charge(24 + 8 * items.Count);
        long[] sizes = new long[items.Count];
        for (int i = 0; i < sizes.Length; i++)
        {
            sizes[i] = items[i] is long size and >= 0
                ? size
                : throw new CheckpointException(CheckpointError.InvalidTensor,
                    $"a size or stride is {(items[i] is long n ? n : PickleDict.Name(items[i]))}");
        }
        return sizes;
    }

    // ---- numpy

    NumpyType DType(PickleGlobal global, object?[] a)
    {
        if (a is not [PickleText { Length: <= 16 } text, ..] || a.Length > 3) throw Bad(global, a);
        budget.Charge(24);
        return new NumpyType(text.Value.TrimStart('<', '|', '=') switch
        {
            "f8" => ElementType.F64, "f4" => ElementType.F32, "f2" => ElementType.F16, "b1" => ElementType.Bool,
            "i8" => ElementType.I64, "i4" => ElementType.I32, "i2" => ElementType.I16, "i1" => ElementType.I8,
            "u8" => ElementType.U64, "u4" => ElementType.U32, "u2" => ElementType.U16, "u1" => ElementType.U8,
            "c8" => ElementType.C64,
            string other => throw new CheckpointException(CheckpointError.PickleValue,
                $"numpy dtype {CheckpointException.Show(other)}; numbers and bools are read"),
        });
    }

    // (version, byte order, subtype, names, fields, size, alignment, flags[, metadata])
    public static void CheckByteOrder(object?[] state)
    {
        if (state.Length < 2 || state[1] is not PickleText { Length: 1 } order
            || order.Value is not ("<" or "|" or "="))
            throw new CheckpointException(CheckpointError.PickleValue, "numpy data that is not little-endian");
    }

    object Scalar(PickleGlobal global, object?[] a)
    {
        if (a is not [NumpyType type, PickleText { Kind: not TextKind.Unicode } bytes]
            || bytes.Length != type.Type.Size())
            throw Bad(global, a);
        budget.Charge(96);
        ReadOnlySpan<byte> raw = bytes.Raw;
        return type.Type switch
        {
            ElementType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(raw),
            ElementType.F32 => (double)BinaryPrimitives.ReadSingleLittleEndian(raw),
            ElementType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(raw),
            ElementType.Bool => raw[0] != 0,
            ElementType.I64 => BinaryPrimitives.ReadInt64LittleEndian(raw),
            ElementType.I32 => (long)BinaryPrimitives.ReadInt32LittleEndian(raw),
            ElementType.I16 => (long)BinaryPrimitives.ReadInt16LittleEndian(raw),
            ElementType.I8 => (long)(sbyte)raw[0],
            ElementType.U64 => BinaryPrimitives.ReadUInt64LittleEndian(raw) is <= long.MaxValue and ulong small
                ? (object)(long)small
                : new BigInteger(BinaryPrimitives.ReadUInt64LittleEndian(raw)),
            ElementType.U32 => (long)BinaryPrimitives.ReadUInt32LittleEndian(raw),
            ElementType.U16 => (long)BinaryPrimitives.ReadUInt16LittleEndian(raw),
            ElementType.U8 => (long)raw[0],
            _ => throw Bad(global, a),
        };
    }

    // _reconstruct(numpy.ndarray, (0,), b'b') makes an empty array; BUILD fills it.
    PickleTensor Array(PickleGlobal global, object?[] a)
    {
        if (a is not [PickleGlobal { Kind: GlobalKind.NumpyArray }, object?[], PickleText]) throw Bad(global, a);
        budget.Charge(96);
        return new PickleTensor { IsNumpy = true };
    }

    // (version, shape, dtype, is Fortran order, bytes)
    public void FillArray(PickleTensor array, object?[] state)
    {
        if (array.Storage is not null
            || state is not [long, object?[] shape, NumpyType type, bool isFortran, PickleText bytes]
            || bytes.Kind == TextKind.Unicode)
            throw new CheckpointException(CheckpointError.PickleValue,
                "a numpy array that is not one block of numbers");
        array.Type = type.Type;
        array.Sizes = Sizes(shape);
        array.Strides = new long[array.Sizes.Length];
        UInt128 count = 1;
        for (int i = 0; i < array.Sizes.Length; i++)
        {
            int axis = isFortran ? i : array.Sizes.Length - 1 - i;
            array.Strides[axis] = (long)UInt128.Min(count, long.MaxValue);   // an overflow ends in Check
            count = UInt128.Min(count * (ulong)array.Sizes[axis], long.MaxValue);
        }
        budget.Charge(208 + 8 * array.Sizes.Length);
        int size = type.Type.Size();
        array.Storage = new Storage("numpy", type.Type, bytes.Length / size, bytes.Length)
        {
            Source = bytes.Source,
            Offset = bytes.Offset,
        };
        if (count * (ulong)size != (UInt128)bytes.Length)
            throw new CheckpointException(CheckpointError.InvalidTensor,
                $"numpy array {TensorEntry.Show(array.Sizes)} {type.Type.Name()} with {bytes.Length} bytes");
        array.Check(budget);
    }

    static CheckpointException Bad(PickleGlobal global, object?[] a) => new(CheckpointError.PickleValue,
        $"{global.Name} called with ({string.Join(", ", a.Take(9).Select(PickleDict.Name))})");
}
