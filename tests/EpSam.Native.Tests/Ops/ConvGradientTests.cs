using EpSam.Cases;

namespace EpSam.Native.Tests.Ops;

/// <summary>
/// The references of a convolution's gradients against central differences of the reference of its forward: the op
/// tests compare kernels with these references.
/// </summary>
[Category("Slow")]
public sealed class ConvGradientTests
{
    const int Probes = 12;
    const double Step = 1.0 / 64;

    static IEnumerable<TestCaseData> Cases =>
        ConvCases.Gradients.Select(g =>
            new TestCaseData(g.Forward, g.Data, g.Weight).SetArgDisplayNames(g.Forward.Name));

    [TestCaseSource(nameof(Cases))]
    public void References_OfGradients_AreCentralDifferences(OpCase forward, OpCase data, OpCase weight)
    {
        double[][] inputs = forward.MakeInputs();
        double[] dy = data.MakeInputs()[0];
        double[][] gradients =
        [
            data.Reference([dy, inputs[1]])[0].Values,
            weight.Reference([inputs[0], dy, []])[0].Values,
        ];
        Random random = new(1);
        for (int input = 0; input < 2; input++)
            for (int probe = 0; probe < Probes; probe++)
            {
                int at = random.Next(inputs[input].Length);
                // the loss is linear in each value, so only double's own rounding is left
                double expected =
                    (Loss(forward, inputs, dy, input, at, Step) - Loss(forward, inputs, dy, input, at, -Step))
                    / (2 * Step);
                Assert.That(gradients[input][at], Is.EqualTo(expected).Within(1e-9), $"input {input}, element {at}");
            }
    }

    static double Loss(OpCase forward, double[][] inputs, double[] dy, int input, int at, double step)
    {
        double before = inputs[input][at];
        inputs[input][at] += step;
        double[] y = forward.Reference(inputs)[0].Values;
        inputs[input][at] = before;
        return y.Zip(dy, (a, b) => a * b).Sum();
    }
}
