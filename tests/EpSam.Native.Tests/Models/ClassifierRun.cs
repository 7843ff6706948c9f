// One run of the patch classifier as tests want it: planned, weights loaded, images in; logits or activations, stages,
// and after backward the gradients of all parameters by name, with the axes that the goldens have.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Models;

/// <summary>What goes in.</summary>
internal sealed record ClassifierInput(Shape Images, byte[]? Bytes = null, float[]? Floats = null)
{
    public ResNetAdlConfig Config { get; init; } = new();
    public DType Type { get; init; } = DType.F32;
    public bool[]? Drops { get; init; }
    public float[]? Labels { get; init; }        // with them there is a backward pass
    public bool? Activations { get; init; }      // instead of logits; true: of the whole last stage
    public CheckFlags Checks { get; init; } = CheckFlags.None;
    public Func<IParameterSource, IParameterSource> Source { get; init; } = s => s;
    public bool Observed { get; init; }
    public string? SaveTo { get; init; }
    public int Passes { get; init; } = 1;
}

/// <summary>What comes out.</summary>
internal sealed class ClassifierRun
{
    public Dictionary<string, (Shape Shape, float[] Values)> Stages { get; } = [];
    public Dictionary<string, float[]> Gradients { get; } = [];
    public Dictionary<string, float[]> Parameters { get; } = [];
    public Shape Shape { get; private set; }
    public float[] Output { get; private set; } = [];
    public float Loss { get; private set; }
    public Plan Plan { get; }
    public long MeasuredPeak { get; }
    public double Seconds { get; }

    public ClassifierRun(ClassifierInput input)
    {
        Plan = PlanOf(input);
        TrainedLayout? layout = LayoutOf(input);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = input.Checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, Plan);
        long before = System.Diagnostics.Stopwatch.GetTimestamp();
        Work(arena, input, layout, this);
        Seconds = System.Diagnostics.Stopwatch.GetElapsedTime(before).TotalSeconds;
        MeasuredPeak = arena.Peak;
        TestContext.Out.WriteLine($"{Seconds:F1} s");
    }

    public static Plan PlanOf(ClassifierInput input)
    {
        TrainedLayout? layout = LayoutOf(input);
        return Plan.Of(arena => Work(arena, input, layout, null));
    }

    static TrainedLayout? LayoutOf(ClassifierInput input) => input.Labels is null ? null
        : TrainedLayout.Of(p => _ = new ResNetAdl(input.Config, p), ResNetAdl.IsTrained);

    static void Work(Memory arena, ClassifierInput input, TrainedLayout? layout, ClassifierRun? run)
    {
        Parameters parameters = new(arena, input.Type, layout);
        ResNetAdl model = new(input.Config, parameters);
        Tape tape = new(arena, recording: layout is not null);
        Optimizer? optimizer = layout is null ? null : new Optimizer(arena, parameters, new());
        optimizer?.Register(tape);
        Tensor images = arena.Keep("images", input.Bytes is null ? DType.F32 : DType.U8, input.Images);
        if (run is not null)
        {
            model.Load(input.Source(new FormulaParameters(parameters.Stored)));
            if (input.Bytes is not null) arena.Gpu.Upload(input.Bytes, images);
            else arena.Gpu.Upload(MemoryMarshal.AsBytes(input.Floats.AsSpan()), images);
            if (input.Observed) model.Observe = (name, x) => run.Stages[name] = (x.Shape, Download(arena.Gpu, x));
        }
        for (int i = 0; i < input.Passes; i++) Pass(arena, model, tape, images, input, run);
        if (run is null) return;
        foreach (string name in parameters.All.Select(p => p.Key)) run.Keep(parameters, optimizer, name, arena.Gpu);
        if (input.SaveTo is not null) model.Save(input.SaveTo);
    }

    static void Pass(Memory arena, ResNetAdl model, Tape tape, Tensor images, ClassifierInput input,
        ClassifierRun? run)
    {
        using ArenaScope scope = arena.Step("pass");
        Tensor x = model.Input(tape, images);
        Tensor y = input.Activations is bool whole ? model.Activations(tape, x, whole)
            : model.Forward(tape, x, input.Drops);
        if (run is not null) (run.Shape, run.Output) = (y.Shape, Download(arena.Gpu, y));
        if (input.Labels is null) return;
        Tensor labels = arena.Take("labels", DType.F32, y.Shape), loss = arena.Take("loss", DType.F32, new(1));
        Tensor dy = arena.Take("dy", DType.F32, y.Shape);
        if (run is not null) arena.Gpu.Upload(MemoryMarshal.AsBytes(input.Labels.AsSpan()), labels);
        Bce.Forward(arena.Gpu, y, labels, loss);
        Bce.Backward(arena.Gpu, y, labels, 1, dy);
        if (run is not null) run.Loss = Download(arena.Gpu, loss)[0];
        tape.Backward(y, dy);
    }

    void Keep(Parameters parameters, Optimizer? optimizer, string name, Gpu gpu)
    {
        Shape stored = parameters.Stored.First(s => s.Key == name).Value;
        float[] values = new float[stored.Count];
        parameters.Read(name, values);
        Parameters[name] = values;
        if (optimizer?.Layout.Find(name) is not TrainedRange range) return;
        float[] gradient = Download(gpu, TrainedLayout.Part(optimizer.Gradients, range));
        Gradients[name] = stored.Rank == 4 ? ChannelsFirst(range.Shape, gradient) : gradient;
    }

    /// <summary>(B, H, W, C) to (B, C, H, W).</summary>
    public static float[] ChannelsFirst(Shape shape, float[] x)
    {
        int c = (int)shape[^1], positions = (int)(shape[1] * shape[2]);
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++)
            y[i] = x[i / (c * positions) * c * positions + i % positions * c + i / positions % c];
        return y;
    }

    static float[] Download(Gpu gpu, Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        gpu.Download(tensor, bytes);
        if (tensor.DType == DType.F32) return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        float[] values = new float[tensor.Shape.Count];
        EpSam.Native.Checkpoints.ElementTypes.ToFloats(EpSam.Native.Checkpoints.ElementType.BF16, bytes, values);
        return values;
    }
}
