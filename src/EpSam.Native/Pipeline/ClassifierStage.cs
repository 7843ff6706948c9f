// The first stage of a run: the patch classifier learns from labelled patches (EP-SAM's 1_train_patch_classifier.py).
// All that is random follows from the seed, the epoch and the patch, and the state is saved between two updates, so a
// run that was interrupted anywhere goes on to the same bits.
using System.Diagnostics;
using System.Globalization;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>Trains the patch classifier and leaves the one of the best epoch.</summary>
public sealed class ClassifierStage : IRunStage
{
    /// <inheritdoc/>
    public string Name => "classifier";

    /// <inheritdoc/>
    public StageResult Run(RunContext run)
    {
        using ClassifierTraining training = new(run, Name);
        return training.Run();
    }

    /// <inheritdoc/>
    public void Reset(RunFolder folder)
    {
        RunFolder.Delete(folder.ClassifierState);
        RunFolder.Delete(folder.Classifier);
    }

    /// <summary>How a run trains its classifier.</summary>
    public static ClassifierTrainerOptions Options(RunConfig config) => new()
    {
        Batch = config.Classifier.Batch, Size = config.Classifier.Size,
        Precision = config.Type, MemoryBudget = config.BudgetBytes,
        Adam = new AdamOptions(config.Classifier.WeightDecay), MaxNorm = config.Classifier.MaxNorm,
    };
}

/// <summary>The stage while it runs.</summary>
internal sealed class ClassifierTraining : IDisposable
{
    readonly RunContext _run;
    readonly ClassifierConfig _config;
    readonly string _stage;
    readonly int[] _train, _val; // indices of patches
    readonly PatchImages _images;
    readonly ClassifierTrainer _trainer;
    readonly CounterRandom _random;
    readonly Sampler _sampler;   // of what an update sees
    readonly EarlyStopping _stopping;
    readonly StepSchedule _schedule;
    readonly Stopwatch _sinceSaved = Stopwatch.StartNew();

    // of the epoch under way
    double _lossSum;
    long _lossCount;
    // epochs that have been validated, and the best of them
    long _validated, _bestEpoch;
    SortedDictionary<string, double> _best = new(StringComparer.Ordinal);
    Task<byte[]>? _ahead;

    public ClassifierTraining(RunContext run, string stage)
    {
        (_run, _config, _stage) = (run, run.Config.Classifier, stage);
        _train = Of(Split.Train);
        _val = Of(Split.Val);
        CheckData();
        _images = new(run.Data, [.. _train, .. _val], run.Files, _config.Size, run.Config.Compat.SwappedRedBlue);
        _random = new(_config.Seed);
        _sampler = new(_train.Length, checked(_config.Batch * _config.Accumulate), _config.Seed);
        _stopping = new(_config.Patience);
        _schedule = new(_config.Rate, _config.RateEvery, _config.RateFactor);
        _trainer = new(run.Gpu, _config.Model, ClassifierStage.Options(run.Config));
        try
        {
            run.Folder.KeepTimeline(stage, _trainer.Plan);
            Begin();
        }
        catch
        {
            _trainer.Dispose();
            throw;
        }
    }

    bool IsOver => _validated >= _config.Epochs || _stopping.IsOver;

    public StageResult Run()
    {
        long total = (long)_config.Epochs * _train.Length;
        using (IWorkProgress progress = _run.Observer.Begin("training the classifier", total, "patches"))
        {
            try
            {
                Train(progress);
            }
            catch (OperationCanceledException)
            {
                Save();
                throw;
            }
            catch (ImageFileException e)
            {
                Save();
                throw new RunException($"{e.Message}. Training has stopped in epoch {_sampler.Epoch + 1}; when the "
                    + "image can be read, the same command goes on from there", e);
            }
            catch (NonFiniteException e)
            {
                throw new RunException($"training of the classifier: {e.Message}", e);
            }
        }
        Dictionary<string, double> figures = new(_best) { ["epochs"] = _validated, ["best_epoch"] = _bestEpoch };
        return new(figures, _trainer.Plan.Peak, _trainer.MeasuredPeak);
    }

    public void Dispose()
    {
        if (_ahead is not null) ((IAsyncResult)_ahead).AsyncWaitHandle.WaitOne(); // it reads files
        _trainer.Dispose();
    }

    void Train(IWorkProgress progress)
    {
        string validation = "";
        while (!IsOver)
        {
            _run.Cancel.ThrowIfCancellationRequested();
            if (_sampler.Epoch > _validated)
            {
                double loss = Validate();
                validation = Text($", validation {loss:F4}");
                continue;
            }
            double step = Update();
            progress.Report(_sampler.Epoch * _train.Length + _lossCount % _train.Length,
                Text($"epoch {_validated + 1} of {_config.Epochs}, loss {step:F4}{validation}"));
            if (_sinceSaved.Elapsed.TotalSeconds >= _run.Config.SaveSeconds) Save();
        }
    }

