// The models that segment slides, loaded once for all of them: the patch classifier says which tiles show tumour, its
// activation map where to look, SAM draws the mask. Memory is planned for tiles of one size.
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;

namespace EpSam.Slides.Segment;

/// <summary>The pixels of a tile.</summary>
/// <param name="Rgb">(tile, tile, 3).</param>
/// <param name="Small">(side, side, 3), as the classifier sees it.</param>
internal sealed record TilePixels(byte[] Rgb, byte[] Small);

/// <summary>What the segmentation of a slide asks of models.</summary>
internal interface ISlideModels
{
    /// <summary>Tiles that are best classified together.</summary>
    int Batch { get; }

    /// <summary>The side that the classifier sees.</summary>
    int ClassifierSide { get; }

    /// <summary>Whether red and blue are exchanged for models.</summary>
    bool SwappedRedBlue { get; }

    /// <summary>Probabilities of tumour.</summary>
    float[] Classify(IReadOnlyList<TilePixels> tiles, CancellationToken cancel);

    /// <summary>
    /// Probabilities (tile, tile), 0 to 255, of tiles with tumour; null for one in which the map shows nothing.
    /// </summary>
    byte[]?[] Segment(IReadOnlyList<(TilePixels Pixels, ulong Seed)> tiles, CancellationToken cancel);

    /// <summary>What is kept with the results.</summary>
    SlideModelReport Report { get; }
}

/// <summary>Which models made the results of a slide, and how they were used: part of slide.json.</summary>
public sealed record SlideModelReport
{
    /// <summary>SHA-256 of the classifier's checkpoint.</summary>
    public required string ClassifierSha256 { get; init; }
    /// <summary>The side that tiles were resized to for it.</summary>
    public required int ClassifierSide { get; init; }
    /// <summary>What tiles were resized by for activation maps.</summary>
    public required double Scale { get; init; }
    /// <summary>How maps became masks.</summary>
    public required CamMaskRule Rule { get; init; }
    /// <summary>Whether activations are those of the whole last stage.</summary>
    public bool WholeStage { get; init; }
    /// <summary>SHA-256 of SAM's checkpoint; null: masks are the maps'.</summary>
    public string? SamSha256 { get; init; }
    /// <summary>SHA-256 of the mask decoder's; null: SAM's own.</summary>
    public string? DecoderSha256 { get; init; }
    /// <summary>What was multiplied.</summary>
    public required string Precision { get; init; }
}

/// <summary>
/// Loaded models. They own their device memory: dispose them before the Gpu. Not thread-safe. Deterministic.
/// </summary>
public sealed class SlideModels : ISlideModels, IDisposable
{
    const int Together = 4; // tiles: the orientations of one for the classifier's map are as many

    readonly SlideModelFiles _files;
    readonly int _tile, _points;
    readonly PatchClassifier _classifier;
    readonly SamModel? _sam;
    readonly SamPredictor? _predictor;
    readonly bool _isOneScale; // the classifier's map is of the pixels that it classifies
    byte[] _images = [];       // of a batch

    SlideModels(SlideModelFiles files, SlideOptions options, PatchClassifier classifier, SamModel? sam)
    {
        (_files, _tile, _points, _classifier, _sam) = (files, options.Tile, options.Points, classifier, sam);
        _predictor = sam is null ? null : new SamPredictor(sam);
        (int scaled, int side) = (PatchClassifier.Scaled(_tile, _tile, files.Scale).Height, files.ClassifierSide);
        _isOneScale = scaled == side;
        string?[] paths = sam is null ? [files.Classifier] : [files.Classifier, files.Sam, files.Decoder];
        RunInput[] inputs = [.. paths.OfType<string>().Select(RunInput.Of)];
        Inputs = inputs;
        Report = new SlideModelReport
        {
            ClassifierSha256 = inputs[0].Sha256, ClassifierSide = side, Scale = files.Scale, Rule = files.Rule,
            WholeStage = files.WholeStage, SamSha256 = sam is null ? null : inputs[1].Sha256,
            DecoderSha256 = sam is null || files.Decoder is null ? null : inputs[2].Sha256,
            Precision = files.Precision == EpSam.Native.Tensors.DType.BF16 ? "bf16" : "fp32",
        };
    }

    /// <summary>The checkpoints: the classifier's, SAM's, the decoder's.</summary>
    public IReadOnlyList<RunInput> Inputs { get; }

    /// <summary>Which models these are, without their places.</summary>
    public SlideModelReport Report { get; }

    /// <summary>Device memory that was planned, of all models together.</summary>
    public long PlannedBytes => _classifier.Plan.Peak + (_sam?.Plan.Peak ?? 0);

    /// <summary>The most device memory that was in use so far.</summary>
    public long MeasuredPeak => _classifier.MeasuredPeak + (_sam?.MeasuredPeak ?? 0);

    /// <summary>The tile's side that memory was planned for.</summary>
    public int Tile => _tile;

