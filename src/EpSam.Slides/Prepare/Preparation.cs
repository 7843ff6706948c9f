// Slides to patches: a scan of each slide, then the choice of patches over all of them, then their export. Each step
// leaves files that are complete, so that the same call goes on where another was stopped; the choice follows from the
// scans alone and is made again. A slide that cannot be read is reported and left out; the next call tries it again.
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

/// <summary>What became of a slide.</summary>
/// <param name="Slide">Its name.</param>
/// <param name="Split">Its part; null: in none.</param>
/// <param name="Positives">Patches with tumour.</param>
/// <param name="Negatives">Patches without.</param>
/// <param name="Failure">Why it is not in the set; null: it is.</param>
public sealed record PreparedSlide(string Slide, Split? Split, int Positives, int Negatives, string? Failure);

/// <summary>What became of all.</summary>
/// <param name="Slides">In order of name.</param>
/// <param name="Patches">Patches of the set.</param>
/// <param name="Made">Of these, those that were made by this call.</param>
public sealed record PrepareResult(IReadOnlyList<PreparedSlide> Slides, int Patches, int Made);

/// <summary>Makes a data set of patches from slides.</summary>
public sealed class Preparation
{
    const int MostAtOnce = 8; // slides scanned at the same time: each has its tissue mask in memory
    const double SameScale = 1.02, MostScale = 1.25; // largest by smallest micrometres a pixel

    readonly PrepareFolder _folder;
    readonly PrepareOptions _options;
    readonly IRunObserver _observer;
    readonly Action<string> _failed;
    readonly PrepareSlide[] _slides;
    readonly SortedDictionary<string, string> _failures = new(StringComparer.Ordinal);
    Split?[] _splits = [];
    int _made;

    Preparation(PrepareFolder folder, PrepareOptions options, PrepareSlide[] slides, IRunObserver observer,
        Action<string> failed) =>
        (_folder, _options, _slides, _observer, _failed) = (folder, options, slides, observer, failed);

    /// <summary>Does all that is not done yet.</summary>
    /// <param name="folder">Made, or gone on with.</param>
    /// <param name="slides">Those that take part.</param>
    /// <param name="split">Which part they are in.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Told what happens.</param>
    /// <param name="failed">Told of each slide that is left out because of an error; by any thread.</param>
    /// <param name="cancel">Looked at all the time; the same call goes on later.</param>
    /// <exception cref="RunException">Nothing can be made of this; the message says why.</exception>
    public static PrepareResult Run(PrepareFolder folder, IEnumerable<PrepareSlide> slides, SlideSplit split,
        PrepareOptions options, IRunObserver observer, Action<string> failed, CancellationToken cancel = default)
    {
        options.Check();
        PrepareSlide[] sorted = [.. slides.OrderBy(s => s.File.Name, StringComparer.Ordinal)];
        Preparation preparation = new(folder, options, sorted, observer, failed);
        preparation.Begin(split);
        return preparation.Work(cancel);
    }

    void Begin(SlideSplit split)
    {
        bool[] hasTumour = new bool[_slides.Length];
        Parallel.For(0, _slides.Length, i => hasTumour[i] = Guard(_slides[i], () => HasTumour(_slides[i]), true));
        _splits = [.. split.Of([.. _slides.Select((s, i) => (s.File.Name, hasTumour[i]))], _options.Seed)];
        string[] without = [.. _slides.Where((_, i) => _splits[i] is null).Select(s => s.File.Name)];
        if (without.Length > 0) _observer.Note($"in no part by --split {split.Name}, left out: {Few(without)}");
        if (without.Length == _slides.Length)
            throw new RunException($"--split {split.Name} has none of the slides; is it another data set's?");
        foreach (Split part in Enum.GetValues<Split>())
        {
            int all = _splits.Count(s => s == part);
            if (all > 0 && !_splits.Where((s, i) => s == part && hasTumour[i]).Any())
                _observer.Warn($"{PrepareFolder.Name(part)} has no slide with tumour");
        }
        CheckBegun(split);
    }

    bool HasTumour(PrepareSlide slide)
    {
        int areas = SlideScanner.Areas(slide.File, _options, default).Tumour.Count;
        return areas > 0 && slide.IsNormal ? throw new SlideException($"is said to be without tumour (--normal), but "
            + $"{slide.File.Annotation} has {areas} areas of it") : areas > 0;
    }

