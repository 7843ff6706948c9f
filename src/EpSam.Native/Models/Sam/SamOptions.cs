using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>How a <see cref="SamModel"/> runs: precision, and what its memory is planned for.</summary>
public sealed record SamOptions
{
    /// <summary>What is multiplied, f32 or bf16; sums, norms and softmax are f32 in both.</summary>
    public DType Precision { get; init; } = DType.F32;

    /// <summary>Most bytes of device memory; null: no limit. A plan over it is refused with what would fit.</summary>
    public long? MemoryBudget { get; init; }

    /// <summary>
    /// Prompts in one pass of the mask decoder. More prompts take more passes, with the same results.
    /// </summary>
    public int PromptsPerPass { get; init; } = 16;

    /// <summary>Most points of one prompt; the corners of a box come on top.</summary>
    public int MaxPoints { get; init; } = 32;

    /// <summary>Most different images in one pass of the mask decoder.</summary>
    public int ImagesPerPass { get; init; } = 4;

    /// <summary>Images that are encoded together, at most <see cref="ImagesPerPass"/>. Each takes memory.</summary>
    public int ImagesPerEncoding { get; init; } = 1;

    /// <summary>Logits above this are set in masks: the reference's attribute mask_threshold.</summary>
    public double MaskThreshold { get; init; }

    /// <summary>Throws ArgumentException naming the first value that is impossible.</summary>
    public void Check()
    {
        if (Precision is not (DType.F32 or DType.BF16))
            throw new ArgumentException($"{nameof(Precision)} must be f32 or bf16, got {Precision.Name()}");
        foreach ((string name, int value, int most) in new[]
        {
            (nameof(PromptsPerPass), PromptsPerPass, 4096), (nameof(MaxPoints), MaxPoints, 4096),
            (nameof(ImagesPerPass), ImagesPerPass, 4096),
            (nameof(ImagesPerEncoding), ImagesPerEncoding, ImagesPerPass),
        })
        {
            if (value < 1 || value > most) throw new ArgumentException($"{name} must be 1 to {most}, got {value}");
        }
        if (!double.IsFinite(MaskThreshold))
            throw new ArgumentException($"{nameof(MaskThreshold)} must be a number, got {MaskThreshold}");
    }
}
