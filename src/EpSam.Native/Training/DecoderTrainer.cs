// Training of SAM's mask decoder as EP-SAM does it (segment_anything/utils/sam_trainer.py): image encoder and prompt
// encoder are frozen, an image's prompt is points inside of its mask, the loss is Dice + IoU of sigmoid(logits) at the
// image's own size. The reference takes a batch's images one by one; here those with as many points go together, with
// the same result. What it takes of the device is planned before and allocated once.
using System.Runtime.InteropServices;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>How a <see cref="DecoderTrainer"/> runs, and what its memory is planned for.</summary>
public sealed record DecoderTrainerOptions
{
    /// <summary>Most images of a step.</summary>
    public int Batch { get; init; } = 4;

    /// <summary>Most points of an image.</summary>
    public int Points { get; init; } = 50;

    /// <summary>What is multiplied, f32 or bf16; trained values, gradients and moments are f32 in both.</summary>
    public DType Precision { get; init; } = DType.F32;

    /// <summary>AdamW as EP-SAM has it.</summary>
    public AdamOptions Adam { get; init; } = new(WeightDecay: 1e-2, Decoupled: true);

    /// <summary>Gradients are scaled down to this norm; null: never.</summary>
    public double? MaxNorm { get; init; }

    /// <summary>Weight of the pixels' mean cross entropy beside Dice and IoU; it shows in gradients only.</summary>
    public double CrossEntropy { get; init; }

    /// <summary>Pixels of the largest image.</summary>
    public int MostPixels { get; init; } = 512 * 512;

    /// <summary>Rows and columns together of the image that has most of them.</summary>
    public int MostSides { get; init; } = 1024;

    /// <summary>Most bytes of device memory; null: no limit.</summary>
    public long? MemoryBudget { get; init; }

    /// <summary>Points keep the image's coordinates though it is enlarged to the model's frame: EP-SAM's.</summary>
    public bool UnscaledPoints { get; init; }

    /// <summary>Weight decay acts on the hyper-networks of the masks that are not used, as in EP-SAM.</summary>
    public bool DecayUnused { get; init; }

    /// <summary>Embeddings keep the model's precision; else they are rounded to fp16.</summary>
    public bool PreciseEmbeddings { get; init; }

    /// <summary>The same with room for images of these sizes.</summary>
    public DecoderTrainerOptions For(IEnumerable<(int Height, int Width)> images)
    {
        (int pixels, int sides) = (1, 2);
        foreach ((int height, int width) in images)
            (pixels, sides) = (Math.Max(pixels, checked(height * width)), Math.Max(sides, height + width));
        return this with { MostPixels = pixels, MostSides = sides };
    }

    /// <summary>Throws ArgumentException naming the first value that is impossible.</summary>
    public void Check()
    {
        if (Precision is not (DType.F32 or DType.BF16))
            throw new ArgumentException($"{nameof(Precision)} must be f32 or bf16, got {Precision.Name()}");
        foreach ((string name, int value, int most) in new[]
        {
            (nameof(Batch), Batch, 4096), (nameof(Points), Points, 4096),
            (nameof(MostPixels), MostPixels, int.MaxValue / 4), (nameof(MostSides), MostSides, SamMasks.MostSides),
        })
        {
            if (value < 1 || value > most) throw new ArgumentException($"{name} must be 1 to {most}, got {value}");
        }
    }
}

/// <summary>An image to learn from, or to be judged on.</summary>
/// <param name="Embedding">As <see cref="DecoderTrainer.Encode"/> gives it.</param>
/// <param name="Points">Pixels (x, y) of the image, at least one.</param>
/// <param name="Mask">What it should give, (height, width), any value but 0 for set.</param>
/// <param name="Height">Rows of the image.</param>
/// <param name="Width">Its columns.</param>
public sealed record DecoderItem(byte[] Embedding, IReadOnlyList<(int X, int Y)> Points, byte[] Mask, int Height,
    int Width);

/// <summary>Losses of an image, or their means, and Dice and IoU of its mask.</summary>
public readonly record struct MaskScores(double DiceLoss, double IoULoss, double Dice, double IoU)
{
    /// <summary>What training makes small.</summary>
    public double Loss => DiceLoss + IoULoss;
}

