namespace EpSam.Native.Models.Sam;

/// <summary>
/// What the model answers to one prompt: one mask, or several when the prompt may mean several things.
/// </summary>
public sealed class SamPrediction
{
    internal SamPrediction(SamEmbedding image, byte[][] masks, float[] scores, float[][] lowResLogits) =>
        (Image, Masks, Scores, LowResLogits) = (image, masks, scores, lowResLogits);

    /// <summary>The image.</summary>
    public SamEmbedding Image { get; }

    /// <summary>Rows of a mask: the image's.</summary>
    public int Height => Image.Height;

    /// <summary>Columns of a mask: the image's.</summary>
    public int Width => Image.Width;

    /// <summary>The masks, row by row, 1 for the object and 0 elsewhere.</summary>
    public IReadOnlyList<byte[]> Masks { get; }

    /// <summary>The model's own estimate of each mask's quality, its IoU with the truth.</summary>
    public IReadOnlyList<float> Scores { get; }

    /// <summary>
    /// Logits of each mask at the model's resolution, <see cref="SamModel.LowResSize"/> a side: what the next prompt
    /// takes as <see cref="SamPrompt.Mask"/>. Logits at the image's resolution: <see cref="SamPredictor.Logits"/>.
    /// </summary>
    public IReadOnlyList<float[]> LowResLogits { get; }

    /// <summary>Index of the mask with the highest score.</summary>
    public int Best
    {
        get
        {
            int best = 0;
            for (int i = 1; i < Scores.Count; i++)
                if (Scores[i] > Scores[best]) best = i;
            return best;
        }
    }
}
