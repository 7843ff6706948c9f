// A pickle machine that can build plain values and tensors and nothing else. It is the stack machine of Python's pickle
// protocols 0 to 5 with every door closed: a name must be on the list in PickleGlobals, calling it does what Rebuild
// says, and the instructions that make objects of classes (INST, OBJ, NEWOBJ, extension codes, out-of-band buffers)
// are refused. Nothing is looked up, imported or run. Time and memory are bounded: an instruction takes time in
// proportion to its own bytes or to the values it takes from the stack, and everything that is kept is charged to the
// budget. The format: Python's Lib/pickletools.py. What torch.save writes: torch/serialization.py.
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace EpSam.Native.Checkpoints;

internal sealed partial class Unpickler
{
    const long MaxPickle = 256 << 20;
    const int MaxStack = 1 << 20, MaxMarks = 1 << 16, MaxLine = 1024, MaxIntegerBytes = 256;

    static readonly object True = true, False = false;
    static readonly object[] SmallIntegers = [.. Enumerable.Range(0, 1024).Select(i => (object)(long)i)];

    readonly ByteSource _source;
    readonly MemoryBudget _budget;
    readonly StorageTable? _storages;
    readonly Rebuild _rebuild;
    readonly long _start, _end;
    readonly List<object?> _stack = [];
    readonly List<int> _marks = [];
    object?[] _memo = [];
    bool[] _isKept = [];
    int _kept;
    long _at;

    /// <summary>For the pickle at an offset; length may reach beyond its end. Without storages tensors are an
    /// error.</summary>
    public Unpickler(ByteSource source, long offset, long length, MemoryBudget budget, StorageTable? storages)
    {
        (_source, _budget, _storages, _rebuild) = (source, budget, storages, new Rebuild(budget));
        (_start, _at, _end) = (offset, offset, offset + Math.Min(length, MaxPickle));
    }

    /// <summary>Behind the STOP, after Load.</summary>
    public long Position => _at;

    /// <summary>Runs to STOP and returns the one value that is left.</summary>
    public object? Load()
    {
        while (true)
        {
            byte code = Byte();
            if (code == '.') break;
            Step(code);
        }
        object? result = Pop();
        if (_stack.Count > 0 || _marks.Count > 0) throw Bad($"{_stack.Count} more values at its end");
        return result;
    }