/// <summary>
/// Trains a mask decoder. It owns its device memory: dispose it before the Gpu. Not thread-safe. Deterministic: the
/// same calls give the same bits.
/// </summary>
public sealed class DecoderTrainer : IDisposable
{
    const string Decoder = "mask_decoder.", Quality = Decoder + "iou_prediction_head.";
    const string HyperNetworks = Decoder + "output_hypernetworks_mlps.", Used = HyperNetworks + "0.";
    const int Scores = 4;

    readonly Arena _arena;
    readonly DecoderNetwork _network;
    long _steps;

    DecoderTrainer(Gpu gpu, SamConfig config, DecoderTrainerOptions options, Plan plan, IParameterSource source)
    {
        (Config, Options, Plan) = (config, options, plan);
        gpu.MakeCurrent();
        _arena = new Arena(gpu, plan);
        try
        {
            _network = new DecoderNetwork(_arena, config, options, Layout(config));
            _network.Load(source, null);
        }
        catch
        {
            _arena.Dispose();
            throw;
        }
    }

    /// <summary>The sizes.</summary>
    public SamConfig Config { get; }

    /// <summary>How it runs.</summary>
    public DecoderTrainerOptions Options { get; }

    /// <summary>Its memory.</summary>
    public Plan Plan { get; }

    /// <summary>The most device memory that was in use so far; never more than the plan's peak.</summary>
    public long MeasuredPeak => _arena.Peak;

    /// <summary>Bytes of an embedding.</summary>
    public int EmbeddingBytes => _network.EmbeddingCount * (Options.PreciseEmbeddings ? sizeof(float) : 2);