    /// <summary>Plans, allocates and loads. Without <see cref="SlideOptions.MapsOnly"/> a SAM must be named.</summary>
    /// <exception cref="EpSam.Native.Checkpoints.CheckpointException">A file is damaged or no such model.</exception>
    /// <exception cref="SamConfigException">SAM's sizes cannot be told.</exception>
    /// <exception cref="BudgetException">The plan is over the budget; the message says what would fit.</exception>
    /// <exception cref="RunException">A checkpoint cannot be read.</exception>
    /// <exception cref="IOException">A checkpoint cannot be read.</exception>
    public static SlideModels Load(Gpu gpu, SlideModelFiles files, SlideOptions options)
    {
        options.Check();
        if (!options.MapsOnly && files.Sam is null)
            throw new ArgumentException("no SAM checkpoint is given, and masks are not the activation maps' alone");
        int scaled = PatchClassifier.Scaled(options.Tile, options.Tile, files.Scale).Height;
        int side = Math.Max(files.ClassifierSide, scaled);
        PatchClassifier classifier = PatchClassifier.Load(gpu, files.Classifier, new PatchClassifierOptions
        {
            Precision = files.Precision, MemoryBudget = files.MemoryBudget, Batch = Together, LongerSide = side,
            ShorterSide = side,
        });
        SamModel? sam = null;
        try
        {
            if (!options.MapsOnly)
            {
                sam = SamModel.Load(gpu, files.Sam!, files.SamConfig, new SamOptions
                {
                    Precision = files.Precision, MemoryBudget = files.MemoryBudget - classifier.Plan.Peak,
                    MaxPoints = options.Points, PromptsPerPass = Together, ImagesPerPass = Together,
                }, files.Decoder);
            }
            return new SlideModels(files, options, classifier, sam);
        }
        catch
        {
            sam?.Dispose();
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>The models of a run; <paramref name="change"/> may exchange what was found.</summary>
    /// <exception cref="RunException">It is no run, or it has not made its models yet.</exception>
    public static SlideModels OfRun(Gpu gpu, string folder, SlideOptions options, string? sam = null,
        Func<SlideModelFiles, SlideModelFiles>? change = null)
    {
        SlideModelFiles files = SlideModelFiles.OfRun(folder, options, sam);
        return Load(gpu, change is null ? files : change(files), options);
    }

    int ISlideModels.Batch => Together;

    int ISlideModels.ClassifierSide => _files.ClassifierSide;

    bool ISlideModels.SwappedRedBlue => _files.SwappedRedBlue;

    float[] ISlideModels.Classify(IReadOnlyList<TilePixels> tiles, CancellationToken cancel)
    {
        int side = _files.ClassifierSide, each = 3 * side * side;
        if (_images.Length < tiles.Count * each) _images = new byte[tiles.Count * each];
        for (int i = 0; i < tiles.Count; i++) tiles[i].Small.CopyTo(_images, i * each);
        PatchScore[] scores =
            _classifier.Classify(_images.AsSpan(0, tiles.Count * each), tiles.Count, side, side, cancel);
        return [.. scores.Select(s => s.Probability)];
    }

    byte[]?[] ISlideModels.Segment(IReadOnlyList<(TilePixels Pixels, ulong Seed)> tiles, CancellationToken cancel)
    {
        byte[]?[] probabilities = new byte[tiles.Count][];
        List<(int Tile, SamPrompt Prompt)> prompts = [];
        for (int i = 0; i < tiles.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            (TilePixels pixels, ulong seed) = tiles[i];
            (ActivationMap map, byte[] mask) = Map(pixels);
            if (!mask.AsSpan().ContainsAnyExcept((byte)0)) continue;
            if (_predictor is null)
            {
                for (int p = 0; p < mask.Length; p++) mask[p] = mask[p] == 0 ? (byte)0 : (byte)255;
                probabilities[i] = mask;
                continue;
            }
            SamPoint[] points = [.. map.Points(mask, _points, seed).Select(InFrame)];
            prompts.Add((i, new SamPrompt
            {
                Points = points, Image = _predictor.Encode(pixels.Rgb, _tile, _tile, cancel),
            }));
        }
        if (prompts.Count == 0) return probabilities;
        IReadOnlyList<float[]> logits = _predictor!.PredictLogits([.. prompts.Select(p => p.Prompt)], cancel);
        for (int i = 0; i < prompts.Count; i++) probabilities[prompts[i].Tile] = Probabilities(logits[i]);
        return probabilities;
    }

    (ActivationMap Map, byte[] Mask) Map(TilePixels pixels)
    {
        int side = _files.ClassifierSide;
        ActivationMap map = _isOneScale ? _classifier.Cam(pixels.Small, side, side, _files.WholeStage)
            : _classifier.Cam(pixels.Rgb, _tile, _tile, _files.WholeStage, _files.Scale);
        map = map with { ImageHeight = _tile, ImageWidth = _tile };
        byte[] mask = map.Mask(_files.Rule);
        return (_files.Rule.Logit is null ? map : map.OfProbabilities(), mask);
    }

    // Published decoders take points for positions in SAM's frame: what the predictor scales is divided first.
    SamPoint InFrame((int X, int Y) point)
    {
        if (!_files.UnscaledPoints) return new SamPoint(point.X, point.Y);
        double ratio = (double)_tile / _sam!.Config.ImageSize;
        return new SamPoint(point.X * ratio, point.Y * ratio);
    }

    static byte[] Probabilities(float[] logits)
    {
        byte[] levels = new byte[logits.Length];
        for (int i = 0; i < levels.Length; i++) levels[i] = (byte)(255 / (1 + MathF.Exp(-logits[i])) + 0.5f);
        return levels;
    }

    /// <summary>Frees the device memory.</summary>
    public void Dispose()
    {
        _sam?.Dispose();
        _classifier.Dispose();
    }
}
