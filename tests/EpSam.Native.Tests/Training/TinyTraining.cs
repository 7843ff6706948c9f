using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Training;

/// <summary>Four parameters to be trained on the virtual GPU, all checks on, in the memory that was planned.</summary>
internal static class TinyTraining
{
    static readonly (string Name, int Count)[] Vectors = [("weight", 40), ("bias", 5), ("frozen", 3), ("head", 7)];

    public static void Declare(Parameters parameters)
    {
        parameters.Matrix("weight", 5, 8);
        parameters.Vector("bias", 5);
        parameters.Vector("frozen", 3);
        parameters.Vector("head", 7);
    }

    /// <summary>What parameters are loaded with.</summary>
    public static float[] Start(string name)
    {
        float[] values = new float[Vectors.First(v => v.Name == name).Count];
        FormulaParameters.Fill($"training/{name}", 1, 0.1, values);
        return values;
    }

    /// <summary>Plans, then runs; parameters named as here are loaded.</summary>
    public static void Run(DType type, Action<Parameters> declare, Func<string, bool> isTrained,
        Action<Memory, Parameters> work)
    {
        TrainedLayout layout = TrainedLayout.Of(declare, isTrained);
        Parameters Make(Memory arena)
        {
            Parameters parameters = new(arena, type, layout);
            declare(parameters);
            return parameters;
        }
        Plan plan = Plan.Of(arena =>
        {
            _ = new Optimizer(arena, Make(arena), new(), 1);
            arena.Keep("room", DType.F32, new Shape(4096));
        });
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, plan);
        Parameters parameters = Make(arena);
        if (parameters.All.Any(p => p.Key == "head")) parameters.Load(Source());
        work(arena, parameters);
    }

    public static void Upload(Gpu gpu, float[] values, Tensor tensor) =>
        gpu.Upload(MemoryMarshal.AsBytes(values.AsSpan()), tensor);

    public static float[] Download(Gpu gpu, Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public static float[] Read(Parameters parameters, string name)
    {
        float[] values = new float[parameters.All.First(p => p.Key == name).Value.Shape.Count];
        parameters.Read(name, values);
        return values;
    }

    /// <summary>Makes all of a parameter's gradient one value.</summary>
    public static void Fill(Gpu gpu, Optimizer optimizer, string name, float value)
    {
        TrainedRange range = optimizer.Layout.Find(name)!;
        Upload(gpu, [.. Enumerable.Repeat(value, (int)range.Shape.Count)],
            TrainedLayout.Part(optimizer.Gradients, range));
    }

    static ParameterDictionary Source()
    {
        ParameterDictionary source = new();
        foreach ((string name, int count) in Vectors)
            source.Add(name, name == "weight" ? new Shape(5, 8) : new Shape(count), Start(name));
        return source;
    }
}
