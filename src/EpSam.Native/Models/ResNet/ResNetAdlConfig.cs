namespace EpSam.Native.Models.ResNet;

/// <summary>What training keeps of a forward pass, from most memory to least. The results have the same bits.</summary>
public enum Recompute
{
    /// <summary>Everything is kept.</summary>
    Nothing,
    /// <summary>What BatchNorm and ReLU make between two convolutions is made again: cheap.</summary>
    Norms,
    /// <summary>
    /// Blocks of the first stage, where the image is largest, as in <see cref="Blocks"/>; else as Norms.
    /// </summary>
    Large,
    /// <summary>Of a block its result is kept; the rest is made again, at the cost of a second forward pass.</summary>
    Blocks,
}

/// <summary>Sizes of EP-SAM's patch classifier; the defaults are the published one's, on ResNet-50.</summary>
public sealed record ResNetAdlConfig
{
    /// <summary>Bottleneck blocks of the four stages.</summary>
    public IntList Blocks { get; init; } = [3, 4, 6, 3];
    /// <summary>Channels of the first convolution and inside of the first stage's blocks; a multiple of 4.</summary>
    public int Width { get; init; } = 64;
    /// <summary>Logits of an image.</summary>
    public int Classes { get; init; } = 1;
    /// <summary>
    /// Positions whose mean is below this share of the image's largest are kept by a drop mask. Above 1 all are, so
    /// that with a drop rate of 1 the model is trained without ADL.
    /// </summary>
    public float DropThreshold { get; init; } = 0.8f;
    /// <summary>How often an ADL layer drops rather than weighs; the coins are the training loop's.</summary>
    public double DropRate { get; init; } = 0.75;
    /// <summary>What training keeps.</summary>
    public Recompute Recompute { get; init; } = Recompute.Large;

    /// <summary>Throws ArgumentException when no such model can be.</summary>
    public void Check()
    {
        if (Blocks.Count != 4 || Blocks.Any(b => b < 1))
            throw new ArgumentException($"the classifier has four stages of one block or more, got {Blocks.Count}: "
                + string.Join(", ", Blocks));
        if (Width < 4 || Width % 4 != 0)
            throw new ArgumentException($"the classifier's width is a multiple of 4, got {Width}");
        if (Classes < 1) throw new ArgumentException($"the classifier has one class or more, got {Classes}");
        if (DropThreshold is not (>= 0 and <= 10) || DropRate is not (>= 0 and <= 1))
            throw new ArgumentException("drop threshold is 0 to 10, drop rate 0 to 1, got "
                + FormattableString.Invariant($"{DropThreshold} and {DropRate}"));
    }
}
