// The parameters of a model: layers declare them by their state-dict names while the model is made, which places them
// in the arena; Load fills them from a source, so that planning needs no weights. Matrices are kept in the model's
// type, biases, norms and positional tables in f32. Those that are trained lie one behind the other in f32, and for a
// model in bf16 once more in bf16: matrices are multiplied in bf16 and trained in f32.
using System.Runtime.InteropServices;
using EpSam.Native.Checkpoints;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>Makes values of one shape from values of another: (values, their shape, wanted shape).</summary>
public delegate float[] Refit(float[] values, Shape from, Shape to);

/// <summary>Declared parameters of a model and where they lie.</summary>
/// <param name="arena">Where they are kept.</param>
/// <param name="type">Type of the matrices, f32 or bf16: the precision of the model.</param>
/// <param name="trained">Those that will be trained, if any.</param>
public sealed class Parameters(Arena arena, DType type, TrainedLayout? trained = null)
{
    // Stored: the axes that sources have.
    readonly record struct Entry(Tensor Tensor, Shape Stored, Refit? Refit, Tensor? Master);

    readonly OrderedDictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>Where trained parameters lie in the flat buffers; null when none are trained.</summary>
    public TrainedLayout? Trained => trained;

    /// <summary>The trained parameters (n) f32, zero where they leave gaps.</summary>
    public Tensor? Masters { get; } = Flat(arena, "trained parameters", DType.F32, trained);

    /// <summary>What a model in bf16 multiplies with instead (n); null in f32.</summary>
    public Tensor? Copies { get; } =
        Flat(arena, "trained parameters in bf16", DType.BF16, type == DType.BF16 ? trained : null);

    /// <summary>The model's precision.</summary>
    public DType Type => type;

    /// <summary>Names and tensors in the order of their declaration.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> All =>
        _entries.Select(e => KeyValuePair.Create(e.Key, e.Value.Tensor));

    /// <summary>Names in the order of their declaration and the shapes that sources have.</summary>
    public IEnumerable<KeyValuePair<string, Shape>> Stored =>
        _entries.Select(e => KeyValuePair.Create(e.Key, e.Value.Stored));

    /// <summary>A parameter of the model's type: what is multiplied with.</summary>
    public Tensor Matrix(string name, params ReadOnlySpan<long> shape) => Declare(name, type, new Shape(shape), null);

    /// <summary>
    /// A convolution's weight, of the model's type: (N, KH, KW, C) here, (N, C, KH, KW) in sources and when it is read.
    /// </summary>
    public Tensor Kernel(string name, long n, long c, long kh, long kw) =>
        Declare(name, type, new Shape(n, kh, kw, c), null, new Shape(n, c, kh, kw));

    /// <summary>A parameter that stays f32: biases, norms.</summary>
    public Tensor Vector(string name, params ReadOnlySpan<long> shape) =>
        Declare(name, DType.F32, new Shape(shape), null);

    /// <summary>A table that stays f32; one of another size in the source is resampled.</summary>
    public Tensor Table(string name, Refit refit, params ReadOnlySpan<long> shape) =>
        Declare(name, DType.F32, new Shape(shape), refit);

    /// <summary>
    /// What a source lacks, has too much, or has in another shape; tables that would be resampled fit.
    /// </summary>
    /// <param name="source">A checkpoint.</param>
    /// <param name="isOptional">Names that may be there unasked.</param>
    public KeyComparison Compare(IParameterSource source, Func<string, bool>? isOptional = null) =>
        KeyComparison.Of(Stored, source, isOptional,
            (name, found, wanted) => _entries[name].Refit is not null && CanRefit(found, wanted));

