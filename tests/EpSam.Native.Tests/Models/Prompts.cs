namespace EpSam.Native.Tests.Models;

/// <summary>
/// Prompts with the same number of points each: points (P, n, 2), labels (P, n), masks (P, 4H, 4W) or null.
/// </summary>
internal sealed record Prompts(float[] Points, int[] Labels, float[]? Masks, int[] ImageOf)
{
    public int Count => ImageOf.Length;
    public int PointsEach => Labels.Length / Count;

    /// <summary>A prompt of s01 (points and labels, boxes, mask, all optional) for one of the images.</summary>
    public static Prompts Of(Golden inputs, string name, int image = 0)
    {
        T[]? Read<T>(string part) where T : unmanaged =>
            inputs.Has($"{name}/{part}") ? inputs.Read<T>($"{name}/{part}") : null;
        return Of(Read<float>("points") ?? [], Read<int>("labels") ?? [], Read<float>("boxes"), Read<float>("mask"),
            inputs.Has($"{name}/labels") ? inputs.Sizes($"{name}/labels")[0] : 1, image);
    }

    /// <summary>
    /// As the reference orders them: points, then, if there are any and no box, one that is none; then corners.
    /// </summary>
    public static Prompts Of(float[] points, int[] labels, float[]? boxes, float[]? masks, int count = 1, int image = 0)
    {
        if (boxes is not null) count = boxes.Length / 4;
        int each = labels.Length / count;
        List<float> xy = [];
        List<int> all = [];
        for (int p = 0; p < count; p++)
        {
            xy.AddRange(points.AsSpan(2 * p * each, 2 * each));
            all.AddRange(labels.AsSpan(p * each, each));
            if (boxes is null && each == 0) continue;
            xy.AddRange(boxes is null ? [0, 0] : boxes.AsSpan(4 * p, 4));
            all.AddRange(boxes is null ? [-1] : [2, 3]);
        }
        return new Prompts([.. xy], [.. all], masks, [.. Enumerable.Repeat(image, count)]);
    }

    /// <summary>Several sets of prompts in one call; they must have equally many points.</summary>
    public static Prompts Join(params Prompts[] sets) =>
        new([.. sets.SelectMany(s => s.Points)], [.. sets.SelectMany(s => s.Labels)],
        sets.All(s => s.Masks is null) ? null : [.. sets.SelectMany(s => s.Masks!)],
        [.. sets.SelectMany(s => s.ImageOf)]);
}
