// One training step of EP-SAM, by the library's own trainers, as `bench train` and `bench peers train` measure it.
// Weights, images and targets are by formula. The decoder's step is that of images which are seen for the first time:
// the encoder runs.
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Bench;

/// <summary>What is trained: sizes are EP-SAM's unless smaller batches are wanted.</summary>
internal sealed record TrainSetup(string Kind, DType Type)
{
    public const string Decoder = "decoder", Classifier = "classifier";

    public int Batch { get; init; } = Kind == Decoder ? DecoderStep.Defaults.Batch : ClassifierStep.Defaults.Batch;

    public Recompute Recompute { get; init; } = new ResNetAdlConfig().Recompute;

    public string Title => Kind == Decoder
        ? $"mask decoder of SAM vit_b, {Batch} images of 1024 x 1024, {DecoderStep.Defaults.Points} points each"
        : $"ResNet-50 with ADL, {Batch} images of 512 x 512, recompute {Recompute.ToString().ToLowerInvariant()}";

    /// <summary>Plans, takes the memory and fills it.</summary>
    public ITrainStep Make(Gpu gpu) => Kind == Decoder ? new DecoderStep(gpu, this) : new ClassifierStep(gpu, this);
}

/// <summary>A model that is trained.</summary>
internal interface ITrainStep : IDisposable
{
    Plan Plan { get; }

    long MeasuredPeak { get; }

    /// <summary>Everything from images on the host to updated parameters; the loss.</summary>
    double Run();
}

/// <summary>EP-SAM's patch classifier: cross entropy, Adam.</summary>
internal sealed class ClassifierStep : ITrainStep
{
    const double Rate = 1e-5;

    static readonly bool[] Drops = [true, false, true];

    readonly ClassifierTrainer _trainer;
    readonly byte[] _images;
    readonly float[] _labels;

    public ClassifierStep(Gpu gpu, TrainSetup setup)
    {
        ResNetAdlConfig config = new() { Recompute = setup.Recompute };
        ClassifierTrainerOptions options = Defaults with { Batch = setup.Batch, Precision = setup.Type };
        KeyValuePair<string, Shape>[] shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(config, parameters);
            shapes = [.. parameters.Stored];
        });
        _trainer = new(gpu, config, options);
        _trainer.Load(new FormulaParameters(shapes));
        _images = new byte[setup.Batch * options.Size * options.Size * 3];
        new Random(1).NextBytes(_images);
        _labels = [.. Enumerable.Range(0, setup.Batch).Select(i => (float)(i % 2))];
    }

    public static ClassifierTrainerOptions Defaults { get; } = new();

    public Plan Plan => _trainer.Plan;

    public long MeasuredPeak => _trainer.MeasuredPeak;

    public double Run()
    {
        float loss = _trainer.Step(_images, _labels, Drops);
        _trainer.Update(Rate);
        return loss;
    }

    public void Dispose() => _trainer.Dispose();
}

/// <summary>EP-SAM's mask decoder behind the frozen encoders: Dice and IoU, AdamW.</summary>
internal sealed class DecoderStep : ITrainStep
{
    const int Side = 512, Square = 64; // of the target, a chessboard
    const double Rate = 5e-6;

    static readonly SamConfig Config = SamConfig.VitB;

    readonly DecoderTrainer _trainer;
    readonly byte[] _image = new byte[Side * Side * 3], _mask = new byte[Side * Side];
    readonly int _batch;

    public DecoderStep(Gpu gpu, TrainSetup setup)
    {
        _batch = setup.Batch;
        KeyValuePair<string, Shape>[] shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            SamNetwork.Declare(Config, parameters);
            shapes = [.. parameters.Stored];
        });
        DecoderTrainerOptions options = Defaults with { Batch = setup.Batch, Precision = setup.Type };
        _trainer = DecoderTrainer.Load(gpu, new FormulaParameters(shapes), options, Config);
        new Random(1).NextBytes(_image);
        for (int i = 0; i < _mask.Length; i++) _mask[i] = (byte)((i / Square + i / (Side * Square)) % 2);
    }

    public static DecoderTrainerOptions Defaults { get; } = new();

    public Plan Plan => _trainer.Plan;

    public long MeasuredPeak => _trainer.MeasuredPeak;

    public double Run()
    {
        int points = _trainer.Options.Points;
        DecoderItem[] items = [.. Enumerable.Range(0, _batch).Select(image => new DecoderItem(
            _trainer.Encode(_image, Side, Side),
            [.. Enumerable.Range(0, points).Select(i => (37 * i * (image + 3) % Side, 91 * i % Side))],
            _mask, Side, Side))];
        double loss = _trainer.Step(items).Average(s => s.Loss);
        _trainer.Update(Rate);
        return loss;
    }

    public void Dispose() => _trainer.Dispose();
}
