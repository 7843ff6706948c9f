// What backward needs to know of a forward pass. Model code states the forward only: each op that is called through a
// layer pushes how its gradient goes back, and Backward runs these from last to first. While it does, memory shrinks
// from both sides: what forward kept for an op is released when its backward is done, and so is the gradient of its
// result. Values are known by their address. An op in place (a bias) passes the gradient on by having the same address.
// Parameters add up their gradients over passes, in memory of their own; activations have theirs for one pass.
using EpSam.Native.Ops;
using EpSam.Native.Runtime;

namespace EpSam.Native.Tensors;

/// <summary>
/// Records a forward pass, or with <c>recording: false</c> only hands out its memory. Not thread-safe.
/// </summary>
/// <param name="arena">Where results, and in backward gradients, are taken.</param>
/// <param name="recording">Keep what backward needs; otherwise results end with their scope.</param>
public sealed class Tape(Arena arena, bool recording)
{
    readonly record struct Node(string Name, Tensor Result, bool InPlace, long Bottom, Action Backward);

    sealed class Gradient(Tensor tensor)
    {
        public readonly Tensor Tensor = tensor;
        public int Owners = 1; // of one buffer: a sum hands its gradient to both of its terms
    }

    readonly Stack<Node> _nodes = new();
    readonly HashSet<ulong> _required = [];
    readonly Dictionary<ulong, Gradient> _gradients = [];
    readonly Dictionary<ulong, Tensor> _parameters = [];
    long _bottom = arena.Bottom; // where the memory of the op that is next to be pushed begins

    /// <summary>Memory of the pass.</summary>
    public Arena Arena => arena;

    /// <summary>The device.</summary>
    public Gpu Gpu => arena.Gpu;

    /// <summary>Backward is possible: results are kept.</summary>
    public bool Recording { get; private set; } = recording;

    /// <summary>A segment runs its forward a second time: what forward counts or updates must stay as it is.</summary>
    public bool Recomputing { get; private set; }

    /// <summary>Called in backward with an op's name and the gradient of its result: the watch for NaN.</summary>
    internal Action<string, Tensor>? Watch { get; set; }

    /// <summary>Called in forward with an op's name and its result, where these are recorded.</summary>
    internal Action<string, Tensor>? WatchResult { get; set; }

    /// <summary>Memory of an op's result: kept for backward when recording, else until the scope's end.</summary>
    public Tensor New(string name, DType type, Shape shape) =>
        Recording ? arena.Keep(name, type, shape) : arena.Take(name, type, shape);

    /// <summary>A parameter is trained: backward adds to <paramref name="gradient"/>, f32 of the same count.</summary>
    public void Train(Tensor parameter, Tensor gradient)
    {
        _parameters[parameter.Address.Value] = gradient;
        Require(parameter);
    }

    /// <summary>Where the gradient of a parameter is added up; null when it is not trained.</summary>
    public Tensor? ParameterGradient(Tensor parameter) =>
        _parameters.TryGetValue(parameter.Address.Value, out Tensor gradient) ? gradient : null;

    /// <summary>A gradient with respect to x is wanted.</summary>
    public void Require(Tensor x) => _required.Add(x.Address.Value);

    /// <summary>Backward has to reach x.</summary>
    public bool Requires(Tensor x) => Recording && _required.Contains(x.Address.Value);

    /// <summary>
    /// An op has made <paramref name="y"/> from <paramref name="inputs"/>, its parameters among them.
    /// <paramref name="backward"/> reads <see cref="GradientOf"/> y and calls <see cref="Accumulate"/> or
    /// <see cref="Share"/> once for each input. Nothing is recorded when no input requires a gradient.
    /// </summary>
    public void Push(string name, Tensor y, Action backward, params ReadOnlySpan<Tensor> inputs)
    {
        bool required = false, inPlace = false;
        foreach (Tensor x in inputs)
        {
            required |= Requires(x);
            inPlace |= x.Address.Value == y.Address.Value;
        }
        if (!required) return;
        if (!Recomputing) WatchResult?.Invoke(name, y);
        Require(y);
        _nodes.Push(new Node(name, y, inPlace, _bottom, backward));
        _bottom = arena.Bottom;
    }

    /// <summary>
    /// A part of the model that keeps its result only: <paramref name="forward"/> writes <paramref name="y"/>, and is
    /// run a second time in backward, where it is recorded.
    /// </summary>
    public void Segment(string name, Tensor y, Action forward, params ReadOnlySpan<Tensor> inputs)
    {
        bool recording = Recording;
        Recording = false;
        try
        {
            using (arena.Scope(name)) forward();
        }
        finally
        {
            Recording = recording;
        }
        Push(name, y, () =>
        {
            int before = _nodes.Count;
            _bottom = arena.Bottom;
            Recomputing = true;
            try
            {
                using (arena.Scope(name)) forward();
            }
            finally
            {
                Recomputing = false;
            }
            Unwind(before);
        }, inputs);
    }

