// A trained patch classifier, ready to run: planned, allocated and loaded by Load. It says whether patches show tumour,
// and where. Everything a call needs lies in one arena whose size was known before it was allocated.
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

/// <summary>What the classifier says of a patch.</summary>
/// <param name="Logit">Above 0: tumour.</param>
public readonly record struct PatchScore(float Logit)
{
    /// <summary>Of tumour, 0 to 1.</summary>
    public float Probability => 1 / (1 + MathF.Exp(-Logit));
}

/// <summary>
/// A loaded classifier. It owns its device memory: dispose it before the Gpu. Not thread-safe. Deterministic: the same
/// calls give the same bits.
/// <code>
/// using PatchClassifier classifier = PatchClassifier.Load(gpu, "run/classifier/classifier.safetensors");
/// float probability = classifier.Classify(rgb, height, width).Probability;
/// ActivationMap map = classifier.Cam(rgb, height, width);
/// byte[] mask = map.Mask(CamMaskRule.Camelyon17);             // 0 and 1, height rows of width
/// (int X, int Y)[] points = map.Points(mask, 50, seed: 1);   // prompts for SAM
/// </code>
/// </summary>
public sealed class PatchClassifier : IDisposable
{
    readonly Arena _arena;

    PatchClassifier(Gpu gpu, ResNetAdlConfig config, PatchClassifierOptions options, Plan plan, IParameterSource source)
    {
        (Config, Options, Plan) = (config, options, plan);
        gpu.MakeCurrent();
        _arena = new Arena(gpu, plan);
        try
        {
            Network = new PatchNetwork(_arena, config, options);
            Network.Load(source);
            HeadBias = Network.HeadBias();
        }
        catch
        {
            _arena.Dispose();
            throw;
        }
    }

    /// <summary>The sizes, as the checkpoint's shapes tell them.</summary>
    public ResNetAdlConfig Config { get; }

    /// <summary>How it runs.</summary>
    public PatchClassifierOptions Options { get; }

    /// <summary>Its memory.</summary>
    public Plan Plan { get; }

    /// <summary>The most device memory that was in use so far; never more than the plan's peak.</summary>
    public long MeasuredPeak => _arena.Peak;

    /// <summary>The last layer's bias: with it the mean of the whole stage's activations is the logit.</summary>
    public float HeadBias { get; }

    internal PatchNetwork Network { get; }

    /// <summary>Opens a checkpoint with EP-SAM's names (safetensors, .pth), plans, allocates, loads.</summary>
    /// <exception cref="CheckpointException">The file is damaged or no classifier; the message says what
    /// differs.</exception>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    public static PatchClassifier Load(Gpu gpu, string path, PatchClassifierOptions? options = null)
    {
        using StateDict file = Checkpoint.Open(path);
        return Load(gpu, new CheckpointParameters(file), options, path);
    }

    /// <summary>As the other, from parameters of any kind.</summary>
    public static PatchClassifier Load(Gpu gpu, IParameterSource source, PatchClassifierOptions? options = null) =>
        Load(gpu, source, options, "the source");

    static PatchClassifier Load(Gpu gpu, IParameterSource source, PatchClassifierOptions? options, string what)
    {
        options ??= new();
        options.Check();
        ResNetAdlConfig config = PatchClassifierKeys.Require(source, what);
        Plan plan = PlanOf(config, options);
        if (options.MemoryBudget is long budget) plan.Require(budget, Alternatives(config, options));
        return new(gpu, config, options, plan, source);
    }

    /// <summary>The memory that a classifier would take: weights, a batch of images, an activation map.</summary>
    public static Plan PlanOf(ResNetAdlConfig config, PatchClassifierOptions? options = null)
    {
        options ??= new();
        options.Check();
        config.Check();
        return Plan.Of(arena => new PatchNetwork(arena, config, options).Rehearse());
    }

    /// <summary>What needs less memory, the best first: smaller batches, then bf16, then both.</summary>
    public static IEnumerable<(string What, Func<Plan> Plan)> Alternatives(
        ResNetAdlConfig config, PatchClassifierOptions options)
    {
        foreach (DType precision in options.Precision == DType.BF16 ? [DType.BF16] : new[] { DType.F32, DType.BF16 })
        {
            for (int batch = options.Batch; batch >= 1; batch /= 2)
            {
                PatchClassifierOptions smaller = options with { Precision = precision, Batch = batch };
                string what = precision == options.Precision ? $"a batch of {batch}" : $"bf16 with a batch of {batch}";
                if (smaller != options) yield return (what, () => PlanOf(config, smaller));
            }
        }
    }