    void Step(byte code)
    {
        switch (code)
        {
            case 0x80: Protocol(); break;
            case 0x95: Skip(8); break;                                        // FRAME: a hint for buffering
            case (byte)'(': Mark(); break;
            case (byte)'0': PopOrMark(); break;
            case (byte)'1': Cut(PopMark()); break;
            case (byte)'2': Push(Peek()); break;
            case (byte)'N': Push(null); break;
            case 0x88: Push(True); break;
            case 0x89: Push(False); break;
            case (byte)'K': Push(Integer(Byte())); break;
            case (byte)'M': Push(Integer(BinaryPrimitives.ReadUInt16LittleEndian(Take(2)))); break;
            case (byte)'J': Push(Integer(BinaryPrimitives.ReadInt32LittleEndian(Take(4)))); break;
            case 0x8a: Push(LongInteger(Byte())); break;
            case 0x8b: Push(LongInteger(Count(Take(4)))); break;
            case (byte)'G': Push(Double(BinaryPrimitives.ReadDoubleBigEndian(Take(8)))); break;
            case (byte)'I': case (byte)'L': Push(DecimalInteger(Line())); break;
            case (byte)'F': Push(DecimalFloat(Line())); break;
            case (byte)'X': PushText(TextKind.Unicode, Count(Take(4))); break;
            case 0x8c: PushText(TextKind.Unicode, Byte()); break;
            case 0x8d: PushText(TextKind.Unicode, Count(Take(8))); break;
            case (byte)'U': PushText(TextKind.ByteString, Byte()); break;
            case (byte)'T': PushText(TextKind.ByteString, Count(Take(4))); break;
            case (byte)'C': PushText(TextKind.Bytes, Byte()); break;
            case (byte)'B': PushText(TextKind.Bytes, Count(Take(4))); break;
            case 0x8e: case 0x96: PushText(TextKind.Bytes, Count(Take(8))); break;   // BINBYTES8, BYTEARRAY8
            case (byte)'V': case (byte)'S': PushLine(code); break;
            case (byte)']': PushNew(new PickleList(), 64); break;
            case (byte)'}': PushNew(new PickleDict(), 32); break;
            case 0x8f: PushNew(new PickleSet(), 64); break;
            case (byte)')': Push(Array.Empty<object?>()); break;
            case 0x85: PushTuple(1); break;
            case 0x86: PushTuple(2); break;
            case 0x87: PushTuple(3); break;
            case (byte)'t': PushTuple(Above(PopMark())); break;
            case (byte)'l': Collect(PopMark(), new PickleList()); break;
            case (byte)'d': Collect(PopMark(), new PickleDict()); break;
            case 0x91: Collect(PopMark(), new PickleSet()); break;            // FROZENSET
            case (byte)'a': Append(_stack.Count - 1); break;
            case (byte)'e': case 0x90: Append(PopMark()); break;              // APPENDS, ADDITEMS
            case (byte)'s': SetItems(_stack.Count - 2); break;
            case (byte)'u': SetItems(PopMark()); break;
            case (byte)'q': Put(Byte()); break;
            case (byte)'r': Put(Count(Take(4))); break;
            case (byte)'p': Put(LineIndex()); break;
            case 0x94: Put(_kept); break;                                     // MEMOIZE
            case (byte)'h': Push(Get(Byte())); break;
            case (byte)'j': Push(Get(Count(Take(4)))); break;
            case (byte)'g': Push(Get(LineIndex())); break;
            case (byte)'c': Push(GlobalOfLines()); break;
            case 0x93: StackGlobal(); break;
            case (byte)'R': Reduce(); break;
            case (byte)'b': Build(); break;
            case (byte)'Q': PersistentId(); break;
            default: throw Refused(code);
        }
    }

    CheckpointException Refused(byte code)
    {
        // INST names a class in its text; the others take what GLOBAL has left on the stack, which names itself there.
        if (code == 'i') return PickleGlobal.Refused($"{Line()}.{Line()}");
        string what = code switch
        {
            (byte)'o' => "OBJ", 0x81 => "NEWOBJ", 0x92 => "NEWOBJ_EX", 0x82 => "EXT1", 0x83 => "EXT2", 0x84 => "EXT4",
            (byte)'P' => "PERSID", 0x97 => "NEXT_BUFFER", 0x98 => "READONLY_BUFFER", _ => "",
        };
        return new CheckpointException(CheckpointError.PickleInstruction,
            $"pickle, byte {_at - 1}: "
                + (what.Length > 0 ? $"instruction {what} is not allowed" : $"0x{code:x2} is no instruction"));
    }

    // ---- bytes

    byte Byte()
    {
        if (_at >= _end) throw Short(1);
        return _source.Slice(_at++, 1)[0];
    }

    ReadOnlySpan<byte> Take(int count)
    {
        if (count > _end - _at) throw Short(count);
        ReadOnlySpan<byte> bytes = _source.Slice(_at, count);
        _at += count;
        return bytes;
    }

    void Skip(int count) => Take(count);

    /// <summary>A length of 4 or 8 bytes; more than is left is an error at once.</summary>
    int Count(ReadOnlySpan<byte> bytes)
    {
        ulong count = bytes.Length == 4
            ? BinaryPrimitives.ReadUInt32LittleEndian(bytes)
            : BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return count <= (ulong)(_end - _start) ? (int)count : throw Short(count);
    }

