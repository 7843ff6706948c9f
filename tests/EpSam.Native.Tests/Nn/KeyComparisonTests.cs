using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Nn;

public sealed class KeyComparisonTests
{
    static readonly CheckpointParameters Found =
        new(new StateDict([new TensorEntry("a", [2, 3], new float[6]), new TensorEntry("b", [1], new float[1])]));

    [Test]
    public void Same_Matches()
    {
        KeyComparison same = KeyComparison.Of([new("b", new Shape(1)), new("a", new Shape(2, 3))], Found);
        Assert.That(same.IsMatch);
        Assert.DoesNotThrow(() => same.Require("x"));
    }

    [Test]
    public void Different_IsNamedOnce()
    {
        KeyComparison other = KeyComparison.Of([new("c", new Shape(1)), new("a", new Shape(3, 2))], Found);
        Assert.That(other.Missing, Is.EqualTo(new[] { "c" }));
        Assert.That(other.Unexpected, Is.EqualTo(new[] { "b" }));
        Assert.That(other.WrongShape, Is.EqualTo(new[] { "a: expected (3, 2), found (2, 3)" }));
        Assert.That(other.Differences, Is.EqualTo(3));
        CheckpointException e =
            Assert.Throws<CheckpointException>(() => other.Require("SAM vit_l from f.pth", "the file fits vit_b"))!;
        Assert.That(e.Error, Is.EqualTo(CheckpointError.KeysDiffer));
        Assert.That(e.Message, Is.EqualTo("KeysDiffer: SAM vit_l from f.pth: 1 missing: c; 1 unexpected: b; "
            + "1 of another shape: a: expected (3, 2), found (2, 3); the file fits vit_b"));
    }

    [Test]
    public void Many_AreCounted()
    {
        KeyComparison other =
            KeyComparison.Of(Enumerable.Range(0, 100).Select(i => KeyValuePair.Create($"k{i}", new Shape(1))),
            Found);
        Assert.That(other.ToString(),
            Is.EqualTo("100 missing: k0, k1, k2, k3, k4, k5, k6, k7, … (92 more); 2 unexpected: a, b"));
    }

    [Test]
    public void Optional_MayBeMissingOrThere()
    {
        Assert.That(
            KeyComparison.Of([new("a", new Shape(2, 3)), new("opt.x", new Shape(1))], Found, n =>
            n is "b" || n.StartsWith("opt.", StringComparison.Ordinal)).IsMatch);
    }

    [Test]
    public void OtherShape_ThatFits_IsNoDifference()
    {
        KeyComparison other = KeyComparison.Of([new("a", new Shape(5, 3)), new("b", new Shape(2))], Found,
            fits: (name, found, wanted) => name == "a" && found[1] == wanted[1]);
        Assert.That(other.WrongShape, Is.EqualTo(new[] { "b: expected (2), found (1)" }));
        Assert.That(other.Differences, Is.EqualTo(1));
    }
}
