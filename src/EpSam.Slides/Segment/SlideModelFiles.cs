// Which models segment slides, and how: from the folder of a run, whose values hold for slides as they did for patches,
// or file by file.
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;
using EpSam.Native.Tensors;

namespace EpSam.Slides.Segment;

/// <summary>What <see cref="SlideModels"/> are made from.</summary>
public sealed record SlideModelFiles
{
    /// <summary>The patch classifier's checkpoint.</summary>
    public required string Classifier { get; init; }

    /// <summary>The side that tiles are resized to for the classifier.</summary>
    public required int ClassifierSide { get; init; }

    /// <summary>What tiles are resized by for its activation maps.</summary>
    public required double Scale { get; init; }

    /// <summary>How a map becomes a mask.</summary>
    public required CamMaskRule Rule { get; init; }

    /// <summary>Activations of the whole last stage rather than of its first block.</summary>
    public bool WholeStage { get; init; }

    /// <summary>A SAM checkpoint; null where masks are the maps'.</summary>
    public string? Sam { get; init; }

    /// <summary>SAM's sizes, where its shapes do not tell them.</summary>
    public SamConfig? SamConfig { get; init; }

    /// <summary>A mask decoder that was trained alone; null: SAM's own.</summary>
    public string? Decoder { get; init; }

    /// <summary>The decoder was trained with points that keep the tile's coordinates in SAM's frame.</summary>
    public bool UnscaledPoints { get; init; }

    /// <summary>The models have learnt tissue with red and blue exchanged.</summary>
    public bool SwappedRedBlue { get; init; }

    /// <summary>What is multiplied.</summary>
    public DType Precision { get; init; } = DType.F32;

    /// <summary>Most device memory of all models together; null: no limit.</summary>
    public long? MemoryBudget { get; init; }

    /// <summary>The models of a run, used as the run used them.</summary>
    /// <param name="folder">The run's.</param>
    /// <param name="options">With the tile's side, and whether SAM is asked.</param>
    /// <param name="sam">A SAM checkpoint instead of the one that the run began with.</param>
    /// <exception cref="RunException">It is no run, or it has not made its models yet.</exception>
    public static SlideModelFiles OfRun(string folder, SlideOptions options, string? sam = null)
    {
        RunModels run = RunModels.Of(new RunFolder(folder));
        if (!File.Exists(run.Classifier))
            throw new RunException($"{folder} has no trained classifier ({run.Classifier}): finish the run first");
        // Patches were all resized to one side: tissue has this scale, whatever a tile's side is.
        int size = run.Config.Classifier.Size, patch = run.Patches?.Size ?? 0;
        int side = patch > 0 ? (int)Math.Round((double)options.Tile * size / patch)
            : PatchClassifier.Scaled(options.Tile, options.Tile, run.Scale).Height;
        SlideModelFiles files = new()
        {
            Classifier = run.Classifier, ClassifierSide = Math.Max(1, side), Scale = run.Scale, Rule = run.Rule,
            WholeStage = run.Config.Cam.WholeStage, UnscaledPoints = run.Config.Compat.UnscaledPoints,
            // Images of a published data set are exchanged on disk, and a run undoes it; patches that were cut here
            // are not, so that models which were trained with the flag nevertheless know them exchanged.
            SwappedRedBlue = run.Config.Compat.SwappedRedBlue && run.Patches is not null,
            Precision = run.Config.Type, MemoryBudget = run.Config.BudgetBytes,
        };
        return options.MapsOnly ? files : files with
        {
            Sam = SamOf(run, folder, sam), Decoder = run.Decoder ?? throw new RunException($"{folder} has no "
                + "round0/decoder.safetensors: it has not come to the decoder yet. Finish the run, or use its "
                + "activation maps alone"),
        };
    }

    static string SamOf(RunModels run, string folder, string? given)
    {
        if (given is not null) return given;
        return run.Sam is not null && File.Exists(run.Sam) ? run.Sam
            : throw new RunException($"{folder} began with the SAM checkpoint {run.Sam ?? "that it does not name"}, "
                + "which is not there any more; say where it is now (--sam)");
    }
}
