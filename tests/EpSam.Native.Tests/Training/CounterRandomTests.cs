// The generator against the published sequence, what is drawn from it against its distribution, and its state.
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Training;

public sealed class CounterRandomTests
{
    // the first outputs of splitmix64 with seed 1234567, as the algorithm's description on Rosetta Code has them
    static readonly ulong[] Published =
    [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ];

    [Test]
    public void NextBits_OfAKey_AreThePublishedNumbers()
    {
        CounterRandom random = new(1234567);
        Assert.That(Published.Select(_ => random.NextBits()), Is.EqualTo(Published));
    }

    [Test]
    public void Load_OfASavedState_GoesOnWithTheSameNumbers()
    {
        CounterRandom random = new(ulong.MaxValue - 5), other = new(1);
        for (int i = 0; i < 7; i++) random.NextDouble();
        StateValues values = new();
        random.Save(values, "random");
        other.Load(values, "random");
        Assert.That(other.NextBits(), Is.EqualTo(random.NextBits()));
    }

    [Test]
    public void Next_OfSixSides_IsEven()
    {
        CounterRandom random = new(5);
        int[] counts = new int[6];
        for (int i = 0; i < 60_000; i++) counts[random.Next(6)]++;
        Assert.That(counts, Is.All.InRange(10_000 - 500, 10_000 + 500), "5 deviations are 456");
    }

    [Test]
    public void NextNormal_OfManyNumbers_HasTheMomentsAndTails()
    {
        const int Count = 200_000;
        CounterRandom random = new(8);
        double[] values = [.. Enumerable.Range(0, Count).Select(_ => random.NextNormal())];
        double deviation = 1 / Math.Sqrt(Count);
        Assert.That(values.Average(), Is.EqualTo(0).Within(5 * deviation));
        Assert.That(values.Average(v => v * v), Is.EqualTo(1).Within(5 * Math.Sqrt(2) * deviation));
        Assert.That(values.Average(v => Math.Pow(v, 4)), Is.EqualTo(3).Within(5 * Math.Sqrt(96) * deviation));
        Assert.That(values.Count(v => Math.Abs(v) > 1.959964) / (double)Count, Is.EqualTo(0.05).Within(0.0025));
        Assert.That(values.Count(v => v > 3.090232) / (double)Count, Is.EqualTo(0.001).Within(0.0004));
    }

    [Test]
    public void Shuffle_OfThree_HasAllOrdersEquallyOften()
    {
        CounterRandom random = new(6);
        Dictionary<string, int> counts = [];
        for (int i = 0; i < 60_000; i++)
        {
            int[] order = [0, 1, 2];
            random.Shuffle(order.AsSpan());
            string key = string.Concat(order);
            counts[key] = counts.GetValueOrDefault(key) + 1;
        }
        Assert.That(counts.Values, Has.Count.EqualTo(6).And.All.InRange(9_500, 10_500));
    }

    [Test]
    public void Choose_OfWeights_HasTheProbabilitiesOfDrawsOneAfterTheOther()
    {
        // weights 1, 2, 0, 5: P(3 then 1) = 5/8 · 2/3
        CounterRandom random = new(7);
        int hits = 0, zeros = 0;
        for (int i = 0; i < 40_000; i++)
        {
            int[] chosen = random.Choose([1, 2, 0, 5], 2);
            if (chosen is [3, 1]) hits++;
            if (chosen.Contains(2) || chosen[0] == chosen[1]) zeros++;
        }
        Assert.That(hits / 40_000.0, Is.EqualTo(5 / 12.0).Within(0.0125), "5 deviations");
        Assert.That(zeros, Is.Zero);
    }

    [Test]
    public void Choose_OfMoreThanThereAre_IsRefused() => Assert.That(() => new CounterRandom(1).Choose([1, 0, 2], 3),
        Throws.ArgumentException.With.Message.EqualTo("3 of 2 positive weights cannot be chosen"));

    [Test]
    public void Child_OfOtherNamesAndNumbers_IsAnotherSequence()
    {
        CounterRandom random = new(9);
        HashSet<ulong> keys = [];
        foreach (string name in new[] { "", "a", "b", "ab" })
            for (ulong i = 0; i < 100; i++) keys.Add(random.Child(name, i).Key);
        Assert.That(keys, Has.Count.EqualTo(400));
        Assert.That(random.Child("a", 1).Key, Is.EqualTo(new CounterRandom(9).Child("a", 1).Key));
        Assert.That(random.Counter, Is.Zero);
    }

    [Test]
    public void Sampler_OfAnEpoch_GivesEveryItemOnceAndGoesOnWhereItWas()
    {
        Sampler sampler = new(10, 4, 3), resumed = new(10, 4, 3);
        int[][] first = [.. Enumerable.Range(0, 3).Select(_ => sampler.Next())];
        Assert.That(first.Select(b => b.Length), Is.EqualTo(new[] { 4, 4, 2 }));
        Assert.That(first.SelectMany(b => b).Order(), Is.EqualTo(Enumerable.Range(0, 10)));
        Assert.That((sampler.Epoch, sampler.Position), Is.EqualTo((1L, 0)));
        int[] second = sampler.Next();
        Assert.That(second, Is.Not.EqualTo(first[0]));
        StateValues values = new();
        sampler.Save(values, "sampler");
        resumed.Load(values, "sampler");
        for (int i = 0; i < 5; i++) Assert.That(resumed.Next(), Is.EqualTo(sampler.Next()));
    }

    [Test]
    public void Sampler_OfAnotherDataSet_IsRefusedByName()
    {
        StateValues values = new();
        new Sampler(10, 4, 3).Save(values, "sampler");
        Assert.That(() => new Sampler(11, 4, 3).Load(values, "sampler"),
            Throws.TypeOf<Native.Checkpoints.CheckpointException>().With.Message
                .EndsWith("the training state has sampler.count = 10, expected 11"));
    }
}
