// A run from beginning to end: its folder is taken, what it is made from is compared with what it was made from before,
// then its stages follow each other. A stage that was interrupted goes on from its own state; one that is done is
// left alone. stages.json says which is which at any time, and is written before a stage's files are touched.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>What a run is asked for.</summary>
/// <param name="Folder">Where it is kept.</param>
public sealed record RunRequest(string Folder)
{
    /// <summary>The data set; null: that of the run that is there.</summary>
    public string? Data { get; init; }
    /// <summary>The SAM checkpoint; null: that of the run that is there.</summary>
    public string? Sam { get; init; }
    /// <summary>A file of values that differ from the defaults; null: those of the run that is there.</summary>
    public string? ConfigFile { get; init; }
    /// <summary>Values that were given otherwise.</summary>
    public Func<RunConfig, RunConfig> Overrides { get; init; } = config => config;
}

/// <summary>A run whose folder is held. Disposing it lets the folder go.</summary>
public sealed class Run : IDisposable
{
    readonly RunLock _lock;
    readonly IImageFiles _files;
    readonly IRunObserver _observer;
    readonly IReadOnlyList<IRunStage> _stages;

    Run(RunLock held, RunFolder folder, RunConfig config, PatchSet data, RunProgress progress, IImageFiles files,
        IRunObserver observer, IReadOnlyList<IRunStage> stages)
    {
        (_lock, Folder, Config, Data, Progress) = (held, folder, config, data, progress);
        (_files, _observer, _stages) = (files, observer, stages);
    }

    /// <summary>Where it is kept.</summary>
    public RunFolder Folder { get; }

    /// <summary>All that decides what it does.</summary>
    public RunConfig Config { get; }

    /// <summary>What it learns from.</summary>
    public PatchSet Data { get; }

    /// <summary>How far it is.</summary>
    public RunProgress Progress { get; private set; }

    /// <summary>All stages of a run in order.</summary>
    public static IReadOnlyList<IRunStage> StagesOf(RunConfig config) =>
    [
        new ClassifierStage(), new CamStage(),
        .. Enumerable.Range(0, config.Decoder.Rounds + 1).Select(round => new DecoderStage(round)),
        new EvaluationStage(), new ReportStage(),
    ];

    /// <summary>
    /// Begins a run, or takes up the one in the folder: reads the configuration, finds and checks the data set, and
    /// refuses what differs from what the run began with.
    /// </summary>
    /// <exception cref="RunException">It cannot be; the message says why. Nothing has been changed.</exception>
    public static Run Open(RunRequest request, IImageFiles files, IRunObserver observer) =>
        Open(request, files, observer, StagesOf, CheckModels);

    internal static Run Open(RunRequest request, IImageFiles files, IRunObserver observer,
        Func<RunConfig, IReadOnlyList<IRunStage>> stagesOf,
        Action<RunConfig, PatchSet, IImageFiles, string>? checkModels = null)
    {
        RunFolder folder = new(request.Folder);
        RequireRunOrNothing(folder, request.Folder);
        RunLock? held = Directory.Exists(folder.Root) ? RunLock.Take(folder) : null;
        try
        {
            RunConfig? before = File.Exists(folder.Config) ? ReadConfig(folder.Config) : null;
            RunConfig config = ConfigOf(request, before);
            if (before is not null) RefuseDifferences(request.Folder, RunConfigKeys.Differences(config, before));
            (PatchSet data, string table, RunProgress progress) = Inputs(request, config, folder, files,
                observer);
            checkModels?.Invoke(config, data, files, progress.Sam.Path);
            IReadOnlyList<IRunStage> stages = stagesOf(config);
            progress = progress with
            {
                Stages = [.. stages.Select(s =>
                    progress.Stages.FirstOrDefault(p => p.Name == s.Name) ?? new StageProgress(s.Name))],
            };
            held ??= RunLock.Take(folder);
            if (before is null && File.Exists(folder.Config))
                throw new RunException($"{folder.Root} is in use");
            RemoveUnfinished(folder);
            if (config != before) RunFolder.Write(folder.Config, Encoding.UTF8.GetBytes(config.ToJson() + "\n"));
            RunFolder.Write(folder.Data, Encoding.UTF8.GetBytes(table));
            ScaleOf(progress.Data.Path)?.Write(folder.Root);
            progress.Write(folder);
            return new Run(held, folder, config, data, progress, files, observer, stages);
        }
        catch (Exception e)
        {
            held?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new RunException($"--out {request.Folder}: {e.Message}", e);
            throw;
        }
    }

