namespace EpSam.Native.Models.Sam;

/// <summary>
/// Images and prompts in, masks out, in the shape of the reference's SamPredictor: an image is encoded once, then any number
/// of prompts is answered. Not thread-safe, and neither are its model and Gpu: use all three on one thread at a time (a thread
/// other than the one that opened the Gpu calls Gpu.MakeCurrent first). Several predictors may share a model in turn.
/// Deterministic: the same input gives the same bits.
/// </summary>
public sealed class SamPredictor(SamModel model)
{
    /// <summary>The model.</summary>
    public SamModel Model => model;

    /// <summary>The current image, or null before the first: what prompts mean that name none. May be kept and saved.</summary>
    public SamEmbedding? Image { get; private set; }

    /// <summary>Encodes an image, (height, width, 3), 8 bits a sample, RGB, and makes it the current one.</summary>
    /// <exception cref="ArgumentException">The span does not hold such an image, or it is empty.</exception>
    public void SetImage(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel = default) =>
        Image = Encode(rgb, height, width, cancel);

    /// <summary>Makes an image current that has been encoded before, by this model or by another of the same sizes.</summary>
    public void SetImage(SamEmbedding image)
    {
        model.Expect(image);
        Image = image;
    }

    /// <summary>Encodes an image without making it the current one: prompts name it by <see cref="SamPrompt.Image"/>.</summary>
    public SamEmbedding Encode(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel = default) =>
        model.Encode(rgb, height, width, cancel);

    /// <summary>Answers one prompt.</summary>
    /// <param name="prompt">What is looked for.</param>
    /// <param name="multimask">
    /// Several masks, as one point may mean a part or the whole, or one mask, which is better for prompts that are clear.
    /// </param>
    /// <param name="cancel">Looked at before each pass.</param>
    public SamPrediction Predict(SamPrompt prompt, bool multimask = true, CancellationToken cancel = default) =>
        Predict([prompt], multimask, null, cancel)[0];

    /// <summary>
    /// Answers several prompts, of one image or of several, with any number of points each; the answers come in the order of the
    /// prompts, none for none. Prompts are put together by their number of points, so that all of a pass have the same: SAM
    /// cannot ignore a point. An answer does not depend on what else is asked.
    /// </summary>
    /// <exception cref="ArgumentException">A prompt that cannot be meant; see <see cref="SamPrompt"/>. Nothing was run.</exception>
    /// <exception cref="InvalidOperationException">A prompt names no image and none is set.</exception>
    public IReadOnlyList<SamPrediction> Predict(IReadOnlyList<SamPrompt> prompts, bool multimask = true,
        IProgress<double>? progress = null, CancellationToken cancel = default) =>
        model.Predict(prompts, Image, multimask, progress, cancel);

    /// <summary>Logits of one mask of a prediction at its image's resolution, row by row: above the threshold is the mask.</summary>
    public float[] Logits(SamPrediction prediction, int mask) => model.Logits(prediction, mask);
}
