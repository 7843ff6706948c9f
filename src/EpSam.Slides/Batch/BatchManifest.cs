// run.json: what all slides of a folder are segmented with, and which slides they are. The first process writes it, the
// others compare; slides that are new are added, so that a folder may be added to.
using System.Text.Json;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Batch;

/// <summary>A slide of the manifest.</summary>
/// <param name="Name">What its results are called.</param>
/// <param name="Path">The file, as it was given.</param>
public sealed record ManifestSlide(string Name, string Path);

/// <summary>The manifest of a folder of slides.</summary>
/// <param name="Version">The program that began it.</param>
/// <param name="Key">Digest of the settings.</param>
/// <param name="Settings">Models and options: <see cref="BatchSettings"/>.</param>
/// <param name="Slides">All slides, by name.</param>
public sealed record BatchManifest(string Version, string Key, JsonElement Settings,
    IReadOnlyList<ManifestSlide> Slides)
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Reads a folder's.</summary>
    /// <exception cref="BatchException">There is none, or it is damaged.</exception>
    public static BatchManifest Read(BatchFolder folder) => TryRead(folder)
        ?? throw new BatchException($"{folder.Root} has no run.json: it is no folder that epsam slide has written to");

    /// <summary>Writes it, or compares with what is there and adds the slides that are new.</summary>
    /// <exception cref="BatchException">The folder has slides that were made with other models or options.</exception>
    public static void Join(BatchFolder folder, BatchSettings settings, IEnumerable<SlideFile> slides, string version)
    {
        Directory.CreateDirectory(folder.Root);
        using FileStream mine = BatchLock.Take(folder.ManifestLock, Patience, $"writing {folder.Manifest}");
        BatchManifest? before = TryRead(folder);
        JsonElement now = settings.ToJson();
        if (before is not null && before.Key != settings.Key)
        {
            if (!IsEmpty(folder)) throw Other(folder, now, before);
            foreach (ManifestSlide slide in before.Slides) RunFolder.Delete(folder.Failure(slide.Name));
            before = null;
        }
        SortedDictionary<string, ManifestSlide> all = new(StringComparer.Ordinal);
        foreach (ManifestSlide slide in before?.Slides ?? []) all[slide.Name] = slide;
        RequireSameNames(folder, all.Values, slides);
        foreach (SlideFile slide in slides) all[slide.Name] = new ManifestSlide(slide.Name, slide.Path);
        if (before is not null && before.Slides.SequenceEqual(all.Values)) return;
        BatchManifest manifest = new(before?.Version ?? version, settings.Key, before?.Settings ?? now,
            [.. all.Values]);
        RunFolder.Write(folder.Manifest, ResultJson.Bytes(manifest));
    }

    // a.tif is "a" alone and "a.tif" beside a.svs: under both names it would count twice.
    static void RequireSameNames(BatchFolder folder, IEnumerable<ManifestSlide> before, IEnumerable<SlideFile> slides)
    {
        Dictionary<string, string> names = before.GroupBy(s => s.Path).ToDictionary(g => g.Key, g => g.First().Name);
        foreach (SlideFile slide in slides)
        {
            if (!names.TryGetValue(slide.Path, out string? name) || name == slide.Name) continue;
            throw new BatchException($"{slide.Path} is {name} in {folder.Root}, and would be {slide.Name} beside the "
                + "slides of this command; choose another --out");
        }
    }

    // Whoever wrote the manifest has come to nothing, and is at nothing: a wrong model, say.
    static bool IsEmpty(BatchFolder folder) =>
        !Directory.Exists(folder.Slides) || !Directory.EnumerateFileSystemEntries(folder.Slides).Any();

    static BatchException Other(BatchFolder folder, JsonElement now, BatchManifest before)
    {
        IReadOnlyList<string> differences = BatchSettings.Differences(now, before.Settings);
        string what = differences.Count == 0 ? "it was changed by hand" : string.Join("; ", differences.Take(6));
        return new BatchException($"{folder.Root} was begun with other models or options: {what}. Choose another "
            + "--out, or delete that folder");
    }

    static BatchManifest? TryRead(BatchFolder folder)
    {
        if (!File.Exists(folder.Manifest)) return null;
        return ResultJson.Read<BatchManifest>(folder.Manifest) is { Key: not null, Slides: not null } manifest
            ? manifest : throw new BatchException($"{folder.Manifest} was not written by epsam slide, or is damaged; "
                + "choose another --out, or delete it");
    }
}
