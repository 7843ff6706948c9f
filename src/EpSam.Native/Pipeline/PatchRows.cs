// From what was found, in folders or a table, to a data set: rows of one image come together, everything that is
// contradictory is refused with the first few files, images are split where the data does not say how. Checked at the
// start of a run, so that nothing of this is found after hours.
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>A labelled image or part of one as it was found.</summary>
/// <param name="Where">For messages: a file, or a table and a line.</param>
/// <param name="Path">The image.</param>
/// <param name="Label">Null: neither.</param>
/// <param name="Mask">True mask.</param>
/// <param name="Split">Null: not told.</param>
/// <param name="Crop">Null: all of it.</param>
internal sealed record PatchRow(string Where, string Path, int? Label, string? Mask, Split? Split, Crop? Crop);

internal static class PatchRows
{
    const int Named = 3;   // files in a message

    /// <param name="path">For messages.</param>
    /// <param name="rows">What was found.</param>
    /// <param name="files">Reads sizes.</param>
    /// <param name="config">How images are split; null: nothing is trained, so no part and no class must be there.
    /// </param>
    public static PatchSet ToSet(string path, IReadOnlyList<PatchRow> rows, IImageFiles files, DataConfig? config)
    {
        if (rows.Count == 0) throw new RunException($"--data {path}: nothing found, no image is listed");
        PatchRow[][] images = [.. rows.GroupBy(r => r.Path, StringComparer.Ordinal).Select(g => g.ToArray())
            .OrderBy(g => Stem(g[0].Path), StringComparer.Ordinal)];
        CheckNames(images);
        foreach (PatchRow[] image in images) CheckRows(image);
        CheckNamedLabels(images);
        CheckFiles(images, files);
        SourceImage[] sources = [.. images.Select(Source)];
        if (config is not null) sources = WithValidation(path, sources, config);
        List<Patch> patches = [];
        for (int i = 0; i < images.Length; i++)
            foreach (PatchRow row in images[i])
                if (row.Label is int label) patches.Add(new Patch(i, row.Crop, label));
        PatchSet set = new(sources, patches);
        return config is null ? set : new PatchSet(sources, patches) { Notes = CheckClasses(path, set) };
    }

    /// <summary>"a, b, c and 5 more".</summary>
    public static string Few(IEnumerable<string> items, int most = Named)
    {
        string[] all = [.. items];
        return string.Join(", ", all.Take(most)) + (all.Length > most ? $" and {all.Length - most} more" : "");
    }

    static string Stem(string path) => System.IO.Path.GetFileNameWithoutExtension(path);

    static SourceImage Source(PatchRow[] rows) => new(Stem(rows[0].Path), rows[0].Path,
        rows.Max(r => r.Label) ?? -1, rows[0].Mask, rows[0].Split ?? Split.Train);

    // Results are files named after images, and some file systems do not tell A from a.
    static void CheckNames(PatchRow[][] images)
    {
        string[][] same = [.. images.GroupBy(i => Stem(i[0].Path), StringComparer.OrdinalIgnoreCase)
            .Where(g => g.Count() > 1).Select(g => g.Select(i => i[0].Path).ToArray())];
        if (same.Length > 0)
        {
            throw new RunException($"{same.Length} name{S(same.Length)} of images {(same.Length == 1 ? "is" : "are")} "
                + "used twice, and results are named after images: "
                + Few(same.Select(g => string.Join(" and ", g.Take(2)))));
        }
    }

    // All that is said of one image must agree.
    static void CheckRows(PatchRow[] rows)
    {
        PatchRow first = rows[0];
        foreach (PatchRow row in rows.Skip(1))
        {
            if ((row.Crop is null) != (first.Crop is null))
                throw Twice(first, row, "as a whole and as a crop; expected one or the other");
            if (row.Split != first.Split)
                throw Twice(first, row, $"in different parts, {first.Split} and {row.Split}; expected one");
            if (row.Mask != first.Mask)
                throw Twice(first, row, $"with different masks, {first.Mask ?? "none"} and {row.Mask ?? "none"}");
        }
        foreach (IGrouping<Crop?, PatchRow> same in rows.GroupBy(r => r.Crop).Where(g => g.Count() > 1))
        {
            PatchRow[] two = [.. same.Take(2)];
            string what = same.Key is Crop c ? $"with the crop {c.X},{c.Y},{c.Width},{c.Height} " : "";
            throw Twice(two[0], two[1], two[0].Label == two[1].Label ? $"{what}twice"
                : $"{what}twice, with labels that disagree, {Text(two[0].Label)} and {Text(two[1].Label)}");
        }
    }

    static RunException Twice(PatchRow first, PatchRow second, string what) =>
        new($"{first.Path} is listed {what} ({first.Where}, {second.Where})");

    static string Text(int? label) => label?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "none";

