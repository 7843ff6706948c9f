// Prompts to masks: the host side. Images are scaled into the model's frame as the reference does it, prompts are
// checked, put into passes and brought into the frame, answers are put back into the caller's order.
using EpSam.Native.Preprocess;

namespace EpSam.Native.Models.Sam;

/// <summary>
/// Images and prompts in, masks out, in the shape of the reference's SamPredictor: an image is encoded once, then any
/// number of prompts is answered. Not thread-safe, and neither are its model and Gpu: all that belongs to one Gpu may
/// be used by any thread, but by one at a time. Several predictors may share a model in turn. Deterministic: the same
/// calls give the same bits.
/// </summary>
/// <param name="model">The model.</param>
public sealed class SamPredictor(SamModel model)
{
    /// <summary>The model.</summary>
    public SamModel Model => model;

    /// <summary>
    /// The current image, or null before the first: what prompts mean that name none. May be kept and saved.
    /// </summary>
    public SamEmbedding? Image { get; private set; }

    /// <summary>Encodes an image, (height, width, 3), 8 bits a sample, RGB, and makes it the current one.</summary>
    /// <exception cref="ArgumentException">The span does not hold such an image, it is empty, or its rows and columns
    /// together are more than 131,072.</exception>
    public void SetImage(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel = default) =>
        Image = Encode(rgb, height, width, cancel);

    /// <summary>
    /// Makes an image current that has been encoded before, by this model or by another of the same sizes.
    /// </summary>
    public void SetImage(SamEmbedding image)
    {
        model.Expect(image);
        Image = image;
    }

    /// <summary>
    /// Encodes an image without making it the current one: prompts name it by <see cref="SamPrompt.Image"/>.
    /// </summary>
    public SamEmbedding Encode(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel = default) =>
        model.Network.Encode([Frame(rgb, height, width, cancel)])[0];

    /// <summary>
    /// Encodes several images, <see cref="SamOptions.ImagesPerEncoding"/> at a time; each as if it were alone, with the
    /// same bits.
    /// </summary>
    public IReadOnlyList<SamEmbedding> Encode(IReadOnlyList<SamImage> images, CancellationToken cancel = default)
    {
        List<SamEmbedding> encoded = [];
        foreach (SamImage[] together in images.Chunk(model.Options.ImagesPerEncoding))
            encoded.AddRange(model.Network.Encode(
                [.. together.Select(i => Frame(i.Rgb.Span, i.Height, i.Width, cancel))]));
        return encoded;
    }

    FramedImage Frame(ReadOnlySpan<byte> rgb, int height, int width, CancellationToken cancel)
    {
        if (height < 1 || width < 1 || rgb.Length != 3L * height * width)
            throw new ArgumentException($"an image of {height} x {width} has {3L * height * width} bytes, got "
                + $"{rgb.Length}; expected at least one pixel, and three bytes for each", nameof(rgb));
        if ((long)height + width > SamMasks.MostSides)
            throw new ArgumentException($"an image of {height} x {width} is too long: rows and columns may be "
                + $"{SamMasks.MostSides} together", nameof(rgb));
        cancel.ThrowIfCancellationRequested();
        (int rows, int columns) = new ResizeLongestSide(model.Config.ImageSize).Size(height, width);
        byte[] framed = new byte[3 * rows * columns];
        Resample.PillowBilinear(rgb, height, width, 3, rows, columns, framed);
        cancel.ThrowIfCancellationRequested();
        return new FramedImage(framed, rows, columns, height, width);
    }

    /// <summary>Answers one prompt.</summary>
    /// <param name="prompt">What is looked for.</param>
    /// <param name="multimask">Several masks, as one point may mean a part or the whole, or one mask, which is better
    /// for prompts that are clear.
    /// </param>
    /// <param name="cancel">Looked at before each pass.</param>
    public SamPrediction Predict(SamPrompt prompt, bool multimask = true, CancellationToken cancel = default) =>
        Predict([prompt], multimask, null, cancel)[0];

    /// <summary>
    /// Answers several prompts, of one image or of several, with any number of points each; the answers come in the
    /// order of the prompts, none for none. Prompts are put together by their number of points, so that all of a pass
    /// have the same: SAM cannot ignore a point. An answer does not depend on what else is asked; the same calls give
    /// the same bits, but a card's cuBLAS may round otherwise for another number of prompts.
    /// </summary>
    /// <param name="prompts">What is looked for.</param>
    /// <param name="multimask">Several masks or one for each prompt.</param>
    /// <param name="progress">Told the share of prompts that are answered, 0 to 1.</param>
    /// <param name="cancel">Looked at before each pass.</param>
    /// <exception cref="ArgumentException">A prompt that cannot be meant; see <see cref="SamPrompt"/>. Nothing was
    /// run.</exception>
    /// <exception cref="InvalidOperationException">A prompt names no image and none is set.</exception>
    public IReadOnlyList<SamPrediction> Predict(IReadOnlyList<SamPrompt> prompts, bool multimask = true,
        IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        SamEmbedding[] images = Check(prompts);
        SamPrediction[] answers = new SamPrediction[prompts.Count];
        int done = 0;
        foreach (SamPass pass in SamPass.Split(prompts, images, model.Options))
        {
            cancel.ThrowIfCancellationRequested();
            Decode(pass, prompts, images, multimask);
            for (int p = 0; p < pass.Prompts.Count; p++)
                answers[pass.Prompts[p]] = Answer(p, images[pass.Prompts[p]]);
            progress?.Report((double)(done += pass.Prompts.Count) / prompts.Count);
        }
        return answers;
    }

