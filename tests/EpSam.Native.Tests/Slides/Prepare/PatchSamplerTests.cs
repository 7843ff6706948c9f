// Which patches are kept, on tables made up for it.
using EpSam.Native.Pipeline;
using EpSam.Slides.Prepare;

namespace EpSam.Native.Tests.Slides.Prepare;

public sealed class PatchSamplerTests
{
    static readonly SlideScan Blank = new()
    {
        Name = "", File = "", Source = new(0, ""), Annotation = null, AnnotationSource = null, Width = 1, Height = 1,
        Mpp = null, Downsample = 1, TissueDownsample = 16, Tissue = 0, Tumour = 0, Areas = 0, Candidates = 0,
        WithTumour = 0, PictureDownsample = 1, Warnings = [],
    };

    // 1001 percentages twice, and 1500 patches without tumour.
    static PatchSampler.Source Slide(string name, Split split = Split.Train) =>
        new(Blank with { Name = name }, split, () => Enumerable.Range(0, 2002)
            .Select(i => new Candidate(i, 0, true, i % 1001, 1))
            .Concat(Enumerable.Range(0, 1500).Select(i => new Candidate(i, 1, false, 0, 1))));

    static IReadOnlyList<ChosenPatch> Choose(PartSampling part, params PatchSampler.Source[] slides) =>
        PatchSampler.Choose(slides, Sampling.Same(part), 42);

    static int[] Tenths(IEnumerable<ChosenPatch> patches) =>
        [.. patches.Where(p => p.Label == 1).Select(p => p.Candidate.Tenths)];

    [Test]
    public void Bins_AreFilledEvenly_WithinTheRange_AndBalanced()
    {
        IReadOnlyList<ChosenPatch> chosen = Choose(new PartSampling { PerBin = 10, Low = 20, High = 90 }, Slide("a"));
        int[] tenths = Tenths(chosen);
        Assert.That(tenths.Min(), Is.GreaterThanOrEqualTo(200));
        Assert.That(tenths.Max(), Is.LessThanOrEqualTo(900));
        for (int bin = 4; bin < 18; bin++) Assert.That(tenths.Count(t => t / 50 == bin), Is.EqualTo(10), $"bin {bin}");
        Assert.That(tenths.Count(t => t == 900), Is.LessThanOrEqualTo(2));
        Assert.That(chosen.Count(p => p.Label == 0), Is.EqualTo(tenths.Length));
        Assert.That(chosen.Select(p => p.Id), Is.Unique);
    }

    [Test]
    public void Choice_DoesNotDependOnOrder_ButOnSeedAndNames()
    {
        PartSampling part = new() { PerBin = 7, Negatives = 50 };
        string[] ids = [.. Choose(part, Slide("a"), Slide("b"), Slide("c")).Select(p => p.Id)];
        Assert.That(Choose(part, Slide("c"), Slide("a"), Slide("b")).Select(p => p.Id), Is.EqualTo(ids));
        PatchSampler.Source[] slides = [Slide("a"), Slide("b"), Slide("c")];
        Assert.That(PatchSampler.Choose(slides, Sampling.Same(part), 43).Select(p => p.Id), Is.Not.EqualTo(ids));
        string[] Places(string slide) => [.. Choose(part, Slide(slide)).Select(p => p.Id[1..])];
        Assert.That(Places("d"), Is.Not.EqualTo(Places("a")));
    }

    [Test]
    public void Parts_HaveTheirOwn()
    {
        Sampling sampling = new(new() { PerBin = 3, Negatives = 5 }, new() { PerBin = 1, Negatives = 0 },
            new() { Most = 9, Balance = 2 });
        IReadOnlyList<ChosenPatch> chosen = PatchSampler.Choose(
            [Slide("a"), Slide("b", Split.Val), Slide("c", Split.Test), Slide("d", Split.Test)], sampling, 1);
        (int, int) Of(Split s) => (chosen.Count(p => p.Split == s && p.Label == 1),
            chosen.Count(p => p.Split == s && p.Label == 0));
        Assert.That(Of(Split.Train), Is.EqualTo((16 * 3, 5)));
        Assert.That(Of(Split.Val), Is.EqualTo((16, 0)));
        Assert.That(Of(Split.Test), Is.EqualTo((9, 18)));
    }

    // EP-SAM: up to 430 (or 500) of a bin, then 20 < p < 90; validation of CAMELYON17 is filled up to 1000 first; its
    // test takes 2000 of 20 <= p <= 90.
    [Test]
    public void Presets_AreEpSams()
    {
        PatchSampler.Source[] all = [.. Enumerable.Range(0, 9).Select(i => Slide($"s{i}", (Split)(i % 3)))];
        foreach ((Sampling preset, int val, int test) in new[]
            { (Sampling.Camelyon16, 50, 143), (Sampling.Camelyon17, 50, 0) })
        {
            IReadOnlyList<ChosenPatch> chosen = PatchSampler.Choose(all, preset, 42);
            int[] PerBin(Split s) => [.. Enumerable.Range(0, 20).Select(bin =>
                Tenths(chosen.Where(p => p.Split == s)).Count(t => t / 50 == bin))];
            int[] counts = PerBin(Split.Train);
            Assert.That(counts[..4].Sum() + counts[18..].Sum(), Is.Zero);
            Assert.That(counts[5..18], Is.All.EqualTo(300)); // all there are: 50 tenths, twice, on three slides
            Assert.That(counts[4], Is.EqualTo(294), "20.0 is out");
            Assert.That(chosen.Count(p => p.Split == Split.Train && p.Label == 0), Is.EqualTo(4500), "all there are");
            Assert.That(chosen.Count(p => p.Split == Split.Val && p.Label == 0), Is.EqualTo(700));
            Assert.That(chosen.Count(p => p.Split == Split.Test && p.Label == 0), Is.EqualTo(2000));
            Assert.That(PerBin(Split.Val)[5..18], Is.All.EqualTo(val));
            if (test > 0) Assert.That(PerBin(Split.Test)[5..18], Is.All.EqualTo(test));
            else Assert.That(PerBin(Split.Test).Sum(), Is.EqualTo(2000));
        }
    }

    [Test]
    public void FillTo_TakesOthers_WhereBinsAreEmpty()
    {
        PatchSampler.Source few = new(Blank with { Name = "few" }, Split.Train, () =>
            Enumerable.Range(0, 300).Select(i => new Candidate(i, 0, true, 420 + i % 8, 1)));
        PartSampling part = new() { PerBin = 50, FillTo = 120, BinsFirst = true, Low = 20, High = 90 };
        Assert.That(Tenths(Choose(part, few)), Has.Length.EqualTo(120));
        Assert.That(Tenths(Choose(part with { FillTo = null }, few)), Has.Length.EqualTo(50));
        Assert.That(Tenths(Choose(part with { FillTo = 1000 }, few)), Has.Length.EqualTo(300));
    }
}
