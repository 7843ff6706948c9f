namespace EpSam.Slides.Synth;

/// <summary>What a synthetic slide is. The same options give the same pixels on every machine.</summary>
public sealed record SynthOptions
{
    /// <summary>Smallest and largest side in pixels.</summary>
    public const int Smallest = 512, Largest = 200_000;

    /// <summary>Pixels in a row.</summary>
    public int Width { get; init; } = 4096;
    /// <summary>Rows.</summary>
    public int Height { get; init; } = 4096;
    /// <summary>Micrometres a pixel; 0.5 is a scanner's 20×, 0.25 its 40×.</summary>
    public double Mpp { get; init; } = 0.5;
    /// <summary>All that is random follows from it.</summary>
    public uint Seed { get; init; }
    /// <summary>Share of the tissue that is tumour; 0: none.</summary>
    public double Tumour { get; init; } = 0.25;

    /// <summary>Throws ArgumentException when a value is out of range.</summary>
    public void Check()
    {
        if (Width is < Smallest or > Largest || Height is < Smallest or > Largest)
            throw new ArgumentException($"a slide has {Smallest} to {Largest} pixels a side, got {Width} x {Height}");
        if (!(Mpp is >= 0.1 and <= 2)) throw new ArgumentException($"mpp must be 0.1 to 2, got {Mpp}");
        if (!(Tumour is >= 0 and <= 0.6)) throw new ArgumentException($"tumour must be 0 to 0.6, got {Tumour}");
    }
}
