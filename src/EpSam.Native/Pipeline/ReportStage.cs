namespace EpSam.Native.Pipeline;

/// <summary>The last stage: report.html. A run may write it after other stages as well.</summary>
public sealed class ReportStage : IRunStage
{
    /// <inheritdoc/>
    public string Name => "report";

    /// <inheritdoc/>
    public StageResult Run(RunContext run)
    {
        Write(run);
        return new StageResult(new Dictionary<string, double>(), 0, 0);
    }

    /// <summary>Writes the report of what there is.</summary>
    public static void Write(RunContext run)
    {
        run.Cancel.ThrowIfCancellationRequested();
        foreach (string problem in ReportPage.Write(run.Folder, run.Config, run.Data, run.Files))
            run.Observer.Warn($"report: {problem}");
    }

    /// <inheritdoc/>
    public void Reset(RunFolder folder) => RunFolder.Delete(folder.Report);
}
