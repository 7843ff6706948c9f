// All device memory of a run, in one driver allocation that is never followed by another. Two stacks grow towards each
// other: at the bottom what lives on (weights, results, what backward needs), at the top temporaries, which end with
// their scope. Addresses follow from the order of calls alone, so running the same code once on the null provider gives
// the size to the byte (Plan.cs). Gradients are neither: they live from one op's backward to another's, in no order, so
// they are lent from the first gap at the top and given back one by one.
using EpSam.Cuda;
using EpSam.Native.Tensors;

namespace EpSam.Native.Runtime;

/// <summary>What memory is for.</summary>
public enum ArenaUse
{
    /// <summary>Parameters of a model.</summary>
    Weight,
    /// <summary>What lives on: inputs, results, what backward needs.</summary>
    Activation,
    /// <summary>What ends with its scope.</summary>
    Workspace,
}

/// <summary>One named piece of an arena.</summary>
/// <param name="Name">What it holds, with the scopes it was taken in: "blocks.0/attn/qkv".</param>
/// <param name="Use">What it is for.</param>
/// <param name="Bytes">Size, a multiple of the alignment.</param>
/// <param name="Offset">Distance from its end of the arena: the bottom, or for workspace the top.</param>
/// <param name="Born">How many pieces were taken before it.</param>
/// <param name="Died">How many had been taken when it ended; long.MaxValue when it has not.</param>
public readonly record struct ArenaPiece(string Name, ArenaUse Use, long Bytes, long Offset, long Born, long Died)
{
    /// <summary>Alive after piece number <paramref name="step"/> was taken.</summary>
    public bool IsAliveAt(long step) => Born <= step && step < Died;
}

/// <summary>Memory of one Gpu, handed out from both ends. Not thread-safe.</summary>
public sealed unsafe class Arena : IDisposable
{
    /// <summary>
    /// Every piece starts at a multiple of this: what cuMemAlloc guarantees, and a whole number of sectors.
    /// </summary>
    public const int Alignment = 256;

    // cuBLAS's advice is 4 MiB up to sm_86; without ours it would allocate itself
    const long BlasWorkspaceBytes = 8 << 20;

    const int Lent = -1;                      // in place of a scope's depth: ended by GiveBack, not with a scope

    readonly record struct TopPiece(long Offset, long Bytes, int Depth, long Born)
    {
        public long End => Offset + Bytes;
    }

    readonly ulong _base;
    readonly List<ArenaPiece>? _pieces;
    readonly Stack<int> _kept = new();        // indices of living pieces at the bottom, when recording
    readonly List<TopPiece> _temporary = [];  // living pieces at the top by their offset from there
    readonly List<string> _path = [];
    long _bottom, _top, _taken;
    int _scopes;
    bool _disposed;

    /// <summary>Allocates the memory of a plan. Throws CuException when the device has less.</summary>
    public Arena(Gpu gpu, Plan plan) : this(gpu, plan.Peak, false)
    {
    }

    internal Arena(Gpu gpu, long bytes, bool record)
    {
        Gpu = gpu;
        Capacity = Align(bytes);
        _pieces = record ? [] : null;
        CUdeviceptr address;
        gpu.Driver.Check(gpu.Driver.cuMemAlloc_v2(&address, (nuint)Capacity), $"the arena, {Sizes.Text(Capacity)}");
        _base = address.Value;
        gpu.UseBlasWorkspace(Keep("cuBLAS workspace", DType.U8, new Shape(BlasWorkspaceBytes), ArenaUse.Workspace));
    }

    /// <summary>Whose memory this is.</summary>
    public Gpu Gpu { get; }

    /// <summary>Bytes allocated from the driver.</summary>
    public long Capacity { get; }

    /// <summary>Bytes taken now, both ends.</summary>
    public long Used => _bottom + _top;

    /// <summary>The most bytes ever taken.</summary>
    public long Peak { get; private set; }

    internal long PeakStep { get; private set; } // the piece that made the peak

    internal IReadOnlyList<ArenaPiece> Pieces => _pieces ?? [];

    internal List<PlanPhase> Phases { get; } = [];

    internal long Taken => _taken;

    /// <summary>
    /// Takes memory that lives on: until the arena's end, or that of the step it is in. Content is undefined.
    /// </summary>
    public Tensor Keep(string name, DType type, Shape shape, ArenaUse use = ArenaUse.Activation)
    {
        Tensor tensor = new(default, type, shape);
        long bytes = Align(tensor.Bytes);
        Reserve(name, tensor, bytes, bytes);
        tensor = tensor with { Address = new CUdeviceptr(_base + (ulong)_bottom) };
        if (_pieces is not null) _kept.Push(_pieces.Count);
        Record(name, use, bytes, _bottom);
        _bottom += bytes;
        Note();
        return tensor;
    }

    /// <summary>Takes memory that ends with the innermost scope. Content is undefined.</summary>
    public Tensor Take(string name, DType type, Shape shape)
    {
        if (_scopes == 0) throw new InvalidOperationException($"{name}: temporaries are taken inside of a scope");
        return TakeFromTop(name, type, shape, _scopes);
    }

