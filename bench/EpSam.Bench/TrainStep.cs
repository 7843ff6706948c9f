// One training step at full size, as `bench train` and `bench peers --train` measure it: the model with weights by
// formula, inputs and targets by formula, optimiser and tape, in an arena that was planned by the same code.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Bench;

/// <summary>What is trained: sizes are EP-SAM's unless smaller ones are wanted.</summary>
internal sealed record TrainSetup(string Kind, DType Type)
{
    public const string Decoder = "decoder", Classifier = "classifier";

    public int Batch { get; init; } = Kind == Decoder ? 4 : 16;

    public Recompute Recompute { get; init; } = Recompute.Blocks;

    public string Title => Kind == Decoder
        ? $"mask decoder of SAM vit_b, {Batch} images of 1024 x 1024, {DecoderStep.Points} points each"
        : $"ResNet-50 with ADL, {Batch} images of 512 x 512, recompute {Recompute.ToString().ToLowerInvariant()}";

    /// <summary>What is trained of the model; found before any arena is there.</summary>
    public TrainedLayout Layout { get; } = Kind == Decoder ? DecoderStep.Trained() : ClassifierStep.Trained();

    /// <summary>The memory of a step.</summary>
    public Plan Plan() => Native.Runtime.Plan.Of(arena =>
    {
        TrainStep step = Make(arena);
        step.Run();
    });

    /// <summary>Takes the memory of everything that lives from step to step.</summary>
    public TrainStep Make(Arena arena) =>
        Kind == Decoder ? new DecoderStep(arena, this) : new ClassifierStep(arena, this);
}

/// <summary>A model that is trained.</summary>
internal abstract class TrainStep(Arena arena)
{
    protected Arena Arena => arena;

    /// <summary>The losses of a step's images, or their mean, device side.</summary>
    protected Tensor Losses { get; init; }

    /// <summary>Fills weights, inputs and targets.</summary>
    public abstract void Fill();

    /// <summary>Forward, backward and optimiser; does not synchronise.</summary>
    public abstract void Run();

    /// <summary>The loss of the last step. Synchronises.</summary>
    public abstract double Loss();

    protected float[] Download(Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        arena.Gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    protected void Upload<T>(T[] values, Tensor to) where T : unmanaged =>
        arena.Gpu.Upload(MemoryMarshal.AsBytes(values.AsSpan()), to);
}

/// <summary>EP-SAM's patch classifier: cross entropy, Adam.</summary>
internal sealed class ClassifierStep : TrainStep
{
    const int Side = 512;
    const double Rate = 1e-5;

    static readonly bool[] Coins = [true, false, true];

    readonly ResNetAdl _model;
    readonly Parameters _parameters;
    readonly Optimizer _optimizer;
    readonly Tape _tape;
    readonly Tensor _images, _labels;

    public static TrainedLayout Trained() => TrainedLayout.Of(p => _ = new ResNetAdl(new(), p), ResNetAdl.IsTrained);

    public ClassifierStep(Arena arena, TrainSetup setup) : base(arena)
    {
        ResNetAdlConfig config = new() { Recompute = setup.Recompute };
        _parameters = new(arena, setup.Type, setup.Layout);
        _model = new(config, _parameters);
        _optimizer = new(arena, _parameters, new AdamOptions(WeightDecay: 1e-3));
        _tape = new(arena, recording: true);
        _optimizer.Register(_tape);
        _images = arena.Keep("images", DType.U8, new(setup.Batch, Side, Side, 3));
        _labels = arena.Keep("labels", DType.F32, new(setup.Batch, 1));
        Losses = arena.Keep("loss", DType.F32, new(1));
    }

    public override void Fill()
    {
        _model.Load(new FormulaParameters(_parameters.Stored));
        byte[] pixels = new byte[_images.Shape.Count];
        new Random(1).NextBytes(pixels);
        Upload(pixels, _images);
        Upload([.. Enumerable.Range(0, (int)_labels.Shape.Count).Select(i => (float)(i % 2))], _labels);
    }

    public override void Run()
    {
        using (Arena.Step("step"))
        {
            Tensor y = _model.Forward(_tape, _model.Input(_tape, _images), Coins);
            Tensor dy = Arena.Take("dy", DType.F32, y.Shape);
            Bce.Forward(Arena.Gpu, y, _labels, Losses);
            Bce.Backward(Arena.Gpu, y, _labels, 1, dy);
            _tape.Backward(y, dy);
        }
        _optimizer.Step(Rate);
    }

    public override double Loss() => Download(Losses)[0];
}

/// <summary>EP-SAM's mask decoder behind the frozen encoders: Dice and IoU, AdamW.</summary>
internal sealed class DecoderStep : TrainStep
{
    public const int Points = 50;
    const int Side = 512;
    const double Rate = 5e-6;

    static readonly SamConfig Config = SamConfig.VitB;

    readonly int _batch;
    readonly ImageEncoder _encoder;
    readonly PromptEncoder _prompts;
    readonly MaskDecoder _decoder;
    readonly Parameters _parameters;
    readonly Optimizer _optimizer;
    readonly Tape _tape;
    readonly MaskSizes _sizes;
    readonly Tensor _image, _positions, _points, _labels, _imageOf, _target, _table, _adjoint;

