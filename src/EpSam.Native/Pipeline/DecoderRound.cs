// One round at work. What it is resumed from is a training state (parameters, moments, the sampler's place, early
// stopping, the epoch's sums, the journal's place), and for its second part the table of masks that are done. All that
// is random follows from the seed, the round, the epoch and the image, so it does not matter where a run was stopped.
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

internal sealed class DecoderRound : IDisposable
{
    // Sums of losses and measures over images.
    sealed class Tally
    {
        public double[] Sums { get; } = new double[4];
        public long Count { get; set; }

        public void Add(MaskScores s)
        {
            foreach ((int i, double v) in new[] { s.DiceLoss, s.IoULoss, s.Dice, s.IoU }.Index()) Sums[i] += v;
            Count++;
        }

        public MaskScores Mean => new(Sums[0] / Count, Sums[1] / Count, Sums[2] / Count, Sums[3] / Count);
    }

    readonly RunContext _run;
    readonly DecoderConfig _config;
    readonly int _round;
    readonly string _name;
    readonly DecoderImages _images;
    readonly SourceImage[] _positives; // of the training part
    readonly SourceImage[] _learned;   // those with a label in this round
    readonly int _labels;              // whose masks the labels are
    readonly SourceImage[] _judged;    // of the validation part
    readonly bool _isJudgedByTruth;
    readonly DecoderTrainer _trainer;
    readonly EmbeddingCache _cache;
    readonly Dictionary<string, string> _digests = []; // of images, by name
    readonly CounterRandom _random;
    readonly Sampler _sampler;
    readonly Schedule _schedule;
    readonly EarlyStopping _stopping;
    Tally _tally = new();
    long _judgedEpochs, _bestEpoch;
    Stopwatch _sinceSaved = Stopwatch.StartNew();

    public DecoderRound(RunContext run, int round, string name)
    {
        (_run, _config, _round, _name, _images) = (run, run.Config.Decoder, round, name, new DecoderImages(run));
        _positives = _images.Positives(Split.Train);
        if (_positives.Length == 0)
        {
            throw new RunException("no training image has an initial mask that is not empty, so there is nothing to "
                + "train the mask decoder on; look at the activation maps, or lower cam's percentile or opening");
        }
        (_labels, _learned) = _images.Labels(round, _positives);
        (_judged, _isJudgedByTruth) = Judged();
        _random = new CounterRandom(_config.Seed).Child("round", (ulong)round);
        _sampler = new Sampler(_learned.Length, _config.Batch, _random.Child("order", 0).NextBits());
        _schedule = new CosineSchedule(_config.Rate,
            run.Config.Compat.CosineOfBatches ? _sampler.Batches : _config.Epochs);
        _stopping = new EarlyStopping(_config.Patience);
        using StateDict file = Checkpoint.Open(run.Sam);
        CheckpointParameters sam = new(file);
        _trainer = DecoderTrainer.Load(run.Gpu, sam,
            DecoderStage.Options(run.Config, _positives.Concat(_judged).Select(i => run.Files.ReadSize(i.Path))), null,
            run.Sam);
        try
        {
            run.Folder.KeepTimeline(name, _trainer.Plan);
            _cache = EmbeddingCache.Of(run, _trainer, sam);
            Resume();
        }
        catch
        {
            _trainer.Dispose();
            throw;
        }
    }

    public long PlannedBytes => _trainer.Plan.Peak;
    public long PeakBytes => _trainer.MeasuredPeak;

    public IReadOnlyDictionary<string, double> Figures(PseudoMaskRows masks)
    {
        Dictionary<string, double> figures = new()
        {
            ["images"] = _learned.Length, ["epochs"] = _sampler.Epoch, ["best_epoch"] = _bestEpoch,
            ["predicted"] = masks.Count, ["kept"] = masks.Kept,
            ["mean_score"] = masks.Rows.Average(r => r.Score),
        };
        if (_judged.Length > 0) figures["val_loss"] = _stopping.Best;
        return figures;
    }

    /// <summary>Trains to the end; the best decoder is in its file.</summary>
    public void Train()
    {
        long steps = (long)_config.Epochs * _sampler.Batches;
        if (IsTrained) return;
        using IWorkProgress progress = _run.Observer.Begin($"round {_round}: training", steps, "steps");
        while (true)
        {
            if (_judgedEpochs < _sampler.Epoch)
            {
                EndEpoch();
                Save();
            }
            if (IsTrained) return;
            double loss = Step();
            progress.Report(_sampler.Epoch * _sampler.Batches + _sampler.Position,
                string.Create(CultureInfo.InvariantCulture, $"loss {loss:F4}"));
            if (_sinceSaved.Elapsed.TotalSeconds >= _run.Config.SaveSeconds) Save();
        }
    }

