using EpSam.Native.Masks;

namespace EpSam.Native.Models.Sam;

/// <summary>
/// All masks of an image, as the reference's SamAutomaticMaskGenerator finds them: a grid of points, filtered by quality and
/// stability, overlaps suppressed. Not thread-safe, as the model. Deterministic.
/// </summary>
/// <param name="model">The model. Its PromptsPerPass limits <see cref="AutomaticMaskOptions.PointsPerBatch"/>.</param>
/// <param name="options">The reference's parameters; null: its defaults.</param>
public sealed class SamAutomaticMaskGenerator(SamModel model, AutomaticMaskOptions? options = null)
{
    readonly AutomaticMaskOptions _options = options ?? new AutomaticMaskOptions();

    /// <summary>Finds all masks of an image (height, width, 3), 8 bits a sample, RGB, in the reference's order.</summary>
    /// <param name="rgb">The image.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="width">Its columns.</param>
    /// <param name="progress">Told the share of points that are done, 0 to 1.</param>
    /// <param name="cancel">Looked at between passes of the decoder.</param>
    public IReadOnlyList<MaskRecord> Generate(ReadOnlySpan<byte> rgb, int height, int width,
        IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        int batch = Math.Min(_options.PointsPerBatch, model.Options.PromptsPerPass);
        return AutomaticMasks.Generate(model.Masks(), rgb, height, width, _options with { PointsPerBatch = batch }, progress, cancel);
    }
}