    /// <summary>Opens a checkpoint of a whole SAM (safetensors, .pth), plans, allocates, loads.</summary>
    /// <param name="gpu">Where it runs.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="options">How it runs; null: the defaults.</param>
    /// <param name="config">The sizes; null: what the checkpoint's shapes tell, with 8 heads in the decoder.</param>
    /// <exception cref="CheckpointException">The file is damaged, or its tensors are not this model's.</exception>
    /// <exception cref="SamConfigException">The sizes are impossible or cannot be told.</exception>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    public static DecoderTrainer Load(
        Gpu gpu, string path, DecoderTrainerOptions? options = null, SamConfig? config = null)
    {
        using StateDict file = Checkpoint.Open(path);
        return Load(gpu, new CheckpointParameters(file), options, config, path);
    }

    /// <summary>As the other, from parameters of any kind.</summary>
    public static DecoderTrainer Load(Gpu gpu, IParameterSource source, DecoderTrainerOptions? options = null,
        SamConfig? config = null, string what = "the source")
    {
        options ??= new DecoderTrainerOptions();
        SamConfig sizes = SamKeys.Require(source, config, what);
        Plan plan = PlanOf(sizes, options);
        if (options.MemoryBudget is long budget) plan.Require(budget, Alternatives(sizes, options));
        return new DecoderTrainer(gpu, sizes, options, plan, source);
    }

    /// <summary>The memory that training would take.</summary>
    /// <exception cref="SamConfigException">The sizes are impossible.</exception>
    public static Plan PlanOf(SamConfig config, DecoderTrainerOptions options)
    {
        options.Check();
        config.Check();
        TrainedLayout layout = Layout(config);
        return Plan.Of(arena => new DecoderNetwork(arena, config, options, layout).Rehearse());
    }

    /// <summary>What needs less memory, the best first: smaller batches, then bf16, then both.</summary>
    public static IEnumerable<(string What, Func<Plan> Plan)> Alternatives(
        SamConfig config, DecoderTrainerOptions options)
    {
        foreach (DType precision in options.Precision == DType.BF16 ? [DType.BF16] : new[] { DType.F32, DType.BF16 })
        {
            string type = precision == options.Precision ? "" : "bf16 with ";
            for (int batch = options.Batch; batch >= 1; batch /= 2)
            {
                DecoderTrainerOptions smaller = options with { Precision = precision, Batch = batch };
                string what = $"{type}{batch} images of a step";
                if (smaller != options) yield return (what, () => PlanOf(config, smaller));
            }
        }
    }

    /// <summary>
    /// An image, (height, width, 3), 8 bits a sample, RGB, to its embedding: fp16 numbers (H, W, C), or f32 with
    /// <see cref="DecoderTrainerOptions.PreciseEmbeddings"/>.
    /// </summary>
    public byte[] Encode(ReadOnlySpan<byte> rgb, int height, int width)
    {
        (int rows, int columns) = new ResizeLongestSide(Config.ImageSize).Size(height, width);
        byte[] framed = new byte[rows * columns * 3];
        Resample.PillowBilinear(rgb, height, width, 3, rows, columns, framed);
        float[] values = new float[_network.EmbeddingCount];
        _arena.Gpu.MakeCurrent();
        _network.Encode(framed, rows, columns, values);
        if (Options.PreciseEmbeddings) return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
        byte[] bytes = new byte[EmbeddingBytes];
        Span<Half> halves = MemoryMarshal.Cast<byte, Half>(bytes.AsSpan());
        for (int i = 0; i < values.Length; i++) halves[i] = (Half)values[i];
        return bytes;
    }

    /// <summary>
    /// Forward and backward: gradients of the mean of the items' losses are added to those that are there. Gives the
    /// scores of each.
    /// </summary>
    /// <exception cref="NonFiniteException">Something is no number; op and step are named.</exception>
    public MaskScores[] Step(IReadOnlyList<DecoderItem> items)
    {
        if (items.Count == 0 || items.Count > Options.Batch)
            throw new ArgumentException($"a step has 1 to {Options.Batch} items, got {items.Count}");
        _arena.Gpu.MakeCurrent();
        DecoderInput[] inputs = [.. items.Select(Input)];
        MaskScores[] scores = new MaskScores[items.Count];
        foreach (IGrouping<int, int> alike in Enumerable.Range(0, inputs.Length).GroupBy(i => inputs[i].Count))
        {
            int[] group = [.. alike];
            float[] values = new float[Scores * group.Length];
            _network.Step([.. group.Select(i => inputs[i])], 1f / inputs.Length, values, _steps);
            for (int i = 0; i < group.Length; i++) scores[group[i]] = Of(values.AsSpan(Scores * i));
        }
        return scores;
    }

    /// <summary>One step of the optimiser with the gradients that were added up, which are zero afterwards.</summary>
    public void Update(double rate)
    {
        _arena.Gpu.MakeCurrent();
        _network.Optimizer.Step(rate, IsLeftOut);
        _steps++;
    }

    /// <summary>Scores of an item.</summary>
    public MaskScores Evaluate(DecoderItem item)
    {
        _arena.Gpu.MakeCurrent();
        float[] values = new float[Scores];
        _network.Evaluate(Input(item), values);
        return Of(values);
    }

    /// <summary>The mask of an image, 0 and 1.</summary>
    public byte[] Predict(byte[] embedding, IReadOnlyList<(int X, int Y)> points, int height, int width)
    {
        _arena.Gpu.MakeCurrent();
        byte[] mask = new byte[checked(height * width)];
        _network.Predict(Input(new DecoderItem(embedding, points, mask, height, width)), mask);
        return mask;
    }

    /// <summary>Replaces the decoder's parameters; moments and steps of the optimiser stay.</summary>
    /// <exception cref="CheckpointException">One is missing or of another shape; nothing has been changed.</exception>
    public void LoadDecoder(IParameterSource source)
    {
        _arena.Gpu.MakeCurrent();
        _network.Load(source, IsDecoder);
    }

    /// <summary>Replaces the decoder's parameters by those of a file of <see cref="SaveDecoder"/>.</summary>
    public void LoadDecoder(string path)
    {
        using StateDict file = Checkpoint.Open(path);
        LoadDecoder(new CheckpointParameters(file));
    }

    /// <summary>
    /// Writes the decoder under SAM's names, as safetensors: to be laid over the SAM that it was trained with.
    /// </summary>
    public void SaveDecoder(string path)
    {
        _arena.Gpu.MakeCurrent();
        List<TensorEntry> entries = [];
        foreach ((string name, Shape shape) in _network.Parameters.Stored)
        {
            if (!IsDecoder(name)) continue;
            float[] values = new float[shape.Count];
            _network.Parameters.Read(name, values);
            long[] sizes = new long[shape.Rank];
            for (int axis = 0; axis < sizes.Length; axis++) sizes[axis] = shape[axis];
            entries.Add(new TensorEntry(name, sizes, values));
        }
        using StateDict decoder = new(entries);
        decoder.Save(path);
    }

    /// <summary>Writes what a run is resumed from: parameters, moments, steps, and the caller's values.</summary>
    public void SaveState(string path, StateValues values)
    {
        _arena.Gpu.MakeCurrent();
        values.Set("trainer.steps", _steps);
        new TrainingState(_arena.Gpu, _network.Optimizer).Save(path, values);
    }

    /// <summary>Brings back what <see cref="SaveState"/> wrote and gives the caller's values.</summary>
    /// <exception cref="CheckpointException">The file is damaged or of another model; nothing has changed.</exception>
    public StateValues LoadState(string path)
    {
        _arena.Gpu.MakeCurrent();
        StateValues values = new TrainingState(_arena.Gpu, _network.Optimizer).Load(path);
        _network.Optimizer.ClearGradients();
        _steps = values.Long("trainer.steps");
        return values;
    }

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        _arena.Gpu.MakeCurrent();
        _arena.Dispose();
    }

    /// <summary>Low-resolution logits of an item, (4H, 4W); for tests.</summary>
    internal float[] LowRes(DecoderItem item) => _network.LowRes(Input(item));

    internal Gpu Gpu => _arena.Gpu;

    internal Optimizer Optimizer => _network.Optimizer;

    DecoderInput Input(DecoderItem item)
    {
        (int height, int width) = (item.Height, item.Width);
        if (item.Embedding.Length != EmbeddingBytes)
            throw new ArgumentException($"an embedding has {EmbeddingBytes} bytes, got {item.Embedding.Length}");
        if (item.Points.Count < 1 || item.Points.Count > Options.Points)
            throw new ArgumentException($"an image has 1 to {Options.Points} points, got {item.Points.Count}");
        if (height < 1 || width < 1 || (long)height * width > Options.MostPixels || height + width > Options.MostSides)
        {
            throw new ArgumentException($"an image of {height} x {width} is more than was planned for: "
                + $"{Options.MostPixels} pixels and {Options.MostSides} rows and columns");
        }
        if (item.Mask.Length != height * width)
            throw new ArgumentException($"a mask of {height} x {width} was expected, got {item.Mask.Length} values");
        float[] points = new float[2 * item.Points.Count];
        ResizeLongestSide frame = new(Config.ImageSize);
        for (int i = 0; i < item.Points.Count; i++)
        {
            (double x, double y) = item.Points[i];
            if (!Options.UnscaledPoints) (x, y) = frame.Point(x, y, height, width);
            (points[2 * i], points[2 * i + 1]) = ((float)x, (float)y);
        }
        return new DecoderInput(Values(item.Embedding), points, item.Mask, height, width);
    }

    float[] Values(byte[] embedding)
    {
        if (Options.PreciseEmbeddings) return MemoryMarshal.Cast<byte, float>(embedding).ToArray();
        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(embedding);
        float[] values = new float[halves.Length];
        for (int i = 0; i < values.Length; i++) values[i] = (float)halves[i];
        return values;
    }

    // The quality of masks is not trained and mask 0 alone is used, so these have no gradient. In the reference the
    // other masks' hyper-networks take part in the forward pass: theirs is zero, and they decay.
    bool IsLeftOut(string name)
    {
        if (name.StartsWith(Quality, StringComparison.Ordinal)) return true;
        return !Options.DecayUnused && name.StartsWith(HyperNetworks, StringComparison.Ordinal)
            && !name.StartsWith(Used, StringComparison.Ordinal);
    }

    static TrainedLayout Layout(SamConfig config) =>
        TrainedLayout.Of(parameters => SamNetwork.Declare(config, parameters), IsDecoder);

    static bool IsDecoder(string name) => name.StartsWith(Decoder, StringComparison.Ordinal);

    static MaskScores Of(ReadOnlySpan<float> y) => new(y[0], y[1], y[2], y[3]);
}