    /// <summary>Takes memory until <see cref="GiveBack"/>, whatever scopes end before. Content is undefined.</summary>
    internal Tensor Lend(string name, DType type, Shape shape) => TakeFromTop(name, type, shape, Lent);

    /// <summary>Ends what <see cref="Lend"/> gave.</summary>
    internal void GiveBack(Tensor tensor)
    {
        long end = Capacity - (long)(tensor.Address.Value - _base);
        int i = _temporary.FindIndex(p => p.End == end && p.Depth == Lent);
        if (i < 0) throw new InvalidOperationException($"{tensor} is given back but was not lent, or twice");
        EndPiece(_temporary[i].Born);
        _temporary.RemoveAt(i);
        _top = TopEnd();
    }

    /// <summary><c>using (arena.Scope("attn")) …</c>: its end gives back the temporaries taken inside.</summary>
    public ArenaScope Scope(string name) => Open(name, false);

    /// <summary>As a scope, and gives back what was kept inside too: one training step, one image.</summary>
    public ArenaScope Step(string name) => Open(name, true);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Gpu.UseBlasWorkspace(null);
        Gpu.Driver.Check(Gpu.Driver.cuMemFree_v2(new CUdeviceptr(_base)), $"the arena, {Sizes.Text(Capacity)}");
    }

    ArenaScope Open(string name, bool bottom)
    {
        _path.Add(name);
        if (_pieces is not null) Phases.Add(new PlanPhase(string.Join('/', _path), _scopes, Used, _taken));
        return new ArenaScope(this, ++_scopes, bottom ? _bottom : -1, Phases.Count - 1);
    }

    internal void Close(int depth, long bottom, int phase)
    {
        if (depth != _scopes) throw new InvalidOperationException($"scope {depth} ends inside of scope {_scopes}");
        _scopes--;
        _path.RemoveAt(_path.Count - 1);
        if (bottom >= 0) Rewind(bottom);
        for (int i = _temporary.Count - 1; i >= 0; i--)
        {
            if (_temporary[i].Depth < depth) continue; // also what is lent
            EndPiece(_temporary[i].Born);
            _temporary.RemoveAt(i);
        }
        _top = TopEnd();
        if (phase >= 0) Phases[phase] = Phases[phase] with { LastStep = _taken };
    }

    Tensor TakeFromTop(string name, DType type, Shape shape, int depth)
    {
        Tensor tensor = new(default, type, shape);
        long bytes = Align(tensor.Bytes);
        int at = 0;
        long offset = 0;
        for (; at < _temporary.Count && _temporary[at].Offset - offset < bytes; at++) offset = _temporary[at].End;
        Reserve(name, tensor, bytes, Math.Max(0, offset + bytes - _top));
        _temporary.Insert(at, new TopPiece(offset, bytes, depth, _taken));
        Record(name, ArenaUse.Workspace, bytes, offset);
        _top = Math.Max(_top, offset + bytes);
        Note();
        return tensor with { Address = new CUdeviceptr(_base + (ulong)(Capacity - offset - bytes)) };
    }

    // Ends what was kept at and above an offset.
    internal void Rewind(long bottom)
    {
        _bottom = bottom;
        while (_kept.TryPeek(out int i) && _pieces![i].Offset >= bottom) EndPiece(_kept.Pop());
    }

    internal long Bottom => _bottom;

    void Reserve(string name, in Tensor tensor, long bytes, long growth)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (growth > Capacity - Used)
            throw new ArenaFullException(
                $"{name} {tensor} needs {Sizes.Text(bytes)}, of the arena's {Sizes.Text(Capacity)} are "
                + $"{Sizes.Text(Capacity - Used)} "
                + (_pieces is null ? "left: what runs is not what was planned" : "left: no plan is that large"));
    }

    void Record(string name, ArenaUse use, long bytes, long offset)
    {
        if (_pieces is not null)
        {
            string full = _path.Count == 0 ? name : string.Join('/', _path) + "/" + name;
            _pieces.Add(new ArenaPiece(full, use, bytes, offset, _taken, long.MaxValue));
        }
        _taken++;
    }

    void Note()
    {
        if (Used > Peak) (Peak, PeakStep) = (Used, _taken - 1);
    }

    void EndPiece(long born)
    {
        if (_pieces is not null) _pieces[(int)born] = _pieces[(int)born] with { Died = _taken };
    }

    long TopEnd() => _temporary.Count == 0 ? 0 : _temporary[^1].End; // they do not overlap: the last one ends last

    static long Align(long bytes) => checked(bytes + Alignment - 1) / Alignment * Alignment;
}

/// <summary>The part of a run whose temporaries end together. Scopes end in the reverse order of their start.</summary>
public readonly struct ArenaScope : IDisposable
{
    readonly Arena _arena;
    readonly int _depth, _phase;
    readonly long _bottom;

    internal ArenaScope(Arena arena, int depth, long bottom, int phase) =>
        (_arena, _depth, _bottom, _phase) = (arena, depth, bottom, phase);

    /// <summary>Gives back what was taken inside.</summary>
    public void Dispose() => _arena.Close(_depth, _bottom, _phase);
}

/// <summary>More memory was asked of an arena than its plan foresaw.</summary>
public sealed class ArenaFullException(string message) : Exception(message);
