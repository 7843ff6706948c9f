using EpSam.Native.Pipeline;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Pipeline;

public sealed class DecoderAugmentationTests
{
    // Where the pixel of the upper left corner goes, and the one right of it, in (row, column) of what is 2 x 3.
    [TestCase(false, 0, 0, 0, 0, 1)]
    [TestCase(false, 1, 2, 0, 1, 0)]
    [TestCase(false, 2, 1, 2, 1, 1)]
    [TestCase(false, 3, 0, 1, 1, 1)]
    [TestCase(true, 0, 0, 2, 0, 1)]
    [TestCase(true, 1, 0, 0, 1, 0)]
    [TestCase(true, 2, 1, 0, 1, 1)]
    [TestCase(true, 3, 2, 1, 1, 1)]
    public void Apply_OfAnOrientation_PutsPixelsThere(bool mirrored, int turns, int y, int x, int nextY, int nextX)
    {
        byte[] pixels = [10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61];
        Picture turned = new Orientation(mirrored, turns).Apply(new Picture(pixels, 2, 3, 2));
        Assert.That((turned.Height, turned.Width), Is.EqualTo(turns % 2 == 0 ? (2, 3) : (3, 2)));
        Assert.That(turned.Pixels.AsSpan(2 * (y * turned.Width + x), 2).ToArray(), Is.EqualTo(new byte[] { 10, 11 }));
        Assert.That(turned.Pixels.AsSpan(2 * (nextY * turned.Width + nextX), 2).ToArray(),
            Is.EqualTo(new byte[] { 20, 21 }));
        Assert.That(turned.Pixels, Is.EquivalentTo(pixels));
    }

    [Test]
    public void Flips_AreThese()
    {
        Picture picture = new([1, 2, 3, 4], 2, 2, 1);
        Assert.That(Orientation.HorizontalFlip.Apply(picture).Pixels, Is.EqualTo(new byte[] { 2, 1, 4, 3 }));
        Assert.That(Orientation.VerticalFlip.Apply(picture).Pixels, Is.EqualTo(new byte[] { 3, 4, 1, 2 }));
        int[] all = [.. new[] { false, true }.SelectMany(m =>
            Enumerable.Range(0, 4).Select(t => new Orientation(m, t).Index))];
        Assert.That(all, Is.EquivalentTo(Enumerable.Range(0, 8)));
    }

    // Of 8000 draws a share p/4 of 1000 has a standard deviation below 30; the bound is five of them.
    [Test]
    public void Draw_TakesExactlyOneChange_AllOfThemEquallyOften()
    {
        const int Draws = 8000;
        CounterRandom random = new(5);
        DecoderAugmentation[] drawn =
            [.. Enumerable.Range(0, Draws).Select(i => DecoderAugmentation.Draw(0.5, random.Child("item", (ulong)i)))];
        ShiftScaleRotate[] shifts = [.. drawn.Where(d => d.Shift is not null).Select(d => d.Shift!)];
        int Count(Orientation orientation) => drawn.Count(d => d.Shift is null && d.Orientation == orientation);
        Assert.Multiple(() =>
        {
            Assert.That(shifts, Has.Length.EqualTo(1000).Within(150));
            Assert.That(Count(Orientation.HorizontalFlip), Is.EqualTo(1000).Within(150));
            Assert.That(Count(Orientation.VerticalFlip), Is.EqualTo(1000).Within(150));
            foreach (int turns in new[] { 1, 2, 3 })
                Assert.That(Count(new Orientation(false, turns)), Is.EqualTo(250).Within(80));
            Assert.That(Count(Orientation.Upright), Is.EqualTo(4250).Within(220));
            Assert.That(drawn.All(d => d.Shift is null || d.Orientation == Orientation.Upright));
            Within(shifts.Select(s => s.Degrees), -45, 45);
            Within(shifts.Select(s => s.Scale), 0.9, 1.1);
            Within(shifts.Select(s => s.ShiftX), -0.0625, 0.0625);
            Within(shifts.Select(s => s.ShiftY), -0.0625, 0.0625);
        });
        Assert.That(DecoderAugmentation.Draw(0.5, random.Child("item", 3)), Is.EqualTo(drawn[3]));
        Assert.That(DecoderAugmentation.Draw(0, random), Is.EqualTo(DecoderAugmentation.None));

        static void Within(IEnumerable<double> values, double least, double most)
        {
            Assert.That(values.Min(), Is.InRange(least, least + 0.02 * (most - least)));
            Assert.That(values.Max(), Is.InRange(most - 0.02 * (most - least), most));
        }
    }

    // A shift by half the width's eighth, without scale or rotation: image and mask move by the same whole pixels.
    [Test]
    public void Shift_MovesImageAndMaskTogether_AndMirrorsTheBorder()
    {
        DecoderAugmentation change = new(Orientation.Upright, new ShiftScaleRotate(0, 1, 1.0 / 16, 0));
        Picture row = new([.. Enumerable.Range(0, 32).Select(i => (byte)(8 * i))], 1, 32, 1);
        byte[] expected = [16, 8, .. Enumerable.Range(0, 30).Select(i => (byte)(8 * i))];
        Assert.That(change.Image(row).Pixels, Is.EqualTo(expected));
        Assert.That(change.Mask(row).Pixels, Is.EqualTo(expected));
        DecoderAugmentation half = new(Orientation.Upright, new ShiftScaleRotate(0, 1, 1.0 / 64, 0));
        Assert.That(half.Image(row).Pixels[5], Is.EqualTo(36), "between 32 and 40");
        Assert.That(half.Mask(row).Pixels[5], Is.EqualTo(32).Or.EqualTo(40));
    }
}
