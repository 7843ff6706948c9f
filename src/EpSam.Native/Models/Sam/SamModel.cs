// A whole SAM, ready to run: planned, allocated and loaded by Load, used through SamPredictor and
// SamAutomaticMaskGenerator. Everything a call needs lies in one arena whose size was known before it was allocated; no
// call allocates from the driver.
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>A loaded model. It owns its device memory: dispose it before the Gpu. Not thread-safe.</summary>
public sealed class SamModel : IDisposable
{
    readonly Arena _arena;

    SamModel(Gpu gpu, SamConfig config, SamOptions options, Plan plan, IParameterSource source)
    {
        (Config, Options, Plan) = (config, options, plan);
        gpu.MakeCurrent();
        _arena = new Arena(gpu, plan);
        try
        {
            Network = new SamNetwork(_arena, config, options);
            Network.Load(source);
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
    public SamOptions Options { get; }

    /// <summary>Its memory.</summary>
    public Plan Plan { get; }

    /// <summary>The most device memory that was in use so far; never more than the plan's peak.</summary>
    public long MeasuredPeak => _arena.Peak;

    /// <summary>Side of low-resolution logits: 256 for the published models.</summary>
    public int LowResSize => 4 * Config.GridSize;

    /// <summary>Masks of one prompt with multimask: 3 for the published models.</summary>
    public int MultimaskOutputs => Config.MultimaskOutputs;

    internal SamNetwork Network { get; }

    /// <summary>Opens a checkpoint (safetensors, .pth), plans, allocates, loads.</summary>
    /// <param name="gpu">Where it runs.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="config">The sizes; null: what the checkpoint's shapes tell, with 8 heads in the decoder.</param>
    /// <param name="options">How it runs; null: the defaults.</param>
    /// <param name="overlay">A second checkpoint whose tensors replace the first one's: a decoder that was trained
    /// alone.</param>
    /// <exception cref="CheckpointException">The file is damaged, or its tensors are not this model's: the message
    /// names the missing and unexpected ones and the type that would fit.</exception>
    /// <exception cref="SamConfigException">The sizes are impossible or cannot be told.</exception>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    public static SamModel Load(
        Gpu gpu, string path, SamConfig? config = null, SamOptions? options = null, string? overlay = null)
    {
        using StateDict file = Checkpoint.Open(path);
        using StateDict? upper = overlay is null ? null : Checkpoint.Open(overlay);
        IParameterSource source = new CheckpointParameters(file);
        if (upper is not null) source = new OverlaidParameters(new CheckpointParameters(upper), source);
        return Load(gpu, source, config, options, path + (overlay is null ? "" : $" with {overlay}"));
    }

    /// <summary>As the other, from parameters of any kind.</summary>
    public static SamModel Load(
        Gpu gpu, IParameterSource source, SamConfig? config = null, SamOptions? options = null) =>
        Load(gpu, source, config, options, "the source");

    static SamModel Load(Gpu gpu, IParameterSource source, SamConfig? config, SamOptions? options, string what)
    {
        options ??= new SamOptions();
        SamConfig sizes = SamKeys.Require(source, config, what);
        Plan plan = PlanOf(sizes, options);
        if (options.MemoryBudget is long budget) plan.Require(budget, Alternatives(sizes, options));
        return new SamModel(gpu, sizes, options, plan, source);
    }

    /// <summary>
    /// The memory that a model would take: weights, encoding one image, a pass of the decoder, masks.
    /// </summary>
    /// <exception cref="SamConfigException">The sizes are impossible.</exception>
    public static Plan PlanOf(SamConfig config, SamOptions? options = null)
    {
        options ??= new SamOptions();
        options.Check();
        config.Check();
        return Plan.Of(arena => new SamNetwork(arena, config, options).Rehearse());
    }

    /// <summary>What needs less memory, the best first: smaller passes, then bf16, then both.</summary>
    public static IEnumerable<(string What, Func<Plan> Plan)> Alternatives(SamConfig config, SamOptions options)
    {
        foreach (DType precision in options.Precision == DType.BF16 ? [DType.BF16] : new[] { DType.F32, DType.BF16 })
        {
            string type = precision == options.Precision ? "" : "bf16 with ";
            for (int prompts = options.PromptsPerPass; prompts >= 1; prompts /= 2)
            {
                int images = Math.Min(options.ImagesPerPass, prompts);
                SamOptions smaller = options with
                {
                    Precision = precision, PromptsPerPass = prompts, ImagesPerPass = images,
                    ImagesPerEncoding = Math.Min(options.ImagesPerEncoding, images),
                };
                string what = $"{type}{prompts} prompts per pass";
                if (smaller != options) yield return (what, () => PlanOf(config, smaller));
            }
        }
    }

    /// <summary>
    /// A mask (height, width of an image, 0 is outside of the object) as <see cref="SamPrompt.Mask"/>: scaled into the
    /// model's frame, with the logits of 0.999 inside and 0.001 outside.
    /// </summary>
    public float[] MaskLogits(ReadOnlySpan<byte> mask, int height, int width)
    {
        const float Most = 6.9067548f; // ln(0.999 / 0.001): a sure model's logit
        if (height < 1 || width < 1 || mask.Length != (long)height * width)
        {
            throw new ArgumentException(
                $"a mask of {height} x {width} was expected, got {mask.Length} values", nameof(mask));
        }
        byte[] shades = new byte[mask.Length];
        for (int i = 0; i < shades.Length; i++) shades[i] = mask[i] == 0 ? (byte)0 : (byte)255;
        (int rows, int columns) = new ResizeLongestSide(LowResSize).Size(height, width);
        byte[] small = new byte[rows * columns];
        Resample.PillowBilinear(shades, height, width, 1, rows, columns, small);
        float[] logits = new float[LowResSize * LowResSize];
        Array.Fill(logits, -Most);
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < columns; x++)
            {
                double share = small[y * columns + x] / 255.0;
                logits[y * LowResSize + x] = (float)Math.Clamp(Math.Log(share / (1 - share)), -Most, Most);
            }
        return logits;
    }

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        _arena.Gpu.MakeCurrent();
        _arena.Dispose();
    }

    internal void Expect(SamEmbedding image)
    {
        ArgumentNullException.ThrowIfNull(image);
        (int size, int grid, int channels) = (Config.ImageSize, Config.GridSize, Config.OutChannels);
        if ((image.ImageSize, image.GridSize, image.Channels) != (size, grid, channels))
        {
            throw new ArgumentException($"the embedding ({image.GridSize}, {image.GridSize}, {image.Channels}) of "
                + $"images of {image.ImageSize} pixels is not this model's: ({grid}, {grid}, {channels}) of {size}");
        }
        if ((long)image.Height + image.Width > SamMasks.MostSides || (long)image.Height * image.Width > Array.MaxLength)
        {
            throw new ArgumentException(
                $"the embedding is of an image of {image.Height} x {image.Width}, which is too large");
        }
    }
}