    string Line()
    {
        ReadOnlySpan<byte> rest = _source.Slice(_at, (int)Math.Min(_end - _at, MaxLine + 1));
        int length = rest.IndexOf((byte)'\n');
        if (length < 0) throw rest.Length > MaxLine ? Limit($"a line of more than {MaxLine} bytes") : Short(1);
        _at += length + 1;
        _budget.Charge(32 + 2 * length);
        return Encoding.Latin1.GetString(rest[..length]);
    }

    CheckpointException Short(ulong count) => _end - _start == MaxPickle
        ? Limit($"more than {MaxPickle} bytes")
        : new CheckpointException(CheckpointError.Truncated,
            $"pickle, byte {_at}: it goes on for {count} bytes, {_end - _at} are left");

    CheckpointException Short(int count) => Short((ulong)count);

    CheckpointException Bad(string what) => new(CheckpointError.PickleValue, $"pickle, byte {_at - 1}: {what}");

    CheckpointException Limit(string what) => new(CheckpointError.PickleLimit, $"pickle, byte {_at - 1}: {what}");

    // ---- stack

    void Push(object? value)
    {
        if (_stack.Count == MaxStack) throw Limit($"more than {MaxStack} values on the stack");
        if (_stack.Count == _stack.Capacity) _budget.Charge(16L * Math.Max(4, _stack.Capacity));   // it doubles
        _stack.Add(value);
    }

    void PushNew(object value, int bytes)
    {
        _budget.Charge(bytes);
        Push(value);
    }

    // Values below the last mark are out of reach, as in Python.
    int Floor => _marks.Count > 0 ? _marks[^1] : 0;

    object? Peek() => _stack.Count > Floor ? _stack[^1] : throw Bad("the stack is empty");

    object? Pop()
    {
        object? value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    void Mark()
    {
        if (_marks.Count == MaxMarks) throw Limit($"more than {MaxMarks} marks");
        if (_marks.Count == _marks.Capacity) _budget.Charge(8L * Math.Max(4, _marks.Capacity));
        _marks.Add(_stack.Count);
    }

    int PopMark()
    {
        if (_marks.Count == 0) throw Bad("there is no mark");
        int mark = _marks[^1];
        _marks.RemoveAt(_marks.Count - 1);
        return mark;
    }

    void PopOrMark()
    {
        if (_marks.Count > 0 && _marks[^1] == _stack.Count) PopMark();
        else Pop();
    }

    void Cut(int count) => _stack.RemoveRange(count, _stack.Count - count);

    int Above(int mark) => _stack.Count - mark;

    // ---- memo: indices count up from 0 in every pickle that Python writes

    void Put(int index)
    {
        if (index >= _memo.Length)
        {
            // A pickle of n bytes has less than n puts; an index beyond that is no one's memo.
            if (index >= _end - _start) throw Limit($"memo index {index}");
            int size = Math.Max(index + 1, Math.Max(16, 2 * _memo.Length));
            _budget.Charge(9L * size);
            Array.Resize(ref _memo, size);
            Array.Resize(ref _isKept, size);
        }
        if (!_isKept[index]) _kept++;
        _isKept[index] = true;
        _memo[index] = Peek();
    }

    object? Get(int index) => index < _memo.Length && _isKept[index]
        ? _memo[index]
        : throw Bad($"memo {index} was never written");

