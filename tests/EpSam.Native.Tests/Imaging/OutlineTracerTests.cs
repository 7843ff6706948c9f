// Outlines of rows against those of the whole mask, against a count of regions, and painted again.
using EpSam.Imaging.Annotations;

namespace EpSam.Native.Tests.Imaging;

public sealed class OutlineTracerTests
{
    static void AssertEqual(IReadOnlyList<SlidePolygon> polygons, IReadOnlyList<SlidePolygon> expected, string name)
    {
        Assert.That(polygons, Has.Count.EqualTo(expected.Count), name);
        for (int i = 0; i < polygons.Count; i++)
            Assert.That(polygons[i].Rings, Is.EqualTo(expected[i].Rings), $"{name}, polygon {i}");
    }

    static void AssertPaintsTheMask(IReadOnlyList<SlidePolygon> polygons, byte[] mask, int height, int width)
    {
        byte[] again = new byte[mask.Length], alone = new byte[mask.Length];
        foreach (SlidePolygon polygon in polygons)
        {
            Array.Clear(alone);
            PolygonMask.Paint(polygon, 0, 0, 1, 1, alone, height, width);
            Assert.That(polygon.Area, Is.EqualTo(alone.Count((byte)1)));
            for (int i = 0; i < mask.Length; i++) again[i] += alone[i];
            foreach (IReadOnlyList<SlidePoint> ring in polygon.Rings) Assert.That(ring, Is.Unique);
        }
        Assert.That(again, Is.EqualTo(mask.Select(v => v == 0 ? 0 : 1)));
    }

    // By spreading the smallest number among neighbours until nothing changes.
    static int Regions(byte[] mask, int height, int width)
    {
        int[] number = [.. Enumerable.Range(0, mask.Length)];
        for (bool isChanged = true; isChanged;)
        {
            isChanged = false;
            for (int i = 0; i < mask.Length; i++)
                foreach (int k in new[] { i % width > 0 ? i - 1 : i, i / width > 0 ? i - width : i })
                {
                    if (mask[i] == 0 || mask[k] == 0 || number[i] == number[k]) continue;
                    number[i] = number[k] = Math.Min(number[i], number[k]);
                    isChanged = true;
                }
        }
        return number.Where((n, i) => mask[i] != 0).Distinct().Count();
    }

    [Test]
    public void RandomMasks_AreTracedAsAWhole([Values(0.1, 0.35, 0.5, 0.6, 0.75, 0.93)] double share)
    {
        Random random = new((int)(share * 100));
        for (int n = 0; n < 120; n++)
        {
            (int height, int width) = (random.Next(1, 24), random.Next(1, 24));
            byte[] mask = new byte[height * width];
            for (int i = 0; i < mask.Length; i++)
                mask[i] = (byte)(random.NextDouble() < share ? random.Next(1, 256) : 0);
            IReadOnlyList<SlidePolygon> polygons = MaskPolygons.Trace(mask, height, width);
            AssertEqual(polygons, WholeMaskOutlines.Trace(mask, height, width), $"mask {n}");
            AssertPaintsTheMask(polygons, mask, height, width);
            Assert.That(polygons, Has.Count.EqualTo(Regions(mask, height, width)), $"mask {n}");
        }
    }

    // All masks of 4 x 4 pixels: every way that pixels can meet.
    [Test]
    public void AllSmallMasks_AreTracedAsAWhole()
    {
        byte[] mask = new byte[16];
        for (int bits = 0; bits < 1 << 16; bits++)
        {
            for (int i = 0; i < 16; i++) mask[i] = (byte)((bits >> i) & 1);
            IReadOnlyList<SlidePolygon> polygons = MaskPolygons.Trace(mask, 4, 4),
                expected = WholeMaskOutlines.Trace(mask, 4, 4);
            bool isEqual = polygons.Count == expected.Count && polygons.Zip(expected).All(p =>
                p.First.Holes.Count == p.Second.Holes.Count
                && p.First.Rings.Zip(p.Second.Rings).All(r => r.First.SequenceEqual(r.Second)));
            if (!isEqual) Assert.Fail($"mask {bits:X4}");
        }
    }

