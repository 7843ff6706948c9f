// A whole SAM, ready to run: planned, allocated and loaded by Load, used through SamPredictor and SamAutomaticMaskGenerator.
// Everything a call needs lies in one arena whose size was known before it was allocated; no call allocates from the driver.
using EpSam.Native.Checkpoints;
using EpSam.Native.Masks;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;

namespace EpSam.Native.Models.Sam;

/// <summary>A loaded model. It owns its device memory: dispose it before the Gpu. Not thread-safe.</summary>
public sealed class SamModel : IDisposable
{
    readonly Arena _arena;

    SamModel(Arena arena, SamConfig config, SamOptions options, Plan plan) =>
        (_arena, Config, Options, Plan) = (arena, config, options, plan);

    /// <summary>The sizes.</summary>
    public SamConfig Config { get; }

    /// <summary>How it runs.</summary>
    public SamOptions Options { get; }

    /// <summary>Its memory.</summary>
    public Plan Plan { get; }

    /// <summary>Side of low-resolution logits: 256 for the published models.</summary>
    public int LowResSize => 4 * Config.GridSize;

    /// <summary>Masks of one prompt with multimask: 3 for the published models.</summary>
    public int MultimaskOutputs => Config.MultimaskOutputs;

    /// <summary>Opens a checkpoint (safetensors, .pth), plans, allocates, loads.</summary>
    /// <param name="gpu">Where it runs.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="config">The sizes; null: what the checkpoint's shapes tell, with 8 heads in the decoder.</param>
    /// <param name="options">How it runs; null: the defaults.</param>
    /// <param name="overlay">A second checkpoint whose tensors replace the first one's: a decoder that was trained alone.</param>
    /// <exception cref="CheckpointException">The file is damaged, or its tensors are not this model's: the message names the
    /// missing and unexpected ones and the type that would fit.</exception>
    /// <exception cref="SamConfigException">The sizes are impossible or cannot be told.</exception>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    public static SamModel Load(Gpu gpu, string path, SamConfig? config = null, SamOptions? options = null, string? overlay = null) =>
        throw new NotSupportedException("not yet");

    /// <summary>As the other, from parameters of any kind.</summary>
    public static SamModel Load(Gpu gpu, IParameterSource source, SamConfig? config = null, SamOptions? options = null) =>
        throw new NotSupportedException("not yet");

    /// <summary>The memory that a model would take: weights, encoding one image, a pass of the decoder, masks.</summary>
    public static Plan PlanOf(SamConfig config, SamOptions? options = null) => throw new NotSupportedException("not yet");

    /// <summary>
    /// A mask (height, width of an image, 0 is outside of the object) as <see cref="SamPrompt.Mask"/>: scaled into the model's
    /// frame, with the logits of 0.999 inside and 0.001 outside.
    /// </summary>
    public float[] MaskLogits(ReadOnlySpan<byte> mask, int height, int width) => throw new NotSupportedException("not yet");

    /// <summary>Frees the device memory.</summary>
    public void Dispose() => _arena.Dispose();

    internal void Expect(SamEmbedding image) => throw new NotSupportedException("not yet");

    internal SamEmbedding Encode(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel) =>
        throw new NotSupportedException("not yet");

    internal IReadOnlyList<SamPrediction> Predict(IReadOnlyList<SamPrompt> prompts, SamEmbedding? current, bool multimask,
        IProgress<double>? progress, CancellationToken cancel) => throw new NotSupportedException("not yet");

    internal float[] Logits(SamPrediction prediction, int mask) => throw new NotSupportedException("not yet");

    internal IMaskPredictor Masks() => throw new NotSupportedException("not yet");
}
