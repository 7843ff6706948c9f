using EpSam.Cases;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Ops;

/// <summary>Every case against its reference in double, and twice against itself.</summary>
[TestFixture("virtual")]
[TestFixture("native")]
public sealed class OpTests(string provider) : OpFixture(provider)
{
    [TestCaseSource(nameof(Quick))]
    public void Case_RunTwice_IsWithinItsTolerance_WithTheSameBits(OpCase test)
    {
        double[][] inputs = test.MakeInputs();
        Expected[] expected = test.Reference(inputs);
        byte[][] actual = Run(test, inputs), again = Run(test, inputs);
        Assert.Multiple(() =>
        {
            for (int i = 0; i < actual.Length; i++)
            {
                CaseTensor output = test.Outputs[i];
                string? verdict = Tolerance.Judge(
                    output.Name, output.Shape, expected[i], Values.Decode(actual[i], output.DType));
                Assert.That(verdict, Is.Null);
                Assert.That(again[i].AsSpan().SequenceEqual(actual[i]), Is.True, $"{output.Name} again");
            }
        });
    }
}
