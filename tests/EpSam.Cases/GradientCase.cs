// The reference of an op's gradients beside that of its forward, for the test that holds the one against central
// differences of the other: the op tests hold the kernels against these references.
using EpSam.Native.Tensors;

namespace EpSam.Cases;

/// <summary>One op whose first output is differentiated with respect to some of its inputs.</summary>
/// <param name="Forward">Its reference is exact in double.</param>
/// <param name="Inputs">Which inputs.</param>
/// <param name="Backward">(inputs, dy) to a gradient for each of these inputs.</param>
public sealed record GradientCase(OpCase Forward, int[] Inputs, Func<double[][], double[], double[][]> Backward)
{
    public override string ToString() => Forward.Name;
}

/// <summary>Sums of products with what their rounding errors are measured by.</summary>
public sealed class Sums(long count)
{
    public double[] Values { get; } = new double[count];
    public double[] Magnitudes { get; } = new double[count];

    /// <summary>Adds a term; weight: what its rounding error is a multiple of, if not its own size.</summary>
    public void Add(long i, double term, double? weight = null)
    {
        Values[i] += term;
        Magnitudes[i] += weight ?? Math.Abs(term);
    }

    public Expected Within(long length, DType type) => Tolerance.Sum(Values, Magnitudes, length, type);
}