    // The data set may be gone when the run's models are shown slides.
    static PatchScale? ScaleOf(string data) =>
        PatchScale.Read(File.Exists(data) ? Path.GetDirectoryName(Path.GetFullPath(data))! : data);

    // What a process that was killed was writing, beside its target.
    static void RemoveUnfinished(RunFolder folder)
    {
        EnumerationOptions all = new()
        {
            RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint,
        };
        foreach (string path in Directory.GetFiles(folder.Root, ".*.tmp", all)) File.Delete(path);
    }

    // The data set and what else the run is made from; refused when it is not what it began with.
    static (PatchSet Data, string Table, RunProgress Progress) Inputs(RunRequest request, RunConfig config,
        RunFolder folder, IImageFiles files, IRunObserver observer)
    {
        RunProgress? before = RunProgress.Read(folder);
        string data = request.Data ?? before?.Data.Path ?? throw new RunException("no data set is given (--data)");
        string sam = request.Sam ?? before?.Sam.Path ?? throw new RunException("no SAM checkpoint is given (--sam)");
        PatchSet set = PatchSet.Open(data, files, config.Data);
        string table = RunData.Table(set, data);
        RunInput? init = config.Classifier.Init is string path ? RunInput.Of(path) : null;
        RunProgress now = new(RunInput.Of(sam), RunInput.Of(data, RunData.Identity(table)), init, before?.Stages ?? []);
        if (before is not null) RefuseOtherInputs(folder, now, before, table);
        string[] changed = RunData.Changed(table, folder.Data);
        if (changed.Length > 0)
            observer.Warn($"files have changed since the run was last gone on with: {PatchRows.Few(changed)}");
        return (set, table, now);
    }

    /// <summary>Runs all stages that are not done, or one alone.</summary>
    /// <param name="gpu">Where.</param>
    /// <param name="device">Its name, for stages.json.</param>
    /// <param name="only">
    /// The only stage to run: anew when it is done, else from where it is. Stages behind it are not done any more then.
    /// </param>
    /// <param name="cancel">Saves the state and ends with <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="RunException">A stage cannot go on; what was saved stays.</exception>
    public void Execute(Gpu gpu, string device, string? only, CancellationToken cancel)
    {
        if (only is not null) RequireReady(only);
        Journal journal = new(Folder);
        RunContext context = new(gpu, Config, Folder, Data, _files, journal, _observer, Progress.Sam.Path, cancel);
        foreach (string note in Data.Notes) _observer.Warn(note);
        for (int i = 0; i < _stages.Count; i++)
        {
            bool isWanted = only is null ? StateOf(i).State != StageState.Done : _stages[i].Name == only;
            if (!isWanted) continue;
            cancel.ThrowIfCancellationRequested();
            if (StateOf(i).State != StageState.Running) StartAnew(i, journal);
            else _observer.Note($"{_stages[i].Name}: goes on where it was interrupted");
            Execute(i, context, device);
        }
    }

    /// <summary>Lets the folder go.</summary>
    public void Dispose() => _lock.Dispose();

    StageProgress StateOf(int stage) => Progress.Stages[stage];

    void Change(StageProgress stage)
    {
        Progress = Progress.With(stage);
        Progress.Write(Folder);
    }

