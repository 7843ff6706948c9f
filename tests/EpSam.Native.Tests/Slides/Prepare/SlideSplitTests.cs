using EpSam.Native.Pipeline;
using EpSam.Slides.Prepare;

namespace EpSam.Native.Tests.Slides.Prepare;

public sealed class SlideSplitTests
{
    static (string, bool)[] Slides(int tumour, int normal) =>
    [
        .. Enumerable.Range(0, tumour).Select(i => ($"tumour_{i}", true)),
        .. Enumerable.Range(0, normal).Select(i => ($"normal_{i}", false)),
    ];

    static int[] Counts(IEnumerable<Split?> splits) =>
        [.. Enum.GetValues<Split>().Select(s => splits.Count(x => x == s))];

    // Of EP-SAM's lists: how many there are, and some by name (systems of the paper, 0_data_preprocess.py).
    [TestCase("camelyon16", new[] { 47, 6, 15 }, "Tumor_061", "tumor_048", "tumor_032")]
    [TestCase("camelyon17", new[] { 27, 3, 9 }, "patient_024_node_1", "patient_034_node_3", "patient_004_node_4")]
    public void PublishedLists_AreThere(string name, int[] counts, string train, string val, string test)
    {
        SlideSplit split = SlideSplit.Parse(name);
        Assert.That(split.Of([(train, true), (val, true), (test, true)], 1),
            Is.EqualTo(new Split?[] { Split.Train, Split.Val, Split.Test }));
        IEnumerable<string> all = name == "camelyon16" ? Enumerable.Range(1, 111).Select(i => $"tumor_{i:000}")
            : Enumerable.Range(0, 100).SelectMany(p => Enumerable.Range(0, 5).Select(n => $"patient_{p:000}_node_{n}"));
        Assert.That(Counts(split.Of([.. all.Select(n => (n, true))], 1)), Is.EqualTo(counts));
        Assert.That(split.Of([("normal_061", false), ("test_061", true), ("061", true), ("patient_241", true)], 1),
            Is.All.Null);
    }

    [TestCase(10, 0, new[] { 7, 2, 1 })]
    [TestCase(20, 10, new[] { 21, 5, 4 })]
    [TestCase(6, 2, new[] { 5, 2, 1 })]
    [TestCase(3, 0, new[] { 1, 1, 1 })]
    [TestCase(1, 2, new[] { 1, 1, 1 })]
    public void Shares_SlidesOfEachKind_AreSplit(int tumour, int normal, int[] expected)
    {
        IReadOnlyList<Split?> splits = SlideSplit.Parse("0.7,0.15,0.15").Of(Slides(tumour, normal), 3);
        Assert.That(Counts(splits), Is.EqualTo(expected));
        if (tumour >= 3) Assert.That(Counts(splits.Take(tumour)), Has.All.Positive, "each part has slides with tumour");
    }

    [Test]
    public void Shares_FollowFromSeedAndNames_NotFromOrder()
    {
        (string, bool)[] slides = Slides(20, 0);
        SlideSplit split = SlideSplit.Parse(SlideSplit.Default);
        IReadOnlyList<Split?> first = split.Of(slides, 1), other = split.Of(slides, 2);
        Assert.That(split.Of([.. slides.Reverse()], 1).Reverse(), Is.EqualTo(first));
        Assert.That(other, Is.Not.EqualTo(first));
    }

    [Test]
    public void Shares_WithZeros_TakeOneSlide()
    {
        Assert.That(SlideSplit.Parse("1,0,0").Of(Slides(1, 0), 1), Is.EqualTo(new Split?[] { Split.Train }));
        Assert.That(Counts(SlideSplit.Parse("0,0,1").Of(Slides(3, 2), 1)), Is.EqualTo(new[] { 0, 0, 5 }));
        Assert.That(() => SlideSplit.Parse("0.7,0.15,0.15").Of(Slides(1, 1), 1), Throws.TypeOf<RunException>()
            .With.Message.Contains("2 slides cannot be split by slide into 3 parts").And.Message.Contains("1,0,0"));
    }

    [TestCase("0.7,0.3")]
    [TestCase("0.7,0.2,0.2")]
    [TestCase("1.5,-0.5,0")]
    [TestCase("nowhere.csv")]
    public void Other_IsRefused(string text) => Assert.That(() => SlideSplit.Parse(text),
        Throws.TypeOf<RunException>().With.Message.Contains("camelyon16").And.Message.Contains(text));

    [Test]
    public void Table_NamesSlidesOrFiles()
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, "split.csv");
        File.WriteAllText(path, "stain,slide,split\nHE,a.svs,train\nHE,B,val\nHE,c,\n");
        SlideSplit split = SlideSplit.Parse(path);
        Assert.That(split.Of([("a", true), ("b", true), ("c", true), ("d", true)], 1),
            Is.EqualTo(new Split?[] { Split.Train, Split.Val, null, null }));
        File.WriteAllText(path, "slide,split\nS21.001,train\nS21.002,test\nS21.003.svs,val\n");
        Assert.That(SlideSplit.Parse(path).Of([("S21.001", true), ("S21.002", true), ("S21.003", true)], 1),
            Is.EqualTo(new Split?[] { Split.Train, Split.Test, Split.Val }), "names with dots");
        File.WriteAllText(path, "slide,split\na.svs,train\na,test\n");
        Assert.That(() => SlideSplit.Parse(path), Throws.TypeOf<RunException>().With.Message.Contains("two parts"));
        File.WriteAllText(path, "slide,split\na.svs,trian\n");
        Assert.That(() => SlideSplit.Parse(path), Throws.TypeOf<RunException>().With.Message.Contains("split trian"));
        File.WriteAllText(path, "slide;split\na.svs;train\n");
        Assert.That(() => SlideSplit.Parse(path), Throws.TypeOf<RunException>().With.Message.Contains("columns slide"));
        File.Delete(path);
    }
}
