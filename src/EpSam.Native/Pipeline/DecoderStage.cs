// A round of decoder training (3_preliminary_fine_tuning.py, 4_iterative_re_training.py): round 0 learns from initial
// masks, round n from the masks that round n - 1 predicted and kept. Every round starts from the original decoder; only
// the labels improve.
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Pipeline;

/// <summary>A round: trains the mask decoder, then predicts masks of the training images with it.</summary>
/// <param name="round">0 is the preliminary one.</param>
public sealed class DecoderStage(int round) : IRunStage
{
    /// <inheritdoc/>
    public string Name => $"round{round}";

    /// <inheritdoc/>
    public StageResult Run(RunContext run)
    {
        using DecoderRound work = new(run, round, Name);
        work.Train();
        PseudoMaskRows masks = work.Predict();
        return new StageResult(work.Figures(masks), work.PlannedBytes, work.PeakBytes);
    }

    /// <inheritdoc/>
    public void Reset(RunFolder folder)
    {
        string own = Path.GetDirectoryName(folder.Decoder(round))!;
        if (Directory.Exists(own)) Directory.Delete(own, recursive: true);
    }

    /// <summary>How a run trains its decoder, with room for images of these sizes.</summary>
    public static DecoderTrainerOptions Options(RunConfig config, IEnumerable<(int Height, int Width)> images) =>
        new DecoderTrainerOptions
        {
            Batch = config.Decoder.Batch, Points = config.Decoder.Points, MaxNorm = config.Decoder.MaxNorm,
            CrossEntropy = config.Decoder.CrossEntropy,
            Adam = new AdamOptions(config.Decoder.WeightDecay, Decoupled: true),
            Precision = config.Type, MemoryBudget = config.BudgetBytes,
            UnscaledPoints = config.Compat.UnscaledPoints, DecayUnused = config.Compat.DecayUnused,
        }.For(images);
}