    // Where every name ends with _0 or _1 these are labels, as EP-SAM's names have them, and must say the same.
    static void CheckNamedLabels(PatchRow[][] images)
    {
        if (images.Length < 2 || images.Any(i => PatchFolder.LabelOf(Stem(i[0].Path)) is null)) return;
        string[] wrong = [.. images.Select(i => (Row: i[0], Told: i.Max(r => r.Label)))
            .Where(i => i.Told is int told && told != PatchFolder.LabelOf(Stem(i.Row.Path)))
            .Select(i => $"{i.Row.Path} is {i.Told} in {i.Row.Where}")];
        if (wrong.Length > 0)
        {
            throw new RunException("labels disagree: the names of all images end with a label, _0 or _1, and "
                + $"{wrong.Length} of {images.Length} say something else than the table: {Few(wrong)}");
        }
    }

    // Headers of all images and masks; crops inside of their images.
    static void CheckFiles(PatchRow[][] images, IImageFiles files)
    {
        string?[] unreadable = new string?[images.Length], different = new string?[images.Length];
        string?[] outside = new string?[images.Length];
        Parallel.For(0, images.Length, i =>
        {
            PatchRow row = images[i][0];
            try
            {
                (int height, int width) = files.ReadSize(row.Path);
                if (row.Mask is not null && files.ReadSize(row.Mask) is var mask && mask != (height, width))
                    different[i] = $"{row.Mask} is {mask.Width} x {mask.Height}, its image {width} x {height}";
                PatchRow? beyond = images[i].FirstOrDefault(r => r.Crop is Crop c
                    && ((long)c.X + c.Width > width || (long)c.Y + c.Height > height));
                if (beyond is not null) outside[i] = $"{beyond.Where} (the image is {width} x {height})";
            }
            catch (ImageFileException e)
            {
                unreadable[i] = e.Message;
            }
        });
        Throw(unreadable, "cannot be read", "image");
        Throw(different, "another size than the image", "mask");
        Throw(outside, "a crop that is not inside of it", "image");
    }

    static void Throw(string?[] messages, string what, string of)
    {
        string[] wrong = [.. messages.OfType<string>()];
        if (wrong.Length == 0) return;
        string verb = what.StartsWith("cannot", StringComparison.Ordinal) ? "" : wrong.Length == 1 ? "has " : "have ";
        string more = wrong.Length > Named ? $"; and {wrong.Length - Named} more" : "";
        throw new RunException($"{wrong.Length} {of}{S(wrong.Length)} of {messages.Length} {verb}{what}: "
            + string.Join("; ", wrong.Take(Named)) + more);
    }

    static string S(int count) => count == 1 ? "" : "s";

    // Of each label the share, chosen by the seed: all patches of an image go together.
    static SourceImage[] WithValidation(string path, SourceImage[] images, DataConfig config)
    {
        if (images.Any(i => i.Split == Split.Val)) return images;
        if (config.ValidationShare <= 0)
        {
            throw new RunException($"--data {path} has no validation set, which chooses the best epoch; give it one "
                + "(val/image/, or split in the table) or let the run take a share of the training images: "
                + "{ \"data\": { \"validation_share\": 0.2 } } in a file that --config names");
        }
        SourceImage[] result = [.. images];
        foreach (int label in new[] { 1, 0 })
        {
            int[] members = [.. Enumerable.Range(0, images.Length)
                .Where(i => images[i].Split == Split.Train && images[i].Label == label)];
            new CounterRandom(config.Seed).Child("validation", (ulong)label).Shuffle(members.AsSpan());
            int count = Math.Min(members.Length - 1,
                Math.Max(1, (int)Math.Round(config.ValidationShare * members.Length, MidpointRounding.AwayFromZero)));
            foreach (int i in members.Take(count)) result[i] = images[i] with { Split = Split.Val };
        }
        if (!result.Any(i => i.Split == Split.Val))
        {
            throw new RunException($"--data {path} has too few labelled images to split {config.ValidationShare:R} of "
                + "them off for validation: two of one label at least");
        }
        return result;
    }

    static List<string> CheckClasses(string path, PatchSet set)
    {
        List<string> notes = [];
        foreach (Split split in Enum.GetValues<Split>())
        {
            int[] labels = [.. set.PatchesOf(split).Select(p => p.Label)];
            int tumour = labels.Sum(), none = labels.Length - tumour;
            string part = PatchFolder.Name(split);
            bool isWrong = split != Split.Test && (tumour == 0 || none == 0);
            if (!isWrong && split == Split.Test && labels.Length > 0 && (tumour == 0 || none == 0))
                notes.Add($"the {part} set has {tumour} patches with tumour and {none} without: no AUC can be told");
            if (!isWrong) continue;
            string what = labels.Length == 0 ? $"no labelled {part} images"
                : $"only {part} images with label {(tumour > 0 ? 1 : 0)} ({labels.Length}); expected some of both, "
                    + "1 (tumour) and 0 (none)";
            if (split == Split.Train || labels.Length == 0) throw new RunException($"--data {path} has {what}");
            notes.Add($"the {part} set has {what}: no AUC can be told");
        }
        return notes;
    }
}