    // What prepare.json says must be what is asked for now, unless nothing has come of it: a call that was refused, or
    // that found nothing, does not stand in the way of the corrected one.
    void CheckBegun(SlideSplit split)
    {
        JsonObject now = Description(split);
        string text = now.ToJsonString(Layout) + "\n";
        if (PrepareFolder.Holds(_folder.Options, text)) return;
        if (File.Exists(_folder.Options))
        {
            string differences = Few(DifferencesTo(now), 6);
            if (_folder.HasPatches)
            {
                throw new RunException($"{_folder.Root} was begun otherwise: {differences}. Give another --out, or "
                    + "delete that folder");
            }
            _observer.Note($"{_folder.Root} was begun otherwise and has no patches: begun anew ({differences})");
            _folder.Clear();
        }
        else if (Directory.EnumerateFileSystemEntries(_folder.Root).Any(f => !Path.GetFileName(f).StartsWith('.')))
        {
            throw new RunException($"{_folder.Root} has files of something else; give an --out that is empty or "
                + "does not exist");
        }
        PrepareFolder.Write(_folder.Options, text);
    }

    List<string> DifferencesTo(JsonObject now)
    {
        List<string> differences = [];
        try
        {
            Compare("", JsonNode.Parse(File.ReadAllText(_folder.Options)), now, differences);
            return differences;
        }
        catch (JsonException e)
        {
            throw new RunException($"{_folder.Options} cannot be read: {e.Message}", e);
        }
    }

    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    JsonObject Description(SlideSplit split)
    {
        JsonObject options = (JsonObject)JsonSerializer.SerializeToNode(_options, Layout)!;
        options["split"] = split.Name;
        JsonObject slides = [];
        for (int i = 0; i < _slides.Length; i++)
        {
            SlideFile file = _slides[i].File;
            slides[file.Name] = new JsonObject
            {
                ["file"] = Path.GetFileName(file.Path), ["annotation"] = Path.GetFileName(file.Annotation),
                ["split"] = _splits[i] is Split part ? PrepareFolder.Name(part) : null,
            };
        }
        return new JsonObject { ["options"] = options, ["slides"] = slides };
    }

    static void Compare(string path, JsonNode? before, JsonNode? now, List<string> differences)
    {
        if (before is JsonObject a && now is JsonObject b)
        {
            foreach (string key in a.Select(p => p.Key).Union(b.Select(p => p.Key)))
                Compare(path.Length == 0 ? key : $"{path}.{key}", a[key], b[key], differences);
        }
        else if (!JsonNode.DeepEquals(before, now))
            differences.Add($"{path} was {before?.ToJsonString() ?? "none"}, now {now?.ToJsonString() ?? "none"}");
    }

    PrepareResult Work(CancellationToken cancel)
    {
        SlideScan?[] scans = ScanAll(cancel);
        PatchScale? scale = Scale([.. scans.OfType<SlideScan>()]);
        List<PatchSampler.Source> sources = [];
        for (int i = 0; i < _slides.Length; i++)
        {
            if (scans[i] is not SlideScan scan || _splits[i] is not Split split) continue;
            string folder = _folder.Scan(scan.Name);
            sources.Add(new PatchSampler.Source(scan, split, () =>
                SlideScan.ReadCandidates(folder).Where(c => c.Tissue >= _options.MinTissue)));
        }
        IReadOnlyList<ChosenPatch> chosen = PatchSampler.Choose(sources, _options.Sampling, _options.Seed);
        chosen = Export(chosen, cancel);
        Finish(scans, chosen, scale, cancel);
        PreparedSlide[] slides = [.. _slides.Select((s, i) => new PreparedSlide(s.File.Name, _splits[i],
            Count(chosen, s, 1), Count(chosen, s, 0), _failures.GetValueOrDefault(s.File.Name)))];
        return new PrepareResult(slides, chosen.Count, _made);
    }