    public DecoderStep(Arena arena, TrainSetup setup) : base(arena)
    {
        _batch = setup.Batch;
        _parameters = new(arena, setup.Type, setup.Layout);
        (_encoder, _prompts, _decoder) = Models(_parameters);
        _optimizer = new(arena, _parameters, new AdamOptions(WeightDecay: 1e-2, Decoupled: true));
        _tape = new(arena, recording: true);
        _optimizer.Register(_tape);
        int low = 4 * Config.GridSize, frame = Config.ImageSize;
        _sizes = new(low, low, frame, frame, frame, Side, Side);
        Shape prompts = new(_batch, Points + 1);
        _image = arena.Keep("image", DType.F32, _encoder.InputShape(1));
        _positions = arena.Keep("positions", setup.Type, _prompts.DensePeShape);
        _points = arena.Keep("points", DType.F32, new(_batch, Points + 1, 2));
        _labels = arena.Keep("labels", DType.I32, prompts);
        _imageOf = arena.Keep("image of", DType.I32, new(_batch));
        _target = arena.Keep("target", DType.U8, new(_batch, Side, Side));
        _table = arena.Keep("table", DType.I32, MaskResize.TableShape(_sizes));
        _adjoint = arena.Keep("adjoint", DType.I32, MaskResize.AdjointShape(_sizes));
        Losses = arena.Keep("losses", DType.F32, new(_batch, 4));
    }

    public static TrainedLayout Trained() => TrainedLayout.Of(p => Models(p),
        name => name.StartsWith("mask_decoder.", StringComparison.Ordinal));

    static (ImageEncoder, PromptEncoder, MaskDecoder) Models(Parameters parameters) =>
        (new(Config, parameters), new(Config, parameters), new(Config, parameters));

    // One mask is asked for: what makes the other three, and the scores, has no gradient.
    static bool IsLeftOut(string name) => name.Contains("iou_prediction_head", StringComparison.Ordinal)
        || new[] { "1", "2", "3" }.Any(i => name.Contains($"hypernetworks_mlps.{i}.", StringComparison.Ordinal));

    public override void Fill()
    {
        _parameters.Load(new FormulaParameters(
            _parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))));
        _prompts.DensePe(Arena, _positions);
        Upload(FormulaParameters.Floats("image", (int)_image.Shape.Count, 1.5), _image);
        int each = Points + 1;
        float[] xy = FormulaParameters.Floats("points", _batch * each * 2, Config.ImageSize / 2);
        Upload([.. xy.Select(v => v + Config.ImageSize / 2)], _points);
        Upload([.. Enumerable.Range(0, _batch * each).Select(i => i % each == Points ? -1 : 1)], _labels);
        Upload([.. Enumerable.Range(0, _batch)], _imageOf);
        byte[] target = new byte[_target.Shape.Count];
        for (int i = 0; i < target.Length; i++) target[i] = (byte)(i / 64 + i / (Side * 64) & 1); // a chessboard
        Upload(target, _target);
        Arena.Gpu.Upload(MaskResize.Table(_sizes), _table);
        Arena.Gpu.Upload(MaskResize.AdjointTable(_sizes), _adjoint);
    }

    public override void Run()
    {
        Gpu gpu = Arena.Gpu;
        using (Arena.Step("step"))
        {
            Tensor embeddings = Arena.Keep("embeddings", _parameters.Type, _prompts.DenseShape(_batch));
            for (int i = 0; i < _batch; i++)
            {
                ulong bytes = (ulong)(embeddings.Bytes / _batch * i);
                _encoder.Forward(Arena, _image,
                    new(new(embeddings.Address.Value + bytes), embeddings.DType, _encoder.OutputShape(1)));
            }
            Tensor sparse = Arena.Keep("sparse", DType.F32, _prompts.SparseShape(_batch, Points + 1));
            _prompts.Sparse(Arena, _points, _labels, sparse);
            Tensor masks = Arena.Keep("masks", DType.F32, _decoder.MaskShape(_batch, 1));
            Tensor iou = Arena.Keep("iou", DType.F32, new(_batch, 1));
            Tensor dMasks = Arena.Keep("d_masks", DType.F32, masks.Shape);
            _decoder.Forward(_tape, embeddings, _imageOf, _positions, sparse, _prompts.NoMask, masks, iou);
            using (Arena.Scope("loss")) Gradient(gpu, masks, dMasks);
            _tape.Backward(masks, dMasks);
        }
        _optimizer.Step(Rate, IsLeftOut);
    }

    void Gradient(Gpu gpu, Tensor masks, Tensor dMasks)
    {
        Shape full = new(_batch, Side, Side), low = new(_batch, masks.Shape[^2], masks.Shape[^1]);
        Tensor logits = Arena.Take("logits", DType.F32, full), d = Arena.Take("d_logits", DType.F32, full);
        Tensor parts = Arena.Take("parts", DType.F32, MaskLoss.PartsShape(logits));
        Tensor sums = Arena.Take("sums", DType.F32, new(_batch, 5));
        MaskResize.Logits(gpu, masks.Reshape(low), _table, _sizes, 0, logits);
        MaskLoss.Forward(gpu, logits, _target, MaskLoss.Smooth, parts, sums, Losses);
        MaskLoss.Backward(gpu, logits, _target, MaskLoss.Smooth, sums, 1f / _batch, 1f / _batch, d);
        MaskResize.Backward(gpu, d, _adjoint, _sizes, dMasks.Reshape(low));
    }

    // y of MaskLoss: Dice and IoU loss, then the two metrics
    public override double Loss() => Download(Losses).Chunk(4).Average(y => y[0] + y[1]);
}
