using EpSam.Cases;

namespace EpSam.Native.Tests.Ops;

/// <summary>
/// The reference of BatchNorm's gradients against central differences of its forward in double, statistics included:
/// the op tests compare kernels with this reference.
/// </summary>
public sealed class BatchNormGradientTests
{
    const int Probes = 8;
    const double Step = 1e-5;

    // what backward returns, and the input that it is the gradient of; dw and db are added to inputs 7 and 8
    static readonly (int Output, int Input, int Before)[] Pairs = [(0, 0, -1), (1, 3, 7), (2, 4, 8), (3, 5, -1)];

    static IEnumerable<TestCaseData> Cases => BatchNormCases.Gradients.Select(g =>
        new TestCaseData(g.Backward, g.Batch, g.Forward).SetArgDisplayNames(g.Backward.Name));

    [TestCaseSource(nameof(Cases))]
    public void Reference_OfBackward_IsCentralDifferences(
        OpCase backward, bool batch, Func<double[][], double[]> forward)
    {
        double[][] inputs = backward.MakeInputs(), given = [.. inputs];
        if (batch) BatchNormCases.Normalise(given);
        given[5] = forward(inputs); // y, where inputs have the residual
        Expected[] gradients = backward.Reference(given);
        Random random = new(1);
        foreach ((int output, int input, int before) in Pairs.Take(gradients.Length))
            for (int probe = 0; probe < Probes; probe++)
            {
                int at = random.Next(inputs[input].Length);
                double expected = (Loss(forward, inputs, input, at, Step) - Loss(forward, inputs, input, at, -Step))
                    / (2 * Step);
                double actual = gradients[output].Values[at] - (before < 0 ? 0 : inputs[before][at]);
                Assert.That(actual, Is.EqualTo(expected).Within(1e-6 * Math.Max(1, Math.Abs(expected))),
                    $"{backward.Outputs[output].Name}, element {at}");
            }
    }

    static double Loss(Func<double[][], double[]> forward, double[][] inputs, int input, int at, double step)
    {
        double before = inputs[input][at];
        inputs[input][at] += step;
        double[] y = forward(inputs);
        inputs[input][at] = before;
        return y.Zip(inputs[6], (a, b) => a * b).Sum();
    }
}