    SlideScan?[] ScanAll(CancellationToken cancel)
    {
        SlideScan?[] scans = new SlideScan?[_slides.Length];
        int[] missing = [.. Enumerable.Range(0, _slides.Length).Where(i => IsOpen(i) && !Guard(_slides[i], () =>
            (scans[i] = SlideScan.Read(_folder.Scan(_slides[i].File.Name))) is SlideScan scan
            && SlideScanner.IsOf(scan, _slides[i].File), false))];
        if (missing.Length == 0) return scans;
        PrepareFolder.Try(_folder.Root, () => Directory.CreateDirectory(_folder.Scan("")));
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Math.Min(MostAtOnce, Environment.ProcessorCount), CancellationToken = cancel,
        };
        int done = 0;
        using IWorkProgress progress = _observer.Begin("looking for tissue", missing.Length, "slides");
        Each(missing, parallel, i =>
        {
            PrepareSlide slide = _slides[i];
            scans[i] = Guard(slide, () =>
                SlideScanner.Run(slide.File, _options, _folder.Scan(slide.File.Name), cancel), null);
            if (scans[i] is SlideScan scan)
                foreach (string warning in scan.Warnings) _observer.Warn($"{slide.File.Name}: {warning}");
            lock (progress) progress.Report(++done);
        });
        return scans;
    }

    bool IsOpen(int slide) => _splits[slide] is not null && !_failures.ContainsKey(_slides[slide].File.Name);

    // How large a pixel of the patches is. Cut from a level they are as large as each slide has them.
    PatchScale? Scale(SlideScan[] scans)
    {
        if (scans.Length == 0) return null;
        if (_options.Mpp is double mpp) return new PatchScale(mpp, _options.Size);
        SlideScan[] known = [.. scans.Where(s => s.PatchMpp is not null).OrderBy(s => s.PatchMpp)];
        if (known.Length < scans.Length)
        {
            string[] silent = [.. scans.Where(s => s.Mpp is null).Select(s => s.Name)];
            _observer.Warn($"not told how large their pixels are: {Few(silent)}; --slide-mpp says it"
                + (known.Length == 0 ? $". Without it there is no {PatchScale.FileName}, which a slide is segmented "
                    + "by" : ""));
        }
        if (known.Length == 0) return null;
        double Of(int slide) => known[slide].PatchMpp!.Value;
        double median = Of(known.Length / 2), ratio = Of(known.Length - 1) / Of(0);
        string range = FormattableString.Invariant($"{Of(0):0.####} µm ({known[0].Name}) to ")
            + FormattableString.Invariant($"{Of(known.Length - 1):0.####} µm ({known[^1].Name})");
        if (ratio > MostScale)
        {
            throw new RunException($"pixels of the slides' level {_options.Level ?? 0} are of {range}: patches "
                + "cut from it would show tissue at different sizes; give --mpp, which cuts all at one");
        }
        if (ratio > SameScale)
        {
            string taken = FormattableString.Invariant($"{median:0.####} is taken for their scale");
            _observer.Warn($"pixels of the patches are of {range}; {taken}. --mpp cuts all at one");
        }
        return new PatchScale(median, _options.Size);
    }

    IReadOnlyList<ChosenPatch> Export(IReadOnlyList<ChosenPatch> chosen, CancellationToken cancel)
    {
        RemoveOthers(chosen);
        var missing = chosen.Where(p => !PatchExporter.IsThere(_folder, p)).GroupBy(p => p.Slide.Name)
            .Select(g => (Slide: _slides.First(s => s.File.Name == g.Key), Patches: g.ToArray())).ToArray();
        if (missing.Length == 0) return chosen;
        RunFolder.Delete(_folder.Patches);
        int done = 0, all = missing.Sum(m => m.Patches.Length);
        using IWorkProgress progress = _observer.Begin("cutting patches", all, "patches");
        foreach ((PrepareSlide slide, ChosenPatch[] patches) in missing)
        {
            Guard(slide, () =>
            {
                PatchExporter.Run(slide.File, patches, _options, _folder, () =>
                {
                    lock (progress) progress.Report(++done);
                }, cancel);
                return true;
            }, false);
        }
        ChosenPatch[] left = [.. chosen.Where(p => !_failures.ContainsKey(p.Slide.Name))];
        _made = missing.Where(m => !_failures.ContainsKey(m.Slide.File.Name)).Sum(m => m.Patches.Length);
        if (left.Length < chosen.Count) RemoveOthers(left);
        return left;
    }

    // Of a choice that was another while a slide could not be read; and what a killed process has left.
    void RemoveOthers(IReadOnlyList<ChosenPatch> chosen)
    {
        HashSet<string> wanted = [.. chosen.Select(p => PatchExporter.Image(_folder, p)),
            .. chosen.Select(p => PatchExporter.Mask(_folder, p)).OfType<string>()];
        PrepareFolder.Try(_folder.Root, () =>
        {
            foreach (string file in _folder.ExportedFiles().Where(f => !wanted.Contains(f)).ToArray())
                File.Delete(file);
        });
    }

    // Sheets, page and tables. The table of patches comes last: where it is, all is there.
    void Finish(SlideScan?[] scans, IReadOnlyList<ChosenPatch> chosen, PatchScale? scale, CancellationToken cancel)
    {
        string table = PatchesTable(chosen);
        bool isDone = PrepareFolder.Holds(_folder.Patches, table);
        SlideScan[] seen = [.. scans.OfType<SlideScan>().Where(s => !_failures.ContainsKey(s.Name)
            && !(isDone && File.Exists(_folder.Sheet(s.Name))))];
        ILookup<string, ChosenPatch> bySlide = chosen.ToLookup(p => p.Slide.Name);
        ParallelOptions parallel = new()
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel,
        };
        Each(seen, parallel, scan => PrepareFolder.Write(_folder.Sheet(scan.Name),
            SheetsPage.Sheet(_folder.Scan(scan.Name), scan, bySlide[scan.Name], _options.Size)));
        SheetsPage.Entry[] entries = [.. _slides.Select((s, i) => new SheetsPage.Entry(s.File.Name, _splits[i],
            scans[i], Count(chosen, s, 1), Count(chosen, s, 0), _failures.GetValueOrDefault(s.File.Name)))];
        Update(_folder.Page, SheetsPage.Html(Path.GetFileName(_folder.Root), entries));
        Update(_folder.Slides, SlidesTable(entries));
        PrepareFolder.Try(_folder.Root, () =>
        {
            if (scale is null) RunFolder.Delete(Path.Combine(_folder.Root, PatchScale.FileName));
            else if (PatchScale.Read(_folder.Root) != scale) scale.Write(_folder.Root);
        });
        Update(_folder.Patches, table);
    }

    static void Update(string path, string text)
    {
        if (!PrepareFolder.Holds(path, text)) PrepareFolder.Write(path, text);
    }

    static int Count(IReadOnlyList<ChosenPatch> chosen, PrepareSlide slide, int label) =>
        chosen.Count(p => p.Label == label && p.Slide.Name == slide.File.Name);

    // Its columns image, label, mask, split are those that a table of training data has.
    string PatchesTable(IReadOnlyList<ChosenPatch> chosen)
    {
        StringBuilder text = new("id,split,label,slide,level0_x,level0_y,level0_size,tumour_percentage,tissue_share,"
            + "image,mask\n");
        string Relative(string? path) => path is null ? "" : CsvText.Field(Path.GetRelativePath(_folder.Root, path)
            .Replace(Path.DirectorySeparatorChar, '/'));
        foreach (ChosenPatch p in chosen)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"{CsvText.Field(p.Id)},{PrepareFolder.Name(p.Split)},{p.Label},{CsvText.Field(p.Slide.Name)},");
            text.Append(CultureInfo.InvariantCulture,
                $"{p.X:0.###},{p.Y:0.###},{_options.Size * p.Slide.Downsample:0.###},{p.Candidate.Percentage:0.0},");
            text.Append(CultureInfo.InvariantCulture, $"{p.Candidate.Tissue:0.0000},");
            text.Append($"{Relative(PatchExporter.Image(_folder, p))},{Relative(PatchExporter.Mask(_folder, p))}\n");
        }
        return text.ToString();
    }

    string SlidesTable(SheetsPage.Entry[] entries)
    {
        StringBuilder text = new("slide,file,annotation,split,width,height,mpp,tissue_mm2,tumour_mm2,tumour_of_tissue,"
            + "places,places_with_tumour,patches_with_tumour,patches_without,warnings,failure\n");
        for (int i = 0; i < entries.Length; i++)
        {
            (SheetsPage.Entry e, SlideFile file) = (entries[i], _slides[i].File);
            text.Append($"{CsvText.Field(e.Name)},{CsvText.Field(Path.GetFileName(file.Path))},");
            text.Append($"{CsvText.Field(Path.GetFileName(file.Annotation) ?? "")},");
            text.Append(e.Split is Split split ? PrepareFolder.Name(split) : "");
            SlideScan? s = e.Scan;
            double? square = s?.Mpp * s?.Mpp / 1e6;
            text.Append(CultureInfo.InvariantCulture, $",{s?.Width},{s?.Height},{s?.Mpp:0.######},");
            text.Append(CultureInfo.InvariantCulture, $"{s?.Tissue * square:0.####},{s?.Tumour * square:0.######},");
            text.Append(CultureInfo.InvariantCulture, $"{(s?.Tissue > 0 ? s.Tumour / s.Tissue : null):0.####},");
            text.Append(CultureInfo.InvariantCulture, $"{s?.Candidates},{s?.WithTumour},{e.Positives},{e.Negatives},");
            text.Append($"{CsvText.Field(string.Join("; ", s?.Warnings ?? []))},{CsvText.Field(e.Failure ?? "")}\n");
        }
        return text.ToString();
    }

    // A slide that fails is out; the others go on.
    T Guard<T>(PrepareSlide slide, Func<T> work, T otherwise)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (SlideException.IsOfTheSlide(e))
        {
            string message = e.Message.ReplaceLineEndings(" ");
            lock (_failures)
            {
                if (_failures.TryAdd(slide.File.Name, message)) _failed($"{slide.File.Name}: {message}");
            }
            return otherwise;
        }
    }

    static void Each<T>(IEnumerable<T> items, ParallelOptions options, Action<T> work)
    {
        try
        {
            Parallel.ForEach(items, options, work);
        }
        catch (AggregateException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(
                e.InnerExceptions.FirstOrDefault(i => i is not OperationCanceledException) ?? e.InnerExceptions[0]);
        }
    }

    internal static string Few(IReadOnlyCollection<string> items, int most = 3) => string.Join(", ", items.Take(most))
        + (items.Count > most ? $" and {items.Count - most} more" : "");
}