    /// <summary>
    /// Copies all parameters to the device. The source may have more than these. Throws
    /// <see cref="CheckpointException"/>, and has changed nothing, when one is missing or of another shape.
    /// </summary>
    /// <param name="source">Where they come from.</param>
    /// <param name="isWanted">By name; the others stay as they are. Null: all.</param>
    public void Load(IParameterSource source, Func<string, bool>? isWanted = null)
    {
        bool Wanted(string name) => isWanted?.Invoke(name) ?? true;
        Compare(source, name => !_entries.ContainsKey(name) || !Wanted(name))
            .Require("the parameters do not fit the model");
        float[] values = [];
        byte[] bytes = [];
        foreach ((string name, Entry entry) in _entries)
        {
            if (!Wanted(name)) continue;
            source.TryGetShape(name, out Shape stored);
            int count = checked((int)stored.Count);
            if (values.Length < count) values = new float[count];
            source.Read(name, values.AsSpan(0, count));
            Span<float> fitting = stored != entry.Stored ? entry.Refit!(values[..count], stored, entry.Stored)
                : entry.Stored == entry.Tensor.Shape ? values.AsSpan(0, count)
                : Turned(values.AsSpan(0, count), (int)stored[0], (int)stored[1]);
            if (entry.Master is Tensor master) arena.Gpu.Upload(MemoryMarshal.AsBytes(fitting), master);
            if (entry.Tensor.DType == DType.F32)
            {
                if (entry.Master is null) arena.Gpu.Upload(MemoryMarshal.AsBytes(fitting), entry.Tensor);
                continue;
            }
            if (bytes.Length < 2 * count) bytes = new byte[2 * count];
            ToBF16(fitting, MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan(0, 2 * count)));
            arena.Gpu.Upload(bytes.AsSpan(0, 2 * count), entry.Tensor);
        }
    }

    /// <summary>
    /// Copies a parameter from the device, with its axes as sources have them; of a trained one the f32 values.
    /// </summary>
    public void Read(string name, Span<float> values)
    {
        Entry entry = _entries[name];
        Download(entry, values);
        if (entry.Stored == entry.Tensor.Shape) return;
        int c = (int)entry.Stored[1];
        Turned(values, (int)entry.Stored[0], values.Length / (int)entry.Stored[0] / c).CopyTo(values);
    }

    void Download(in Entry entry, Span<float> values)
    {
        Tensor tensor = entry.Master ?? entry.Tensor;
        if (tensor.DType == DType.F32)
        {
            arena.Gpu.Download(tensor, MemoryMarshal.AsBytes(values));
            return;
        }
        byte[] bytes = new byte[tensor.Bytes];
        arena.Gpu.Download(tensor, bytes);
        ElementTypes.ToFloats(ElementType.BF16, bytes, values);
    }

    // (batches, rows, columns) to (batches, columns, rows).
    static float[] Turned(ReadOnlySpan<float> values, int batches, int rows)
    {
        float[] turned = new float[values.Length];
        int columns = values.Length / batches / rows, at = 0;
        for (int batch = 0; batch < batches; batch++)
        {
            for (int column = 0; column < columns; column++)
                for (int row = 0; row < rows; row++)
                    turned[at++] = values[(batch * rows + row) * columns + column];
        }
        return turned;
    }

    Tensor Declare(string name, DType dtype, Shape shape, Refit? refit, Shape? stored = null)
    {
        if (_entries.ContainsKey(name)) throw new ArgumentException($"the parameter {name} is declared twice");
        Tensor? master = null;
        Tensor tensor;
        if (trained?.Find(name) is TrainedRange range)
        {
            if (range.Shape != shape)
                throw new ArgumentException($"{name} {shape} has shape {range.Shape} in the layout of training");
            master = TrainedLayout.Part(Masters!.Value, range);
            tensor = dtype == DType.F32 ? master.Value : TrainedLayout.Part(Copies!.Value, range);
        }
        else
        {
            tensor = arena.Keep(name, dtype, shape, ArenaUse.Weight);
        }
        _entries.Add(name, new Entry(tensor, stored ?? shape, refit, master));
        return tensor;
    }

    static Tensor? Flat(Arena arena, string name, DType type, TrainedLayout? layout)
    {
        if (layout is null) return null;
        Tensor flat = arena.Keep(name, type, new Shape(layout.Count), ArenaUse.Weight);
        arena.Gpu.Clear(flat);
        return flat;
    }

    // Positions may be more or fewer; their channels may not.
    static bool CanRefit(Shape from, Shape to) =>
        from.Rank == to.Rank && from.Count is > 0 and <= int.MaxValue && from[^1] == to[^1]
        && (from.Rank == 2 || from[0] == to[0]);

    internal static void ToBF16(ReadOnlySpan<float> from, Span<ushort> to) // nearest, ties to even; NaN stays one
    {
        for (int i = 0; i < from.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(from[i]);
            to[i] = float.IsNaN(from[i]) ? (ushort)0x7fc0 : (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        }
    }
}
