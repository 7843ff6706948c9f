// Training of the patch classifier on one device: model, gradients, moments, a batch of images and one pass over it, in
// one arena whose size was known before. The same code is the rehearsal that the plan is made with. What the data are,
// in which order they come and when training ends is the caller's.
using System.Runtime.InteropServices;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>How the patch classifier is trained; the defaults are EP-SAM's.</summary>
public sealed record ClassifierTrainerOptions
{
    /// <summary>Most images of a pass.</summary>
    public int Batch { get; init; } = 16;
    /// <summary>Height and width of the images.</summary>
    public int Size { get; init; } = 512;
    /// <summary>F32, or BF16: what is multiplied. Sums, norms, gradients of parameters and moments stay f32.</summary>
    public DType Precision { get; init; } = DType.F32;
    /// <summary>Adam's decay and betas.</summary>
    public AdamOptions Adam { get; init; } = new(WeightDecay: 1e-3);
    /// <summary>Gradients are scaled down to this norm; null: never.</summary>
    public double? MaxNorm { get; init; }
    /// <summary>Most device memory; null: no limit.</summary>
    public long? MemoryBudget { get; init; }
    /// <summary>
    /// Stop where NaN or infinities come up, and name the op. Costs a count over the gradients: the op is searched for
    /// in a second pass over the batch, when there is something to be found.
    /// </summary>
    public bool Watch { get; init; } = true;

    /// <summary>U8; in tests F32 in 0..1.</summary>
    internal DType Images { get; init; } = DType.U8;

    internal void Check()
    {
        if (Batch < 1) throw new ArgumentException($"a batch is one image or more, got {Batch}");
        // below, the last stage has one position: of one image there is nothing for BatchNorm to take statistics of
        if (Size < 17) throw new ArgumentException($"images have sides of 17 or more, got {Size}");
        if (Precision is not (DType.F32 or DType.BF16))
            throw new ArgumentException($"the classifier is trained in f32 or bf16, got {Precision.Name()}");
    }
}

/// <summary>The patch classifier in training. It owns its device memory. Not thread-safe.</summary>
public sealed class ClassifierTrainer : IDisposable
{
    const string BatchesName = "model.batches";

    readonly Gpu _gpu;
    readonly Arena _arena;
    readonly ClassifierNetwork _network;
    readonly TrainingState _state;

    /// <summary>
    /// Plans and allocates. Parameters are undefined until <see cref="Load(IParameterSource)"/> or
    /// <see cref="LoadState"/>.
    /// </summary>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    /// <exception cref="ArgumentException">A size is impossible.</exception>
    public ClassifierTrainer(Gpu gpu, ResNetAdlConfig config, ClassifierTrainerOptions? options = null)
    {
        Options = options ?? new();
        Plan = PlanOf(config, Options);
        if (Options.MemoryBudget is long budget) Plan.Require(budget, Alternatives(config, Options));
        TrainedLayout layout = LayoutOf(config);
        gpu.MakeCurrent();
        _gpu = gpu;
        _arena = new Arena(gpu, Plan);
        try
        {
            _network = new ClassifierNetwork(_arena, config, Options, layout);
            _state = new TrainingState(gpu, _network.Optimizer, name => !ResNetAdl.IsTrained(name));
        }
        catch
        {
            _arena.Dispose();
            throw;
        }
    }

    /// <summary>How it trains.</summary>
    public ClassifierTrainerOptions Options { get; }

    /// <summary>The model's sizes.</summary>
    public ResNetAdlConfig Config => _network.Model.Config;

    /// <summary>Its memory.</summary>
    public Plan Plan { get; }

    /// <summary>The most device memory that was in use so far; never more than the plan's peak.</summary>
    public long MeasuredPeak => _arena.Peak;

    /// <summary>Coins that <see cref="Step"/> needs, one for each ADL layer: true with the model's drop rate.</summary>
    public int Coins => _network.Model.AdlLayers;

    /// <summary>How often parameters have been updated.</summary>
    public long Updates => _network.Optimizer.Steps[0];

    /// <summary>In tests: parameters, gradients, moments.</summary>
    internal Optimizer Optimizer => _network.Optimizer;

    internal Gpu Gpu => _gpu;

    /// <summary>In tests: the model that is trained.</summary>
    internal ResNetAdl Model => _network.Model;

    /// <summary>The memory that training would take: a pass forward and back, an update, an evaluation.</summary>
    public static Plan PlanOf(ResNetAdlConfig config, ClassifierTrainerOptions options)
    {
        config.Check();
        options.Check();
        if (config.Classes != 1) throw new ArgumentException($"training is of one class, got {config.Classes}");
        TrainedLayout layout = LayoutOf(config);
        return Plan.Of(arena => new ClassifierNetwork(arena, config, options, layout).Rehearse());
    }

