// Against the two-dimensional sum written out in double.
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class GaussianBlurTests
{
    [TestCase(7, 5, 0.6)]
    [TestCase(1, 9, 1.5)]
    [TestCase(6, 8, 3)] // wider than the image: mirrored more than once
    public void Apply_IsTheSumOverMirroredNeighbours(int height, int width, double deviation)
    {
        float[] x = new float[height * width], y = new float[x.Length];
        for (int i = 0; i < x.Length; i++) x[i] = (float)Math.Sin(3 * i) + i % 4;
        GaussianBlur.Apply(x, height, width, deviation, y);
        int radius = (int)(4 * deviation + 0.5);
        for (int r = 0; r < height; r++)
            for (int c = 0; c < width; c++)
            {
                double sum = 0, weights = 0;
                for (int dr = -radius; dr <= radius; dr++)
                    for (int dc = -radius; dc <= radius; dc++)
                    {
                        double weight = Math.Exp(-(dr * dr + dc * dc) / (2 * deviation * deviation));
                        weights += weight;
                        sum += weight * x[Mirrored(r + dr, height) * width + Mirrored(c + dc, width)];
                    }
                Assert.That(y[r * width + c], Is.EqualTo(sum / weights).Within(1e-5), $"{r}, {c}");
            }
    }

    static int Mirrored(int i, int count)
    {
        while (i < 0 || i >= count) i = i < 0 ? -1 - i : 2 * count - 1 - i;
        return i;
    }

    [Test]
    public void Apply_OfNoDeviation_ChangesNothing_AndInPlaceIsTheSame()
    {
        float[] x = [1, 2, 3, 4, 5, 6], y = new float[6], z = [1, 2, 3, 4, 5, 6];
        GaussianBlur.Apply(x, 2, 3, 0, y);
        Assert.That(y, Is.EqualTo(x));
        GaussianBlur.Apply(x, 2, 3, 1, y);
        GaussianBlur.Apply(z, 2, 3, 1, z);
        Assert.That(z, Is.EqualTo(y));
        Assert.That(() => GaussianBlur.Apply(x, 2, 3, -1, y), Throws.ArgumentException);
        Assert.That(() => GaussianBlur.Apply(x, 2, 3, double.NaN, y), Throws.ArgumentException);
    }
}
