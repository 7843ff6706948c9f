using EpSam.Cases;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Ops;

/// <summary>Every case against its reference in double, and twice against itself.</summary>
[TestFixture("virtual")]
[TestFixture("native")]
public sealed class OpTests(string provider) : OpFixture(provider)
{
    [TestCaseSource(nameof(Quick))]
    public void Case_Run_IsWithinItsTolerance(OpCase test)
    {
        double[][] inputs = test.MakeInputs();
        Expected[] expected = test.Reference(inputs);
        byte[][] actual = Run(test, inputs);
        Assert.Multiple(() =>
        {
            for (int i = 0; i < actual.Length; i++)
            {
                CaseTensor output = test.Outputs[i];
                string? verdict = Tolerance.Judge(
                    output.Name, output.Shape, expected[i], Values.Decode(actual[i], output.DType));
                Assert.That(verdict, Is.Null);
            }
        });
    }

    [TestCaseSource(nameof(Quick))]
    public void Case_RunTwice_GivesTheSameBits(OpCase test)
    {
        double[][] inputs = test.MakeInputs();
        byte[][] first = Run(test, inputs), second = Run(test, inputs);
        for (int i = 0; i < first.Length; i++)
            Assert.That(first[i].AsSpan().SequenceEqual(second[i]), Is.True, test.Outputs[i].Name);
    }
}
