// How prompts are put into passes of the mask decoder. All prompts of a pass have the same number of tokens, because
// every token takes part in attention and a filler would change the answer; and either all or none of them has a mask.
using EpSam.Native.Preprocess;

namespace EpSam.Native.Models.Sam;

/// <summary>Prompts that are decoded together.</summary>
/// <param name="Tokens">Tokens of each: points, and two corners of a box or else one that is no point.</param>
/// <param name="HasMask">Whether each has a mask.</param>
/// <param name="Prompts">Which, as indices into the caller's list, ascending.</param>
internal sealed record SamPass(int Tokens, bool HasMask, IReadOnlyList<int> Prompts)
{
    const int CornerLabel = 2; // SAM's labels of a box's corners are 2 and 3

    /// <summary>The passes of a list of prompts, whose images are given beside them.</summary>
    public static List<SamPass> Split(
        IReadOnlyList<SamPrompt> prompts, IReadOnlyList<SamEmbedding> images, SamOptions options)
    {
        List<SamPass> passes = [];
        foreach (IGrouping<(int, bool), int> alike in Enumerable.Range(0, prompts.Count)
            .GroupBy(i => (TokensOf(prompts[i]), prompts[i].Mask is not null)))
        {
            List<int> pass = [];
            HashSet<SamEmbedding> seen = [];
            foreach (int i in alike)
            {
                bool full = pass.Count == options.PromptsPerPass
                    || (seen.Count == options.ImagesPerPass && !seen.Contains(images[i]));
                if (full)
                {
                    passes.Add(new SamPass(alike.Key.Item1, alike.Key.Item2, pass));
                    (pass, seen) = ([], []);
                }
                pass.Add(i);
                seen.Add(images[i]);
            }
            passes.Add(new SamPass(alike.Key.Item1, alike.Key.Item2, pass));
        }
        return passes;
    }

    /// <summary>
    /// Points (x, y) in the model's frame, f32 as the reference has them, and SAM's labels, of all prompts.
    /// </summary>
    public (float[] Points, int[] Labels) Tokenise(IReadOnlyList<SamPrompt> prompts, IReadOnlyList<SamEmbedding> images)
    {
        float[] points = new float[2 * Tokens * Prompts.Count];
        int[] labels = new int[Tokens * Prompts.Count];
        int at = 0;
        foreach (int i in Prompts)
        {
            SamEmbedding image = images[i];
            foreach (SamPoint point in prompts[i].Points) Add(point.X, point.Y, (int)point.Label, image);
            if (prompts[i].Box is SamBox box)
            {
                Add(box.X0, box.Y0, CornerLabel, image);
                Add(box.X1, box.Y1, CornerLabel + 1, image);
            }
            else if (Tokens > 0) Put(0, 0, (int)PointLabel.NotAPoint);
        }
        return (points, labels);

        void Add(double x, double y, int label, SamEmbedding image)
        {
            (x, y) = new ResizeLongestSide(image.ImageSize).Point(x, y, image.Height, image.Width);
            Put((float)x, (float)y, label);
        }

        void Put(float x, float y, int label)
        {
            (points[2 * at], points[2 * at + 1], labels[at]) = (x, y, label);
            at++;
        }
    }

    static int TokensOf(SamPrompt prompt) =>
        prompt.Points.Count + (prompt.Box is not null ? 2 : prompt.Points.Count > 0 ? 1 : 0);
}
