using EpSam.Cases;

namespace EpSam.Native.Tests.Ops;

/// <summary>
/// The references of gradients against central differences of the reference of the forward: the op tests compare
/// kernels with these references.
/// </summary>
[Category("Slow")]
public sealed class GradientTests
{
    const int Probes = 12;
    const double Step = 1.0 / 8192; // the differences' own error is of its square, and of a double's over it

    static IEnumerable<TestCaseData> Cases =>
        AllCases.Gradients.Select(g => new TestCaseData(g).SetArgDisplayNames(g.Forward.Name));

    [TestCaseSource(nameof(Cases))]
    public void References_OfGradients_AreCentralDifferences(GradientCase test)
    {
        double[][] inputs = test.Forward.MakeInputs();
        Random random = new(1);
        double[] dy = [.. Enumerable.Range(0, (int)test.Forward.Outputs[0].Shape.Count)
            .Select(_ => random.NextDouble() * 2 - 1)];
        double[][] gradients = test.Backward(inputs, dy);
        for (int i = 0; i < gradients.Length; i++)
        {
            int input = test.Inputs[i];
            double scale = gradients[i].Max(Math.Abs);
            for (int probe = 0; probe < Probes; probe++)
            {
                int at = random.Next(inputs[input].Length);
                double slope = (Loss(test, inputs, dy, input, at, Step) - Loss(test, inputs, dy, input, at, -Step))
                    / (2 * Step);
                Assert.That(gradients[i][at], Is.EqualTo(slope).Within(1e-6 * scale + 1e-9),
                    $"{test.Forward.Inputs[input].Name}, element {at}");
            }
        }
    }

    static double Loss(GradientCase test, double[][] inputs, double[] dy, int input, int at, double step)
    {
        double before = inputs[input][at];
        inputs[input][at] += step;
        double[] y = test.Forward.Reference(inputs)[0].Values;
        inputs[input][at] = before;
        return y.Zip(dy, (a, b) => a * b).Sum();
    }
}