    /// <summary>
    /// Answers several prompts with one mask each, as <see cref="Predict(IReadOnlyList{SamPrompt}, bool,
    /// IProgress{double}?, CancellationToken)"/> without multimask, but with its logits at the image's resolution
    /// alone, row by row: above the threshold is the mask.
    /// </summary>
    public IReadOnlyList<float[]> PredictLogits(IReadOnlyList<SamPrompt> prompts, CancellationToken cancel = default)
    {
        SamEmbedding[] images = Check(prompts);
        float[][] answers = new float[prompts.Count][];
        foreach (SamPass pass in SamPass.Split(prompts, images, model.Options))
        {
            cancel.ThrowIfCancellationRequested();
            Decode(pass, prompts, images, multimask: false);
            for (int p = 0; p < pass.Prompts.Count; p++)
            {
                SamEmbedding image = images[pass.Prompts[p]];
                float[] logits = answers[pass.Prompts[p]] = new float[image.Height * image.Width];
                model.Network.Logits(p, 0, image.Height, image.Width, logits);
            }
        }
        return answers;
    }

    /// <summary>
    /// Logits of one mask of a prediction at its image's resolution, row by row: above the threshold is the mask.
    /// </summary>
    public float[] Logits(SamPrediction prediction, int mask)
    {
        ArgumentNullException.ThrowIfNull(prediction);
        ArgumentOutOfRangeException.ThrowIfNegative(mask);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(mask, prediction.Masks.Count);
        model.Expect(prediction.Image);
        float[] logits = new float[prediction.Height * prediction.Width];
        model.Network.PutLowRes(prediction.LowResLogits[mask]);
        model.Network.Logits(0, 0, prediction.Height, prediction.Width, logits);
        return logits;
    }

    /// <summary>One pass whose results stay on the device, for who needs few of them.</summary>
    internal void DecodeOnly(IReadOnlyList<SamPrompt> prompts)
    {
        SamEmbedding[] images = Check(prompts);
        Decode(SamPass.Split(prompts, images, model.Options).Single(), prompts, images, true);
    }

    SamEmbedding[] Check(IReadOnlyList<SamPrompt> prompts)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        SamEmbedding[] images = new SamEmbedding[prompts.Count];
        for (int i = 0; i < prompts.Count; i++)
        {
            string what = prompts.Count == 1 ? "the prompt" : $"prompt {i}";
            SamPrompt prompt = prompts[i] ?? throw new ArgumentException($"{what} is null", nameof(prompts));
            prompt.Check(what, model.Options.MaxPoints, model.LowResSize);
            images[i] = prompt.Image ?? Image ?? throw new InvalidOperationException(
                $"{what} names no image and none is set: call {nameof(SetImage)} first");
            model.Expect(images[i]);
        }
        return images;
    }

    void Decode(SamPass pass, IReadOnlyList<SamPrompt> prompts, SamEmbedding[] images, bool multimask)
    {
        (float[] points, int[] labels) = pass.Tokenise(prompts, images);
        float[]? masks = null;
        if (pass.HasMask)
        {
            int size = model.LowResSize * model.LowResSize;
            masks = new float[pass.Prompts.Count * size];
            for (int p = 0; p < pass.Prompts.Count; p++) prompts[pass.Prompts[p]].Mask!.CopyTo(masks.AsSpan(p * size));
        }
        model.Network.Decode([.. pass.Prompts.Select(i => images[i])], points, labels, masks, multimask);
    }

    SamPrediction Answer(int prompt, SamEmbedding image)
    {
        SamNetwork network = model.Network;
        float[] scores = network.Scores(prompt).ToArray();
        byte[][] masks = new byte[scores.Length][];
        float[][] lowRes = new float[scores.Length][];
        for (int m = 0; m < scores.Length; m++)
        {
            lowRes[m] = network.LowRes(prompt, m);
            masks[m] = new byte[image.Height * image.Width];
            network.Threshold(prompt, m, image.Height, image.Width, model.Options.MaskThreshold, masks[m]);
        }
        return new SamPrediction(image, masks, scores, lowRes);
    }
}

/// <summary>An image, (height, width, 3), 8 bits a sample, RGB.</summary>
public readonly record struct SamImage(ReadOnlyMemory<byte> Rgb, int Height, int Width);