    int LineIndex() =>
        int.TryParse(Line(), NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            ? index
            : throw Bad("no memo index");

    void Protocol()
    {
        byte version = Byte();
        if (version > 5) throw Bad($"protocol {version}; known are 0 to 5");
    }

    // ---- plain values

    object Integer(long value)
    {
        if (value is >= 0 and < 1024) return SmallIntegers[value];
        _budget.Charge(24);
        return value;
    }

    object Double(double value)
    {
        _budget.Charge(24);
        return value;
    }

    object LongInteger(int size)
    {
        if (size > MaxIntegerBytes) throw Limit($"an integer of {size} bytes");
        BigInteger value = new(Take(size));
        if (value >= long.MinValue && value <= long.MaxValue) return Integer((long)value);
        _budget.Charge(64 + size);
        return value;
    }

    object DecimalInteger(string line)
    {
        if (line is "00" or "01") return line == "01" ? True : False;   // protocol 0 writes bools so
        if (line.EndsWith('L')) line = line[..^1];
        CultureInfo culture = CultureInfo.InvariantCulture;
        if (!BigInteger.TryParse(line, NumberStyles.AllowLeadingSign, culture, out BigInteger value))
            throw Bad("no integer");
        if (value >= long.MinValue && value <= long.MaxValue) return Integer((long)value);
        _budget.Charge(64 + line.Length);
        return value;
    }

    object DecimalFloat(string line) =>
        double.TryParse(line, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? Double(value)
        : line is "inf" or "-inf" or "nan"
            ? Double(line == "nan" ? double.NaN : line == "inf" ? double.PositiveInfinity : double.NegativeInfinity)
        : throw Bad("no float");

    void PushText(TextKind kind, int length)
    {
        long at = _at;
        Take(length);
        PushNew(new PickleText(kind, _source, at, length, _budget), 64);
    }

    // Protocol 0: a quoted or an escaped line. Escapes are not needed for any tensor's name and not undone.
    void PushLine(byte code)
    {
        long at = _at;
        string line = Line();
        if (line.Contains('\\')) throw Bad("a text with escapes");
        bool isQuoted = code == 'S';
        if (isQuoted && (line.Length < 2 || line[0] is not ('\'' or '"') || line[0] != line[^1]))
            throw Bad("a text without quotes");
        int quotes = isQuoted ? 1 : 0;
        PushNew(new PickleText(TextKind.Unicode, _source, at + quotes, line.Length - 2 * quotes, _budget), 64);
    }

    // ---- containers

    void PushTuple(int count)
    {
        if (Above(Floor) < count) throw Bad("the stack is empty");
        object?[] items = [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stack)[^count..]];
        Cut(_stack.Count - count);
        PushNew(items, 24 + 8 * count);
    }

    void Collect(int mark, object container)
    {
        object?[] items = [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stack)[mark..]];
        Cut(mark);
        _budget.Charge(24 + 8 * items.Length);
        PushNew(container, 64);
        AddAll(container, items);
    }

    void Append(int first)
    {
        if (first < Floor || first < 1 || first - 1 < Floor) throw Bad("nothing to append to");
        object?[] items = [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stack)[first..]];
        Cut(first);
        _budget.Charge(24 + 8 * items.Length);
        object? container = Peek();
        if (container is not (PickleList or PickleSet)) throw Bad($"append to {PickleDict.Name(container)}");
        AddAll(container, items);
    }

    void SetItems(int first)
    {
        if (first - 1 < Floor) throw Bad("nothing to set items of");
        object?[] items = [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_stack)[first..]];
        Cut(first);
        _budget.Charge(24 + 8 * items.Length);
        object? container = Peek();
        if (container is not PickleDict) throw Bad($"set an item of {PickleDict.Name(container)}");
        AddAll(container, items);
    }

    void AddAll(object? container, object?[] items)
    {
        switch (container)
        {
            case PickleList list:
                AddRange(list.Items, items);
                break;
            case PickleSet set:
                AddRange(set.Items, items);
                break;
            case PickleDict dict:
                if (items.Length % 2 != 0) throw Bad("a key without a value");
                _budget.Charge(50L * items.Length + 128);
                for (int i = 0; i < items.Length; i += 2) dict.Set(items[i], items[i + 1]);
                break;
        }
    }
    void AddRange(List<object?> list, object?[] items)
    {
        int size = list.Count + items.Length;
        if (size > list.Capacity)
        {
            size = Math.Max(Math.Max(size, 4), 2 * list.Capacity);
            _budget.Charge(32 + 8L * size);
            list.Capacity = size;
        }
        list.AddRange(items);
    }
}
