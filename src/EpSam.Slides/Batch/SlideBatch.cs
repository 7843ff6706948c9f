// Many slides, one after the other: those that are done are skipped, one that fails is recorded and the rest go on. A
// slide's folder is filled beside its place and renamed when it is complete. Several processes may work in one folder:
// a slide is one process's at a time, held by a lock that ends with the process.
using System.Diagnostics;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Native.Pipeline;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Batch;

/// <summary>Segments a slide: writes all of its results but slide.json into an empty folder.</summary>
public delegate SlideSummary SegmentSlide(SlideFile file, string folder, IRunObserver observer,
    CancellationToken cancel);

/// <summary>What became of a slide.</summary>
public enum SlideState
{
    /// <summary>Segmented.</summary>
    Done,
    /// <summary>Segmented before, with the same models and options.</summary>
    Kept,
    /// <summary>Not possible.</summary>
    Failed,
    /// <summary>Another process is at it.</summary>
    Busy,
}

/// <summary>What became of a slide.</summary>
/// <param name="File">The slide.</param>
/// <param name="State">What.</param>
/// <param name="Summary">Its figures, where it is done or kept.</param>
/// <param name="Error">Why it failed.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record SlideOutcome(SlideFile File, SlideState State, SlideSummary? Summary = null, string? Error = null,
    double Seconds = 0);

/// <summary>Which slides are segmented, and where to.</summary>
/// <param name="Folder">Where to.</param>
/// <param name="Slides">All slides, those of other shards too.</param>
/// <param name="Settings">What with.</param>
/// <param name="Shard">Which of them.</param>
public sealed record BatchRequest(BatchFolder Folder, IReadOnlyList<SlideFile> Slides, BatchSettings Settings,
    Shard Shard)
{
    /// <summary>The program's.</summary>
    public string Version { get; init; } = "";
    /// <summary>What the models run on, asked when a slide is done; for the log.</summary>
    public Func<string?> Device { get; init; } = () => null;
    /// <summary>For the log.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The slides of this shard, by name.</summary>
    public IReadOnlyList<SlideFile> Own => [.. Slides.OrderBy(s => s.Name, StringComparer.Ordinal)
        .Where((_, place) => Shard.Has(place))];
}

/// <summary>Works on the slides of one shard.</summary>
public sealed class SlideBatch
{
    readonly BatchRequest _request;
    readonly BatchFolder _folder;
    readonly SegmentSlide _segment;
    readonly IRunObserver _observer;
    readonly BatchLog _log;
    readonly string _key;

    SlideBatch(BatchRequest request, SegmentSlide segment, IRunObserver observer)
    {
        (_request, _folder, _segment, _observer) = (request, request.Folder, segment, observer);
        (_log, _key) = (new BatchLog(_folder.Log(request.Shard), request.Clock), request.Settings.Key);
    }

