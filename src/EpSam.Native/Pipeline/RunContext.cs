// What every stage of a run is given, and what it gives back. A stage finds out by itself how far it has come: it
// resumes from its own state file when there is one.
using EpSam.Native.Runtime;

namespace EpSam.Native.Pipeline;

/// <summary>Is told what a run does.</summary>
public interface IRunObserver
{
    /// <summary>Work begins: <paramref name="total"/> <paramref name="unit"/> to do. Disposed at its end.</summary>
    IWorkProgress Begin(string what, long total, string unit);

    /// <summary>Something worth a line.</summary>
    void Note(string line);

    /// <summary>Something is wrong, but the run goes on.</summary>
    void Warn(string line);
}

/// <summary>How far a piece of work is.</summary>
public interface IWorkProgress : IDisposable
{
    /// <summary>So much is done; <paramref name="figures"/> ("loss 0.412") is shown beside.</summary>
    void Report(long done, string figures = "");
}

/// <summary>What a stage works with.</summary>
public sealed record RunContext(Gpu Gpu, RunConfig Config, RunFolder Folder, PatchSet Data, IImageFiles Files,
    IJournal Journal, IRunObserver Observer, string Sam, CancellationToken Cancel)
{
    /// <summary>An image as stages see it: RGB, red and blue exchanged where the configuration says so.</summary>
    /// <exception cref="ImageFileException">There is no such image, or it cannot be read.</exception>
    public Picture ReadRgb(SourceImage image)
    {
        Picture picture = Files.ReadRgb(image.Path);
        if (!Config.Compat.SwappedRedBlue) return picture;
        byte[] swapped = [.. picture.Pixels];
        for (int i = 0; i < swapped.Length; i += 3) (swapped[i], swapped[i + 2]) = (swapped[i + 2], swapped[i]);
        return picture with { Pixels = swapped };
    }

    /// <summary>Writes a mask (height, width), not 0 inside, as the folder has them: 0 and 255.</summary>
    public void WriteMask(string path, ReadOnlySpan<byte> mask, int height, int width)
    {
        byte[] levels = new byte[mask.Length];
        for (int i = 0; i < levels.Length; i++) levels[i] = mask[i] == 0 ? (byte)0 : (byte)255;
        RunFolder.Write(path, Files.EncodePng(new Picture(levels, height, width, 1)));
    }
}

/// <summary>Takes figures down: metrics.csv and TensorBoard's events.</summary>
public interface IJournal
{
    /// <summary>A figure, for example ("classifier", 3, 51, "val_loss", 0.41).</summary>
    void Add(string stage, long epoch, long step, string name, double value);

    /// <summary>Puts all that was added on the disk. Where the journal stands is saved with a state.</summary>
    string Commit();

    /// <summary>Forgets what was added after this place, and for null what this stage had added.</summary>
    void Rewind(string stage, string? place);
}

/// <summary>What a stage leaves in stages.json.</summary>
/// <param name="Figures">Figures worth telling, by name.</param>
/// <param name="PlannedBytes">Device memory planned.</param>
/// <param name="PeakBytes">Device memory used at most.</param>
public sealed record StageResult(IReadOnlyDictionary<string, double> Figures, long PlannedBytes, long PeakBytes);

/// <summary>A stage of a run.</summary>
public interface IRunStage
{
    /// <summary>For example "classifier", "masks", "round1".</summary>
    string Name { get; }

    /// <summary>
    /// Runs the stage, or the rest of it when it was interrupted. On cancellation its state is saved and
    /// <see cref="OperationCanceledException"/> thrown.
    /// </summary>
    StageResult Run(RunContext run);

    /// <summary>Deletes what it has made, so that it runs from its beginning.</summary>
    void Reset(RunFolder folder);
}