    static IEnumerable<TestCaseData> Shapes()
    {
        yield return Of("checkerboard", 31, 40, (x, y) => (x + y) % 2 == 0);
        yield return Of("other checkerboard", 40, 31, (x, y) => (x + y) % 2 == 1);
        yield return Of("nested rings", 41, 41, (x, y) => Math.Max(Math.Abs(x - 20), Math.Abs(y - 20)) % 4 < 2);
        yield return Of("nested diamonds", 41, 41, (x, y) => (Math.Abs(x - 20) + Math.Abs(y - 20)) % 3 == 0);
        yield return Of("full", 20, 30, (_, _) => true);
        yield return Of("empty", 20, 30, (_, _) => false);
        yield return Of("rows", 30, 20, (_, y) => y % 2 == 0);
        yield return Of("columns", 20, 30, (x, _) => x % 3 == 1);
        yield return Of("one row", 1, 500, (x, _) => x % 7 < 5);
        yield return Of("one column", 500, 1, (_, y) => y % 7 < 5);
        yield return Of("comb that ends in one", 30, 60, (x, y) => x % 2 == 0 || y == 29);
        yield return Of("snake", 40, 40, (x, y) => y % 2 == 0 || x == (y % 4 == 1 ? 39 : 0));
        yield return Of("spiral", 61, 61, (x, y) => Spiral(x - 30, y - 30));
        yield return Of("staircase", 50, 50, (x, y) => Math.Abs(x - y) < 2);

        static TestCaseData Of(string name, int height, int width, Func<int, int, bool> inside) =>
            new TestCaseData(height, width, inside).SetArgDisplayNames(name);

        static bool Spiral(int x, int y)
        {
            int ring = Math.Max(Math.Abs(x), Math.Abs(y));
            return (x == ring && y == -ring + 1) ? ring % 2 == 1 : ring % 2 == 0;
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void Shape_IsTracedAsAWhole(int height, int width, Func<int, int, bool> inside)
    {
        byte[] mask = [.. Enumerable.Range(0, height * width)
            .Select(i => inside(i % width, i / width) ? (byte)1 : (byte)0)];
        IReadOnlyList<SlidePolygon> polygons = MaskPolygons.Trace(mask, height, width);
        AssertEqual(polygons, WholeMaskOutlines.Trace(mask, height, width), "");
        AssertPaintsTheMask(polygons, mask, height, width);
        Assert.That(polygons, Has.Count.EqualTo(Regions(mask, height, width)));
    }

    static IReadOnlyList<SlidePolygon> Trace(byte[] mask, int height, int width, double least)
    {
        OutlineTracer tracer = new(width, height, least);
        for (int row = 0; row < height; row++) tracer.Row(mask.AsSpan(row * width, width));
        return tracer.Finish();
    }

    [Test]
    public void WithoutSpecks_SmallRegionsAreGone_SmallHolesFilled([Values(0.35, 0.5, 0.6, 0.75, 0.93)] double share,
        [Values(1, 2, 4.5, 9, 40)] double least)
    {
        Random random = new((int)(share * 100 + 1000 * least));
        for (int n = 0; n < 60; n++)
        {
            (int height, int width) = (random.Next(1, 24), random.Next(1, 24));
            byte[] mask = new byte[height * width];
            for (int i = 0; i < mask.Length; i++) mask[i] = random.NextDouble() < share ? (byte)1 : (byte)0;
            byte[] expected = Specks.Without(mask, height, width, least);
            IReadOnlyList<SlidePolygon> polygons = Trace(mask, height, width, least);
            AssertPaintsTheMask(polygons, expected, height, width);
            Assert.That(polygons, Has.Count.EqualTo(Regions(expected, height, width)), $"mask {n}");
            Assert.That(polygons.Select(p => p.Area), Has.All.GreaterThanOrEqualTo(least));
            Assert.That(polygons.Sum(p => p.Rings.Sum(r => r.Count)), Is.EqualTo(
                WholeMaskOutlines.Trace(expected, height, width).Sum(p => p.Rings.Sum(r => r.Count))), $"mask {n}");
        }
    }

    [Test]
    public void EmptyRows_AreRowsWithoutPixels()
    {
        Random random = new(5);
        for (int n = 0; n < 100; n++)
        {
            const int Width = 9, Height = 60;
            byte[] mask = new byte[Height * Width];
            OutlineTracer tracer = new(Width, Height);
            for (int row = 0; row < Height;)
            {
                int skipped = random.Next(4) == 0 ? random.Next(0, Math.Min(10, Height - row) + 1) : 0;
                tracer.EmptyRows(skipped);
                row += skipped;
                if (row == Height) break;
                Span<byte> one = mask.AsSpan(Width * row++, Width);
                for (int i = 0; i < Width; i++) one[i] = (byte)random.Next(2);
                tracer.Row(one);
            }
            AssertEqual(tracer.Finish(), WholeMaskOutlines.Trace(mask, Height, Width), $"mask {n}");
        }
    }

    // A square of a million rows and columns is four corners, and quick.
    [Test]
    public void Memory_GrowsWithOutlinesOnly()
    {
        const int Side = 1 << 20;
        OutlineTracer tracer = new(Side, Side);
        byte[] row = new byte[Side];
        tracer.EmptyRows(Side / 2);
        row.AsSpan(10, 20).Fill(1);
        for (int i = 0; i < 100; i++) tracer.Row(row);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) tracer.Row(row);
        tracer.EmptyRows(Side / 2 - 200);
        IReadOnlyList<SlidePolygon> polygons = tracer.Finish();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(20_000));
        Assert.That(polygons.Single().Outer, Is.EqualTo(new SlidePoint[]
        {
            new(10, Side / 2), new(30, Side / 2), new(30, Side / 2 + 200), new(10, Side / 2 + 200),
        }));
    }

    [Test]
    public void WrongRows_AreRefused()
    {
        OutlineTracer tracer = new(4, 3);
        Assert.That(() => tracer.Row(new byte[5]), Throws.ArgumentException.With.Message.Contains("4 pixels, got 5"));
        Assert.That(() => tracer.EmptyRows(4), Throws.InvalidOperationException);
        tracer.Row([0, 1, 1, 0]);
        Assert.That(tracer.Finish, Throws.InvalidOperationException.With.Message.Contains("1 of 3"));
        tracer.EmptyRows(2);
        Assert.That(tracer.Finish(), Has.Count.EqualTo(1));
        Assert.That(() => tracer.Row(new byte[4]), Throws.InvalidOperationException);
        Assert.That(tracer.Finish, Throws.InvalidOperationException.With.Message.Contains("finished"));
        Assert.That(() => new OutlineTracer(0, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