    // One step of the optimiser, of one pass or several. The sampler moves on when the images are there.
    double Update()
    {
        long epoch = _sampler.Epoch;
        int position = _sampler.Position;
        int[] slots = _sampler.Peek();
        byte[] images = Take(epoch, slots);
        _sampler.Next();
        if (_sampler.Position != 0)
        {
            int[] next = _sampler.Peek();
            _ahead = Task.Run(() => Load(epoch, next));
        }
        int[] patches = Slots(epoch);
        double loss = 0;
        int each = 3 * _config.Size * _config.Size;
        for (int first = 0, pass = position * _config.Accumulate; first < slots.Length; first += _config.Batch, pass++)
        {
            int count = Math.Min(_config.Batch, slots.Length - first);
            float[] labels = [.. slots.AsSpan(first, count).ToArray().Select(s => (float)Label(patches[s]))];
            float share = (float)((double)count / slots.Length); // the mean over all of the update's patches
            loss += share * _trainer.Step(images.AsSpan(first * each, count * each), labels, Coins(epoch, pass), share);
        }
        double rate = _schedule.At(epoch);
        _trainer.Update(rate);
        _lossSum += loss * slots.Length;
        _lossCount += slots.Length;
        _run.Journal.Add(_stage, epoch + 1, _trainer.Updates, "loss", loss);
        return loss;
    }

    // The end of an epoch.
    double Validate()
    {
        double[] logits = new double[_val.Length];
        int[] labels = [.. _val.Select(Label)];
        Task<byte[]> Ahead(int first) => Task.Run(() => Load([.. _val.Skip(first).Take(_config.Batch)
            .Select(patch => (patch, (PatchChanges?)null))]));
        _ahead = Ahead(0);
        for (int first = 0; first < _val.Length; first += _config.Batch)
        {
            byte[] images = _ahead.GetAwaiter().GetResult();
            if (first + _config.Batch < _val.Length) _ahead = Ahead(first + _config.Batch);
            float[] part = _trainer.Evaluate(images);
            for (int i = 0; i < part.Length; i++) logits[first + i] = part[i];
            _run.Cancel.ThrowIfCancellationRequested();
        }
        _ahead = null;
        double loss = Loss(logits, labels, _run.Config.Compat.SigmoidValidationLoss);
        if (!double.IsFinite(loss))
        {
            throw new RunException($"the validation loss of epoch {_validated + 1} is {loss}: training has diverged; "
                + "start again with a smaller classifier.rate");
        }
        SortedDictionary<string, double> figures = new(StringComparer.Ordinal)
        {
            ["train_loss"] = _lossSum / _lossCount, ["val_loss"] = loss,
            ["val_accuracy"] = Metrics.Accuracy(logits, labels), ["rate"] = _schedule.At(_validated),
        };
        double auc = Metrics.Auc(logits, labels);
        if (!double.IsNaN(auc)) figures["val_auc"] = auc; // there is none of one class
        foreach ((string name, double value) in figures)
            _run.Journal.Add(_stage, _validated + 1, _trainer.Updates, name, value);
        _validated++;
        if (_stopping.Add(loss))
        {
            (_best, _bestEpoch) = (figures, _validated);
            _trainer.Save(_run.Folder.Classifier);
        }
        (_lossSum, _lossCount) = (0, 0);
        Save();
        return loss;
    }

    /// <summary>Mean binary cross entropy of logits; the published code takes probabilities for logits here.</summary>
    internal static double Loss(ReadOnlySpan<double> logits, ReadOnlySpan<int> labels, bool ofProbabilities)
    {
        Mean mean = new();
        for (int i = 0; i < logits.Length; i++)
        {
            double x = ofProbabilities ? 1 / (1 + Math.Exp(-logits[i])) : logits[i];
            mean.Add(Math.Max(x, 0) - x * labels[i] + Math.Log(1 + Math.Exp(-Math.Abs(x))));
        }
        return mean.Value;
    }