    // Between the two writes the stage is waiting, so that a crash there has it begin anew again.
    void StartAnew(int i, Journal journal)
    {
        Progress = Progress with
        {
            Stages = [.. Progress.Stages.Select((s, k) => k < i ? s : k == i ? new StageProgress(s.Name)
                : s.State == StageState.Waiting ? s : s with { State = StageState.Stale })],
        };
        Progress.Write(Folder);
        _stages[i].Reset(Folder);
        journal.Rewind(_stages[i].Name, null);
        Change(StateOf(i) with { State = StageState.Running });
    }

    void Execute(int i, RunContext context, string device)
    {
        IRunStage stage = _stages[i];
        Stopwatch watch = Stopwatch.StartNew();
        try
        {
            StageResult result = stage.Run(context);
            context.Journal.Commit();
            Change(StateOf(i) with
            {
                State = StageState.Done, Figures = result.Figures, PlannedBytes = result.PlannedBytes,
                PeakBytes = result.PeakBytes, Seconds = Math.Round(StateOf(i).Seconds + watch.Elapsed.TotalSeconds, 3),
                Finished = DateTime.UtcNow, Device = device,
            });
        }
        catch (Exception e)
        {
            try
            {
                Change(StateOf(i) with
                {
                    Seconds = Math.Round(StateOf(i).Seconds + watch.Elapsed.TotalSeconds, 3),
                });
            }
            catch (IOException)
            {
                // the disk is full: the time is lost, the first message is the one to tell
            }
            if (e is OperationCanceledException || Explained(stage.Name, e) is not RunException explained) throw;
            throw explained;
        }
        string memory = StateOf(i).PeakBytes > 0 ? $", {Sizes.Text(StateOf(i).PeakBytes)} of device memory" : "";
        string figures = StateOf(i).Figures.Count > 0 ? ": " + StateOf(i).Text : "";
        _observer.Note(string.Create(CultureInfo.InvariantCulture,
            $"{stage.Name} done in {StateOf(i).Seconds:F1} s{memory}{figures}"));
        if (i + 1 < _stages.Count && _stages[^1] is ReportStage) WriteReport(context);
    }

    // After each stage, so that there is one to look at while the rest runs. It is no reason to stop.
    void WriteReport(RunContext context)
    {
        try
        {
            ReportStage.Write(context);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ImageFileException)
        {
            _observer.Warn($"report: {e.Message}");
        }
    }

    static RunException? Explained(string stage, Exception e) => e switch
    {
        IOException or UnauthorizedAccessException => new RunException(
            $"{stage}: {e.Message}. What was saved stays; the same command goes on from it when this is mended", e),
        ImageFileException => new RunException(
            $"{stage}: {e.Message}. What was saved stays; put the image right and the same command goes on from it", e),
        NonFiniteException => new RunException(
            $"{stage}: {e.Message}. What was saved before stays; a smaller rate or max_norm may help, in a new run", e),
        CheckpointException => new RunException($"{stage}: {e.Message}", e),
        BudgetException => new RunException($"{stage}: {e.Message}", e),
        _ => null,
    };

    void RequireReady(string only)
    {
        int at = Enumerable.Range(0, _stages.Count).FirstOrDefault(i => _stages[i].Name == only, -1);
        if (at < 0)
        {
            throw new RunException($"--stage {only}: the run has no such stage; it has "
                + string.Join(", ", _stages.Select(s => s.Name)));
        }
        string[] missing = [.. Progress.Stages.Take(at).Where(s => s.State != StageState.Done).Select(s => s.Name)];
        if (missing.Length > 0)
        {
            throw new RunException($"--stage {only} needs results of stages before it that are not done: "
                + string.Join(", ", missing));
        }
    }