    /// <summary>
    /// What needs less memory, the best first: more of the pass computed again, smaller batches, then bf16.
    /// </summary>
    public static IEnumerable<(string What, Func<Plan> Plan)> Alternatives(
        ResNetAdlConfig config, ClassifierTrainerOptions options)
    {
        foreach (DType precision in options.Precision == DType.BF16 ? [DType.BF16] : new[] { DType.F32, DType.BF16 })
        {
            for (int batch = options.Batch; batch >= 1; batch /= 2)
            {
                foreach (Recompute recompute in new[] { Recompute.Norms, Recompute.Large, Recompute.Blocks })
                {
                    if (recompute < config.Recompute) continue;
                    ResNetAdlConfig model = config with { Recompute = recompute };
                    ClassifierTrainerOptions smaller = options with { Precision = precision, Batch = batch };
                    if (model == config && smaller == options) continue;
                    yield return (Named(config, model, options, smaller), () => PlanOf(model, smaller));
                }
            }
        }
    }

    /// <summary>Takes parameters and running statistics by EP-SAM's names; moments and steps begin anew.</summary>
    /// <exception cref="CheckpointException">One is missing or of another shape; nothing has changed.</exception>
    public void Load(IParameterSource source)
    {
        _network.Model.Load(source);
        _network.Optimizer.Reset();
    }

    /// <summary>The same from a checkpoint: safetensors, .pth.</summary>
    public void Load(string path)
    {
        using StateDict file = Checkpoint.Open(path);
        Load(new CheckpointParameters(file));
    }

    /// <summary>Writes a checkpoint with EP-SAM's names: safetensors, f32.</summary>
    public void Save(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        _network.Model.Save(path);
    }

    /// <summary>
    /// One pass forward and back: adds to the gradients and gives the mean loss (binary cross entropy of the logits).
    /// </summary>
    /// <param name="images">(n, Size, Size, 3) RGB; n is the number of labels, at most <c>Batch</c>.</param>
    /// <param name="labels">0 or 1 of each image, or between.</param>
    /// <param name="drops">For each ADL layer whether it drops or weighs.</param>
    /// <param name="scale">Of the gradients: a share, where several passes make one update.</param>
    /// <exception cref="NonFiniteException">
    /// There is NaN: parameters are as they were, running statistics are not. Load a state to go on.
    /// </exception>
    public float Step(ReadOnlySpan<byte> images, ReadOnlySpan<float> labels, IReadOnlyList<bool> drops, float scale = 1)
    {
        _network.Fill(images, labels);
        return _network.Step(labels.Length, drops, scale, Updates + 1);
    }

    /// <summary>Updates the parameters with the gradients that have added up, which are then zero.</summary>
    public void Update(double rate) => _network.Optimizer.Step(rate);

    /// <summary>Forgets the gradients of passes that are not to count.</summary>
    public void ClearGradients() => _network.Optimizer.ClearGradients();

    /// <summary>Logits of images in evaluation: (n, Size, Size, 3) RGB, n at most <c>Batch</c>.</summary>
    public float[] Evaluate(ReadOnlySpan<byte> images)
    {
        _network.Fill(images, []);
        return _network.Evaluate(_network.Count(images));
    }

    /// <summary>
    /// Saves parameters, moments and running statistics with the values given: what training is resumed from. Not
    /// between a pass and its update: gradients are not part of it.
    /// </summary>
    public void SaveState(string path, StateValues values)
    {
        values.Set(BatchesName, _network.Model.Batches);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        _state.Save(path, values);
    }

    /// <summary>Brings a saved state back, bit for bit, and gives the values.</summary>
    /// <exception cref="CheckpointException">The file is damaged or of another model; nothing has changed.</exception>
    public StateValues LoadState(string path)
    {
        StateValues values = _state.Load(path);
        _network.Model.Batches = values.Long(BatchesName);
        _network.Optimizer.ClearGradients();
        return values;
    }

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        _gpu.MakeCurrent();
        _arena.Dispose();
    }

    static TrainedLayout LayoutOf(ResNetAdlConfig config) =>
        TrainedLayout.Of(p => _ = new ResNetAdl(config, p), ResNetAdl.IsTrained);

    static string Named(ResNetAdlConfig config, ResNetAdlConfig model, ClassifierTrainerOptions options,
        ClassifierTrainerOptions smaller)
    {
        List<string> parts = [];
        if (smaller.Precision != options.Precision) parts.Add($"precision {smaller.Precision.Name()}");
        if (smaller.Batch != options.Batch) parts.Add($"batch {smaller.Batch}");
        if (model.Recompute != config.Recompute)
            parts.Add($"recompute {model.Recompute.ToString().ToLowerInvariant()}");
        return string.Join(" with ", parts);
    }
}

/// <summary>The device side of training: all that runs, and the rehearsal that it is planned with.</summary>
internal sealed class ClassifierNetwork
{
    readonly Arena _arena;
    readonly ClassifierTrainerOptions _options;
    readonly Tape _training, _evaluation;
    readonly Tensor _images, _labels, _loss, _notFinite;
    readonly FiniteWatch _watch;

