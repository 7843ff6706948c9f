namespace EpSam.Slides.Synth;

/// <summary>
/// A set of slides from one seed: number n of a set is the same however many there are. Shares of tumour go evenly
/// through their range, and slides without tumour are spread among the others.
/// </summary>
public sealed record SynthSet
{
    /// <summary>Pixels in a row.</summary>
    public int Width { get; init; } = 4096;
    /// <summary>Rows.</summary>
    public int Height { get; init; } = 4096;
    /// <summary>Micrometres a pixel.</summary>
    public double Mpp { get; init; } = 0.5;
    /// <summary>Of all slides.</summary>
    public uint Seed { get; init; } = 1;
    /// <summary>Least share of the tissue that is tumour, where there is any.</summary>
    public double LeastTumour { get; init; } = 0.1;
    /// <summary>Greatest share.</summary>
    public double MostTumour { get; init; } = 0.4;
    /// <summary>Share of slides without tumour.</summary>
    public double Normal { get; init; } = 0.25;

    /// <summary>A slide's name, from 0.</summary>
    public static string Name(int slide) => FormattableString.Invariant($"synth_{slide + 1:0000}");

    /// <summary>What a slide of the set is, from 0.</summary>
    public SynthOptions Slide(int slide)
    {
        bool isNormal = Math.Floor((slide + 1) * Normal + 1e-9) > Math.Floor(slide * Normal + 1e-9);
        const double Golden = 0.6180339887498949; // its multiples fill a range evenly, however many there are
        double share = slide * Golden % 1, tumour = LeastTumour + (MostTumour - LeastTumour) * share;
        return new SynthOptions
        {
            Width = Width, Height = Height, Mpp = Mpp, Seed = Noise.Hash(Seed, slide, 0x5E7),
            Tumour = isNormal ? 0 : Math.Round(tumour, 3),
        };
    }
}