    // What this run has saved, or the beginning.
    void Begin()
    {
        if (File.Exists(_run.Folder.ClassifierState))
        {
            StateValues values = _trainer.LoadState(_run.Folder.ClassifierState);
            _sampler.Load(values, "sampler");
            _stopping.Load(values, "stopping");
            (_lossSum, _lossCount) = (values.Double("loss.sum"), values.Long("loss.count"));
            (_validated, _bestEpoch) = (values.Long("validated"), values.Long("best.epoch"));
            foreach (string name in values.Text("best.names").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                _best[name] = values.Double($"best.{name}");
            _run.Journal.Rewind(_stage, values.Text("journal"));
            if (!IsOver)
                _run.Observer.Note(Text($"the classifier's training goes on in epoch {_validated + 1}"));
            return;
        }
        _run.Journal.Rewind(_stage, null);
        if (_config.Init is not string path)
        {
            _trainer.Load(new UntrainedResNetAdl(_config.Model, _config.Seed));
            return;
        }
        using StateDict file = Checkpoint.Open(path);
        _trainer.Load(ImageNetResNet.Any(new CheckpointParameters(file), _config.Model, _config.Seed, path));
    }

    void Save()
    {
        StateValues values = new();
        _sampler.Save(values, "sampler");
        _stopping.Save(values, "stopping");
        values.Set("loss.sum", _lossSum);
        values.Set("loss.count", _lossCount);
        values.Set("validated", _validated);
        values.Set("best.epoch", _bestEpoch);
        values.Set("best.names", string.Join(' ', _best.Keys));
        foreach ((string name, double value) in _best) values.Set($"best.{name}", value);
        values.Set("journal", _run.Journal.Commit());
        _trainer.SaveState(_run.Folder.ClassifierState, values);
        _sinceSaved.Restart();
    }

    // Which patch is behind each slot of the sampler. Balanced, slots are of both labels in turn, and the rarer one's
    // patches come several times.
    int[] Slots(long epoch)
    {
        if (!_config.Balance) return _train;
        CounterRandom random = _random.Child("balance", (ulong)epoch);
        int[] slots = new int[_train.Length];
        for (int label = 0; label < 2; label++)
        {
            int[] group = [.. _train.Where(p => Label(p) == label)];
            int at = group.Length;
            for (int slot = label; slot < slots.Length; slot += 2, at++)
            {
                if (at == group.Length)
                {
                    random.Shuffle(group.AsSpan());
                    at = 0;
                }
                slots[slot] = group[at];
            }
        }
        return slots;
    }

    bool[] Coins(long epoch, int pass)
    {
        CounterRandom random = _random.Child("drops", (ulong)epoch).Child("pass", (ulong)pass);
        bool[] coins = new bool[_trainer.Coins];
        for (int i = 0; i < coins.Length; i++) coins[i] = random.NextDouble() < _config.DropRate;
        return coins;
    }

    // The images of an update: they have been prepared while the device was busy, but for the first of an epoch.
    byte[] Take(long epoch, int[] slots)
    {
        if (_ahead is not Task<byte[]> ahead) return Load(epoch, slots);
        _ahead = null;
        return ahead.GetAwaiter().GetResult();
    }

    byte[] Load(long epoch, int[] slots)
    {
        CounterRandom random = _random.Child("augmentation", (ulong)epoch);
        int[] patches = Slots(epoch);
        return Load([.. slots.Select(slot => (patches[slot], (PatchChanges?)PatchAugmentation.Draw(
            _config.Augmentation, random.Child("patch", (ulong)slot))))]);
    }

    // (n, size, size, 3). Of images that cannot be read the first is reported, on any number of cores.
    byte[] Load(IReadOnlyList<(int Patch, PatchChanges? Changes)> patches)
    {
        int size = _config.Size, each = 3 * size * size;
        byte[] images = new byte[checked(patches.Count * each)];
        ImageFileException?[] failures = new ImageFileException?[patches.Count];
        Parallel.For(0, patches.Count, i =>
        {
            try
            {
                byte[] pixels = _images.Read(patches[i].Patch);
                Span<byte> to = images.AsSpan(i * each, each);
                if (patches[i].Changes is PatchChanges changes)
                    PatchAugmentation.Apply(changes, size, size, pixels, to);
                else pixels.CopyTo(to);
            }
            catch (ImageFileException e)
            {
                failures[i] = e;
            }
        });
        if (failures.FirstOrDefault(f => f is not null) is ImageFileException first) throw first;
        return images;
    }

    void CheckData()
    {
        if (_train.Length == 0) throw new RunException("there are no labelled patches to train the classifier with");
        if (_train.Select(Label).Distinct().Count() == 1)
        {
            string present = Label(_train[0]) == 1 ? "with" : "without";
            throw new RunException($"all {_train.Length} training patches are {present} tumour (label "
                + $"{Label(_train[0])}); the classifier needs some of both labels");
        }
        if (_val.Length == 0)
        {
            throw new RunException("there are no patches for validation, which choose the best epoch: give a val "
                + "split, or set data.validation_share");
        }
        if (_val.Select(Label).Distinct().Count() == 1)
            _run.Observer.Warn("all validation patches have one label: there is no AUC");
    }

    int[] Of(Split split) => [.. Enumerable.Range(0, _run.Data.Patches.Count)
        .Where(i => _run.Data.Images[_run.Data.Patches[i].Image].Split == split)];

    int Label(int patch) => _run.Data.Patches[patch].Label;

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