    /// <summary>Whether an image shows tumour: (height, width, 3), 8 bits a sample, RGB.</summary>
    /// <exception cref="ArgumentException">There is no such image, or it is larger than was planned for.</exception>
    public PatchScore Classify(ReadOnlySpan<byte> rgb, int height, int width) => Classify(rgb, 1, height, width)[0];

    /// <summary>
    /// The same for several images of one size, one behind the other; <c>Options.Batch</c> at a time.
    /// </summary>
    public PatchScore[] Classify(
        ReadOnlySpan<byte> images, int count, int height, int width, CancellationToken cancel = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        Check(images.Length, count, height, width, height, width);
        _arena.Gpu.MakeCurrent();
        PatchScore[] scores = new PatchScore[count];
        for (int first = 0; first < count; first += Options.Batch)
        {
            cancel.ThrowIfCancellationRequested();
            int n = Math.Min(Options.Batch, count - first), each = 3 * height * width;
            float[] logits = Network.Classify(images.Slice(first * each, n * each), n, height, width);
            for (int i = 0; i < n; i++) scores[first + i] = new(logits[i]);
        }
        return scores;
    }

    /// <summary>Where an image shows tumour, seen in four orientations: (height, width, 3), RGB.</summary>
    /// <param name="rgb">The image.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="width">Its columns.</param>
    /// <param name="wholeStage">By the features of all of the last stage, which the last layer was trained on. EP-SAM
    /// takes its first block's.</param>
    /// <param name="scale">The image is resized by this first: tissue should be as large as it was when the classifier
    /// was trained.</param>
    /// <exception cref="ArgumentException">There is no such image, or it is larger than was planned for.</exception>
    public ActivationMap Cam(ReadOnlySpan<byte> rgb, int height, int width, bool wholeStage = false, double scale = 1)
    {
        (int rows, int columns) = Scaled(height, width, scale);
        Check(rgb.Length, 1, height, width, rows, columns);
        _arena.Gpu.MakeCurrent();
        ReadOnlySpan<byte> seen = rgb;
        if ((rows, columns) != (height, width))
        {
            byte[] resized = new byte[3 * rows * columns];
            Resample.PillowBilinear(rgb, height, width, 3, rows, columns, resized);
            seen = resized;
        }
        (byte[] map, float[] mean) = Network.Cam(seen, rows, columns, wholeStage);
        for (int i = 0; i < mean.Length; i++) mean[i] += HeadBias;
        return new(map, (rows + 15) / 16, (columns + 15) / 16, height, width) { Logits = mean };
    }

    /// <summary>The size that an image of <see cref="Cam"/> is resized to: what memory has to be planned for.</summary>
    public static (int Height, int Width) Scaled(int height, int width, double scale)
    {
        if (scale is not (> 0 and <= 16))
            throw new ArgumentException($"a scale is above 0 and at most 16, got {scale}");
        return (Side(height, scale), Side(width, scale));
    }

    static int Side(int side, double scale) => side < 1 ? side : (int)Math.Max(1, Math.Round(side * scale));

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        _arena.Gpu.MakeCurrent();
        _arena.Dispose();
    }

    void Check(int length, int count, int height, int width, int rows, int columns)
    {
        if (height < 1 || width < 1 || length != 3L * count * height * width)
        {
            throw new ArgumentException($"{count} x {height} x {width} x 3 bytes were expected, got {length}: an image "
                + "has at least one pixel, and three bytes for each");
        }
        if (Math.Max(rows, columns) > Options.LongerSide || Math.Min(rows, columns) > Options.ShorterSide)
        {
            throw new ArgumentException($"an image of {rows} x {columns} is larger than the {Options.LongerSide} x "
                + $"{Options.ShorterSide} that memory was planned for: load the classifier with "
                + $"{nameof(PatchClassifierOptions.LongerSide)} and {nameof(PatchClassifierOptions.ShorterSide)} of "
                + "the largest image");
        }
    }
}