    /// <summary>Predicts masks of the training images with the best decoder and keeps the good ones.</summary>
    public PseudoMaskRows Predict()
    {
        string table = _run.Folder.PseudoMasks(_round);
        PseudoMaskRows rows = PseudoMaskRows.Load(table);
        _trainer.LoadDecoder(_run.Folder.Decoder(_round));
        using IWorkProgress progress = _run.Observer.Begin($"round {_round}: masks", _positives.Length, "images");
        _sinceSaved = Stopwatch.StartNew();
        for (int i = 0; i < _positives.Length; i++)
        {
            if (!rows.Contains(_positives[i].Name)) SavingFirst(() => rows.Save(table), () => Predict(i, rows));
            progress.Report(i + 1, $"{rows.Kept} kept");
            if (_sinceSaved.Elapsed.TotalSeconds < _run.Config.SaveSeconds) continue;
            rows.Save(table);
            _sinceSaved.Restart();
        }
        rows.Save(table);
        if (rows.Kept == 0)
        {
            _run.Observer.Note($"round {_round}: none of {rows.Count} masks lies within its activation map's mask to "
                + $"{_config.KeepFrom:P0} (decoder.keep_from), so the next round learns from the same labels as this");
        }
        return rows;
    }

    public void Dispose() => _trainer.Dispose();

    bool IsTrained => _judgedEpochs == _sampler.Epoch && (_stopping.IsOver || _sampler.Epoch >= _config.Epochs);

    double Step()
    {
        long epoch = _sampler.Epoch;
        DecoderItem[] items = [];
        SavingFirst(Save, () => items = [.. _sampler.Peek().Select(i => Learned(epoch, i))]);
        MaskScores[] scores = _trainer.Step(items);
        _trainer.Update(_schedule.At(epoch));
        _sampler.Next();
        foreach (MaskScores score in scores) _tally.Add(score);
        double loss = scores.Average(s => s.Loss);
        long step = epoch * _sampler.Batches + (_sampler.Position == 0 ? _sampler.Batches : _sampler.Position);
        _run.Journal.Add(_name, epoch + 1, step, "step_loss", loss);
        return loss;
    }

    // The image is changed by the epoch's draw, and its points are pixels of the changed mask, evenly.
    DecoderItem Learned(long epoch, int index)
    {
        _run.Cancel.ThrowIfCancellationRequested();
        SourceImage image = _learned[index];
        CounterRandom random = _random.Child($"epoch {epoch}", (ulong)index);
        DecoderAugmentation change = DecoderAugmentation.Draw(_config.Augmentation, random);
        Picture mask = change.Mask(_images.Label(_labels, image));
        (int, int)[] points =
            PointPrompts.Random(mask.Pixels, mask.Height, mask.Width, _config.Points, random.NextBits());
        return new DecoderItem(Embedding(image, change), points, mask.Pixels, mask.Height, mask.Width);
    }

    // Figures of the epoch that has just ended; the best decoder so far is saved.
    void EndEpoch()
    {
        long epoch = _sampler.Epoch - 1, step = _sampler.Epoch * _sampler.Batches;
        Tally judged = new();
        SavingFirst(Save, () => Judge(judged));
        Add("rate", _schedule.At(epoch));
        AddAll("train", _tally.Mean);
        bool isBest = true;
        if (_judged.Length > 0)
        {
            AddAll("val", judged.Mean);
            isBest = _stopping.Add(judged.Mean.Loss);
        }
        if (isBest || epoch == 0)
        {
            _trainer.SaveDecoder(_run.Folder.Decoder(_round));
            _bestEpoch = epoch + 1;
        }
        (_judgedEpochs, _tally) = (_sampler.Epoch, new Tally());

        void Add(string name, double value) => _run.Journal.Add(_name, epoch + 1, step, name, value);

        void AddAll(string part, MaskScores scores)
        {
            Add($"{part}_loss", scores.Loss);
            Add($"{part}_dice_loss", scores.DiceLoss);
            Add($"{part}_iou_loss", scores.IoULoss);
            Add($"{part}_dice", scores.Dice);
            Add($"{part}_iou", scores.IoU);
        }
    }

    // The same points in every epoch, so that epochs are compared and not draws.
    void Judge(Tally tally)
    {
        for (int i = 0; i < _judged.Length; i++)
        {
            _run.Cancel.ThrowIfCancellationRequested();
            SourceImage image = _judged[i];
            Picture mask = _isJudgedByTruth ? _images.TrueMaskOf(image) : _images.InitialMask(image);
            (int, int)[] points = _images.Points(image, DecoderAugmentation.None);
            tally.Add(_trainer.Evaluate(new DecoderItem(Embedding(image, DecoderAugmentation.None), points,
                mask.Pixels, mask.Height, mask.Width)));
        }
    }

