// Adam or AdamW over the trained parameters of a model: gradients and both moments in flat buffers of the parameters'
// layout. Gradients of several batches add up until the next step, which leaves them zero. A parameter that has had no
// gradient can be left out of a step, as PyTorch leaves out those whose grad is None: it is not decayed either, and its
// bias correction does not move on.
using System.Runtime.InteropServices;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>The optimiser of a model. Not thread-safe.</summary>
public sealed class Optimizer
{
    readonly Arena _arena;
    readonly AdamOptions _options;
    readonly float? _maxNorm;
    readonly Tensor? _norm;

    /// <summary>Takes the memory. The model has been made: all trained parameters are declared.</summary>
    /// <param name="arena">Where gradients and moments are kept.</param>
    /// <param name="parameters">Made with a <see cref="TrainedLayout"/>.</param>
    /// <param name="options">Decay and betas.</param>
    /// <param name="maxNorm">Gradients are scaled down to this norm when theirs is larger; null leaves them.</param>
    public Optimizer(Arena arena, Parameters parameters, AdamOptions options, double? maxNorm = null)
    {
        Layout = parameters.Trained ?? throw new ArgumentException("these parameters were made without a layout");
        HashSet<string> declared = [.. parameters.All.Select(p => p.Key)];
        if (Layout.Ranges.FirstOrDefault(r => !declared.Contains(r.Name)) is TrainedRange missing)
            throw new ArgumentException($"{missing.Name} is in the layout of training but was not declared");
        (_arena, _options, _maxNorm, Parameters) = (arena, options, (float?)maxNorm, parameters);
        Shape shape = new(Layout.Count);
        Gradients = arena.Keep("gradients", DType.F32, shape);
        FirstMoments = arena.Keep("first moments", DType.F32, shape);
        SecondMoments = arena.Keep("second moments", DType.F32, shape);
        if (maxNorm is not null) _norm = arena.Keep("gradient norm", DType.F32, new Shape(2));
        Steps = new long[Layout.Ranges.Count];
        Reset();
    }

    /// <summary>What is trained.</summary>
    public Parameters Parameters { get; }

    /// <summary>The layout of all buffers.</summary>
    public TrainedLayout Layout { get; }

    /// <summary>All gradients (n) f32; zero where parameters leave gaps.</summary>
    public Tensor Gradients { get; }

    /// <summary>Moving means of the gradients (n) f32.</summary>
    public Tensor FirstMoments { get; }

    /// <summary>Moving means of the squared gradients (n) f32.</summary>
    public Tensor SecondMoments { get; }

    /// <summary>How many steps each parameter has taken part in.</summary>
    public long[] Steps { get; }

    /// <summary>Tells a tape where the gradients of the trained parameters are added up.</summary>
    public void Register(Tape tape)
    {
        foreach ((string name, Tensor tensor) in Parameters.All)
        {
            if (Layout.Find(name) is TrainedRange range) tape.Train(tensor, TrainedLayout.Part(Gradients, range));
        }
    }

    /// <summary>Begins anew: gradients, moments and steps are zero.</summary>
    public void Reset()
    {
        ClearGradients();
        _arena.Gpu.Clear(FirstMoments);
        _arena.Gpu.Clear(SecondMoments);
        Steps.AsSpan().Clear();
    }

    /// <summary>Forgets the gradients: of a batch that is not to count.</summary>
    public void ClearGradients() => _arena.Gpu.Clear(Gradients);

    /// <summary>
    /// One step; afterwards the gradients are zero. Does not synchronise.
    /// </summary>
    /// <param name="rate">Learning rate.</param>
    /// <param name="isLeftOut">Names of parameters that have had no gradient; null: all have.</param>
    public void Step(double rate, Func<string, bool>? isLeftOut = null)
    {
        Tensor? scale = null;
        if (_norm is Tensor norm)
        {
            using ArenaScope scope = _arena.Scope("gradient norm");
            Tensor parts = _arena.Take("parts", DType.F32, new Shape(Reduce.Parts(Layout.Count)));
            GradNorm.Forward(_arena.Gpu, Gradients, _maxNorm!.Value, parts, norm);
            scale = new Tensor(new(norm.Address.Value + sizeof(float)), DType.F32, new Shape(1));
        }
        IList<TrainedRange> ranges = Layout.Ranges;
        for (int i = 0; i < ranges.Count;)
        {
            if (isLeftOut?.Invoke(ranges[i].Name) == true)
            {
                i++;
                continue;
            }
            int first = i;
            long step = ++Steps[i++];
            while (i < ranges.Count && Steps[i] == step - 1 && isLeftOut?.Invoke(ranges[i].Name) != true) Steps[i++]++;
            Update(ranges[first].First, ranges[i - 1].End, rate, step, scale);
        }
    }

    /// <summary>The gradients' norm of the last step, before they were scaled. Synchronises.</summary>
    public float ReadNorm()
    {
        Tensor norm = _norm ?? throw new InvalidOperationException("the norm is only known with a maxNorm");
        Span<float> values = stackalloc float[2];
        _arena.Gpu.Download(norm, MemoryMarshal.AsBytes(values));
        return values[0];
    }

    void Update(long first, long end, double rate, long step, Tensor? scale)
    {
        TrainedRange span = new("", new Shape(end - first), first);
        Tensor Part(Tensor flat) => TrainedLayout.Part(flat, span);
        Tensor? copy = Parameters.Copies is Tensor copies ? Part(copies) : null;
        Adam.Step(_arena.Gpu, Part(Gradients), scale, _options, rate, step, Part(Parameters.Masters!.Value),
            Part(FirstMoments), Part(SecondMoments), copy);
    }
}
