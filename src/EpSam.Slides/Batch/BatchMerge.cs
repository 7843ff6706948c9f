// The results of all slides of one or several folders in a few files: tables, outlines, a page. Slides come by name,
// so that it does not matter which process has done which. Files are copied slide by slide: memory does not grow with
// them.
using System.Globalization;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Pipeline;
using EpSam.Slides.Segment;
using EpSam.Slides.Viewer;

namespace EpSam.Slides.Batch;

/// <summary>What was put together.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="Done">Slides that are in it, by name.</param>
/// <param name="Failed">Slides that failed, by name.</param>
/// <param name="Missing">Slides that are neither, by name.</param>
public sealed record MergedBatch(BatchFolder Folder, IReadOnlyList<SlideSummary> Done,
    IReadOnlyList<SlideFailure> Failed, IReadOnlyList<string> Missing);

/// <summary>Puts results together.</summary>
public static class BatchMerge
{
    const string HeaderBegin = "slide,file,width,";
    const string SlidesHeader = HeaderBegin + "height,mpp,downsample,tissue_mm2,tumour_mm2,tumour_fraction,"
        + "regions,tiles,tissue_tiles,tumour_tiles,max_probability";

    sealed record Place(SlideFolder Folder, SlideRecord Record);

    /// <summary>Writes slides.csv, tiles.csv, tumour.geojson, failed.csv and index.html.</summary>
    /// <param name="from">Folders that slides were segmented to, with the same models and options.</param>
    /// <param name="to">Where to; may be one of them.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="BatchException">They do not belong together, or a result is damaged.</exception>
    public static MergedBatch Run(IReadOnlyList<BatchFolder> from, BatchFolder to, CancellationToken cancel)
    {
        RequireSame(from);
        RequireOwn(to);
        SortedDictionary<string, Place> done = new(StringComparer.Ordinal);
        SortedDictionary<string, SlideFailure> failed = new(StringComparer.Ordinal);
        SortedSet<string> missing = new(StringComparer.Ordinal);
        foreach (BatchFolder folder in from) Collect(folder, done, failed, missing);
        foreach (string name in done.Keys) failed.Remove(name);
        missing.ExceptWith(done.Keys);
        missing.ExceptWith(failed.Keys);
        try
        {
            Directory.CreateDirectory(to.Root);
            using FileStream mine = BatchLock.Take(to.MergeLock, TimeSpan.FromMinutes(10), $"merging {to.Root}");
            RemoveLeft(to);
            WriteText(to.SlidesTable, done.Select(d => Row(d.Value.Record.Summary)).Prepend(SlidesHeader));
            WriteTiles(to, done, cancel);
            WriteOutlines(to, done, cancel);
            WriteText(to.FailedTable, failed.Values.Select(f => string.Join(',', CsvText.Field(f.Name),
                CsvText.Field(f.File), CsvText.Field(f.Error))).Prepend("slide,file,error"));
            ViewerIndex.Write(to.Page, done.Values.Select(p => (p.Record.Summary,
                Relative(to, p.Folder.Viewer), Relative(to, p.Folder.Overlay))),
                failed.Values.Select(f => (f.Name, f.Error)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BatchException($"cannot merge to {to.Root}: {e.Message}", e);
        }
        return new MergedBatch(to, [.. done.Values.Select(p => p.Record.Summary)], [.. failed.Values], [.. missing]);
    }

    /// <summary>Refuses a folder whose files of these names somebody else has written.</summary>
    internal static void RequireOwn(BatchFolder to)
    {
        string[] files = [to.TilesTable, to.Outlines, to.FailedTable, to.Page, to.SlidesTable];
        if (Array.Find(files, File.Exists) is not string there) return;
        string? header = File.Exists(to.SlidesTable) ? File.ReadLines(to.SlidesTable).FirstOrDefault() : null;
        if (header?.StartsWith(HeaderBegin, StringComparison.Ordinal) == true) return; // it is written first
        throw new BatchException($"{there} was not written by epsam slide; choose another --out");
    }

    static void RequireSame(IReadOnlyList<BatchFolder> from)
    {
        BatchManifest first = BatchManifest.Read(from[0]);
        foreach (BatchFolder folder in from.Skip(1))
        {
            BatchManifest other = BatchManifest.Read(folder);
            if (other.Key == first.Key) continue;
            throw new BatchException($"{folder.Root} and {from[0].Root} were made with different models or options: "
                + string.Join("; ", BatchSettings.Differences(other.Settings, first.Settings).Take(6)));
        }
    }

    static void Collect(BatchFolder folder, SortedDictionary<string, Place> done,
        SortedDictionary<string, SlideFailure> failed, SortedSet<string> missing)
    {
        BatchManifest manifest = BatchManifest.Read(folder);
        IEnumerable<string> inside = !Directory.Exists(folder.Slides) ? []
            : Directory.GetDirectories(folder.Slides).Select(d => Path.GetFileName(d)!).Where(n => n[0] != '.');
        foreach (string name in manifest.Slides.Select(s => s.Name).Union(inside))
        {
            SlideFolder results = folder.Of(name);
            if (!Directory.Exists(results.Root))
            {
                if (ResultJson.Read<SlideFailure>(folder.Failure(name)) is SlideFailure failure) failed[name] = failure;
                else missing.Add(name);
                continue;
            }
            SlideRecord record = SlideRecord.Read(results);
            if (record.Key != manifest.Key)
                throw new BatchException($"{results.Root} was made with other models or options than its neighbours");
            if (!done.TryAdd(name, new Place(results, record)) && done[name].Record.Source != record.Source)
            {
                throw new BatchException($"{results.Root} and {done[name].Folder.Root} have the same name but are of "
                    + "different slides; name the files differently");
            }
        }
    }

    // As the page names it, wherever the slide's folder is; null: there is none.
    static string? Relative(BatchFolder to, string path) =>
        Path.Exists(path) ? Path.GetRelativePath(to.Root, path).Replace('\\', '/') : null;

    // What a process that was killed has left of the files that are written here.
    static void RemoveLeft(BatchFolder to)
    {
        foreach (string target in new[] { to.SlidesTable, to.TilesTable, to.Outlines, to.FailedTable, to.Page })
            foreach (string left in Directory.GetFiles(to.Root, $".{Path.GetFileName(target)}.*.tmp"))
                File.Delete(left);
    }

    static string Row(SlideSummary s) => string.Create(CultureInfo.InvariantCulture,
        $"{CsvText.Field(s.Name)},{CsvText.Field(s.File)},{s.Width},{s.Height},{s.Mpp:0.######},"
        + $"{s.Downsample:0.######},{s.TissueMm2:F6},{s.TumourMm2:F6},{s.TumourFraction:F6},{s.Regions},"
        + $"{s.Tiles},{s.TissueTiles},{s.TumourTiles},{s.MaxProbability:F6}");

    static void WriteText(string path, IEnumerable<string> lines) =>
        RunFolder.Write(path, Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => l + "\n"))));

    static void WriteTiles(BatchFolder to, SortedDictionary<string, Place> done, CancellationToken cancel) =>
        AtomicFile.Write(to.TilesTable, stream =>
        {
            using StreamWriter writer = new(stream, new UTF8Encoding(false), 1 << 16, leaveOpen: true);
            string? header = null;
            foreach ((string name, Place place) in done)
            {
                cancel.ThrowIfCancellationRequested();
                using StreamReader reader = Open(place.Folder.Tiles);
                string own = reader.ReadLine() ?? "";
                if (header is null) writer.Write($"slide,{header = own}\n");
                else if (own != header) throw Damaged(place.Folder.Tiles, "has other columns than its neighbours");
                string first = CsvText.Field(name);
                while (reader.ReadLine() is string line)
                {
                    writer.Write(first);
                    writer.Write(',');
                    writer.Write(line);
                    writer.Write('\n');
                }
            }
            if (header is null) writer.Write("slide\n");
        });

    static void WriteOutlines(BatchFolder to, SortedDictionary<string, Place> done, CancellationToken cancel) =>
        AtomicFile.Write(to.Outlines, stream =>
        {
            using GeoJsonMerge merge = new(stream);
            foreach ((string name, Place place) in done)
            {
                cancel.ThrowIfCancellationRequested();
                if (!File.Exists(place.Folder.GeoJson)) throw Damaged(place.Folder.GeoJson, "is missing");
                merge.Add(place.Folder.GeoJson, name);
            }
        });

    static StreamReader Open(string path) => File.Exists(path) ? new StreamReader(path, Encoding.UTF8)
        : throw Damaged(path, "is missing");

    static BatchException Damaged(string path, string what) =>
        new($"{path} {what}; delete the slide's folder, and it is done again");
}