    /// <summary>dy, in backward.</summary>
    public Tensor GradientOf(Tensor y) => _gradients[y.Address.Value].Tensor.Reshape(y.Shape);

    /// <summary>
    /// In backward: <paramref name="write"/> is given memory of x's type and shape and fills all of it. What x had
    /// already is added. Nothing happens when no gradient of x is wanted.
    /// </summary>
    public void Accumulate(Tensor x, Action<Tensor> write)
    {
        if (!Requires(x)) return;
        if (!_gradients.TryGetValue(x.Address.Value, out Gradient? sum))
        {
            Gradient first = new(arena.Lend("gradient", x.DType, x.Shape));
            _gradients.Add(x.Address.Value, first);
            write(first.Tensor);
            return;
        }
        using ArenaScope scope = arena.Scope("accumulate");
        Tensor term = arena.Take("term", x.DType, x.Shape);
        write(term);
        AddTo(x, sum, term);
    }

    /// <summary>
    /// In backward: x has the very gradient of y, as a term of a sum has. Copies nothing where it can.
    /// </summary>
    public void Share(Tensor y, Tensor x)
    {
        if (!Requires(x)) return;
        Gradient dy = _gradients[y.Address.Value];
        if (_gradients.TryGetValue(x.Address.Value, out Gradient? sum))
        {
            AddTo(x, sum, dy.Tensor.Reshape(x.Shape));
            return;
        }
        dy.Owners++;
        _gradients.Add(x.Address.Value, dy);
    }

    /// <summary>
    /// Runs backward. <paramref name="gradient"/> of the same type and shape is that of <paramref name="y"/>; it is
    /// copied. Afterwards the tape is empty, and what forward kept since its start is released.
    /// </summary>
    public void Backward(Tensor y, Tensor gradient) => Backward((y, gradient));

    /// <summary>The same from several results of one pass.</summary>
    public void Backward(params ReadOnlySpan<(Tensor Y, Tensor Gradient)> results)
    {
        foreach ((Tensor y, _) in results)
            if (!Requires(y))
                throw new InvalidOperationException("backward of a result that no trained parameter takes part in");
        try
        {
            using ArenaScope scope = arena.Scope("backward");
            foreach ((Tensor y, Tensor gradient) in results)
                Accumulate(y, d => Elementwise.Copy(Gpu, gradient, d));
            Unwind(0);
        }
        finally
        {
            Clear();
        }
    }

    /// <summary>In tests: the gradient of an input stays where it is until the next call.</summary>
    internal Action<Tensor, Tensor>? Observe { get; set; }

    void Unwind(int until)
    {
        while (_nodes.Count > until)
        {
            Node node = _nodes.Pop();
            if (_gradients.TryGetValue(node.Result.Address.Value, out Gradient? gradient))
            {
                Watch?.Invoke(node.Name, gradient.Tensor);
                using (arena.Scope(node.Name)) node.Backward();
                if (!node.InPlace) Release(node.Result.Address.Value);
            }
            if (!node.InPlace) _required.Remove(node.Result.Address.Value); // its memory may soon be another's
            arena.Rewind(node.Bottom);
            _bottom = node.Bottom;
        }
    }

    // A buffer with another owner must not change: then the sum gets memory of its own.
    void AddTo(Tensor x, Gradient sum, Tensor term)
    {
        if (sum.Owners == 1)
        {
            Elementwise.Add(Gpu, sum.Tensor.Reshape(x.Shape), term.Reshape(x.Shape), sum.Tensor.Reshape(x.Shape));
            return;
        }
        sum.Owners--;
        Gradient own = new(arena.Lend("gradient", x.DType, x.Shape));
        _gradients[x.Address.Value] = own;
        Elementwise.Add(Gpu, sum.Tensor.Reshape(x.Shape), term.Reshape(x.Shape), own.Tensor);
    }

    void Release(ulong address)
    {
        if (!_gradients.Remove(address, out Gradient? gradient)) return;
        if (--gradient.Owners == 0) arena.GiveBack(gradient.Tensor);
    }

    void Clear()
    {
        foreach ((ulong address, Gradient gradient) in _gradients.ToArray())
        {
            Observe?.Invoke(gradient.Tensor with { Address = new(address) }, gradient.Tensor);
            Release(address);
        }
        _nodes.Clear();
        _required.Clear();
        _required.UnionWith(_parameters.Keys);
    }
}
