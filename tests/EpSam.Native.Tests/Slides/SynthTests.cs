// Synthetic slides: the same everywhere, in any pieces, tumour exactly where the annotations say, and colour no help.
using System.Security.Cryptography;
using EpSam.Imaging.Annotations;
using EpSam.Imaging.Slides;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Imaging;
using EpSam.Slides;
using EpSam.Slides.Synth;

namespace EpSam.Native.Tests.Slides;

public sealed class SynthTests
{
    static readonly SynthOptions Small = new() { Width = 1500, Height = 1200, Mpp = 0.5, Seed = 5, Tumour = 0.3 };

    // The bytes were recorded on x64 with AVX-512; whatever renders otherwise elsewhere is a fault.
    [TestCase(0.5, "FFE3F6847D479290")]
    [TestCase(0.25, "B261019691CEB636")]
    public void Render_AnyMachine_TheSameBytes(double mpp, string expected)
    {
        SynthSlide slide = new(Small with { Mpp = mpp });
        byte[] pixels = slide.Render(300, 200, 700, 500);
        Assert.That(Convert.ToHexString(SHA256.HashData(pixels))[..16], Is.EqualTo(expected));
    }

    [TestCase(0.5)]
    [TestCase(0.25)]
    [TestCase(2)]
    public void Render_Parts_AreThoseOfTheWhole(double mpp)
    {
        SynthSlide slide = new(Small with { Mpp = mpp });
        byte[] whole = slide.Render(0, 0, 1500, 1200);
        foreach ((int x, int y, int width, int height) in new[]
            { (0, 0, 256, 256), (511, 300, 301, 257), (700, 513, 7, 300), (1250, 950, 250, 250), (733, 601, 1, 1) })
        {
            byte[] part = new SynthSlide(Small with { Mpp = mpp }).Render(x, y, width, height);
            for (int row = 0; row < height; row++)
            {
                Span<byte> expected = whole.AsSpan(3 * ((y + row) * 1500 + x), 3 * width);
                Assert.That(part.AsSpan(3 * row * width, 3 * width).SequenceEqual(expected), $"row {row} of {x}, {y}");
            }
        }
    }

