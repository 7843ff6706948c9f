using EpSam.Native.Prompts;
using EpSam.Slides.Segment;

namespace EpSam.Native.Tests.Slides.Segment;

/// <summary>Models that are never wrong: tumour is what is red.</summary>
internal sealed class FakeModels : ISlideModels
{
    public int Batch { get; init; } = 3;

    public int ClassifierSide { get; init; } = 64;

    public bool SwappedRedBlue { get; init; }

    /// <summary>How many tiles were seen in each call.</summary>
    public List<int> Classified { get; } = [];

    public List<ulong> Seeds { get; } = [];

    public Action? BeforeClassify { get; init; }

    public SlideModelReport Report { get; } = new()
    {
        ClassifierSha256 = new string('a', 64), ClassifierSide = 64, Scale = 1, Rule = CamMaskRule.Camelyon17,
        Precision = "fp32",
    };

    public float[] Classify(IReadOnlyList<TilePixels> tiles, CancellationToken cancel)
    {
        BeforeClassify?.Invoke();
        Classified.Add(tiles.Count);
        Assert.That(tiles.Select(t => t.Small.Length), Has.All.EqualTo(3 * ClassifierSide * ClassifierSide));
        return [.. tiles.Select(t => Red(t.Rgb).Contains((byte)255) ? 0.875f : 0.125f)];
    }

    public byte[]?[] Segment(IReadOnlyList<(TilePixels Pixels, ulong Seed)> tiles, CancellationToken cancel)
    {
        Seeds.AddRange(tiles.Select(t => t.Seed));
        return [.. tiles.Select(t => Red(t.Pixels.Rgb))];
    }

    /// <summary>255 where a pixel is red.</summary>
    public static byte[] Red(byte[] rgb)
    {
        byte[] red = new byte[rgb.Length / 3];
        for (int i = 0; i < red.Length; i++)
            if (rgb[3 * i] > 150 && rgb[3 * i + 1] < 100) red[i] = 255;
        return red;
    }
}
