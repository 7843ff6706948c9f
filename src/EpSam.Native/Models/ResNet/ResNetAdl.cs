// EP-SAM's patch classifier (resnet_adl.py): ResNet with stride 1 in its last stage, four input channels (colours and
// what they are without low frequencies), and attention-based dropout (ADL) behind the first blocks of the last two
// stages and at the end. Names are its state dict's: ADL layers take part in the numbering of a stage, so layer3 has
// the blocks 0, 2, 3, … . The same code evaluates, trains and plans: on a tape, with coins for ADL or without.
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

/// <summary>The patch classifier. Not thread-safe.</summary>
public sealed class ResNetAdl
{
    const int InputChannels = 4, Expansion = 4, Stages = 4;
    const string Counter = "num_batches_tracked", Variance = "running_var";

    static readonly PoolSteps Window = new(3, 2, 1);

    readonly Parameters _parameters;
    readonly ConvLayer _stem;
    readonly ChannelNorm _stemNorm;
    readonly Bottleneck[][] _stages = new Bottleneck[Stages][];
    readonly Tensor _weight, _bias;

    /// <summary>Declares all parameters and running statistics.</summary>
    public ResNetAdl(ResNetAdlConfig config, Parameters parameters)
    {
        config.Check();
        (Config, _parameters) = (config, parameters);
        _stem = new(parameters, "conv1", InputChannels, config.Width, 7, 2);
        _stemNorm = new(parameters, "bn1", config.Width);
        long channels = config.Width;
        for (int stage = 0; stage < Stages; stage++)
        {
            long width = (long)config.Width << stage;
            int stride = stage is 1 or 2 ? 2 : 1;
            _stages[stage] = new Bottleneck[config.Blocks[stage]];
            for (int k = 0; k < _stages[stage].Length; k++)
            {
                int index = stage >= 2 && k > 0 ? k + 1 : k; // an ADL layer stands at 1
                _stages[stage][k] = new(parameters, $"layer{stage + 1}.{index}", channels, width, k == 0 ? stride : 1,
                    k == 0);
                channels = Expansion * width;
            }
        }
        _weight = parameters.Matrix("fc.weight", config.Classes, channels);
        _bias = parameters.Vector("fc.bias", config.Classes);
    }

    /// <summary>Its sizes.</summary>
    public ResNetAdlConfig Config { get; }

    /// <summary>How many ADL layers there are: coins that training needs a pass.</summary>
    public int AdlLayers => 3;

    /// <summary>Batches that the running statistics have seen.</summary>
    public long Batches { get; set; }

    /// <summary>In tests: the name of what was just made.</summary>
    internal Action<string, Tensor>? Observe { get; set; }

    /// <summary>Whether a parameter is trained; running statistics are not.</summary>
    public static bool IsTrained(string name) => !name.Contains(".running_", StringComparison.Ordinal);

