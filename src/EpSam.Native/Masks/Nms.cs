// Greedy non-maximum suppression as torchvision.ops.nms and batched_nms compute it on the CPU: in float, an overlap
// counts when it is strictly above the threshold, equal scores keep their order, NaN scores come first (as torch sorts
// them).
namespace EpSam.Native.Masks;

/// <summary>A box with fractional coordinates: left, top, right, bottom.</summary>
public readonly record struct BoxF(float X0, float Y0, float X1, float Y1)
{
    /// <summary>A box of whole pixels.</summary>
    public static implicit operator BoxF(Box box) => new(box.X0, box.Y0, box.X1, box.Y1);
}

/// <summary>Non-maximum suppression.</summary>
public static class Nms
{
    /// <summary>The indices of the boxes that stay, by falling score.</summary>
    /// <param name="boxes">The boxes.</param>
    /// <param name="scores">A score for each box.</param>
    /// <param name="threshold">Intersection over union above which the box with the lower score goes.</param>
    /// <param name="categories">Where given, only boxes of the same category suppress each other.</param>
    public static int[] Run(
        ReadOnlySpan<BoxF> boxes, ReadOnlySpan<float> scores, double threshold, ReadOnlySpan<int> categories = default)
    {
        if (scores.Length != boxes.Length || (categories.Length != 0 && categories.Length != boxes.Length))
        {
            throw new ArgumentException(
                $"Nms: {boxes.Length} boxes need as many scores and categories, "
                + $"got {scores.Length} and {categories.Length}");
        }
        int[] order = Order(scores);
        bool[] gone = new bool[boxes.Length];
        List<int> keep = [];
        for (int i = 0; i < order.Length; i++)
        {
            int best = order[i];
            if (gone[best]) continue;
            keep.Add(best);
            for (int j = i + 1; j < order.Length; j++)
            {
                int other = order[j];
                if (categories.Length != 0 && categories[best] != categories[other]) continue;
                if (!gone[other] && Overlap(boxes[best], boxes[other]) > threshold) gone[other] = true;
            }
        }
        return [.. keep];
    }

    /// <summary>Intersection over union in float; NaN for two empty boxes.</summary>
    public static float Overlap(BoxF a, BoxF b)
    {
        float w = MathF.Max(0, MathF.Min(a.X1, b.X1) - MathF.Max(a.X0, b.X0));
        float h = MathF.Max(0, MathF.Min(a.Y1, b.Y1) - MathF.Max(a.Y0, b.Y0));
        float both = w * h, areaA = (a.X1 - a.X0) * (a.Y1 - a.Y0), areaB = (b.X1 - b.X0) * (b.Y1 - b.Y0);
        return both / (areaA + areaB - both);
    }

    static int[] Order(ReadOnlySpan<float> scores)
    {
        float[] keys = scores.ToArray();
        int[] order = new int[keys.Length];
        for (int i = 0; i < order.Length; i++) order[i] = i;
        Array.Sort(order, (a, b) => Descending(keys[a], keys[b]) is int c and not 0 ? c : a.CompareTo(b));
        return order;
    }

    // CompareTo puts NaN below everything, which is the first place when falling order is wanted for it.
    static int Descending(float a, float b) =>
        float.IsNaN(a) || float.IsNaN(b) ? float.IsNaN(b).CompareTo(float.IsNaN(a)) : b.CompareTo(a);
}