    [Test]
    public void Slide_WrittenAndRead_IsWhatIsRendered_AndTheSameBytesAgain()
    {
        VipsLibrary.RequireOrSkip();
        SynthSlide slide = new(Small);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("epsam-synth-");
        try
        {
            string one = Path.Combine(folder.FullName, "1.tif"), other = Path.Combine(folder.FullName, "2.tif");
            List<double> shares = [];
            SynthWriter.WriteSlide(slide, one, new Shares(shares));
            SynthWriter.WriteSlide(slide, other);
            Assert.That(shares, Is.Ordered.And.Count.EqualTo(9), "blocks of 512");
            Assert.That(shares[^1], Is.EqualTo(1));
            Assert.That(File.ReadAllBytes(one).AsSpan().SequenceEqual(File.ReadAllBytes(other)));
            using Slide read = Slide.Open(one);
            byte[] expected = slide.Render(0, 0, Small.Width, Small.Height);
            byte[] pixels = read.ReadRegion(0, 0, 0, Small.Width, Small.Height).Pixels;
            double off = pixels.Zip(expected, (a, b) => (double)Math.Abs(a - b)).Average();
            Assert.That(off, Is.LessThan(5), "JPEG of quality 88");
            for (int shift = 1; shift <= 2; shift++)
            {
                double shifted = pixels.Zip(expected.Skip(3 * shift), (a, b) => (double)Math.Abs(a - b)).Average();
                Assert.That(shifted, Is.GreaterThan(1.5 * off), "and nowhere else");
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    sealed class Shares(List<double> told) : IProgress<double>
    {
        public void Report(double value) => told.Add(value);
    }

    [Test]
    public void Seeds_OtherSeed_IsAnotherSlide()
    {
        byte[] one = new SynthSlide(Small).Render(600, 500, 64, 64);
        byte[] other = new SynthSlide(Small with { Seed = 6 }).Render(600, 500, 64, 64);
        Assert.That(one, Is.Not.EqualTo(other));
    }

    [Test]
    public void Annotations_WrittenAndRead_AreTheRenderedTumourToThePixel()
    {
        SynthSlide slide = new(Small);
        using MemoryStream file = new();
        AsapXml.Write(file, SynthWriter.Annotations(slide));
        file.Position = 0;
        TumourAreas areas = TumourAreas.Of(AsapXml.Read(file, "x.xml"), "x.xml");
        byte[] annotated = areas.Mask(0, 0, 1, Small.Height, Small.Width);
        Assert.That(slide.RenderedTumour(0, 0, Small.Width, Small.Height).AsSpan().SequenceEqual(annotated));
        int pixels = annotated.Count((byte)1);
        Assert.That(pixels, Is.GreaterThan(50_000));
        Assert.That(slide.TumourArea, Is.EqualTo(pixels).Within(0.2).Percent); // rims count by their pixels' middles
    }

    [Test]
    public void Nests_AreDisjointAndWhole()
    {
        SynthSlide slide = new(Small with { Width = 3000, Height = 3000, Tumour = 0.4 });
        byte[] times = new byte[3000 * 3000], one = new byte[3000 * 3000];
        foreach (SlidePolygon nest in slide.Tumour)
        {
            Array.Clear(one);
            PolygonMask.Paint(nest, 0, 0, 1, 1, one, 3000, 3000);
            // even-odd painting of a ring that crosses itself would leave gaps; its area would be another
            Assert.That((double)one.Count((byte)1), Is.EqualTo(nest.Area).Within(1.5).Percent);
            for (int i = 0; i < one.Length; i++) times[i] += one[i];
        }
        Assert.That(times.Max(), Is.EqualTo(1));
        Assert.That(slide.TumourArea / slide.TissueArea, Is.EqualTo(0.4).Within(0.03));
    }

    [Test]
    public void Slides_WithoutTumour_HaveNone()
    {
        SynthSlide slide = new(Small with { Tumour = 0 });
        Assert.That(slide.Tumour, Is.Empty);
        Assert.That(slide.RenderedTumour(0, 0, 1500, 1200), Has.None.EqualTo(1));
        Assert.That(slide.TissueArea / (1500 * 1200), Is.InRange(0.3, 0.9));
    }

    [Test]
    public void Set_ShareOfNormalSlides_IsSpreadAmongTheOthers()
    {
        SynthSet set = new() { Normal = 0.25, LeastTumour = 0.1, MostTumour = 0.4 };
        double[] shares = [.. Enumerable.Range(0, 40).Select(i => set.Slide(i).Tumour)];
        Assert.That(Enumerable.Range(0, 40).Where(i => shares[i] == 0), Is.EqualTo(Enumerable.Range(0, 10)
            .Select(i => 4 * i + 3)));
        Assert.That(shares.Where(s => s > 0), Is.All.InRange(0.1, 0.4));
        Assert.That(shares.Where(s => s > 0).Average(), Is.EqualTo(0.25).Within(0.03));
        Assert.That(Enumerable.Range(0, 40).Select(i => set.Slide(i).Seed), Is.Unique);
    }

    // Patches of one half of the slides tell the rule, those of the other half judge it.
    [Test, Category("Slow")]
    public void Colour_OfPatches_TellsLittle()
    {
        const int Side = 2048, Patch = 128, Count = 6;
        List<(double[] Colour, int Label, int Slide)> patches = [];
        ColourThresholdSearch search = new();
        MaskTally all = new();
        for (int n = 0; n < Count; n++)
        {
            SynthSlide slide = new(Small with { Width = Side, Height = Side, Seed = 40u + (uint)n });
            for (int y = 0; y < Side; y += Patch)
                for (int x = 0; x < Side; x += Patch) Take(slide, n, x, y);
        }
        double accuracy = 0, auc = 0;
        for (int half = 0; half < 2; half++)
        {
            var fit = patches.Where(p => p.Slide % 2 == half).ToArray();
            var judged = patches.Where(p => p.Slide % 2 != half).ToArray();
            ColourDiscriminant rule = ColourDiscriminant.Fit([.. fit.Select(p => p.Colour)],
                [.. fit.Select(p => p.Label)])!;
            double[] scores = [.. judged.Select(p => rule.Score(p.Colour))];
            accuracy += Balanced(scores, [.. judged.Select(p => p.Label)]) / 2;
            auc += Auc(scores, [.. judged.Select(p => p.Label)]) / 2;
        }
        TestContext.Out.WriteLine($"{patches.Count} patches, {patches.Sum(p => p.Label)} tumour: mean of both classes' "
            + $"accuracies {accuracy:F3}, AUC {auc:F3}");
        Assert.That(accuracy, Is.LessThan(0.72));
        Assert.That(auc, Is.LessThan(0.75));

        void Take(SynthSlide slide, int n, int x, int y)
        {
            byte[] truth = slide.RenderedTumour(x, y, Patch, Patch);
            double share = truth.Count((byte)1) / (double)truth.Length;
            byte[] rgb = slide.Render(x, y, Patch, Patch);
            double[] colour = ColourDiscriminant.MeanColour(rgb, Patch, new Crop(0, 0, Patch, Patch));
            bool isTissue = colour[1] < 185;
            if (isTissue && share is 0 or >= 0.5) patches.Add((colour, share > 0 ? 1 : 0, n));
        }
    }

    static double Balanced(double[] scores, int[] labels)
    {
        double right1 = 0, right0 = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            if (labels[i] == 1 && scores[i] > 0) right1++;
            if (labels[i] == 0 && scores[i] <= 0) right0++;
        }
        int tumour = labels.Sum();
        return (right1 / tumour + right0 / (labels.Length - tumour)) / 2;
    }

    static double Auc(double[] scores, int[] labels)
    {
        double wins = 0;
        int tumour = labels.Sum();
        for (int i = 0; i < scores.Length; i++)
            for (int j = 0; j < scores.Length && labels[i] == 1; j++)
                if (labels[j] == 0) wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        return wins / tumour / (labels.Length - tumour);
    }
}