    // What later stages would find out after hours: another kind of checkpoint, more memory than may be used.
    static void CheckModels(RunConfig config, PatchSet data, IImageFiles files, string sam)
    {
        string part = "";
        try
        {
            using StateDict file = Checkpoint.Open(sam);
            SamConfig sizes = SamKeys.Require(new CheckpointParameters(file), null, sam);
            if (config.MemoryBudget is null) return;
            ClassifierTrainerOptions classifier = ClassifierStage.Options(config);
            long budget = classifier.MemoryBudget!.Value;
            part = "training of the classifier: ";
            ClassifierTrainer.PlanOf(config.Classifier.Model, classifier).Require(budget,
                ClassifierTrainer.Alternatives(config.Classifier.Model, classifier));
            PatchClassifierOptions masks = CamStage.Options(config,
                data.Images.Where(CamStage.IsWanted).Select(i => files.ReadSize(i.Path)),
                CamStage.ScaleOf(config, data, files));
            part = "masks: ";
            PatchClassifier.PlanOf(config.Classifier.Model, masks).Require(budget,
                PatchClassifier.Alternatives(config.Classifier.Model, masks));
            DecoderTrainerOptions decoder = DecoderStage.Options(config,
                data.Images.Where(i => i.Label == 1).Select(i => files.ReadSize(i.Path)));
            part = "training of the decoder: ";
            DecoderTrainer.PlanOf(sizes, decoder).Require(budget, DecoderTrainer.Alternatives(sizes, decoder));
        }
        catch (Exception e) when (e is CheckpointException or SamConfigException or BudgetException
            or ArgumentException)
        {
            throw new RunException(part + e.Message, e);
        }
    }

    static void RequireRunOrNothing(RunFolder folder, string given)
    {
        if (File.Exists(folder.Root)) throw new RunException($"--out {given} is a file; expected a folder");
        if (!Directory.Exists(folder.Root) || File.Exists(folder.Config)) return;
        string[] others = [.. Directory.GetFileSystemEntries(folder.Root).Where(f => f != folder.Lock)];
        if (others.Length > 0)
        {
            throw new RunException($"--out {given} is there and is no run: it has {PatchRows.Few(others)}; choose "
                + "another name");
        }
    }

    static RunConfig ReadConfig(string path)
    {
        try
        {
            return RunConfig.FromJson(File.ReadAllText(path));
        }
        catch (Exception e) when (e is RunException or IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{path}: {e.Message}", e);
        }
    }

    static RunConfig ConfigOf(RunRequest request, RunConfig? before)
    {
        RunConfig config = request.ConfigFile is string file ? ReadConfig(file) : before ?? new RunConfig();
        config = request.Overrides(config);
        if (config.Classifier.Init is string init)
        {
            string from = request.ConfigFile is string given ? Path.GetDirectoryName(Path.GetFullPath(given))! : ".";
            string full = Path.GetFullPath(init, Path.GetFullPath(from));   // as the file says it
            config = config with { Classifier = config.Classifier with { Init = full } };
        }
        config.Check();
        return config;
    }

    static void RefuseDifferences(string folder, List<string> differences)
    {
        if (differences.Count > 0)
        {
            throw new RunException($"the run in {folder} was begun with another configuration: "
                + $"{PatchRows.Few(differences, 8)}. Choose another --out, or leave --config out to go on with it");
        }
    }

    static void RefuseOtherInputs(RunFolder folder, RunProgress now, RunProgress before, string table)
    {
        if (now.Data.Sha256 != before.Data.Sha256)
        {
            throw new RunException($"the run in {folder.Root} was begun with another data set: "
                + $"{RunData.Difference(table, folder.Data)}. Choose another --out");
        }
        foreach ((RunInput? a, RunInput? b, string what) in new[]
        {
            (now.Sam, before.Sam, "SAM checkpoint"), (now.Init, before.Init, "checkpoint for the classifier"),
        })
        {
            if (a?.Sha256 != b?.Sha256)
            {
                throw new RunException($"the run in {folder.Root} was begun with another {what}, {b?.Path ?? "none"} "
                    + $"({b?.Bytes ?? 0} bytes); {a?.Path ?? "none"} has other content. Choose another --out");
            }
        }
    }
}