    /// <summary>Segments what is not done yet.</summary>
    /// <param name="request">Which slides.</param>
    /// <param name="segment">How.</param>
    /// <param name="observer">Is told what is done.</param>
    /// <param name="tell">Is told what became of each slide, as soon as that is known.</param>
    /// <param name="cancel">Ends it; the slide at hand leaves nothing.</param>
    /// <exception cref="BatchException">Nothing was begun, or no other slide could go on: a full disk.</exception>
    public static IReadOnlyList<SlideOutcome> Run(BatchRequest request, SegmentSlide segment, IRunObserver observer,
        Action<SlideOutcome> tell, CancellationToken cancel)
    {
        SlideBatch batch = new(request, segment, observer);
        try
        {
            BatchMerge.RequireOwn(batch._folder);
            BatchManifest.Join(batch._folder, request.Settings, request.Slides, request.Version);
            batch.RefuseOthers();
            return batch.All(tell, cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw batch.CannotWrite(e);
        }
    }

    // Before anything is computed: what is there must be what would be made.
    void RefuseOthers()
    {
        List<string> others = [];
        foreach (SlideFile file in _request.Own.Where(f => Directory.Exists(_folder.Of(f.Name).Root)))
        {
            SlideRecord record = SlideRecord.Read(_folder.Of(file.Name));
            if (record.Key != _key) others.Add($"{file.Name} was made with other models or options");
            else if (record.DependsOn(_request.Settings.Options.SlideMpp))
                others.Add(FormattableString.Invariant($"{file.Name} was made with --slide-mpp {record.SlideMpp}"));
            else if (SourceOf(file) is SlideSource now && now != record.Source)
                others.Add($"{file.Name} was made of another file than {file.Path} is now");
        }
        if (others.Count == 0) return;
        string more = others.Count > 5 ? $" and {others.Count - 5} more" : "";
        throw new BatchException($"{_folder.Slides} has other results: {string.Join("; ", others.Take(5))}{more}. "
            + "Delete their folders to do them again, or choose another --out");
    }

    // A slide that is gone may stay segmented.
    static SlideSource? SourceOf(SlideFile file)
    {
        try
        {
            return SlideSource.Of(file.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    List<SlideOutcome> All(Action<SlideOutcome> tell, CancellationToken cancel)
    {
        IReadOnlyList<SlideFile> own = _request.Own;
        _log.Begin(_request.Version, $"shard {_request.Shard}, {own.Count} of {_request.Slides.Count} slides");
        List<SlideOutcome> outcomes = [];
        string how = "stopped";
        try
        {
            using IWorkProgress? slides = own.Count > 1 ? _observer.Begin("all slides", own.Count, "slides") : null;
            foreach (SlideFile file in own)
            {
                cancel.ThrowIfCancellationRequested();
                SlideOutcome outcome = One(file, cancel);
                outcomes.Add(outcome);
                if (outcome.State != SlideState.Kept) _log.Slide(outcome, _request.Device());
                tell(outcome);
                slides?.Report(outcomes.Count);
            }
            how = "done";
            return outcomes;
        }
        finally
        {
            TryTo(() => _log.End(how));
        }
    }

    SlideOutcome One(SlideFile file, CancellationToken cancel)
    {
        SlideFolder target = _folder.Of(file.Name);
        string temporary = _folder.Temporary(file.Name);
        bool isDone = Directory.Exists(target.Root);
        if (isDone && !Directory.Exists(temporary)) return Kept(file, target);
        using FileStream? mine = BatchLock.Try(_folder.Lock(file.Name));
        if (mine is null) return new SlideOutcome(file, SlideState.Busy);
        TryTo(() => RunFolder.Delete(temporary)); // of a process that was killed
        if (Directory.Exists(target.Root)) return Kept(file, target);
        Stopwatch watch = Stopwatch.StartNew();
        try
        {
            SlideSummary summary = Segment(file, temporary, target, cancel);
            RunFolder.Delete(_folder.Failure(file.Name));
            return new SlideOutcome(file, SlideState.Done, summary, null, watch.Elapsed.TotalSeconds);
        }
        catch (Exception e) when (BatchException.IsDiskFull(e))
        {
            throw DiskFull(e);
        }
        catch (Exception e) when (SlideException.IsOfTheSlide(e))
        {
            return Failed(file, e, watch.Elapsed.TotalSeconds);
        }
        finally
        {
            TryTo(() => RunFolder.Delete(temporary));
        }
    }

    SlideSummary Segment(SlideFile file, string temporary, SlideFolder target, CancellationToken cancel)
    {
        SlideSource source = SlideSource.Of(file.Path);
        Directory.CreateDirectory(temporary);
        SlideSummary summary = _segment(file, temporary, _observer, cancel);
        SlideRecord record = new(summary, source, _key) { SlideMpp = _request.Settings.Options.SlideMpp };
        record.Write(new SlideFolder(temporary));
        cancel.ThrowIfCancellationRequested();
        Directory.Move(temporary, target.Root);
        return summary;
    }

    static SlideOutcome Kept(SlideFile file, SlideFolder target) =>
        new(file, SlideState.Kept, SlideRecord.Read(target).Summary);

    SlideOutcome Failed(SlideFile file, Exception e, double seconds)
    {
        string message = e.Message.Contains(file.Path, StringComparison.Ordinal) ? e.Message
            : $"{file.Path}: {e.Message}";
        SlideFailure failure = new(file.Name, Path.GetFileName(file.Path), message);
        RunFolder.Write(_folder.Failure(file.Name), ResultJson.Bytes(failure));
        return new SlideOutcome(file, SlideState.Failed, null, message, seconds);
    }

    BatchException CannotWrite(Exception e) => BatchException.IsDiskFull(e) ? DiskFull(e)
        : new BatchException($"cannot write to {_folder.Root}: {e.Message}", e);

    BatchException DiskFull(Exception e) => new($"the disk is full ({e.Message}). Slides that are done stay, and the "
        + $"one at hand left nothing: make room for {_folder.Root}, and the same command goes on", e);

    static void TryTo(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // it keeps its temporary name, which says what it is; the next process tries again
        }
    }
}
