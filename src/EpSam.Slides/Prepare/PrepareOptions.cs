// What patches are cut and which of them are kept. All of it goes into prepare.json, and another value of any of it
// makes another data set.
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

/// <summary>How slides become patches.</summary>
public sealed record PrepareOptions
{
    /// <summary>Pixels of a patch's sides.</summary>
    public int Size { get; init; } = 512;

    /// <summary>The slides' level that patches are cut from; null: level 0, or by <see cref="Mpp"/>.</summary>
    public int? Level { get; init; }

    /// <summary>Micrometres a pixel of the patches, whatever levels the slides have.</summary>
    public double? Mpp { get; init; }

    /// <summary>Micrometres a pixel of level 0, for slides that do not tell.</summary>
    public double? SlideMpp { get; init; }

    /// <summary>Which groups of the annotations are tumour; null: as <see cref="TumourAreas"/> knows them.</summary>
    public IReadOnlyList<string>? TumourGroups { get; init; }

    /// <summary>Slides without annotations have no tumour; false: they are left out.</summary>
    public bool UnannotatedAreNormal { get; init; }

    /// <summary>A patch with a smaller share of tissue is not kept; that there is some near its middle is asked always.
    /// </summary>
    public double MinTissue { get; init; }

    /// <summary>Which of the patches are kept.</summary>
    public Sampling Sampling { get; init; } = Sampling.General;

    /// <summary>Draws other patches, and another split by shares.</summary>
    public ulong Seed { get; init; } = 42;

    /// <summary>Red and blue of the images exchanged, as EP-SAM's own preprocessing leaves them.</summary>
    public bool SwapRedBlue { get; init; }

    /// <summary>Throws ArgumentException naming the first value that is impossible.</summary>
    public void Check()
    {
        Require(Size is >= 32 and <= 4096, "size", Size, "32 to 4096");
        Require(Level is null or (>= 0 and < 64), "level", Level, "0 or more");
        Require(Level is null || Mpp is null, "level and mpp", Level, "one of them");
        Require(Mpp is null or (> 0 and <= 1000), "mpp", Mpp, "above 0, at most 1000");
        Require(SlideMpp is null or (> 0 and <= 1000), "slide mpp", SlideMpp, "above 0, at most 1000");
        Require(MinTissue is >= 0 and <= 1, "least share of tissue", MinTissue, "0 to 1");
        foreach (Split split in Enum.GetValues<Split>()) Sampling.Of(split).Check();
    }

    internal static void Require(bool isRight, string name, object? value, string expected)
    {
        if (!isRight)
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; expected {expected}"));
    }
}

/// <summary>Which patches of a part of the data set are kept.</summary>
public sealed record PartSampling
{
    /// <summary>Patches with tumour of each twentieth of tumour percentage; null: all.</summary>
    public int? PerBin { get; init; }

    /// <summary>Where bins give fewer patches with tumour in all, others fill up to this number.</summary>
    public int? FillTo { get; init; }

    /// <summary>Patches with tumour in all; null: as many as there are.</summary>
    public int? Most { get; init; }

    /// <summary>Least percentage of tumour of a patch with tumour.</summary>
    public double Low { get; init; } = 20;

    /// <summary>Greatest.</summary>
    public double High { get; init; } = 100;

    /// <summary>Whether bins are filled before patches below and above are left out, as EP-SAM does it.</summary>
    public bool BinsFirst { get; init; }

    /// <summary>Patches without any tumour; null: by <see cref="Balance"/>.</summary>
    public int? Negatives { get; init; }

    /// <summary>Patches without tumour for each one with.</summary>
    public double Balance { get; init; } = 1;

    internal void Check()
    {
        PrepareOptions.Require(PerBin is null or >= 0, "patches per bin", PerBin, "0 or more");
        PrepareOptions.Require(Most is null or >= 0, "patches with tumour", Most, "0 or more");
        PrepareOptions.Require(Negatives is null or >= 0, "patches without tumour", Negatives, "0 or more");
        PrepareOptions.Require(Balance is >= 0 and <= 1e6, "balance", Balance, "0 or more");
        PrepareOptions.Require(Low >= 0 && Low <= High && High <= 100, "percentages kept", Low, "LOW to HIGH in 0-100");
    }
}

/// <summary>Which patches are kept, by part.</summary>
public sealed record Sampling(PartSampling Train, PartSampling Val, PartSampling Test)
{
    const double Above20 = 20.1, Below90 = 89.9; // percentages are cut to tenths: 20 < p < 90

    /// <summary>For sets of any size: what there is, evenly over percentages, and as much without tumour.</summary>
    public static Sampling General { get; } = Same(new PartSampling { PerBin = 500 });

    /// <summary>EP-SAM's numbers for CAMELYON16.</summary>
    public static Sampling Camelyon16 { get; } = new(
        Published with { PerBin = 430, Negatives = 6000 }, Published with { PerBin = 50, Negatives = 700 },
        Published with { PerBin = 143, Negatives = 2000 });

    /// <summary>EP-SAM's numbers for CAMELYON17.</summary>
    public static Sampling Camelyon17 { get; } = new(
        Published with { PerBin = 500, Negatives = 6000 },
        Published with { PerBin = 50, FillTo = 1000, Negatives = 700 },
        Published with { Low = 20, High = 90, Most = 2000, Negatives = 2000 });

    static PartSampling Published => new() { BinsFirst = true, Low = Above20, High = Below90 };

    /// <summary>The same for all parts.</summary>
    public static Sampling Same(PartSampling part) => new(part, part, part);

    /// <summary>Those of a part.</summary>
    public PartSampling Of(Split split) => split switch { Split.Train => Train, Split.Val => Val, _ => Test };
}