    public ClassifierNetwork(Arena arena, ResNetAdlConfig config, ClassifierTrainerOptions options,
        TrainedLayout layout)
    {
        (_arena, _options) = (arena, options);
        Parameters parameters = new(arena, options.Precision, layout);
        Model = new(config, parameters);
        Optimizer = new(arena, parameters, options.Adam, options.MaxNorm);
        _images = arena.Keep("images", options.Images, new(options.Batch, options.Size, options.Size, 3));
        _labels = arena.Keep("labels", DType.F32, new(options.Batch, config.Classes));
        _loss = arena.Keep("loss", DType.F32, new(1));
        _notFinite = arena.Keep("gradients that are NaN", DType.I32, new(1));
        _watch = new(arena);
        _training = new(arena, recording: true); // knows what to give back from here on
        _evaluation = new(arena, recording: false);
        Optimizer.Register(_training);
    }

    public ResNetAdl Model { get; }

    public Optimizer Optimizer { get; }

    public void Rehearse()
    {
        Pass(_options.Batch, new bool[Model.AdlLayers], 1);
        Optimizer.Step(1);
        Evaluate(_options.Batch);
    }

    /// <summary>Number of images; throws when it is none, too many, or no number.</summary>
    public int Count(ReadOnlySpan<byte> images)
    {
        long each = _images.Bytes / _options.Batch;
        if (images.Length % each != 0 || images.IsEmpty || images.Length > _images.Bytes)
        {
            throw new ArgumentException($"1 to {_options.Batch} images of {_options.Size} x {_options.Size} x 3 were "
                + $"expected, {each} bytes each, got {images.Length} bytes");
        }
        return (int)(images.Length / each);
    }

    /// <summary>Brings images to the device, and their labels if there are any.</summary>
    public void Fill(ReadOnlySpan<byte> images, ReadOnlySpan<float> labels)
    {
        int n = Count(images);
        _arena.Gpu.Upload(images, First(_images, n));
        if (labels.IsEmpty) return;
        if (labels.Length != n) throw new ArgumentException($"{labels.Length} labels for {n} images");
        _arena.Gpu.Upload(MemoryMarshal.AsBytes(labels), First(_labels, n));
    }

    public float Step(int n, IReadOnlyList<bool> drops, float scale, long step)
    {
        float loss = Pass(n, drops, scale);
        if (!_options.Watch) return loss;
        Gpu gpu = _arena.Gpu;
        gpu.Clear(_notFinite);
        NonFinite.Count(gpu, Optimizer.Gradients, _notFinite, 0);
        int count = 0;
        gpu.Download(_notFinite, MemoryMarshal.AsBytes(new Span<int>(ref count)));
        if (count != 0 || !float.IsFinite(loss)) Find(n, drops, scale, step);
        return loss;
    }

    public float[] Evaluate(int n)
    {
        using ArenaScope scope = _arena.Step("evaluation");
        Tensor logits = Model.Forward(_evaluation, Model.Input(_evaluation, First(_images, n)));
        float[] values = new float[logits.Shape.Count];
        _arena.Gpu.Download(logits, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    float Pass(int n, IReadOnlyList<bool> drops, float scale)
    {
        Gpu gpu = _arena.Gpu;
        using ArenaScope scope = _arena.Step("pass");
        Tensor logits = Model.Forward(_training, Model.Input(_training, First(_images, n)), drops);
        Model.Observe?.Invoke("logits", logits);
        Tensor labels = First(_labels, n);
        Bce.Forward(gpu, logits, labels, _loss);
        Tensor gradient = _arena.Take("gradient of logits", DType.F32, logits.Shape);
        Bce.Backward(gpu, logits, labels, scale, gradient);
        _training.Backward(logits, gradient);
        float loss = 0;
        gpu.Download(_loss, MemoryMarshal.AsBytes(new Span<float>(ref loss)));
        return loss;
    }

    // The same pass has the same bits: this time every op is watched.
    void Find(int n, IReadOnlyList<bool> drops, float scale, long step)
    {
        Optimizer.ClearGradients();
        _watch.Attach(_training);
        try
        {
            Pass(n, drops, scale);
            foreach (TrainedRange range in Optimizer.Layout.Ranges)
                _watch.Count($"gradient of {range.Name}", TrainedLayout.Part(Optimizer.Gradients, range));
            _watch.Check(step);
        }
        finally
        {
            Optimizer.ClearGradients();
            (_training.Watch, _training.WatchResult) = (null, null);
        }
        throw new NonFiniteException("sum of gradients", step, 1, 0); // of several passes, each without one
    }

    static Tensor First(Tensor all, int n) => all with
    {
        Shape = all.Shape.Rank == 2 ? new(n, all.Shape[1]) : new(n, all.Shape[1], all.Shape[2], all.Shape[3]),
    };
}
