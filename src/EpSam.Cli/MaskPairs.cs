namespace EpSam.Cli;

/// <summary>Two folders of masks, put together by the files' names without endings.</summary>
internal sealed record MaskPairs(IReadOnlyList<(string Name, string Prediction, string Truth)> Both,
    IReadOnlyList<string> WithoutTruth, IReadOnlyList<string> WithoutPrediction)
{
    const int Named = 5;   // in a note

    public static MaskPairs Of(string predictions, string truth)
    {
        Dictionary<string, string> ours = Masks(predictions, "--predictions"), theirs = Masks(truth, "--truth");
        MaskPairs pairs = new(
            [.. ours.Where(o => theirs.ContainsKey(o.Key)).Select(o => (o.Key, o.Value, theirs[o.Key]))],
            [.. ours.Keys.Where(n => !theirs.ContainsKey(n))], [.. theirs.Keys.Where(n => !ours.ContainsKey(n))]);
        if (pairs.Both.Count > 0) return pairs;
        throw new UserError($"no mask of {predictions} has the name of one in {truth}: names without endings must be "
            + $"the same, there is {ours.Keys.First()} and {theirs.Keys.First()}");
    }

    /// <summary>What is left out.</summary>
    public IEnumerable<string> Notes()
    {
        if (WithoutTruth.Count > 0) yield return $"left out, without truth: {Some(WithoutTruth)}";
        if (WithoutPrediction.Count > 0) yield return $"left out, without prediction: {Some(WithoutPrediction)}";
    }

    static string Some(IReadOnlyList<string> names) => string.Join(", ", names.Take(Named))
        + (names.Count > Named ? $" and {names.Count - Named} more" : "");

    static Dictionary<string, string> Masks(string folder, string what)
    {
        if (!Directory.Exists(folder))
            throw new UserError($"{what} {folder} is {(File.Exists(folder) ? "a file" : "not there")}; "
                + "expected a folder of masks");
        Dictionary<string, string> masks = [];
        foreach (InputImage image in ImageList.Of([folder]))
        {
            string name = Path.GetFileNameWithoutExtension(image.Path);
            if (!masks.TryAdd(name, image.Path))
                throw new UserError($"{what} {folder} has {Path.GetFileName(masks[name])} and "
                    + $"{Path.GetFileName(image.Path)}: which is meant?");
        }
        return masks;
    }
}