    /// <summary>
    /// The model's input (B, H, W, 4) of images (B, H, W, 3), u8 or f32 in 0..1.
    /// </summary>
    public Tensor Input(Tape tape, Tensor images)
    {
        (long b, long h, long w) = (images.Shape[0], images.Shape[1], images.Shape[2]);
        Tensor x = tape.New("input", _parameters.Type, new(b, h, w, InputChannels));
        using ArenaScope scope = tape.Arena.Scope("input");
        Tensor table = tape.Arena.Take("table", DType.F32, new(h + w, 2));
        float[] values = HighFrequency.Table((int)h, (int)w);
        tape.Gpu.Upload(System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()), table);
        Tensor parts = tape.Arena.Take("parts", DType.F32, HighFrequency.Parts(images));
        Tensor y = x.DType == DType.F32 ? x : tape.Arena.Take("f32", DType.F32, x.Shape);
        HighFrequency.Forward(tape.Gpu, images, table, parts, y);
        if (x.DType != DType.F32) Elementwise.Cast(tape.Gpu, y, x);
        return x;
    }

    /// <summary>Logits (B, classes) f32 of x, as <see cref="Input"/> makes it.</summary>
    /// <param name="tape">With a scope open when it does not record.</param>
    /// <param name="x">(B, H, W, 4).</param>
    /// <param name="drops">
    /// Training: a coin for each ADL layer, true to drop, false to weigh. Null: evaluation, with running statistics.
    /// </param>
    public Tensor Forward(Tape tape, Tensor x, IReadOnlyList<bool>? drops = null)
    {
        if (drops is not null && drops.Count != AdlLayers)
            throw new ArgumentException($"training needs {AdlLayers} coins for ADL, got {drops.Count}");
        Tensor y = Trunk(tape, x, drops);
        y = Stage(tape, 3, First(tape, 3, y, drops, 1), drops);
        if (drops is not null) y = Drop(tape, y, drops[2]);
        Seen("layer4", y);
        if (drops is not null) Batches++;
        return Head(tape, Mean(tape, y));
    }

    /// <summary>
    /// Class activations (B, h, w) f32 in evaluation: features weighted by the first class's weights, without bias.
    /// </summary>
    /// <param name="tape">With a scope open when it does not record.</param>
    /// <param name="x">(B, H, W, 4).</param>
    /// <param name="wholeStage">
    /// Features of all of the last stage, which the weights were trained on. The reference takes the first block's.
    /// </param>
    public Tensor Activations(Tape tape, Tensor x, bool wholeStage = false)
    {
        Tensor activations = tape.New("activations", DType.F32, ActivationsShape(x.Shape));
        Activations(tape, x, wholeStage, activations);
        return activations;
    }

    /// <summary>The same into memory of the caller's, (B, h, w) f32.</summary>
    public void Activations(Tape tape, Tensor x, bool wholeStage, Tensor activations)
    {
        Shape map = ActivationsShape(x.Shape);
        Expect.Shape("Activations", "activations", activations, DType.F32, map[0], map[1], map[2]);
        using ArenaScope scope = tape.Arena.Scope("features");
        Tensor y = First(tape, 3, Trunk(tape, x, null), null, 1);
        Seen("layer4.0", y);
        if (wholeStage) y = Stage(tape, 3, y, null);
        Tensor row = _weight with { Shape = new(1, _weight.Shape[1]) };
        MatMul.Forward(tape.Gpu, y, row, activations.Reshape(new(map[0], map[1], map[2], 1)));
    }

    /// <summary>(B, h, w) for x (B, H, W, 4): a sixteenth of each side, rounded up.</summary>
    public static Shape ActivationsShape(Shape x) => new(x[0], (x[1] + 15) / 16, (x[2] + 15) / 16);

    /// <summary>Reads all parameters and running statistics by EP-SAM's names.</summary>
    public void Load(IParameterSource source)
    {
        _parameters.Load(source);
        Batches = 0;
        if (!source.TryGetShape($"bn1.{Counter}", out Shape shape) || shape.Count != 1) return;
        Span<float> count = stackalloc float[1];
        source.Read($"bn1.{Counter}", count);
        Batches = (long)count[0];
    }

    /// <summary>
    /// Writes a safetensors file with the reference's names, axes and order; parameters are f32.
    /// </summary>
    public void Save(string path)
    {
        List<TensorEntry> entries = [];
        foreach ((string name, Shape shape) in _parameters.Stored)
        {
            float[] values = new float[shape.Count];
            _parameters.Read(name, values);
            entries.Add(new(name, [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])], values));
            if (!name.EndsWith(Variance, StringComparison.Ordinal)) continue;
            entries.Add(new(name[..^Variance.Length] + Counter, ElementType.I64, [], BitConverter.GetBytes(Batches)));
        }
        using StateDict state = new(entries);
        state.Save(path);
    }

    // From the input to the end of layer3.
    Tensor Trunk(Tape tape, Tensor x, IReadOnlyList<bool>? drops)
    {
        Tensor y = Pooled(tape, x, drops is not null);
        for (int stage = 0; stage < 3; stage++)
        {
            y = Stage(tape, stage, First(tape, stage, y, drops, 0), drops);
            Seen($"layer{stage + 1}", y);
        }
        return y;
    }

    // A stage's first block, and in the last two ADL behind it.
    Tensor First(Tape tape, int stage, Tensor x, IReadOnlyList<bool>? drops, int coin)
    {
        Tensor y = _stages[stage][0].Forward(tape, x, drops is not null, RecomputeIn(stage));
        return stage >= 2 && drops is not null ? Drop(tape, y, drops[coin]) : y;
    }

    Tensor Stage(Tape tape, int stage, Tensor x, IReadOnlyList<bool>? drops)
    {
        foreach (Bottleneck block in _stages[stage][1..])
            x = block.Forward(tape, x, drops is not null, RecomputeIn(stage));
        return x;
    }

    Recompute RecomputeIn(int stage) => Config.Recompute != Recompute.Large ? Config.Recompute
        : stage == 0 ? Recompute.Blocks : Recompute.Norms;

    Tensor Pooled(Tape tape, Tensor x, bool training)
    {
        Shape conv = _stem.OutputShape(x.Shape);
        Tensor y = tape.New("maxpool", x.DType, new(conv[0], Window.Length(conv[1]), Window.Length(conv[2]), conv[3]));
        using ArenaScope scope = tape.Arena.Scope("stem");
        Tensor c = _stem.Forward(tape, x);
        Seen("conv1", c);
        Normalization norm = _stemNorm.Of(tape, c, training);
        Tensor Relu()
        {
            Tensor h = tape.Arena.Take("relu", c.DType, c.Shape);
            norm.Forward(tape.Gpu, c, null, true, h);
            return h;
        }
        Pool.Max(tape.Gpu, Relu(), Window, y);
        Seen("maxpool", y);
        tape.Push("maxpool", y, () =>
        {
            void Data(Tensor dc)
            {
                Pool.MaxBackward(tape.Gpu, Relu(), Window, tape.GradientOf(y), dc);
                norm.Backward(tape, c, null, true, dc, dc);
            }
            if (tape.Requires(c)) tape.Accumulate(c, Data);
            else Data(tape.Arena.Take("unwanted", c.DType, c.Shape));
        }, c, norm.By.Weight, norm.By.Bias);
        return y;
    }

    Tensor Drop(Tape tape, Tensor x, bool drop)
    {
        Tensor y = tape.Recording ? tape.New("adl", x.DType, x.Shape) : x;
        Tensor map = tape.New("map", DType.F32, new(x.Shape[0], x.Shape[1] * x.Shape[2]));
        using ArenaScope scope = tape.Arena.Scope("adl");
        Tensor largest = tape.Arena.Take("largest", DType.F32, new(x.Shape[0]));
        Adl.Forward(tape.Gpu, x, drop, Config.DropThreshold, largest, map, y);
        Seen("adl", map);
        tape.Push("adl", y, () =>
            tape.Accumulate(x, dx => Adl.Backward(tape.Gpu, x, map, tape.GradientOf(y), dx)), x);
        return y;
    }

    static Tensor Mean(Tape tape, Tensor x)
    {
        Tensor y = tape.New("mean", x.DType, new(x.Shape[0], x.Shape[3]));
        Pool.Mean(tape.Gpu, x, y);
        tape.Push("mean", y, () =>
            tape.Accumulate(x, dx => Pool.MeanBackward(tape.Gpu, tape.GradientOf(y), dx)), x);
        return y;
    }

    // The bias is a product with ones: it need not have the fours of channels that other kernels want.
    Tensor Head(Tape tape, Tensor x)
    {
        Gpu gpu = tape.Gpu;
        Tensor y = tape.New("logits", DType.F32, new(x.Shape[0], Config.Classes));
        Tensor ones = tape.New("ones", DType.F32, new(x.Shape[0], 1)), column = _bias.Reshape(new(Config.Classes, 1));
        gpu.Clear(ones);
        Elementwise.Scale(gpu, ones, 1, 1, ones);
        MatMul.Forward(gpu, ones, column, y);
        MatMul.Forward(gpu, x, _weight, y, add: true);
        tape.Push("fc", y, () =>
        {
            Tensor exact = tape.GradientOf(y), dy = Cast.To(tape.Arena, "dy", exact, x.DType);
            if (tape.ParameterGradient(_weight) is Tensor dw) MatMul.BackwardWeight(gpu, x, dy, dw, add: true);
            if (tape.ParameterGradient(_bias) is Tensor db)
                MatMul.BackwardWeight(gpu, ones, exact, db.Reshape(column.Shape), add: true);
            tape.Accumulate(x, dx => MatMul.Forward(gpu, dy, _weight, dx, transposed: false));
        }, x, _weight, _bias);
        return y;
    }

    void Seen(string name, Tensor tensor) => Observe?.Invoke(name, tensor);
}
