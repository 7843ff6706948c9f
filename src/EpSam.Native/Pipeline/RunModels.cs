// What a finished run has to offer to images of elsewhere: its models, and how it uses them. A run that is not finished
// offers what there is.
using EpSam.Native.Prompts;

namespace EpSam.Native.Pipeline;

/// <summary>The models of a run.</summary>
/// <param name="Config">All values of the run.</param>
/// <param name="Classifier">The checkpoint; it may not be there yet.</param>
/// <param name="Scale">What images are resized by before the classifier's activations are looked at.</param>
/// <param name="Sam">The SAM checkpoint that the run began with, wherever that was; null: it is not known.</param>
/// <param name="Decoder">The mask decoder of the last round; null: there is none yet.</param>
/// <param name="Patches">How the run's patches were cut from slides; null: that is not known.</param>
public sealed record RunModels(RunConfig Config, string Classifier, double Scale, string? Sam, string? Decoder,
    PatchScale? Patches)
{
    /// <summary>How an activation map becomes a mask.</summary>
    public CamMaskRule Rule => Config.Cam.Effective;

    /// <summary>Reads a run's folder.</summary>
    /// <exception cref="RunException">It is no run's, or what it says is damaged.</exception>
    public static RunModels Of(RunFolder folder)
    {
        try
        {
            if (!File.Exists(folder.Config))
            {
                string why = Directory.Exists(folder.Root) ? "it has no run.json" : "there is no such folder";
                throw new RunException($"{folder.Root} is no run: {why}");
            }
            RunConfig config = RunConfig.FromJson(File.ReadAllText(folder.Config));
            RunProgress? progress = RunProgress.Read(folder);
            StageProgress? masks = progress?.Stages.FirstOrDefault(s => s.Name == new CamStage().Name);
            double scale = masks is not null && masks.Figures.TryGetValue(CamStage.ScaleFigure, out double used) ? used
                : config.Cam.Scale ?? 1;
            return new RunModels(config, folder.Classifier, scale, progress?.Sam.Path, LastDecoder(folder),
                PatchScale.Read(folder.Root));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException(e.Message, e);
        }
    }

    /// <summary>The decoder of a run's last round; null: none yet.</summary>
    public static string? LastDecoder(RunFolder folder)
    {
        int rounds = 0;
        while (File.Exists(folder.Decoder(rounds))) rounds++;
        return rounds > 0 ? folder.Decoder(rounds - 1) : null;
    }
}
