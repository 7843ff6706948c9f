// The automatic mask generator on a model: crops, filters and suppression are AutomaticMasks', what it needs of a model
// is given here. Logits stay on the device; a mask is first only counted, and copied when its counts are good enough.
using EpSam.Native.Masks;

namespace EpSam.Native.Models.Sam;

/// <summary>
/// All masks of an image, as the reference's SamAutomaticMaskGenerator finds them: a grid of points, filtered by
/// quality and stability, overlaps suppressed. Not thread-safe, as the model. Deterministic.
/// </summary>
/// <param name="model">The model. Its PromptsPerPass limits <see cref="AutomaticMaskOptions.PointsPerBatch"/>.</param>
/// <param name="options">The reference's parameters; null: its defaults.</param>
public sealed class SamAutomaticMaskGenerator(SamModel model, AutomaticMaskOptions? options = null)
{
    readonly AutomaticMaskOptions _options = options ?? new AutomaticMaskOptions();

    /// <summary>
    /// Finds all masks of an image (height, width, 3), 8 bits a sample, RGB, in the reference's order.
    /// </summary>
    /// <param name="rgb">The image.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="width">Its columns.</param>
    /// <param name="progress">Told the share of points that are done, 0 to 1.</param>
    /// <param name="cancel">Looked at between passes of the decoder.</param>
    /// <exception cref="ArgumentException">The span does not hold such an image, it is empty, or an option is
    /// impossible.</exception>
    public IReadOnlyList<MaskRecord> Generate(ReadOnlySpan<byte> rgb, int height, int width,
        IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        int batch = Math.Min(_options.PointsPerBatch, model.Options.PromptsPerPass);
        AutomaticMaskOptions passes = _options with { PointsPerBatch = batch };
        return AutomaticMasks.Generate(new Predictor(model), rgb, height, width, passes, progress, cancel);
    }

    sealed class Predictor(SamModel model) : IMaskPredictor, IMaskBatch
    {
        readonly SamPredictor _predictor = new(model);
        float[] _iou = [];

        public double MaskThreshold => model.Options.MaskThreshold;

        public ReadOnlySpan<float> PredictedIou => _iou;

        public void SetImage(ReadOnlySpan<byte> rgb, int height, int width) => _predictor.SetImage(rgb, height, width);

        public IMaskBatch Predict(ReadOnlySpan<(double X, double Y)> points)
        {
            SamPrompt[] prompts = new SamPrompt[points.Length];
            for (int i = 0; i < prompts.Length; i++) prompts[i] = SamPrompt.OfPoint(points[i].X, points[i].Y);
            _predictor.DecodeOnly(prompts);
            _iou = [.. Enumerable.Range(0, prompts.Length).SelectMany(i => model.Network.Scores(i).ToArray())];
            return this;
        }

        public (int Inner, int Outer) Counts(int index, double threshold, double offset)
        {
            (int prompt, int mask, SamEmbedding image) = Find(index);
            return model.Network.Counts(prompt, mask, image.Height, image.Width, threshold, offset);
        }

        public void Mask(int index, double threshold, Span<byte> output)
        {
            (int prompt, int mask, SamEmbedding image) = Find(index);
            model.Network.Threshold(prompt, mask, image.Height, image.Width, threshold, output);
        }

        (int Prompt, int Mask, SamEmbedding Image) Find(int index) =>
            (index / model.MultimaskOutputs, index % model.MultimaskOutputs, _predictor.Image!);
    }
}