    void Predict(int index, PseudoMaskRows rows)
    {
        _run.Cancel.ThrowIfCancellationRequested();
        SourceImage image = _positives[index];
        // the published code takes the images that training does, changed, and saves under the unchanged one's name
        DecoderAugmentation change = _run.Config.Compat.AugmentedPseudoMasks
            ? DecoderAugmentation.Draw(_config.Augmentation, _random.Child("masks", (ulong)index))
            : DecoderAugmentation.None;
        (int X, int Y)[] points = _images.Points(image, change);
        Picture initial = _images.InitialMask(image), within = change.Mask(initial);
        byte[] mask = _trainer.Predict(Embedding(image, change), points, within.Height, within.Width);
        double score = PseudoMaskFilter.Score(within.Pixels, mask);
        bool isKept = score >= _config.KeepFrom;
        if (isKept) Keep(image, new Picture(mask, within.Height, within.Width, 1), initial.Height, initial.Width);
        rows.Add(image.Name, score, isKept);
    }

    void Keep(SourceImage image, Picture mask, int height, int width)
    {
        byte[] pixels = mask.Pixels;
        if ((mask.Height, mask.Width) != (height, width)) // turned, and not square: only with the published fault
        {
            byte[] resized = new byte[pixels.Length];
            CvResize.Nearest(pixels, mask.Height, mask.Width, 1, height, width, resized);
            pixels = resized;
        }
        _run.WriteMask(_run.Folder.PseudoMask(_round, image.Name), pixels, height, width);
    }

    byte[] Embedding(SourceImage image, DecoderAugmentation change)
    {
        if (change.Shift is not null) return Encode(change.Image(_images.Rgb(image)));
        Picture? rgb = null;
        if (!_digests.TryGetValue(image.Name, out string? digest))
            _digests.Add(image.Name, digest = EmbeddingCache.ImageDigest(rgb = _images.Rgb(image)));
        return _cache.Get(digest, change.Orientation,
            () => Encode(change.Orientation.Apply(rgb ?? _images.Rgb(image))));
    }

    byte[] Encode(Picture rgb) => _trainer.Encode(rgb.Pixels, rgb.Height, rgb.Width);

    // Nothing is lost when a run is stopped or an image cannot be read: what has been done is saved first.
    static void SavingFirst(Action save, Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is OperationCanceledException or ImageFileException or RunException)
        {
            save();
            throw;
        }
    }

    (SourceImage[], bool) Judged()
    {
        SourceImage[] all = [.. _run.Data.Of(Split.Val).Where(i => i.Label == 1)];
        SourceImage[] withTruth = [.. all.Where(i => i.MaskPath is not null)];
        if (_config.Validation == DecoderValidation.Truth && withTruth.Length > 0) return (withTruth, true);
        SourceImage[] withMask = _images.Positives(Split.Val);
        if (withMask.Length == 0)
        {
            _run.Observer.Warn("there is no validation image with a tumour and a mask to compare with: training goes "
                + "on to the last epoch and its decoder is the one that is kept");
        }
        else if (_config.Validation == DecoderValidation.Truth)
        {
            _run.Observer.Note("validation images have no true masks: the best epoch is chosen by the masks of their "
                + "activation maps");
        }
        return (withMask, false);
    }

    // What must be the same for a state to be this round's.
    string Identity => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        $"{_round} {_labels} {_isJudgedByTruth}\n{string.Join('\n', _learned.Concat(_judged).Select(i => i.Name))}")));

    void Save()
    {
        StateValues values = new();
        values.Set("identity", Identity);
        _sampler.Save(values, "sampler");
        _stopping.Save(values, "stopping");
        values.Set("judged_epochs", _judgedEpochs);
        values.Set("best_epoch", _bestEpoch);
        values.Set("tally.count", _tally.Count);
        for (int i = 0; i < _tally.Sums.Length; i++) values.Set($"tally.{i}", _tally.Sums[i]);
        values.Set("journal", _run.Journal.Commit());
        _trainer.SaveState(_run.Folder.DecoderState(_round), values);
        _sinceSaved.Restart();
    }

    void Resume()
    {
        string path = _run.Folder.DecoderState(_round);
        if (!File.Exists(path))
        {
            new DecoderStage(_round).Reset(_run.Folder);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            _run.Journal.Rewind(_name, null);
            return;
        }
        StateValues values = _trainer.LoadState(path);
        if (values.Text("identity") != Identity)
        {
            throw new RunException($"{path} was saved while the round learned from other images or labels than there "
                + $"are now: run stage {_name} from its beginning");
        }
        _sampler.Load(values, "sampler");
        _stopping.Load(values, "stopping");
        (_judgedEpochs, _bestEpoch) = (values.Long("judged_epochs"), values.Long("best_epoch"));
        _tally.Count = values.Long("tally.count");
        for (int i = 0; i < _tally.Sums.Length; i++) _tally.Sums[i] = values.Double($"tally.{i}");
        _run.Journal.Rewind(_name, values.Text("journal"));
    }
}
