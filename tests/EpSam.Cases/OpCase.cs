// One case of one op, and its four uses: the test runs it and compares with Reference, the determinism test runs it
// twice, the bench times it and divides by Flops and Bytes, the gradient test (for ops that have one) differentiates
// Reference. Inputs come from the case's name alone, rounded to the tensor's type before the reference sees them.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

/// <summary>A tensor of a case. Fill makes one element of an input; outputs and working space have none.</summary>
public sealed record CaseTensor(string Name, DType DType, Shape Shape, Func<Random, double>? Fill = null);

/// <summary>What an output must be: its values, and how far each may be off.</summary>
public sealed record Expected(double[] Values, double[] Bounds);

/// <summary>One call of an op with fixed shapes.</summary>
public sealed class OpCase
{
    /// <summary>Op, type, shapes: "gemm nt bf16 129x136x40". Seeds the inputs.</summary>
    public required string Name { get; init; }
    public required CaseTensor[] Inputs { get; init; }
    public required CaseTensor[] Outputs { get; init; }
    /// <summary>Working space that the op needs; not compared.</summary>
    public CaseTensor[] Scratch { get; init; } = [];
    /// <summary>(gpu, inputs, outputs followed by scratch).</summary>
    public required Action<Gpu, Tensor[], Tensor[]> Run { get; init; }
    /// <summary>Inputs to one Expected per output, in double.</summary>
    public required Func<double[][], Expected[]> Reference { get; init; }
    public required long Flops { get; init; }
    public required long Bytes { get; init; }
    /// <summary>Of a size from real use, for the bench; tests run it only when slow ones are asked for.</summary>
    public bool Realistic { get; init; }

    /// <summary>The inputs as the device will see them.</summary>
    public double[][] MakeInputs()
    {
        Random random = new(Seed(Name));
        double[][] inputs = new double[Inputs.Length][];
        for (int i = 0; i < inputs.Length; i++)
        {
            CaseTensor tensor = Inputs[i];
            inputs[i] = new double[tensor.Shape.Count];
            foreach (ref double x in inputs[i].AsSpan()) x = Values.Round(tensor.Fill!(random), tensor.DType);
        }
        return inputs;
    }

    public override string ToString() => Name;

    static int Seed(string name) // FNV-1a: string.GetHashCode differs from run to run
    {
        uint hash = 2166136261;
        foreach (char c in name) hash = (hash ^ c) * 16777619;
        return (int)(hash & 0x7fffffff);
    }
}
