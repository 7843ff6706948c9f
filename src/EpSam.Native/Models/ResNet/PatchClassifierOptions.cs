using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

/// <summary>How a <see cref="PatchClassifier"/> runs: precision, and what its memory is planned for.</summary>
public sealed record PatchClassifierOptions
{
    /// <summary>What is multiplied, f32 or bf16; sums and norms are f32 in both.</summary>
    public DType Precision { get; init; } = DType.F32;

    /// <summary>Most bytes of device memory; null: no limit. A plan over it is refused with what would fit.</summary>
    public long? MemoryBudget { get; init; }

    /// <summary>
    /// Images in one pass; the four orientations of an activation map are four. Each takes memory, results are the
    /// same.
    /// </summary>
    public int Batch { get; init; } = 4;

    /// <summary>The larger side of the largest image.</summary>
    public int LongerSide { get; init; } = 512;

    /// <summary>Its other side. An image fits whose sides, the longer and the shorter, are at most these.</summary>
    public int ShorterSide { get; init; } = 512;

    /// <summary>Throws ArgumentException naming the first value that is impossible.</summary>
    public void Check()
    {
        if (Precision is not (DType.F32 or DType.BF16))
            throw new ArgumentException($"{nameof(Precision)} must be f32 or bf16, got {Precision.Name()}");
        if (Batch is < 1 or > 4096) throw new ArgumentException($"{nameof(Batch)} must be 1 to 4096, got {Batch}");
        if (ShorterSide < 1 || LongerSide < ShorterSide || LongerSide > 65535)
        {
            throw new ArgumentException($"{nameof(ShorterSide)} and {nameof(LongerSide)} must be 1 to 65535 and in "
                + $"this order, got {ShorterSide} and {LongerSide}");
        }
    }

    /// <summary>Planned for the largest of these images.</summary>
    public PatchClassifierOptions For(IEnumerable<(int Height, int Width)> images)
    {
        (int longer, int shorter) = (1, 1);
        foreach ((int height, int width) in images)
        {
            longer = Math.Max(longer, Math.Max(height, width));
            shorter = Math.Max(shorter, Math.Min(height, width));
        }
        return this with { LongerSide = longer, ShorterSide = shorter };
    }
}
